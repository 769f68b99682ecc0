/*
 * test_linear.c - the linear op against its definition
 *
 * The table covers both tile heights of gemm.c (tokens, vectors), full, left-over and absent tiles,
 * one and several column blocks with a narrow last one, and the cuts of dW.  check_op.h compares
 * values and gradients, and the bits of eager, planned, threaded and single-sample runs.  The
 * gradients of large layers, which are computed in another way, have a test of their own.
 */
#include "graph/graph.h"
#include "ops/basic.h"
#include "ops/linear.h"

#include "base/rng.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double act_exact(enum act act, double x)
{
    if (act == ACT_SILU)
        return x / (1 + exp(-x));
    if (act == ACT_GELU)
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    return x;
}

static struct tensor *build(struct graph *g, struct tensor *const in[CHECK_INS],
                            const struct check_case *c)
{
    return op_linear(g, in[0], in[1], in[2], (enum act)c->arg[0].i);
}

static void ref(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t O = c->in[1].shape.dim[0], I = shape_last(c->in[0].shape);
    int64_t R = shape_rows(c->in[0].shape);

    for (int64_t r = 0; r < R; r++)
        for (int64_t o = 0; o < O; o++) {
            double sum = in[2] ? in[2][o] : 0;

            for (int64_t i = 0; i < I; i++)
                sum += in[0][r * I + i] * in[1][o * I + i];
            out[r * O + o] = act_exact((enum act)c->arg[0].i, sum);
        }
}

#define X(...)                                  \
    {                                           \
        .shape = {__VA_ARGS__}, .batched = true \
    }
#define P(S, ...)                                       \
    {                                                   \
        .shape = {__VA_ARGS__}, .param = true, .std = S \
    }
#define OP .build = build, .ref = ref, .probes = 12, .alone_grad = true

static const struct check_case cases[] = {
    {.name = "one number", .in = {X(2, {1, 1}), P(1, 2, {1, 1}), P(1, 1, {1})}, OP},
    {.name = "one output", .in = {X(2, {5, 7}), P(1, 2, {1, 7}), P(1, 1, {1})}, OP},
    {.name = "one input", .in = {X(2, {5, 1}), P(1, 2, {6, 1})}, OP},
    {.name = "odd", .in = {X(2, {3, 5}), P(1, 2, {7, 5}), P(1, 1, {7})}, OP},
    {.name = "no bias", .in = {X(2, {3, 5}), P(1, 2, {7, 5})}, OP},
    {.name = "three dimensions", .in = {X(3, {2, 5, 7}), P(1, 2, {9, 7}), P(1, 1, {9})}, OP},
    {.name = "a row without batch", .in = {{.shape = {1, {6}}}, P(1, 2, {4, 6}), P(1, 1, {4})}, OP},
    {.name = "weight of a 1 x 1 convolution",
     .in = {X(4, {2, 3, 3, 6}), P(1, 4, {9, 1, 1, 6}), P(1, 1, {9})},
     OP},
    {.name = "vectors, silu",
     .in = {X(2, {4, 20}), P(0.3, 2, {17, 20}), P(1, 1, {17})},
     .arg = {{.i = ACT_SILU}},
     OP},
    {.name = "vectors, gelu, no bias",
     .in = {X(2, {4, 20}), P(0.3, 2, {17, 20})},
     .arg = {{.i = ACT_GELU}},
     OP},
    {.name = "vectors, two tiles, three blocks",
     .in = {X(2, {18, 40}), P(0.2, 2, {300, 40}), P(1, 1, {300})},
     .arg = {{.i = ACT_SILU}},
     OP},
    {.name = "vectors, whole blocks", .in = {X(2, {16, 24}), P(0.2, 2, {256, 24})}, OP},
    {.name = "tokens, left-over tile",
     .in = {X(3, {3, 37, 24}), P(0.2, 2, {40, 24}), P(1, 1, {40})},
     .arg = {{.i = ACT_GELU}},
     OP},
    {.name = "tokens, whole tiles",
     .in = {X(3, {2, 64, 48}), P(0.2, 2, {96, 48}), P(1, 1, {96})},
     OP},
    {.name = "tokens, whole tiles, silu, no bias",
     .in = {X(4, {2, 8, 8, 48}), P(0.2, 2, {33, 48})},
     .arg = {{.i = ACT_SILU}},
     OP},
    {.name = "wide gradient", .in = {X(2, {8, 450}), P(0.05, 2, {130, 450}), P(1, 1, {130})}, OP},
    {.name = "tall gradient", .in = {X(2, {8, 10}), P(0.3, 2, {1700, 10}), P(1, 1, {1700})}, OP},
    {.name = "nothing", .in = {X(2, {0, 5}), P(1, 2, {7, 5}), P(1, 1, {7})}, OP},
    {.name = "no tokens",
     .in = {X(3, {2, 0, 5}), P(1, 2, {7, 5}), P(1, 1, {7})},
     .arg = {{.i = ACT_SILU}},
     OP},
};

