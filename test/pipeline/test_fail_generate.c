/*
 * test_fail_generate.c - opening a model and drawing from it, with everything failing once
 *
 * The whole way from a file to pictures is gone again and again, each time with one more allocation
 * or file call succeeding before one fails: the failure is told, nothing is leaked (LeakSanitizer
 * looks), and a failure that is survived is not seen in the pictures.
 */
#include "pipeline/forecast.h"
#include "pipeline/generate.h"

#include "pipeline/latent_decoder.h"
#include "support/failing.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 16, LENGTH = SIDE * SIDE * 3, ITEMS = 3 };

#define ABOUT                                                 \
    "{\"format\":1,\"labels\":[\"cat\",\"dog\"],\"path\":{}," \
    "\"sample\":{\"steps\":2,\"sampling_method\":\"heun\"},"

static const char unet[] = ABOUT "\"model\":{\"network\":\"unet\"},\"unet\":{\"size\":16,"
                                 "\"classes\":2,\"width\":8,\"mult\":[1.0,2.0],\"blocks\":1,"
                                 "\"attention\":[2],\"groups\":4}}";
static const char dit[] = ABOUT "\"model\":{\"network\":\"dit\"},\"dit\":{\"size\":16,"
                                "\"classes\":2,\"patch\":4,\"width\":16,\"depth\":1,\"heads\":2}}";

static const char judge[] = ABOUT "\"model\":{\"network\":\"classifier\"},\"classifier\":{"
                                  "\"size\":16,\"classes\":2,\"width\":8,\"mult\":[1.0,2.0],"
                                  "\"blocks\":1,\"attention\":[2],\"groups\":4}}";

static const char vae[] = "{\"format\":1,\"labels\":[],\"path\":{},\"sample\":{},"
                          "\"model\":{\"network\":\"vae\"},\"vae\":{\"size\":16,\"width\":8,"
                          "\"mult\":[1.0,2.0],\"blocks\":1,\"groups\":4,\"latent_channels\":1,"
                          "\"preview\":[1.0,1.0,1.0,0.0,0.0,0.0]}}";
/* Of latents, by the autoencoder whose hash goes in. */
static const char latents[] = ABOUT "\"model\":{\"network\":\"dit\"},\"dit\":{\"size\":8,"
                                    "\"channels\":1,\"classes\":2,\"patch\":4,\"width\":16,"
                                    "\"depth\":1,\"heads\":2},\"autoencoder\":{\"hash\":\"%s\","
                                    "\"file\":\"judge.safetensors\",\"mean\":[0.5],"
                                    "\"deviation\":[2.0]}}";

static char folder[TEMP_PATH], path[TEMP_PATH], judge_path[TEMP_PATH];
static bool guided;  /* by the classifier at judge_path                                      */
static bool paired;  /* with the generator at judge_path, and with its own attention perturbed */
static bool planned; /* what it would take is asked first */
static const struct repaint_request *repaint; /* a picture that is made of, or NULL */
static float pictures[ITEMS * LENGTH];

static bool look_on(const struct generate_progress *p, void *user)
{
    (void)p;
    (void)user;
    return true;
}

static enum status go(float *out, struct error *err)
{
    static const struct generate_item items[ITEMS] = {{0, 2, 7}, {1, 0, 8}, {2, 1, 9}};
    static const char *const numbers[] = {"guidance.perturbed=1"};
    struct generate_request r = {.items = items, .n = ITEMS, .batch = 2, .threads = 1};
    struct model *m = NULL, *by = NULL;
    enum status st = model_load(&m, path, err);

    assert_true(!st == !!m);
    if (!st && (guided || paired))
        st = model_load(&by, judge_path, err);
    if (!st && m->space)
        st = autoencoder_find(m->space, folder, NULL, err);
    if (!st) {
        r.model = m;
        r.progress = m->space ? look_on : NULL;
        r.preview_every = m->space ? 1 : 0;
        r.classifier = guided ? by : NULL;
        r.classifier_scale = 2;
        r.guide = paired ? by : NULL;
        r.numbers = numbers;
        r.n_numbers = paired;
        r.settings = m->sample;
        r.repaint = repaint;
        r.strength = 0.5;
        st = planned ? forecast_find(&(struct forecast){0}, &r, err) : OK;
        st = st ? st : generate(out, &r, NULL, err);
    }
    model_free(by);
    model_free(m);
    return st;
}

