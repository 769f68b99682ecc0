/*
 * test_gradient.c - gradients as values: asked for before the backward, and computed with
 *
 * A small chain with two losses, one of which reaches the parameters by a longer way.
 */
#include "graph/graph.h"

#include "base/rng.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/linear.h"
#include "ops/norm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 6, WIDTH = 8, WEIGHTS = WIDTH * WIDTH };

struct net {
    float x[ROWS * WIDTH], target[ROWS * WIDTH], w[3][WEIGHTS], dw[3][WEIGHTS];
};

static struct net *net_new(void)
{
    struct net *n = calloc(1, sizeof *n);
    struct rng r = rng_stream(3, RNG_TEST, 0);

    assert_non_null(n);
    rng_normals(&r, n->x, ROWS * WIDTH);
    rng_normals(&r, n->target, ROWS * WIDTH);
    rng_normals(&r, n->w[0], 3 * WEIGHTS);
    memset(n->dw, 0x55, sizeof n->dw);
    return n;
}

struct record {
    struct tensor *x, *y, *w[3], *near, *far;
};

/* y = silu(x w0) w1; near: to the target; far: through a norm and w2. */
static struct record record_net(struct graph *g, struct net *n)
{
    struct record r;
    struct segment s;
    struct tensor *h;

    for (int k = 0; k < 3; k++)
        r.w[k] = graph_param(g, SHAPE(WIDTH, WIDTH), n->w[k], n->dw[k], "w");
    r.x = graph_input(g, SHAPE(ROWS, WIDTH), n->x);
    graph_want_grad(r.x);
    s = segment_open(g);
    h = op_silu(g, op_linear(g, r.x, r.w[0], NULL, ACT_NONE));
    r.y = op_linear(g, h, r.w[1], NULL, ACT_NONE);
    segment_close(g, s);
    r.near = op_mse(g, r.y, graph_input(g, SHAPE(ROWS, WIDTH), n->target));
    s = segment_open(g);
    h = op_silu(g, op_layernorm(g, r.y, NULL, NULL, 1e-5));
    h = op_linear(g, h, r.w[2], NULL, ACT_SILU);
    segment_close(g, s);
    r.far = op_sum(g, op_mul(g, h, r.y));
    return r;
}

struct result {
    float y[2][ROWS * WIDTH], w1[2][WEIGHTS], x[ROWS * WIDTH], dw[3][WEIGHTS];
};

/* Gradients of either loss at y and at w1, of far at x; then the backward of both. */
static void ask(unsigned flags, int threads, int level, struct result *out)
{
    struct net *n = net_new();
    struct tensor *asked[5];
    struct record r;
    struct graph *g;

    memset(out, 0, sizeof *out);
    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    graph_set_recompute(g, level);
    r = record_net(g, n);
    asked[0] = graph_gradient(g, r.near, r.y);
    asked[1] = graph_gradient(g, r.far, r.y);
    asked[2] = graph_gradient(g, r.near, r.w[1]);
    asked[3] = graph_gradient(g, r.far, r.w[1]);
    asked[4] = graph_gradient(g, r.far, r.x);
    assert_null(r.y->grad);
    assert_null(r.w[1]->grad);
    graph_backward(g, op_add(g, r.near, r.far));
    for (int k = 0; k < 5; k++)
        graph_keep(g, asked[k]);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, asked[0], out->y[0]);
    graph_read(g, asked[1], out->y[1]);
    graph_read(g, asked[2], out->w1[0]);
    graph_read(g, asked[3], out->w1[1]);
    graph_read(g, asked[4], out->x);
    memcpy(out->dw, n->dw, sizeof out->dw);
    graph_free(g);
    free(n);
}

/* The backward of one loss alone: gradients of the parameters and of x. */
static void backward_of(int which, float dw[3][WEIGHTS], float *dx)
{
    struct net *n = net_new();
    struct record r;
    struct graph *g;

    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    r = record_net(g, n);
    graph_backward(g, which ? r.far : r.near);
    graph_keep(g, r.x->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, r.x->grad, dx);
    memcpy(dw, n->dw, sizeof n->dw);
    graph_free(g);
    free(n);
}