static void agrees_with_its_definition(void **state)
{
    (void)state;
    check_ops(cases, sizeof(cases) / sizeof(cases[0]));
}

enum { I = 96, O = 200 };

/* y = gelu(x W^T + b) with the weights of stream 7, in a graph of its own. */
static void run(unsigned flags, int threads, struct shape shape, const float *x, float *y)
{
    static float w[O * I], b[O];
    struct rng r = rng_stream(7, RNG_TEST, 0);
    struct graph *g = NULL;
    struct tensor *t;

    rng_normals(&r, w, O * I);
    rng_normals(&r, b, O);
    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    for (int again = 0; again < 2; again++) {
        graph_reset(g);
        t = op_linear(g, graph_input(g, shape, x), graph_param(g, SHAPE(O, I), w, NULL, "w"),
                      graph_param(g, SHAPE(O), b, NULL, "b"), ACT_GELU);
        graph_keep(g, t);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, t, y);
    }
    graph_free(g);
}

/* Row k of a batch has the bits it has in every other batch, at every other place. */
static void rows_do_not_see_each_other(void **state)
{
    enum { N = 150, STEP = 23 };
    static float x[N * I], all[N * O], part[N * O];
    static const int64_t counts[] = {1, 2, 3, 15, 16, 17, 33, 64, 65, 149};
    struct rng r = rng_stream(8, RNG_TEST, 0);

    (void)state;
    rng_normals(&r, x, N * I);
    for (int64_t T = 1; T <= 50; T += 49) {
        run(0, 1, SHAPE(N / T, T, I), x, all);
        for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++)
            for (int64_t first = 0; (first + counts[k]) * T <= N; first += T == 1 ? STEP : 1) {
                run(0, 2, SHAPE(counts[k], T, I), x + first * T * I, part);
                assert_memory_equal(part, all + first * T * O,
                                    sizeof(float) * (size_t)(counts[k] * T * O));
            }
    }
}

/* Weights packed once give the bits of weights packed every run, with any number of threads. */
static void frozen_equals_live(void **state)
{
    enum { N = 100 };
    static float x[N * I], live[N * O], frozen[N * O];
    struct rng r = rng_stream(9, RNG_TEST, 0);

    (void)state;
    rng_normals(&r, x, N * I);
    for (int64_t T = 1; T <= 50; T += 49)
        for (int threads = 1; threads <= 5; threads++) {
            if (threads == 1)
                run(0, 1, SHAPE(N / T, T, I), x, live);
            run(GRAPH_FROZEN, threads, SHAPE(N / T, T, I), x, frozen);
            assert_memory_equal(frozen, live, sizeof(live));
        }
}

/* The bias's gradient of many rows is right where a plain float32 sum has long lost digits. */
static void bias_gradient_keeps_digits(void **state)
{
    enum { N = 200000 };
    static float x[N], w[1], b[1], dw[1], db[1];
    struct graph *g = NULL;
    struct tensor *y;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    for (int i = 0; i < N; i++)
        x[i] = 0.1f;
    y = op_linear(g, graph_input(g, SHAPE(N, 1), x), graph_param(g, SHAPE(1, 1), w, dw, "w"),
                  graph_param(g, SHAPE(1), b, db, "b"), ACT_NONE);
    graph_backward(g, op_sum(g, op_mul(g, y, graph_input(g, SHAPE(N, 1), x))));
    assert_int_equal(graph_run(g, NULL), OK);
    assert_true(fabs((double)db[0] / (N * (double)0.1f) - 1) < 1e-6);
    graph_free(g);
}

struct layer {
    int64_t rows, outputs, inputs;
};