static void save_as(const char *to, const char *description)
{
    struct model *m;

    assert_int_equal(model_from_text(&m, description, "a model", NULL), OK);
    assert_int_equal(params_alloc(m->network->params, false, NULL), OK);
    params_init(m->network->params, 1);
    assert_int_equal(model_save(m, to, NULL, NULL), OK);
    model_free(m);
}

static void save(const char *description)
{
    save_as(path, description);
    assert_int_equal(go(pictures, NULL), OK);
}

static void fail_each(int kind, enum status expected)
{
    static float got[ITEMS * LENGTH];

    for (int64_t k = 0;; k++) {
        struct error err = {0};
        enum status st;

        memset(got, 0, sizeof got);
        failing_arm(kind, k);
        st = go(got, &err);
        if (st && (st != expected || err.status != st || !err.text[0]))
            fail_msg("kind %d, call %d: status %d, \"%s\"", kind, (int)k, (int)st, err.text);
        if (!st)
            assert_memory_equal(got, pictures, sizeof got);
        if (!failing_disarm()) {
            assert_int_equal(st, OK);
            assert_true(k > 0);
            return;
        }
    }
}

static void planned_before(void **state)
{
    (void)state;
    planned = true;
    save(dit);
    fail_each(FAILING_OWN, E_MEMORY);
    planned = false;
}

static void from_file_to_pictures(void **state)
{
    static const char *const models[] = {unet, dit};

    (void)state;
    for (int i = 0; i < 2; i++) {
        save(models[i]);
        fail_each(FAILING_OWN, E_MEMORY);
        fail_each(FAILING_JSON, E_MEMORY);
        fail_each(FAILING_OPEN, E_IO);
        fail_each(FAILING_READ, E_IO);
    }
}

static void guided_by_a_classifier(void **state)
{
    (void)state;
    guided = true;
    save_as(judge_path, judge);
    save(dit);
    fail_each(FAILING_OWN, E_MEMORY);
    fail_each(FAILING_OPEN, E_IO);
    fail_each(FAILING_READ, E_IO);
    guided = false;
}

static void beside_a_second_model(void **state)
{
    (void)state;
    paired = true;
    save_as(judge_path, dit);
    save(unet);
    fail_each(FAILING_OWN, E_MEMORY);
    fail_each(FAILING_OPEN, E_IO);
    fail_each(FAILING_READ, E_IO);
    paired = false;
}

/* A preview that cannot be had is not missed; a decoder is. */
static void decoded_from_latents(void **state)
{
    char text[1024], hash[HASH_TEXT];

    (void)state;
    save_as(judge_path, vae);
    assert_int_equal(hash_file(hash, judge_path, NULL), OK);
    snprintf(text, sizeof text, latents, hash);
    save(text);
    fail_each(FAILING_OWN, E_MEMORY);
    fail_each(FAILING_JSON, E_MEMORY);
    fail_each(FAILING_OPEN, E_IO);
    fail_each(FAILING_READ, E_IO);
}

static void made_of_a_picture(void **state)
{
    static float grey[LENGTH], right[SIDE * SIDE];
    const struct repaint_request of = {.picture = grey, .mask = right};
    char text[1024], hash[HASH_TEXT];

    (void)state;
    for (int i = 0; i < SIDE * SIDE; i++)
        right[i] = i % SIDE >= SIDE / 2;
    repaint = &of;
    save(dit);
    fail_each(FAILING_OWN, E_MEMORY);
    save_as(judge_path, vae);
    assert_int_equal(hash_file(hash, judge_path, NULL), OK);
    snprintf(text, sizeof text, latents, hash);
    save(text);
    fail_each(FAILING_OWN, E_MEMORY);
    fail_each(FAILING_OPEN, E_IO);
    fail_each(FAILING_READ, E_IO);
    repaint = NULL;
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(folder);
    temp_path(judge_path, folder, "judge.safetensors");
    temp_path(path, folder, "model.safetensors");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_file_to_pictures), cmocka_unit_test(guided_by_a_classifier),
        cmocka_unit_test(beside_a_second_model), cmocka_unit_test(decoded_from_latents),
        cmocka_unit_test(made_of_a_picture),     cmocka_unit_test(planned_before),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
