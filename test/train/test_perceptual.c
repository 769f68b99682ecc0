/*
 * test_perceptual.c - pictures compared by a classifier that was trained here
 *
 * The classifier is small, with random weights: what its stages make of pictures is read, and the
 * distance of their directions taken in double on the host.
 */
#include "train/perceptual.h"

#include "base/rng.h"
#include "model/cnn.h"
#include "ops/basic.h"
#include "pipeline/model.h"
#include "support/models.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 3, SIDE = 11, CHANNELS = 2, LENGTH = N * SIDE * SIDE * CHANNELS, STAGES = 3 };

static const char cnn[] =
    "\"model\":{\"network\":\"cnn\"},\"path\":{},\"sample\":{},\"cnn\":{\"size\":11,"
    "\"channels\":2,\"classes\":5,\"width\":4,\"mult\":[1.0,2.0,3.0],\"blocks\":2,\"groups\":2}";
static const char unet[] =
    "\"model\":{\"network\":\"unet\"},\"path\":{},\"sample\":{},\"unet\":{\"size\":"
    "16,"
    "\"classes\":2,\"width\":8,\"mult\":[1.0,2.0],\"blocks\":1,\"attention\":[2],\"groups\":4}";

static char folder[TEMP_PATH], path[TEMP_PATH], other[TEMP_PATH];
static struct model *model;
static float x[LENGTH], y[LENGTH];

