/*
 * test_attention.c - attention in tiles against the formula written out
 *
 * Sizes stand around the edges of the tiles (64 queries, 64 keys, blocks of 64 to 256 rows, vectors
 * of 16) and on both sides of the choice to cut a head among threads.
 */
#include "ops/attention.h"

#include "base/rng.h"
#include "graph/graph.h"
#include "ops/basic.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ARG_HEADS, ARG_ORDER };

static struct tensor *build_attention(struct graph *g, struct tensor *const in[],
                                      const struct check_case *c)
{
    return op_attention(g, in[0], c->arg[ARG_HEADS].i, (enum qkv_order)c->arg[ARG_ORDER].i);
}

/* One row of one head: the softmax of its scores, then the mean of v under it. */
static void attend_row(double *out, const double *q, const double *k, const double *v, int64_t row,
                       int64_t T, int64_t d, double *p)
{
    double top = -HUGE_VAL, sum = 0;

    for (int64_t j = 0; j < T; j++) {
        p[j] = 0;
        for (int64_t c = 0; c < d; c++)
            p[j] += q[c] * k[j * row + c];
        p[j] /= sqrt((double)d);
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < T; j++)
        sum += p[j] = exp(p[j] - top);
    for (int64_t c = 0; c < d; c++)
        out[c] = 0;
    for (int64_t j = 0; j < T; j++)
        for (int64_t c = 0; c < d; c++)
            out[c] += p[j] / sum * v[j * row + c];
}

static void ref_attention(double *out, const double *const in[], const struct check_case *c)
{
    const struct shape s = c->in[0].shape;
    const int64_t N = s.dim[0], T = s.dim[1], D = s.dim[2] / 3, heads = c->arg[ARG_HEADS].i;
    const int64_t d = D / heads;
    double *p = malloc((size_t)(T + 1) * sizeof(double));

    assert_non_null(p);
    for (int64_t n = 0; n < N; n++)
        for (int64_t h = 0; h < heads; h++) {
            const bool split = c->arg[ARG_ORDER].i == QKV_SPLIT;
            const double *q = in[0] + n * T * 3 * D + (split ? h * d : 3 * h * d);
            const double *k = q + (split ? D : d), *v = k + (split ? D : d);

            for (int64_t i = 0; i < T; i++)
                attend_row(out + (n * T + i) * D + h * d, q + i * 3 * D, k, v, 3 * D, T, d, p);
        }
    free(p);
}

#define DRAWN(N, T, H, d, o, m, s, t)                                                     \
    {                                                                                     \
        .name = "attention " #N " " #T " " #H " " #d " " #o,                              \
        .in = {{.shape = {3, {N, T, 3 * H * d}}, .batched = true, .mean = m, .std = s}},  \
        .arg = {{.i = H}, {.i = o}}, .out = {3, {N, T, H * d}}, .build = build_attention, \
        .ref = ref_attention, .alone_grad = true, .probes = T > 100 ? 10 : 30, .tol = t,  \
        .grad_tol = t                                                                     \
    }
#define CASE(N, T, H, d, o) DRAWN(N, T, H, d, o, 0, 1, 0)

static void test_sizes(void **state)
{
    static const struct check_case cases[] = {
        CASE(2, 1, 1, 4, QKV_SPLIT),    CASE(2, 1, 3, 8, QKV_PERHEAD),
        CASE(3, 3, 2, 4, QKV_SPLIT),    CASE(3, 3, 2, 4, QKV_PERHEAD),
        CASE(2, 17, 3, 8, QKV_SPLIT),   CASE(2, 17, 3, 40, QKV_PERHEAD),
        CASE(2, 64, 2, 64, QKV_SPLIT),  CASE(2, 64, 2, 80, QKV_PERHEAD),
        CASE(9, 65, 2, 8, QKV_SPLIT),   CASE(1, 100, 1, 40, QKV_PERHEAD),
        CASE(1, 100, 2, 5, QKV_SPLIT),  CASE(1, 257, 1, 64, QKV_SPLIT),
        CASE(17, 70, 1, 1, QKV_SPLIT),  CASE(2, 257, 1, 80, QKV_PERHEAD),
        CASE(1, 40, 1, 256, QKV_SPLIT), CASE(3, 300, 3, 16, QKV_PERHEAD),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static void test_empty(void **state)
{
    static const struct check_case cases[] = {
        CASE(0, 5, 2, 4, QKV_SPLIT),
        CASE(2, 0, 2, 4, QKV_PERHEAD),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* Scores of a hundred, where one key takes nearly all, and of four hundred that differ little: e^s
 * is outside of float32.  The last place of a score of 400 is 3e-5, which no order of summation
 * avoids. */
static void test_large_scores(void **state)
{
    static const struct check_case cases[] = {
        DRAWN(2, 6, 1, 8, QKV_SPLIT, 0, 8, 0),
        DRAWN(1, 130, 2, 16, QKV_PERHEAD, 10, 0.5, 5e-3),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* A network that has gone wrong must not look well: one NaN among the keys reaches every row. */
static void test_nan_is_seen(void **state)
{
    enum { T = 70, D = 4 };
    static float x[T * 3 * D], out[T * D];
    struct rng r = rng_stream(4, RNG_TEST, 0);
    struct error err = {0};
    struct graph *g = NULL;
    struct tensor *y;

    (void)state;
    rng_normals(&r, x, T * 3 * D);
    x[66 * 3 * D + D] = NAN;
    assert_int_equal(graph_new(&g, 0, 1, &err), OK);
    y = op_attention(g, graph_input(g, SHAPE(1, T, 3 * D), x), 1, QKV_SPLIT);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, &err), OK);
    graph_read(g, y, out);
    for (int i = 0; i < T * D; i++)
        assert_true(isnan(out[i]));
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_nan_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
