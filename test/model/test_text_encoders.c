/*
 * test_text_encoders.c - CLIP and T5: public names and sizes, files in all their spellings, what a
 * token sees, gradients, and what is refused
 *
 * Whether they compute what the papers say is test_parity.c's affair.
 */
#include "model/clip.h"
#include "model/t5.h"

#include "io/safetensors.h"
#include "ops/basic.h"
#include "support/key_list.h"
#include "support/networks.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEYS         GOLDEN_DIR "/sd3/keys/"

static const char path[] = "e.safetensors";

static struct network *must_declare(const struct network_kind *kind, const void *config)
{
    struct error err = {0};
    struct network *net;
    char copy[256];

    memcpy(copy, config, kind->config_bytes);
    if (network_declare(&net, kind, copy, &err))
        fail_msg("%s", err.text);
    return net;
}

/* With memory, and values that hide nothing. */
static struct network *must_build(const struct network_kind *kind, const void *config)
{
    struct network *net = must_declare(kind, config);

    assert_int_equal(params_alloc(net->params, true, NULL), OK);
    network_fill(net, 4);
    return net;
}

/* --- public names and sizes ------------------------------------------------------------------- */

static void test_public_names(void **state)
{
    static const struct clip_config l = {768, 12, 12, 3072, 49408, 77, 768, CLIP_QUICK_GELU, 1e-5};
    static const struct clip_config g = {1280, 32, 20, 5120, 49408, 77, 1280, CLIP_GELU, 1e-5};
    static const struct t5_config xxl = {4096, 24, 64, 64, 10240, 32128, 32, 128, 1e-6};
    const struct {
        const struct network_kind *kind;
        const void *config;
        const char *list;
        int64_t numbers;
    } published[] = {
        {&network_clip, &l, KEYS "clip-l.tsv", 123650304},
        {&network_clip, &g, KEYS "clip-g.tsv", 694659840},
        {&network_t5, &xxl, KEYS "t5-xxl.tsv", 4762310656},
    };
    const struct params_naming own = {.prefix = ""};

    (void)state;
    for (size_t i = 0; i < COUNT(published); i++) {
        struct network *net = must_declare(published[i].kind, published[i].config);

        assert_key_list(net->params, &own, published[i].list);
        assert_int_equal(params_numbers(net->params), published[i].numbers);
        network_free(net);
    }
}

/* --- tiny encoders ---------------------------------------------------------------------------- */

enum { N = 2, L = 9, WORDS = 30, WIDTH = 12, LAYERS = 3, PROJECTED = 8 };

static const struct clip_config tiny_clip = {WIDTH, LAYERS,    2,         20,  WORDS,
                                             11,    PROJECTED, CLIP_GELU, 1e-5};
static const struct t5_config tiny_t5 = {WIDTH, LAYERS, 3, 5, 20, WORDS, 32, 128, 1e-6};

/* The end, id 29, stands at 5 in the first text and at 3 and later in the second. */
static const int32_t ids[N * L] = {28, 3, 7, 1, 12, 29, 0, 0, 0, 28, 11, 2, 29, 29, 29, 29, 29, 29};

static void read_all(struct graph *g, struct tensor *const y[], float *const out[], int n)
{
    struct error err = {0};

    for (int k = 0; k < n; k++)
        graph_keep(g, y[k]);
    if (graph_run(g, &err))
        fail_msg("%s", err.text);
    for (int k = 0; k < n; k++)
        graph_read(g, y[k], out[k]);
}

struct clip_values {
    float penultimate[N * L * WIDTH], last[N * L * WIDTH], pooled[N * WIDTH];
    float projected[N * PROJECTED];
};

static void read_clip(struct clip_values *v, const struct network *net, const int32_t *text)
{
    struct clip_states s;
    struct graph *g;

    assert_int_equal(graph_new(&g, GRAPH_FROZEN, 2, NULL), OK);
    clip_forward(g, net, graph_input_i32(g, SHAPE(N, L), text), &s);
    assert_int_equal(s.projected != NULL,
                     net->io.vocabulary && params_find(net->params, "text_projection.weight"));
    read_all(g, (struct tensor *[]){s.penultimate, s.last, s.pooled, s.projected},
             (float *[]){v->penultimate, v->last, v->pooled, v->projected}, s.projected ? 4 : 3);
    graph_free(g);
}

