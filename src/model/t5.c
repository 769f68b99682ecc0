/*
 * t5.c - the encoder of T5
 *
 * A text encoder that was taught to fill gaps in texts, and never saw a picture: it knows what
 * CLIP's captions do not say, who does what to whom, and how words are spelt (Raffel et al. 2020;
 * Saharia et al. 2022, section 2.1, for pictures).  Its version 1.1, which generators use:
 *
 *     x = table[id]
 *     x += o(softmax(q k^T + bias[bucket(key - query)]) v)     q, k, v of x w / rms(x)
 *     x += wo(gelu(wi_0 h) (wi_1 h))                           h = x w / rms(x)
 *     states = x w / rms(x)
 *
 * Scores are not divided by sqrt(d); the weights were drawn so that they need not be.  There are no
 * biases in linear layers.  Places are told by the distance of two tokens, through one small table
 * that the first layer owns and all layers use.
 */
#include "model/t5.h"

#include "base/error.h"
#include "nn/layers.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/norm.h"
#include "ops/sequence.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct option options[] = {
    {"width", "features of a token", OPTION_INT, offsetof(struct t5_config, width), "4096", .lo = 1,
     .hi = 1 << 16},
    {"depth", "layers", OPTION_INT, offsetof(struct t5_config, depth), "24", .lo = 1, .hi = 256},
    {"heads", "attention heads", OPTION_INT, offsetof(struct t5_config, heads), "64", .lo = 1,
     .hi = 1024},
    {"head", "features of a head", OPTION_INT, offsetof(struct t5_config, head), "64", .lo = 1,
     .hi = 1024},
    {"hidden", "features inside the feed-forward", OPTION_INT, offsetof(struct t5_config, hidden),
     "10240", .lo = 1, .hi = 1 << 20},
    {"vocabulary", "ids of tokens", OPTION_INT, offsetof(struct t5_config, vocabulary), "32128",
     .lo = 1, .hi = 1 << 24},
    {"buckets", "of relative positions, a multiple of 4", OPTION_INT,
     offsetof(struct t5_config, buckets), "32", .lo = 4, .hi = 4096},
    {"far", "the distance from which on all are alike", OPTION_INT, offsetof(struct t5_config, far),
     "128", .lo = 2, .hi = 1 << 20},
    {"eps", "epsilon of norms", OPTION_REAL, offsetof(struct t5_config, eps), "1e-6", .lo = 1e-12,
     .hi = 1},
    {0},
};

static enum status t5_check(const void *config, struct error *err)
{
    const struct t5_config *c = config;

    if (c->buckets % 4)
        return fail(err, E_ARG, "t5.buckets: %" PRId64 " is no multiple of 4", c->buckets);
    if (c->far <= c->buckets / 4)
        return fail(err, E_ARG, "t5.far: %" PRId64 " is not above a quarter of %" PRId64 " buckets",
                    c->far, c->buckets);
    return OK;
}

static void t5_io(const void *config, struct network_io *io)
{
    const struct t5_config *c = config;

    *io = (struct network_io){.null_label = -1, .vocabulary = c->vocabulary};
}

/* --- declaration --------------------------------------------------------------------------------
 */

/* Matrices without biases. */
struct layer {
    const struct param *norm1, *q, *k, *v, *o;
    const struct param *norm2, *gate, *up, *down; /* "wi_0", "wi_1", "wo" */
};

struct t5 {
    const struct param *tokens, *distances, *norm;
    struct layer layer[];
};

static const struct param *matrix(struct scope s, const char *name, int64_t in, int64_t out)
{
    return params_add_matrix(s, name, SHAPE(out, in), (struct init){.kind = INIT_XAVIER});
}

static const struct param *norm(struct scope s, const char *name, int64_t width)
{
    return params_add(s, name, SHAPE(width), (struct init){.kind = INIT_ONE});
}

