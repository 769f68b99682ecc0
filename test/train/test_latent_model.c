/*
 * test_latent_model.c - latent models, from pictures to pictures
 *
 * An autoencoder with random weights, a cache of latents of drawn pictures, a small transformer
 * trained on it for three steps, and pictures out: each against the same done by hand.
 */
#include "imgen.h"
#include "train/checkpoint.h"
#include "train/latent_data.h"
#include "train/trainer.h"

#include "base/file.h"
#include "data/latents.h"
#include "io/image.h"
#include "pipeline/codec.h"
#include "pipeline/generate.h"
#include "support/models.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Pictures of 16 x 16 x 3, latents of 8 x 8 x 4. */
enum {
    SIDE = 16,
    LENGTH = SIDE * SIDE * 3,
    CELLS = 8,
    CHANNELS = 4,
    N = 80,
    ITEMS = 5,
    WORDS = 14
};
enum { VALUES = CELLS * CELLS * CHANNELS, STEPS = 3 };

#define PLAIN "\"path\":{},\"sample\":{},\"labels\":[],"
/* Weights of the linear preview, a row for each latent channel, and offsets. */
#define NUMBERS      0.3, -0.1, 0.2, 0.05, 0.4, -0.2, -0.3, 0.1, 0.1, 0.2, 0.2, 0.25, 0.01, -0.02, 0.03
#define TEXT_OF(...) #__VA_ARGS__
#define AS_TEXT(...) TEXT_OF(__VA_ARGS__)
static const char vae[] =
    PLAIN "\"model\":{\"network\":\"vae\"},\"vae\":{\"size\":16,\"width\":8,"
          "\"mult\":[1,2],\"latent_channels\":4,\"blocks\":1,\"groups\":4,"
          "\"scale\":[1.5],\"shift\":[0.2],\"preview\":[" AS_TEXT(NUMBERS) "]}";
static const char blind[] = PLAIN "\"model\":{\"network\":\"vae\"},\"vae\":{\"size\":16,"
                                  "\"width\":8,\"mult\":[1,2],\"latent_channels\":4,\"blocks\":1,"
                                  "\"groups\":4}";
static const char tae[] = PLAIN "\"model\":{\"network\":\"tae\"},\"tae\":{\"size\":16,\"width\":8,"
                                "\"levels\":1,\"latent_channels\":4,\"blocks\":1,\"pool\":false}";
static const char classifier[] =
    PLAIN "\"model\":{\"network\":\"classifier\"},\"classifier\":{\"size\":16,\"classes\":48,"
          "\"width\":8,\"mult\":[1,2],\"blocks\":1,\"attention\":[2],\"groups\":4}";

/* Paths below are of this folder, where the tests run. */
static char place[TEMP_PATH], before[TEMP_PATH];

static const char config[] = "[data]\nformat = shapes\nsize = 16\nlimit = 80\n"
                             "autoencoder = ae/vae.safetensors\ncache = cache\n"
                             "[model]\nnetwork = dit\n"
                             "[dit]\npatch = 2\nwidth = 16\ndepth = 1\nheads = 2\n"
                             "[train]\nsteps = 3\nbatch = 4\nwarmup = 0\nlearning_rate = 0.003\n"
                             "sample_every = 3\nsample_count = 4\nlog_every = 1\n"
                             "[sample]\nsteps = 3\ncfg_scale = 2\n";

struct seen {
    int64_t stop_encoding, stop_step; /* stop there; 0: never            */
    int64_t encoded;                  /* the last count that was told    */
    int sheets;
    char note[256];
};

static bool watch(const struct train_event *e, void *user)
{
    struct seen *s = user;

    assert_non_null(e->memory);
    switch (e->kind) {
    case TRAIN_ENCODING:
        s->encoded = e->step;
        return !s->stop_encoding || e->step != s->stop_encoding;
    case TRAIN_STEP:
        return e->step != s->stop_step;
    case TRAIN_NOTE:
        snprintf(s->note, sizeof s->note, "%s", e->path);
        break;
    case TRAIN_SAMPLED:
        s->sheets++;
        break;
    default:
        break;
    }
    return true;
}

/* Read a configuration with these settings over it, ended by NULL. */
static void read_text(struct experiment *e, const char *text, const char *const *more)
{
    struct error err = {0};
    int n = 0;

    while (more && more[n])
        n++;
    if (experiment_read_text(e, "test", text, (char *const *)(uintptr_t)more, n, &err))
        fail_msg("%s", err.text);
}

static void read_config(struct experiment *e, const char *const *more)
{
    read_text(e, config, more);
}

static enum status train_text(const char *text, bool resume, struct seen *seen,
                              const char *const *more, struct error *err)
{
    struct experiment e;
    struct train_request r = {.experiment = &e, .threads = 2, .resume = resume, .callback = watch};
    struct seen unseen = {0};
    enum status st;

    r.user = seen ? seen : &unseen;
    read_text(&e, text, more);
    st = train_run(&r, err);
    experiment_release(&e);
    return st;
}

