/*
 * test_params.c - parameters in files: mapped where they lie, converted where they do not
 */
#include "nn/params.h"

#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char path[] = "p.safetensors";

static void fill_table(float *out, struct shape shape, const void *config)
{
    (void)config;
    for (int64_t i = 0; i < shape_count(shape); i++)
        out[i] = (float)i;
}

/* Every kind of place: whole cache lines, a size that is none, a convolution, two that need no
 * change of order, and a table. */
static struct params *declare(void)
{
    const struct init normal = {.kind = INIT_NORMAL, .std = 1};
    struct params *p;
    struct scope s;

    assert_int_equal(params_new(&p, NULL), OK);
    s = scope_root(p);
    params_add(s, "odd", SHAPE(5), normal);
    params_add_conv(s, "conv", SHAPE(4, 3, 3, 8), normal);
    params_add(s, "even", SHAPE(16, 8), normal);
    params_add_conv(s, "point", SHAPE(16, 1, 1, 8), normal);
    params_add_patch(s, "patch", 8, 1, 4, normal);
    params_add(s, "table", SHAPE(7),
               (struct init){.kind = INIT_TABLE, .table = fill_table, .config = NULL});
    return p;
}

/* A layer norm over channels, rows and columns: [C, H, W] in the file, [H W C] here. */
static struct params *declare_turned(void)
{
    const struct init normal = {.kind = INIT_NORMAL, .std = 1};
    struct params *p;

    assert_int_equal(params_new(&p, NULL), OK);
    params_add_stored(scope_root(p), "turned", SHAPE(5 * 7 * 3), SHAPE(3, 5, 7),
                      (const int[]){1, 2, 0}, normal);
    params_add_stored(scope_root(p), "five", SHAPE(2, 6, 20), SHAPE(4, 6, 1, 2, 5),
                      (const int[]){3, 1, 2, 4, 0}, normal);
    return p;
}

static void save(struct params *p, const char *prefix, bool table)
{
    struct save_tensor *rows = calloc((size_t)params_count(p), sizeof *rows);
    int64_t n;
    void *keep;

    assert_int_equal(params_describe(p, prefix, table ? PARAMS_ALL : PARAMS_TRAINED, NULL, rows, &n,
                                     &keep, NULL),
                     OK);
    assert_int_equal(n, params_count(p) - (table ? 0 : 1));
    assert_int_equal(safetensors_save(path, rows, n, NULL, 0, NULL), OK);
    free(rows);
    free(keep);
}

static void save_all(struct params *p)
{
    struct save_tensor rows[8];
    int64_t n;
    void *keep;

    assert_int_equal(params_describe(p, "", PARAMS_ALL, NULL, rows, &n, &keep, NULL), OK);
    assert_int_equal(safetensors_save(path, rows, n, NULL, 0, NULL), OK);
    free(keep);
}

static bool lies_in(const struct weights *f, const struct param *q)
{
    const struct file_tensor *t = weights_find(f, q->name);

    return t && (const void *)q->own == (const void *)t->bytes;
}

static void assert_same(struct params *a, struct params *b)
{
    for (int64_t i = 0; i < params_count(a); i++)
        assert_memory_equal(params_at(a, i)->value, params_at(b, i)->value,
                            (size_t)shape_count(params_at(a, i)->shape) * sizeof(float));
}

static void mapped_parameters_are_the_saved_ones(void **state)
{
    static const char *const in_place[] = {"odd", "even", "point", "patch", "table"};
    struct params *from = declare(), *to = declare();
    struct weights *f;

    (void)state;
    assert_int_equal(params_alloc(from, true, NULL), OK);
    params_init(from, 3);
    save(from, "", true);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_map(to, f, "", NULL), OK);
    assert_same(from, to);
    assert_null(params_values(to));
    for (size_t i = 0; i < sizeof in_place / sizeof *in_place; i++)
        assert_true(lies_in(f, params_find(to, in_place[i])));
    assert_false(lies_in(f, params_find(to, "conv")));
    /* Memory that is given back comes again. */
    for (int64_t i = 0; i < params_count(to); i++)
        weights_drop(f, params_at(to, i)->own, 1 << 20);
    assert_same(from, to);
    params_free(from);
    params_free(to);
    weights_close(f);
}

