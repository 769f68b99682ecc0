/*
 * test_params_stored.c - matrices that stay in their file, in the type that it has
 */
#include "nn/layers.h"
#include "nn/params.h"

#include "base/rng.h"
#include "io/safetensors.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[TEMP_PATH], path[TEMP_PATH];

enum { I = 96, O = 40, ROWS = 3 };

static unsigned char bytes[3 * O * I * 4];

/* Two layers, a table, a norm, and a matrix that is for nobody to multiply by. */
struct net {
    struct params *params;
    struct linear one, two;
    struct param *table, *norm, *other;
};

static struct net net_new(void)
{
    const struct init zero = {.kind = INIT_ZERO};
    struct net n;
    struct scope s;

    assert_int_equal(params_new(&n.params, NULL), OK);
    s = scope_root(n.params);
    linear_init(&n.one, scope_in(s, "one"), I, O, INIT_ZERO);
    linear_init(&n.two, scope_in(s, "two"), I, O, INIT_ZERO);
    n.table = params_add_matrix(s, "table", SHAPE(O, I), zero);
    n.norm = params_add(s, "norm", SHAPE(I), zero);
    n.other = params_add(s, "other", SHAPE(O, I), zero);
    return n;
}

/* A file in which all is of one type, but for the bias of layer one. */
static void save(enum file_dtype type)
{
    static const float bias[O] = {1, 2, 3};
    static float scale[O];
    struct save_tensor rows[] = {
        {"one.weight", type, 2, {O, I}, bytes, NULL},
        {"one.bias", FILE_F32, 1, {O}, bias, NULL},
        {"two.weight", type, 2, {O, I}, bytes + O * I, NULL},
        {"two.bias", type, 1, {O}, bytes, NULL},
        {"table", type, 2, {O, I}, bytes + 2 * O * I, NULL},
        {"norm", type, 1, {I}, bytes + 7, NULL},
        {"other", type, 2, {O, I}, bytes, NULL},
        {"one.weight.scale", FILE_F32, 1, {O}, scale, NULL},
    };

    for (int i = 0; i < O; i++)
        scale[i] = 1 + 0.25f * (float)i;
    assert_int_equal(safetensors_save(path, rows, type == FILE_I8 ? 8 : 7, NULL, 0, NULL), OK);
}

/* norm + x W1^T + b1 + x W2^T + b2 of three rows of the table. */
static void run(const struct net *n, float *y)
{
    static const int32_t ids[ROWS] = {0, O - 1, 11};
    struct graph *g = NULL;
    struct tensor *x, *t;

    assert_int_equal(graph_new(&g, GRAPH_FROZEN, 2, NULL), OK);
    x = op_embedding(g, nn_param(g, n->table), graph_input_i32(g, SHAPE(ROWS), ids));
    x = op_add_vec(g, x, nn_param(g, n->norm));
    t = op_add(g, nn_linear(g, &n->one, x), nn_linear(g, &n->two, x));
    graph_keep(g, t);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, t, y);
    graph_free(g);
}

static int64_t lent(const struct net *n)
{
    int64_t count = 0;

    for (int64_t i = 0; i < params_count(n->params); i++) {
        const struct param *q = params_at(n->params, i);

        assert_true((q->lent.rows > 0) == !q->value);
        count += q->lent.rows > 0;
    }
    return count;
}

static void what_stays_gives_what_was_widened(void **state)
{
    static const enum file_dtype types[] = {FILE_F32,     FILE_F16, FILE_BF16, FILE_F8_E4M3,
                                            FILE_F8_E5M2, FILE_I8,  FILE_I16};
    static float want[ROWS * O], got[ROWS * O];

    (void)state;
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        struct net loaded = net_new(), mapped = net_new();
        struct weights *f;

        save(types[k]);
        assert_int_equal(weights_open(&f, path, NULL), OK);
        assert_int_equal(params_alloc(loaded.params, false, NULL), OK);
        assert_int_equal(params_load(loaded.params, f, "", PARAMS_ALL, NULL, NULL), OK);
        assert_int_equal(params_map(mapped.params, f, "", NULL), OK);
        /* Floats lie in place and have a value; 16-bit integers are no type of matrices. */
        assert_int_equal(lent(&mapped), types[k] == FILE_F32 || types[k] == FILE_I16 ? 0 : 3);
        assert_int_equal(lent(&loaded), 0);
        run(&loaded, want);
        run(&mapped, got);
        assert_memory_equal(want, got, sizeof want);
        params_free(loaded.params);
        params_free(mapped.params);
        weights_close(f);
    }
}