static int set_up(void **state)
{
    struct rng r = rng_stream(7, RNG_TEST, 0);

    (void)state;
    temp_dir_new(folder);
    model = model_saved(temp_path(path, folder, "cnn.safetensors"), cnn, 5);
    model_save_random(temp_path(other, folder, "unet.safetensors"), unet, 5);
    rng_normals(&r, x, LENGTH);
    rng_normals(&r, y, LENGTH);
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

/* Add the distance of one stage's rows to each sample's sum. */
static void stage_distance(double *each, const float *a, const float *b, struct shape s)
{
    int64_t C = shape_last(s), rows = shape_rows(s) / N;

    for (int64_t r = 0; r < N * rows; r++) {
        double aa = 0, bb = 0;

        for (int64_t c = r * C; c < (r + 1) * C; c++) {
            aa += (double)a[c] * (double)a[c];
            bb += (double)b[c] * (double)b[c];
        }
        for (int64_t c = r * C; c < (r + 1) * C; c++)
            each[r / rows] +=
                pow((double)a[c] / sqrt(aa) - (double)b[c] / sqrt(bb), 2) / (double)rows;
    }
}

static float *values_of(struct graph *g, const struct tensor *t)
{
    float *out = malloc((size_t)shape_count(t->shape) * sizeof *out);

    assert_non_null(out);
    graph_read(g, t, out);
    return out;
}

static void define(double each[N])
{
    const struct shape shape = SHAPE(N, SIDE, SIDE, CHANNELS);
    struct tensor *u[CNN_STAGES], *v[CNN_STAGES];
    struct graph *g;

    memset(each, 0, N * sizeof *each);
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    assert_int_equal(cnn_stages(g, model->network, graph_input(g, shape, x), u), STAGES);
    assert_int_equal(cnn_stages(g, model->network, graph_input(g, shape, y), v), STAGES);
    for (int k = 0; k < STAGES; k++) {
        graph_keep(g, u[k]);
        graph_keep(g, v[k]);
    }
    assert_int_equal(graph_run(g, NULL), OK);
    for (int k = 0, side = SIDE; k < STAGES; k++, side = (side + 1) / 2) {
        float *a = values_of(g, u[k]), *b = values_of(g, v[k]);

        assert_true(shape_equal(u[k]->shape, SHAPE(N, side, side, 4 * (k + 1))));
        stage_distance(each, a, b, u[k]->shape);
        free(a);
        free(b);
    }
    graph_free(g);
}

/* --- the distance ------------------------------------------------------------------------------
 */

/* Distances from x to `to`, and the gradient of their sum by the latter. */
static void run(const struct perceptual *p, const float *to, int64_t rows, unsigned flags,
                int threads, float *each, float *grad)
{
    const struct shape shape = SHAPE(rows, SIDE, SIDE, CHANNELS);
    struct tensor *t, *d;
    struct graph *g;

    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    t = graph_input(g, shape, to);
    graph_want_grad(t);
    d = perceptual_distance(g, p, graph_input(g, shape, x), t);
    graph_keep(g, d);
    graph_backward(g, op_sum(g, d));
    graph_keep(g, t->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, d, each);
    graph_read(g, t->grad, grad);
    graph_free(g);
}

static void test_distance(void **state)
{
    float each[N], again[N], grad[LENGTH], grad_again[LENGTH];
    struct perceptual *p;
    double want[N];

    (void)state;
    assert_int_equal(perceptual_open(&p, path, NULL, NULL), OK);
    define(want);
    run(p, y, N, 0, 2, each, grad);
    for (int i = 0; i < N; i++)
        if (!(fabs((double)each[i] - want[i]) < 1e-5 * want[i]) || want[i] < 0.1)
            fail_msg("distance %d is %g, should be %g", i, (double)each[i], want[i]);
    run(p, y, 1, 0, 3, again, grad_again);
    assert_memory_equal(each, again, sizeof *each);
    assert_memory_equal(grad, grad_again, LENGTH / N * sizeof *grad);
    run(p, y, N, GRAPH_EAGER, 1, again, grad_again);
    assert_memory_equal(each, again, sizeof each);
    assert_memory_equal(grad, grad_again, sizeof grad);
    run(p, x, N, 0, 2, each, grad);
    for (int i = 0; i < N; i++)
        assert_true(each[i] == 0);
    perceptual_free(p);
}

/* Along the gradient, and along random directions, the sum changes as the gradient says. */
static void test_gradient(void **state)
{
    float grad[LENGTH], way[LENGTH], to[LENGTH], unused[LENGTH], each[N];
    struct rng r = rng_stream(8, RNG_TEST, 0);
    struct perceptual *p;

    (void)state;
    assert_int_equal(perceptual_open(&p, path, "", NULL), OK);
    run(p, y, N, 0, 2, each, grad);
    memcpy(way, grad, sizeof way);
    for (int trial = 0; trial < 4; trial++) {
        double slope = 0, length = 0, change = 0, h = 2e-3;

        for (int i = 0; i < LENGTH; i++) {
            slope += (double)grad[i] * (double)way[i];
            length += (double)way[i] * (double)way[i];
        }
        length = sqrt(length);
        for (int sign = -1; sign <= 1; sign += 2) {
            for (int i = 0; i < LENGTH; i++)
                to[i] = (float)((double)y[i] + sign * h * (double)way[i] / length * 10);
            run(p, to, N, 0, 2, each, unused);
            for (int i = 0; i < N; i++)
                change += sign * (double)each[i];
        }
        change /= 2 * h * 10;
        slope /= length;
        if (!(fabs(change - slope) < 2e-3 * fabs(slope) + 1e-4))
            fail_msg("way %d: the distance changes by %g, the gradient says %g", trial, change,
                     slope);
        for (int i = 0; i < LENGTH; i++) /* not across the gradient, where all slopes are small */
            way[i] = (float)((double)grad[i] * (1 + rng_normal(&r)));
    }
    perceptual_free(p);
}

static void test_refusals(void **state)
{
    struct error err = {0};
    struct perceptual *p;

    (void)state;
    assert_int_equal(perceptual_open(&p, other, NULL, &err), E_ARG);
    assert_null(p);
    assert_non_null(strstr(err.text, "unet"));
    assert_int_equal(perceptual_open(&p, "/nowhere/cnn", NULL, &err), E_IO);
    assert_null(p);
    /* With heads, the path is a published backbone, which a model of ours is not. */
    assert_int_equal(perceptual_open(&p, path, "/nowhere/heads", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "AlexNet"));
    assert_int_equal(perceptual_open(&p, path, NULL, NULL), OK);
    assert_int_equal(perceptual_check(p, 40, 20, CHANNELS, &err), OK);
    assert_int_equal(perceptual_check(p, SIDE, SIDE, 3, &err), E_ARG);
    assert_non_null(strstr(err.text, "2 channels"));
    perceptual_free(p);
    perceptual_free(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
