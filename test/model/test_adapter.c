/*
 * test_adapter.c - adapters: zeros change nothing, others are a dense change of the weights; their
 * gradients are slopes; files in the names of others, whole and damaged
 */
#include "model/adapter.h"

#include "base/file.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "model/adapter_parts.h"
#include "model/mmdit.h"
#include "ops/basic.h"
#include "support/networks.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { N = 2, SIDE = 8, CHANNELS = 2, WORDS = 5, CONTEXT = 6, POOLED = 4 };
enum { PIXELS = N * SIDE * SIDE * CHANNELS };

static char folder[TEMP_PATH], path[TEMP_PATH];

static const char *const settings[] = {
    "size=8",  "channels=2", "context_width=6", "pooled_width=4", "width=16",
    "heads=2", "depth=3",    "dual=0",          "positions=6",    NULL,
};

static struct network *must_build(void)
{
    struct network *net = network_must("mmdit", settings, true);

    network_fill(net, 3);
    return net;
}

static struct adapter *must_adapt(struct network *net, int64_t rank, double alpha,
                                  const char *targets)
{
    struct error err = {0};
    struct adapter *a;

    if (adapter_new(&a, net, &(struct adapter_plan){rank, alpha, targets}, 11, &err))
        fail_msg("%s", err.text);
    return a;
}

/* What has been learned: anything. */
static void scramble(struct adapter *a)
{
    struct rng r = rng_stream(4, RNG_TEST, 0);

    for (int64_t i = 0; i < params_n_trained(adapter_params(a)); i++)
        params_values(adapter_params(a))[i] = (float)(0.2 * rng_normal(&r));
}

static struct network_input record_inputs(struct graph *g)
{
    static float x[PIXELS], t[N] = {300, 600}, context[N * WORDS * CONTEXT], pooled[N * POOLED];
    struct rng r = rng_stream(3, RNG_TEST, 0);

    rng_normals(&r, x, PIXELS);
    rng_normals(&r, context, N * WORDS * CONTEXT);
    rng_normals(&r, pooled, N * POOLED);
    return (struct network_input){
        .x = graph_input(g, SHAPE(N, SIDE, SIDE, CHANNELS), x),
        .t = graph_input(g, SHAPE(N), t),
        .context = graph_input(g, SHAPE(N, WORDS, CONTEXT), context),
        .pooled = graph_input(g, SHAPE(N, POOLED), pooled),
    };
}

static void predict(float out[PIXELS], const struct network *net, unsigned flags, int threads)
{
    struct error err = {0};
    struct graph *g;
    struct tensor *y;

    assert_int_equal(graph_new(&g, flags, threads, &err), OK);
    y = network_forward(g, net, record_inputs(g));
    graph_keep(g, y);
    if (!(flags & GRAPH_FROZEN))
        graph_backward(g, op_sum(g, op_mul(g, y, y)));
    if (graph_run(g, &err))
        fail_msg("%s", err.text);
    graph_read(g, y, out);
    graph_free(g);
}

static void assert_close(const float *a, const float *b, double within)
{
    double most = 0, apart = 0;

    for (int i = 0; i < PIXELS; i++) {
        most = fmax(most, fabs((double)a[i]));
        apart = fmax(apart, fabs((double)a[i] - (double)b[i]));
    }
    assert_true(apart <= within * most);
}

/* --- what it computes ------------------------------------------------------------------------- */

static void zeros_change_no_bit(void **state)
{
    static const unsigned ways[] = {GRAPH_FROZEN, 0, GRAPH_EAGER, GRAPH_CHECKPOINT};
    static float plain[PIXELS], got[PIXELS];
    struct network *net = must_build();

    (void)state;
    for (size_t k = 0; k < COUNT(ways); k++) {
        struct adapter *a;

        predict(plain, net, ways[k], 2);
        a = must_adapt(net, 4, 8, "all");
        predict(got, net, ways[k], 2);
        assert_memory_equal(got, plain, sizeof got);
        scramble(a);
        predict(got, net, ways[k], 2);
        assert_memory_not_equal(got, plain, sizeof got);
        adapter_free(a);
        predict(got, net, ways[k], 2);
        assert_memory_equal(got, plain, sizeof got);
    }
    network_free(net);
}