static void a_missing_table_is_filled(void **state)
{
    struct params *from = declare(), *to = declare();
    struct weights *f;

    (void)state;
    assert_int_equal(params_alloc(from, false, NULL), OK);
    params_init(from, 4);
    save(from, "ema.", false);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_map(to, f, "ema.", NULL), OK);
    assert_same(from, to);
    params_free(from);
    params_free(to);
    weights_close(f);
}

static void what_does_not_fit_is_listed(void **state)
{
    struct params *from = declare(), *to = declare();
    struct error err = {0};
    struct weights *f;

    (void)state;
    params_add(scope_root(from), "more", SHAPE(2), (struct init){.kind = INIT_ONE});
    params_add(scope_root(to), "less", SHAPE(2), (struct init){.kind = INIT_ONE});
    assert_int_equal(params_alloc(from, false, NULL), OK);
    params_init(from, 5);
    params_find(from, "even")->file_shape = SHAPE(8, 16);
    save(from, "", true);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_map(to, f, "", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "1 missing, 1 of another shape, 1 unexpected"));
    assert_non_null(strstr(err.text, "less"));
    assert_non_null(strstr(err.text, "more"));
    assert_non_null(strstr(err.text, "[8, 16]"));
    params_free(from);
    params_free(to);
    weights_close(f);
}

/* A deep network's names are told by their pattern; each kind keeps its share of the sentence. */
static void hundreds_of_names_are_one_sentence(void **state)
{
    static const char *const layer[] = {"attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight"};
    struct params *from = declare(), *to = declare();
    struct error err = {0};
    struct weights *f;

    (void)state;
    for (int i = 0; i < 200; i++)
        for (int k = 0; k < 3; k++)
            params_add(scope_in(scope_root(from), "blocks.%d", i), layer[k], SHAPE(i < 2 ? 2 : 3),
                       (struct init){.kind = INIT_ONE});
    for (int i = 0; i < 2; i++)
        params_add(scope_in(scope_root(to), "blocks.%d", i), layer[0], SHAPE(5),
                   (struct init){.kind = INIT_ONE});
    for (int i = 0; i < 300; i++)
        params_add(scope_in(scope_root(to), "layers.%d.part_%c", i, 'a' + i % 26), "w", SHAPE(2),
                   (struct init){.kind = INIT_ONE});
    params_add(scope_root(to), "alone.7.bias", SHAPE(2), (struct init){.kind = INIT_ONE});
    assert_int_equal(params_alloc(from, false, NULL), OK);
    params_init(from, 5);
    save(from, "", true);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_map(to, f, "", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "301 missing, 2 of another shape, 598 unexpected: "));
    assert_non_null(strstr(err.text, "missing layers.*.part_a.w (12), layers"));
    assert_non_null(strstr(err.text, " more; blocks.*.attn.qkv.weight is [2], not [5] (2); "));
    assert_non_null(strstr(err.text, "blocks.*.mlp.fc1.weight (200), "));
    assert_true(strlen(err.text) < ERROR_TEXT - 1);
    params_free(from);
    params_free(to);
    weights_close(f);
}

static float stored(const float *file, const int64_t *dim, const int64_t *at, int rank)
{
    int64_t i = 0;

    for (int k = 0; k < rank; k++)
        i = i * dim[k] + at[k];
    return file[i];
}

