/*
 * test_told.c - models that are told of clips, from clips to clips: a first frame or a smaller
 * clip, in latents and in pixels, trained, cut and resumed, begun as others, asked, refused
 */
#include "pipeline/condition_set.h"
#include "pipeline/generate.h"
#include "train/checkpoint.h"
#include "train/condition_batch.h"
#include "train/trainer.h"

#include "data/latents.h"
#include "data/loader.h"
#include "data/picture.h"
#include "io/image.h"
#include "pipeline/codec_video.h"
#include "pipeline/latent_decoder.h"
#include "support/runs.h"
#include "support/says.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Clips of 8 frames of 32 x 32, latents of 4 of 8 x 8 x 2. */
enum { FRAMES = 8, SIDE = 32, FRAME = SIDE * SIDE * 3, CLIP = FRAMES * FRAME };
enum { CELLS = 4, CELL = 8 * 8 * 2, SMALL = CLIP / 4, ITEMS = 2 };

#define DATA "[data]\nformat = moving\npath = training\neval_path = held-out\nframes = 8\n"
#define TRAIN                                                                             \
    "[train]\nsteps = 6\nbatch = 2\nimage_every = 3\nwarmup = 0\nlearning_rate = 0.003\n" \
    "log_every = 1\nlabel_drop = 0.3\neval_every = 6\neval_count = 3\nsample_every = 6\n" \
    "sample_count = 2\n[sample]\nsteps = 2\ncfg_scale = 2\n"
#define READS "text_length = 48\ntext_width = 8\ntext_depth = 1\ntext_heads = 2\n"
#define ON_LATENTS                                                                                 \
    DATA                                                                                           \
        "limit = 6\nautoencoder = ae/model.safetensors\ncache = cache\n[model]\nnetwork = movie\n" \
        "[movie]\npatch = 4\nwidth = 16\ndepth = 2\nheads = 2\n" READS
#define ON_PIXELS \
    DATA "[model]\nnetwork = movie\n[movie]\npatch = 8\nwidth = 16\ndepth = 1\nheads = 2\n" READS

static const char autoencoder[] =
    DATA "[model]\nnetwork = video_vae\n[video_vae]\nlatent_channels = 2\nwidth = 4\nmult = 1,2,2\n"
         "blocks = 1\ngroups = 2\nhalvings = 1\nmiddle_attention = false\n[autoencoder]\n"
         "statistics = 6\n[train]\nsteps = 2\nbatch = 2\nimage_every = 2\nsample_every = 0\n";
static const char plain[] = ON_LATENTS TRAIN;
static const char latents[] = ON_LATENTS "first_frame = 0.6\n" TRAIN;
static const char pixels[] = ON_PIXELS "first_frame = 0.6\n" TRAIN;
static const char larger[] = ON_LATENTS "upscale = 2\n" TRAIN;
static const char larger_pixels[] = ON_PIXELS "upscale = 4\n" TRAIN;

/* The third and the sixth step are of pictures; cut behind one of clips and one of pictures. */
static void check_runs(const char *config, const char *whole)
{
    static const char *const recomputed[] = {"train.recompute=true", NULL};
    char name[80];

    run_must(whole, config, 2, NULL);
    assert_run_repeats(whole, config);
    snprintf(name, sizeof name, "%s-recomputed", whole);
    run_must(name, config, 1, recomputed);
    assert_same_runs(whole, name);
}

static void runs_are_the_same(void **state)
{
    (void)state;
    check_runs(latents, "latents");
    check_runs(pixels, "pixels");
    check_runs(larger, "larger");
    check_runs(larger_pixels, "larger-pixels");
}

/* --- what is told -------------------------------------------------------------------------------
 */

static struct model *open_model(const char *folder)
{
    char path[80];
    struct error err = {0};
    struct model *m;

    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (model_load(&m, path, &err))
        fail_msg("%s", err.text);
    if (m->space)
        assert_int_equal(autoencoder_find(m->space, folder, NULL, NULL), OK);
    return m;
}

static struct dataset *open_clips(void)
{
    const struct dataset_config c = {
        .format = "moving", .path = "training", .frames = FRAMES, .limit = 6};
    struct dataset *d;

    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    return d;
}

static struct dataset *open_cache(const char *folder)
{
    const struct dataset_config c = {.format = "latents", .path = folder};
    struct error err = {0};
    struct dataset *d;

    if (dataset_open(&d, &c, &err))
        fail_msg("%s", err.text);
    return d;
}

/* The cache of first frames holds what the autoencoder makes of each as a picture, and that of
 * smaller clips what it makes of them brought back to their size. */
