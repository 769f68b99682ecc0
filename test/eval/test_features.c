/*
 * test_features.c - a feature network against its definition, and features in files
 *
 * Convolution, group norm, SiLU and the mean over pixels are written out in double for a small
 * network with random weights, of an odd size, so that stride and padding matter.
 */
#include "eval/features.h"
#include "eval/statistics.h"

#include "base/file.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "pipeline/model.h"
#include "support/models.h"
#include "support/says.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 11, CHANNELS = 3, LENGTH = SIDE * SIDE * CHANNELS, N = 70, D = 12, CLASSES = 5 };

static const char about[] =
    "\"about\":\"noise\",\"labels\":[\"a\",\"b\",\"c\",\"d\",\"e\"],"
    "\"model\":{\"network\":\"cnn\"},\"path\":{},\"sample\":{},\"cnn\":{\"size\":11,\"channels\":3,"
    "\"classes\":5,\"width\":4,\"mult\":[1.0,2.0,3.0],\"blocks\":2,\"groups\":2}";
static const char unet[] =
    "\"model\":{\"network\":\"unet\"},\"path\":{},\"sample\":{},\"unet\":{\"size\":"
    "16,"
    "\"classes\":2,\"width\":8,\"mult\":[1.0,2.0],\"blocks\":1,\"attention\":[2],\"groups\":4}";

static char folder[TEMP_PATH], network[TEMP_PATH];
static struct model *model;
static uint8_t pixels[N * LENGTH];

static int set_up(void **state)
{
    struct rng r = rng_stream(7, RNG_TEST, 0);

    (void)state;
    temp_dir_new(folder);
    model = model_saved(temp_path(network, folder, "network.safetensors"), about, 5);
    for (int64_t i = 0; i < N * LENGTH; i++)
        pixels[i] = (uint8_t)rng_below(&r, 256);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    model_free(model);
    temp_dir_remove(folder);
    return 0;
}

/* --- the definition ----------------------------------------------------------------------------
 */

static const float *values(const char *layer, int stage, int block, const char *what)
{
    struct param *p;
    char name[128];

    snprintf(name, sizeof name, "stages.%d.%d.%s.%s", stage, block, layer, what);
    p = params_find(model->network->params, name);
    if (!p)
        fail_msg("there is no parameter %s", name);
    return p->value;
}

/* y [h', w', out] = conv 3 x 3 of x [h, w, in]; returns h' = w'. */
static int plain_conv(double *y, const double *x, int side, int in, int out, int stride,
                      const float *weight, const float *bias)
{
    int to = (side + 2 - 3) / stride + 1;

    for (int i = 0; i < to * to * out; i++) {
        int o = i % out, cx = i / out % to * stride, cy = i / out / to * stride;

        y[i] = (double)bias[o];
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++)
                for (int c = 0; c < in; c++)
                    if (cy + dy >= 0 && cy + dy < side && cx + dx >= 0 && cx + dx < side)
                        y[i] += x[((cy + dy) * side + cx + dx) * in + c] *
                                (double)weight[((o * 3 + dy + 1) * 3 + dx + 1) * in + c];
    }
    return to;
}

static void plain_norm_silu(double *x, int pixels_of, int channels, int groups, const float *weight,
                            const float *bias)
{
    int each = channels / groups;

    for (int g = 0; g < groups; g++) {
        double mean = 0, square = 0, n = (double)pixels_of * each;

        for (int p = 0; p < pixels_of; p++)
            for (int c = g * each; c < (g + 1) * each; c++)
                mean += x[p * channels + c] / n;
        for (int p = 0; p < pixels_of; p++)
            for (int c = g * each; c < (g + 1) * each; c++)
                square += pow(x[p * channels + c] - mean, 2) / n;
        for (int p = 0; p < pixels_of; p++)
            for (int c = g * each; c < (g + 1) * each; c++) {
                double v = (x[p * channels + c] - mean) / sqrt(square + 1e-5) * (double)weight[c] +
                           (double)bias[c];

                x[p * channels + c] = v / (1 + exp(-v));
            }
    }
}

static void plain_features(double *out, const uint8_t *picture)
{
    static const int channels[] = {4, 8, 12};
    static double x[LENGTH * 8], y[LENGTH * 8];
    int side = SIDE, in = CHANNELS;

    for (int i = 0; i < LENGTH; i++)
        x[i] = picture[i] / 127.5 - 1;
    for (int k = 0; k < 3; k++)
        for (int b = 0; b < 2; b++) {
            side = plain_conv(y, x, side, in, channels[k], k && !b ? 2 : 1,
                              values("conv", k, b, "weight"), values("conv", k, b, "bias"));
            in = channels[k];
            plain_norm_silu(y, side * side, in, 2, values("norm", k, b, "weight"),
                            values("norm", k, b, "bias"));
            memcpy(x, y, (size_t)(side * side * in) * sizeof *x);
        }
    assert_int_equal(side, 3); /* 11, 6, 3 */
    for (int d = 0; d < D; d++) {
        out[d] = 0;
        for (int p = 0; p < side * side; p++)
            out[d] += x[p * D + d] / (side * side);
    }
}