static void *t5_declare(const void *config, struct scope s)
{
    const struct t5_config *c = config;
    struct t5 *m = calloc(1, sizeof *m + (size_t)c->depth * sizeof m->layer[0]);
    int64_t D = c->width, inner = c->heads * c->head;

    if (!m)
        return NULL;
    m->tokens = params_add_matrix(s, "shared.weight", SHAPE(c->vocabulary, D),
                                  (struct init){.kind = INIT_NORMAL, .std = 1});
    for (int64_t i = 0; i < c->depth; i++) {
        struct scope block = scope_in(s, "encoder.block.%d", (int)i);
        struct scope asks = scope_in(block, "layer.0.SelfAttention");
        struct scope mlp = scope_in(block, "layer.1.DenseReluDense");
        struct layer *l = &m->layer[i];

        l->q = matrix(asks, "q.weight", D, inner);
        l->k = matrix(asks, "k.weight", D, inner);
        l->v = matrix(asks, "v.weight", D, inner);
        l->o = matrix(asks, "o.weight", inner, D);
        if (i == 0)
            m->distances =
                params_add(asks, "relative_attention_bias.weight", SHAPE(c->buckets, c->heads),
                           (struct init){.kind = INIT_NORMAL, .std = 0.1});
        l->norm1 = norm(block, "layer.0.layer_norm.weight", D);
        l->gate = matrix(mlp, "wi_0.weight", D, c->hidden);
        l->up = matrix(mlp, "wi_1.weight", D, c->hidden);
        l->down = matrix(mlp, "wo.weight", c->hidden, D);
        l->norm2 = norm(block, "layer.1.layer_norm.weight", D);
    }
    m->norm = norm(s, "encoder.final_layer_norm.weight", D);
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

static struct tensor *times(struct graph *g, const struct param *w, struct tensor *x, enum act act)
{
    return op_linear(g, x, nn_param(g, w), NULL, act);
}

static struct tensor *layer_forward(struct graph *g, const struct t5_config *c,
                                    const struct layer *l, struct tensor *x, struct tensor *bias)
{
    const struct attention_form form = {.scale = 1, .bias = bias};
    struct tensor *h = op_rmsnorm(g, x, nn_param(g, l->norm1), c->eps), *kv;

    kv = op_concat(g, times(g, l->k, h, ACT_NONE), times(g, l->v, h, ACT_NONE));
    h = op_attention_formed(g, times(g, l->q, h, ACT_NONE), kv, c->heads, &form);
    x = op_add(g, x, times(g, l->o, h, ACT_NONE));
    h = op_rmsnorm(g, x, nn_param(g, l->norm2), c->eps);
    h = op_mul(g, times(g, l->gate, h, ACT_GELU), times(g, l->up, h, ACT_NONE));
    return op_add(g, x, times(g, l->down, h, ACT_NONE));
}

struct tensor *t5_forward(struct graph *g, const struct network *net, struct tensor *ids)
{
    const struct t5_config *c = net->config;
    const struct t5 *m = net->layers;
    struct tensor *x, *bias;

    MUST(ids->shape.rank == 2, "ids are [N, L]");
    x = op_embedding(g, nn_param(g, m->tokens), ids);
    bias = op_relative_bias(g, nn_param(g, m->distances), ids->shape.dim[1], c->far);
    network_show(net, bias, "position_bias");
    for (int64_t i = 0; i < c->depth; i++) {
        struct segment s = segment_open(g);

        x = layer_forward(g, c, &m->layer[i], x, bias);
        segment_close(g, s);
        network_show(net, x, "encoder.block.%d", (int)i);
    }
    return op_rmsnorm(g, x, nn_param(g, m->norm), c->eps);
}

const struct network_kind network_t5 = {
    .name = "t5",
    .summary = "text encoder that was taught to fill gaps in texts",
    .paper = "Raffel et al. 2020",
    .options = options,
    .config_bytes = sizeof(struct t5_config),
    .check = t5_check,
    .declare = t5_declare,
    .io = t5_io,
};
