/*
 * test_precision.c - linear layers in bf16 and int8: how far from exact, and always the same bits
 *
 * What a precision may cost is stated as the root mean square of the error over that of the result;
 * what it may not cost is the laws of every other op: a row knows nothing of its batch, plans and
 * threads change nothing, and weights packed once are weights packed every time.
 */
#include "backend/cpu/panel.h"
#include "backend/cpu/words.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "ops/basic.h"
#include "ops/linear.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { I = 200, O = 150, T = 40, N = 5, LAST = 64 };

static float x[N * T * I], w[O * I], b[O];

static int setup(void **state)
{
    struct rng r = rng_stream(3, RNG_TEST, 0);

    (void)state;
    rng_normals(&r, x, N * T * I);
    rng_normals(&r, w, O * I);
    rng_normals(&r, b, O);
    for (int i = 0; i < I; i++) /* one row far from the others, with a mean of its own */
        x[3 * I + i] = 40 * x[3 * I + i] + 100;
    return 0;
}

/* y [n, T, O] = gelu(x W^T + b) of samples first .. first + n - 1. */
static void forward(float *y, enum precision p, unsigned flags, int threads, int first, int n)
{
    struct graph *g = NULL;
    struct tensor *t;

    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    graph_set_precision(g, p);
    for (int again = 0; again < 2; again++) {
        graph_reset(g);
        t = op_linear(g, graph_input(g, SHAPE(n, T, I), x + first * T * I),
                      graph_param(g, SHAPE(O, I), w, NULL, "w"),
                      graph_param(g, SHAPE(O), b, NULL, "b"), ACT_GELU);
        assert_int_equal(linear_precision(g, t), p);
        graph_keep(g, t);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, t, y);
    }
    graph_free(g);
}

static double relative_error(const float *got, const float *want, int64_t n)
{
    double off = 0, size = 0;

    for (int64_t i = 0; i < n; i++) {
        off += pow((double)got[i] - (double)want[i], 2);
        size += pow((double)want[i], 2);
    }
    return sqrt(off / size);
}

static void errors_are_small_and_there(void **state)
{
    static const struct {
        enum precision p;
        double least, most;
    } rows[] = {{PRECISION_BF16, 1e-4, 4e-3}, {PRECISION_INT8, 1e-3, 1.5e-2}};
    static float want[N * T * O], got[N * T * O];

    (void)state;
    forward(want, PRECISION_FLOAT32, 0, 1, 0, N);
    for (int k = 0; k < 2; k++) {
        double e;

        forward(got, rows[k].p, 0, 1, 0, N);
        e = relative_error(got, want, N * T * O);
        if (e < rows[k].least || e > rows[k].most)
            fail_msg("%s is off by %g", precision_name((int)rows[k].p), e);
    }
}

static void the_laws_hold(void **state)
{
    static float want[N * T * O], got[N * T * O];
    static const unsigned flags[] = {0, GRAPH_EAGER, GRAPH_FROZEN};

    (void)state;
    for (int p = 0; precision_name(p); p++) {
        forward(want, (enum precision)p, 0, 1, 0, N);
        for (int f = 0; f < 3; f++)
            for (int threads = 1; threads <= 8; threads++) {
                forward(got, (enum precision)p, flags[f], threads, 0, N);
                assert_memory_equal(want, got, sizeof want);
            }
        for (int i = 0; i < N; i++) {
            forward(got, (enum precision)p, GRAPH_FROZEN, 2, i, 1);
            assert_memory_equal(want + i * T * O, got, T * O * sizeof *got);
        }
    }
}

/* One graph that is told another precision makes another plan. */
static void plans_do_not_mix(void **state)
{
    static float want[3][T * O], got[T * O];
    static const int order[] = {0, 2, 1, 0, 1, 2};
    struct graph *g = NULL;

    (void)state;
    for (int p = 0; p < 3; p++)
        forward(want[p], (enum precision)p, GRAPH_FROZEN, 2, 0, 1);
    assert_int_equal(graph_new(&g, GRAPH_FROZEN, 2, NULL), OK);
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        struct tensor *t;

        graph_set_precision(g, (enum precision)order[k]);
        graph_reset(g);
        t = op_linear(g, graph_input(g, SHAPE(1, T, I), x),
                      graph_param(g, SHAPE(O, I), w, NULL, "w"),
                      graph_param(g, SHAPE(O), b, NULL, "b"), ACT_GELU);
        graph_keep(g, t);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, t, got);
        assert_memory_equal(want[order[k]], got, sizeof got);
    }
    graph_free(g);
}

/* d mean(y^2) / d (x, W, b). */
static void backward(float *dx, float *dw, float *db, enum precision p, int threads)
{
    struct graph *g = NULL;
    struct tensor *in, *y, *loss;

    assert_int_equal(graph_new(&g, 0, threads, NULL), OK);
    graph_set_precision(g, p);
    in = graph_input(g, SHAPE(N, T, I), x);
    graph_want_grad(in);
    y = op_linear(g, in, graph_param(g, SHAPE(O, I), w, dw, "w"),
                  graph_param(g, SHAPE(O), b, db, "b"), ACT_SILU);
    loss = op_sum(g, op_mul(g, y, y));
    graph_backward(g, loss);
    graph_keep(g, in->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, in->grad, dx);
    graph_free(g);
}