/* W += weight scale B A, in the network itself. */
static void merge(const struct adapter *a, double weight)
{
    for (int64_t i = 0; i < a->n_low_rank; i++) {
        const struct low_rank *l = &a->low_rank[i];
        struct param *q = a->changed[i];
        int64_t in = shape_last(q->shape);

        for (int k = 0; k < l->parts; k++) {
            const struct low_rank_part *p = &l->part[k];
            int64_t rows = p->up->shape.dim[0], rank = p->up->shape.dim[1];

            for (int64_t row = 0; row < rows; row++)
                for (int64_t c = 0; c < in; c++) {
                    double sum = 0;

                    for (int64_t d = 0; d < rank; d++)
                        sum += (double)p->up->own[row * rank + d] *
                               (double)l->down->own[(p->column + d) * in + c];
                    q->own[(p->row + row) * in + c] += (float)(weight * l->scale * sum);
                }
        }
    }
}

static void is_a_dense_change(void **state)
{
    static const char *const targets[] = {"attention", "attention,mlp", "all", "attn.to_q",
                                          "transformer_blocks.1.*, norm_out.linear"};
    static float got[PIXELS], want[PIXELS], plain[PIXELS];

    (void)state;
    for (size_t k = 0; k < COUNT(targets); k++) {
        struct network *net = must_build();
        struct adapter *a;

        predict(plain, net, GRAPH_FROZEN, 2);
        a = must_adapt(net, 4, 6, targets[k]);
        scramble(a);
        predict(got, net, GRAPH_FROZEN, 2);
        for (int64_t i = 0; i < a->n_low_rank; i++)
            low_rank_detach(a->changed[i], &a->low_rank[i]);
        merge(a, 1);
        predict(want, net, GRAPH_FROZEN, 2);
        assert_close(want, got, 2e-5);
        assert_memory_not_equal(plain, got, sizeof got);
        a->n_low_rank = 0; /* detached already */
        adapter_free(a);
        network_free(net);
    }
}

static void threads_change_no_bit(void **state)
{
    static float one[PIXELS], more[PIXELS];
    struct network *net = must_build();
    struct adapter *a = must_adapt(net, 5, 5, "attention,mlp");
    int64_t n = params_n_trained(adapter_params(a));
    float *gradient = calloc((size_t)n, sizeof *gradient);

    (void)state;
    assert_non_null(gradient);
    scramble(a);
    predict(one, net, 0, 1);
    memcpy(gradient, params_grads(adapter_params(a)), (size_t)n * sizeof *gradient);
    for (int threads = 2; threads <= 4; threads++) {
        predict(more, net, 0, threads);
        assert_memory_equal(one, more, sizeof one);
        assert_memory_equal(gradient, params_grads(adapter_params(a)),
                            (size_t)n * sizeof *gradient);
    }
    free(gradient);
    adapter_free(a);
    network_free(net);
}

/* --- gradients -------------------------------------------------------------------------------- */

static double square_loss(struct network *net)
{
    static float y[PIXELS];
    double sum = 0;

    predict(y, net, 0, 2);
    for (int i = 0; i < PIXELS; i++)
        sum += (double)y[i] * (double)y[i];
    return sum;
}

/* Along a random direction of A and B, beside weights that stay in their file. */
static void check_slopes(struct network *net)
{
    struct adapter *a = must_adapt(net, 3, 6, "all");
    int64_t n = params_n_trained(adapter_params(a));
    float *x = params_values(adapter_params(a)), *grad = params_grads(adapter_params(a));
    float *before = calloc((size_t)n, sizeof *before);
    double slope = 0, length = 0, loss[2], step = 1e-3;
    struct rng r = rng_stream(7, RNG_TEST, 0);
    float *way = calloc((size_t)n, sizeof *way);

    assert_true(before && way);
    scramble(a);
    memcpy(before, x, (size_t)n * sizeof *x);
    rng_normals(&r, way, n);
    square_loss(net);
    for (int64_t i = 0; i < n; i++) {
        slope += (double)grad[i] * (double)way[i];
        length += (double)grad[i] * (double)grad[i];
    }
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < n; i++)
            x[i] = before[i] + (float)(side ? step : -step) * way[i];
        loss[side] = square_loss(net);
    }
    assert_true(length > 0);
    assert_true(fabs((loss[1] - loss[0]) / (2 * step) - slope) < 1e-2 * sqrt(length));
    free(before);
    free(way);
    adapter_free(a);
}

