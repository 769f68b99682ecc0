/*
 * test_sequence.c - rows of sequences, against their definitions in double
 */
#include "ops/sequence.h"

#include "base/rng.h"
#include "ops/attention.h"

#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- joined and cut --------------------------------------------------------------------------- */

static struct tensor *build_join(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    (void)c;
    return op_tokens_join(g, in[0], in[1]);
}

static void ref_join(double *out, const double *const in[], const struct check_case *c)
{
    int64_t A = c->in[0].shape.dim[1], B = c->in[1].shape.dim[1], D = c->out.dim[2];

    for (int64_t n = 0; n < c->out.dim[0]; n++)
        for (int64_t t = 0; t < A + B; t++)
            for (int64_t d = 0; d < D; d++)
                out[(n * (A + B) + t) * D + d] =
                    t < A ? in[0][(n * A + t) * D + d] : in[1][(n * B + t - A) * D + d];
}

static struct tensor *build_cut(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    return op_tokens_cut(g, in[0], c->arg[0].i, c->out.dim[1]);
}

static void ref_cut(double *out, const double *const in[], const struct check_case *c)
{
    int64_t T = c->in[0].shape.dim[1], count = c->out.dim[1], D = c->out.dim[2];

    for (int64_t n = 0; n < c->out.dim[0]; n++)
        for (int64_t i = 0; i < count * D; i++)
            out[n * count * D + i] = in[0][n * T * D + c->arg[0].i * D + i];
}

