/*
 * test_graph.c - the tape, its plan, and the law that all ways of running give the same bits
 */
#include "graph/graph.h"

#include "base/rng.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "ops/linear.h"
#include "ops/norm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { ROWS = 37, WIDTH = 24, DEPTH = 6 };

/* A small residual network with a parameter used in every layer, so that gradients add up, and with
 * chains of ops that are cheap to compute again. */
struct net {
    float w[DEPTH][WIDTH * WIDTH], shared[WIDTH], x[ROWS * WIDTH], y[ROWS * WIDTH];
    float dw[DEPTH][WIDTH * WIDTH], dshared[WIDTH], dunused[WIDTH], unused[WIDTH];
};

static struct net *net_new(void)
{
    struct net *n = calloc(1, sizeof *n);
    struct rng r = rng_stream(7, RNG_TEST, 0);

    rng_normals(&r, &n->w[0][0], DEPTH * WIDTH * WIDTH);
    rng_normals(&r, n->shared, WIDTH);
    rng_normals(&r, n->x, ROWS * WIDTH);
    rng_normals(&r, n->y, ROWS * WIDTH);
    for (int i = 0; i < DEPTH * WIDTH * WIDTH; i++)
        (&n->w[0][0])[i] *= 0.2f;
    memset(n->dunused, 0x55, sizeof n->dunused);
    return n;
}

static struct tensor *record_net(struct graph *g, struct net *n, struct tensor **x_out)
{
    struct tensor *x = graph_input(g, SHAPE(ROWS, WIDTH), n->x), *h;
    struct tensor *b = graph_param(g, SHAPE(WIDTH), n->shared, n->dshared, "shared");

    graph_param(g, SHAPE(WIDTH), n->unused, n->dunused, "unused");
    graph_want_grad(x);
    *x_out = x;
    h = x;
    for (int i = 0; i < DEPTH; i++) {
        struct segment s = segment_open(g);
        struct tensor *w = graph_param(g, SHAPE(WIDTH, WIDTH), n->w[i], n->dw[i], "w");
        struct tensor *a = op_layernorm(g, h, b, NULL, 1e-6), *c;

        a = op_silu(g, op_linear(g, op_reshape(g, a, h->shape), w, b, ACT_NONE));
        c = op_linear(g, op_linear(g, a, w, b, ACT_GELU), w, NULL, ACT_NONE);
        h = op_add(g, h, op_mul(g, a, op_add_vec(g, c, b)));
        segment_close(g, s);
    }
    return op_mse(g, h, graph_input(g, SHAPE(ROWS, WIDTH), n->y));
}

struct result {
    float loss, dx[ROWS * WIDTH], dw[DEPTH][WIDTH * WIDTH], dshared[WIDTH], dunused[WIDTH];
};

static void run_net(struct graph *g, struct net *n, struct result *out)
{
    struct tensor *x, *loss;

    graph_reset(g);
    loss = record_net(g, n, &x);
    graph_backward(g, loss);
    graph_keep(g, loss);
    graph_keep(g, x->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &out->loss);
    graph_read(g, x->grad, out->dx);
    memcpy(out->dw, n->dw, sizeof out->dw);
    memcpy(out->dshared, n->dshared, sizeof out->dshared);
    memcpy(out->dunused, n->dunused, sizeof out->dunused);
}

static void run_with(unsigned flags, int level, int threads, struct result *out)
{
    struct net *n = net_new();
    struct graph *g;

    memset(out, 0, sizeof *out);
    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    graph_set_recompute(g, level);
    run_net(g, n, out);
    graph_free(g);
    free(n);
}

static void test_equal_bits(void **state)
{
    static struct result want, got;

    (void)state;
    run_with(0, RECOMPUTE_NOTHING, 1, &want);
    assert_true(want.loss > 0);
    for (int threads = 1; threads <= 4; threads++)
        for (int level = RECOMPUTE_NOTHING; level <= RECOMPUTE_CHEAP + DEPTH + 1; level++) {
            run_with(0, level, threads, &got);
            assert_memory_equal(&want, &got, sizeof want);
            run_with(GRAPH_EAGER, level, threads, &got);
            assert_memory_equal(&want, &got, sizeof want);
        }
}

static void test_unused_gradient_is_zero(void **state)
{
    static struct result got;

    (void)state;
    run_with(0, RECOMPUTE_NOTHING, 2, &got);
    for (int i = 0; i < WIDTH; i++)
        assert_true(got.dunused[i] == 0);
}