static enum status train(bool resume, struct seen *seen, const char *const *more, struct error *err)
{
    return train_text(config, resume, seen, more, err);
}

static void must_train(const char *const *more, struct seen *seen)
{
    struct error err = {0};

    if (train(false, seen, more, &err))
        fail_msg("%s", err.text);
}

static void says(const struct error *err, const char *text)
{
    if (!strstr(err->text, text))
        fail_msg("'%s' does not say '%s'", err->text, text);
}

static void api_says(const struct imgen_error *err, const char *text)
{
    if (!strstr(err->text, text))
        fail_msg("'%s' does not say '%s'", err->text, text);
}

static void save_random(const char *path, const char *description, uint64_t seed)
{
    struct model *m = model_random(description, seed);

    assert_int_equal(model_save(m, path, NULL, NULL), OK);
    model_free(m);
}

static struct codec *open_codec(const char *path)
{
    struct codec *c;

    assert_int_equal(codec_open(&c, path, HALVES_BOTH, 1, NULL), OK);
    return c;
}

static const struct generate_item items[ITEMS] = {
    {0, 2, 10}, {1, 0, 11}, {2, 1, 12}, {48, 3, 13}, {47, 7.5, 14}};

static struct model *open_model(const char *path)
{
    struct model *m;

    assert_int_equal(model_load(&m, path, NULL), OK);
    if (m->space)
        assert_int_equal(autoencoder_find(m->space, "run", NULL, NULL), OK);
    return m;
}

static struct generate_request request(const struct model *m)
{
    return (struct generate_request){
        .model = m, .settings = m->sample, .items = items, .n = ITEMS, .threads = 2};
}

/* What the solver leaves, as a model of pixels would hand it out. */
static void draw_latents(float *x, struct model *m)
{
    struct latent_space *s = m->space;
    struct generate_request r = request(m);

    m->space = NULL;
    assert_int_equal(generate(x, &r, NULL, NULL), OK);
    m->space = s;
}

/* --- pictures -----------------------------------------------------------------------------------
 */

/* A picture is the decoder of mean + deviation x, for x as the solver left it. */
static void pictures_are_decoded_latents(void **state)
{
    static float got[ITEMS * LENGTH], want[ITEMS * LENGTH], x[ITEMS * VALUES], z[ITEMS * VALUES];
    struct model *m = open_model("run/model.safetensors");
    struct generate_request r = request(m);
    struct codec *c = open_codec("ae/vae.safetensors");
    const struct view_shape shape = view_shape(m, false);

    (void)state;
    assert_true(shape.height == SIDE && shape.width == SIDE && shape.channels == 3);
    assert_string_equal(m->space->hash, codec_hash(c));
    assert_string_equal(m->space->file, "../ae/vae.safetensors");
    assert_string_equal(m->about, "shapes, as latents");
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    draw_latents(x, m);
    for (int i = 0; i < ITEMS * VALUES; i++)
        z[i] = (float)(m->space->mean[i % CHANNELS] +
                       m->space->deviation[i % CHANNELS] * (double)x[i]);
    assert_int_equal(codec_decode(c, want, z, ITEMS, SIDE, SIDE, NULL, NULL), OK);
    assert_true(fabsf(want[0] - want[LENGTH]) > 1e-4f);
    for (int i = 0; i < ITEMS * LENGTH; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-5f))
            fail_msg("number %d is %g, not %g", i, (double)got[i], (double)want[i]);
    codec_free(c);
    model_free(m);
}

/* Label, scale, seed and model alone make a picture, decoded too: whatever the batch and the
 * threads. */
static void a_picture_depends_on_its_request_alone(void **state)
{
    static float want[ITEMS * LENGTH], got[ITEMS * LENGTH];
    struct model *m = open_model("run/model.safetensors");
    struct generate_request r = request(m);

    (void)state;
    assert_int_equal(generate(want, &r, NULL, NULL), OK);
    for (r.threads = 1; r.threads <= 3; r.threads++)
        for (r.batch = 0; r.batch <= 3; r.batch++) {
            memset(got, 0, sizeof got);
            assert_int_equal(generate(got, &r, NULL, NULL), OK);
            assert_memory_equal(want, got, sizeof want);
        }
    r.n = 1;
    for (int i = 0; i < ITEMS; i++) {
        r.items = items + i;
        assert_int_equal(generate(got, &r, NULL, NULL), OK);
        assert_memory_equal(want + i * LENGTH, got, LENGTH * sizeof *got);
    }
    model_free(m);
}

struct previews {
    int64_t side;
    int n, at, decoded;
    double seen[ITEMS * LENGTH], data[ITEMS * VALUES];
};