static void any_order_of_dimensions_comes_back(void **state)
{
    struct params *from = declare_turned(), *to = declare_turned(), *mapped = declare_turned();
    const struct file_tensor *t;
    struct weights *f;
    float file[240];

    (void)state;
    assert_int_equal(params_alloc(from, false, NULL), OK);
    assert_int_equal(params_alloc(to, false, NULL), OK);
    params_init(from, 9);
    save_all(from);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_load(to, f, "", PARAMS_ALL, NULL, NULL), OK);
    assert_int_equal(params_map(mapped, f, "", NULL), OK);
    assert_same(from, to);
    assert_same(from, mapped);
    t = weights_find(f, "turned");
    assert_int_equal(t->rank, 3);
    assert_int_equal(file_tensor_f32(t, file, NULL), OK);
    for (int64_t i = 0; i < 5 * 7 * 3; i++)
        assert_true(params_find(from, "turned")->value[i] ==
                    stored(file, t->dim, (int64_t[]){i % 3, i / 21, i / 3 % 7}, 3));
    t = weights_find(f, "five");
    assert_int_equal(t->rank, 5);
    assert_int_equal(file_tensor_f32(t, file, NULL), OK);
    for (int64_t i = 0; i < 240; i++)
        assert_true(params_find(from, "five")->value[i] ==
                    stored(file, t->dim, (int64_t[]){i % 4, i / 20 % 6, 0, i / 120, i / 4 % 5}, 5));
    params_free(from);
    params_free(to);
    params_free(mapped);
    weights_close(f);
}

/* The data begin at a cache line, and what fills whole ones begins at one. */
static void files_are_aligned(void **state)
{
    struct params *from = declare();
    struct weights *f;

    (void)state;
    assert_int_equal(params_alloc(from, false, NULL), OK);
    params_init(from, 6);
    save(from, "", true);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    for (int64_t i = 0; i < weights_count(f); i++) {
        const struct file_tensor *t = weights_at(f, i);

        assert_int_equal((uintptr_t)t->bytes % (t->n_bytes % 64 ? sizeof(float) : 64), 0);
    }
    params_free(from);
    weights_close(f);
}

/* Two heads of three channels, rows of two numbers: in the file q's first row, k's first, v's
 * first, q's second and so on, head by head. */
static void heads_are_dealt_in_files(void **state)
{
    enum { HEADS = 2, D = 3, WIDTH = 2, N = 3 * HEADS * D * WIDTH };
    struct params *p, *back;
    const struct file_tensor *t;
    struct weights *f;
    struct param *q[2];
    float file[N];

    (void)state;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(params_new(k ? &back : &p, NULL), OK);
        q[k] = params_add(scope_root(k ? back : p), "qkv", SHAPE(3 * HEADS * D, WIDTH),
                          (struct init){.kind = INIT_NORMAL, .std = 1});
        q[k]->file_shape = SHAPE(3 * HEADS * D, WIDTH, 1, 1);
        param_deal(q[k], HEADS);
    }
    assert_int_equal(params_alloc(p, false, NULL), OK);
    params_init(p, 7);
    {
        struct save_tensor row;
        int64_t n;
        void *keep;

        assert_int_equal(params_describe(p, "", PARAMS_ALL, NULL, &row, &n, &keep, NULL), OK);
        assert_int_equal(safetensors_save(path, &row, n, NULL, 0, NULL), OK);
        free(keep);
    }
    assert_int_equal(weights_open(&f, path, NULL), OK);
    t = weights_find(f, "qkv");
    assert_non_null(t);
    assert_int_equal(t->rank, 4);
    assert_int_equal(file_tensor_f32(t, file, NULL), OK);
    for (int h = 0; h < HEADS; h++)
        for (int part = 0; part < 3; part++)
            for (int c = 0; c < D; c++)
                assert_memory_equal(file + ((h * D + c) * 3 + part) * WIDTH,
                                    q[0]->value + ((h * 3 + part) * D + c) * WIDTH,
                                    WIDTH * sizeof(float));
    assert_int_equal(params_map(back, f, "", NULL), OK);
    assert_same(p, back);
    params_free(p);
    params_free(back);
    weights_close(f);
}

/* --- files that cut parameters elsewhere --------------------------------------------------------
 */

enum { ROWS = 6, WIDTH = 32 };

/* "joined" is three tensors, "swapped" the halves of one the other way round, "first" and "last"
 * the thirds of one that is shared, "turned" transposed. */
