/*
 * mmdit.c - the diffusion transformer of two streams
 *
 * A text may do more than answer: when its tokens stand in one sequence with those of the picture,
 * words attend to patches as patches attend to words, and the text's meaning is worked out together
 * with the picture.  The two are different things, though, so each stream keeps its own weights for
 * all that looks at one token alone (norms, projections, feed-forward), and they meet in the
 * attention only.  Esser et al. 2024, "Scaling rectified flow transformers", section 4 (MM-DiT).
 *
 *     c = mlp(time features) + mlp(pooled text)
 *     text  [N, L, D]: modulate, qkv --+                          +--> proj, gate, feed-forward
 *                                      +-- attention over L + T --+
 *     image [N, T, D]: modulate, qkv --+                          +--> proj, gate, feed-forward
 *
 * After the last attention nobody reads the text, so there the text's stream ends in its q, k and
 * v. The pooled vector is for what is said by the whole (a style, a mood).
 *
 * Texts come encoded, or are read here by a small encoder that is trained with the rest
 * (byte_text.c).
 *
 * The published network attends to every token, those that fill a text up included; a mask, where
 * one is given, takes those out.
 */
#include "model/byte_text.h"

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/norm.h"
#include "ops/resample.h"

#include <inttypes.h>
#include <stdlib.h>

struct mmdit_config {
    int64_t size, channels; /* pictures [size, size, channels]             */
    int64_t context_width;  /* features of a token of the text             */
    int64_t pooled_width;   /* of the vector for the whole text; 0: none   */
    int64_t patch, width, depth, heads;
    double mlp_ratio;
    bool qk_norm;
    int64_t text_length; /* bytes of a text it reads itself; 0: others encode it, as above */
    int64_t text_width, text_depth, text_heads;
};

static const struct option options[] = {
    {"size", "height and width of the pictures", OPTION_INT, offsetof(struct mmdit_config, size),
     "32", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct mmdit_config, channels),
     "3", .lo = 1, .hi = 256},
    {"context_width", "features of a token of the encoded text", OPTION_INT,
     offsetof(struct mmdit_config, context_width), "768", .lo = 1, .hi = DIT_WIDTH_MAX},
    {"pooled_width", "features of the vector for the whole text; 0: none", OPTION_INT,
     offsetof(struct mmdit_config, pooled_width), "768", .lo = 0, .hi = DIT_WIDTH_MAX},
    {"patch", "side of a patch in pixels", OPTION_INT, offsetof(struct mmdit_config, patch), "2",
     .lo = 1, .hi = 256},
    {"width", "features of a token, a multiple of 4", OPTION_INT,
     offsetof(struct mmdit_config, width), "384", .lo = 4, .hi = DIT_WIDTH_MAX},
    {"depth", "blocks", OPTION_INT, offsetof(struct mmdit_config, depth), "12", .lo = 1, .hi = 256},
    {"heads", "attention heads", OPTION_INT, offsetof(struct mmdit_config, heads), "6", .lo = 1,
     .hi = 1024},
    {"mlp_ratio", "width of the feed-forward part over the width", OPTION_REAL,
     offsetof(struct mmdit_config, mlp_ratio), "4", .lo = 0.25, .hi = 16},
    {"qk_norm", "norm of queries and keys", OPTION_BOOL, offsetof(struct mmdit_config, qk_norm),
     .fallback = "true"},
    {"text_length",
     "read texts of up to so many bytes, less one, with an encoder trained beside; 0: texts come "
     "encoded",
     OPTION_INT, offsetof(struct mmdit_config, text_length), "0", .lo = 0,
     .hi = BYTE_TEXT_LENGTH_MAX},
    {"text_width", "features of a byte in that encoder", OPTION_INT,
     offsetof(struct mmdit_config, text_width), "192", .lo = 1, .hi = DIT_WIDTH_MAX},
    {"text_depth", "its blocks", OPTION_INT, offsetof(struct mmdit_config, text_depth), "3",
     .lo = 1, .hi = BYTE_TEXT_DEPTH_MAX},
    {"text_heads", "its attention heads", OPTION_INT, offsetof(struct mmdit_config, text_heads),
     "4", .lo = 1, .hi = 1024},
    {0},
};

/* Features of a token of the text and of the vector for the whole, whoever encodes it. */
static int64_t context_width(const struct mmdit_config *c)
{
    return c->text_length ? c->text_width : c->context_width;
}

static int64_t pooled_width(const struct mmdit_config *c)
{
    return c->text_length ? c->text_width : c->pooled_width;
}

static struct dit_geometry geometry_of(const struct mmdit_config *c)
{
    return (struct dit_geometry){c->size, c->channels, c->patch, c->width, c->heads};
}

static enum status mmdit_check(const void *config, struct error *err)
{
    struct dit_geometry d = geometry_of(config);

    const struct mmdit_config *c = config;