static bool keep_preview(const struct generate_progress *p, void *user)
{
    struct previews *k = user;

    assert_true((p->phase == PHASE_STEPPED) == (p->x != NULL));
    k->decoded += p->phase == PHASE_DECODING;
    if (!p->preview)
        return true;
    assert_true(p->shape.height == k->side && p->shape.width == k->side);
    assert_true(p->shape.channels == 3 && p->count == ITEMS);
    k->n++;
    k->at = p->step;
    memcpy(k->seen, p->preview, (size_t)(ITEMS * k->side * k->side * 3) * sizeof *k->seen);
    memcpy(k->data, p->data, sizeof k->data);
    return true;
}

/* What the previews of a run are, and the latents they show, as generators see them. */
static void draw_previews(struct previews *k, float *scaled, const struct model *m, int every,
                          const char *tiny)
{
    static float pixels[ITEMS * LENGTH];
    struct generate_request r = request(m);

    r.progress = keep_preview;
    r.user = k;
    r.preview_every = every;
    r.preview_autoencoder = tiny;
    assert_int_equal(generate(pixels, &r, NULL, NULL), OK);
    assert_true(k->n == 1 && k->at == every && k->decoded > 0);
    for (int i = 0; i < ITEMS * VALUES; i++) {
        double z = m->space->mean[i % CHANNELS] + m->space->deviation[i % CHANNELS] * k->data[i];

        scaled[i] = (float)((z - 0.2) * 1.5); /* the autoencoder's own shift and scale */
    }
}

static void a_linear_preview_is_of_scaled_latents(void **state)
{
    static const double w[] = {NUMBERS};
    static struct previews k = {.side = CELLS};
    static float z[ITEMS * VALUES];
    struct model *m = open_model("run/model.safetensors");

    (void)state;
    assert_true(m->space->previews);
    draw_previews(&k, z, m, 2, NULL);
    for (int i = 0; i < ITEMS * CELLS * CELLS * 3; i++) {
        double sum = w[3 * CHANNELS + i % 3];

        for (int c = 0; c < CHANNELS; c++)
            sum += w[3 * c + i % 3] * (double)z[i / 3 * CHANNELS + c];
        assert_true(fabs(sum - k.seen[i]) < 1e-5);
    }
    model_free(m);
}

/* A tiny autoencoder was distilled from the large one on latents as generators see them. */
static void a_tiny_autoencoder_shows_the_same(void **state)
{
    static struct previews k = {.side = SIDE};
    static float z[ITEMS * VALUES], want[ITEMS * LENGTH];
    struct model *m = open_model("run/model.safetensors");
    struct codec *tiny = open_codec("ae/tae.safetensors");
    struct generate_request r = request(m);
    struct error err = {0};

    (void)state;
    draw_previews(&k, z, m, 3, "ae/tae.safetensors");
    assert_int_equal(codec_decode(tiny, want, z, ITEMS, SIDE, SIDE, NULL, NULL), OK);
    for (int i = 0; i < ITEMS * LENGTH; i++)
        assert_true(fabs((double)want[i] - k.seen[i]) < 1e-5);
    codec_free(tiny);

    r.preview_autoencoder = "run/model.safetensors";
    assert_int_equal(generate(want, &r, NULL, &err), E_FORMAT);
    says(&err, "no autoencoder");
    model_free(m);
}

static void rough_pictures_are_previews(void **state)
{
    static float got[ITEMS * LENGTH], x[ITEMS * VALUES];
    struct model *m = open_model("run/model.safetensors");
    struct generate_request r = request(m);
    const struct view_shape shape = view_shape(m, true);
    double sum = 0.01;

    (void)state;
    assert_true(shape.height == CELLS && shape.width == CELLS && shape.channels == 3);
    draw_latents(x, m);
    r.rough = true;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    for (int c = 0; c < CHANNELS; c++)
        sum += ((const double[]){NUMBERS})[3 * c] *
               (m->space->mean[c] + m->space->deviation[c] * (double)x[c] - 0.2) * 1.5;
    assert_true(fabs(sum - (double)got[0]) < 1e-5);
    model_free(m);
}

/* --- what has no meaning ------------------------------------------------------------------------
 */

static void refused(struct generate_request r, const char *text)
{
    static float pixels[ITEMS * LENGTH];
    struct error err = {0};

    assert_int_equal(generate(pixels, &r, NULL, &err), E_ARG);
    says(&err, text);
}

