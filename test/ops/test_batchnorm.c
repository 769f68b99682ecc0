/*
 * test_batchnorm.c - batch norm in training against its definition, and what the layer gathers
 */
#include "ops/norm.h"

#include "base/rng.h"
#include "nn/layers.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const double EPS = 1e-5;

/* Mean and biased variance of channel c. */
static void moments_of(double *mean, double *var, const double *x, int64_t c, int64_t rows,
                       int64_t C)
{
    *mean = *var = 0;
    for (int64_t r = 0; r < rows; r++)
        *mean += x[r * C + c] / (double)rows;
    for (int64_t r = 0; r < rows; r++)
        *var += (x[r * C + c] - *mean) * (x[r * C + c] - *mean) / (double)rows;
}

static struct tensor *build_norm(struct graph *g, struct tensor *const in[CHECK_INS],
                                 const struct check_case *c)
{
    (void)c;
    return op_batchnorm(g, in[0], in[1], in[2], EPS, NULL);
}

static void ref_norm(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t rows = shape_rows(c->in[0].shape), C = shape_last(c->in[0].shape);
    double mean, var;

    for (int64_t k = 0; k < C; k++) {
        moments_of(&mean, &var, in[0], k, rows, C);
        for (int64_t r = 0; r < rows; r++)
            out[r * C + k] = (in[0][r * C + k] - mean) / sqrt(var + EPS) * in[1][k] + in[2][k];
    }
}

static struct tensor *build_moments(struct graph *g, struct tensor *const in[CHECK_INS],
                                    const struct check_case *c)
{
    struct tensor *moments;

    (void)c;
    op_batchnorm(g, in[0], in[1], in[2], EPS, &moments);
    return moments;
}

static void ref_moments(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t rows = shape_rows(c->in[0].shape), C = shape_last(c->in[0].shape);

    for (int64_t k = 0; k < C; k++)
        moments_of(&out[k], &out[C + k], in[0], k, rows, C);
}

#define NORM(NAME, N, H, W, CHANNELS, MEAN, STD)                                                \
    {                                                                                           \
        .name = NAME,                                                                           \
        .in = {{.shape = SHAPE(N, H, W, CHANNELS), .mean = MEAN, .std = STD},                   \
               {.shape = SHAPE(CHANNELS), .mean = 1, .std = 0.3},                               \
               {.shape = SHAPE(CHANNELS)}},                                                     \
        .out = SHAPE(N, H, W, CHANNELS), .build = build_norm, .ref = ref_norm, .grad_tol = 1e-4 \
    }

static void test_norm(void **state)
{
    const struct check_case cases[] = {
        NORM("small", 2, 3, 5, 4, 0, 1),       NORM("one channel", 3, 4, 4, 1, 0.5, 2),
        NORM("odd", 3, 7, 5, 19, -1, 3),       NORM("four values", 2, 1, 2, 6, 0, 1),
        NORM("large mean", 4, 6, 6, 8, 50, 1), NORM("blocks", 3, 40, 33, 24, 0, 1),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static void test_moments(void **state)
{
    struct check_case cases[] = {
        NORM("moments", 2, 3, 5, 4, 0, 1),
        NORM("moments, large mean", 4, 6, 6, 8, 50, 1),
        NORM("moments, blocks", 3, 40, 33, 24, 2, 0.1),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        cases[i].out = SHAPE(2, shape_last(cases[i].in[0].shape));
        cases[i].build = build_moments;
        cases[i].ref = ref_moments;
        for (int k = 0; k < 3; k++)
            cases[i].in[k].fixed = true;
    }
    check_ops(cases, COUNT(cases));
}

/* --- the layer ------------------------------------------------------------------------------- */

enum { ROWS = 10, CHANNELS = 3 };

/* Two batches one after the other, against the recurrence in double. */
static void test_running(void **state)
{
    const struct init one = {.kind = INIT_ONE};
    double mean[CHANNELS] = {0}, var[CHANNELS] = {1, 1, 1}, x64[ROWS * CHANNELS];
    struct rng r = rng_stream(1, RNG_TEST, 0);
    float x[ROWS * CHANNELS], moments[2 * CHANNELS];
    struct batch_norm n;
    struct params *p;
    struct graph *g;

    (void)state;
    assert_int_equal(params_new(&p, NULL), OK);
    batch_norm_init(&n, scope_in(scope_root(p), "norm"), CHANNELS, one, EPS);
    assert_int_equal(params_alloc(p, true, NULL), OK);
    params_init(p, 0);
    assert_non_null(params_find(p, "norm.running_mean"));
    assert_non_null(params_find(p, "norm.running_var"));
    assert_int_equal(params_weights(p), 2 * CHANNELS);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    for (int batch = 0; batch < 2; batch++) {
        struct tensor *m;

        rng_normals(&r, x, ROWS * CHANNELS);
        for (int i = 0; i < ROWS * CHANNELS; i++)
            x64[i] = (double)x[i];
        graph_reset(g);
        nn_batch_norm(g, &n, graph_input(g, SHAPE(ROWS, 1, CHANNELS), x), &m);
        graph_keep(g, m);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, m, moments);
        batch_norm_update(&n, moments, ROWS, 0.1);
        for (int c = 0; c < CHANNELS; c++) {
            double batch_mean, batch_var;

            moments_of(&batch_mean, &batch_var, x64, c, ROWS, CHANNELS);
            mean[c] += 0.1 * (batch_mean - mean[c]);
            var[c] += 0.1 * (batch_var * ROWS / (ROWS - 1) - var[c]);
            assert_true(fabs((double)n.mean->value[c] - mean[c]) < 1e-6);
            assert_true(fabs((double)n.variance->value[c] - var[c]) < 1e-6);
        }
    }
    graph_free(g);
    params_free(p);
}

/* A constant channel has no variance, and none below zero. */
static void test_constant(void **state)
{
    float x[8], weight = 1, bias = 0.25f, moments[2], out[8];
    struct tensor *m, *y;
    struct graph *g;

    (void)state;
    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = 0.7f;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    y = op_batchnorm(g, graph_input(g, SHAPE(2, 4, 1), x), graph_input(g, SHAPE(1), &weight),
                     graph_input(g, SHAPE(1), &bias), EPS, &m);
    graph_keep(g, m);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, m, moments);
    graph_read(g, y, out);
    assert_true(moments[0] == 0.7f);
    assert_true(moments[1] >= 0 && moments[1] < 1e-11f);
    for (size_t i = 0; i < COUNT(x); i++)
        assert_true(out[i] == bias);
    graph_free(g);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_constant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
