/*
 * test_latent_model.c - sampling with latent models
 *
 * Pictures and previews of a model that draws latents, each against the same done by hand; the
 * autoencoder it needs, found by what it is and not by where it lies.
 */
#include "pipeline/generate.h"

#include "base/hash.h"
#include "support/latent_run.h"
#include "support/models.h"
#include "support/says.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS = 5 };

static const char classifier[] =
    "\"path\":{},\"sample\":{},\"labels\":[],"
    "\"model\":{\"network\":\"classifier\"},\"classifier\":{\"size\":16,\"classes\":48,"
    "\"width\":8,\"mult\":[1,2],\"blocks\":1,\"attention\":[2],\"groups\":4}";

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
    static float got[ITEMS * PICTURE_LENGTH], want[ITEMS * PICTURE_LENGTH],
        x[ITEMS * LATENT_LENGTH], z[ITEMS * LATENT_LENGTH];
    struct model *m = open_model("run/model.safetensors");
    struct generate_request r = request(m);
    struct codec *c = latent_run_codec("ae/vae.safetensors");
    const struct view_shape shape = view_shape(m, false);

    (void)state;
    assert_true(shape.height == PICTURE_SIDE && shape.width == PICTURE_SIDE && shape.channels == 3);
    assert_string_equal(m->space->hash, codec_hash(c));
    assert_string_equal(m->space->file, "../ae/vae.safetensors");
    assert_string_equal(m->about, "shapes, as latents");
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    draw_latents(x, m);
    for (int i = 0; i < ITEMS * LATENT_LENGTH; i++)
        z[i] = (float)(m->space->mean[i % LATENT_CHANNELS] +
                       m->space->deviation[i % LATENT_CHANNELS] * (double)x[i]);
    assert_int_equal(codec_decode(c, want, z, ITEMS, PICTURE_SIDE, PICTURE_SIDE, NULL, NULL), OK);
    assert_true(fabsf(want[0] - want[PICTURE_LENGTH]) > 1e-4f);
    for (int i = 0; i < ITEMS * PICTURE_LENGTH; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-5f))
            fail_msg("number %d is %g, not %g", i, (double)got[i], (double)want[i]);
    codec_free(c);
    model_free(m);
}

/* Label, scale, seed and model alone make a picture, decoded too: whatever the batch and the
 * threads. */
static void a_picture_depends_on_its_request_alone(void **state)
{
    static float want[ITEMS * PICTURE_LENGTH], got[ITEMS * PICTURE_LENGTH];
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
        assert_memory_equal(want + i * PICTURE_LENGTH, got, PICTURE_LENGTH * sizeof *got);
    }
    model_free(m);
}

struct previews {
    int64_t side;
    int n, at, decoded;
    double seen[ITEMS * PICTURE_LENGTH], data[ITEMS * LATENT_LENGTH];
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
    static float pixels[ITEMS * PICTURE_LENGTH];
    struct generate_request r = request(m);

    r.progress = keep_preview;
    r.user = k;
    r.preview_every = every;
    r.preview_autoencoder = tiny;
    assert_int_equal(generate(pixels, &r, NULL, NULL), OK);
    assert_true(k->n == 1 && k->at == every && k->decoded > 0);
    for (int i = 0; i < ITEMS * LATENT_LENGTH; i++) {
        double z = m->space->mean[i % LATENT_CHANNELS] +
                   m->space->deviation[i % LATENT_CHANNELS] * k->data[i];

        scaled[i] = (float)((z - 0.2) * 1.5); /* the autoencoder's own shift and scale */
    }
}

static void a_linear_preview_is_of_scaled_latents(void **state)
{
    const double *w = latent_run_preview;
    static struct previews k = {.side = LATENT_SIDE};
    static float z[ITEMS * LATENT_LENGTH];
    struct model *m = open_model("run/model.safetensors");

    (void)state;
    assert_true(m->space->previews);
    draw_previews(&k, z, m, 2, NULL);
    for (int i = 0; i < ITEMS * LATENT_SIDE * LATENT_SIDE * 3; i++) {
        double sum = w[3 * LATENT_CHANNELS + i % 3];

        for (int c = 0; c < LATENT_CHANNELS; c++)
            sum += w[3 * c + i % 3] * (double)z[i / 3 * LATENT_CHANNELS + c];
        assert_true(fabs(sum - k.seen[i]) < 1e-5);
    }
    model_free(m);
}

/* A tiny autoencoder was distilled from the large one on latents as generators see them. */
static void a_tiny_autoencoder_shows_the_same(void **state)
{
    static struct previews k = {.side = PICTURE_SIDE};
    static float z[ITEMS * LATENT_LENGTH], want[ITEMS * PICTURE_LENGTH];
    struct model *m = open_model("run/model.safetensors");
    struct codec *tiny = latent_run_codec("ae/tae.safetensors");
    struct generate_request r = request(m);
    struct error err = {0};

    (void)state;
    draw_previews(&k, z, m, 3, "ae/tae.safetensors");
    assert_int_equal(codec_decode(tiny, want, z, ITEMS, PICTURE_SIDE, PICTURE_SIDE, NULL, NULL),
                     OK);
    for (int i = 0; i < ITEMS * PICTURE_LENGTH; i++)
        assert_true(fabs((double)want[i] - k.seen[i]) < 1e-5);
    codec_free(tiny);

    r.preview_autoencoder = "run/model.safetensors";
    assert_int_equal(generate(want, &r, NULL, &err), E_FORMAT);
    assert_says(err.text, "no autoencoder");
    model_free(m);
}