static int cut_elsewhere(struct param_piece out[PARAM_PIECES], const char *ours, int attempt,
                         const void *user)
{
    (void)user;
    if (attempt > 1 || (attempt == 0 && !strcmp(ours, "swapped")))
        return 0;
    for (int k = 0; k < PARAM_PIECES; k++)
        out[k] = (struct param_piece){.parts = 1};
    if (attempt == 1) /* nobody is called so */
        return snprintf(out[0].name, PARAM_NAME, "nobody.%s", ours) > 0;
    if (!strcmp(ours, "joined")) {
        for (int k = 0; k < 3; k++)
            snprintf(out[k].name, PARAM_NAME, "%c", "qkv"[k]);
        return 3;
    }
    snprintf(out[0].name, PARAM_NAME, "%s", !strcmp(ours, "turned") ? "t" : "shared");
    out[0].transposed = !strcmp(ours, "turned");
    if (!out[0].transposed) {
        out[0].part = !strcmp(ours, "last") ? 2 : 0;
        out[0].parts = 3;
    }
    return 1;
}

static int cut_and_swapped(struct param_piece out[PARAM_PIECES], const char *ours, int attempt,
                           const void *user)
{
    if (strcmp(ours, "swapped") != 0)
        return cut_elsewhere(out, ours, attempt, user);
    for (int k = 0; k < 2; k++) {
        out[k] = (struct param_piece){.part = 1 - k, .parts = 2};
        snprintf(out[k].name, PARAM_NAME, "halves");
    }
    return attempt == 0 ? 2 : 0;
}

static struct params *declare_cut(void)
{
    const struct init normal = {.kind = INIT_NORMAL, .std = 1};
    struct params *p;

    assert_int_equal(params_new(&p, NULL), OK);
    params_add(scope_root(p), "joined", SHAPE(ROWS, WIDTH), normal);
    params_add(scope_root(p), "swapped", SHAPE(ROWS, WIDTH), normal);
    params_add(scope_root(p), "first", SHAPE(ROWS, WIDTH), normal);
    params_add(scope_root(p), "last", SHAPE(ROWS, WIDTH), normal);
    params_add(scope_root(p), "turned", SHAPE(ROWS, WIDTH), normal);
    return p;
}

/* A file of counted numbers under the names of others; n_more tensors that nobody asked for. */
static void save_cut(int64_t rows_of_q, int64_t n_more)
{
    static const char *const names[] = {"q", "k", "v", "halves", "shared", "t", "more", "other"};
    const int64_t rows[] = {rows_of_q, ROWS / 3, ROWS / 3, ROWS, 3 * ROWS, WIDTH, 1, 1};
    struct save_tensor row[8] = {0};
    static float values[8][3 * ROWS * WIDTH];

    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 3 * ROWS * WIDTH; k++)
            values[i][k] = (float)(10000 * i + k);
        row[i] = (struct save_tensor){.name = names[i],
                                      .dtype = FILE_F32,
                                      .rank = 2,
                                      .dim = {rows[i], i == 5 ? ROWS : WIDTH},
                                      .bytes = values[i]};
    }
    assert_int_equal(safetensors_save(path, row, 6 + n_more, NULL, 0, NULL), OK);
}

static void assert_counted(const float *value, double tensor, double from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        assert_true((double)value[i] == 10000 * tensor + from + (double)i);
}

static void assert_cut(struct params *p)
{
    const int64_t third = ROWS / 3 * WIDTH, half = ROWS / 2 * WIDTH, all = ROWS * WIDTH;

    for (int k = 0; k < 3; k++)
        assert_counted(params_find(p, "joined")->value + k * third, k, 0, third);
    assert_counted(params_find(p, "swapped")->value, 3, (double)half, half);
    assert_counted(params_find(p, "swapped")->value + half, 3, 0, half);
    assert_counted(params_find(p, "first")->value, 4, 0, all);
    assert_counted(params_find(p, "last")->value, 4, 2.0 * (double)all, all);
    for (int64_t i = 0; i < all; i++)
        assert_true(params_find(p, "turned")->value[i] ==
                    (float)(50000 + i % WIDTH * ROWS + i / WIDTH));
}