static void caches_are_the_autoencoders(void **state)
{
    static float clip[CLIP], blurred[CLIP], want[CELLS * CELL], got[CELLS * CELL];
    const struct view_shape shape = {SIDE, SIDE, 3, FRAMES};
    struct dataset *clips = open_clips();
    struct codec *c;

    (void)state;
    assert_int_equal(codec_open(&c, "ae/model.safetensors", HALVES_BOTH, 2, NULL), OK);
    for (int k = 0; k < 2; k++) {
        struct dataset *set = open_cache(k ? "cache/upscale-2" : "cache/first-frame");
        const struct latents_info *l = latents_info(set);

        assert_int_equal(set->count, 6);
        assert_int_equal(dataset_length(set), k ? CELLS * CELL : CELL);
        assert_int_equal(dataset_get(clips, 4, clip, NULL, NULL, NULL), OK);
        assert_int_equal(dataset_get(set, 4, got, NULL, NULL, NULL), OK);
        assert_int_equal(condition_blur(blurred, clip, &shape, 2, NULL), OK);
        assert_int_equal(k ? codec_encode_videos(c, want, blurred, 1,
                                                 &(struct video_size){FRAMES, SIDE, SIDE}, NULL,
                                                 NULL)
                           : codec_encode(c, want, clip, 1, SIDE, SIDE, NULL, NULL),
                         OK);
        for (int64_t i = 0; i < dataset_length(set); i++)
            assert_true(fabs(l->mean[i % 2] + l->deviation[i % 2] * (double)got[i] -
                             (double)want[i]) < 1e-5);
        dataset_close(set);
    }
    dataset_close(clips);
    codec_free(c);
}

/* What a request gives is what training showed: the same numbers, up to what normalising in float
 * loses. */
static void requests_tell_what_training_told(void **state)
{
    static const char *const models[] = {"latents", "larger", "pixels", "larger-pixels"};
    static const char *const caches[] = {"cache/first-frame", "cache/upscale-2", NULL, NULL};
    static const float within[] = {0.15f, 1e-4f, 0, 0}; /* the set is not quite in 8 bits */
    static float clip[CLIP];
    static uint8_t levels[CLIP], small[SMALL];
    const struct view_shape shape = {SIDE, SIDE, 3, FRAMES};
    struct dataset *clips = open_clips();

    (void)state;
    assert_int_equal(dataset_get(clips, 3, clip, NULL, NULL, NULL), OK);
    for (int i = 0; i < CLIP; i++)
        levels[i] = (uint8_t)((clip[i] + 1) * 127.5f + 0.5f);
    picture_floats(clip, levels, CLIP); /* exactly those of a file */
    for (int k = 0; k < 4; k++) {
        struct model *m;
        struct dataset *known = NULL;
        float *want, *got, worst = 0;
        int64_t n;

        m = open_model(models[k]);
        n = condition_length(m->network);
        want = malloc(2 * (size_t)n * sizeof *want);
        assert_non_null(want);
        got = want + n;
        if (m->network->io.upscale)
            assert_int_equal(condition_shrink(small, levels, &shape, m->network->io.upscale, NULL),
                             OK);
        if (caches[k]) {
            known = open_cache(caches[k]);
            latents_normalise_as(known, m->space->mean, m->space->deviation);
        }
        assert_int_equal(condition_of_clip(want, m->network, known, 3, clip, NULL), OK);
        assert_int_equal(
            condition_read(got, m, m->network->io.upscale ? small : levels, 2, NULL, NULL, NULL),
            OK);
        for (int64_t i = 0; i < n; i++)
            worst = fmaxf(worst, fabsf(want[i] - got[i]));
        if (worst > within[k])
            fail_msg("%s: %g", models[k], (double)worst);
        dataset_close(known);
        free(want);
        model_free(m);
    }
    dataset_close(clips);
}

/* The rows as a network would see them. */
static void read_rows(float *out, const struct condition_batch *c, struct graph *g)
{
    struct tensor *x;

    graph_reset(g);
    x = condition_batch_record(c, g);
    graph_keep(g, x);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, x, out);
}

/* A clip is told its first frame or not by its number alone, in the share that was asked for, and
 * that frame stands where the mask says, nothing elsewhere. */
