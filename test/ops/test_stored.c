/*
 * test_stored.c - layers and look-ups whose weights stay as a file stores them
 *
 * The law: a product from stored weights has the bits of the same product from the same weights,
 * widened beforehand, however both are run: on any number of threads, planned or eager, packed once
 * or on the way, a sample alone or among others, to the outputs or back to the inputs.
 */
#include "backend/cpu/widen.h"
#include "backend/cpu/words.h"
#include "base/numbers.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/sequence.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Several parts of the sum, the last of them short, and a last panel that is not full. */
enum { I = 544, O = 330, T = 70, N = 3, ALL = N * T };
/* So many rows that weights are packed in chunks, and so many outputs that there are several. */
enum { MANY_ROWS = 800, MANY_OUT = 4000, MANY_IN = 600 };

static float x[ALL * I], bias[O], scale[O], wide[O * I];
static unsigned char bytes[4 * O * I];

static struct matrix matrix(enum matrix_type t)
{
    struct matrix s = {.type = t, .rows = O, .cols = I, .bytes = bytes};
    struct rng r = rng_stream(1, RNG_TEST, (uint64_t)t);

    s.row_bytes = (int64_t)matrix_bytes(t, I);
    for (int64_t i = 0; i < O * s.row_bytes; i++)
        bytes[i] = (unsigned char)(rng_u32(&r) & (t == MATRIX_I8 ? 0xff : 0x2f));
    for (int64_t i = 0; i < O * I; i++) {
        float v = (float)rng_normal(&r);

        if (t == MATRIX_F32)
            memcpy(bytes + 4 * i, &v, 4);
        else if (t == MATRIX_F16)
            memcpy(bytes + 2 * i, &(uint16_t){f16_bits(v)}, 2);
        else if (t == MATRIX_BF16)
            memcpy(bytes + 2 * i, &(uint16_t){bf16_bits(v)}, 2);
    }
    if (t == MATRIX_I8) {
        s.scale = scale;
        s.scales = O;
    }
    for (int64_t row = 0; row < O; row++)
        widen_row(widen_engine_at(2), wide + row * I, &s, row, 0, I);
    return s;
}

static int setup(void **state)
{
    struct rng r = rng_stream(2, RNG_TEST, 0);

    (void)state;
    rng_normals(&r, x, ALL * I);
    rng_normals(&r, bias, O);
    for (int i = 0; i < O; i++)
        scale[i] = 0.01f + 0.001f * (float)i;
    return 0;
}

struct how {
    enum precision precision;
    unsigned flags;
    int threads;
    struct shape shape; /* of x */
    const float *x;
};

/* gelu(x W^T + b); w NULL: from `wide`. */
static void forward(float *y, const struct how *how, const struct matrix *w)
{
    struct graph *g = NULL;
    struct tensor *t;

    assert_int_equal(graph_new(&g, how->flags, how->threads, NULL), OK);
    graph_set_precision(g, how->precision);
    t = op_linear(g, graph_input(g, how->shape, how->x),
                  w ? graph_stored(g, SHAPE(O, I), w, "w")
                    : graph_param(g, SHAPE(O, I), wide, NULL, "w"),
                  graph_param(g, SHAPE(O), bias, NULL, "b"), ACT_GELU);
    graph_keep(g, t);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, t, y);
    graph_free(g);
}

/* d sum(c y) / dx with c = the product itself before. */
static void backward(float *dx, const struct how *how, const struct matrix *w)
{
    struct graph *g = NULL;
    struct tensor *in, *y;

    assert_int_equal(graph_new(&g, how->flags, how->threads, NULL), OK);
    graph_set_precision(g, how->precision);
    in = graph_input(g, how->shape, how->x);
    graph_want_grad(in);
    y = op_linear(g, in,
                  w ? graph_stored(g, SHAPE(O, I), w, "w")
                    : graph_param(g, SHAPE(O, I), wide, NULL, "w"),
                  NULL, ACT_SILU);
    graph_backward(g, op_sum(g, op_mul(g, y, y)));
    graph_keep(g, in->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, in->grad, dx);
    graph_free(g);
}

static void the_bits_of_widened_weights(void **state)
{
    static float want[ALL * O], got[ALL * O], want_dx[ALL * I], got_dx[ALL * I];
    static const unsigned flags[] = {0, GRAPH_EAGER, GRAPH_FROZEN};

    (void)state;
    for (int t = 0; t < MATRIX_OTHER; t++) {
        struct matrix w = matrix((enum matrix_type)t);

        for (int p = 0; precision_name(p); p++)
            for (int tokens = 0; tokens < 2; tokens++) {
                struct how how = {.precision = (enum precision)p,
                                  .flags = GRAPH_FROZEN,
                                  .threads = 1,
                                  .shape = tokens ? SHAPE(N, T, I) : SHAPE(ALL, I),
                                  .x = x};

                /* Bytes with a scale of their own are not coded anew. */
                if (t == MATRIX_I8 && p == PRECISION_INT8 && tokens)
                    continue;
                forward(want, &how, NULL);
                backward(want_dx, &how, NULL);
                for (int k = 0; k < 3; k++)
                    for (how.threads = 1; how.threads < 4; how.threads++) {
                        how.flags = flags[k];
                        forward(got, &how, &w);
                        assert_memory_equal(want, got, sizeof want);
                    }
                how.flags = 0;
                for (how.threads = 1; how.threads < 4; how.threads++) {
                    backward(got_dx, &how, &w);
                    assert_memory_equal(want_dx, got_dx, sizeof want_dx);
                }
            }
    }
}