/* A mapped network that is saved again is the network that it was loaded from. */
static void what_stays_is_saved(void **state)
{
    struct net mapped = net_new(), again = net_new(), loaded = net_new();
    struct save_tensor rows[8];
    char copy[TEMP_PATH];
    struct weights *f, *g;
    int64_t n;
    void *keep;

    (void)state;
    temp_path(copy, folder, "copy.safetensors");
    save(FILE_I8);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_map(mapped.params, f, "", NULL), OK);
    assert_int_equal(params_describe(mapped.params, "", PARAMS_ALL, NULL, rows, &n, &keep, NULL),
                     OK);
    assert_int_equal(safetensors_save(copy, rows, n, NULL, 0, NULL), OK);
    free(keep);
    assert_int_equal(weights_open(&g, copy, NULL), OK);
    assert_int_equal(params_map(again.params, g, "", NULL), OK);
    assert_int_equal(params_alloc(loaded.params, false, NULL), OK);
    assert_int_equal(params_load(loaded.params, f, "", PARAMS_ALL, NULL, NULL), OK);
    for (int64_t i = 0; i < params_count(loaded.params); i++) {
        const struct param *q = params_at(loaded.params, i);

        assert_memory_equal(q->value, params_at(again.params, i)->value,
                            (size_t)shape_count(q->shape) * sizeof(float));
    }
    params_free(mapped.params);
    params_free(again.params);
    params_free(loaded.params);
    weights_close(f);
    weights_close(g);
}

/* --- tensors given by hand ----------------------------------------------------------------------
 */

static struct file_tensor tensor_of(enum file_dtype type, int64_t rows, int64_t cols)
{
    struct file_tensor t = {.name = "t", .dtype = type, .rank = 2, .dim = {rows, cols}};

    t.bytes = bytes;
    t.n_bytes = (uint64_t)(rows * cols / file_dtype_block(type)) * file_dtype_size(type);
    return t;
}

/* Blocks of GGUF, whole and cut: a matrix of the last rows of one tensor and the first of another.
 */
static void blocks_of_every_kind(void **state)
{
    enum { COLS = 512 };
    static float want[8 * COLS], got[6 * COLS];

    (void)state;
    for (int type = FILE_Q4_0; type <= FILE_Q6_K; type++) {
        struct file_tensor t = tensor_of((enum file_dtype)type, 8, COLS);
        const struct param_rows halves[] = {{&t, 5}, {&t, 1}};
        struct params *p;
        struct param *q;

        assert_int_equal(file_tensor_f32(&t, want, NULL), OK);
        assert_int_equal(params_new(&p, NULL), OK);
        q = params_add(scope_root(p), "w", SHAPE(6, COLS), (struct init){.kind = INIT_ZERO});
        q->matrix = true;
        assert_true(param_lend(q, halves, 2));
        param_read(got, q);
        assert_memory_equal(got, want + 5 * COLS, 3 * COLS * sizeof *got);
        assert_memory_equal(got + 3 * COLS, want + COLS, 3 * COLS * sizeof *got);
        params_free(p);
    }
}

static void what_cannot_stay(void **state)
{
    struct file_tensor floats = tensor_of(FILE_F16, 8, 48), blocks = tensor_of(FILE_Q4_K, 8, 256);
    const struct init zero = {.kind = INIT_ZERO};
    struct params *p;
    struct param *q;

    (void)state;
    assert_int_equal(params_new(&p, NULL), OK);
    q = params_add(scope_root(p), "w", SHAPE(8, 48), zero);
    assert_false(
        param_lend(q, &(struct param_rows){&floats, 0}, 1)); /* for nobody to multiply by */
    q->matrix = true;
    assert_true(param_lend(q, &(struct param_rows){&floats, 0}, 1));
    q = params_add_conv(scope_root(p), "conv", SHAPE(8, 4, 4, 3), zero);
    q->matrix = true;
    assert_false(param_lend(q, &(struct param_rows){&floats, 0}, 1)); /* another order */
    q = params_add(scope_root(p), "narrow", SHAPE(16, 128), zero);
    q->matrix = true;
    assert_false(param_lend(q, &(struct param_rows){&blocks, 0}, 1)); /* half of a block a row */
    assert_int_equal(q->lent.rows, 0);
    params_free(p);
}

static int set_up(void **state)
{
    struct rng r = rng_stream(9, RNG_TEST, 0);

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(rng_u32(&r) & 0x2f); /* no infinity in any type */
    temp_dir_new(folder);
    temp_path(path, folder, "p.safetensors");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stays_gives_what_was_widened),
        cmocka_unit_test(what_stays_is_saved),
        cmocka_unit_test(blocks_of_every_kind),
        cmocka_unit_test(what_cannot_stay),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
