/*
 * test_embedding.c - labels and times to vectors
 */
#include "ops/embedding.h"

#include "ops/basic.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tensor *build_embedding(struct graph *g, struct tensor *const in[],
                                      const struct check_case *c)
{
    (void)c;
    return op_embedding(g, in[0], in[1]);
}

static void ref_embedding(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape);

    for (int64_t n = 0; n < shape_count(c->in[1].shape); n++)
        for (int64_t d = 0; d < D; d++)
            out[n * D + d] = in[0][(int64_t)in[1][n] * D + d];
}

/* With more ids than rows, some repeat: the adjoint must add up. */
static void test_rows(void **state)
{
#define ROWS(what, K, D, N)                                                \
    {                                                                      \
        .name = "embedding, " what,                                        \
        .in = {{.shape = SHAPE(K, D), .param = true},                      \
               {.shape = SHAPE(N), .ids = K, .batched = true}},            \
        .out = SHAPE(N, D), .build = build_embedding, .ref = ref_embedding \
    }
    const struct check_case cases[] = {
        ROWS("one", 1, 1, 1),
        ROWS("repeated", 3, 5, 11),
        ROWS("mostly unused", 40, 7, 3),
        ROWS("nothing", 3, 5, 0),
        ROWS("large", 11, 384, 200),
        {.name = "embedding, sequences",
         .in = {{.shape = SHAPE(7, 5), .param = true},
                {.shape = SHAPE(3, 4), .ids = 7, .batched = true}},
         .out = SHAPE(3, 4, 5),
         .build = build_embedding,
         .ref = ref_embedding},
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static struct tensor *build_time(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    return op_time_features(g, in[0], c->arg[0].i);
}

static void ref_time(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = c->arg[0].i, half = D / 2;

    for (int64_t n = 0; n < c->in[0].shape.dim[0]; n++)
        for (int64_t k = 0; k < half; k++) {
            double angle = in[0][n] * pow(10000, -(double)k / (double)half);

            out[n * D + k] = cos(angle);
            out[n * D + half + k] = sin(angle);
        }
    for (int64_t n = 0; n < c->in[0].shape.dim[0] && D % 2; n++)
        out[n * D + D - 1] = 0;
}

static void test_time(void **state)
{
#define TIME(N, D, center, spread)                                                                \
    {                                                                                             \
        .name = "time features",                                                                  \
        .in =                                                                                     \
            {{.shape = SHAPE(N), .mean = center, .std = spread, .fixed = true, .batched = true}}, \
        .arg = {{.i = D}}, .out = SHAPE(N, D), .build = build_time, .ref = ref_time, .tol = 2e-7  \
    }
    const struct check_case cases[] = {
        TIME(1, 2, 0.5, 1), TIME(3, 256, 0.5, 1), TIME(9, 32, 500, 300),
        TIME(0, 8, 0, 1),   TIME(4, 7, 300, 300), TIME(2, 3, 1, 1),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static struct tensor *build_waves(struct graph *g, struct tensor *const in[],
                                  const struct check_case *c)
{
    return op_time_waves(g, in[0], c->arg[0].i);
}

static void ref_waves(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = c->arg[0].i, half = D / 2;

    for (int64_t n = 0; n < c->in[0].shape.dim[0]; n++)
        for (int64_t k = 0; k < half; k++) {
            double angle = in[0][n] * pow(10000, -(double)k / (double)(half - 1));

            out[n * D + k] = sin(angle);
            out[n * D + half + k] = cos(angle);
        }
    for (int64_t n = 0; n < c->in[0].shape.dim[0] && D % 2; n++)
        out[n * D + D - 1] = 0;
}

static struct tensor *build_fourier(struct graph *g, struct tensor *const in[],
                                    const struct check_case *c)
{
    (void)c;
    return op_fourier_features(g, in[0], in[1], in[2]);
}

static void ref_fourier(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = c->in[1].shape.dim[0];

    for (int64_t n = 0; n < c->in[0].shape.dim[0]; n++)
        for (int64_t d = 0; d < D; d++)
            out[n * D + d] = sqrt(2) * cos(in[0][n] * in[1][d] + in[2][d]);
}

static void test_other_waves(void **state)
{
#define WAVES(N, D, center, spread)                                                                \
    {                                                                                              \
        .name = "time waves",                                                                      \
        .in =                                                                                      \
            {{.shape = SHAPE(N), .mean = center, .std = spread, .fixed = true, .batched = true}},  \
        .arg = {{.i = D}}, .out = SHAPE(N, D), .build = build_waves, .ref = ref_waves, .tol = 2e-7 \
    }
#define FOURIER(N, D, spread)                                                       \
    {                                                                               \
        .name = "fourier features",                                                 \
        .in = {{.shape = SHAPE(N), .std = spread, .fixed = true, .batched = true},  \
               {.shape = SHAPE(D), .std = 6, .fixed = true, .param = true},         \
               {.shape = SHAPE(D), .std = 6, .fixed = true, .param = true}},        \
        .out = SHAPE(N, D), .build = build_fourier, .ref = ref_fourier, .tol = 2e-7 \
    }
    const struct check_case cases[] = {
        WAVES(2, 9, 1, 1), WAVES(1, 4, 0.5, 1), WAVES(9, 128, 500, 300), WAVES(0, 8, 0, 1),
        FOURIER(1, 1, 1),  FOURIER(7, 33, 1),   FOURIER(3, 64, 300),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static struct tensor *build_one_hot(struct graph *g, struct tensor *const in[],
                                    const struct check_case *c)
{
    return op_one_hot(g, in[0], c->in[0].ids, c->arg[0].f);
}

static void ref_one_hot(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t n = 0; n < c->in[0].shape.dim[0]; n++)
        for (int64_t k = 0; k < c->in[0].ids; k++)
            out[n * c->in[0].ids + k] = k == (int64_t)in[0][n] ? c->arg[0].f : 0;
}

static void test_one_hot(void **state)
{
#define ONE_HOT(N, K)                                                                       \
    {                                                                                       \
        .name = "one hot", .in = {{.shape = SHAPE(N), .ids = K, .batched = true}},          \
        .arg = {{.f = 1.5}}, .out = SHAPE(N, K), .build = build_one_hot, .ref = ref_one_hot \
    }
    const struct check_case cases[] = {ONE_HOT(1, 1), ONE_HOT(5, 3), ONE_HOT(0, 4),
                                       ONE_HOT(70, 1000)};

    (void)state;
    check_ops(cases, COUNT(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_other_waves),
        cmocka_unit_test(test_one_hot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