    if (c->text_length == 1)
        return fail(err, E_ARG,
                    "mmdit.text_length: of 1 only the mark at the beginning would be read");
    if (c->text_length && c->text_width % c->text_heads)
        return fail(err, E_ARG,
                    "mmdit.text_width: %" PRId64 " features cannot be dealt to %" PRId64 " heads",
                    c->text_width, c->text_heads);
    return dit_check_geometry("mmdit", &d, err);
}

static void mmdit_io(const void *config, struct network_io *io)
{
    const struct mmdit_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .out_channels = c->channels,
        .null_label = -1,
        .context_width = c->text_length ? 0 : c->context_width,
        .pooled_width = c->text_length ? 0 : c->pooled_width,
        .text_length = c->text_length,
    };
    network_count_attention(io, c->depth);
}

/* --- declaration --------------------------------------------------------------------------------
 */

/* One stream's share of a block. */
struct stream {
    bool ends; /* gives q, k and v and is not gone on with */
    struct linear ada, qkv, proj;
    const struct param *q_norm, *k_norm;
    struct dit_mlp mlp;
};

struct block {
    struct stream text, image;
};

struct mmdit {
    int64_t heads, depth;
    struct dit_embedders embed;
    struct linear pooled1, pooled2; /* "y_embedder" */
    struct linear text;             /* "context_embedder" */
    struct byte_text reader;        /* "text_encoder", where texts do not come encoded */
    struct dit_final last;
    struct block block[];
};

static void stream_declare(struct stream *b, const struct mmdit_config *c, bool ends,
                           struct scope s)
{
    struct scope attn = scope_in(s, "attn");
    int64_t D = c->width, d = D / c->heads;

    b->ends = ends;
    linear_init(&b->ada, scope_in(s, "adaLN_modulation.1"), D, (ends ? 2 : 6) * D, INIT_ZERO);
    linear_init(&b->qkv, scope_in(attn, "qkv"), D, 3 * D, INIT_XAVIER);
    if (c->qk_norm) {
        b->q_norm = params_add(attn, "ln_q_norm.weight", SHAPE(d), (struct init){.kind = INIT_ONE});
        b->k_norm = params_add(attn, "ln_k_norm.weight", SHAPE(d), (struct init){.kind = INIT_ONE});
    }
    if (ends)
        return;
    linear_init(&b->proj, scope_in(attn, "proj"), D, D, INIT_XAVIER);
    dit_mlp_declare(&b->mlp, scope_in(s, "mlp"), D, (int64_t)((double)D * c->mlp_ratio), false);
}

static void *mmdit_declare(const void *config, struct scope s)
{
    const struct mmdit_config *c = config;
    struct mmdit *m = calloc(1, sizeof *m + (size_t)c->depth * sizeof m->block[0]);
    struct dit_geometry geometry = geometry_of(c);

    if (!m)
        return NULL;
    m->heads = c->heads;
    m->depth = c->depth;
    dit_embedders_declare(&m->embed, &geometry, s);
    if (pooled_width(c)) {
        linear_init_normal(&m->pooled1, scope_in(s, "y_embedder.mlp.0"), pooled_width(c), c->width,
                           0.02);
        linear_init_normal(&m->pooled2, scope_in(s, "y_embedder.mlp.2"), c->width, c->width, 0.02);
    }
    linear_init(&m->text, scope_in(s, "context_embedder"), context_width(c), c->width, INIT_XAVIER);
    for (int64_t i = 0; i < c->depth; i++) {
        struct scope block = scope_in(s, "joint_blocks.%d", (int)i);

        stream_declare(&m->block[i].text, c, i == c->depth - 1, scope_in(block, "context_block"));
        stream_declare(&m->block[i].image, c, false, scope_in(block, "x_block"));
    }
    dit_final_declare(&m->last, &geometry, false, c->channels, scope_in(s, "final_layer"));
    if (c->text_length)
        byte_text_declare(
            &m->reader,
            &(struct byte_text_config){c->text_length, c->text_width, c->text_depth, c->text_heads},
            scope_in(s, "text_encoder"));
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

enum { SHIFT1, SCALE1, GATE1, SHIFT2, SCALE2, GATE2, PARTS };

/* x [N, T, D], c [N, D] after SiLU -> q, k, v [N, T, 3 D], and the parts of the modulation. */
static struct tensor *stream_ask(struct graph *g, const struct stream *b, int64_t heads,
                                 struct tensor *x, struct tensor *c, struct tensor *part[PARTS])
{
    struct tensor *qkv;

    op_chunk(g, nn_linear(g, &b->ada, c), b->ends ? 2 : PARTS, part);
    qkv = nn_linear(g, &b->qkv, op_layernorm_modulate(g, x, part[SHIFT1], part[SCALE1], DIT_EPS));
    if (!b->q_norm)
        return qkv;
    return op_qk_norm(g, qkv, heads, nn_param(g, b->q_norm), nn_param(g, b->k_norm), DIT_EPS);
}

/* What the attention found, added, and the feed-forward after it. */
static struct tensor *stream_go_on(struct graph *g, const struct network *net, int i,
                                   const char *name, const struct stream *b, struct tensor *x,
                                   struct tensor *found, struct tensor *const part[PARTS])
{
    struct tensor *h;

    x = op_gated_add(g, x, part[GATE1], nn_linear(g, &b->proj, found));
    h = dit_mlp_forward(g, &b->mlp,
                        op_layernorm_modulate(g, x, part[SHIFT2], part[SCALE2], DIT_EPS));
    network_show(net, h, "joint_blocks.%d.%s.mlp", i, name);
    return op_gated_add(g, x, part[GATE2], h);
}

/* Tokens are rows of one size, so that sequences are joined and cut where a sample's floats are. */
static struct tensor *tokens_join(struct graph *g, struct tensor *a, struct tensor *b)
{
    int64_t N = a->shape.dim[0], A = a->shape.dim[1], B = b->shape.dim[1], D = shape_last(a->shape);

    a = op_reshape(g, a, SHAPE(N, A * D));
    b = op_reshape(g, b, SHAPE(N, B * D));
    return op_reshape(g, op_concat(g, a, b), SHAPE(N, A + B, D));
}

static struct tensor *tokens_cut(struct graph *g, struct tensor *x, int64_t first, int64_t count)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1], D = shape_last(x->shape);

    x = op_slice(g, op_reshape(g, x, SHAPE(N, T * D)), first * D, count * D);
    return op_reshape(g, x, SHAPE(N, count, D));
}

