/*
 * test_mmdit.c - the transformer of two streams: public names and sizes, files in all their forms,
 * pictures of any size, blocks left out, gradients of exactly zero, and what is refused
 *
 * Whether it computes what the papers say is test_parity.c's affair.
 */
#include "model/mmdit.h"

#include "base/file.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "ops/basic.h"
#include "support/key_list.h"
#include "support/networks.h"
#include "support/says.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEYS         GOLDEN_DIR "/sd3/keys/"

static const char path[] = "m.safetensors";

/* --- public names and sizes ------------------------------------------------------------------- */

#define SD3 "size=128", "channels=16", "context_width=4096", "pooled_width=2048"

static const struct {
    const char *name;
    int depth;
    int64_t numbers;
    const char *settings[16];
} published[] = {
    {"sd3-medium",
     24,
     2084951104,
     {SD3, "width=1536", "depth=24", "heads=24", "positions=192", "qk_norm=false", NULL}},
    {"sd3.5-medium",
     24,
     2469663936,
     {SD3, "width=1536", "depth=24", "heads=24", "positions=384",
      "dual=0,1,2,3,4,5,6,7,8,9,10,11,12", NULL}},
    {"sd3.5-large",
     38,
     8146280768,
     {SD3, "width=2432", "depth=38", "heads=38", "positions=192", NULL}},
};

static void test_public_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(published); i++) {
        struct network *net = network_must("mmdit", published[i].settings, false);
        struct params_naming original = {.prefix = "model.diffusion_model."};
        struct params_naming theirs = {
            .prefix = "", .pieces = mmdit_folder_pieces, .user = &published[i].depth};
        char list[256];

        snprintf(list, sizeof list, KEYS "%s.mmdit.tsv", published[i].name);
        assert_key_list(net->params, &original, list);
        snprintf(list, sizeof list, KEYS "%s.transformer.tsv", published[i].name);
        assert_key_list(net->params, &theirs, list);
        assert_int_equal(params_numbers(net->params), published[i].numbers);
        network_free(net);
    }
}

/* --- tiny networks ---------------------------------------------------------------------------- */

enum { N = 2, HIGH = 6, WIDE = 10, CHANNELS = 2, WORDS = 5, CONTEXT = 6, POOLED = 4 };
enum { SIDE = 8, PIXELS = N * SIDE * SIDE * CHANNELS };

#define TINY                                                                            \
    "size=8", "channels=2", "context_width=6", "pooled_width=4", "width=16", "heads=2", \
        "positions=6"

struct inputs {
    float x[PIXELS], t[N], context[N * WORDS * CONTEXT], pooled[N * POOLED];
};

static const struct inputs *inputs(void)
{
    static struct inputs in;
    struct rng r = rng_stream(3, RNG_TEST, 0);

    rng_normals(&r, in.x, PIXELS);
    rng_normals(&r, in.context, N * WORDS * CONTEXT);
    rng_normals(&r, in.pooled, N * POOLED);
    for (int i = 0; i < N; i++)
        in.t[i] = 300 * (float)(i + 1);
    return &in;
}

static struct network_input record_inputs(struct graph *g, int64_t high, int64_t wide)
{
    const struct inputs *in = inputs();

    return (struct network_input){
        .x = graph_input(g, SHAPE(N, high, wide, CHANNELS), in->x),
        .t = graph_input(g, SHAPE(N), in->t),
        .context = graph_input(g, SHAPE(N, WORDS, CONTEXT), in->context),
        .pooled = graph_input(g, SHAPE(N, POOLED), in->pooled),
    };
}

/* The prediction for a picture of this size; flags: of the graph, gradients of a loss too where it
 * is not frozen. */
static void predict(float *out, const struct network *net, int64_t high, int64_t wide,
                    const bool *skip, unsigned flags)
{
    struct error err = {0};
    struct network_input in;
    struct graph *g;
    struct tensor *y;

    assert_int_equal(graph_new(&g, flags, 2, &err), OK);
    in = record_inputs(g, high, wide);
    in.skip = skip;
    y = network_forward(g, net, in);
    assert_true(shape_equal(y->shape, SHAPE(N, high, wide, net->io.out_channels)));
    graph_keep(g, y);
    if (!(flags & GRAPH_FROZEN))
        graph_backward(g, op_sum(g, op_mul(g, y, y)));
    if (graph_run(g, &err))
        fail_msg("%s", err.text);
    graph_read(g, y, out);
    graph_free(g);
}