static void test_tokens(void **state)
{
#define JOIN(N, A, B, D)                                                              \
    {                                                                                 \
        .name = "join " #A " " #B,                                                    \
        .in = {{.shape = SHAPE(N, A, D), .batched = true},                            \
               {.shape = SHAPE(N, B, D), .batched = true}},                           \
        .out = SHAPE(N, A + B, D), .build = build_join, .ref = ref_join, .tol = 1e-12 \
    }
#define CUT(N, T, D, first, count)                                                            \
    {                                                                                         \
        .name = "cut " #first " " #count, .in = {{.shape = SHAPE(N, T, D), .batched = true}}, \
        .arg = {{.i = first}}, .out = SHAPE(N, count, D), .build = build_cut, .ref = ref_cut, \
        .tol = 1e-12                                                                          \
    }
    const struct check_case cases[] = {
        JOIN(3, 2, 5, 4),   JOIN(1, 0, 3, 2),   JOIN(2, 70, 1, 3),
        CUT(3, 7, 4, 2, 3), CUT(2, 7, 1, 0, 7), CUT(2, 7, 3, 7, 0),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- a window --------------------------------------------------------------------------------- */

static struct grid_window window_of(const struct check_case *c)
{
    return (struct grid_window){c->arg[0].i, c->arg[1].i, c->arg[2].i, c->arg[3].i, c->arg[4].i};
}

static struct tensor *build_window(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    return op_window(g, in[0], window_of(c));
}

static void ref_window(double *out, const double *const in[], const struct check_case *c)
{
    struct grid_window w = window_of(c);
    int64_t D = shape_last(c->out);

    for (int64_t i = 0; i < w.height; i++)
        for (int64_t j = 0; j < w.width; j++)
            for (int64_t d = 0; d < D; d++)
                out[(i * w.width + j) * D + d] = in[0][((w.top + i) * w.side + w.left + j) * D + d];
}

static void test_window(void **state)
{
#define WINDOW(M, t, l, h, w, D)                                                              \
    {                                                                                         \
        .name = "window " #M " " #t " " #l " " #h " " #w,                                     \
        .in = {{.shape = SHAPE(1, M * M, D), .fixed = true}},                                 \
        .arg = {{.i = M}, {.i = t}, {.i = l}, {.i = h}, {.i = w}}, .out = SHAPE(1, h * w, D), \
        .build = build_window, .ref = ref_window, .tol = 1e-12                                \
    }
    const struct check_case cases[] = {
        WINDOW(5, 0, 0, 5, 5, 3), WINDOW(5, 1, 2, 3, 2, 4), WINDOW(12, 4, 0, 8, 12, 7),
        WINDOW(3, 2, 2, 1, 1, 1), WINDOW(4, 1, 1, 0, 2, 3), WINDOW(4, 1, 1, 2, 0, 3),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- the row of the largest id ---------------------------------------------------------------- */

static struct tensor *build_row(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    (void)c;
    return op_row_of_largest(g, in[0], in[1]);
}

static void ref_row(double *out, const double *const in[], const struct check_case *c)
{
    int64_t T = c->in[0].shape.dim[1], D = shape_last(c->out);

    for (int64_t n = 0; n < c->out.dim[0]; n++) {
        int64_t at = 0;

        for (int64_t t = T; t-- > 0;)
            at = in[1][n * T + t] >= in[1][n * T + at] ? t : at;
        for (int64_t d = 0; d < D; d++)
            out[n * D + d] = in[0][(n * T + at) * D + d];
    }
}

/* Few different ids among many places: the largest comes more than once. */
static void test_row_of_largest(void **state)
{
#define ROW(N, T, D, words)                                                                      \
    {                                                                                            \
        .name = "row of largest " #N " " #T " " #words,                                          \
        .in = {{.shape = SHAPE(N, T, D), .batched = true},                                       \
               {.shape = SHAPE(N, T), .ids = words, .batched = true}},                           \
        .out = SHAPE(N, D), .build = build_row, .ref = ref_row, .tol = 1e-12, .alone_grad = true \
    }
    const struct check_case cases[] = {
        ROW(1, 1, 3, 5), ROW(4, 9, 5, 1000), ROW(5, 20, 3, 3), ROW(3, 7, 2, 1), ROW(0, 4, 3, 5),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- ids, thinned out -------------------------------------------------------------------------
 */

/* A mask of every third id is that mask. */
static void test_ids_every(void **state)
{
    enum { N = 2, T = 4, D = 8, EVERY = 3 };
    static const int32_t ids[N][T * EVERY] = {{7, 0, 0, 0, 9, 9, 3, 3, 3, 0, 1, 1},
                                              {1, 1, 0, 2, 0, 0, 0, 5, 5, 4, 0, 0}};
    static const int32_t thin[N][T] = {{7, 0, 3, 0}, {1, 2, 0, 4}};
    float qkv[N * T * 3 * D], got[N * T * D], want[N * T * D];
    struct rng r = rng_stream(9, RNG_TEST, 0);
    struct tensor *x, *a, *b;
    struct graph *g;

    (void)state;
    rng_normals(&r, qkv, COUNT(qkv));
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    x = graph_input(g, SHAPE(N, T, 3 * D), qkv);
    a = op_ids_every(g, graph_input_i32(g, SHAPE(N, T * EVERY), ids[0]), EVERY);
    a = op_attention_masked(g, x, a, 2, QKV_SPLIT);
    b = op_attention_masked(g, x, graph_input_i32(g, SHAPE(N, T), thin[0]), 2, QKV_SPLIT);
    graph_keep(g, a);
    graph_keep(g, b);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, a, got);
    graph_read(g, b, want);
    assert_memory_equal(got, want, sizeof want);
    graph_free(g);
}

/* --- relative positions ----------------------------------------------------------------------- */

/* The published thresholds of 32 buckets up to 128. */
static int64_t bucket_of(int64_t offset)
{
    static const int64_t from[] = {8, 12, 16, 23, 32, 46, 64, 91};
    int64_t distance = llabs(offset), b = distance < 8 ? distance : 7;

    for (size_t i = 0; i < COUNT(from); i++)
        b += distance >= from[i];
    return b + (offset > 0 ? 16 : 0);
}

static void test_buckets(void **state)
{
    (void)state;
    for (int64_t offset = -1000; offset <= 1000; offset++)
        assert_int_equal(relative_bucket(offset, 32, 128), bucket_of(offset));
}

static struct tensor *build_bias(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    return op_relative_bias(g, in[0], c->out.dim[1], 128);
}

static void ref_bias(double *out, const double *const in[], const struct check_case *c)
{
    int64_t heads = c->out.dim[0], T = c->out.dim[1];

    for (int64_t h = 0; h < heads; h++)
        for (int64_t a = 0; a < T; a++)
            for (int64_t b = 0; b < T; b++)
                out[(h * T + a) * T + b] = in[0][bucket_of(b - a) * heads + h];
}

static void test_relative_bias(void **state)
{
#define BIAS(H, T)                                                                          \
    {                                                                                       \
        .name = "relative bias " #H " " #T, .in = {{.shape = SHAPE(32, H), .param = true}}, \
        .out = SHAPE(H, T, T), .build = build_bias, .ref = ref_bias, .tol = 1e-12           \
    }
    const struct check_case cases[] = {BIAS(1, 1), BIAS(3, 40), BIAS(2, 150), BIAS(2, 0)};

    (void)state;
    check_ops(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),         cmocka_unit_test(test_window),
        cmocka_unit_test(test_row_of_largest), cmocka_unit_test(test_ids_every),
        cmocka_unit_test(test_buckets),        cmocka_unit_test(test_relative_bias),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
