/*
 * test_movie_model.c - models of clips, from clips to clips: an autoencoder, a transformer of its
 * latents and one of pixels, trained on clips and pictures, cut and resumed, saved, asked
 */
#include "pipeline/generate.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

#include "data/latents.h"
#include "pipeline/codec_video.h"
#include "pipeline/latent_decoder.h"
#include "support/models.h"
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
#include <sys/stat.h>

#include <cmocka.h>

/* Clips of 9 frames of 32 x 32, latents of 5 of 8 x 8 x 2; the last frame of a latent stands for
 * one. */
enum { FRAMES = 9, SIDE = 32, FRAME = SIDE * SIDE * 3, CELLS = 5, LATENT = 8 * 8 * 2, ITEMS = 3 };

#define DATA "[data]\nformat = moving\npath = training\neval_path = held-out\nframes = 9\n"
#define TRAIN                                                                             \
    "[train]\nsteps = 6\nbatch = 2\nimage_every = 3\nwarmup = 0\nlearning_rate = 0.003\n" \
    "log_every = 1\n"
static const char autoencoder[] =
    DATA "[model]\nnetwork = video_vae\n[video_vae]\nlatent_channels = 2\nwidth = 4\nmult = 1,2,2\n"
         "blocks = 1\ngroups = 2\nhalvings = 1\nmiddle_attention = false\n"
         "[autoencoder]\npixels = l2\nedges = 1\noutliers = 1\nstatistics = 6\n" TRAIN
         "eval_every = 6\neval_count = 3\nsample_every = 6\nsample_count = 2\n";
static const char latents[] = DATA
    "limit = 6\nautoencoder = ae/model.safetensors\ncache = cache\n"
    "[model]\nnetwork = movie\n[movie]\npatch = 4\nwidth = 16\ndepth = 2\nheads = 2\ntimes = 8\n"
    "text_length = 48\ntext_width = 8\ntext_depth = 1\ntext_heads = 2\n" TRAIN
    "time = logit_normal\nlabel_drop = 0.3\neval_every = 6\neval_count = 3\nsample_every = 6\n"
    "sample_count = 2\n[sample]\nsteps = 2\nschedule = linear_quadratic\ncfg_scale = 2\n";
static const char pixels[] =
    DATA "[model]\nnetwork = movie\n[movie]\npatch = 8\nwidth = 16\ndepth = 1\nheads = 2\n"
         "text_length = 48\ntext_width = 8\ntext_depth = 1\ntext_heads = 2\n" TRAIN
         "label_drop = 0.3\nsample_every = 0\n[sample]\nsteps = 2\ncfg_scale = 2\n";

/* With one setting more, or NULL: what is refused must not have a run. */
static enum status train(const char *config, const char *name, const char *more, struct error *err)
{
    const char *const settings[] = {more, NULL};

    return run_in(name, config, 2, 0, settings, err);
}

/* The third and the sixth step are of pictures, so that a run is cut behind one of clips and behind
 * one of pictures. */
static void an_autoencoders_run_is_the_same(void **state)
{
    (void)state;
    assert_run_repeats("ae", autoencoder);
}

static void a_run_on_latents_is_the_same(void **state)
{
    (void)state;
    assert_run_repeats("latents", latents);
}

static void a_run_on_pixels_is_the_same(void **state)
{
    (void)state;
    assert_run_repeats("pixels", pixels);
}

static void sheets_are_drawn(void **state)
{
    struct stat s;

    (void)state;
    assert_int_equal(stat("ae/samples-00000006.png", &s), 0);
    assert_int_equal(stat("latents/samples-00000006.png", &s), 0);
}

/* Steps on pictures are steps: without them other weights come out. */
static void pictures_count(void **state)
{
    char a[CHECKPOINT_PATH], b[CHECKPOINT_PATH];
    struct model *one, *other;
    struct error err = {0};
    double differ = 0;

    (void)state;
    if (train(pixels, "clips", "train.image_every=0", &err))
        fail_msg("%s", err.text);
    assert_int_equal(checkpoint_find(a, "pixels", NULL), OK);
    assert_int_equal(checkpoint_find(b, "clips", NULL), OK);
    assert_int_equal(model_load(&one, "pixels/model.safetensors", NULL), OK);
    assert_int_equal(model_load(&other, "clips/model.safetensors", NULL), OK);
    for (int64_t i = 0; i < params_count(one->network->params); i++) {
        const struct param *p = params_at(one->network->params, i);
        const struct param *q = params_at(other->network->params, i);

        differ += fabs((double)p->value[0] - (double)q->value[0]);
    }
    assert_true(differ > 0);
    model_free(one);
    model_free(other);
}

