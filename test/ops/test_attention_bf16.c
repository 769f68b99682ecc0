/*
 * test_attention_bf16.c - attention whose factors are rounded to bf16: how far from exact, and
 * always the same bits
 *
 * With u = 2^-9 for a rounded factor, the scores of a row are off by at most E = (2 u + u^2) scale
 * max_j sum_c |q_c k_jc|, so each weight of the softmax by a factor of exp(2 E), and what it weighs
 * by (1 + u)^2 more: the error is below sum_j w_j |v_j| (exp(2 E) (1 + u)^2 - 1), float32's own
 * rounding added.  That is the worst that can be; of random numbers the errors cancel, and their
 * root mean square says whether something is rounded twice, or not at all.
 */
#include "backend/cpu/words.h"
#include "base/numbers.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "ops/attention.h"
#include "ops/basic.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MOST = 1 << 20 };

/* Queries and keys that lie apart, with a mask over all keys, or packed where S is 0. */
struct attention_case {
    int64_t N, T, S, heads, d;
    bool masked, bias, causal;
    double scale;
};

static const struct attention_case cases[] = {
    {.N = 2, .T = 65, .heads = 2, .d = 64},
    {.N = 1, .T = 200, .heads = 1, .d = 32},
    {.N = 2, .T = 130, .heads = 2, .d = 72},
    {.N = 1, .T = 700, .heads = 10, .d = 40},
    {.N = 1, .T = 300, .heads = 1, .d = 512},
    {.N = 3, .T = 40, .S = 77, .heads = 2, .d = 64},
    {.N = 1, .T = 33, .S = 1, .heads = 1, .d = 128},
    {.N = 2, .T = 100, .S = 129, .heads = 3, .d = 80, .masked = true},
    {.N = 3, .T = 70, .S = 5, .heads = 2, .d = 34, .masked = true},
    {.N = 2, .T = 100, .S = 99, .heads = 2, .d = 64, .bias = true},
    {.N = 2, .T = 131, .S = 131, .heads = 2, .d = 48, .causal = true},
    {.N = 2, .T = 90, .S = 90, .heads = 2, .d = 64, .bias = true, .causal = true, .scale = 0.3},
};

static float q[MOST], kv[MOST], bias[MOST];
static int32_t mask[MOST];

static int setup(void **state)
{
    struct rng r = rng_stream(7, RNG_TEST, 0);

    (void)state;
    rng_normals(&r, q, MOST);
    rng_normals(&r, kv, MOST);
    rng_normals(&r, bias, MOST);
    for (int i = 0; i < MOST; i++)
        mask[i] = rng_u32(&r) % 3 > 0;
    return 0;
}

static int64_t keys_of(const struct attention_case *c)
{
    return c->S ? c->S : c->T;
}

/* Samples first .. first + n - 1. */
static struct tensor *build(struct graph *g, const struct attention_case *c, int64_t first,
                            int64_t n)
{
    const int64_t D = c->heads * c->d;
    const struct attention_form form = {
        .scale = c->scale,
        .causal = c->causal,
        .bias = c->bias ? graph_input(g, SHAPE(c->heads, c->T, c->S), bias) : NULL};
    struct tensor *in, *words = NULL;

    if (!c->S)
        return op_attention(g, graph_input(g, SHAPE(n, c->T, 3 * D), q + first * c->T * 3 * D),
                            c->heads, QKV_SPLIT);
    in = graph_input(g, SHAPE(n, c->T, D), q + first * c->T * D);
    if (c->masked)
        words = graph_input_i32(g, SHAPE(n, c->S), mask + first * c->S);
    if (c->bias || c->causal)
        return op_attention_formed(g, in,
                                   graph_input(g, SHAPE(n, c->S, 2 * D), kv + first * c->S * 2 * D),
                                   c->heads, &form);
    return op_attention_cross(
        g, in, graph_input(g, SHAPE(n, c->S, 2 * D), kv + first * c->S * 2 * D), words, c->heads);
}

/* out [n, T, D]; in which precision the graph says that it was computed. */
static enum precision run(float *out, const struct attention_case *c, enum precision p,
                          unsigned flags, int threads, int64_t first, int64_t n)
{
    struct graph *g = NULL;
    enum precision is;
    struct tensor *y;

    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    graph_set_precision(g, p);
    y = build(g, c, first, n);
    is = attention_precision(g, y);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, out);
    graph_free(g);
    return is;
}

/* Whether the processor multiplies bf16; elsewhere attention stays float32. */
static bool here(void)
{
    return !panel_engine(PRECISION_BF16)->widens;
}