/* What is asked is what a backward of that loss alone leaves, bit for bit; and asking changes
 * nothing of the backward that comes after. */
static void test_same_as_backward(void **state)
{
    static struct result got;
    static float dw[2][3][WEIGHTS], dx[2][ROWS * WIDTH];
    double most = 0;

    (void)state;
    ask(0, 1, RECOMPUTE_NOTHING, &got);
    for (int which = 0; which < 2; which++) {
        backward_of(which, dw[which], dx[which]);
        assert_memory_equal(got.w1[which], dw[which][1], sizeof dw[which][1]);
    }
    assert_memory_equal(got.x, dx[1], sizeof dx[1]);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < WEIGHTS; i++) {
            double want = (double)dw[0][k][i] + (double)dw[1][k][i];

            most = fmax(most, fabs(want));
            assert_true(fabs((double)got.dw[k][i] - want) < 1e-5 * (1 + fabs(want)));
        }
    assert_true(most > 1);
}

static void test_equal_bits(void **state)
{
    static struct result want, got;

    (void)state;
    ask(0, 1, RECOMPUTE_NOTHING, &want);
    for (int threads = 1; threads <= 3; threads++)
        for (int level = RECOMPUTE_NOTHING; level <= RECOMPUTE_CHEAP + 3; level++) {
            ask(0, threads, level, &got);
            assert_memory_equal(&want, &got, sizeof want);
            ask(GRAPH_EAGER, threads, level, &got);
            assert_memory_equal(&want, &got, sizeof want);
        }
}

/* A loss that does not depend on it has gradient zero; what nobody reads does not run. */
static void test_no_way(void **state)
{
    struct net *n = net_new();
    struct graph_stats before, after;
    struct tensor *zero;
    struct record r;
    struct graph *g;
    float out[WEIGHTS];

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    r = record_net(g, n);
    graph_keep(g, r.near);
    assert_int_equal(graph_measure(g, &before, NULL), OK);
    graph_gradient(g, r.far, r.x);
    assert_int_equal(graph_measure(g, &after, NULL), OK);
    assert_int_equal(before.live, after.live);
    zero = graph_gradient(g, r.near, r.w[2]);
    graph_keep(g, zero);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, zero, out);
    for (int i = 0; i < WEIGHTS; i++)
        assert_true(out[i] == 0);
    graph_free(g);
    free(n);
}

/* Nothing flows through detached values, and what flows to them can be asked for. */
static void test_detach(void **state)
{
    static const float values[] = {1, 2, 3, 4};
    struct tensor *x, *cut, *open, *loss;
    struct graph *g;
    float out[4];

    (void)state;
    for (unsigned eager = 0; eager < 2; eager++) {
        assert_int_equal(graph_new(&g, eager ? GRAPH_EAGER : 0, 1, NULL), OK);
        x = graph_input(g, SHAPE(4), values);
        graph_want_grad(x);
        cut = op_detach(g, x);
        open = op_detach(g, op_mul(g, x, x));
        assert_false(cut->wants_grad);
        graph_want_grad(open);
        loss = op_sum(g, op_mul(g, op_mul(g, x, cut), open));
        graph_backward(g, loss);
        graph_keep(g, x->grad);
        graph_keep(g, open->grad);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, x->grad, out);
        for (int i = 0; i < 4; i++)
            assert_true(out[i] == values[i] * values[i] * values[i]);
        graph_read(g, open->grad, out);
        for (int i = 0; i < 4; i++)
            assert_true(out[i] == values[i] * values[i]);
        graph_free(g);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_backward),
        cmocka_unit_test(test_equal_bits),
        cmocka_unit_test(test_no_way),
        cmocka_unit_test(test_detach),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