static void gradients_are_slopes(void **state)
{
    struct network *net = must_build();

    (void)state;
    check_slopes(net);
    network_free(net);
}

/* The network's own weights, mapped as float16, ask for no gradient and stay. */
static void learns_beside_stored_weights(void **state)
{
    struct network *net = must_build(), *mapped;
    struct save_tensor *rows = calloc((size_t)params_count(net->params), sizeof *rows);
    uint16_t *halves = calloc((size_t)params_n_values(net->params), sizeof *halves);
    struct error err = {0};
    struct weights *f;
    void *keep;
    int64_t n;

    (void)state;
    assert_true(rows && halves);
    assert_int_equal(params_describe(net->params, "", PARAMS_ALL, NULL, rows, &n, &keep, NULL), OK);
    for (int64_t i = 0; i < n; i++) { /* bfloat16: the upper halves */
        const struct param *q = params_at(net->params, i);

        if (!q->linear)
            continue;
        for (int64_t k = 0; k < shape_count(q->shape); k++) {
            uint32_t bits;

            memcpy(&bits, &q->own[k], sizeof bits);
            halves[q->offset + k] = (uint16_t)(bits >> 16);
        }
        rows[i].dtype = FILE_BF16;
        rows[i].bytes = halves + q->offset;
    }
    assert_int_equal(safetensors_save(path, rows, n,
                                      &(struct save_text){"config", "{\"num_heads\": 2}"}, 1, NULL),
                     OK);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    if (mmdit_open_published(&mapped, f, NULL, false, &err))
        fail_msg("%s", err.text);
    assert_null(params_find(mapped->params, "joint_blocks.0.x_block.attn.qkv.weight")->value);
    check_slopes(mapped);
    network_free(mapped);
    weights_close(f);
    free(keep);
    free(halves);
    free(rows);
    network_free(net);
}

/* --- files ------------------------------------------------------------------------------------ */

static enum status read_file(struct adapter **a, struct network *net, double weight,
                             struct error *err)
{
    struct weights *f;
    enum status st = weights_open(&f, path, err);

    *a = NULL;
    if (!st)
        st = adapter_read(a, net, f, weight, err);
    weights_close(f);
    return st;
}

static void must_read(struct adapter **a, struct network *net, double weight)
{
    struct error err = {0};

    if (read_file(a, net, weight, &err))
        fail_msg("%s", err.text);
}

static void comes_back_from_its_file(void **state)
{
    static const char *const names[] = {
        "transformer.transformer_blocks.0.attn.to_q.lora_A.weight",
        "transformer.transformer_blocks.0.attn.to_q.lora_B.weight",
        "transformer.transformer_blocks.2.attn.add_v_proj.lora_B.weight",
        "transformer.transformer_blocks.0.attn2.to_out.0.lora_A.weight",
        "transformer.transformer_blocks.1.ff_context.net.2.lora_A.weight",
        "transformer.norm_out.linear.lora_B.weight",
    };
    static float want[PIXELS], got[PIXELS];
    struct network *net = must_build();
    struct adapter *a = must_adapt(net, 4, 8, "all"); /* alpha / rank = 2 keeps every bit of B */
    int64_t layers = adapter_layers(a);
    struct weights *f;

    (void)state;
    scramble(a);
    assert_int_equal(adapter_save(a, path, NULL, NULL, 0, NULL), OK);
    assert_int_equal(weights_open(&f, path, NULL), OK);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_non_null(weights_find(f, names[i]));
    assert_int_equal(weights_count(f), 2 * layers);
    weights_close(f);
    predict(want, net, GRAPH_FROZEN, 2);
    adapter_free(a);
    must_read(&a, net, 1);
    assert_int_equal(adapter_layers(a), layers);
    predict(got, net, GRAPH_FROZEN, 2);
    assert_close(want, got, 1e-6);
    adapter_free(a);
    network_free(net);
}