/* d loss / d w by central differences of the run itself. */
static void test_gradient(void **state)
{
    struct net *n = net_new();
    static struct result base, up, down;
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    run_net(g, n, &base);
    for (int k = 0; k < 5; k++) {
        float *w = &n->w[k][31 * k + 5], keep = *w, h = 1e-2f;

        *w = keep + h;
        run_net(g, n, &up);
        *w = keep - h;
        run_net(g, n, &down);
        *w = keep;
        assert_float_equal(base.dw[k][31 * k + 5], (up.loss - down.loss) / (2 * h),
                           2e-3f * (1 + fabsf(base.dw[k][31 * k + 5])));
    }
    graph_free(g);
    free(n);
}

static void test_plan_is_reused(void **state)
{
    struct net *n = net_new();
    static struct result first, second;
    struct graph_stats stats;
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    run_net(g, n, &first);
    run_net(g, n, &second);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(graph_measure(g, &stats, NULL), OK);
    assert_int_equal(stats.plans, 1);
    assert_true(stats.arena_bytes < stats.naive_bytes / 2);
    graph_free(g);
    free(n);
}

/* Sanitizers keep what is freed, and touch new pages all the time. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KEEPS_FREED = 1 };
#else
enum { KEEPS_FREED = 0 };
#endif

/* After the first runs of a tape nothing is allocated: hardly a page is touched for the first time.
 * (A few are the test's own: stacks, and what the kernel moves about.) */
static void test_no_page_faults(void **state)
{
    enum { RUNS = 200 };
    static struct result got;
    struct rusage before, after;
    struct graph *g;
    struct net *n;

    (void)state;
    if (KEEPS_FREED)
        skip();
    n = net_new();
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    graph_set_recompute(g, RECOMPUTE_ALL);
    for (int i = 0; i < 5; i++)
        run_net(g, n, &got);
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < RUNS; i++)
        run_net(g, n, &got);
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_minflt - before.ru_minflt < RUNS / 4);
    graph_free(g);
    free(n);
}

static struct graph_stats stats_of(int level)
{
    struct net *n = net_new();
    struct graph_stats stats, outline;
    struct tensor *x;
    struct graph *g;

    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    graph_set_recompute(g, level);
    graph_backward(g, record_net(g, n, &x));
    assert_int_equal(graph_segments(g), DEPTH);
    assert_int_equal(graph_outline(g, &outline, NULL), OK);
    assert_int_equal(graph_measure(g, &stats, NULL), OK);
    assert_int_equal(outline.arena_bytes, stats.arena_bytes);
    assert_int_equal(outline.live, stats.live);
    graph_free(g);
    free(n);
    return stats;
}

/* Each level takes less memory and more work; the last forgets every segment. */
static void test_recomputing_saves_memory(void **state)
{
    struct graph_stats at, before = stats_of(RECOMPUTE_NOTHING);

    (void)state;
    for (int level = RECOMPUTE_CHEAP; level <= RECOMPUTE_CHEAP + DEPTH; level++) {
        at = stats_of(level);
        assert_true(at.live > before.live);
        /* The last segment is needed first of all: forgetting it saves nothing. */
        if (level < RECOMPUTE_CHEAP + DEPTH - 1)
            assert_true(at.arena_bytes < before.arena_bytes);
        before = at;
    }
    assert_int_equal(stats_of(RECOMPUTE_ALL).live, at.live);
}

/* Places are never below what is alive at once, and hardly above it. */
static void test_places_are_tight(void **state)
{
    (void)state;
    for (int level = RECOMPUTE_NOTHING; level <= RECOMPUTE_CHEAP + DEPTH; level++) {
        struct graph_stats stats = stats_of(level);

        assert_true(stats.arena_bytes >= stats.floor_bytes);
        assert_true((double)stats.arena_bytes <= 1.05 * (double)stats.floor_bytes);
    }
}

/* A kept value survives ops that could have been written over it. */
static void test_kept_values(void **state)
{
    float x[4] = {1, 2, 3, 4}, a[4], b[4];
    struct tensor *t, *u;
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    t = op_affine(g, graph_input(g, SHAPE(4), x), 2, 0);
    u = op_affine(g, op_affine(g, op_reshape(g, t, SHAPE(2, 2)), 1, 1), 1, 1);
    graph_keep(g, t);
    graph_keep(g, u);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, t, a);
    graph_read(g, u, b);
    for (int i = 0; i < 4; i++) {
        assert_true(a[i] == 2 * x[i]);
        assert_true(b[i] == 2 * x[i] + 2);
    }
    graph_free(g);
}