static void what_is_of_pixels_is_refused(void **state)
{
    static float pixels[ITEMS * LENGTH];
    const char *threshold = "guidance.threshold=0.9";
    struct model *m = open_model("run/model.safetensors"), *judge = model_random(classifier, 4);
    struct generate_request r = request(m), plain = r;

    (void)state;
    r.settings.clip = CLIP_ON;
    refused(r, "clip: the model works on latents");
    r = plain;
    r.numbers = &threshold;
    r.n_numbers = 1;
    refused(r, "guidance.threshold: the model works on latents");
    r = plain;
    r.classifier = judge;
    r.classifier_scale = 1;
    refused(r, "the classifier works on pixels, and the model on latents");
    free(m->space->found);
    m->space->found = NULL;
    refused(plain, m->space->hash);
    assert_int_equal(view_shape(m, false).height, 0);
    model_free(judge);
    model_free(m);

    m = model_random("\"path\":{},\"sample\":{},\"labels\":[],\"model\":{\"network\":\"dit\"},"
                     "\"dit\":{\"size\":16,\"classes\":48,\"patch\":8,\"width\":16,\"depth\":1,"
                     "\"heads\":2}",
                     5);
    r = request(m);
    assert_int_equal(generate(pixels, &r, NULL, NULL), OK);
    r.preview_autoencoder = "ae/tae.safetensors";
    refused(r, "pixels");
    r.preview_autoencoder = NULL;
    r.rough = true;
    refused(r, "pixels");
    model_free(m);
}

/* A noise prediction is clipped where pictures have a range, and latents have none. */
static void latents_are_not_clipped(void **state)
{
    static float as_latents[ITEMS * LENGTH], unclipped[ITEMS * LENGTH];
    struct model *m = open_model("run/model.safetensors");
    struct generate_request r = request(m);

    (void)state;
    m->options.prediction = PREDICT_NOISE;
    r.settings.clip = CLIP_AUTO;
    assert_int_equal(generate(as_latents, &r, NULL, NULL), OK);
    r.settings.clip = CLIP_OFF;
    assert_int_equal(generate(unclipped, &r, NULL, NULL), OK);
    assert_memory_equal(as_latents, unclipped, sizeof unclipped);
    model_free(m);
}

/* --- finding the autoencoder --------------------------------------------------------------------
 */

static enum imgen_status sample_one(struct imgen_model *m, struct imgen_error *err)
{
    static uint8_t pixels[LENGTH];
    const struct imgen_item item = {0, 2, 1};
    struct imgen_request r;

    imgen_request_init(&r, m);
    r.items = &item;
    r.n_items = 1;
    r.threads = 1;
    return imgen_sample(m, &r, pixels, err);
}

static struct imgen_model *open_public(const char *path, struct imgen_model_info *info)
{
    struct imgen_model *m;

    assert_int_equal(imgen_model_open(&m, path, NULL), IMGEN_OK);
    imgen_model_info(m, info);
    assert_true(info->latent_height == CELLS && info->latent_width == CELLS &&
                info->latent_channels == CHANNELS);
    return m;
}

static void an_autoencoder_is_found_by_what_it_is(void **state)
{
    struct imgen_model_info info;
    struct imgen_error err;
    struct imgen_model *m = open_public("run/model.safetensors", &info);
    char hash[HASH_TEXT];

    (void)state;
    assert_int_equal(hash_file(hash, "ae/vae.safetensors", NULL), OK);
    assert_string_equal(info.autoencoder_hash, hash);
    assert_string_equal(info.autoencoder, "run/../ae/vae.safetensors");
    assert_true(info.height == SIDE && info.width == SIDE && info.channels == 3 && info.previews);
    assert_int_equal(sample_one(m, &err), IMGEN_OK);
    assert_int_equal(imgen_model_use_autoencoder(m, "ae/other.safetensors", &err), IMGEN_E_FORMAT);
    api_says(&err, hash);
    assert_int_equal(hash_file(hash, "ae/other.safetensors", NULL), OK);
    api_says(&err, hash);
    api_says(&err, "ae/other.safetensors");
    imgen_model_close(m);

    assert_int_equal(rename("ae/vae.safetensors", "ae/moved"), 0);
    m = open_public("run/model.safetensors", &info);
    assert_true(info.height == 0 && info.width == 0 && info.channels == 0);
    assert_string_equal(info.autoencoder, "../ae/vae.safetensors");
    assert_int_equal(sample_one(m, &err), IMGEN_E_IO);
    api_says(&err, info.autoencoder_hash);
    api_says(&err, "run/../ae/vae.safetensors");
    api_says(&err, "files in run");
    assert_int_equal(imgen_model_use_autoencoder(m, "ae/moved", &err), IMGEN_OK);
    assert_int_equal(sample_one(m, &err), IMGEN_OK);
    imgen_model_close(m);

    assert_int_equal(rename("ae/moved", "run/by another name.safetensors"), 0);
    m = open_public("run/model.safetensors", &info);
    assert_string_equal(info.autoencoder, "run/by another name.safetensors");
    assert_int_equal(sample_one(m, &err), IMGEN_OK);
    imgen_model_close(m);

    /* Under the very name, another one is none. */
    save_random("ae/vae.safetensors", vae, 2);
    assert_int_equal(rename("run/by another name.safetensors", "ae/moved"), 0);
    m = open_public("run/model.safetensors", &info);
    assert_int_equal(sample_one(m, &err), IMGEN_E_IO);
    api_says(&err, "another autoencoder");
    assert_int_equal(rename("ae/moved", "ae/vae.safetensors"), 0);
    assert_int_equal(imgen_model_use_autoencoder(m, NULL, &err), IMGEN_OK);
    assert_int_equal(sample_one(m, &err), IMGEN_OK);
    imgen_model_close(m);
}