/* --- by hand ---------------------------------------------------------------------------------- */

enum { WIDTH = 16, RANK = 2, PAIRS = 8 };

static float down[PAIRS][RANK * WIDTH], up[PAIRS][3 * WIDTH * RANK], alpha = 3;

static void fill_pairs(void)
{
    struct rng r = rng_stream(5, RNG_TEST, 0);

    rng_normals(&r, down[0], PAIRS * RANK * WIDTH);
    rng_normals(&r, up[0], PAIRS * 3 * WIDTH * RANK);
}

static struct save_tensor matrix(const char *name, const float *x, int64_t rows, int64_t cols)
{
    return (struct save_tensor){
        .name = name, .dtype = FILE_F32, .rank = 2, .dim = {rows, cols}, .bytes = x};
}

static void save(const struct save_tensor *rows, int64_t n, const char *metadata)
{
    struct save_text text = {"lora_adapter_metadata", metadata};

    assert_int_equal(safetensors_save(path, rows, n, &text, metadata != NULL, NULL), OK);
}

/* The prediction under what the file says, at this weight. */
static void predict_under(float out[PIXELS], struct network *net, double weight)
{
    struct adapter *a;

    must_read(&a, net, weight);
    predict(out, net, GRAPH_FROZEN, 2);
    adapter_free(a);
}

/* One pair for q, k and v together is three pairs that share A. */
static void both_forms_mean_the_same(void **state)
{
    const struct save_tensor kohya[] = {
        matrix("lora_unet_joint_blocks_1_x_block_attn_qkv.lora_down.weight", down[0], RANK, WIDTH),
        matrix("lora_unet_joint_blocks_1_x_block_attn_qkv.lora_up.weight", up[0], 3 * WIDTH, RANK),
        {.name = "lora_unet_joint_blocks_1_x_block_attn_qkv.alpha",
         .dtype = FILE_F32,
         .bytes = &alpha},
    };
    const struct save_tensor peft[] = {
        matrix("transformer.transformer_blocks.1.attn.to_q.lora_A.weight", down[0], RANK, WIDTH),
        matrix("transformer.transformer_blocks.1.attn.to_q.lora_B.weight", up[0], WIDTH, RANK),
        matrix("transformer.transformer_blocks.1.attn.to_k.lora_A.weight", down[0], RANK, WIDTH),
        matrix("transformer.transformer_blocks.1.attn.to_k.lora_B.weight", up[0] + WIDTH * RANK,
               WIDTH, RANK),
        matrix("lora_transformer_transformer_blocks_1_attn_to_v.lora_down.weight", down[0], RANK,
               WIDTH),
        matrix("lora_transformer_transformer_blocks_1_attn_to_v.lora_up.weight",
               up[0] + 2 * WIDTH * RANK, WIDTH, RANK),
    };
    static float a[PIXELS], b[PIXELS], plain[PIXELS];
    struct network *net = must_build();

    (void)state;
    fill_pairs();
    predict(plain, net, GRAPH_FROZEN, 2);
    save(kohya, 3, NULL);
    predict_under(a, net, 0.5);
    save(peft, 6, "{\"transformer.r\": 2, \"transformer.lora_alpha\": 3}");
    predict_under(b, net, 0.5);
    assert_close(a, b, 1e-6);
    assert_memory_not_equal(a, plain, sizeof a);
    save(peft, 6, NULL); /* alpha is the rank */
    predict_under(b, net, 0.75);
    assert_close(a, b, 1e-6);
    save(peft, 6, "{\"transformer.use_rslora\": true}");
    predict_under(b, net, 0.75 / sqrt(2));
    assert_close(a, b, 1e-6);
    network_free(net);
}