/* What nothing depends on is not run: the tape may hold more than a run needs. */
static void test_dead_code(void **state)
{
    float x[4] = {1, 2, 3, 4};
    struct graph_stats stats;
    struct tensor *t;
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    t = graph_input(g, SHAPE(4), x);
    op_silu(g, op_affine(g, t, 3, 1));
    graph_keep(g, op_affine(g, t, 2, 0));
    assert_int_equal(graph_measure(g, &stats, NULL), OK);
    assert_int_equal(stats.live, 1);
    graph_free(g);
}

/* What a linear layer and a convolution pack for good counts, and only in a frozen graph. */
static void test_held_bytes(void **state)
{
    enum { C = 64 };
    static float x[C * C], w[C * C], taps[C * 9 * C];

    (void)state;
    for (unsigned frozen = 0; frozen < 2; frozen++) {
        struct graph_stats stats;
        struct tensor *t;
        struct graph *g;

        assert_int_equal(graph_new(&g, frozen ? GRAPH_FROZEN : 0, 1, NULL), OK);
        t = graph_input(g, SHAPE(1, 8, 8, C), x);
        t = op_linear(g, t, graph_param(g, SHAPE(C, C), w, NULL, "w"), NULL, ACT_NONE);
        t = op_conv2d(g, t, graph_param(g, SHAPE(C, 3, 3, C), taps, NULL, "taps"), NULL,
                      (struct conv_geometry){1, 1, 1, 1, 1});
        graph_keep(g, t);
        assert_int_equal(graph_measure(g, &stats, NULL), OK);
        if (frozen)
            assert_true(stats.held_bytes >= (int64_t)(sizeof w + sizeof taps));
        else
            assert_int_equal(stats.held_bytes, 0);
        graph_free(g);
    }
}

/* More distinct tapes than plans are kept for. */
static void test_many_shapes(void **state)
{
    float *x = calloc(200, sizeof *x), out[200];
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    for (int round = 0; round < 2; round++)
        for (int n = 1; n < 100; n++) {
            struct tensor *t;

            graph_reset(g);
            x[n - 1] = (float)n;
            t = op_sum(g, op_affine(g, graph_input(g, SHAPE(n), x), 1, 1));
            graph_keep(g, t);
            assert_int_equal(graph_run(g, NULL), OK);
            graph_read(g, t, out);
            if (!round)
                assert_float_equal(out[0], n + n * (n + 1) / 2, 1e-3);
        }
    graph_free(g);
    free(x);
}

struct patience {
    int left;
    double done;
};

static bool wait_so_long(double done, void *user)
{
    struct patience *p = user;

    assert_true(done >= 0 && done <= 1);
    p->done = done;
    return p->left-- > 0;
}

/* A run given up at any operation, while it is planned or computed, leaves nothing behind. */
static void test_given_up(void **state)
{
    static struct result want, got;

    (void)state;
    run_with(0, RECOMPUTE_NOTHING, 2, &want);
    for (unsigned eager = 0; eager < 2; eager++) {
        struct net *n = net_new();
        struct graph *g;
        int tries = 0;

        assert_int_equal(graph_new(&g, eager ? GRAPH_EAGER : 0, 2, NULL), OK);
        for (;; tries++) {
            struct patience p = {.left = tries};
            struct error err = {0};
            struct tensor *x, *loss;
            enum status st;

            graph_set_watch(g, wait_so_long, &p);
            graph_reset(g);
            loss = record_net(g, n, &x);
            graph_backward(g, loss);
            graph_keep(g, loss);
            if (!(st = graph_run(g, &err)))
                break;
            assert_int_equal(st, E_CANCELLED);
            assert_non_null(strstr(err.text, "stopped after"));
        }
        assert_true(tries > 10 * DEPTH);
        graph_set_watch(g, NULL, NULL);
        run_net(g, n, &got);
        assert_memory_equal(&want, &got, sizeof want);
        graph_free(g);
        free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_bits),       cmocka_unit_test(test_unused_gradient_is_zero),
        cmocka_unit_test(test_gradient),         cmocka_unit_test(test_plan_is_reused),
        cmocka_unit_test(test_no_page_faults),   cmocka_unit_test(test_recomputing_saves_memory),
        cmocka_unit_test(test_places_are_tight), cmocka_unit_test(test_kept_values),
        cmocka_unit_test(test_dead_code),        cmocka_unit_test(test_many_shapes),
        cmocka_unit_test(test_held_bytes),       cmocka_unit_test(test_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
