/*
 * test_magnitude.c - magnitude-preserving ops against their formulas in double, and what they
 * promise: values of unit magnitude stay so
 */
#include "ops/magnitude.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- rows divided by their size --------------------------------------------------------------- */

static void ref_rows(double *out, const double *x, int64_t rows, int64_t D, double gain)
{
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;

        for (int64_t d = 0; d < D; d++)
            sum += x[r * D + d] * x[r * D + d];
        for (int64_t d = 0; d < D; d++)
            out[r * D + d] = gain * x[r * D + d] / (1e-4 + sqrt(sum / (double)D));
    }
}

static struct tensor *build_pixel(struct graph *g, struct tensor *const in[],
                                  const struct check_case *c)
{
    (void)c;
    return op_pixel_norm(g, in[0]);
}

static void ref_pixel(double *out, const double *const in[], const struct check_case *c)
{
    ref_rows(out, in[0], shape_rows(c->in[0].shape), shape_last(c->in[0].shape), 1);
}

static void test_pixel_norm(void **state)
{
#define PIXEL(deviation, ...)                                                                 \
    {                                                                                         \
        .name = "pixel norm " #__VA_ARGS__,                                                   \
        .in = {{.shape = SHAPE(__VA_ARGS__), .batched = true, .std = deviation}},             \
        .out = SHAPE(__VA_ARGS__), .build = build_pixel, .ref = ref_pixel, .alone_grad = true \
    }
    const struct check_case cases[] = {
        PIXEL(1, 2, 3, 3, 6), PIXEL(30, 3, 1, 17),  PIXEL(1, 1, 5, 4, 64),  PIXEL(1e-3, 2, 7, 16),
        PIXEL(1, 0, 4, 8),    PIXEL(1, 2, 90, 131), PIXEL(1, 2, 2, 2, 768),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static struct tensor *build_weight(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    return op_weight_norm(g, in[0], c->arg[0].f);
}

static void ref_weight(double *out, const double *const in[], const struct check_case *c)
{
    int64_t O = c->in[0].shape.dim[0], n = shape_count(c->in[0].shape) / O;

    ref_rows(out, in[0], O, n, c->arg[0].f / sqrt((double)n));
}

static void test_weight_norm(void **state)
{
#define WEIGHT(gain, ...)                                                                          \
    {                                                                                              \
        .name = "weight norm " #__VA_ARGS__, .in = {{.shape = SHAPE(__VA_ARGS__), .param = true}}, \
        .arg = {{.f = gain}}, .out = SHAPE(__VA_ARGS__), .build = build_weight, .ref = ref_weight  \
    }
    const struct check_case cases[] = {WEIGHT(1, 5, 3, 3, 4), WEIGHT(0.7, 4, 6), WEIGHT(2, 3, 2),
                                       WEIGHT(1, 64, 3, 3, 40)};

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* A row of zeros has no direction: it stays, and lets gradients through. */
static void test_zero_row(void **state)
{
    const float x[2][3] = {{0, 0, 0}, {3, 0, 4}}, cot[2][3] = {{1, 2, 3}, {0, 0, 0}};
    float y[2][3], dx[2][3];
    struct graph *g = NULL;
    struct tensor *in, *out;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    in = graph_input(g, SHAPE(2, 3), x[0]);
    graph_want_grad(in);
    out = op_pixel_norm(g, in);
    graph_keep(g, out);
    graph_backward(g, op_sum(g, op_mul(g, out, graph_input(g, SHAPE(2, 3), cot[0]))));
    graph_keep(g, in->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, out, y[0]);
    graph_read(g, in->grad, dx[0]);
    for (int d = 0; d < 3; d++) {
        assert_true(!(y[0][d] > 0) && !(y[0][d] < 0));
        assert_float_equal(dx[0][d], cot[0][d] * 1e4f, 1.0f);
    }
    assert_float_equal(y[1][2], 1.3855927f, 1e-5f);
    graph_free(g);
}

/* --- scaled, mixed, joined -------------------------------------------------------------------- */

static struct tensor *build_scale(struct graph *g, struct tensor *const in[],
                                  const struct check_case *c)
{
    (void)c;
    return op_scale(g, in[0], in[1]);
}

static void ref_scale(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = in[0][i] * in[1][0];
}

static struct tensor *build_sum(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    return op_mp_sum(g, in[0], in[1], c->arg[0].f);
}

static void ref_sum(double *out, const double *const in[], const struct check_case *c)
{
    double t = c->arg[0].f, size = sqrt((1 - t) * (1 - t) + t * t);

    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = ((1 - t) * in[0][i] + t * in[1][i]) / size;
}

static struct tensor *build_cat(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    return op_mp_cat(g, in[0], in[1], c->arg[0].f);
}

static void ref_cat(double *out, const double *const in[], const struct check_case *c)
{
    int64_t rows = shape_rows(c->in[0].shape);
    int64_t A = shape_last(c->in[0].shape), B = shape_last(c->in[1].shape);
    double t = c->arg[0].f, C = sqrt((double)(A + B) / ((1 - t) * (1 - t) + t * t));

    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < A; i++)
            out[r * (A + B) + i] = in[0][r * A + i] * C * (1 - t) / sqrt((double)A);
        for (int64_t i = 0; i < B; i++)
            out[r * (A + B) + A + i] = in[1][r * B + i] * C * t / sqrt((double)B);
    }
}

static struct tensor *build_silu(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    (void)c;
    return op_mp_silu(g, in[0]);
}

static void ref_silu(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = in[0][i] / (1 + exp(-in[0][i])) / 0.596;
}

static void test_others(void **state)
{
#define BATCHED(...)                                 \
    {                                                \
        .shape = SHAPE(__VA_ARGS__), .batched = true \
    }
#define SUM(t, ...)                                                                       \
    {                                                                                     \
        .name = "mp sum " #t, .in = {BATCHED(__VA_ARGS__), BATCHED(__VA_ARGS__)},         \
        .arg = {{.f = t}}, .out = SHAPE(__VA_ARGS__), .build = build_sum, .ref = ref_sum, \
        .alone_grad = true                                                                \
    }
    const struct check_case cases[] = {
        {.name = "scale",
         .in = {BATCHED(3, 5, 7), {.shape = SHAPE(1), .param = true}},
         .out = SHAPE(3, 5, 7),
         .build = build_scale,
         .ref = ref_scale},
        SUM(0.3, 2, 2, 2, 3),
        SUM(0.5, 3, 1031),
        SUM(0, 2, 5),
        {.name = "mp cat",
         .in = {BATCHED(2, 2, 2, 3), BATCHED(2, 2, 2, 5)},
         .arg = {{.f = 0.4}},
         .out = SHAPE(2, 2, 2, 8),
         .build = build_cat,
         .ref = ref_cat},
        {.name = "mp silu",
         .in = {BATCHED(3, 37)},
         .out = SHAPE(3, 37),
         .build = build_silu,
         .ref = ref_silu},
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- the promise ------------------------------------------------------------------------------ */

/* Normals of unit magnitude through sum, concatenation, SiLU and pixel norm. */
static void test_unit_magnitude(void **state)
{
    enum { N = 20000 };
    float *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b), *y = malloc(4 * N * sizeof *y);
    struct rng r = rng_stream(5, RNG_TEST, 0);
    struct graph *g = NULL;
    struct tensor *p, *q, *out[4];

    (void)state;
    assert_true(a && b && y);
    rng_normals(&r, a, N);
    rng_normals(&r, b, N);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    p = graph_input(g, SHAPE(N / 20, 20), a);
    q = graph_input(g, SHAPE(N / 20, 20), b);
    out[0] = op_mp_sum(g, p, q, 0.3);
    out[1] = op_mp_silu(g, p);
    out[2] = op_pixel_norm(g, op_affine(g, p, 17, 0));
    out[3] = op_mp_cat(g, p, op_reshape(g, q, p->shape), 0.5);
    for (int k = 0; k < 4; k++)
        graph_keep(g, out[k]);
    assert_int_equal(graph_run(g, NULL), OK);
    for (int k = 0; k < 4; k++) {
        int64_t n = shape_count(out[k]->shape);
        double sum = 0;

        graph_read(g, out[k], y);
        for (int64_t i = 0; i < n; i++)
            sum += (double)y[i] * (double)y[i];
        assert_true(fabs(sqrt(sum / (double)n) - 1) < 0.02);
    }
    graph_free(g);
    free(a);
    free(b);
    free(y);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixel_norm),     cmocka_unit_test(test_weight_norm),
        cmocka_unit_test(test_zero_row),       cmocka_unit_test(test_others),
        cmocka_unit_test(test_unit_magnitude),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