/* In the folder layout scale stands before shift. */
static void halves_stand_the_other_way_round(void **state)
{
    const struct save_tensor theirs[] = {
        matrix("transformer.norm_out.linear.lora_A.weight", down[0], RANK, WIDTH),
        matrix("transformer.norm_out.linear.lora_B.weight", up[0], 2 * WIDTH, RANK),
    };
    struct network *net = must_build();
    struct param *q = params_find(net->params, "final_layer.adaLN_modulation.1.weight");
    static float got[PIXELS], want[PIXELS];

    (void)state;
    fill_pairs();
    save(theirs, 2, NULL);
    predict_under(got, net, 1);
    for (int row = 0; row < 2 * WIDTH; row++)
        for (int c = 0; c < WIDTH; c++)
            for (int d = 0; d < RANK; d++)
                q->own[(row + WIDTH) % (2 * WIDTH) * WIDTH + c] +=
                    up[0][row * RANK + d] * down[0][d * WIDTH + c];
    predict(want, net, GRAPH_FROZEN, 2);
    assert_close(want, got, 1e-5);
    network_free(net);
}

/* Several add up, whatever each of them changes. */
static void adapters_add_up(void **state)
{
    static float both[PIXELS], want[PIXELS];
    struct network *net = must_build();
    struct adapter *a, *b;

    (void)state;
    a = must_adapt(net, 2, 2, "attention");
    scramble(a);
    b = must_adapt(net, 3, 1, "attn.to_q,mlp");
    scramble(b);
    predict(both, net, GRAPH_FROZEN, 2);
    for (int64_t i = 0; i < a->n_low_rank; i++)
        low_rank_detach(a->changed[i], &a->low_rank[i]);
    merge(a, 1);
    a->n_low_rank = 0;
    predict(want, net, GRAPH_FROZEN, 2);
    assert_close(want, both, 2e-5);
    adapter_free(a);
    adapter_free(b);
    network_free(net);
}

static void what_does_not_fit_is_told(void **state)
{
#define Q  "transformer.transformer_blocks.0.attn.to_q"
#define QA matrix(Q ".lora_A.weight", down[0], RANK, WIDTH)
#define QB matrix(Q ".lora_B.weight", up[0], WIDTH, RANK)
    const struct {
        struct save_tensor rows[4];
        int n;
        const char *metadata, *words[3];
        enum status st;
    } cases[] = {
        {{QA, QB}, 2, NULL, {NULL}, OK},
        {{QA}, 1, NULL, {"missing", "transformer_blocks.0.attn.to_q.lora_B.weight"}, E_FORMAT},
        {{QB}, 1, NULL, {"missing", "transformer_blocks.0.attn.to_q.lora_A.weight"}, E_FORMAT},
        {{matrix(Q ".lora_A.weight", down[0], RANK, WIDTH - 1), QB},
         2,
         NULL,
         {Q ".lora_A.weight is [2, 15], not [rank, 16]"},
         E_FORMAT},
        {{QA, matrix(Q ".lora_B.weight", up[0], WIDTH, RANK + 1)},
         2,
         NULL,
         {Q ".lora_B.weight is [16, 3], not [16, 2]"},
         E_FORMAT},
        {{QA, QB,
          matrix("transformer.transformer_blocks.7.attn.to_q.lora_A.weight", down[0], RANK, WIDTH)},
         3,
         NULL,
         {"1 unexpected", "transformer_blocks.7.attn.to_q"},
         E_FORMAT},
        {{QA, QB, matrix("lora_te1_text_model_encoder.lora_down.weight", down[0], RANK, WIDTH)},
         3,
         NULL,
         {"unexpected", "lora_te1_text_model_encoder"},
         E_FORMAT},
        {{QA, QB, matrix(Q ".lora_magnitude_vector", down[0], 1, WIDTH)},
         3,
         NULL,
         {"unexpected", "lora_magnitude_vector"},
         E_FORMAT},
        {{QA, QB, matrix("transformer_blocks.0.attn.to_q.lora_A.weight", down[0], RANK, WIDTH)},
         3,
         NULL,
         {"twice"},
         E_FORMAT},
        {{QA, QB, matrix(Q ".alpha", down[0], 2, 1)}, 3, NULL, {"2 numbers"}, E_FORMAT},
        {{QA, QB}, 2, "{\"transformer.use_dora\": true}", {"use_dora"}, E_UNSUPPORTED},
        {{QA, QB},
         2,
         "{\"transformer.alpha_pattern\": {\"to_q\": 2}}",
         {"alpha_pattern"},
         E_UNSUPPORTED},
        {{QA, QB}, 2, "{\"transformer.lora_alpha\": \"much\"}", {"lora_alpha"}, E_FORMAT},
        {{QA, QB}, 2, "{", {"lora_adapter_metadata"}, E_FORMAT},
    };
    struct network *net = must_build();
    static float plain[PIXELS], after[PIXELS];

    (void)state;
    fill_pairs();
    predict(plain, net, GRAPH_FROZEN, 2);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error err = {0};
        struct adapter *a;

        save(cases[i].rows, cases[i].n, cases[i].metadata);
        assert_int_equal(read_file(&a, net, 1, &err), cases[i].st);
        assert_int_equal(a != NULL, cases[i].st == OK);
        for (int k = 0; k < 3 && cases[i].words[k]; k++)
            if (!strstr(err.text, cases[i].words[k]))
                fail_msg("'%s' is not in: %s", cases[i].words[k], err.text);
        adapter_free(a);
        predict(after, net, GRAPH_FROZEN, 2);
        assert_memory_equal(plain, after, sizeof plain);
    }
    network_free(net);