static struct features_input input(int64_t first, int64_t n, int threads)
{
    return (struct features_input){.pixels = pixels + first * LENGTH,
                                   .n = n,
                                   .height = SIDE,
                                   .width = SIDE,
                                   .channels = CHANNELS,
                                   .threads = threads};
}

static void test_definition(void **state)
{
    const float *weight = params_find(model->network->params, "head.weight")->value;
    const float *bias = params_find(model->network->params, "head.bias")->value;
    struct features_input in = input(0, 8, 2);
    struct features *f;
    float got[8 * D];
    int32_t guess[8];

    (void)state;
    assert_int_equal(features_open(&f, network, NULL, NULL), OK);
    assert_int_equal(f->D, D);
    assert_int_equal(f->n_classes, CLASSES);
    assert_string_equal(f->class_names[4], "e");
    assert_string_equal(f->about, "noise");
    assert_int_equal(features_extract(f, got, guess, &in, NULL), OK);
    for (int i = 0; i < 8; i++) {
        double want[D], logit[CLASSES];
        int best = 0;

        plain_features(want, pixels + i * LENGTH);
        for (int d = 0; d < D; d++)
            if (!(fabs((double)got[i * D + d] - want[d]) < 2e-5))
                fail_msg("picture %d, feature %d: %g, not %g", i, d, (double)got[i * D + d],
                         want[d]);
        for (int k = 0; k < CLASSES; k++) {
            logit[k] = (double)bias[k];
            for (int d = 0; d < D; d++)
                logit[k] += (double)weight[k * D + d] * want[d];
            best = logit[k] > logit[best] ? k : best;
        }
        assert_int_equal(guess[i], best);
    }
    features_close(f);
}

/* The same bits on any number of threads, in any company, with and without guesses. */
static void test_alone(void **state)
{
    static float all[N * D], other[N * D];
    struct features_input in = input(0, N, 1);
    int32_t guess[N], one;
    struct features *f;

    (void)state;
    assert_int_equal(features_open(&f, network, NULL, NULL), OK);
    assert_int_equal(features_extract(f, all, guess, &in, NULL), OK);
    for (int threads = 2; threads <= 4; threads++) {
        in = input(0, N, threads);
        memset(other, 0, sizeof other);
        assert_int_equal(features_extract(f, other, NULL, &in, NULL), OK);
        assert_memory_equal(all, other, sizeof all);
    }
    for (int i = 0; i < N; i += 23) {
        in = input(i, 1, 2);
        assert_int_equal(features_extract(f, other, &one, &in, NULL), OK);
        assert_memory_equal(all + i * D, other, D * sizeof *all);
        assert_int_equal(one, guess[i]);
    }
    features_close(f);
}

static bool stop_at_once(int64_t done, int64_t n, void *user)
{
    assert_int_equal(done, 64);
    assert_int_equal(n, N);
    ++*(int *)user;
    return false;
}

static void test_refusals(void **state)
{
    struct features_input in = input(0, N, 1);
    char other[TEMP_PATH];
    static float got[N * D];
    struct features *f;
    struct error err = {0};
    int calls = 0;

    (void)state;
    assert_int_equal(features_open(&f, network, NULL, NULL), OK);
    in.progress = stop_at_once;
    in.user = &calls;
    assert_int_equal(features_extract(f, got, NULL, &in, &err), E_CANCELLED);
    assert_int_equal(calls, 1);
    in = input(0, 1, 1);
    in.width = 12;
    assert_int_equal(features_extract(f, got, NULL, &in, &err), E_ARG);
    assert_non_null(strstr(err.text, "11 x 11"));
    assert_non_null(strstr(err.text, "12 x 11"));
    features_close(f);

    model_save_random(temp_path(other, folder, "unet.safetensors"), unet, 5);
    assert_int_equal(features_open(&f, other, NULL, &err), E_ARG);
    assert_null(f);
    assert_non_null(strstr(err.text, "a unet is no feature network"));
    assert_int_equal(features_open(&f, temp_path(other, folder, "none"), NULL, &err), E_IO);
    assert_int_equal(file_write(other, "text", 4, NULL), OK);
    assert_int_equal(features_open(&f, other, NULL, &err), E_FORMAT);
}

/* --- features in files -------------------------------------------------------------------------
 */