static int no_state_while_decoding(const struct imgen_progress *p, void *user)
{
    int *calls = user;

    assert_true(p->height == CELLS && p->channels == CHANNELS);
    assert_true(p->preview_height == CELLS && p->preview_channels == 3);
    assert_true((p->state != NULL) == (p->phase == IMGEN_STEPPED));
    calls[0] += p->phase == IMGEN_STEPPED;
    calls[1] += p->phase == IMGEN_DECODING;
    calls[2] += p->preview != NULL;
    return calls[1] < 1;
}

/* Whoever embeds it is told of the decoding, and may stop there too. */
static void decoding_is_told_and_can_be_stopped(void **state)
{
    static uint8_t pixels[LENGTH];
    const struct imgen_item item = {0, 2, 1};
    int calls[3] = {0};
    struct imgen_model_info info;
    struct imgen_model *m = open_public("run/model.safetensors", &info);
    struct imgen_error err;
    struct imgen_request r;

    (void)state;
    imgen_request_init(&r, m);
    r.items = &item;
    r.n_items = 1;
    r.wants_preview = 1;
    r.progress = no_state_while_decoding;
    r.user = calls;
    assert_int_equal(imgen_sample(m, &r, pixels, &err), IMGEN_E_CANCELLED);
    assert_true(calls[0] == 3 && calls[1] == 1 && calls[2] == 3);
    imgen_model_close(m);
}

/* --- training -----------------------------------------------------------------------------------
 */

static int64_t count_parts(const char *folder)
{
    char path[TEMP_PATH];

    snprintf(path, sizeof path, "%s/latents-000000000000.safetensors", folder);
    return access(path, F_OK) ? 0 : access("cut/latents-000000000064.safetensors", F_OK) ? 1 : 2;
}

/* Stopped while it encodes, a run keeps what it has and goes on; its model is the same. */
static void encoding_goes_on_where_it_stopped(void **state)
{
    const char *more[] = {"data.cache=cut", "train.out=cut-run", NULL};
    struct seen some = {.stop_encoding = 64}, rest = {0};
    uint8_t *a, *b;
    uint64_t n, m;

    (void)state;
    assert_int_equal(train(false, &some, more, NULL), E_CANCELLED);
    assert_true(count_parts("cut") == 1 && access("cut/latents.json", F_OK));
    assert_true(access("cut-run", F_OK));
    must_train(more, &rest);
    assert_true(count_parts("cut") == 2 && rest.encoded == N && rest.sheets == 1);
    assert_int_equal(file_read(&a, &n, "run/model.safetensors", 1 << 24, NULL), OK);
    assert_int_equal(file_read(&b, &m, "cut-run/model.safetensors", 1 << 24, NULL), OK);
    assert_true(n == m && !memcmp(a, b, n));
    free(a);
    free(b);
}

static void a_resumed_run_is_the_uncut_one(void **state)
{
    const char *more[] = {"train.out=resumed", NULL};
    struct seen some = {.stop_step = 1};
    uint8_t *a, *b;
    uint64_t n, m;

    (void)state;
    assert_int_equal(train(false, &some, more, NULL), E_CANCELLED);
    assert_int_equal(train(true, NULL, more, NULL), OK);
    assert_int_equal(file_read(&a, &n, "run/model.safetensors", 1 << 24, NULL), OK);
    assert_int_equal(file_read(&b, &m, "resumed/model.safetensors", 1 << 24, NULL), OK);
    assert_true(n == m && !memcmp(a, b, n));
    free(a);
    free(b);
}

/* Latents of other pictures have other means: a run does not go on with them. */
static void a_run_keeps_to_its_latents(void **state)
{
    const char *first[] = {"train.out=kept", NULL};
    const char *then[] = {"train.out=kept", "data.limit=8", "data.cache=fewer", "train.batch=2",
                          NULL};
    struct seen some = {.stop_step = 1};
    struct error err = {0};

    (void)state;
    assert_int_equal(train(false, &some, first, NULL), E_CANCELLED);
    assert_int_equal(train(true, NULL, then, &err), E_ARG);
    says(&err, "checkpoint-00000001.safetensors");
    says(&err, "channel 0");
}

