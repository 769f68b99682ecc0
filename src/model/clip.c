/*
 * clip.c - the text encoders of CLIP
 *
 * A transformer that was taught to give a text the vector of its picture (Radford et al. 2021).  A
 * token sees what stands before it alone, so the end of a text, whose id is the largest of all, has
 * seen the whole, and its row is what stands for the text.  Generators ask for more than that row:
 * the states of all tokens one layer earlier, which have not yet been bent towards the comparison
 * with a picture, describe the words (Podell et al. 2023, section 2.1; sd3.md 8.1).
 *
 *     x = token table[id] + position table[place]
 *     x += out(attention(norm(x)), causal);   x += fc2(act(fc1(norm(x))))      a layer
 *     penultimate = x before the last layer;  pooled = norm(x) at the end;  projected = W pooled
 *
 * Parameters have the names of Hugging Face.  q, k and v stay three matrices, although one of three
 * times the rows would be one product: published files keep them apart, so they can be used where
 * they lie, and a text has 77 tokens.
 */
#include "model/clip.h"

#include "base/error.h"
#include "nn/layers.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/sequence.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const activations[] = {"quick_gelu", "gelu", NULL};

static const struct option options[] = {
    {"width", "features of a token", OPTION_INT, offsetof(struct clip_config, width), "768",
     .lo = 1, .hi = 1 << 16},
    {"depth", "layers", OPTION_INT, offsetof(struct clip_config, depth), "12", .lo = 1, .hi = 256},
    {"heads", "attention heads", OPTION_INT, offsetof(struct clip_config, heads), "12", .lo = 1,
     .hi = 1024},
    {"hidden", "features inside the feed-forward", OPTION_INT, offsetof(struct clip_config, hidden),
     "3072", .lo = 1, .hi = 1 << 20},
    {"vocabulary", "ids of tokens", OPTION_INT, offsetof(struct clip_config, vocabulary), "49408",
     .lo = 1, .hi = 1 << 24},
    {"positions", "tokens of the longest text", OPTION_INT, offsetof(struct clip_config, positions),
     "77", .lo = 1, .hi = 1 << 16},
    {"projection", "features of the projected text; 0: none", OPTION_INT,
     offsetof(struct clip_config, projection), "0", .lo = 0, .hi = 1 << 16},
    {"activation", "inside the feed-forward", OPTION_CHOICE,
     offsetof(struct clip_config, activation), .choices = activations},
    {"eps", "epsilon of layer norms", OPTION_REAL, offsetof(struct clip_config, eps), "1e-5",
     .lo = 1e-12, .hi = 1},
    {0},
};

static enum status clip_check(const void *config, struct error *err)
{
    const struct clip_config *c = config;

    if (c->width % c->heads)
        return fail(err, E_ARG, "clip.heads: %" PRId64 " heads do not divide a width of %" PRId64,
                    c->heads, c->width);
    return OK;
}

static void clip_io(const void *config, struct network_io *io)
{
    const struct clip_config *c = config;

    *io = (struct network_io){
        .null_label = -1, .vocabulary = c->vocabulary, .n_positions = c->positions};
}

/* --- declaration --------------------------------------------------------------------------------
 */

struct layer {
    struct layer_norm norm1, norm2;
    struct linear q, k, v, out, up, down;
};

struct clip {
    const struct param *tokens, *positions, *projection; /* projection: or NULL */
    struct layer_norm norm;
    struct layer layer[];
};

static void layer_declare(struct layer *l, const struct clip_config *c, struct scope s)
{
    struct scope attention = scope_in(s, "self_attn");

    linear_init(&l->q, scope_in(attention, "q_proj"), c->width, c->width, INIT_XAVIER);
    linear_init(&l->k, scope_in(attention, "k_proj"), c->width, c->width, INIT_XAVIER);
    linear_init(&l->v, scope_in(attention, "v_proj"), c->width, c->width, INIT_XAVIER);
    linear_init(&l->out, scope_in(attention, "out_proj"), c->width, c->width, INIT_XAVIER);
    layer_norm_init(&l->norm1, scope_in(s, "layer_norm1"), c->width, c->eps);
    linear_init(&l->up, scope_in(s, "mlp.fc1"), c->width, c->hidden, INIT_XAVIER);
    linear_init(&l->down, scope_in(s, "mlp.fc2"), c->hidden, c->width, INIT_XAVIER);
    layer_norm_init(&l->norm2, scope_in(s, "layer_norm2"), c->width, c->eps);
}

