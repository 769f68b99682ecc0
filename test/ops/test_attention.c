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

enum { ARG_HEADS, ARG_ORDER, ARG_FORMED, ARG_CAUSAL, ARG_SCALE };
enum { IN_Q, IN_MASK, IN_KV, IN_BIAS }; /* of a case; without IN_KV, IN_Q is packed */

static struct tensor *build_attention(struct graph *g, struct tensor *const in[],
                                      const struct check_case *c)
{
    const int64_t heads = c->arg[ARG_HEADS].i;
    const enum qkv_order order = (enum qkv_order)c->arg[ARG_ORDER].i;

    if (c->arg[ARG_FORMED].i)
        return op_attention_formed(g, in[IN_Q], in[IN_KV], heads,
                                   &(struct attention_form){.scale = c->arg[ARG_SCALE].f,
                                                            .bias = in[IN_BIAS],
                                                            .causal = c->arg[ARG_CAUSAL].i});
    if (in[IN_KV])
        return op_attention_cross(g, in[IN_Q], in[IN_KV], in[IN_MASK], heads);
    return in[IN_MASK] ? op_attention_masked(g, in[IN_Q], in[IN_MASK], heads, order)
                       : op_attention(g, in[IN_Q], heads, order);
}

/* What one row of one head is asked: of the first M keys those count whose word in the mask is not
 * 0, and of all keys the first `seen`. */
struct row {
    const double *q, *k, *v, *mask, *bias;
    int64_t step, keys, seen, M, d;
    double scale;
};

/* The softmax of its scores, then the mean of v under it. */
static void attend_row(double *out, const struct row *r, double *p)
{
    double top = -HUGE_VAL, sum = 0;
    const int64_t T = r->keys, d = r->d;

    for (int64_t j = 0; j < T; j++) {
        p[j] = 0;
        for (int64_t c = 0; c < d; c++)
            p[j] += r->q[c] * r->k[j * r->step + c];
        p[j] = p[j] * r->scale + (r->bias ? r->bias[j] : 0);
        if ((j < r->M && r->mask[j] == 0) || j >= r->seen)
            p[j] = -HUGE_VAL;
        top = fmax(top, p[j]);
    }
    for (int64_t j = 0; j < T; j++)
        sum += p[j] = p[j] == -HUGE_VAL ? 0 : exp(p[j] - top);
    for (int64_t c = 0; c < d; c++)
        out[c] = 0;
    for (int64_t j = 0; j < T && sum > 0; j++)
        for (int64_t c = 0; c < d; c++)
            out[c] += p[j] / sum * r->v[j * r->step + c];
}

