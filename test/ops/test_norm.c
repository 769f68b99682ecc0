/*
 * test_norm.c - layer, root-mean-square and group norm, with all that is fused into them
 *
 * The references are the textbook formulas in double.  Beside random rows there are rows whose mean
 * is large against their spread and rows whose variance is of the size of eps: both are lost by the
 * one-pass variance E[x^2] - E[x]^2 in float32.
 */
#include "ops/norm.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define ABSENT       ((struct shape){0})
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- layer norm ------------------------------------------------------------------------------- */

/* (x - mean) / sqrt(var + eps) of one row. */
static void standardize(double *out, const double *x, int64_t D, double eps)
{
    double mean = 0, variance = 0;

    for (int64_t d = 0; d < D; d++)
        mean += x[d] / (double)D;
    for (int64_t d = 0; d < D; d++)
        variance += (x[d] - mean) * (x[d] - mean) / (double)D;
    for (int64_t d = 0; d < D; d++)
        out[d] = (x[d] - mean) / sqrt(variance + eps);
}

static struct tensor *build_layernorm(struct graph *g, struct tensor *const in[],
                                      const struct check_case *c)
{
    return op_layernorm(g, in[0], in[1], in[2], c->arg[0].f);
}

static void ref_layernorm(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape);

    for (int64_t r = 0; r < shape_rows(c->in[0].shape); r++) {
        standardize(out + r * D, in[0] + r * D, D, c->arg[0].f);
        for (int64_t d = 0; d < D; d++)
            out[r * D + d] = out[r * D + d] * (in[1] ? in[1][d] : 1) + (in[2] ? in[2][d] : 0);
    }
}