static void *clip_declare(const void *config, struct scope s)
{
    const struct clip_config *c = config;
    struct clip *m = calloc(1, sizeof *m + (size_t)c->depth * sizeof m->layer[0]);
    struct scope text = scope_in(s, "text_model"), tables = scope_in(text, "embeddings");

    if (!m)
        return NULL;
    m->tokens = params_add_matrix(tables, "token_embedding.weight", SHAPE(c->vocabulary, c->width),
                                  (struct init){.kind = INIT_NORMAL, .std = 0.02});
    m->positions = params_add(tables, "position_embedding.weight", SHAPE(c->positions, c->width),
                              (struct init){.kind = INIT_NORMAL, .std = 0.01});
    for (int64_t i = 0; i < c->depth; i++)
        layer_declare(&m->layer[i], c, scope_in(text, "encoder.layers.%d", (int)i));
    layer_norm_init(&m->norm, scope_in(text, "final_layer_norm"), c->width, c->eps);
    if (c->projection)
        m->projection =
            params_add_matrix(s, "text_projection.weight", SHAPE(c->projection, c->width),
                              (struct init){.kind = INIT_XAVIER});
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* The first L rows of the table, for every text. */
static struct tensor *positions(struct graph *g, const struct clip *m, int64_t L)
{
    struct tensor *p = nn_param(g, m->positions);
    int64_t rows = p->shape.dim[0], D = shape_last(p->shape);

    p = op_reshape(g, p, SHAPE(1, rows, D));
    return L == rows ? p : op_tokens_cut(g, p, 0, L);
}

static struct tensor *layer_forward(struct graph *g, const struct clip_config *c,
                                    const struct layer *l, struct tensor *x)
{
    const struct attention_form causal = {.causal = true};
    struct tensor *h = nn_layer_norm(g, &l->norm1, x), *kv;

    kv = op_concat(g, nn_linear(g, &l->k, h), nn_linear(g, &l->v, h));
    h = op_attention_formed(g, nn_linear(g, &l->q, h), kv, c->heads, &causal);
    x = op_add(g, x, nn_linear(g, &l->out, h));
    h = nn_linear(g, &l->up, nn_layer_norm(g, &l->norm2, x));
    h = c->activation == CLIP_QUICK_GELU ? op_quick_gelu(g, h) : op_gelu_erf(g, h);
    return op_add(g, x, nn_linear(g, &l->down, h));
}

void clip_forward(struct graph *g, const struct network *net, struct tensor *ids,
                  struct clip_states *out)
{
    const struct clip_config *c = net->config;
    const struct clip *m = net->layers;
    struct tensor *x;

    MUST(ids->shape.rank == 2 && ids->shape.dim[1] <= c->positions,
         "texts of %d tokens for %d positions", (int)shape_last(ids->shape), (int)c->positions);
    x = op_add_vec(g, op_embedding(g, nn_param(g, m->tokens), ids),
                   positions(g, m, ids->shape.dim[1]));
    network_show(net, x, "text_model.embeddings");
    for (int64_t i = 0; i < c->depth; i++) {
        struct segment s = segment_open(g);

        out->penultimate = x;
        x = layer_forward(g, c, &m->layer[i], x);
        segment_close(g, s);
        network_show(net, x, "text_model.encoder.layers.%d", (int)i);
    }
    out->last = nn_layer_norm(g, &m->norm, x);
    out->pooled = op_row_of_largest(g, out->last, ids);
    out->projected = m->projection
                         ? op_linear(g, out->pooled, nn_param(g, m->projection), NULL, ACT_NONE)
                         : NULL;
}

const struct network_kind network_clip = {
    .name = "clip",
    .summary = "text encoder that was taught the vectors of pictures",
    .paper = "Radford et al. 2021",
    .options = options,
    .config_bytes = sizeof(struct clip_config),
    .check = clip_check,
    .declare = clip_declare,
    .io = clip_io,
};