#undef Q
#undef QA
#undef QB
}

static void targets_are_known_or_told(void **state)
{
    static const char *const bad[] = {"atention", "attention,", "", "transformer_blocks.9.*"};
    struct network *net = must_build();
    struct error err = {0};
    struct adapter *a;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(adapter_new(&a, net, &(struct adapter_plan){2, 2, bad[i]}, 1, &err),
                         E_ARG);
        assert_null(a);
        assert_non_null(strstr(err.text, "targets"));
    }
    a = must_adapt(net, 2, 2, "attn.to_q");
    assert_int_equal(adapter_layers(a), 3);
    adapter_free(a);
    a = must_adapt(net, 2, 2, " x_block.attn.proj , transformer_blocks.?.ff.net.2");
    assert_int_equal(adapter_layers(a), 6);
    adapter_free(a);
    network_free(net);
}

/* Any file whatever gives an adapter or a sentence, and leaves nothing behind. */
static void damaged_files_are_refused(void **state)
{
    struct network *net = must_build();
    struct adapter *a = must_adapt(net, 2, 2, "attention");
    struct rng r = rng_stream(6, RNG_TEST, 0);
    uint8_t *bytes = NULL, *other;
    int64_t good = 0;
    uint64_t n;

    (void)state;
    assert_int_equal(adapter_save(a, path, NULL, NULL, 0, NULL), OK);
    adapter_free(a);
    assert_int_equal(file_read(&bytes, &n, path, 1 << 24, NULL), OK);
    other = malloc(n);
    assert_non_null(other);
    for (int k = 0; k < 4000; k++) {
        int changes = 1 + (int)rng_below(&r, 4);
        struct error err = {0};
        struct weights *f;

        memcpy(other, bytes, n);
        while (changes--) /* mostly in the header */
            other[rng_below(&r, k % 4 ? (uint32_t)(n < 6000 ? n : 6000) : (uint32_t)n)] =
                (uint8_t)rng_below(&r, 256);
        if (weights_open_bytes(&f, other, k % 7 ? n : rng_below(&r, (uint32_t)n), "bytes", &err))
            continue;
        if (adapter_read(&a, net, f, 1, &err))
            assert_true(err.text[0] != 0);
        good += a != NULL;
        adapter_free(a);
        weights_close(f);
    }
    assert_true(good > 0);
    for (int64_t i = 0; i < params_count(net->params); i++)
        assert_null(params_at(net->params, i)->low_rank);
    free(other);
    free(bytes);
    network_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_change_no_bit),
        cmocka_unit_test(is_a_dense_change),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(learns_beside_stored_weights),
        cmocka_unit_test(comes_back_from_its_file),
        cmocka_unit_test(both_forms_mean_the_same),
        cmocka_unit_test(halves_stand_the_other_way_round),
        cmocka_unit_test(adapters_add_up),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(targets_are_known_or_told),
        cmocka_unit_test(damaged_files_are_refused),
    };
    int failed;

    temp_dir_new(folder);
    temp_path(path, folder, "adapter.safetensors");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    temp_dir_remove(folder);
    return failed;
}