/* --- errors -------------------------------------------------------------------------------------
 */

/* What query t of head h of sample n finds, and how far a result may be from it. */
static void exact_row(double *out, double *bound, const struct attention_case *c, int64_t n,
                      int64_t h, int64_t t)
{
    const int64_t D = c->heads * c->d, S = keys_of(c), row = c->S ? D : 3 * D;
    const int64_t step = c->S ? 2 * D : 3 * D;
    const float *ask = q + (n * c->T + t) * row + h * c->d;
    const float *k = c->S ? kv + n * S * step + h * c->d : q + n * S * step + D + h * c->d;
    const double scale = c->scale > 0 ? c->scale : 1 / sqrt((double)c->d), u = 0x1p-9;
    double score[1024], top = -HUGE_VAL, sum = 0, worst = 0, grow;

    for (int64_t j = 0; j < S; j++) {
        double size = 0;

        score[j] = 0;
        for (int64_t i = 0; i < c->d; i++) {
            const double product = scale * (double)ask[i] * (double)k[j * step + i];

            score[j] += product;
            size += fabs(product);
        }
        score[j] += c->bias ? (double)bias[(h * c->T + t) * S + j] : 0;
        if ((c->masked && !mask[n * S + j]) || (c->causal && j > t))
            score[j] = -HUGE_VAL;
        top = fmax(top, score[j]);
        worst = fmax(worst, size * (2 * u + u * u + (double)c->d * 0x1p-23) + 0x1p-20);
    }
    for (int64_t j = 0; j < S; j++)
        sum += score[j] = score[j] == -HUGE_VAL ? 0 : exp(score[j] - top);
    grow = exp(2 * worst) * (1 + u) * (1 + u) * (1 + (double)S * 0x1p-23) - 1;
    for (int64_t i = 0; i < c->d; i++) {
        out[i] = bound[i] = 0;
        for (int64_t j = 0; j < S && sum > 0; j++) {
            const double part = score[j] / sum * (double)k[j * step + D + i];

            out[i] += part;
            bound[i] += grow * fabs(part);
        }
    }
}

/* Every element within its bound; the root mean square of the errors over that of the results. */
static double check_bounds(const float *got, const struct attention_case *c)
{
    double off = 0, size = 0;

    for (int64_t row = 0; row < c->N * c->T; row++)
        for (int64_t h = 0; h < c->heads; h++) {
            double want[512], bound[512];

            exact_row(want, bound, c, row / c->T, h, row % c->T);
            for (int64_t i = 0; i < c->d; i++) {
                const double x = (double)got[(row * c->heads + h) * c->d + i];

                if (!(fabs(x - want[i]) <= bound[i]))
                    fail_msg("case %d, row %d, head %d, channel %d: %g for %g, %g allowed",
                             (int)(c - cases), (int)row, (int)h, (int)i, x, want[i], bound[i]);
                off += (x - want[i]) * (x - want[i]);
                size += want[i] * want[i];
            }
        }
    return sqrt(off / size);
}

static void errors_are_small_and_there(void **state)
{
    static float got[MOST];

    (void)state;
    if (!here()) {
        print_message("this processor does not multiply bf16: nothing is rounded\n");
        skip();
    }
    for (size_t k = 0; k < COUNT(cases); k++) {
        double e;

        assert_int_equal(run(got, &cases[k], PRECISION_BF16, 0, 2, 0, cases[k].N), PRECISION_BF16);
        e = check_bounds(got, &cases[k]);
        if (e < 5e-4 || e > 4e-3)
            fail_msg("case %d is off by %g", (int)k, e);
    }
}

/* --- laws ---------------------------------------------------------------------------------------
 */

static void the_laws_hold(void **state)
{
    static const unsigned flags[] = {0, GRAPH_EAGER, GRAPH_FROZEN, GRAPH_CHECKPOINT};
    static float want[MOST], got[MOST];

    (void)state;
    for (size_t k = 0; k < COUNT(cases); k++) {
        const struct attention_case *c = &cases[k];
        const int64_t one = c->T * c->heads * c->d;

        run(want, c, PRECISION_INT8, 0, 1, 0, c->N);
        for (int threads = 1; threads <= 8; threads++) {
            run(got, c, PRECISION_BF16, flags[threads % 4], threads, 0, c->N);
            assert_memory_equal(want, got, (size_t)(c->N * one) * sizeof *got);
        }
        for (int64_t n = 0; n < c->N; n++) {
            run(got, c, PRECISION_INT8, 0, 2, n, 1);
            assert_memory_equal(want + n * one, got, (size_t)one * sizeof *got);
        }
    }
}