/* What the cache holds is what the autoencoder says of the clips, the last odd frame included. */
static void latents_are_the_autoencoders(void **state)
{
    static float clip[FRAMES * FRAME], want[CELLS * LATENT], got[CELLS * LATENT];
    const struct dataset_config of_clips = {
        .format = "moving", .path = "training", .frames = FRAMES};
    const struct dataset_config of_latents = {.format = "latents", .path = "cache"};
    struct dataset *clips, *set;
    struct codec *c;

    (void)state;
    assert_int_equal(codec_open(&c, "ae/model.safetensors", HALVES_BOTH, 2, NULL), OK);
    assert_int_equal(dataset_open(&clips, &of_clips, NULL), OK);
    assert_int_equal(dataset_open(&set, &of_latents, NULL), OK);
    assert_int_equal(set->frames, CELLS);
    assert_int_equal(latents_info(set)->clip_frames, FRAMES);
    assert_int_equal(dataset_length(set), CELLS * LATENT);
    assert_int_equal(dataset_get(clips, 4, clip, NULL, NULL, NULL), OK);
    assert_int_equal(dataset_get(set, 4, got, NULL, NULL, NULL), OK);
    assert_int_equal(
        codec_encode_videos(c, want, clip, 1, &(struct video_size){FRAMES, SIDE, SIDE}, NULL, NULL),
        OK);
    for (int i = 0; i < CELLS * LATENT; i++) {
        const struct latents_info *l = latents_info(set);
        double z = l->mean[i % 2] + l->deviation[i % 2] * (double)got[i];

        assert_true(fabs(z - (double)want[i]) < 1e-5);
    }
    dataset_close(set);
    dataset_close(clips);
    codec_free(c);
}

/* Latents of pictures stand beside, in the numbers of the clips'. */
static void pictures_have_latents(void **state)
{
    const struct dataset_config c = {.format = "latents", .path = "cache/pictures"};
    struct dataset *set;

    (void)state;
    assert_int_equal(dataset_open(&set, &c, NULL), OK);
    assert_int_equal(set->frames, 1);
    assert_int_equal(set->count, 6);
    dataset_close(set);
}

static struct model *open_model(const char *path)
{
    struct model *m;

    assert_int_equal(model_load(&m, path, NULL), OK);
    if (m->space)
        assert_int_equal(autoencoder_find(m->space, "latents", NULL, NULL), OK);
    return m;
}

static const char *const texts[] = {"a red circle moves left", "a blue star moves up"};
static const struct generate_item items[ITEMS] = {{0, 2, 7}, {1, 2, 7}, {-1, 1, 8}};

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

static void check_clips(struct model *m, int64_t frames)
{
    int64_t length = frames * FRAME;
    float *all = malloc(2 * ITEMS * (size_t)length * sizeof *all), *one = all + ITEMS * length;
    struct generate_request r;
    struct view_shape shape;
    struct error err = {0};

    assert_non_null(all);
    if (model_set_frames(m, frames, &err))
        fail_msg("%s", err.text);
    shape = view_shape(m, false);
    assert_int_equal(shape.frames, frames);
    assert_int_equal(view_length(&shape), length);
    r = request(m);
    if (generate(all, &r, NULL, &err))
        fail_msg("%s", err.text);
    assert_memory_not_equal(all, all + length, (size_t)length * sizeof *all);
    r.n = 1;
    r.threads = 1;
    for (int i = 0; i < ITEMS; i++) {
        r.items = items + i;
        assert_int_equal(generate(one, &r, NULL, NULL), OK);
        assert_memory_equal(all + i * length, one, (size_t)length * sizeof *all);
    }
    free(all);
}

/* Of the trained length, a shorter and a longer one, and pictures; each alone is what it is among
 * others, on other threads. */
static void clips_of_latents(void **state)
{
    const int64_t lengths[] = {FRAMES, 1, 4, 16};
    struct model *m = open_model("latents/model.safetensors");
    struct error err = {0};

    (void)state;
    assert_int_equal(model_frames(m), FRAMES);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check_clips(m, lengths[i]);
    assert_int_equal(model_set_frames(m, 17, &err), E_ARG);
    assert_says(err.text, "1 to 8");
    assert_int_equal(model_frames(m), 16);
    assert_int_equal(model_set_frames(m, 0, NULL), E_ARG);
    model_free(m);
}