/* A cache alone is enough to train on; to see something it takes the autoencoder that made it. */
static void a_cache_can_be_trained_on(void **state)
{
    const char *alone[] = {
        "data.format=latents", "data.path=cache", "data.size=0",     "data.autoencoder=",
        "data.cache=",         "data.limit=0",    "train.out=alone", NULL};
    const char *seen_through[] = {
        "data.format=latents", "data.path=cache", "data.size=0", "data.cache=",
        "data.limit=0",        "train.out=seen",  NULL};
    const char *rough[] = {
        "data.format=latents", "data.path=cache",           "data.size=0",     "data.cache=",
        "data.limit=0",        "train.sample_preview=true", "train.out=rough", NULL};
    struct seen a = {0}, b = {0}, c = {0};
    struct imgen_model_info info;
    struct imgen_model *m;
    struct image im = {0};

    (void)state;
    must_train(alone, &a);
    assert_true(a.sheets == 0 && strstr(a.note, "no sheets") && strstr(a.note, "data.autoencoder"));
    m = open_public("alone/model.safetensors", &info);
    assert_true(!info.autoencoder && info.autoencoder_hash && !info.height);
    assert_int_equal(imgen_model_use_autoencoder(m, "ae/vae.safetensors", NULL), IMGEN_OK);
    assert_int_equal(sample_one(m, NULL), IMGEN_OK);
    imgen_model_close(m);

    must_train(seen_through, &b);
    assert_true(b.sheets == 1 && !*b.note);
    assert_int_equal(image_read(&im, "seen/samples-00000003.png", NULL), OK);
    assert_int_equal(im.height % SIDE, 6); /* two rows, three gaps of two */
    image_release(&im);

    must_train(rough, &c);
    assert_true(c.sheets == 1);
    m = open_public("rough/model.safetensors", &info);
    assert_int_equal(sample_one(m, NULL), IMGEN_OK);
    imgen_model_close(m);
}

static void must_not_train(const char *const *more, enum status wanted, const char *text,
                           const char *also)
{
    struct error err = {0};

    assert_int_equal(train(false, NULL, more, &err), wanted);
    says(&err, text);
    if (also)
        says(&err, also);
    assert_true(access("none", F_OK));
}

static void what_does_not_go_together_is_refused(void **state)
{
    static const struct {
        const char *more[WORDS];
        enum status st;
        const char *text;
    } rows[] = {
        {{"data.cache="}, E_ARG, "data.cache names a folder"},
        {{"data.autoencoder="}, E_ARG, "data.autoencoder names it"},
        {{"data.format=latents", "data.path=cache"}, E_ARG, "data.cache"},
        {{"data.size=17"}, E_ARG, "data.size"},
        {{"data.limit=0"}, E_ARG, "endless"},
        {{"data.format=anchor-shapes", "data.limit=8"}, E_ARG, "channels"},
        {{"data.autoencoder=run/model.safetensors"}, E_FORMAT, "no autoencoder"},
        {{"data.autoencoder=missing.safetensors"}, E_IO, "missing.safetensors"},
        {{"data.autoencoder=", "data.cache=", "train.sample_preview=true"}, E_ARG, "pixels"},
        {{"data.autoencoder=ae/blind.safetensors", "data.cache=blind", "train.sample_preview=1"},
         E_ARG,
         "no linear preview"},
    };
    static const char nested[] =
        "[data]\nformat = latents\npath = cache\n[model]\nnetwork = tae\n"
        "[train]\nout = none\n[tae]\nwidth = 8\nlevels = 1\nblocks = 1\npool = false\n";
    const char *other[] = {"data.autoencoder=ae/other.safetensors", "train.out=none", NULL};
    const char *cached[] = {"data.autoencoder=ae/other.safetensors",
                            "data.format=latents",
                            "data.path=cache",
                            "data.cache=",
                            "data.size=0",
                            "train.out=none",
                            NULL};
    char a[HASH_TEXT], b[HASH_TEXT];
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *more[WORDS + 2] = {"train.out=none"};

        for (int k = 0; k < WORDS && rows[i].more[k]; k++)
            more[k + 1] = rows[i].more[k];
        must_not_train(more, rows[i].st, rows[i].text, NULL);
    }
    assert_int_equal(hash_file(a, "ae/vae.safetensors", NULL), OK);
    assert_int_equal(hash_file(b, "ae/other.safetensors", NULL), OK);
    assert_int_equal(train_text(nested, false, NULL, NULL, &err), E_ARG);
    says(&err, "the data are latents");
    must_not_train(other, E_FORMAT, a, b);
    must_not_train(cached, E_FORMAT, a, b);
}

/* Saying what a run takes writes nothing, and knows the decoder of its sheets. */
static void a_plan_writes_nothing(void **state)
{
    const char *more[] = {"data.cache=unmade", "train.out=unmade-run", "train.flip=true", NULL};
    const char *unseen[] = {"data.cache=unmade", "train.out=unmade-run", "train.sample_every=0",
                            NULL};
    struct train_plan plan, less;
    struct experiment e;
    struct train_request r = {.experiment = &e, .threads = 1};

    (void)state;
    read_config(&e, more);
    assert_int_equal(train_measure(&r, &plan, NULL), OK);
    experiment_release(&e);
    assert_true(access("unmade", F_OK) && access("unmade-run", F_OK));
    assert_int_equal(plan.pictures, N);
    read_config(&e, unseen);
    assert_int_equal(train_measure(&r, &less, NULL), OK);
    experiment_release(&e);
    assert_true(plan.memory.beside > less.memory.beside + 100000);
}