static void read_t5(float *out, const struct network *net)
{
    struct graph *g;

    assert_int_equal(graph_new(&g, GRAPH_FROZEN, 2, NULL), OK);
    read_all(g, (struct tensor *[]){t5_forward(g, net, graph_input_i32(g, SHAPE(N, L), ids))}, &out,
             1);
    graph_free(g);
}

static void test_what_a_token_sees(void **state)
{
    struct network *net = must_build(&network_clip, &tiny_clip);
    static struct clip_values a, b;
    int32_t other[N * L];

    (void)state;
    read_clip(&a, net, ids);
    assert_memory_equal(a.pooled, a.last + 5 * WIDTH, WIDTH * sizeof(float));
    assert_memory_equal(a.pooled + WIDTH, a.last + (L + 3) * WIDTH, WIDTH * sizeof(float));
    memcpy(other, ids, sizeof other);
    other[6] = 17; /* behind the end of the first text */
    read_clip(&b, net, other);
    assert_memory_equal(a.last, b.last, 6 * WIDTH * sizeof(float));
    assert_memory_equal(a.penultimate, b.penultimate, 6 * WIDTH * sizeof(float));
    assert_memory_not_equal(a.last + 6 * WIDTH, b.last + 6 * WIDTH, WIDTH * sizeof(float));
    assert_memory_equal(a.projected, b.projected, sizeof a.projected);
    network_free(net);
}

/* A shorter text has the first positions of the table: its states are those of a longer one. */
static void test_short_texts(void **state)
{
    struct network *net = must_build(&network_clip, &tiny_clip);
    static struct clip_values whole;
    static float few[2 * 4 * WIDTH];
    struct clip_states s;
    struct graph *g;

    (void)state;
    read_clip(&whole, net, ids);
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    clip_forward(
        g, net, graph_input_i32(g, SHAPE(2, 4), (const int32_t[]){28, 3, 7, 1, 28, 11, 2, 29}), &s);
    read_all(g, &s.last, (float *[]){few}, 1);
    assert_memory_equal(few, whole.last, 4 * WIDTH * sizeof(float));
    assert_memory_equal(few + 4 * WIDTH, whole.last + L * WIDTH, 4 * WIDTH * sizeof(float));
    graph_free(g);
    network_free(net);
}

static double clip_loss(struct network *net, bool gradients, void *user)
{
    struct tensor *loss;
    struct clip_states s;
    struct graph *g;
    float value;

    (void)user;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    clip_forward(g, net, graph_input_i32(g, SHAPE(N, L), ids), &s);
    loss = op_add(g, op_sum(g, op_mul(g, s.penultimate, s.penultimate)),
                  op_sum(g, op_mul(g, s.projected, s.projected)));
    graph_keep(g, loss);
    if (gradients)
        graph_backward(g, loss);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &value);
    graph_free(g);
    return (double)value;
}

static double t5_loss(struct network *net, bool gradients, void *user)
{
    struct tensor *y, *loss;
    struct graph *g;
    float value;

    (void)user;
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    y = t5_forward(g, net, graph_input_i32(g, SHAPE(N, L), ids));
    loss = op_sum(g, op_mul(g, y, op_mul(g, y, y)));
    graph_keep(g, loss);
    if (gradients)
        graph_backward(g, loss);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, loss, &value);
    graph_free(g);
    return (double)value;
}

static void test_slopes(void **state)
{
    struct clip_config quick = tiny_clip;
    struct network *clip, *t5 = must_build(&network_t5, &tiny_t5);

    (void)state;
    quick.activation = CLIP_QUICK_GELU;
    clip = must_build(&network_clip, &quick);
    check_slope("clip", clip, clip_loss, NULL, 11, 1e-3, 4e-3);
    check_slope("t5", t5, t5_loss, NULL, 12, 1e-3, 4e-3);
    network_free(clip);
    network_free(t5);
}

/* --- files ------------------------------------------------------------------------------------ */

/* A file that is being put together. */
struct rows {
    struct save_tensor row[160];
    char name[160][PARAM_NAME];
    int64_t n;
};