/* --- sizes ------------------------------------------------------------------------------------ */

static void test_sizes_that_are_taken(void **state)
{
    static const char *const settings[] = {TINY, "depth=2", NULL};
    struct network *net = network_must("mmdit", settings, false);
    struct error err = {0};

    (void)state;
    assert_int_equal(network_check_size(net, 8, 8, &err), OK);
    assert_int_equal(network_check_size(net, 2, 12, &err), OK);
    assert_int_equal(network_check_size(net, 14, 12, &err), E_ARG);
    assert_non_null(strstr(err.text, "14 x 12"));
    assert_int_equal(network_check_size(net, 8, 7, &err), E_ARG);
    assert_int_equal(network_check_size(net, 0, 8, &err), E_ARG);
    network_free(net);
}

/* A picture of 3 x 5 patches has the rows 1 .. 3 and the columns 0 .. 4 of a table of 6 x 6. */
static void test_middle_of_the_table(void **state)
{
    static const char *const settings[] = {TINY, "depth=2", NULL};
    struct network *net = network_must("mmdit", settings, true);
    struct param *table = params_find(net->params, "pos_embed");
    static float before[PIXELS], after[PIXELS];

    (void)state;
    network_fill(net, 5);
    predict(before, net, HIGH, WIDE, NULL, GRAPH_FROZEN);
    for (int cell = 0; cell < 36; cell++) {
        bool inside = cell / 6 >= 1 && cell / 6 <= 3 && cell % 6 <= 4;
        float *row = table->value + cell * 16, old = row[3];

        row[3] += 1;
        predict(after, net, HIGH, WIDE, NULL, GRAPH_FROZEN);
        row[3] = old;
        assert_int_equal(memcmp(before, after, N * HIGH * WIDE * CHANNELS * sizeof(float)) != 0,
                         inside);
    }
    network_free(net);
}

/* --- blocks left out -------------------------------------------------------------------------- */

/* Copies what is called joint_blocks.<from> there to joint_blocks.<to>, or all else. */
static void copy_block(struct network *to, int as, struct network *from, int block)
{
    for (int64_t i = 0; i < params_count(from->params); i++) {
        const struct param *p = params_at(from->params, i);
        char name[160];
        struct param *q;
        int of = -1, end = 0;

        if (sscanf(p->name, "joint_blocks.%d.%n", &of, &end) != 1)
            of = -1;
        if (of != block)
            continue;
        snprintf(name, sizeof name, "%s", p->name);
        if (of >= 0)
            snprintf(name, sizeof name, "joint_blocks.%d.%s", as, p->name + end);
        q = params_find(to->params, name);
        assert_non_null(q);
        memcpy(q->value, p->value, (size_t)shape_count(p->shape) * sizeof(float));
    }
}

/* What is left is the network that never had the block. */
static void test_skipped_blocks(void **state)
{
    static const char *const three[] = {TINY, "depth=3", "dual=0,1", NULL};
    static const char *const two[] = {TINY, "depth=2", "dual=0", NULL};
    static const unsigned ways[] = {GRAPH_FROZEN, 0, GRAPH_EAGER, GRAPH_CHECKPOINT};
    struct network *net = network_must("mmdit", three, true),
                   *less = network_must("mmdit", two, true);
    static float all[PIXELS], want[PIXELS], got[PIXELS];
    const bool none[2] = {false, false};

    (void)state;
    assert_int_equal(net->io.n_skippable, 2);
    network_fill(net, 6);
    copy_block(less, 0, net, -1);
    copy_block(less, 1, net, 2);
    predict(all, net, SIDE, SIDE, NULL, GRAPH_FROZEN);
    predict(got, net, SIDE, SIDE, none, GRAPH_FROZEN);
    assert_memory_equal(got, all, sizeof got);
    for (int left = 0; left < 2; left++) {
        const bool skip[2] = {left == 1, left == 0};

        copy_block(less, 0, net, left);
        predict(want, less, SIDE, SIDE, NULL, GRAPH_FROZEN);
        assert_memory_not_equal(want, all, sizeof want);
        for (size_t k = 0; k < COUNT(ways); k++) {
            predict(got, net, SIDE, SIDE, skip, ways[k]);
            assert_memory_equal(got, want, sizeof got);
        }
    }
    network_free(net);
    network_free(less);
}