static void save_statistics(const char *path, bool labelled)
{
    float x[] = {1, 2, 3, 4, 5, -6.5f};
    int32_t label[] = {2, -1, 0};
    struct statistics s = {.n = 3,
                           .D = 2,
                           .features = x,
                           .label = labelled ? label : NULL,
                           .height = 28,
                           .width = 27,
                           .channels = 1};

    strcpy(s.network, "0123abcd");
    strcpy(s.about, "three \"pictures\"");
    assert_int_equal(statistics_save(path, &s, NULL), OK);
}

static void test_statistics(void **state)
{
    char path[TEMP_PATH];
    struct statistics s;

    (void)state;
    temp_path(path, folder, "statistics.safetensors");
    for (int labelled = 0; labelled < 2; labelled++) {
        save_statistics(path, labelled);
        assert_int_equal(statistics_load(&s, path, NULL), OK);
        assert_int_equal(s.n, 3);
        assert_int_equal(s.D, 2);
        assert_true(s.features[5] < -6.4f && s.features[0] > 0.9f);
        assert_int_equal(s.height, 28);
        assert_int_equal(s.width, 27);
        assert_int_equal(s.channels, 1);
        assert_string_equal(s.network, "0123abcd");
        assert_string_equal(s.about, "three \"pictures\"");
        assert_true(labelled == !!s.label);
        if (s.label)
            assert_int_equal(s.label[0] * 100 + s.label[1] * 10 + s.label[2], 190);
        statistics_release(&s);
    }
}

/* Whole files that contradict themselves. */
static void test_false_statistics(void **state)
{
    static const char text[] = "{\"format\":1,\"network\":\"x\",\"about\":\"\"}";
    static const float x[6];
    static const int32_t label[] = {0, 1, -2};
    const struct save_tensor row = {
        .name = "features", .dtype = FILE_F32, .rank = 2, .dim = {3, 2}, .bytes = x};
    const struct save_tensor few = {
        .name = "labels", .dtype = FILE_I32, .rank = 1, .dim = {2}, .bytes = label};
    const struct save_tensor odd = {
        .name = "labels", .dtype = FILE_I32, .rank = 1, .dim = {3}, .bytes = label};
    const struct save_tensor flat = {
        .name = "features", .dtype = FILE_F32, .rank = 1, .dim = {6}, .bytes = x};
    const struct {
        struct save_tensor tensor[2];
        int64_t n;
        const char *text, *says;
    } files[] = {
        {{row, few}, 2, text, "labels"},
        {{row, odd}, 2, text, "label 2 is -2"},
        {{flat}, 1, text, "two dimensions"},
        {{few}, 1, text, "features"},
        {{row}, 1, "{\"format\":1,\"about\":\"\"}", "network"},
        {{row}, 1, "{\"format\":2,\"network\":\"x\",\"about\":\"\"}", "format"},
        {{row}, 1, "[", "imgen.statistics"},
    };
    char path[TEMP_PATH];

    (void)state;
    temp_path(path, folder, "false.safetensors");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct save_text about_it = {"imgen.statistics", files[i].text};
        struct statistics s;
        struct error err = {0};

        assert_int_equal(safetensors_save(path, files[i].tensor, files[i].n, &about_it, 1, NULL),
                         OK);
        assert_int_equal(statistics_load(&s, path, &err), E_FORMAT);
        assert_says(err.text, files[i].says);
        statistics_release(&s);
    }
}

/* Cut anywhere, and with every byte changed in turn: a sentence, or features of a true size. */
static void test_damaged_statistics(void **state)
{
    char path[TEMP_PATH];
    struct statistics s;
    struct error err = {0};
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    temp_path(path, folder, "damaged.safetensors");
    save_statistics(path, true);
    assert_int_equal(file_read(&bytes, &n, path, 1 << 20, NULL), OK);
    for (uint64_t cut = 0; cut < n; cut += 3) {
        assert_int_equal(file_write(path, bytes, cut, NULL), OK);
        assert_int_equal(statistics_load(&s, path, &err), E_FORMAT);
        statistics_release(&s);
    }
    for (uint64_t i = 0; i < n; i++) {
        uint8_t was = bytes[i];

        bytes[i] ^= (uint8_t)(1 << i % 7);
        assert_int_equal(file_write(path, bytes, n, NULL), OK);
        if (!statistics_load(&s, path, &err))
            assert_true(s.n * s.D == 6 && s.features);
        statistics_release(&s);
        bytes[i] = was;
    }
    assert_int_equal(statistics_load(&s, network, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "no statistics"));
    statistics_release(&s);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),       cmocka_unit_test(test_alone),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_false_statistics), cmocka_unit_test(test_damaged_statistics),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