static void pieces_are_put_together(void **state)
{
    const struct params_naming naming = {.prefix = "", .pieces = cut_and_swapped};
    struct params *read = declare_cut(), *mapped = declare_cut();
    struct weights *f;

    (void)state;
    save_cut(ROWS / 3, 0);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_alloc(read, false, NULL), OK);
    assert_int_equal(params_load_named(read, f, &naming, PARAMS_ALL, NULL, NULL), OK);
    assert_int_equal(params_map_named(mapped, f, &naming, NULL), OK);
    assert_cut(read);
    assert_cut(mapped);
    assert_ptr_equal(params_find(mapped, "first")->own, weights_find(f, "shared")->bytes);
    params_free(read);
    params_free(mapped);
    weights_close(f);
}

static void pieces_that_do_not_fit_are_told(void **state)
{
    const struct params_naming naming = {.prefix = "", .pieces = cut_elsewhere};
    const struct params_naming swapped = {.prefix = "", .pieces = cut_and_swapped};
    struct params *p = declare_cut();
    struct error err = {0};
    struct weights *f;

    (void)state;
    save_cut(ROWS / 3 + 1, 2);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_alloc(p, false, NULL), OK);
    assert_int_equal(params_load_named(p, f, &naming, PARAMS_ALL, NULL, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "0 missing, 1 of another shape, 3 unexpected"));
    assert_non_null(strstr(err.text, "q is [3, 32], not [2, 32]"));
    assert_non_null(strstr(err.text, "unexpected halves"));
    weights_close(f);
    /* As many tensors too many as there are pieces of tensors that were counted already. */
    save_cut(ROWS / 3, 2);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    assert_int_equal(params_load_named(p, f, &swapped, PARAMS_ALL, NULL, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "0 missing, 0 of another shape, 2 unexpected"));
    params_free(p);
    weights_close(f);
}

/* Declared so, rows start at unit root mean square and come back to it; others are left alone. */
static void rows_are_brought_to_unit_size(void **state)
{
    const struct init normal = {.kind = INIT_NORMAL, .std = 1};
    struct param *unit, *free_one;
    struct params *p;
    float before;

    (void)state;
    assert_int_equal(params_new(&p, NULL), OK);
    unit = params_add(scope_root(p), "unit", SHAPE(5, 3, 3, 7), normal);
    free_one = params_add(scope_root(p), "free", SHAPE(5, 7), normal);
    unit->unit_rows = true;
    assert_int_equal(params_alloc(p, false, NULL), OK);
    params_init(p, 8);
    before = free_one->value[3];
    for (int round = 0; round < 2; round++) {
        for (int o = 0; o < 5; o++) {
            double sum = 0;

            for (int i = 0; i < 63; i++)
                sum += (double)unit->value[o * 63 + i] * (double)unit->value[o * 63 + i];
            assert_true(fabs(sqrt(sum / 63) - 1) < 2e-4);
        }
        for (int i = 0; i < 5 * 63; i++)
            unit->value[i] *= 4;
        params_force_units(p);
    }
    assert_memory_equal(&before, &free_one->value[3], sizeof before);
    params_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapped_parameters_are_the_saved_ones),
        cmocka_unit_test(a_missing_table_is_filled),
        cmocka_unit_test(what_does_not_fit_is_listed),
        cmocka_unit_test(hundreds_of_names_are_one_sentence),
        cmocka_unit_test(any_order_of_dimensions_comes_back),
        cmocka_unit_test(files_are_aligned),
        cmocka_unit_test(heads_are_dealt_in_files),
        cmocka_unit_test(pieces_are_put_together),
        cmocka_unit_test(pieces_that_do_not_fit_are_told),
        cmocka_unit_test(rows_are_brought_to_unit_size),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