/* --- gradients -------------------------------------------------------------------------------- */

static double square_loss(struct network *net, bool gradients, void *user)
{
    struct error err = {0};
    struct tensor *y, *loss;
    struct graph *g;
    float value;

    (void)user;
    assert_int_equal(graph_new(&g, 0, 2, &err), OK);
    y = network_forward(g, net, record_inputs(g, HIGH, WIDE));
    loss = op_sum(g, op_mul(g, y, y));
    graph_keep(g, loss);
    if (gradients)
        graph_backward(g, loss);
    assert_int_equal(graph_run(g, &err), OK);
    graph_read(g, loss, &value);
    graph_free(g);
    return (double)value;
}

static void test_slopes(void **state)
{
    static const char *const forms[][16] = {
        {TINY, "depth=2", "qk_norm=false", NULL},
        {TINY, "depth=3", "dual=0,1", "out_channels=3", "mlp_ratio=2.5", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct network *net = network_must("mmdit", forms[i], true);

        network_fill(net, 7);
        check_slope("mmdit", net, square_loss, NULL, 8, 1e-3, 4e-3);
        network_free(net);
    }
}

/* Large enough for the products with seven multiplications, which would leave rounding errors. */
static void test_silent_queries(void **state)
{
    enum { ROWS = 256, WIDTH = 256 };
    static const char *const settings[] = {"size=4",         "channels=2", "context_width=6",
                                           "pooled_width=0", "width=256",  "heads=4",
                                           "depth=1",        "patch=2",    NULL};
    struct network *net = network_must("mmdit", settings, true);
    const struct param *qkv =
        params_find(net->params, "joint_blocks.0.context_block.attn.qkv.weight");
    static float context[N * ROWS * CONTEXT];
    struct rng r = rng_stream(9, RNG_TEST, 0);
    struct error err = {0};
    struct network_input in;
    struct graph *g;
    struct tensor *y;

    (void)state;
    network_fill(net, 9);
    rng_normals(&r, context, N * ROWS * CONTEXT);
    assert_int_equal(graph_new(&g, 0, 2, &err), OK);
    in = record_inputs(g, 4, 4);
    in.context = graph_input(g, SHAPE(N, ROWS, CONTEXT), context);
    in.pooled = NULL;
    y = network_forward(g, net, in);
    graph_backward(g, op_sum(g, op_mul(g, y, y)));
    assert_int_equal(graph_run(g, &err), OK);
    for (int64_t i = 0; i < WIDTH * WIDTH; i++)
        assert_true(qkv->grad[i] == 0);
    assert_true(qkv->grad[WIDTH * WIDTH + 5] != 0);
    assert_true(qkv->grad[2 * WIDTH * WIDTH + 5] != 0);
    graph_free(g);
    network_free(net);
}

/* --- files ------------------------------------------------------------------------------------ */

static void save(struct network *net, const char *prefix, const char *without,
                 const struct save_tensor *more)
{
    struct save_tensor *rows = calloc((size_t)params_count(net->params) + 1, sizeof *rows);
    struct error err = {0};
    int64_t n, kept = 0;
    void *keep;

    assert_non_null(rows);
    assert_int_equal(params_describe(net->params, prefix, PARAMS_ALL, NULL, rows, &n, &keep, &err),
                     OK);
    for (int64_t i = 0; i < n; i++)
        if (!without || !strstr(rows[i].name, without))
            rows[kept++] = rows[i];
    if (more)
        rows[kept++] = *more;
    assert_int_equal(safetensors_save(path, rows, kept, NULL, 0, &err), OK);
    free(keep);
    free(rows);
}

static enum status open_saved(struct network **net, struct weights **f, const json_t *config,
                              struct error *err)
{
    assert_int_equal(weights_open(f, path, err), OK);
    return mmdit_open_published(net, *f, config, false, err);
}

/* Heads of 64 features are what a file without a word about them has. */
static void test_configuration_from_shapes(void **state)
{
    static const char *const prefixes[] = {"", "model.diffusion_model."};
    static const char *const forms[][16] = {
        {"channels=3", "context_width=6", "pooled_width=4", "width=128", "heads=2", "depth=3",
         "size=8", "positions=5", "qk_norm=false", "mlp_ratio=1.3", "out_channels=2", NULL},
        {"channels=3", "context_width=6", "pooled_width=0", "width=36", "heads=3", "depth=4",
         "size=8", "positions=4", "dual=1,2", "patch=2", "mlp_ratio=2.78", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(forms) * COUNT(prefixes); i++) {
        struct network *net = network_must("mmdit", forms[i / 2], true), *back;
        const struct mmdit_config *a = net->config, *b;
        struct error err = {0};
        struct weights *f;

        network_fill(net, i);
        save(net, prefixes[i % 2], NULL, NULL);
        if (open_saved(&back, &f, NULL, &err))
            fail_msg("%s", err.text);
        b = back->config;
        assert_int_equal(b->width, a->width);
        assert_int_equal(b->depth, a->depth);
        assert_int_equal(b->heads, a->heads);
        assert_int_equal(b->patch, a->patch);
        assert_int_equal(b->positions, a->positions);
        assert_int_equal(b->qk_norm, a->qk_norm);
        assert_int_equal(b->dual.n, a->dual.n);
        for (int k = 0; k < a->dual.n; k++)
            assert_int_equal(b->dual.at[k], a->dual.at[k]);
        assert_int_equal(back->io.out_channels, net->io.out_channels);
        assert_int_equal(back->io.most, a->positions * a->patch);
        for (int64_t k = 0; k < params_count(net->params); k++)
            assert_memory_equal(params_at(back->params, k)->value, params_at(net->params, k)->value,
                                (size_t)shape_count(params_at(net->params, k)->shape) *
                                    sizeof(float));
        network_free(net);
        network_free(back);
        weights_close(f);
    }
}

/* A configuration that was stated wins over what shapes suggest. */
static void test_stated_heads(void **state)
{
    static const char *const settings[] = {TINY, "depth=2", "qk_norm=false", NULL};
    struct network *net = network_must("mmdit", settings, true), *back;
    json_t *config = json_pack("{s:i, s:i}", "num_attention_heads", 4, "sample_size", 6);
    struct error err = {0};
    struct weights *f;

    (void)state;
    network_fill(net, 1);
    save(net, "", NULL, NULL);
    assert_int_equal(open_saved(&back, &f, config, &err), OK);
    assert_int_equal(((const struct mmdit_config *)back->config)->heads, 4);
    assert_int_equal(back->io.height, 6);
    network_free(net);
    network_free(back);
    weights_close(f);
    json_decref(config);
}

static void test_refused_files(void **state)
{
    static const float numbers[16 * 16];
    const struct save_tensor rows = {"pos_embed", FILE_F32, 3, {1, 15, 16}, numbers, NULL};
    const struct save_tensor more = {
        "joint_blocks.0.x_block.attn.extra", FILE_F32, 1, {2}, numbers, NULL};
    const struct {
        const char *without;
        const struct save_tensor *more;
        const char *says;
    } cases[] = {
        {"x_embedder.proj.weight", NULL, "no transformer of two streams"},
        {"mlp.fc2.bias", NULL, "3 missing"},
        {"pos_embed", NULL, "no pos_embed"},
        {"pos_embed", &rows, "no square"},
        {"context_embedder.weight", NULL, "no context_embedder.weight"},
        {NULL, &more, "1 unexpected"},
    };
    static const char *const settings[] = {TINY, "depth=2", NULL};
    struct network *net = network_must("mmdit", settings, true);

    (void)state;
    network_fill(net, 2);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct network *back;
        struct error err = {0};
        struct weights *f;

        save(net, "", cases[i].without, cases[i].more);
        assert_int_equal(open_saved(&back, &f, NULL, &err), E_FORMAT);
        assert_null(back);
        assert_says(err.text, cases[i].says);
        weights_close(f);
    }
    network_free(net);
}

static void test_refused_settings(void **state)
{
    static const char *const bad[][16] = {
        {TINY, "depth=2", "dual=1", NULL},
        {TINY, "depth=2", "positions=3", NULL},
        {TINY, "depth=2", "heads=3", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error err = {0};
        struct network *net;

        assert_int_equal(network_of(&net, "mmdit", bad[i], false, &err), E_ARG);
        assert_null(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_names),
        cmocka_unit_test(test_sizes_that_are_taken),
        cmocka_unit_test(test_middle_of_the_table),
        cmocka_unit_test(test_skipped_blocks),
        cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_silent_queries),
        cmocka_unit_test(test_configuration_from_shapes),
        cmocka_unit_test(test_stated_heads),
        cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_refused_settings),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