static void rough_pictures_are_previews(void **state)
{
    static float got[ITEMS * PICTURE_LENGTH], x[ITEMS * LATENT_LENGTH];
    struct model *m = open_model("run/model.safetensors");
    struct generate_request r = request(m);
    const struct view_shape shape = view_shape(m, true);
    double sum = 0.01;

    (void)state;
    assert_true(shape.height == LATENT_SIDE && shape.width == LATENT_SIDE && shape.channels == 3);
    draw_latents(x, m);
    r.rough = true;
    assert_int_equal(generate(got, &r, NULL, NULL), OK);
    for (int c = 0; c < LATENT_CHANNELS; c++)
        sum += latent_run_preview[3 * c] *
               (m->space->mean[c] + m->space->deviation[c] * (double)x[c] - 0.2) * 1.5;
    assert_true(fabs(sum - (double)got[0]) < 1e-5);
    model_free(m);
}

/* --- what has no meaning ------------------------------------------------------------------------
 */

static void refused(struct generate_request r, const char *text)
{
    static float pixels[ITEMS * PICTURE_LENGTH];
    struct error err = {0};

    assert_int_equal(generate(pixels, &r, NULL, &err), E_ARG);
    assert_says(err.text, text);
}

static void what_is_of_pixels_is_refused(void **state)
{
    static float pixels[ITEMS * PICTURE_LENGTH];
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
    static float as_latents[ITEMS * PICTURE_LENGTH], unclipped[ITEMS * PICTURE_LENGTH];
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

static void an_autoencoder_is_found_by_what_it_is(void **state)
{
    struct imgen_model_info info;
    struct imgen_error err;
    struct imgen_model *m = latent_run_open("run/model.safetensors", &info);
    char hash[HASH_TEXT];

    (void)state;
    assert_int_equal(hash_file(hash, "ae/vae.safetensors", NULL), OK);
    assert_string_equal(info.autoencoder_hash, hash);
    assert_string_equal(info.autoencoder, "run/../ae/vae.safetensors");
    assert_true(info.height == PICTURE_SIDE && info.width == PICTURE_SIDE && info.channels == 3 &&
                info.previews);
    assert_int_equal(latent_run_sample(m, &err), IMGEN_OK);
    assert_int_equal(imgen_model_use_autoencoder(m, "ae/other.safetensors", &err), IMGEN_E_FORMAT);
    assert_says(err.text, hash);
    assert_int_equal(hash_file(hash, "ae/other.safetensors", NULL), OK);
    assert_says(err.text, hash);
    assert_says(err.text, "ae/other.safetensors");
    imgen_model_close(m);

    assert_int_equal(rename("ae/vae.safetensors", "ae/moved"), 0);
    m = latent_run_open("run/model.safetensors", &info);
    assert_true(info.height == 0 && info.width == 0 && info.channels == 0);
    assert_string_equal(info.autoencoder, "../ae/vae.safetensors");
    assert_int_equal(latent_run_sample(m, &err), IMGEN_E_IO);
    assert_says(err.text, info.autoencoder_hash);
    assert_says(err.text, "run/../ae/vae.safetensors");
    assert_says(err.text, "files in run");
    assert_int_equal(imgen_model_use_autoencoder(m, "ae/moved", &err), IMGEN_OK);
    assert_int_equal(latent_run_sample(m, &err), IMGEN_OK);
    imgen_model_close(m);

    assert_int_equal(rename("ae/moved", "run/by another name.safetensors"), 0);
    m = latent_run_open("run/model.safetensors", &info);
    assert_string_equal(info.autoencoder, "run/by another name.safetensors");
    assert_int_equal(latent_run_sample(m, &err), IMGEN_OK);
    imgen_model_close(m);

    /* Under the very name, another one is none. */
    model_save_random("ae/vae.safetensors", latent_run_vae, 2);
    assert_int_equal(rename("run/by another name.safetensors", "ae/moved"), 0);
    m = latent_run_open("run/model.safetensors", &info);
    assert_int_equal(latent_run_sample(m, &err), IMGEN_E_IO);
    assert_says(err.text, "another autoencoder");
    assert_int_equal(rename("ae/moved", "ae/vae.safetensors"), 0);
    assert_int_equal(imgen_model_use_autoencoder(m, NULL, &err), IMGEN_OK);
    assert_int_equal(latent_run_sample(m, &err), IMGEN_OK);
    imgen_model_close(m);
}

static int no_state_while_decoding(const struct imgen_progress *p, void *user)
{
    int *calls = user;

    assert_true(p->height == LATENT_SIDE && p->channels == LATENT_CHANNELS);
    assert_true(p->preview_height == LATENT_SIDE && p->preview_channels == 3);
    assert_true((p->state != NULL) == (p->phase == IMGEN_STEPPED));
    calls[0] += p->phase == IMGEN_STEPPED;
    calls[1] += p->phase == IMGEN_DECODING;
    calls[2] += p->preview != NULL;
    return calls[1] < 1;
}

/* Whoever embeds it is told of the decoding, and may stop there too. */
static void decoding_is_told_and_can_be_stopped(void **state)
{
    static uint8_t pixels[PICTURE_LENGTH];
    const struct imgen_item item = {0, 2, 1};
    int calls[3] = {0};
    struct imgen_model_info info;
    struct imgen_model *m = latent_run_open("run/model.safetensors", &info);
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
    };

    return cmocka_run_group_tests(tests, latent_run_set_up, latent_run_tear_down);
}