/* --- pictures of a folder -----------------------------------------------------------------------
 */

static void write_picture(const char *path, int which)
{
    static uint8_t pixels[LENGTH];
    const struct image im = {SIDE, SIDE, 3, pixels};

    for (int i = 0; i < LENGTH; i++)
        pixels[i] = (uint8_t)(which * 40 + i % 97 + i / (3 * SIDE) * 5);
    assert_int_equal(png_write(path, &im, NULL, 0, NULL), OK);
}

/* Of an endless set as many pictures are encoded as evaluations and sheets look at. */
static void held_out_of_an_endless_set(void **state)
{
    const char *more[] = {"data.format=relations", "data.path=training",  "data.eval_path=held-out",
                          "data.size=32",          "data.limit=6",        "data.cache=pairs",
                          "train.eval_every=1",    "train.eval_count=3",  "train.sample_count=2",
                          "train.batch=2",         "train.out=pairs-run", NULL};
    struct experiment e;
    struct training_data_request r = {.experiment = &e, .threads = 1, .writes = true};
    struct training_data d;
    struct dataset *held;

    (void)state;
    must_train(more, NULL);
    read_config(&e, more);
    assert_int_equal(training_data_open(&d, &r, NULL), OK);
    assert_int_equal(d.set->count, 6);
    assert_int_equal(training_data_held_out(&held, NULL, d.space, &d, &r, NULL), OK);
    assert_int_equal(held->count, 3);
    dataset_close(held);
    training_data_release(&d);
    experiment_release(&e);
}

/* Mirrored pictures are encoded as they are, for a latent must not be mirrored; and pictures held
 * out are brought to the mean and deviation of those that are trained on. */
static void pictures_of_a_folder(void **state)
{
    const char *more[] = {"data.format=folder",
                          "data.path=pictures",
                          "data.limit=0",
                          "data.cache=mirrored",
                          "train.flip=true",
                          "train.eval_every=1",
                          "train.eval_count=2",
                          "train.batch=2",
                          "data.eval_path=held",
                          "train.out=folder",
                          NULL};
    struct experiment e;
    struct training_data_request r = {.experiment = &e, .threads = 1, .writes = true};
    struct training_data d;
    struct dataset *held, *pictures;
    struct codec *c = open_codec("ae/vae.safetensors");
    static float z[VALUES], x[VALUES], picture[LENGTH];
    struct latent_space *s;

    (void)state;
    assert_int_equal(mkdir("pictures", 0700) || mkdir("held", 0700), 0);
    write_picture("pictures/a.png", 1);
    write_picture("pictures/b.png", 2);
    write_picture("pictures/c.png", 3);
    write_picture("held/d.png", 4);
    write_picture("held/e.png", 5);
    must_train(more, NULL);
    read_config(&e, more);
    assert_int_equal(training_data_open(&d, &r, NULL), OK);
    s = d.space;
    assert_int_equal(d.set->count, 6);
    assert_true(!d.set->flips && latents_info(d.set)->mirrored);
    assert_int_equal(training_data_held_out(&held, NULL, s, &d, &r, NULL), OK);
    assert_int_equal(held->count, 2);
    assert_int_equal(evaluation_data(&e, &pictures, NULL), OK);
    assert_int_equal(dataset_get(pictures, 1, picture, NULL, NULL, NULL), OK);
    assert_int_equal(codec_encode(c, z, picture, 1, SIDE, SIDE, NULL, NULL), OK);
    assert_int_equal(dataset_get(held, 1, x, NULL, NULL, NULL), OK);
    for (int i = 0; i < VALUES; i++) {
        double want = ((double)z[i] - s->mean[i % CHANNELS]) / s->deviation[i % CHANNELS];

        assert_true(fabs(want - (double)x[i]) < 1e-4 * (1 + fabs(want)));
    }
    dataset_close(pictures);
    dataset_close(held);
    training_data_release(&d);
    experiment_release(&e);
    codec_free(c);
}

static const char reading[] =
    "[data]\nformat = captioned\npath = spoken\neval_path = spoken\nsize = 16\n"
    "autoencoder = ae/vae.safetensors\n"
    "[model]\nnetwork = mmdit\n"
    "[mmdit]\npatch = 2\nwidth = 16\ndepth = 1\nheads = 2\n"
    "text_length = 16\ntext_width = 8\ntext_depth = 1\ntext_heads = 2\n"
    "[train]\nsteps = 3\nbatch = 4\nwarmup = 0\nlearning_rate = 0.01\nlabel_drop = 0\n"
    "sample_every = 3\nsample_count = 2\neval_every = 3\neval_count = 2\n"
    "[sample]\nsteps = 2\n";

