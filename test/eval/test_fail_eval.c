/*
 * test_fail_eval.c - measures, features and their files with everything failing once
 *
 * The whole way from a feature network's file to all figures is gone again and again, each time
 * with one more allocation or file call succeeding before one fails: the failure is told, nothing
 * is leaked (LeakSanitizer looks), and a failure that is survived is not seen in the figures.
 */
#include "eval/features.h"
#include "eval/inception.h"
#include "eval/measure.h"
#include "eval/statistics.h"

#include "base/rng.h"
#include "pipeline/model.h"
#include "support/failing.h"
#include "support/temp.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, LENGTH = SIDE * SIDE * 3, N = 60, CLIP = 4, FIGURES = 40 };

static const char about[] = "{\"format\":1,\"model\":{\"network\":\"cnn\"},\"path\":{},"
                            "\"sample\":{},\"cnn\":{\"size\":16,\"classes\":48,\"width\":4,"
                            "\"mult\":[1.0,2.0],\"blocks\":1,\"groups\":2}}";

static char folder[TEMP_PATH], network[TEMP_PATH], saved[TEMP_PATH];
static uint8_t ours[N * LENGTH], theirs[N * LENGTH];
static int32_t label[N];

struct figures {
    double at[FIGURES];
    int n;
};

static enum status take_all(struct figures *out, const struct measure_task *t, struct error *err)
{
    static const int64_t joint[] = {2};
    struct measure_task clips = *t; /* the same pictures as frames */
    enum status st = OK;

    clips.pictures.frames = clips.reference.frames = CLIP;
    clips.pictures.n = clips.reference.n = N / CLIP;
    clips.joint = joint;
    clips.n_joints = 1;
    for (int i = 0; measure_at(i) && !st; i++) {
        struct measure_result r = {0};
        bool motion = measure_at(i)->needs & NEEDS_MOTION;

        st = measure_at(i)->run(&r, motion ? &clips : t, err);
        for (int k = 0; k < r.n && !st; k++)
            out->at[out->n++] = r.at[k].value;
    }
    return st;
}

static enum status extract(struct measure_task *t, const struct features *f, float *x, float *y,
                           int32_t *guess, struct error *err)
{
    struct features_input in = {
        .pixels = ours, .n = N, .height = SIDE, .width = SIDE, .channels = 3, .threads = 1};
    enum status st;

    t->D = f->D;
    if ((st = features_extract(f, x, guess, &in, err)))
        return st;
    in.pixels = theirs;
    return features_extract(f, y, NULL, &in, err);
}

static enum status go(struct figures *out, struct error *err)
{
    static float x[N * 64], y[N * 64];
    static int32_t guess[N];
    struct picture_set set = {N, SIDE, SIDE, 3, 0, ours, label, x, guess, true};
    struct measure_task t = {
        .pictures = set,
        .reference = set,
        .options = {.neighbours = 3, .subsets = 2, .projections = 70, .upscale = 2}};
    struct statistics s = {.n = N, .label = label, .height = SIDE, .width = SIDE, .channels = 3};
    struct features *f = NULL;
    enum status st;

    memset(out, 0, sizeof *out);
    if ((st = features_open(&f, network, NULL, err)) || (st = extract(&t, f, x, y, guess, err)))
        goto out;
    s.D = f->D;
    s.features = y;
    if ((st = statistics_save(saved, &s, err)))
        goto out;
    st = statistics_load(&s, saved, err);
    t.reference.pixels = theirs;
    t.reference.features = s.features;
    t.reference.label = s.label;
    st = st ? st : take_all(out, &t, err);
    statistics_release(&s);
out:
    features_close(f);
    return st;
}

static int set_up(void **state)
{
    struct rng r = rng_stream(8, RNG_TEST, 0);
    struct model *m;

    (void)state;
    temp_dir_new(folder);
    temp_path(network, folder, "network.safetensors");
    temp_path(saved, folder, "saved.safetensors");
    assert_int_equal(model_from_text(&m, about, "a model", NULL), OK);
    assert_int_equal(params_alloc(m->network->params, false, NULL), OK);
    params_init(m->network->params, 1);
    assert_int_equal(model_save(m, network, NULL, NULL), OK);
    model_free(m);
    for (int64_t i = 0; i < N * LENGTH; i++) {
        ours[i] = (uint8_t)rng_below(&r, 256);
        theirs[i] = (uint8_t)rng_below(&r, 256);
    }
    for (int i = 0; i < N; i++)
        label[i] = i % 48;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void each_fails(int kinds)
{
    struct figures want, got;
    int64_t failed = 0;

    assert_int_equal(go(&want, NULL), OK);
    assert_true(want.n > 10);
    for (int64_t k = 0;; k++) {
        struct error err = {0};
        enum status st;

        failing_arm(kinds, k);
        st = go(&got, &err);
        if (!failing_disarm())
            break;
        if (st)
            assert_true(st == err.status && *err.text);
        else
            assert_memory_equal(&got, &want, sizeof got);
        failed += st != OK;
    }
    assert_true(failed > 3);
    assert_int_equal(go(&got, NULL), OK);
    assert_memory_equal(&got, &want, sizeof got);
}

static void test_memory(void **state)
{
    (void)state;
    each_fails(FAILING_MEMORY);
}

static void test_files(void **state)
{
    (void)state;
    each_fails(FAILING_FILE);
}

/* Declaring an Inception, and pictures on their way to it.  The file lacks nearly everything, which
 * is found out only after all memory was had. */
static void test_inception(void **state)
{
    static const float x[32];
    static const int64_t sides[] = {5, 7};
    const struct save_tensor one = {
        .name = "Conv2d_1a_3x3.bn.bias", .dtype = FILE_F32, .rank = 1, .dim = {32}, .bytes = x};
    static float scaled[9 * 9 * 3];
    struct weights *file;
    enum status st = E_MEMORY;

    (void)state;
    assert_int_equal(safetensors_save(saved, &one, 1, NULL, 0, NULL), OK);
    assert_int_equal(weights_open(&file, saved, NULL), OK);
    for (int64_t k = 0; st == E_MEMORY; k += k < 20 ? 1 : 7) {
        struct inception *m;
        struct error err = {0};

        failing_arm(FAILING_MEMORY, k);
        st = inception_load(&m, file, INCEPTION_POOLING_FID, &err);
        assert_true(failing_disarm() ? st == E_MEMORY : st == E_FORMAT);
        assert_true(!m && *err.text);
    }
    weights_close(file);
    st = E_MEMORY;
    for (int64_t k = 0; st == E_MEMORY; k++) {
        struct scaling *s;

        failing_arm(FAILING_MEMORY, k);
        if (!(st = scaling_new(&s, scaling_at(2), sides[0], sides[1], 3, 9, NULL)))
            st = scaling_run(s, scaled, ours, 1, 1, NULL);
        assert_int_equal(st, failing_disarm() ? E_MEMORY : OK);
        scaling_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_inception),
    };

    omp_set_num_threads(1);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