static void a_sample_alone(void **state)
{
    static float all[ALL * O], one[T * O];

    (void)state;
    for (int t = MATRIX_F16; t < MATRIX_OTHER; t++) {
        struct matrix w = matrix((enum matrix_type)t);

        for (int p = 0; precision_name(p); p++) {
            struct how how = {(enum precision)p, GRAPH_FROZEN, 2, SHAPE(N, T, I), x};

            forward(all, &how, &w);
            how.shape = SHAPE(1, T, I);
            for (int n = 0; n < N; n++) {
                how.x = x + n * T * I;
                forward(one, &how, &w);
                assert_memory_equal(all + n * T * O, one, sizeof one);
            }
        }
        /* And vectors. */
        forward(all, &(struct how){PRECISION_FLOAT32, 0, 2, SHAPE(ALL, I), x}, &w);
        for (int r = 0; r < ALL; r += 41) {
            forward(one, &(struct how){PRECISION_FLOAT32, 0, 1, SHAPE(1, I), x + r * I}, &w);
            assert_memory_equal(all + r * O, one, O * sizeof *one);
        }
    }
}

/* Many rows are multiplied in another way, and have the bits of few. */
static void many_rows(void **state)
{
    enum { FEW = 128 };
    static float in[MANY_ROWS * MANY_IN], all[MANY_ROWS * MANY_OUT], some[FEW * MANY_OUT];
    static uint16_t half[MANY_OUT * MANY_IN];
    const struct matrix w = {.type = MATRIX_F16,
                             .rows = MANY_OUT,
                             .cols = MANY_IN,
                             .bytes = half,
                             .row_bytes = 2 * MANY_IN};
    struct rng r = rng_stream(4, RNG_TEST, 0);

    (void)state;
    rng_normals(&r, in, MANY_ROWS * MANY_IN);
    for (int i = 0; i < MANY_OUT * MANY_IN; i++)
        half[i] = (uint16_t)(rng_u32(&r) & 0xbfff);
    for (int p = 0; precision_name(p); p++)
        for (int threads = 1; threads <= 5; threads++) {
            for (int64_t rows = MANY_ROWS; rows; rows = rows == MANY_ROWS ? FEW : 0) {
                struct graph *g = NULL;
                struct tensor *t;

                assert_int_equal(graph_new(&g, 0, threads, NULL), OK);
                graph_set_precision(g, (enum precision)p);
                t = op_linear(g, graph_input(g, SHAPE(rows / 32, 32, MANY_IN), in),
                              graph_stored(g, SHAPE(MANY_OUT, MANY_IN), &w, "w"), NULL, ACT_NONE);
                graph_keep(g, t);
                assert_int_equal(graph_run(g, NULL), OK);
                graph_read(g, t, rows == MANY_ROWS ? all : some);
                graph_free(g);
            }
            assert_memory_equal(all, some, sizeof some);
        }
}

/* Stored bytes meet the rows' bytes as they are: y = (low + step q) . (scale b), in whole numbers.
 */
static void bytes_are_used_as_they_are(void **state)
{
    static float got[ALL * O];
    struct matrix w = matrix(MATRIX_I8);

    (void)state;
    forward(got, &(struct how){PRECISION_INT8, GRAPH_FROZEN, 2, SHAPE(N, T, I), x}, &w);
    for (int r = 0; r < ALL; r += 7) {
        panel_word words[I / 4];
        const unsigned char *q = (const unsigned char *)words;
        struct byte_row row = words_bytes(words, x + r * I, I);

        for (int o = 0; o < O; o++) {
            const signed char *b = (const signed char *)bytes + o * I;
            int64_t products = 0, sum = 0;
            double y, low, size;

            for (int i = 0; i < I; i++) {
                products += q[i] * b[i];
                sum += b[i];
            }
            y = (double)scale[o] * (double)row.step * (double)products;
            low = (double)scale[o] * (double)row.low * (double)sum;
            size = fabs(y) + fabs(low) + 1;
            y += low + (double)bias[o];
            y = 0.5 * y * (1 + tanh(0.79788456080286536 * (y + 0.044715 * y * y * y)));
            assert_true(fabs(y - (double)got[r * O + o]) <= 3e-6 * size);
        }
    }
}