/* A text filled up to another length is the same text, whether its words are odd or even. */
static void padding_is_not_seen(void **state)
{
    enum { T = 40, LONG = 200, D = 64 };
    static int32_t words[LONG];
    static float a[T * D], b[T * D];

    (void)state;
    for (int count = 1; count <= 131; count += 13) {
        struct graph *g = NULL;
        struct tensor *from, *x, *y;

        for (int i = 0; i < LONG; i++)
            words[i] = i < count;
        assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
        graph_set_precision(g, PRECISION_BF16);
        from = graph_input(g, SHAPE(1, T, D), q);
        x = op_attention_cross(g, from, graph_input(g, SHAPE(1, count, 2 * D), kv), NULL, 2);
        y = op_attention_cross(g, from, graph_input(g, SHAPE(1, LONG, 2 * D), kv),
                               graph_input_i32(g, SHAPE(1, LONG), words), 2);
        graph_keep(g, x);
        graph_keep(g, y);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, x, a);
        graph_read(g, y, b);
        assert_memory_equal(a, b, sizeof a);
        graph_free(g);
    }
}

enum { ALL = 100, EARLY = 71, WIDTH = 64 };

/* Two heads; the keys from EARLY on are `late`. */
static void run_late(float *out, float late, const struct attention_form *form,
                     const int32_t *words)
{
    static float keys[ALL * 2 * WIDTH];
    struct graph *g = NULL;
    struct tensor *from, *to, *y;

    memcpy(keys, kv, sizeof keys);
    for (int i = EARLY * 2 * WIDTH; i < ALL * 2 * WIDTH; i++)
        keys[i] = late;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    graph_set_precision(g, PRECISION_BF16);
    from = graph_input(g, SHAPE(1, ALL, WIDTH), q);
    to = graph_input(g, SHAPE(1, ALL, 2 * WIDTH), keys);
    y = form ? op_attention_formed(g, from, to, 2, form)
             : op_attention_cross(g, from, to,
                                  words ? graph_input_i32(g, SHAPE(1, ALL), words) : NULL, 2);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, out);
    graph_free(g);
}

static void what_comes_later_is_not_seen(void **state)
{
    static float a[ALL * WIDTH], b[ALL * WIDTH];
    const struct attention_form causal = {.causal = true};

    (void)state;
    run_late(a, 1, &causal, NULL);
    run_late(b, 1e38f, &causal, NULL);
    assert_memory_equal(a, b, EARLY * WIDTH * sizeof *a);
    assert_memory_not_equal(a + EARLY * WIDTH, b + EARLY * WIDTH, WIDTH * sizeof *a);
}

/* One NaN among the keys reaches every row; who may attend to nothing gets 0. */
static void nothing_and_nan(void **state)
{
    static const int32_t none[ALL];
    static float y[ALL * WIDTH];

    (void)state;
    run_late(y, NAN, NULL, NULL);
    for (int i = 0; i < ALL * WIDTH; i++)
        assert_true(isnan(y[i]));
    run_late(y, NAN, NULL, none);
    for (int i = 0; i < ALL * WIDTH; i++)
        assert_true(y[i] == 0);
}

/* --- what stays float32 -------------------------------------------------------------------------
 */

/* y and d sum(y^2) / d q of a tape that wants gradients. */
static void with_gradient(float *y, float *dq, enum precision p)
{
    const struct attention_case *c = &cases[0];
    const int64_t D = c->heads * c->d;
    struct tensor *in, *out, *loss;
    struct graph *g = NULL;

    assert_int_equal(graph_new(&g, GRAPH_CHECKPOINT, 2, NULL), OK);
    graph_set_precision(g, p);
    in = graph_input(g, SHAPE(c->N, c->T, 3 * D), q);
    graph_want_grad(in);
    out = op_attention(g, in, c->heads, QKV_SPLIT);
    assert_int_equal(attention_precision(g, out), PRECISION_FLOAT32);
    loss = op_sum(g, op_mul(g, out, out));
    graph_backward(g, loss);
    graph_keep(g, out);
    graph_keep(g, in->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, out, y);
    graph_read(g, in->grad, dq);
    graph_free(g);
}

static void gradients_want_float32(void **state)
{
    static float y[3][MOST], dq[2][MOST];
    const struct attention_case *c = &cases[0];
    const size_t bytes = (size_t)(c->N * c->T * c->heads * c->d) * sizeof(float);

    (void)state;
    with_gradient(y[0], dq[0], PRECISION_FLOAT32);
    with_gradient(y[1], dq[1], PRECISION_BF16);
    assert_int_equal(run(y[2], c, PRECISION_FLOAT32, 0, 2, 0, c->N), PRECISION_FLOAT32);
    assert_memory_equal(y[0], y[1], bytes);
    assert_memory_equal(y[0], y[2], bytes);
    assert_memory_equal(dq[0], dq[1], 3 * bytes);
}

