/*
 * test_pool.c - maxima and means of sliding windows
 */
#include "ops/pool.h"

#include "ops/basic.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* arg: size, stride, padding, 0 maximum 1 mean 2 mean with its padding, whether the last window may
 * reach over the edge. */
enum { MAX, MEAN, MEAN_WHOLE };

static struct tensor *build(struct graph *g, struct tensor *const in[], const struct check_case *c)
{
    struct pool_window w = {c->arg[0].i, c->arg[1].i, c->arg[2].i, c->arg[4].i};

    if (c->arg[3].i == MAX)
        return op_maxpool(g, in[0], w);
    return op_avgpool(g, in[0], w, c->arg[3].i == MEAN_WHOLE);
}

/* One window of one channel: pixels outside the picture are passed over. */
static double window_value(const double *x, const struct check_case *c, int64_t n, int64_t u,
                           int64_t v, int64_t k)
{
    struct shape s = c->in[0].shape;
    int64_t size = c->arg[0].i, stride = c->arg[1].i, padding = c->arg[2].i, seen = 0;
    double sum = 0, most = -(double)INFINITY;

    for (int64_t i = u * stride - padding; i < u * stride - padding + size; i++)
        for (int64_t j = v * stride - padding; j < v * stride - padding + size; j++)
            if (i >= 0 && i < s.dim[1] && j >= 0 && j < s.dim[2]) {
                double value = x[((n * s.dim[1] + i) * s.dim[2] + j) * s.dim[3] + k];

                sum += value;
                most = fmax(most, value);
                seen++;
            }
    if (c->arg[3].i == MAX)
        return most;
    return sum / (double)(c->arg[3].i == MEAN ? seen : size * size);
}

static void ref(double *out, const double *const in[], const struct check_case *c)
{
    struct shape s = c->out;

    for (int64_t i = 0; i < shape_count(s); i++)
        out[i] = window_value(in[0], c, i / (s.dim[1] * s.dim[2] * s.dim[3]),
                              i / (s.dim[2] * s.dim[3]) % s.dim[1], i / s.dim[3] % s.dim[2],
                              i % s.dim[3]);
}

static void test_windows(void **state)
{
#define POOL(which, N, H, W, C, size, stride, padding, h, w)                     \
    {                                                                            \
        .name = #which, .in = {{.shape = SHAPE(N, H, W, C), .batched = true}},   \
        .arg = {{.i = size}, {.i = stride}, {.i = padding}, {.i = which}},       \
        .out = SHAPE(N, h, w, C), .build = build, .ref = ref, .alone_grad = true \
    }
#define ALL(...) POOL(MAX, __VA_ARGS__), POOL(MEAN, __VA_ARGS__), POOL(MEAN_WHOLE, __VA_ARGS__)
    const struct check_case cases[] = {
        ALL(1, 1, 1, 1, 1, 1, 0, 1, 1),      ALL(2, 7, 9, 3, 3, 2, 0, 3, 4),
        ALL(3, 8, 6, 5, 3, 2, 0, 3, 2),      ALL(2, 5, 4, 17, 3, 1, 1, 5, 4),
        ALL(2, 1, 2, 3, 3, 1, 1, 1, 2),      ALL(0, 4, 4, 3, 3, 1, 1, 4, 4),
        ALL(1, 6, 11, 2, 4, 3, 2, 3, 4),     ALL(2, 35, 33, 40, 3, 1, 1, 35, 33),
        ALL(1, 73, 71, 64, 3, 2, 0, 36, 35),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* Over the edge: one place more where pixels are left, none where the rest is padding alone. */
static void test_over(void **state)
{
#define OVER(which, H, W, size, stride, padding, h, w)                                 \
    {                                                                                  \
        .name = "over " #which, .in = {{.shape = SHAPE(2, H, W, 5), .batched = true}}, \
        .arg = {{.i = size}, {.i = stride}, {.i = padding}, {.i = which}, {.i = 1}},   \
        .out = SHAPE(2, h, w, 5), .build = build, .ref = ref, .alone_grad = true       \
    }
    const struct check_case cases[] = {
        OVER(MAX, 8, 6, 3, 2, 0, 4, 3),  OVER(MEAN, 8, 7, 3, 2, 0, 4, 3),
        OVER(MAX, 15, 4, 3, 2, 0, 7, 2), OVER(MAX, 4, 5, 2, 3, 1, 2, 2),
        OVER(MAX, 3, 3, 2, 2, 1, 2, 2),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static struct graph *record_max(const float x[9], struct tensor **in, struct tensor **y)
{
    struct graph *g;

    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    *in = graph_input(g, SHAPE(1, 3, 3, 1), x);
    graph_want_grad(*in);
    *y = op_maxpool(g, *in, (struct pool_window){.size = 2, .stride = 1});
    graph_keep(g, *y);
    return g;
}

/* Of equal pixels the first takes the gradient whole. */
static void test_ties(void **state)
{
    static const float x[] = {2, 5, 5, 5, 1, 0, 3, 3, 4}, want[] = {0, 2, 0, 1, 0, 0, 0, 0, 1};
    struct tensor *in, *y;
    struct graph *g = record_max(x, &in, &y);
    float dx[9];

    (void)state;
    graph_backward(g, op_sum(g, y));
    graph_keep(g, in->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, in->grad, dx);
    assert_memory_equal(dx, want, sizeof dx);
    graph_free(g);
}

/* A NaN is never passed over, wherever it stands in the window. */
static void test_nan(void **state)
{
    static const float x[] = {2, 5, 5, 5, NAN, 0, 3, 3, 4};
    struct tensor *in, *y;
    struct graph *g = record_max(x, &in, &y);
    float out[4];

    (void)state;
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, out);
    for (int i = 0; i < 4; i++)
        assert_true(isnan(out[i]));
    graph_free(g);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_over),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_nan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