static void gradients_in_bf16(void **state)
{
    static float dx[3][N * T * I], dw[3][O * I], db[3][O];

    (void)state;
    backward(dx[0], dw[0], db[0], PRECISION_FLOAT32, 1);
    backward(dx[1], dw[1], db[1], PRECISION_BF16, 1);
    for (int threads = 2; threads <= 8; threads++) {
        backward(dx[2], dw[2], db[2], PRECISION_BF16, threads);
        assert_memory_equal(dx[1], dx[2], sizeof dx[1]);
        assert_memory_equal(dw[1], dw[2], sizeof dw[1]);
        assert_memory_equal(db[1], db[2], sizeof db[1]);
    }
    assert_true(relative_error(dx[1], dx[0], N * T * I) < 8e-3);
    assert_true(relative_error(dw[1], dw[0], O * I) < 8e-3);
    assert_true(relative_error(db[1], db[0], O) < 8e-3);
    assert_true(memcmp(dw[1], dw[0], sizeof dw[0]) != 0);
}

/* Few rows a sample, or few numbers: nothing to gain, everything to lose. */
static void small_layers_stay_float32(void **state)
{
    static float y[4 * O];
    struct graph *g = NULL;
    struct tensor *t;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    graph_set_precision(g, PRECISION_INT8);
    t = op_linear(g, graph_input(g, SHAPE(4, I), x), graph_param(g, SHAPE(O, I), w, NULL, "w"),
                  NULL, ACT_NONE);
    assert_int_equal(linear_precision(g, t), PRECISION_FLOAT32);
    graph_keep(g, t);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, t, y);
    for (int o = LAST; o <= LAST + 1; o++) { /* a last layer, and one that is none */
        graph_reset(g);
        t = op_linear(g, graph_input(g, SHAPE(1, T, I), x),
                      graph_param(g, SHAPE(o, I), w, NULL, "w"), NULL, ACT_NONE);
        assert_int_equal(linear_precision(g, t), o == LAST ? PRECISION_FLOAT32 : PRECISION_INT8);
    }
    for (int o = 0; o < O; o++) {
        double sum = 0;

        for (int i = 0; i < I; i++)
            sum += (double)x[i] * (double)w[o * I + i];
        assert_true(fabs((double)y[o] - sum) < 1e-4);
    }
    graph_free(g);
}

/* --- rounding -----------------------------------------------------------------------------------
 */

static void bf16_is_the_nearest(void **state)
{
    static const struct {
        float x;
        uint16_t bits;
    } rows[] = {{1.0f, 0x3f80},      {-2.5f, 0xc020},         {0.0f, 0},
                {0x1.01p0f, 0x3f80}, /* half way: to even */
                {0x1.03p0f, 0x3f82}, {0x1.010002p0f, 0x3f81}, {0x1.fffffep127f, 0x7f80}};

    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        panel_word word;

        words_bf16(&word, &rows[k].x, 1);
        if (word != rows[k].bits)
            fail_msg("%a became %x", (double)rows[k].x, (unsigned)word);
    }
}

static void bytes_are_within_half_a_step(void **state)
{
    (void)state;
    for (int row = 0; row < N * T; row++) {
        panel_word words[I / 4];
        const unsigned char *byte = (const unsigned char *)words;
        struct byte_row r = words_bytes(words, x + row * I, I);

        for (int i = 0; i < I; i++) {
            double back = (double)r.low + (double)r.step * byte[i];

            assert_true(fabs(back - (double)x[row * I + i]) <= 0.5001 * (double)r.step);
        }
    }
}

/* --- every way to compute them ------------------------------------------------------------------
 */

/* C [m, 64] of random words; returns whether the processor has the engine. */
static bool product(panel_word *c, enum precision p, int engine, const panel_word *a,
                    const panel_word *bb, int m, int words)
{
    const struct panel_engine *e = panel_engine_at(p, engine);
    struct panel_product of = {.c = c,
                               .c_row = PANEL_COLS,
                               .a = a,
                               .a_row = words,
                               .a_word = 1,
                               .b = bb,
                               .b_word = PANEL_COLS,
                               .m = m,
                               .words = words};

    if (!e->here())
        return false;
    e->mul(&of);
    return true;
}

static void engines_agree(void **state)
{
    enum { M = 13, WORDS = 37 };
    static panel_word a[M * WORDS], bb[WORDS * PANEL_COLS], want[M * PANEL_COLS],
        got[M * PANEL_COLS];
    struct rng r = rng_stream(4, RNG_TEST, 0);

    (void)state;
    for (int p = 0; precision_name(p); p++) {
        int plain = 0;

        while (panel_engine_at((enum precision)p, plain + 1))
            plain++;
        for (int i = 0; i < M * WORDS; i++)
            a[i] = rng_u32(&r);
        for (int i = 0; i < WORDS * PANEL_COLS; i++)
            bb[i] = rng_u32(&r);
        if (p != PRECISION_INT8) /* numbers of a sensible size */
            for (int i = 0; i < M * WORDS + WORDS * PANEL_COLS; i++) {
                panel_word *at = i < M * WORDS ? &a[i] : &bb[i - M * WORDS];

                *at = p == PRECISION_BF16 ? (*at & 0x807f807f) | 0x3f003f00
                                          : (*at & 0x807fffff) | 0x3f000000;
            }
        assert_true(product(want, (enum precision)p, plain, a, bb, M, WORDS));
        for (int e = 0; e < plain; e++) {
            if (!product(got, (enum precision)p, e, a, bb, M, WORDS))
                continue;
            if (p == PRECISION_INT8)
                assert_memory_equal(want, got, sizeof want);
            else
                assert_true(relative_error((const float *)(const void *)got,
                                           (const float *)(const void *)want,
                                           M * PANEL_COLS) < 1e-5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_small_and_there),
        cmocka_unit_test(the_laws_hold),
        cmocka_unit_test(plans_do_not_mix),
        cmocka_unit_test(gradients_in_bf16),
        cmocka_unit_test(small_layers_stay_float32),
        cmocka_unit_test(bf16_is_the_nearest),
        cmocka_unit_test(bytes_are_within_half_a_step),
        cmocka_unit_test(engines_agree),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