static void ref_attention(double *out, const double *const in[], const struct check_case *c)
{
    const bool cross = in[IN_KV], split = c->arg[ARG_ORDER].i == QKV_SPLIT;
    const struct shape q = c->in[IN_Q].shape, keys = cross ? c->in[IN_KV].shape : q;
    const int64_t N = q.dim[0], T = q.dim[1], S = keys.dim[1], heads = c->arg[ARG_HEADS].i;
    const int64_t q_row = q.dim[2], kv_row = keys.dim[2], D = cross ? q_row : q_row / 3;
    const int64_t d = D / heads, M = in[IN_MASK] ? c->in[IN_MASK].shape.dim[1] : 0;
    double *p = malloc((size_t)(S + 1) * sizeof(double));

    assert_non_null(p);
    for (int64_t n = 0; n < N; n++)
        for (int64_t h = 0; h < heads; h++) {
            const int64_t first = cross || split ? h * d : 3 * h * d, step = split ? D : d;
            const double *from = in[IN_Q] + n * T * q_row + first;
            const double *k = cross ? in[IN_KV] + n * S * kv_row + first : from + step;
            const double *v = k + (cross ? D : step);

            for (int64_t i = 0; i < T; i++) {
                const struct row r = {
                    .q = from + i * q_row,
                    .k = k,
                    .v = v,
                    .mask = M ? in[IN_MASK] + n * M : NULL,
                    .bias = in[IN_BIAS] ? in[IN_BIAS] + (h * T + i) * S : NULL,
                    .step = kv_row,
                    .keys = S,
                    .seen = c->arg[ARG_CAUSAL].i ? i + 1 : S,
                    .M = M,
                    .d = d,
                    .scale = c->arg[ARG_SCALE].f > 0 ? c->arg[ARG_SCALE].f : 1 / sqrt((double)d),
                };

                attend_row(out + (n * T + i) * D + h * d, &r, p);
            }
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

/* A mask over the first M rows; `words`: 2 draws it, 1 lets none of them count. */
#define MASKED(N, T, H, d, o, M, words)                                                   \
    {                                                                                     \
        .name = "masked " #N " " #T " " #H " " #d " " #o " " #M " " #words,               \
        .in = {{.shape = {3, {N, T, 3 * H * d}}, .batched = true},                        \
               {.shape = {2, {N, M}}, .ids = words, .batched = true}},                    \
        .arg = {{.i = H}, {.i = o}}, .out = {3, {N, T, H * d}}, .build = build_attention, \
        .ref = ref_attention, .alone_grad = true, .probes = T > 100 ? 10 : 30             \
    }

static void test_masked(void **state)
{
    static const struct check_case cases[] = {
        MASKED(3, 7, 2, 4, QKV_SPLIT, 7, 2),      MASKED(3, 7, 2, 4, QKV_PERHEAD, 4, 2),
        MASKED(2, 9, 1, 8, QKV_SPLIT, 9, 1),      MASKED(2, 9, 1, 8, QKV_SPLIT, 5, 1),
        MASKED(2, 140, 2, 16, QKV_SPLIT, 100, 2), MASKED(1, 300, 1, 8, QKV_SPLIT, 300, 2),
        MASKED(1, 260, 1, 40, QKV_SPLIT, 70, 1),  MASKED(17, 70, 1, 5, QKV_PERHEAD, 66, 2),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

#define CROSS(N, T, S, H, d)                                                      \
    {                                                                             \
        .name = "cross " #N " " #T " " #S " " #H " " #d,                          \
        .in = {[IN_Q] = {.shape = {3, {N, T, H * d}}, .batched = true},           \
               [IN_KV] = {.shape = {3, {N, S, 2 * H * d}}, .batched = true}},     \
        .arg = {{.i = H}}, .out = {3, {N, T, H * d}}, .build = build_attention,   \
        .ref = ref_attention, .alone_grad = true, .probes = T + S > 100 ? 10 : 30 \
    }
#define CROSS_MASKED(N, T, S, H, d, M, words)                                     \
    {                                                                             \
        .name = "cross masked " #N " " #T " " #S " " #H " " #d " " #M " " #words, \
        .in = {{.shape = {3, {N, T, H * d}}, .batched = true},                    \
               {.shape = {2, {N, M}}, .ids = words, .batched = true},             \
               {.shape = {3, {N, S, 2 * H * d}}, .batched = true}},               \
        .arg = {{.i = H}}, .out = {3, {N, T, H * d}}, .build = build_attention,   \
        .ref = ref_attention, .alone_grad = true, .probes = T + S > 100 ? 10 : 30 \
    }

static void test_cross(void **state)
{
    static const struct check_case cases[] = {
        CROSS(2, 1, 3, 2, 4),
        CROSS(2, 7, 2, 1, 8),
        CROSS(3, 16, 77, 2, 8),
        CROSS(1, 300, 5, 3, 16),
        CROSS(1, 5, 300, 1, 40),
        CROSS(1, 260, 130, 1, 80),
        CROSS_MASKED(3, 16, 6, 2, 10, 6, 2),
        CROSS_MASKED(2, 65, 130, 2, 8, 130, 2),
        CROSS_MASKED(1, 3, 300, 1, 8, 300, 2),
        CROSS_MASKED(2, 4, 5, 1, 4, 5, 1),
        CROSS_MASKED(2, 70, 80, 2, 5, 30, 2),
        CROSS(2, 0, 3, 1, 4),
        CROSS(2, 3, 0, 1, 4),
        CROSS(1, 0, 100, 1, 4),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

#define FORMED(N, T, S, H, d, b, sees, s)                                                        \
    {                                                                                            \
        .name = "formed " #N " " #T " " #S " " #H " " #d " bias " #b " causal " #sees " " #s,    \
        .in = {[IN_Q] = {.shape = {3, {N, T, H * d}}, .batched = true},                          \
               [IN_KV] = {.shape = {3, {N, S, 2 * H * d}}, .batched = true},                     \
               [IN_BIAS] = {.shape = {b ? 3 : 0, {H, T, S}}}},                                   \
        .arg = {{.i = H}, {.i = 0}, {.i = 1}, {.i = sees}, {.f = s}}, .out = {3, {N, T, H * d}}, \
        .build = build_attention, .ref = ref_attention, .alone_grad = true,                      \
        .probes = T + S > 100 ? 10 : 30                                                          \
    }

static void test_formed(void **state)
{
    static const struct check_case cases[] = {
        FORMED(2, 2, 2, 2, 4, 0, 1, 0),        FORMED(2, 7, 7, 2, 4, 0, 1, 0),
        FORMED(2, 77, 77, 3, 8, 0, 1, 0),      FORMED(1, 130, 130, 1, 16, 0, 1, 0),
        FORMED(17, 70, 70, 1, 5, 0, 1, 0),     FORMED(1, 300, 300, 2, 16, 0, 1, 0),
        FORMED(2, 3, 5, 2, 4, 1, 0, 0),        FORMED(3, 70, 66, 2, 8, 1, 0, 0.5),
        FORMED(2, 9, 9, 1, 6, 0, 0, 0.25),     FORMED(1, 260, 130, 1, 40, 1, 0, 0.2),
        FORMED(2, 100, 100, 3, 16, 1, 1, 0.3),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* What comes later is not seen at all: a token's bits stay when those behind it change. */
static void test_causal_bits(void **state)
{
    enum { T = 100, KEPT = 70, D = 16 };
    static float q[T * D], kv[T * 2 * D], first[T * D], second[T * D];
    struct rng r = rng_stream(6, RNG_TEST, 0);
    struct error err = {0};

    (void)state;
    rng_normals(&r, q, T * D);
    rng_normals(&r, kv, T * 2 * D);
    for (int run = 0; run < 2; run++) {
        struct graph *g = NULL;
        struct tensor *y;

        assert_int_equal(graph_new(&g, 0, 2, &err), OK);
        y = op_attention_formed(g, graph_input(g, SHAPE(1, T, D), q),
                                graph_input(g, SHAPE(1, T, 2 * D), kv), 2,
                                &(struct attention_form){.causal = true});
        graph_keep(g, y);
        assert_int_equal(graph_run(g, &err), OK);
        graph_read(g, y, run ? second : first);
        graph_free(g);
        for (int i = KEPT * 2 * D; i < T * 2 * D; i++)
            kv[i] = 1e38f;
    }
    assert_memory_equal(first, second, KEPT * D * sizeof(float));
    assert_memory_not_equal(first + KEPT * D, second + KEPT * D, D * sizeof(float));
}

/* The identity in the place of the map: column c of head h of v, wherever the order keeps it. */
static struct tensor *build_identity(struct graph *g, struct tensor *const in[],
                                     const struct check_case *c)
{
    return op_attention_identity(g, in[IN_Q], c->arg[ARG_HEADS].i,
                                 (enum qkv_order)c->arg[ARG_ORDER].i);
}

static void ref_identity(double *out, const double *const in[], const struct check_case *c)
{
    const struct shape s = c->in[IN_Q].shape;
    const int64_t heads = c->arg[ARG_HEADS].i, D = s.dim[2] / 3, d = D / heads;
    const bool split = c->arg[ARG_ORDER].i == QKV_SPLIT;

    for (int64_t row = 0; row < s.dim[0] * s.dim[1]; row++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t k = 0; k < d; k++)
                out[row * D + h * d + k] =
                    in[IN_Q][row * 3 * D + (split ? 2 * D + h * d : (3 * h + 2) * d) + k];
}

#define IDENTITY(N, T, H, d, o)                                                                  \
    {                                                                                            \
        .name = "identity " #N " " #T " " #H " " #d " " #o,                                      \
        .in = {{.shape = {3, {N, T, 3 * H * d}}, .batched = true}}, .arg = {{.i = H}, {.i = o}}, \
        .out = {3, {N, T, H * d}}, .build = build_identity, .ref = ref_identity,                 \
        .alone_grad = true, .tol = 1e-7                                                          \
    }

static void test_identity(void **state)
{
    static const struct check_case cases[] = {
        IDENTITY(2, 1, 1, 4, QKV_SPLIT),   IDENTITY(2, 1, 3, 8, QKV_PERHEAD),
        IDENTITY(3, 3, 2, 4, QKV_SPLIT),   IDENTITY(3, 3, 2, 4, QKV_PERHEAD),
        IDENTITY(1, 100, 2, 5, QKV_SPLIT), IDENTITY(2, 70, 3, 5, QKV_PERHEAD),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* A text filled up to another length is the same text, to the bit. */
static void test_padding(void **state)
{
    enum { T = 5, WORDS = 70, LONG = 100, D = 8 };
    static float q[T * D], kv[LONG * 2 * D], a[T * D], b[T * D];
    static int32_t mask[LONG];
    struct rng r = rng_stream(5, RNG_TEST, 0);
    struct error err = {0};
    struct graph *g = NULL;
    struct tensor *x, *y, *from;

    (void)state;
    rng_normals(&r, q, T * D);
    rng_normals(&r, kv, LONG * 2 * D);
    for (int i = 0; i < WORDS; i++)
        mask[i] = 1;
    assert_int_equal(graph_new(&g, 0, 2, &err), OK);
    from = graph_input(g, SHAPE(1, T, D), q);
    x = op_attention_cross(g, from, graph_input(g, SHAPE(1, WORDS, 2 * D), kv), NULL, 2);
    y = op_attention_cross(g, from, graph_input(g, SHAPE(1, LONG, 2 * D), kv),
                           graph_input_i32(g, SHAPE(1, LONG), mask), 2);
    graph_keep(g, x);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, &err), OK);
    graph_read(g, x, a);
    graph_read(g, y, b);
    assert_memory_equal(a, b, sizeof a);
    graph_free(g);
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
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_masked),
        cmocka_unit_test(test_cross),        cmocka_unit_test(test_formed),
        cmocka_unit_test(test_causal_bits),  cmocka_unit_test(test_identity),
        cmocka_unit_test(test_padding),      cmocka_unit_test(test_empty),
        cmocka_unit_test(test_large_scores), cmocka_unit_test(test_nan_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