static void clips_of_pixels(void **state)
{
    struct model *m = open_model("pixels/model.safetensors");
    struct error err = {0};

    (void)state;
    assert_int_equal(model_frames(m), FRAMES);
    check_clips(m, FRAMES);
    check_clips(m, 3);
    assert_int_equal(model_set_frames(m, 10, &err), E_ARG);
    model_free(m);
}

/* What a solver would have to draw over, and what frames would be of a picture's model. */
static void what_cannot_be_asked(void **state)
{
    static float out[FRAMES * FRAME], picture[FRAMES * FRAME];
    struct model *m = open_model("latents/model.safetensors");
    const struct repaint_request of = {.picture = picture};
    struct generate_request r = request(m);
    struct error err = {0};

    (void)state;
    r.repaint = &of;
    r.n = 1;
    assert_int_equal(generate(out, &r, NULL, &err), E_UNSUPPORTED);
    model_free(m);
    assert_int_equal(train(pixels, "none", "data.frames=1", &err), E_ARG);
    assert_says(err.text, "no clips");
    assert_int_equal(train(pixels, "none", "data.frames=7", &err), E_ARG);
    assert_int_equal(
        train("[data]\nformat = moving\n[model]\nnetwork = unet\n", "none", NULL, &err), E_ARG);
    assert_says(err.text, "learns pictures");
}

/* An autoencoder that begins as one of pictures makes of a still clip what that makes of its frame,
 * up to the steps taken since: none are, with a learning rate of zero. */
static void an_inflated_one_begins_as_its_picture(void **state)
{
    static const char image[] =
        "\"path\":{},\"sample\":{},\"labels\":[],\"model\":{\"network\":\"vae\"},\"vae\":{"
        "\"size\":32,\"latent_channels\":2,\"width\":4,\"mult\":[1,2,2],\"blocks\":1,\"groups\":2,"
        "\"middle_attention\":false}";
    static float picture[FRAME], want[LATENT], got[LATENT];
    struct model *m = model_random(image, 5);
    const char *const settings[] = {"train.learning_rate=0",
                                    "autoencoder.inflate=image.safetensors", "train.out=inflated",
                                    "train.steps=1", NULL};
    struct error err = {0};
    struct codec *c;

    (void)state;
    for (int i = 0; i < FRAME; i++)
        picture[i] = (float)(i % 97) / 48.5f - 1;
    assert_int_equal(model_save(m, "image.safetensors", NULL, NULL), OK);
    model_free(m);
    assert_int_equal(codec_open(&c, "image.safetensors", HALVES_BOTH, 2, NULL), OK);
    assert_int_equal(codec_encode(c, want, picture, 1, SIDE, SIDE, NULL, NULL), OK);
    codec_free(c);
    if (run_text((struct train_request){.threads = 2}, autoencoder, settings, &err))
        fail_msg("%s", err.text);
    assert_int_equal(codec_open(&c, "inflated/model.safetensors", HALVES_BOTH, 2, NULL), OK);
    assert_int_equal(codec_encode(c, got, picture, 1, SIDE, SIDE, NULL, NULL), OK);
    codec_free(c);
    for (int i = 0; i < LATENT; i++)
        assert_true(fabsf(want[i] - got[i]) < 1e-4f);
    assert_int_equal(train(autoencoder, "none", "autoencoder.inflate=ae/model.safetensors", &err),
                     E_ARG);
}

static int set_up(void **state)
{
    temp_enter(state);
    run_must("ae", autoencoder, 2, NULL);
    run_must("latents", latents, 2, NULL);
    run_must("pixels", pixels, 2, NULL);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_autoencoders_run_is_the_same),
        cmocka_unit_test(a_run_on_latents_is_the_same),
        cmocka_unit_test(a_run_on_pixels_is_the_same),
        cmocka_unit_test(sheets_are_drawn),
        cmocka_unit_test(pictures_count),
        cmocka_unit_test(latents_are_the_autoencoders),
        cmocka_unit_test(pictures_have_latents),
        cmocka_unit_test(clips_of_latents),
        cmocka_unit_test(clips_of_pixels),
        cmocka_unit_test(what_cannot_be_asked),
        cmocka_unit_test(an_inflated_one_begins_as_its_picture),
    };

    return cmocka_run_group_tests(tests, set_up, temp_leave);
}