/* dW and db. */
static void gradients(int threads, struct layer l, const float *x, const float *dy, float *dw,
                      float *db)
{
    float *w = calloc((size_t)(l.outputs * l.inputs), sizeof *w);
    float *b = calloc((size_t)l.outputs, sizeof *b);
    struct graph *g = NULL;
    struct tensor *y;

    assert_true(w && b);
    memset(dw, 0, (size_t)(l.outputs * l.inputs) * sizeof *dw);
    memset(db, 0, (size_t)l.outputs * sizeof *db);
    assert_int_equal(graph_new(&g, 0, threads, NULL), OK);
    y = op_linear(g, graph_input(g, SHAPE(l.rows, l.inputs), x),
                  graph_param(g, SHAPE(l.outputs, l.inputs), w, dw, "w"),
                  graph_param(g, SHAPE(l.outputs), b, db, "b"), ACT_NONE);
    graph_backward(g, op_sum(g, op_mul(g, y, graph_input(g, SHAPE(l.rows, l.outputs), dy))));
    assert_int_equal(graph_run(g, NULL), OK);
    graph_free(g);
    free(w);
    free(b);
}

/* |out - dy^T x| / |dy^T x|, the product in double. */
static double distance(const float *out, struct layer l, const float *x, const float *dy)
{
    double *row = malloc((size_t)l.inputs * sizeof *row), far = 0, all = 0;

    assert_non_null(row);
    for (int64_t o = 0; o < l.outputs; o++, out += l.inputs) {
        memset(row, 0, (size_t)l.inputs * sizeof *row);
        for (int64_t r = 0; r < l.rows; r++)
            for (int64_t i = 0; i < l.inputs; i++)
                row[i] += (double)dy[r * l.outputs + o] * (double)x[r * l.inputs + i];
        for (int64_t i = 0; i < l.inputs; i++) {
            far += pow((double)out[i] - row[i], 2);
            all += row[i] * row[i];
        }
    }
    free(row);
    return sqrt(far / all);
}

/* positive: with x on one side of zero, sums of blocks are as large as they can be. */
static void check_gradients(struct layer l, bool positive)
{
    int64_t area = l.outputs * l.inputs;
    float *x = malloc((size_t)(l.rows * l.inputs) * sizeof *x);
    float *dy = malloc((size_t)(l.rows * l.outputs) * sizeof *dy);
    float *one = malloc((size_t)l.rows * sizeof *one);
    /* dW and then db: of one thread, and of several */
    float *alone = malloc((size_t)(area + l.outputs) * sizeof *alone);
    float *several = malloc((size_t)(area + l.outputs) * sizeof *several);
    struct rng r = rng_stream(10, RNG_TEST, (uint64_t)area);

    assert_true(x && dy && one && alone && several);
    rng_normals(&r, x, l.rows * l.inputs);
    rng_normals(&r, dy, l.rows * l.outputs);
    for (int64_t i = 0; i < l.rows * l.inputs && positive; i++)
        x[i] = fabsf(x[i]);
    for (int64_t i = 0; i < l.rows; i++)
        one[i] = 1;
    gradients(1, l, x, dy, alone, alone + area);
    assert_true(distance(alone, l, x, dy) < 1e-6);
    assert_true(distance(alone + area, (struct layer){l.rows, l.outputs, 1}, one, dy) < 1e-6);
    for (int threads = 2; threads <= 8; threads++) {
        gradients(threads, l, x, dy, several, several + area);
        assert_memory_equal(several, alone, (size_t)(area + l.outputs) * sizeof *alone);
    }
    free(x);
    free(dy);
    free(one);
    free(alone);
    free(several);
}

/* Layers that strassen.c takes, and neighbours that it leaves to outer.c: parts of rows that are
 * cut short, by an odd number too; blocks of two sizes both ways; more threads than blocks. */
static void large_gradients(void **state)
{
    static const struct layer layers[] = {
        {512, 384, 384}, {769, 386, 384}, {513, 256, 640},  {514, 1000, 256},
        {511, 384, 384}, {512, 385, 384}, {1025, 342, 384}, {770, 512, 320},
    };

    (void)state;
    for (size_t k = 0; k < sizeof(layers) / sizeof(layers[0]); k++)
        check_gradients(layers[k], k % 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_its_definition),
        cmocka_unit_test(rows_do_not_see_each_other),
        cmocka_unit_test(frozen_equals_live),
        cmocka_unit_test(bias_gradient_keeps_digits),
        cmocka_unit_test(large_gradients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