/* Esser et al. 2024, figure 2 (b).  Both streams go in and come out by their pointers. */
static void block_forward(struct graph *g, const struct network *net,
                          const struct network_input *in, int i, struct tensor **image,
                          struct tensor **text, struct tensor *c)
{
    const struct mmdit *m = net->layers;
    const struct block *b = &m->block[i];
    struct tensor *of_text[PARTS], *of_image[PARTS], *qkv, *found;
    int64_t L = (*text)->shape.dim[1], T = (*image)->shape.dim[1];

    qkv = stream_ask(g, &b->text, m->heads, *text, c, of_text);
    qkv = tokens_join(g, qkv, stream_ask(g, &b->image, m->heads, *image, c, of_image));
    found = network_keeps_values(in, i)
                ? op_attention_identity(g, qkv, m->heads, QKV_SPLIT)
                : op_attention_masked(g, qkv, in->context_mask, m->heads, QKV_SPLIT);
    if (!b->text.ends)
        *text = stream_go_on(g, net, i, "context_block", &b->text, *text,
                             tokens_cut(g, found, 0, L), of_text);
    *image =
        stream_go_on(g, net, i, "x_block", &b->image, *image, tokens_cut(g, found, L, T), of_image);
}

/* c [N, D]: what time and the pooled text have to say, added. */
static struct tensor *condition(struct graph *g, const struct network *net, struct network_input in)
{
    const struct mmdit *m = net->layers;
    struct tensor *c = dit_time(g, net, &m->embed, in.t), *y;

    if (!in.pooled && !net->io.pooled_width)
        return c;
    MUST(in.pooled, "a network that reads a pooled text needs one");
    y = nn_linear(g, &m->pooled2, nn_linear_act(g, &m->pooled1, in.pooled, ACT_SILU));
    network_show(net, y, "y_embedder");
    return op_add(g, c, y);
}

static struct tensor *mmdit_forward(struct graph *g, const struct network *net,
                                    struct network_input in)
{
    const struct mmdit_config *config = net->config;
    const struct mmdit *m = net->layers;
    struct tensor *x = dit_tokens(g, net, &m->embed, in.x), *text, *c;

    if (net->io.text_length) {
        MUST(in.text, "a network that reads a text needs one");
        in.context = byte_text_forward(g, &m->reader, in.text, &in.pooled);
        in.context_mask = in.text; /* 0 where a text has ended */
    }
    MUST(in.context, "a network conditioned by a text needs one");
    text = nn_linear(g, &m->text, in.context);
    network_show(net, text, "context_embedder");
    c = op_silu(g, condition(g, net, in));
    for (int i = 0; i < m->depth; i++) {
        struct segment s = segment_open(g);

        block_forward(g, net, &in, i, &x, &text, c);
        segment_close(g, s);
        network_show(net, x, "joint_blocks.%d", i);
    }
    x = dit_final_forward(g, &m->last, x, c);
    network_show(net, x, "final_layer");
    return op_unpatchify(g, x, config->size, config->size, config->patch);
}

const struct network_kind network_mmdit = {
    .name = "mmdit",
    .summary = "diffusion transformer of two streams, picture and text",
    .paper = "Esser et al. 2024",
    .options = options,
    .config_bytes = sizeof(struct mmdit_config),
    .check = mmdit_check,
    .declare = mmdit_declare,
    .io = mmdit_io,
    .forward = mmdit_forward,
};