static void small_ones_stay_float32(void **state)
{
    static const struct attention_case small[] = {
        {.N = 2, .T = 65, .heads = 2, .d = 30},
        {.N = 2, .T = 65, .heads = 2, .d = 35},
        {.N = 2, .T = 31, .heads = 2, .d = 64},
    };
    static float want[MOST], got[MOST];

    (void)state;
    for (size_t k = 0; k < COUNT(small); k++) {
        const struct attention_case *c = &small[k];

        run(want, c, PRECISION_FLOAT32, 0, 1, 0, c->N);
        assert_int_equal(run(got, c, PRECISION_INT8, 0, 1, 0, c->N), PRECISION_FLOAT32);
        assert_memory_equal(want, got, (size_t)(c->N * c->T * c->heads * c->d) * sizeof *got);
    }
}

/* One graph that is told another precision makes another plan. */
static void plans_do_not_mix(void **state)
{
    static const enum precision order[] = {PRECISION_FLOAT32, PRECISION_INT8, PRECISION_FLOAT32,
                                           PRECISION_BF16};
    static float want[2][MOST], got[MOST];
    const struct attention_case *c = &cases[0];
    const size_t bytes = (size_t)(c->N * c->T * c->heads * c->d) * sizeof(float);
    struct graph *g = NULL;

    (void)state;
    run(want[0], c, PRECISION_FLOAT32, 0, 2, 0, c->N);
    run(want[1], c, PRECISION_BF16, 0, 2, 0, c->N);
    assert_int_equal(memcmp(want[0], want[1], bytes) != 0, here());
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    for (size_t k = 0; k < COUNT(order); k++) {
        struct tensor *y;

        graph_set_precision(g, order[k]);
        graph_reset(g);
        y = build(g, c, 0, c->N);
        graph_keep(g, y);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, y, got);
        assert_memory_equal(got, want[order[k] != PRECISION_FLOAT32], bytes);
    }
    graph_free(g);
}

/* --- words --------------------------------------------------------------------------------------
 */

/* Pairs of rows and halves of rows, to another place and where they lie. */
static void pairs_are_the_nearest(void **state)
{
    enum { ROWS = 6, COLS = 70, ROW = 80 };
    static float x[ROWS * ROW];
    static panel_word out[ROWS * ROW];

    (void)state;
    for (int n = 1; n <= COLS; n++) {
        words_pairs(out, ROW, q, 2 * ROW, ROW, ROWS / 2, n);
        for (int i = 0; i < ROWS / 2 * n; i++) {
            const float *at = q + i / n * 2 * ROW + i % n;

            assert_int_equal(out[i / n * ROW + i % n],
                             bf16_bits(at[0]) | (uint32_t)bf16_bits(at[ROW]) << 16);
        }
    }
    for (int n = 2; n <= COLS; n += 2) {
        memcpy(x, q, sizeof x);
        words_pairs((panel_word *)x, n / 2, x, ROW, n / 2, ROWS, n / 2);
        for (int i = 0; i < ROWS * n / 2; i++) {
            const float *at = q + i / (n / 2) * ROW + i % (n / 2);

            assert_int_equal(((const panel_word *)x)[i],
                             bf16_bits(at[0]) | (uint32_t)bf16_bits(at[n / 2]) << 16);
        }
    }
}

static void sums_of_bytes(void **state)
{
    static panel_word words[300];
    const signed char *byte = (const signed char *)words;
    struct rng r = rng_stream(8, RNG_TEST, 0);

    (void)state;
    for (int i = 0; i < 300; i++)
        words[i] = i < 100 ? 0x80808080u : i < 200 ? 0x7f7f7f7fu : rng_u32(&r);
    for (int n = 0, sum = 0; n < 1200; sum += byte[n++])
        assert_int_equal(words_sum(words, n), sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_small_and_there),
        cmocka_unit_test(the_laws_hold),
        cmocka_unit_test(padding_is_not_seen),
        cmocka_unit_test(what_comes_later_is_not_seen),
        cmocka_unit_test(nothing_and_nan),
        cmocka_unit_test(gradients_want_float32),
        cmocka_unit_test(small_ones_stay_float32),
        cmocka_unit_test(plans_do_not_mix),
        cmocka_unit_test(pairs_are_the_nearest),
        cmocka_unit_test(sums_of_bytes),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
