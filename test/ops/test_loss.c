/*
 * test_loss.c - what losses are made of, against the formulas in double
 */
#include "ops/basic.h"
#include "ops/loss.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- one number a sample --------------------------------------------------------------------- */

static struct tensor *build_scale(struct graph *g, struct tensor *const in[CHECK_INS],
                                  const struct check_case *c)
{
    (void)c;
    return op_scale_samples(g, in[0], in[1]);
}

static void ref_scale(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t n = shape_count(c->out), each = n / c->out.dim[0];

    for (int64_t i = 0; i < n; i++)
        out[i] = in[0][i] * in[1][i / each];
}

#define SCALE(NAME, N, RANK, ...)                                               \
    {                                                                           \
        .name = NAME,                                                           \
        .in = {{.shape = {RANK, {N, __VA_ARGS__}}, .batched = true},            \
               {.shape = {1, {N}}, .batched = true}},                           \
        .out = {RANK, {N, __VA_ARGS__}}, .build = build_scale, .ref = ref_scale \
    }

/* --- pointwise ------------------------------------------------------------------------------- */

enum { ABS, EXP, SOFTPLUS, POWER };

static struct tensor *build_pointwise(struct graph *g, struct tensor *const in[CHECK_INS],
                                      const struct check_case *c)
{
    switch (c->arg[0].i) {
    case ABS:
        return op_abs(g, in[0]);
    case EXP:
        return op_exp(g, in[0]);
    case SOFTPLUS:
        return op_softplus(g, in[0]);
    default:
        return op_power(g, in[0], c->arg[1].f);
    }
}

static void ref_pointwise(double *out, const double *const in[CHECK_INS],
                          const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->out); i++) {
        double x = in[0][i];

        out[i] = c->arg[0].i == ABS        ? fabs(x)
                 : c->arg[0].i == EXP      ? exp(x)
                 : c->arg[0].i == SOFTPLUS ? log(1 + exp(x))
                                           : pow(x, c->arg[1].f);
    }
}

#define POINTWISE(NAME, WHICH, P, MEAN, STD)                                         \
    {                                                                                \
        .name = NAME, .in = {{.shape = {2, {7, 9}}, .mean = MEAN, .std = STD}},      \
        .out = {2, {7, 9}}, .build = build_pointwise, .ref = ref_pointwise, .arg = { \
            {.i = WHICH},                                                            \
            {.f = P}                                                                 \
        }                                                                            \
    }

/* --- cosine ---------------------------------------------------------------------------------- */

static struct tensor *build_cosine(struct graph *g, struct tensor *const in[CHECK_INS],
                                   const struct check_case *c)
{
    (void)c;
    return op_cosine(g, in[0], in[1]);
}

static void ref_cosine(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape), rows = shape_rows(c->in[0].shape);

    out[0] = 0;
    for (int64_t r = 0; r < rows; r++) {
        double ab = 0, aa = 0, bb = 0;

        for (int64_t d = r * D; d < (r + 1) * D; d++) {
            ab += in[0][d] * in[1][d];
            aa += in[0][d] * in[0][d];
            bb += in[1][d] * in[1][d];
        }
        out[0] += ab / sqrt(aa * bb) / (double)rows;
    }
}

#define COSINE(NAME, RANK, ...)                                                                   \
    {                                                                                             \
        .name = NAME, .in = {{.shape = {RANK, {__VA_ARGS__}}}, {.shape = {RANK, {__VA_ARGS__}}}}, \
        .out = {1, {1}}, .build = build_cosine, .ref = ref_cosine                                 \
    }

/* --- the variational bound ------------------------------------------------------------------- */

enum { SAMPLES = 4, PIXELS = 6, CHANNELS = 2 };

/* 1 / alpha, beta / alpha, mean from z and x, log of the two variances, last: three inner steps and
 * the last one. */
static const float numbers[SAMPLES * VB_NUMBERS] = {
    1.25f, 0.75f, 0.10f, 0.88f, -4.0f, -4.3f,  0, 1.01f, 0.14f, 0.55f, 0.44f, -5.5f, -6.5f, 0,
    5.0f,  4.9f,  0.01f, 0.98f, -3.9f, -3.91f, 0, 1.0f,  0.01f, 1.0f,  0.0f,  -9.2f, -9.9f, 1,
};
/* In the steps, and so near to the picture that its level is likely. */
static float noise[SAMPLES * PIXELS * CHANNELS], picture[SAMPLES * PIXELS * CHANNELS],
    point[SAMPLES * PIXELS * CHANNELS];

/* The noise is no input of the check: no gradient flows to it, although the value depends on it. */
static struct tensor *build_bound(struct graph *g, struct tensor *const in[CHECK_INS],
                                  const struct check_case *c)
{
    (void)c;
    return op_variational(g, op_concat(g, in[1], in[0]), in[2], in[3], in[4]);
}