static void test_layernorm(void **state)
{
#define LAYER(what, weight, bias, ...)                                                           \
    {                                                                                            \
        .name = "layernorm " what,                                                               \
        .in = {{__VA_ARGS__}, {.shape = weight, .mean = 1}, {.shape = bias}},                    \
        .arg = {{.f = 1e-6}}, .build = build_layernorm, .ref = ref_layernorm, .alone_grad = true \
    }
    const struct check_case cases[] = {
        LAYER("affine", SHAPE(37), SHAPE(37), .shape = SHAPE(3, 5, 37), .batched = true),
        LAYER("plain", ABSENT, ABSENT, .shape = SHAPE(3, 5, 16), .batched = true),
        LAYER("weight only", SHAPE(8), ABSENT, .shape = SHAPE(3, 8), .batched = true),
        LAYER("bias only", ABSENT, SHAPE(8), .shape = SHAPE(3, 8), .batched = true),
        LAYER("nothing", SHAPE(8), SHAPE(8), .shape = SHAPE(0, 8), .batched = true),
        LAYER("three channels", SHAPE(3), SHAPE(3), .shape = SHAPE(3, 3), .std = 3),
        LAYER("large", SHAPE(383), SHAPE(383), .shape = SHAPE(3, 60, 383), .batched = true),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static struct tensor *build_layernorm_modulate(struct graph *g, struct tensor *const in[],
                                               const struct check_case *c)
{
    return op_layernorm_modulate(g, in[0], in[1], in[2], c->arg[0].f);
}

/* x (1 + scale) + shift in place. */
static void ref_modulation(double *x, const double *shift, const double *scale, struct shape s)
{
    int64_t D = shape_last(s), rows = shape_rows(s), T = s.dim[0] ? rows / s.dim[0] : 1;

    for (int64_t r = 0; r < rows; r++)
        for (int64_t d = 0; d < D; d++) {
            double *v = &x[r * D + d];

            *v = *v * (1 + scale[r / T * D + d]) + (shift ? shift[r / T * D + d] : 0);
        }
}

static void ref_layernorm_modulate(double *out, const double *const in[],
                                   const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape);

    for (int64_t r = 0; r < shape_rows(c->in[0].shape); r++)
        standardize(out + r * D, in[0] + r * D, D, c->arg[0].f);
    ref_modulation(out, in[1], in[2], c->in[0].shape);
}

static struct tensor *build_modulate(struct graph *g, struct tensor *const in[],
                                     const struct check_case *c)
{
    (void)c;
    return op_modulate(g, in[0], in[1], in[2]);
}

static void ref_modulate(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = in[0][i];
    ref_modulation(out, in[1], in[2], c->in[0].shape);
}

static void test_modulate(void **state)
{
#define MODULATE(what, which, size, shift_size, scale_size)                            \
    {                                                                                  \
        .name = #which " " what,                                                       \
        .in = {{.shape = size, .batched = true},                                       \
               {.shape = shift_size, .batched = true},                                 \
               {.shape = scale_size, .batched = true}},                                \
        .arg = {{.f = 1e-6}}, .out = size, .build = build_##which, .ref = ref_##which, \
        .alone_grad = true                                                             \
    }
#define BOTH(what, size, shift_size, scale_size)                      \
    MODULATE(what, layernorm_modulate, size, shift_size, scale_size), \
        MODULATE(what, modulate, size, shift_size, scale_size)
    const struct check_case cases[] = {
        BOTH("tokens", SHAPE(3, 5, 37), SHAPE(3, 37), SHAPE(3, 37)),
        BOTH("picture", SHAPE(2, 3, 4, 5), SHAPE(2, 5), SHAPE(2, 5)),
        BOTH("rows", SHAPE(3, 6), SHAPE(3, 6), SHAPE(3, 6)),
        BOTH("without shift", SHAPE(2, 3, 17), ABSENT, SHAPE(2, 17)),
        BOTH("nothing", SHAPE(0, 2, 8), SHAPE(0, 8), SHAPE(0, 8)),
        BOTH("large", SHAPE(3, 130, 193), SHAPE(3, 193), SHAPE(3, 193)),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- root mean square ------------------------------------------------------------------------- */

static struct tensor *build_rmsnorm(struct graph *g, struct tensor *const in[],
                                    const struct check_case *c)
{
    return op_rmsnorm(g, in[0], in[1], c->arg[0].f);
}

static void ref_rmsnorm(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape);

    for (int64_t r = 0; r < shape_rows(c->in[0].shape); r++) {
        double square = 0;

        for (int64_t d = 0; d < D; d++)
            square += in[0][r * D + d] * in[0][r * D + d] / (double)D;
        for (int64_t d = 0; d < D; d++)
            out[r * D + d] = in[0][r * D + d] / sqrt(square + c->arg[0].f) * (in[1] ? in[1][d] : 1);
    }
}

static void test_rmsnorm(void **state)
{
#define RMS(what, weight, size)                                                        \
    {                                                                                  \
        .name = "rmsnorm " what,                                                       \
        .in = {{.shape = size, .batched = true}, {.shape = weight, .mean = 1}},        \
        .arg = {{.f = 1e-6}}, .out = size, .build = build_rmsnorm, .ref = ref_rmsnorm, \
        .alone_grad = true                                                             \
    }
    const struct check_case cases[] = {
        RMS("tokens", SHAPE(37), SHAPE(3, 5, 37)),   RMS("plain", ABSENT, SHAPE(3, 5, 16)),
        RMS("one channel", SHAPE(1), SHAPE(3, 1)),   RMS("nothing", SHAPE(8), SHAPE(0, 8)),
        RMS("large", SHAPE(383), SHAPE(3, 60, 383)), RMS("large, plain", ABSENT, SHAPE(90, 383)),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- length one ------------------------------------------------------------------------------- */

static struct tensor *build_l2norm(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    return op_l2norm(g, in[0], c->arg[0].f);
}

static void ref_l2norm(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape);

    for (int64_t r = 0; r < shape_rows(c->in[0].shape); r++) {
        double square = 0;

        for (int64_t d = 0; d < D; d++)
            square += in[0][r * D + d] * in[0][r * D + d];
        for (int64_t d = 0; d < D; d++)
            out[r * D + d] = in[0][r * D + d] / fmax(sqrt(square), c->arg[0].f);
    }
}

static void test_l2norm(void **state)
{
#define L2(what, size, deviation, eps)                                                      \
    {                                                                                       \
        .name = "l2norm " what, .in = {{.shape = size, .batched = true, .std = deviation}}, \
        .arg = {{.f = eps}}, .out = size, .build = build_l2norm, .ref = ref_l2norm,         \
        .alone_grad = true                                                                  \
    }
    const struct check_case cases[] = {
        L2("tokens", SHAPE(3, 5, 37), 1, 1e-12), L2("picture", SHAPE(2, 3, 3, 6), 30, 1e-12),
        L2("tiny", SHAPE(4, 16), 1e-6, 1e-12),   L2("shorter than eps", SHAPE(4, 16), 1e-3, 1),
        L2("nothing", SHAPE(0, 8), 1, 1e-12),    L2("large", SHAPE(3, 60, 383), 1, 1e-12),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* A row of zeros has no direction: it stays, and gives a gradient that is a number. */
static void test_l2norm_zeros(void **state)
{
    const float zeros[5] = {0}, cot[5] = {1, 2, 3, 4, 5};
    float y[5], dx[5];
    struct graph *g = NULL;
    struct tensor *x, *out;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    x = graph_input(g, SHAPE(1, 5), zeros);
    graph_want_grad(x);
    out = op_l2norm(g, x, 0.5);
    graph_keep(g, out);
    graph_backward(g, op_sum(g, op_mul(g, out, graph_input(g, SHAPE(1, 5), cot))));
    graph_keep(g, x->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, out, y);
    graph_read(g, x->grad, dx);
    for (int d = 0; d < 5; d++) {
        assert_float_equal(y[d], 0, 0);
        assert_float_equal(dx[d], 2 * cot[d], 1e-6f);
    }
    graph_free(g);
}

/* --- group norm ------------------------------------------------------------------------------- */

/* arg: groups, eps, silu */
static struct tensor *build_groupnorm(struct graph *g, struct tensor *const in[],
                                      const struct check_case *c)
{
    return op_groupnorm(g, in[0], c->arg[0].i, in[1], in[2], in[3], c->arg[2].i, c->arg[1].f);
}

/* One group of one sample: channels [first, first + width) of its T rows. */
static void ref_group(double *out, const double *x, int64_t T, int64_t C, int64_t first,
                      int64_t width, double eps)
{
    double mean = 0, variance = 0, count = (double)(T * width);

    for (int64_t t = 0; t < T; t++)
        for (int64_t c = first; c < first + width; c++)
            mean += x[t * C + c] / count;
    for (int64_t t = 0; t < T; t++)
        for (int64_t c = first; c < first + width; c++)
            variance += (x[t * C + c] - mean) * (x[t * C + c] - mean) / count;
    for (int64_t t = 0; t < T; t++)
        for (int64_t c = first; c < first + width; c++)
            out[t * C + c] = (x[t * C + c] - mean) / sqrt(variance + eps);
}

static void ref_groupnorm(double *out, const double *const in[], const struct check_case *c)
{
    struct shape s = c->in[0].shape;
    int64_t C = shape_last(s), G = c->arg[0].i, T = s.dim[0] ? shape_rows(s) / s.dim[0] : 1;

    for (int64_t n = 0; n < s.dim[0]; n++) {
        for (int64_t g = 0; g < G; g++)
            ref_group(out + n * T * C, in[0] + n * T * C, T, C, g * (C / G), C / G, c->arg[1].f);
        for (int64_t i = 0; i < T * C; i++) {
            int64_t k = i % C;
            double v = out[n * T * C + i] * in[1][k] + in[2][k];

            if (in[3])
                v = v * (1 + in[3][n * 2 * C + k]) + in[3][n * 2 * C + C + k];
            out[n * T * C + i] = c->arg[2].i ? v / (1 + exp(-v)) : v;
        }
    }
}

#define GROUP_AT(what, G, C, film, silu, eps, tolerance, ...)                             \
    {                                                                                     \
        .name = "groupnorm " what,                                                        \
        .in = {{__VA_ARGS__, .batched = true},                                            \
               {.shape = SHAPE(C), .mean = 1, .std = 0.5},                                \
               {.shape = SHAPE(C)},                                                       \
               {.shape = film, .batched = true}},                                         \
        .arg = {{.i = G}, {.f = eps}, {.i = silu}}, .build = build_groupnorm,             \
        .ref = ref_groupnorm, .tol = tolerance, .grad_tol = tolerance, .alone_grad = true \
    }
#define GROUP(what, G, C, film, silu, ...) GROUP_AT(what, G, C, film, silu, 1e-5, 2e-5, __VA_ARGS__)

static void test_groupnorm(void **state)
{
    const struct check_case cases[] = {
        GROUP("32 groups", 32, 64, ABSENT, 0, .shape = SHAPE(2, 3, 4, 64)),
        GROUP("several", 3, 24, ABSENT, 0, .shape = SHAPE(3, 5, 3, 24)),
        GROUP("instance", 5, 5, ABSENT, 0, .shape = SHAPE(2, 4, 3, 5)),
        GROUP("one group", 1, 6, ABSENT, 0, .shape = SHAPE(2, 3, 3, 6)),
        GROUP("silu", 2, 10, ABSENT, 1, .shape = SHAPE(3, 3, 4, 10)),
        GROUP("film", 2, 10, SHAPE(3, 20), 0, .shape = SHAPE(3, 3, 4, 10)),
        GROUP("film, silu", 2, 10, SHAPE(3, 20), 1, .shape = SHAPE(3, 3, 4, 10)),
        GROUP("tokens", 4, 12, SHAPE(2, 24), 1, .shape = SHAPE(2, 5, 12)),
        GROUP("nothing", 2, 4, SHAPE(0, 8), 1, .shape = SHAPE(0, 3, 3, 4)),
        GROUP("single pixel", 2, 8, ABSENT, 1, .shape = SHAPE(2, 1, 1, 8)),
        GROUP("blocks", 8, 40, SHAPE(1, 80), 1, .shape = SHAPE(1, 34, 35, 40)),
        GROUP("blocks, batch", 8, 40, SHAPE(5, 80), 1, .shape = SHAPE(5, 24, 25, 40)),
        GROUP("blocks, plain", 3, 33, ABSENT, 0, .shape = SHAPE(3, 24, 25, 33)),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* float32 inputs around 100 with spread 0.01 carry 8e-6 / 0.01 of rounding, but both sides see the
 * same rounded inputs: what is left is the rounding of the mean, 4e-6 / 0.01 of the spread. */
static void test_hard_statistics(void **state)
{
    const struct check_case cases[] = {
        GROUP_AT("far from zero", 2, 8, ABSENT, 0, 1e-5, 1e-3, .shape = SHAPE(2, 24, 25, 8),
                 .mean = 100, .std = 0.01),
        GROUP_AT("tiny variance", 2, 8, SHAPE(2, 16), 1, 1e-5, 1e-3, .shape = SHAPE(2, 7, 5, 8),
                 .mean = 3, .std = 3e-3),
        {.name = "layernorm far from zero",
         .in = {{.shape = SHAPE(5, 96), .mean = 100, .std = 0.01, .batched = true}},
         .arg = {{.f = 1e-6}},
         .build = build_layernorm,
         .ref = ref_layernorm,
         .tol = 1e-3,
         .grad_tol = 1e-3},
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- residual branches ------------------------------------------------------------------------ */

/* x + norm(x): the norm's adjoint meets a gradient that is already there, and adds to it. */
static struct tensor *build_around(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    struct tensor *h = c->arg[3].i ? build_groupnorm(g, in, c)
                                   : op_layernorm_modulate(g, in[0], in[1], in[2], c->arg[0].f);

    return op_add(g, in[0], h);
}

static void ref_around(double *out, const double *const in[], const struct check_case *c)
{
    if (c->arg[3].i)
        ref_groupnorm(out, in, c);
    else
        ref_layernorm_modulate(out, in, c);
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] += in[0][i];
}

static void test_residual(void **state)
{
#define AROUND(what, film, silu, ...)                                                 \
    {                                                                                 \
        .name = "residual " what,                                                     \
        .in = {{__VA_ARGS__, .batched = true},                                        \
               {.shape = SHAPE(12), .mean = 1, .std = 0.5},                           \
               {.shape = SHAPE(12)},                                                  \
               {.shape = film, .batched = true}},                                     \
        .arg = {{.i = 3}, {.f = 1e-5}, {.i = silu}, {.i = 1}}, .build = build_around, \
        .ref = ref_around, .alone_grad = true                                         \
    }
    const struct check_case cases[] = {
        AROUND("groupnorm", ABSENT, 0, .shape = SHAPE(3, 3, 4, 12)),
        AROUND("groupnorm, silu", ABSENT, 1, .shape = SHAPE(3, 3, 4, 12)),
        AROUND("groupnorm, film, silu", SHAPE(2, 24), 1, .shape = SHAPE(2, 40, 41, 12)),
        {.name = "residual layernorm",
         .in = {{.shape = SHAPE(2, 150, 67), .batched = true},
                {.shape = SHAPE(2, 67), .batched = true},
                {.shape = SHAPE(2, 67), .batched = true}},
         .arg = {{.f = 1e-6}},
         .build = build_around,
         .ref = ref_around,
         .alone_grad = true},
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* A constant picture has variance 0: eps alone keeps the result finite, and it is the bias. */
static void test_constant(void **state)
{
    static float values[2 * 3 * 3 * 4];
    struct check_case c = GROUP("constant", 2, 4, ABSENT, 0, .shape = SHAPE(2, 3, 3, 4),
                                .values = values, .fixed = true);

    (void)state;
    for (size_t i = 0; i < COUNT(values); i++)
        values[i] = 0.7f;
    check_op(&c);
}

/* The statistics of two parts, put together, are the whole's, and by them a part is what it is as a
 * part of the whole. */
static void test_parts(void **state)
{
    enum { H = 37, W = 5, C = 12, G = 3, CUT = 11, N = H * W * C };
    static const int32_t window[2][2] = {{0, CUT}, {CUT, H}};
    float x[N], weight[C], bias[C], whole[N], parts[N], moments[2][2 * G], all[2 * G];
    struct tensor *y, *w, *b, *m[2];
    struct rng r = rng_stream(7, RNG_TEST, 1);
    struct graph *g;

    (void)state;
    rng_normals(&r, x, N);
    rng_normals(&r, weight, C);
    rng_normals(&r, bias, C);
    for (int i = 0; i < N; i++)
        x[i] += i < N / 3 ? 100 : 90;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    y = graph_input(g, SHAPE(1, H, W, C), x);
    w = graph_input(g, SHAPE(C), weight);
    b = graph_input(g, SHAPE(C), bias);
    for (int k = 0; k < 2; k++)
        graph_keep(g, m[k] = op_group_moments(g, y, G, graph_input_i32(g, SHAPE(2), window[k])));
    graph_keep(g, y = op_groupnorm(g, y, G, w, b, NULL, true, 1e-6));
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, whole);
    for (int k = 0; k < 2; k++)
        graph_read(g, m[k], moments[k]);
    for (int i = 0; i < G; i++) {
        struct moments sum = {0};

        for (int k = 0; k < 2; k++) {
            double n = (window[k][1] - window[k][0]) * W * (C / G);

            sum = moments_merge(
                sum, (struct moments){n, (double)moments[k][i], n * (double)moments[k][G + i]});
        }
        all[i] = (float)sum.mean;
        all[G + i] = (float)(sum.m2 / sum.count);
    }
    for (int k = 0; k < 2; k++) {
        int64_t first = window[k][0] * W * C, rows = window[k][1] - window[k][0];

        graph_reset(g);
        y = op_groupnorm_by(g, graph_input(g, SHAPE(1, rows, W, C), x + first), G,
                            graph_input(g, SHAPE(2, G), all), graph_input(g, SHAPE(C), weight),
                            graph_input(g, SHAPE(C), bias), true, 1e-6);
        graph_keep(g, y);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, y, parts + first);
    }
    for (int i = 0; i < N; i++)
        assert_true(fabsf(parts[i] - whole[i]) < 1e-5f);
    graph_free(g);
}

/* x [N, H, W, C] normalised in 4 groups, with SiLU, by a graph of so many threads. */
static void run_large(float *out, const float *x, struct shape shape, int threads)
{
    static const float weight[] = {1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1};
    struct tensor *y, *affine;
    struct graph *g;

    assert_int_equal(graph_new(&g, 0, threads, NULL), OK);
    affine = graph_input(g, SHAPE(16), weight);
    y = op_groupnorm(g, graph_input(g, shape, x), 4, affine, affine, NULL, true, 1e-6);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, out);
    graph_free(g);
}

/* A result that no cache holds is written past them: the bits are those of each sample by itself,
 * which is not, on any number of threads. */
static void test_large(void **state)
{
    enum { N = 33, H = 128, W = 128, C = 16, SAMPLE = H * W * C };
    float *x, *all, *again, *one;
    struct rng r = rng_stream(8, RNG_TEST, 1);

    (void)state;
    x = malloc(N * SAMPLE * sizeof *x);
    all = malloc(N * SAMPLE * sizeof *all);
    again = malloc(N * SAMPLE * sizeof *again);
    one = malloc(SAMPLE * sizeof *one);
    assert_true(x && all && again && one);
    for (int64_t i = 0; i < N * SAMPLE; i++)
        x[i] = (float)(rng_u32(&r) >> 8) * 0x1p-22f - 2;
    run_large(all, x, SHAPE(N, H, W, C), 1);
    run_large(again, x, SHAPE(N, H, W, C), 3);
    assert_memory_equal(all, again, N * SAMPLE * sizeof *all);
    for (int64_t n = 0; n < N; n++) {
        run_large(one, x + n * SAMPLE, SHAPE(1, H, W, C), 2);
        assert_memory_equal(one, all + n * SAMPLE, SAMPLE * sizeof *one);
    }
    free(x);
    free(all);
    free(again);
    free(one);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layernorm),       cmocka_unit_test(test_modulate),
        cmocka_unit_test(test_rmsnorm),         cmocka_unit_test(test_l2norm),
        cmocka_unit_test(test_l2norm_zeros),    cmocka_unit_test(test_groupnorm),
        cmocka_unit_test(test_hard_statistics), cmocka_unit_test(test_constant),
        cmocka_unit_test(test_residual),        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