/* Train on two pictures that say this. */
static void train_reading(const char *first, const char *second, const char *cache, const char *out)
{
    const char *const more[] = {cache, out, NULL};
    struct seen seen = {0};
    struct error err = {0};
    char list[256];
    int n = snprintf(list, sizeof list,
                     "{\"file\": \"a.png\", \"caption\": \"%s\"}\n"
                     "{\"file\": \"b.png\", \"caption\": \"%s\"}\n",
                     first, second);

    assert_int_equal(file_write("spoken/captions.jsonl", list, (uint64_t)n, NULL), OK);
    if (train_text(reading, false, &seen, more, &err))
        fail_msg("%s", err.text);
    assert_int_equal(seen.sheets, 1);
}

/* Captions go through the cache: what the pictures say decides what is learned, and nothing else
 * is different here. */
static void captions_are_learned_with_latents(void **state)
{
    struct experiment e;
    struct training_data_request r = {.experiment = &e, .threads = 1, .writes = true};
    const char *const again[] = {"data.cache=spoken-1", NULL};
    char caption[CAPTION_TEXT];
    float z[VALUES];
    struct training_data d;
    uint8_t *a, *b;
    uint64_t n, m;

    (void)state;
    assert_int_equal(mkdir("spoken", 0700), 0);
    write_picture("spoken/a.png", 1);
    write_picture("spoken/b.png", 2);
    train_reading("a star", "a moon", "data.cache=spoken-1", "train.out=reads-1");
    train_reading("a star", "a boat", "data.cache=spoken-2", "train.out=reads-2");
    train_reading("a star", "a moon", "data.cache=spoken-1", "train.out=reads-1b");
    assert_int_equal(file_read(&a, &n, "reads-1/model.safetensors", 1 << 24, NULL), OK);
    assert_int_equal(file_read(&b, &m, "reads-2/model.safetensors", 1 << 24, NULL), OK);
    assert_true(n == m && memcmp(a, b, n) != 0);
    free(b);
    assert_int_equal(file_read(&b, &m, "reads-1b/model.safetensors", 1 << 24, NULL), OK);
    assert_true(n == m && !memcmp(a, b, n));
    free(a);
    free(b);
    read_text(&e, reading, again);
    assert_int_equal(training_data_open(&d, &r, NULL), OK);
    assert_int_equal(d.set->count, 4); /* mirrored, too */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(dataset_get(d.set, i, z, NULL, caption, NULL), OK);
        assert_string_equal(caption, i < 2 ? "a star" : "a moon");
    }
    training_data_release(&d);
    experiment_release(&e);
}

/* A U-Net works on latents as a transformer does. */
static void a_unet_learns_latents_too(void **state)
{
    static const char unet[] =
        "[data]\nformat = latents\npath = cache\nautoencoder = ae/vae.safetensors\n"
        "[unet]\nwidth = 8\nmult = 1,2\nblocks = 1\nattention = 2\ngroups = 4\n"
        "[train]\nsteps = 2\nbatch = 2\nwarmup = 0\nsample_every = 0\nout = unet\n"
        "[sample]\nsteps = 1\n";
    struct imgen_model_info info;
    struct imgen_model *m;

    (void)state;
    assert_int_equal(train_text(unet, false, NULL, NULL, NULL), OK);
    m = open_public("unet/model.safetensors", &info);
    assert_int_equal(sample_one(m, NULL), IMGEN_OK);
    imgen_model_close(m);
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(place);
    if (!getcwd(before, sizeof before) || chdir(place) || mkdir("ae", 0700))
        return 1;
    save_random("ae/vae.safetensors", vae, 1);
    save_random("ae/other.safetensors", vae, 3);
    save_random("ae/blind.safetensors", blind, 4);
    save_random("ae/tae.safetensors", tae, 5);
    must_train(NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (chdir(before))
        return 1;
    temp_dir_remove(place);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_decoded_latents),
        cmocka_unit_test(a_picture_depends_on_its_request_alone),
        cmocka_unit_test(a_linear_preview_is_of_scaled_latents),
        cmocka_unit_test(a_tiny_autoencoder_shows_the_same),
        cmocka_unit_test(rough_pictures_are_previews),
        cmocka_unit_test(what_is_of_pixels_is_refused),
        cmocka_unit_test(latents_are_not_clipped),
        cmocka_unit_test(an_autoencoder_is_found_by_what_it_is),
        cmocka_unit_test(decoding_is_told_and_can_be_stopped),
        cmocka_unit_test(encoding_goes_on_where_it_stopped),
        cmocka_unit_test(a_resumed_run_is_the_uncut_one),
        cmocka_unit_test(a_run_keeps_to_its_latents),
        cmocka_unit_test(a_cache_can_be_trained_on),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(a_plan_writes_nothing),
        cmocka_unit_test(pictures_of_a_folder),
        cmocka_unit_test(held_out_of_an_endless_set),
        cmocka_unit_test(captions_are_learned_with_latents),
        cmocka_unit_test(a_unet_learns_latents_too),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