static void a_share_is_told(void **state)
{
    enum { ROWS = 64 };
    struct model *m = open_model("pixels");
    struct network *net = m->network;
    int64_t length = condition_length(net), told = 0, moved = 0, K = 4;
    bool was[ROWS];
    const struct condition_setting s = {.net = net, .count = 6, .rows = ROWS, .seed = 5};
    float *clips = malloc((size_t)ROWS * CLIP * sizeof *clips), *row;
    float *values = malloc((size_t)(ROWS * length) * sizeof *values);
    struct condition_batch *c;
    struct graph *g;

    (void)state;
    assert_true(clips && values);
    for (int i = 0; i < ROWS * CLIP; i++)
        clips[i] = (float)(i % 251) / 125 - 1;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    assert_int_equal(condition_batch_new(&c, &s, NULL), OK);
    assert_int_equal(condition_batch_draw(c, clips, 100, false, NULL), OK);
    read_rows(values, c, g);
    for (int i = 0; i < ROWS; i++) {
        row = values + i * length;
        told += was[i] = row[K - 1] == 1;
        for (int64_t p = 0; p < length / K; p++) {
            bool here = row[K - 1] == 1 && p < SIDE * SIDE;

            assert_true(row[p * K + K - 1] == (here ? 1 : 0));
            for (int k = 0; k < 3; k++)
                assert_true(row[p * K + k] == (here ? clips[i * CLIP + p * 3 + k] : 0));
        }
    }
    assert_in_range(told, ROWS * 0.4, ROWS * 0.8);
    assert_int_equal(condition_batch_draw(c, clips, 101, false, NULL), OK); /* by its number */
    read_rows(values, c, g);
    for (int i = 0; i + 1 < ROWS; i++) {
        assert_int_equal(values[i * length + K - 1] == 1, was[i + 1]);
        moved += was[i] != was[i + 1];
    }
    assert_true(moved > 0);
    net->io.frames = 1; /* of pictures none is */
    assert_int_equal(condition_batch_draw(c, clips, 100, true, NULL), OK);
    read_rows(values, c, g);
    for (int64_t i = 0; i < ROWS * SIDE * SIDE * K; i++)
        assert_true(values[i] == 0);
    condition_batch_free(c);
    graph_free(g);
    free(clips);
    free(values);
    model_free(m);
}

/* What a row is told is of its own clip: told the very clips that a loader brings, in an order of
 * its own and past an epoch, a network sees each of them twice. */
static void rows_are_told_of_their_own(void **state)
{
    enum { ROWS = 3, BATCHES = 4, LATENT = CELLS * CELL };
    struct model *m = open_model("larger");
    struct dataset *set = open_cache("cache");
    const struct condition_setting s = {
        .net = m->network, .known = set, .count = set->count, .rows = ROWS, .seed = 9};
    static float values[ROWS * LATENT];
    struct condition_batch *c;
    struct loader *l;
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    assert_int_equal(loader_new(&l, set, ROWS, 9, 1, false, NULL), OK);
    assert_int_equal(condition_batch_new(&c, &s, NULL), OK);
    for (int k = 0; k < BATCHES; k++) {
        struct batch b;

        assert_int_equal(loader_next(l, &b, NULL), OK);
        assert_int_equal(condition_batch_draw(c, b.pixels, b.first_sample, false, NULL), OK);
        read_rows(values, c, g);
        assert_memory_equal(values, b.pixels, sizeof values);
    }
    condition_batch_free(c);
    loader_free(l);
    graph_free(g);
    dataset_close(set);
    model_free(m);
}

/* --- beginning ----------------------------------------------------------------------------------
 */

/* Whoever is told more begins as who was told nothing: without a step the clips are the same. */
static void it_begins_as_it_was(void **state)
{
    static const char *const still[] = {"train.init=plain/model.safetensors",
                                        "train.learning_rate=0", "train.steps=1", "train.ema=0",
                                        NULL};
    static const struct generate_item item = {0, 2, 7};
    static const char *const texts[] = {"a red circle moves left"};
    static float clip[2][CLIP];
    static uint8_t given[FRAME];
    struct model *was, *is;
    struct generate_request r;

    (void)state;
    run_must("begun", latents, 2, still);
    was = open_model("plain");
    is = open_model("begun");
    assert_true(is->network->io.condition_channels == 3);
    r = (struct generate_request){.model = was,
                                  .settings = was->sample,
                                  .texts = texts,
                                  .n_texts = 1,
                                  .items = &item,
                                  .n = 1,
                                  .threads = 2};
    assert_int_equal(generate(clip[0], &r, NULL, NULL), OK);
    r.model = is;
    r.given = given;
    assert_int_equal(generate(clip[1], &r, NULL, NULL), OK);
    assert_memory_equal(clip[0], clip[1], sizeof clip[0]);
    model_free(was);
    model_free(is);
}

/* --- asking -------------------------------------------------------------------------------------
 */

static const char *const texts[] = {"a red circle moves left", "a blue star moves up"};
static const struct generate_item items[ITEMS] = {{0, 2, 7}, {1, 1, 8}};

static struct generate_request request(const struct model *m)
{
    return (struct generate_request){.model = m,
                                     .settings = m->sample,
                                     .texts = texts,
                                     .n_texts = 2,
                                     .items = items,
                                     .n = ITEMS,
                                     .threads = 2};
}

/* What is given changes every clip, is the same for all of them, and each is what it is alone;
 * given ready it is the same, too. */