/* A matrix in three tensors has the bits of the same in one. */
static void pieces_are_one_matrix(void **state)
{
    static float want[ALL * O], got[ALL * O];
    static const enum matrix_type types[] = {MATRIX_F16, MATRIX_I8, MATRIX_Q8_0};

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct matrix w = matrix(types[k]), piece[3];
        struct matrix all = {.rows = O, .cols = I, .piece = piece, .pieces = 3};

        for (int i = 0; i < 3; i++) {
            piece[i] = w;
            piece[i].rows = O / 3;
            piece[i].bytes = bytes + i * O / 3 * w.row_bytes;
            if (w.scales) {
                piece[i].scale = w.scale + i * O / 3;
                piece[i].scales = O / 3;
            }
        }
        for (int p = 0; precision_name(p); p++) {
            struct how how = {(enum precision)p, GRAPH_FROZEN, 2, SHAPE(N, T, I), x};

            forward(want, &how, &w);
            forward(got, &how, &all);
            assert_memory_equal(want, got, sizeof want);
        }
    }
}

static void rows_of_a_table(void **state)
{
    static const int32_t ids[] = {0, O - 1, 7, 7, 129};
    enum { IDS = sizeof ids / sizeof *ids };
    static float got[IDS * I];

    (void)state;
    for (int t = 0; t < MATRIX_OTHER; t++) {
        struct matrix w = matrix((enum matrix_type)t);
        struct graph *g = NULL;
        struct tensor *y;

        assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
        y = op_embedding(g, graph_stored(g, SHAPE(O, I), &w, "table"),
                         graph_input_i32(g, SHAPE(IDS), ids));
        graph_keep(g, y);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, y, got);
        for (int i = 0; i < IDS; i++)
            assert_memory_equal(got + i * I, wide + ids[i] * I, I * sizeof *got);
        graph_free(g);
    }
}

/* A window of a grid is widened where it is, also where its cells begin within a block. */
static void windows_of_a_grid(void **state)
{
    enum { SIDE = 8, D = O * I / (SIDE * SIDE) };
    static const struct grid_window windows[] = {
        {SIDE, 0, 0, SIDE, SIDE}, {SIDE, 2, 1, 3, 5}, {SIDE, 7, 7, 1, 1}, {SIDE, 3, 3, 2, 0}};
    static float want[O * I], got[O * I];

    (void)state;
    for (int t = 0; t < MATRIX_OTHER; t++)
        for (size_t k = 0; k < sizeof windows / sizeof *windows; k++) {
            struct matrix w = matrix((enum matrix_type)t);
            struct grid_window at = windows[k];
            struct graph *g = NULL;
            struct tensor *y;

            w.rows = 1;
            w.cols = O * I;
            w.row_bytes *= O;
            w.scales = w.scales ? 1 : 0;
            widen_row(widen_engine_at(2), want, &w, 0, 0, O * I);
            assert_int_equal(graph_new(&g, GRAPH_FROZEN, 2, NULL), OK);
            y = op_window(g, graph_stored(g, SHAPE(1, SIDE * SIDE, D), &w, "grid"), at);
            graph_keep(g, y);
            assert_int_equal(graph_run(g, NULL), OK);
            graph_read(g, y, got);
            for (int64_t i = 0; i < at.height * at.width; i++) {
                int64_t cell = (at.top + i / at.width) * SIDE + at.left + i % at.width;

                assert_memory_equal(got + i * D, want + cell * D, D * sizeof *got);
            }
            graph_free(g);
        }
}

/* What was planned for one type is not used for another at the same place of an equal tape. */
static void plans_do_not_mix(void **state)
{
    static float want[2][ALL * O], got[ALL * O];
    static unsigned char other[2 * O * I];
    struct matrix w[2] = {matrix(MATRIX_F16)};
    struct graph *g = NULL;

    (void)state;
    memcpy(other, bytes, sizeof other);
    w[0].bytes = other;
    w[1] = matrix(MATRIX_Q8_0);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    for (int k = 0; k < 4; k++) {
        struct how how = {PRECISION_FLOAT32, 0, 2, SHAPE(N, T, I), x};
        struct tensor *t;

        forward(want[k % 2], &how, &w[k % 2]);
        graph_reset(g);
        t = op_linear(g, graph_input(g, how.shape, x), graph_stored(g, SHAPE(O, I), &w[k % 2], "w"),
                      graph_param(g, SHAPE(O), bias, NULL, "b"), ACT_GELU);
        graph_keep(g, t);
        assert_int_equal(graph_run(g, NULL), OK);
        graph_read(g, t, got);
        assert_memory_equal(want[k % 2], got, sizeof got);
    }
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bits_of_widened_weights),
        cmocka_unit_test(a_sample_alone),
        cmocka_unit_test(many_rows),
        cmocka_unit_test(bytes_are_used_as_they_are),
        cmocka_unit_test(pieces_are_one_matrix),
        cmocka_unit_test(rows_of_a_table),
        cmocka_unit_test(windows_of_a_grid),
        cmocka_unit_test(plans_do_not_mix),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