static struct save_tensor *add(struct rows *f, const void *values, int rank, int64_t a, int64_t b,
                               const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static struct save_tensor *add(struct rows *f, const void *values, int rank, int64_t a, int64_t b,
                               const char *fmt, ...)
{
    struct save_tensor *t = &f->row[f->n];
    va_list ap;

    assert_true(f->n < 160);
    va_start(ap, fmt);
    vsnprintf(f->name[f->n], PARAM_NAME, fmt, ap);
    va_end(ap);
    *t = (struct save_tensor){
        .name = f->name[f->n], .dtype = FILE_F32, .rank = rank, .dim = {a, b}, .bytes = values};
    f->n++;
    return t;
}

/* All of net under its own names, but those that `without` is in. */
static void add_all(struct rows *f, struct network *net, const char *prefix, const char *without)
{
    for (int64_t i = 0; i < params_count(net->params); i++) {
        const struct param *p = params_at(net->params, i);

        if (!without || !strstr(p->name, without))
            add(f, p->value, p->shape.rank, p->shape.dim[0], p->shape.dim[1], "%s%s", prefix,
                p->name);
    }
}

static struct weights *saved(struct rows *f)
{
    struct error err = {0};
    struct weights *w = NULL;

    if (safetensors_save(path, f->row, f->n, NULL, 0, &err) || weights_open(&w, path, &err))
        fail_msg("%s", err.text);
    return w;
}

static const float *value(const struct network *net, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static const float *value(const struct network *net, const char *fmt, ...)
{
    char name[PARAM_NAME];
    const struct param *p;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    p = params_find(net->params, name);
    assert_non_null(p);
    return p->value;
}

static void assert_same_values(struct network *a, struct network *b)
{
    assert_int_equal(params_count(a->params), params_count(b->params));
    for (int64_t i = 0; i < params_count(a->params); i++) {
        const struct param *p = params_at(a->params, i), *q = params_find(b->params, p->name);

        if (!q || memcmp(p->value, q->value, (size_t)shape_count(p->shape) * sizeof(float)) != 0)
            fail_msg("%s differs", p->name);
    }
}

/* As OpenCLIP saves it, with the tower of pictures beside it. */
static void add_native(struct rows *f, const struct network *net, const char *prefix)
{
    static const char *const same[][2] = {
        {"self_attn.out_proj.weight", "attn.out_proj.weight"},
        {"self_attn.out_proj.bias", "attn.out_proj.bias"},
        {"layer_norm1.weight", "ln_1.weight"},
        {"layer_norm1.bias", "ln_1.bias"},
        {"layer_norm2.weight", "ln_2.weight"},
        {"layer_norm2.bias", "ln_2.bias"},
        {"mlp.fc1.weight", "mlp.c_fc.weight"},
        {"mlp.fc1.bias", "mlp.c_fc.bias"},
        {"mlp.fc2.weight", "mlp.c_proj.weight"},
        {"mlp.fc2.bias", "mlp.c_proj.bias"},
    };
    static float joined[LAYERS][3 * WIDTH * WIDTH], biases[LAYERS][3 * WIDTH];
    static float turned[WIDTH * PROJECTED];
    const float *projection = value(net, "text_projection.weight");

    add(f, value(net, "text_model.embeddings.token_embedding.weight"), 2, WORDS, WIDTH,
        "%stoken_embedding.weight", prefix);
    add(f, value(net, "text_model.embeddings.position_embedding.weight"), 2, 11, WIDTH,
        "%spositional_embedding", prefix);
    add(f, value(net, "text_model.final_layer_norm.weight"), 1, WIDTH, 0, "%sln_final.weight",
        prefix);
    add(f, value(net, "text_model.final_layer_norm.bias"), 1, WIDTH, 0, "%sln_final.bias", prefix);
    for (int i = 0; i < PROJECTED * WIDTH; i++)
        turned[i % WIDTH * PROJECTED + i / WIDTH] = projection[i];
    add(f, turned, 2, WIDTH, PROJECTED, "%stext_projection", prefix);
    add(f, turned, 1, 1, 0, "%slogit_scale", prefix);
    add(f, turned, 2, 2, 2, "%svisual.proj", prefix);
    for (int i = 0; i < LAYERS; i++) {
        for (int k = 0; k < 3; k++) {
            memcpy(joined[i] + k * WIDTH * WIDTH,
                   value(net, "text_model.encoder.layers.%d.self_attn.%c_proj.weight", i, "qkv"[k]),
                   WIDTH * WIDTH * sizeof(float));
            memcpy(biases[i] + k * WIDTH,
                   value(net, "text_model.encoder.layers.%d.self_attn.%c_proj.bias", i, "qkv"[k]),
                   WIDTH * sizeof(float));
        }
        add(f, joined[i], 2, 3 * WIDTH, WIDTH, "%stransformer.resblocks.%d.attn.in_proj_weight",
            prefix, i);
        add(f, biases[i], 1, 3 * WIDTH, 0, "%stransformer.resblocks.%d.attn.in_proj_bias", prefix,
            i);
        for (size_t k = 0; k < COUNT(same); k++) {
            char name[PARAM_NAME];
            const struct param *p;

            snprintf(name, sizeof name, "text_model.encoder.layers.%d.%s", i, same[k][0]);
            p = params_find(net->params, name);
            add(f, p->value, p->shape.rank, p->shape.dim[0], p->shape.dim[1],
                "%stransformer.resblocks.%d.%s", prefix, i, same[k][1]);
        }
    }
}

static void test_native_names(void **state)
{
    static const char *const prefixes[] = {"", "conditioner.embedders.1.model."};
    struct network *net = must_build(&network_clip, &tiny_clip), *back;
    json_t *config = json_pack("{s:i}", "num_attention_heads", 2);

    (void)state;
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        static struct clip_values a, b;
        struct rows f = {.n = 0};
        struct error err = {0};
        struct weights *w;

        add_native(&f, net, prefixes[i]);
        w = saved(&f);
        if (clip_open_published(&back, w, CLIP_G, config, &err))
            fail_msg("%s", err.text);
        assert_same_values(net, back);
        read_clip(&a, net, ids);
        read_clip(&b, back, ids);
        assert_memory_equal(&a, &b, sizeof a);
        network_free(back);
        weights_close(w);
    }
    json_decref(config);
    network_free(net);
}

/* Both encoders and T5 in one file, each found by its prefix; the projection of L is not meant. */
static void test_one_file(void **state)
{
    struct network *clip = must_build(&network_clip, &tiny_clip);
    struct network *t5 = must_build(&network_t5, &tiny_t5);
    struct network *l = NULL, *g = NULL, *t = NULL;
    struct rows f = {.n = 0};
    struct error err = {0};
    struct weights *w;

    (void)state;
    add_all(&f, clip, "text_encoders.clip_l.transformer.", NULL);
    add_all(&f, clip, "text_encoders.clip_g.transformer.", NULL);
    add_all(&f, t5, "text_encoders.t5xxl.transformer.", NULL);
    add(&f, value(t5, "shared.weight"), 2, WORDS, WIDTH,
        "text_encoders.t5xxl.transformer.encoder.embed_tokens.weight");
    w = saved(&f);
    if (clip_open_published(&l, w, CLIP_L, NULL, &err) ||
        clip_open_published(&g, w, CLIP_G, NULL, &err) || t5_open_published(&t, w, NULL, &err))
        fail_msg("%s", err.text);
    assert_null(params_find(l->params, "text_projection.weight"));
    assert_same_values(clip, g);
    assert_same_values(t5, t);
    assert_int_equal(((const struct clip_config *)l->config)->activation, CLIP_QUICK_GELU);
    assert_int_equal(((const struct clip_config *)g->config)->activation, CLIP_GELU);
    assert_int_equal(((const struct t5_config *)t->config)->head, 5);
    network_free(l);
    network_free(g);
    network_free(t);
    weights_close(w);
    network_free(clip);
    network_free(t5);
}

/* A file of its own, and what a configuration beside it changes. */
static void test_own_file(void **state)
{
    struct network *clip = must_build(&network_clip, &tiny_clip), *back;
    json_t *config = json_pack("{s:i, s:s, s:f}", "num_attention_heads", 2, "hidden_act", "gelu",
                               "layer_norm_eps", 1e-3);
    struct rows f = {.n = 0};
    struct error err = {0};
    struct weights *w;

    (void)state;
    add_all(&f, clip, "", NULL);
    add(&f, value(clip, "text_projection.weight"), 1, 2, 0, "text_model.embeddings.position_ids");
    w = saved(&f);
    assert_int_equal(clip_open_published(&back, w, CLIP_L, NULL, &err), OK);
    assert_null(params_find(back->params, "text_projection.weight"));
    network_free(back);
    assert_int_equal(clip_open_published(&back, w, CLIP_L, config, &err), OK);
    assert_same_values(clip, back);
    assert_int_equal(((const struct clip_config *)back->config)->activation, CLIP_GELU);
    assert_true(((const struct clip_config *)back->config)->eps > 5e-4);
    network_free(back);
    json_object_set_new(config, "hidden_act", json_string("relu"));
    assert_int_equal(clip_open_published(&back, w, CLIP_L, config, &err), E_UNSUPPORTED);
    assert_null(back);
    assert_int_equal(t5_open_published(&back, w, NULL, &err), E_FORMAT);
    weights_close(w);
    network_free(clip);
    json_decref(config);
}

static void gguf_rename(struct rows *f)
{
    static const char *const names[][2] = {
        {"layer.0.SelfAttention.q.", "attn_q."},
        {"layer.0.SelfAttention.k.", "attn_k."},
        {"layer.0.SelfAttention.v.", "attn_v."},
        {"layer.0.SelfAttention.o.", "attn_o."},
        {"layer.0.SelfAttention.relative_attention_bias.", "attn_rel_b."},
        {"layer.0.layer_norm.", "attn_norm."},
        {"layer.1.DenseReluDense.wi_0.", "ffn_gate."},
        {"layer.1.DenseReluDense.wi_1.", "ffn_up."},
        {"layer.1.DenseReluDense.wo.", "ffn_down."},
        {"layer.1.layer_norm.", "ffn_norm."},
    };

    for (int64_t i = 0; i < f->n; i++) {
        int block, end = 0;

        if (!strcmp(f->name[i], "shared.weight"))
            snprintf(f->name[i], PARAM_NAME, "token_embd.weight");
        else if (!strcmp(f->name[i], "encoder.final_layer_norm.weight"))
            snprintf(f->name[i], PARAM_NAME, "enc.output_norm.weight");
        else if (sscanf(f->name[i], "encoder.block.%d.%n", &block, &end) == 1)
            for (size_t k = 0; k < COUNT(names); k++)
                if (!strncmp(f->name[i] + end, names[k][0], strlen(names[k][0]))) {
                    snprintf(f->name[i], PARAM_NAME, "enc.blk.%d.%sweight", block, names[k][1]);
                    break;
                }
    }
}

static void test_spellings_of_t5(void **state)
{
    struct network *t5 = must_build(&network_t5, &tiny_t5), *back;
    static float a[N * L * WIDTH], b[N * L * WIDTH];

    (void)state;
    read_t5(a, t5);
    for (int form = 0; form < 3; form++) {
        struct rows f = {.n = 0};
        struct error err = {0};
        struct weights *w;

        add_all(&f, t5, "", form == 1 ? "shared" : NULL);
        if (form == 1)
            add(&f, value(t5, "shared.weight"), 2, WORDS, WIDTH, "encoder.embed_tokens.weight");
        if (form == 2)
            gguf_rename(&f);
        w = saved(&f);
        if (t5_open_published(&back, w, NULL, &err))
            fail_msg("%s", err.text);
        assert_same_values(t5, back);
        read_t5(b, back);
        assert_memory_equal(a, b, sizeof a);
        network_free(back);
        weights_close(w);
    }
    network_free(t5);
}

static void test_refused(void **state)
{
    struct network *t5 = must_build(&network_t5, &tiny_t5), *back;
    struct network *clip = must_declare(&network_clip, &tiny_clip);
    json_t *relu = json_pack("{s:s}", "feed_forward_proj", "relu");
    struct t5_config near = tiny_t5;
    const int32_t beyond[] = {0, 29, 30}, below[] = {0, -1};
    struct rows f = {.n = 0};
    struct error err = {0};
    struct weights *w;

    (void)state;
    assert_int_equal(network_check_ids(clip, ids, N * L, L, &err), OK);
    assert_int_equal(network_check_ids(clip, beyond, 3, 3, &err), E_ARG);
    assert_non_null(strstr(err.text, "30"));
    assert_int_equal(network_check_ids(t5, below, 2, 2, &err), E_ARG);
    assert_int_equal(network_check_ids(clip, ids, 12, 12, &err), E_ARG);
    assert_int_equal(network_check_ids(t5, ids, N * L, N * L, &err), OK);
    assert_int_equal(network_check_ids(t5, ids, 0, 0, &err), E_ARG);
    near.far = 8;
    assert_int_equal(network_declare(&back, &network_t5, &near, &err), E_ARG);
    add_all(&f, t5, "", "block.1.layer.1.DenseReluDense.wo");
    w = saved(&f);
    assert_int_equal(t5_open_published(&back, w, relu, &err), E_UNSUPPORTED);
    assert_int_equal(t5_open_published(&back, w, NULL, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "1 missing"));
    assert_null(back);
    weights_close(w);
    network_free(t5);
    network_free(clip);
    json_decref(relu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_names), cmocka_unit_test(test_what_a_token_sees),
        cmocka_unit_test(test_short_texts),  cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_native_names), cmocka_unit_test(test_one_file),
        cmocka_unit_test(test_own_file),     cmocka_unit_test(test_spellings_of_t5),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, temp_enter, temp_leave);
}