static void given_things_count(void **state)
{
    static const char *const models[] = {"latents", "pixels", "larger", "larger-pixels"};
    static float all[ITEMS * CLIP], other[ITEMS * CLIP], one[CLIP];
    static uint8_t given[CLIP];

    (void)state;
    for (int k = 0; k < 4; k++) {
        struct model *m;
        struct generate_request r;
        float *ready;
        int64_t n;

        m = open_model(models[k]);
        n = condition_length(m->network);
        ready = malloc(ITEMS * (size_t)n * sizeof *ready);
        assert_non_null(ready);
        for (int i = 0; i < CLIP; i++)
            given[i] = (uint8_t)(i * 7);
        r = request(m);
        r.given = given;
        assert_int_equal(generate(all, &r, NULL, NULL), OK);
        for (int i = 0; i < ITEMS; i++) {
            r.items = items + i;
            r.n = 1;
            r.threads = 1 + i;
            assert_int_equal(generate(one, &r, NULL, NULL), OK);
            assert_memory_equal(one, all + i * CLIP, sizeof one);
            assert_int_equal(condition_read(ready + i * n, m, given, 2, NULL, NULL, NULL), OK);
        }
        r = request(m);
        r.condition = ready;
        assert_int_equal(generate(other, &r, NULL, NULL), OK);
        assert_memory_equal(all, other, sizeof all);
        memset(ready + n, 0, (size_t)n * sizeof *ready); /* the second's alone */
        assert_int_equal(generate(other, &r, NULL, NULL), OK);
        assert_memory_equal(all, other, CLIP * sizeof *all);
        assert_memory_not_equal(all + CLIP, other + CLIP, CLIP * sizeof *all);
        free(ready);
        model_free(m);
    }
}

/* --- refusals -----------------------------------------------------------------------------------
 */

static void is_refused(const char *config, const char *setting, const char *because)
{
    const char *const more[] = {setting, NULL};
    struct error err = {0};

    assert_int_not_equal(run_in("refused", config, 2, 0, more, &err), OK);
    assert_says(err.text, because);
}

static void runs_that_cannot_be(void **state)
{
    (void)state;
    is_refused(pixels, "movie.upscale=2", "exclude each other");
    is_refused(plain, "movie.condition_channels=2", "of 2 channels nobody knows");
    is_refused(larger, "movie.upscale=3", "32 x 32 cannot be made 3 times smaller");
    is_refused(larger_pixels, "movie.upscale=1", "2 or more");
    is_refused("[data]\nformat = moving\npath = training\nframes = 1\n[model]\nnetwork = "
               "movie\n[movie]\npatch = 8\nwidth = 16\n"
               "depth = 1\nheads = 2\nfirst_frame = 1\n" READS,
               "train.steps=1", "no first frame");
    is_refused("[data]\nformat = latents\npath = cache\n[model]\nnetwork = movie\n[movie]\npatch = "
               "4\nwidth = 16\ndepth = 1\nheads = 2\nfirst_frame = 1\n" READS,
               "train.steps=1", "data.cache");
}

static void requests_that_cannot_be(void **state)
{
    static float out[ITEMS * CLIP];
    static uint8_t given[CLIP];
    struct model *none = open_model("plain");
    struct model *first = open_model("latents");
    struct model *up = open_model("larger");
    struct generate_request r = request(none);
    struct error err = {0};

    (void)state;
    r.given = given;
    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_says(err.text, "movie.first_frame");
    r = request(up);
    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_says(err.text, "2 times larger, and none is given");
    r.given = given;
    r.guide = first;
    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_says(err.text, "told of a clip's first frame");
    r = request(first);
    r.guide = none; /* who is told nothing can be guided away from */
    r.given = given;
    assert_int_equal(generate(out, &r, NULL, NULL), OK);
    r.guide = NULL;
    assert_int_equal(model_set_frames(first, 2, NULL), OK);
    assert_int_equal(generate(out, &r, NULL, &err), E_ARG);
    assert_says(err.text, "a clip of 2 frames");
    model_free(none);
    model_free(first);
    model_free(up);
}

static int set_up(void **state)
{
    static const char *const no_sheets[] = {"train.sample_every=0", NULL};

    temp_enter(state);
    run_must("ae", autoencoder, 2, NULL);
    run_must("plain", plain, 2, no_sheets);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_are_the_same),
        cmocka_unit_test(caches_are_the_autoencoders),
        cmocka_unit_test(requests_tell_what_training_told),
        cmocka_unit_test(a_share_is_told),
        cmocka_unit_test(rows_are_told_of_their_own),
        cmocka_unit_test(it_begins_as_it_was),
        cmocka_unit_test(given_things_count),
        cmocka_unit_test(runs_that_cannot_be),
        cmocka_unit_test(requests_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, set_up, temp_leave);
}