static double cdf(double x)
{
    return 0.5 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

static double nats(double z, double x, double eps, double v, const double *k)
{
    double mean = k[VB_MEAN_DATA] * (k[VB_FROM_X] * x - k[VB_FROM_NOISE] * eps) + k[VB_MEAN_X] * x;
    double truth = k[VB_MEAN_DATA] * z + k[VB_MEAN_X] * x, share = (v + 1) / 2;
    double log_s = share * k[VB_LOG_LARGE] + (1 - share) * k[VB_LOG_SMALL], s = exp(log_s / 2);

    if (k[VB_LAST] > 0)
        return -log((z > 0.999 ? 1 : cdf((z + 1.0 / 255 - mean) / s)) -
                    (z < -0.999 ? 0 : cdf((z - 1.0 / 255 - mean) / s)));
    return log(s) - k[VB_LOG_SMALL] / 2 +
           (exp(k[VB_LOG_SMALL]) + (truth - mean) * (truth - mean)) / (2 * s * s) - 0.5;
}

static void ref_bound(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t each = PIXELS * CHANNELS;

    (void)c;
    for (int64_t n = 0; n < c->out.dim[0]; n++) {
        out[n] = 0;
        for (int64_t i = n * each; i < (n + 1) * each; i++)
            out[n] += nats(in[3][i], in[2][i], in[1][i], in[0][i], in[4] + n * VB_NUMBERS) /
                      (double)each / log(2);
    }
}

static void fill_bound(void)
{
    for (int i = 0; i < SAMPLES * PIXELS * CHANNELS; i++) {
        const float *k = numbers + i / (PIXELS * CHANNELS) * VB_NUMBERS;

        picture[i] = i % 7 == 0   ? -1.0f
                     : i % 5 == 0 ? 1.0f
                                  : (float)((i * 37 % 255) * 2.0 / 255 - 1);
        noise[i] = (float)sin(i);
        point[i] = (picture[i] + k[VB_FROM_NOISE] * (float)sin(i + 0.3)) / k[VB_FROM_X];
    }
}

static const struct check_case cases[] = {
    SCALE("pictures", 3, 4, 4, 5, 2),
    SCALE("rows", 4, 2, 7),
    SCALE("numbers", 5, 1, 0),
    SCALE("many", 2, 3, 300, 70),
    POINTWISE("abs", ABS, 0, 0, 1),
    POINTWISE("exp", EXP, 0, 0, 1),
    POINTWISE("softplus", SOFTPLUS, 0, 0, 5),
    POINTWISE("root", POWER, 0.5, 5, 0.7),
    POINTWISE("reciprocal", POWER, -1, 5, 0.7),
    COSINE("rows", 3, 5, 6, 3),
    COSINE("long", 2, 3, 517),
    COSINE("pixels", 4, 4, 3, 3, 2),
    {.name = "variational",
     .in =
         {{.shape = {3, {SAMPLES, PIXELS, CHANNELS}}, .std = 0.5, .batched = true},
          {.shape = {3, {SAMPLES, PIXELS, CHANNELS}},
           .values = noise,
           .fixed = true,
           .batched = true},
          {.shape = {3, {SAMPLES, PIXELS, CHANNELS}},
           .values = point,
           .fixed = true,
           .batched = true},
          {.shape = {3, {SAMPLES, PIXELS, CHANNELS}},
           .values = picture,
           .fixed = true,
           .batched = true},
          {.shape = {2, {SAMPLES, VB_NUMBERS}}, .values = numbers, .fixed = true, .batched = true}},
     .out = {1, {SAMPLES}},
     .build = build_bound,
     .ref = ref_bound},
};

static void ops_of_losses(void **state)
{
    (void)state;
    fill_bound();
    check_ops(cases, sizeof cases / sizeof *cases);
}

/* A row of zeros has no direction: its cosine is 0 and its slope finite. */
static void cosine_of_nothing(void **state)
{
    const float a[4] = {0, 0, 1, 2}, b[4] = {1, 1, 2, 4};
    struct graph *g;
    struct tensor *x, *y;
    float value, slope[4];

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    x = graph_input(g, SHAPE(2, 2), a);
    graph_want_grad(x);
    y = op_cosine(g, x, graph_input(g, SHAPE(2, 2), b));
    graph_backward(g, y);
    graph_keep(g, y);
    graph_keep(g, x->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, &value);
    graph_read(g, x->grad, slope);
    assert_true(fabsf(value - 0.5f) < 1e-6f);
    for (int i = 0; i < 4; i++)
        assert_true(isfinite(slope[i]));
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops_of_losses),
        cmocka_unit_test(cosine_of_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
