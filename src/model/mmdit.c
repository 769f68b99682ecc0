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
 * After the last attention nobody reads the text, so there the text answers and does not ask: its
 * stream ends in k and v.  The pooled vector is for what is said by the whole (a style, a mood).
 *
 * The published networks (SD3 medium, SD3.5 medium and large: sd3.md 2 to 4) and small ones trained
 * here are one network under options: its parts, their order and their names are the same, and what
 * differs is present or absent.  Without qk_norm, q and k are taken as they are.  In `dual` blocks
 * the picture attends to itself a second time, from the block's input, with a modulation and
 * weights of its own (MMDiT-X).  Positions come from a table of any side, of which a smaller
 * picture has the middle, so that one network draws many sizes and formats.  Of time it reads what
 * it is given: a thousandth and a whole are the caller's to choose (time_input, time_scale).
 *
 * Texts come encoded, or are read here by a small encoder that is trained with the rest
 * (byte_text.c).
 *
 * The published network attends to every token, those that fill a text up included; a mask, where
 * one is given, takes those out.
 */
#include "model/mmdit.h"
#include "model/byte_text.h"

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/norm.h"
#include "ops/resample.h"
#include "ops/sequence.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct option options[] = {
    {"size", "height and width of the pictures", OPTION_INT, offsetof(struct mmdit_config, size),
     "32", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct mmdit_config, channels),
     "3", .lo = 1, .hi = 256},
    {"out_channels", "channels of the prediction; 0: those of the pictures", OPTION_INT,
     offsetof(struct mmdit_config, out_channels), "0", .lo = 0, .hi = 256},
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
    {"positions",
     "side of the table of positions, in patches: pictures may be as large; 0: for the size alone",
     OPTION_INT, offsetof(struct mmdit_config, positions), "0", .lo = 0, .hi = 4096},
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
    {"text_kernel", "bytes that a convolution in each of its blocks sees, odd; 1: no convolution",
     OPTION_INT, offsetof(struct mmdit_config, text_kernel), "1", .lo = 1, .hi = 31},
    {"text_group", "neighbouring bytes, once read, that make one token for the blocks", OPTION_INT,
     offsetof(struct mmdit_config, text_group), "1", .lo = 1, .hi = 64},
    {"dual", "blocks in which the picture attends to itself as well, counted from 0", OPTION_INTS,
     offsetof(struct mmdit_config, dual), .lo = 0, .hi = 255},
    {0},
};

/* Features of a token of the text and of the vector for the whole, whoever encodes it. */
static int64_t context_width(const struct mmdit_config *c)
{
    return c->text_length ? c->text_group * c->text_width : c->context_width;
}

static int64_t pooled_width(const struct mmdit_config *c)
{
    return c->text_length ? c->text_width : c->pooled_width;
}

static struct dit_geometry geometry_of(const struct mmdit_config *c)
{
    return (struct dit_geometry){c->size, c->channels, c->patch, c->width, c->heads, c->positions};
}

static int64_t out_channels(const struct mmdit_config *c)
{
    return c->out_channels ? c->out_channels : c->channels;
}

static enum status mmdit_check(const void *config, struct error *err)
{
    const struct mmdit_config *c = config;
    struct dit_geometry d = geometry_of(c);

    if (c->text_length == 1)
        return fail(err, E_ARG,
                    "mmdit.text_length: of 1 only the mark at the beginning would be read");
    if (c->text_length && c->text_width % c->text_heads)
        return fail(err, E_ARG,
                    "mmdit.text_width: %" PRId64 " features cannot be dealt to %" PRId64 " heads",
                    c->text_width, c->text_heads);
    if (c->text_kernel % 2 == 0)
        return fail(err, E_ARG, "mmdit.text_kernel: %" PRId64 " is even: there is no middle",
                    c->text_kernel);
    if (c->text_length % c->text_group)
        return fail(err, E_ARG,
                    "mmdit.text_group: %" PRId64 " bytes do not make groups of %" PRId64,
                    c->text_length, c->text_group);
    if (c->positions && c->positions < c->size / c->patch)
        return fail(err, E_ARG,
                    "mmdit.positions: a table of %" PRId64
                    " patches a side, pictures have %" PRId64,
                    c->positions, c->size / c->patch);
    for (int i = 0; i < c->dual.n; i++)
        if (c->dual.at[i] >= c->depth - 1)
            return fail(err, E_ARG,
                        "mmdit.dual: block %" PRId64 " is the last of %" PRId64 " or behind it",
                        c->dual.at[i], c->depth);
    return dit_check_geometry("mmdit", &d, err);
}

static void mmdit_io(const void *config, struct network_io *io)
{
    const struct mmdit_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .step = c->positions ? c->patch : 0,
        .most = c->positions * c->patch,
        .out_channels = out_channels(c),
        .null_label = -1,
        .context_width = c->text_length ? 0 : c->context_width,
        .pooled_width = c->text_length ? 0 : c->pooled_width,
        .text_length = c->text_length,
        .n_skippable = (int)c->depth - 1,
    };
    network_count_attention(io, c->depth);
}

/* --- declaration --------------------------------------------------------------------------------
 */

struct attention {
    struct linear qkv, proj;
    const struct param *q_norm, *k_norm; /* or NULL */
};

/* One stream's share of a block. */
struct stream {
    int parts; /* of its modulation: 2 where it ends, 9 with an attention of its own, else 6 */
    struct linear ada;
    struct attention joint, own;
    struct dit_mlp mlp;
};

struct block {
    struct stream text, image;
};

struct mmdit {
    int64_t heads, depth, group;
    struct dit_embedders embed;
    struct linear pooled1, pooled2; /* "y_embedder" */
    struct linear text;             /* "context_embedder" */
    struct byte_text reader;        /* "text_encoder", where texts do not come encoded */
    struct dit_final last;
    struct block block[];
};

enum { SHIFT1, SCALE1, GATE1, SHIFT2, SCALE2, GATE2, SHIFT3, SCALE3, GATE3, PARTS };
enum { ENDS = SCALE1 + 1, GOES_ON = GATE2 + 1 }; /* parts of a modulation */

static void attention_declare(struct attention *a, const struct mmdit_config *c, bool ends,
                              struct scope s)
{
    const struct init one = {.kind = INIT_ONE};
    int64_t D = c->width, d = D / c->heads;

    linear_init(&a->qkv, scope_in(s, "qkv"), D, 3 * D, INIT_XAVIER);
    if (c->qk_norm) {
        a->q_norm = params_add(s, "ln_q.weight", SHAPE(d), one);
        a->k_norm = params_add(s, "ln_k.weight", SHAPE(d), one);
    }
    if (!ends)
        linear_init(&a->proj, scope_in(s, "proj"), D, D, INIT_XAVIER);
}

static void stream_declare(struct stream *b, const struct mmdit_config *c, int parts,
                           struct scope s)
{
    int64_t D = c->width;

    b->parts = parts;
    linear_init(&b->ada, scope_in(s, "adaLN_modulation.1"), D, parts * D, INIT_ZERO);
    attention_declare(&b->joint, c, parts == ENDS, scope_in(s, "attn"));
    if (parts == ENDS)
        return;
    if (parts == PARTS)
        attention_declare(&b->own, c, false, scope_in(s, "attn2"));
    dit_mlp_declare(&b->mlp, scope_in(s, "mlp"), D, (int64_t)((double)D * c->mlp_ratio), false);
}

static bool is_dual(const struct mmdit_config *c, int64_t block)
{
    for (int i = 0; i < c->dual.n; i++)
        if (c->dual.at[i] == block)
            return true;
    return false;
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
    m->group = c->text_group;
    dit_embedders_declare(&m->embed, &geometry, s);
    if (pooled_width(c)) {
        linear_init(&m->pooled1, scope_in(s, "y_embedder.mlp.0"), pooled_width(c), c->width,
                    INIT_XAVIER);
        linear_init(&m->pooled2, scope_in(s, "y_embedder.mlp.2"), c->width, c->width, INIT_XAVIER);
    }
    linear_init(&m->text, scope_in(s, "context_embedder"), context_width(c), c->width, INIT_XAVIER);
    for (int64_t i = 0; i < c->depth; i++) {
        struct scope block = scope_in(s, "joint_blocks.%d", (int)i);

        stream_declare(&m->block[i].text, c, i == c->depth - 1 ? ENDS : GOES_ON,
                       scope_in(block, "context_block"));
        stream_declare(&m->block[i].image, c, is_dual(c, i) ? PARTS : GOES_ON,
                       scope_in(block, "x_block"));
    }
    dit_final_declare(&m->last, &geometry, false, out_channels(c), scope_in(s, "final_layer"));
    if (c->text_length)
        byte_text_declare(&m->reader,
                          &(struct byte_text_config){c->text_length, c->text_width, c->text_depth,
                                                     c->text_heads, c->text_kernel},
                          scope_in(s, "text_encoder"));
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* x modulated [N, T, D] -> q, k, v [N, T, 3 D]. */
static struct tensor *ask(struct graph *g, const struct attention *a, int64_t heads,
                          struct tensor *x)
{
    struct tensor *qkv = nn_linear(g, &a->qkv, x);

    if (!a->q_norm)
        return qkv;
    return op_qk_norm(g, qkv, heads, nn_param(g, a->q_norm), nn_param(g, a->k_norm), DIT_EPS);
}

/* The projection to k and v alone.  Rows of weights that take no part must have a gradient of
 * exactly zero, and a product that is computed with fewer multiplications gives a block of zeros
 * the rounding errors of the others; so where a gradient is wanted, they are left out before it. */
static struct tensor *project_kv(struct graph *g, const struct linear *qkv, struct tensor *x)
{
    struct tensor *w = nn_param(g, qkv->weight), *b;
    int64_t D = shape_last(w->shape);

    if (!w->wants_grad)
        return op_slice(g, nn_linear(g, qkv, x), D, 2 * D);
    b = nn_param(g, qkv->bias);
    w = op_slice(g, op_reshape(g, w, SHAPE(3 * D * D)), D * D, 2 * D * D);
    return op_linear(g, x, op_reshape(g, w, SHAPE(2 * D, D)), op_slice(g, b, D, 2 * D), ACT_NONE);
}

/* Of a stream that ends: k, v [N, T, 2 D]. */
static struct tensor *answer(struct graph *g, const struct attention *a, int64_t heads,
                             struct tensor *x)
{
    struct tensor *kv = project_kv(g, &a->qkv, x), *k;
    int64_t N = x->shape.dim[0], T = x->shape.dim[1], D = shape_last(x->shape);

    if (!a->k_norm)
        return kv;
    k = op_reshape(g, op_slice(g, kv, 0, D), SHAPE(N, T * heads, D / heads));
    k = op_reshape(g, op_rmsnorm(g, k, nn_param(g, a->k_norm), DIT_EPS), SHAPE(N, T, D));
    return op_concat(g, k, op_slice(g, kv, D, D));
}

/* x [N, T, D], c [N, D] after SiLU -> x modulated for the joint attention, and all parts of the
 * modulation. */
static struct tensor *stream_begin(struct graph *g, const struct stream *b, struct tensor *x,
                                   struct tensor *c, struct tensor *part[PARTS])
{
    op_chunk(g, nn_linear(g, &b->ada, c), b->parts, part);
    return op_layernorm_modulate(g, x, part[SHIFT1], part[SCALE1], DIT_EPS);
}

/* What the joint attention found, added; what the stream's own found in the same x; and the
 * feed-forward after them. */
static struct tensor *stream_go_on(struct graph *g, const struct network *net,
                                   const struct network_input *in, int i, const char *name,
                                   const struct stream *b, struct tensor *x, struct tensor *found,
                                   struct tensor *const part[PARTS])
{
    const struct mmdit *m = net->layers;
    struct tensor *y = op_gated_add(g, x, part[GATE1], nn_linear(g, &b->joint.proj, found)), *h;

    if (b->parts == PARTS) {
        h = ask(g, &b->own, m->heads,
                op_layernorm_modulate(g, x, part[SHIFT3], part[SCALE3], DIT_EPS));
        h = network_attention(g, in, i, h, m->heads, QKV_SPLIT);
        y = op_gated_add(g, y, part[GATE3], nn_linear(g, &b->own.proj, h));
    }
    h = dit_mlp_forward(g, &b->mlp,
                        op_layernorm_modulate(g, y, part[SHIFT2], part[SCALE2], DIT_EPS));
    network_show(net, h, "joint_blocks.%d.%s.mlp", i, name);
    return op_gated_add(g, y, part[GATE2], h);
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

    qkv = stream_begin(g, &b->text, *text, c, of_text);
    qkv = op_tokens_join(
        g, ask(g, &b->text.joint, m->heads, qkv),
        ask(g, &b->image.joint, m->heads, stream_begin(g, &b->image, *image, c, of_image)));
    found = network_keeps_values(in, i)
                ? op_attention_identity(g, qkv, m->heads, QKV_SPLIT)
                : op_attention_masked(g, qkv, in->context_mask, m->heads, QKV_SPLIT);
    *text = stream_go_on(g, net, in, i, "context_block", &b->text, *text,
                         op_tokens_cut(g, found, 0, L), of_text);
    *image = stream_go_on(g, net, in, i, "x_block", &b->image, *image,
                          op_tokens_cut(g, found, L, T), of_image);
    network_show(net, *text, "joint_blocks.%d.context_block", i);
}

/* The last block: the picture asks both, the text is asked alone. */
static struct tensor *last_forward(struct graph *g, const struct network *net,
                                   const struct network_input *in, struct tensor *image,
                                   struct tensor *text, struct tensor *c)
{
    const struct mmdit *m = net->layers;
    const int i = (int)m->depth - 1;
    const struct block *b = &m->block[i];
    struct tensor *of_text[PARTS], *of_image[PARTS], *qkv, *kv, *found;
    int64_t D = shape_last(image->shape);

    kv = answer(g, &b->text.joint, m->heads, stream_begin(g, &b->text, text, c, of_text));
    qkv = ask(g, &b->image.joint, m->heads, stream_begin(g, &b->image, image, c, of_image));
    kv = op_tokens_join(g, kv, op_slice(g, qkv, D, 2 * D));
    found = network_keeps_values(in, i)
                ? op_attention_identity(g, qkv, m->heads, QKV_SPLIT)
                : op_attention_cross(g, op_slice(g, qkv, 0, D), kv, in->context_mask, m->heads);
    return stream_go_on(g, net, in, i, "x_block", &b->image, image, found, of_image);
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
    c = op_add(g, c, y);
    network_show(net, c, "c");
    return c;
}

/* A word is a handful of bytes: the blocks are given `group` states side by side as one token,
 * which leaves that many times fewer to attend to; a token is there when its first byte is. */
static void read_text(struct graph *g, const struct mmdit *m, struct network_input *in)
{
    int64_t N = in->text->shape.dim[0], D = m->reader.is.width, L = m->reader.is.length;
    struct tensor *states = byte_text_forward(g, &m->reader, in->text, &in->pooled);

    in->context = op_reshape(g, states, SHAPE(N, L / m->group, m->group * D));
    in->context_mask = op_ids_every(g, in->text, m->group); /* 0 where a text has ended */
}

static struct tensor *mmdit_forward(struct graph *g, const struct network *net,
                                    struct network_input in)
{
    const struct mmdit *m = net->layers;
    struct tensor *x = dit_tokens(g, net, &m->embed, in.x), *text, *c;

    if (net->io.text_length) {
        MUST(in.text, "a network that reads a text needs one");
        read_text(g, m, &in);
    }
    MUST(in.context, "a network conditioned by a text needs one");
    text = nn_linear(g, &m->text, in.context);
    network_show(net, text, "context_embedder");
    c = op_silu(g, condition(g, net, in));
    for (int i = 0; i < m->depth; i++) {
        struct segment s;

        if (in.skip && i < net->io.n_skippable && in.skip[i])
            continue;
        s = segment_open(g);

        if (i == m->depth - 1)
            x = last_forward(g, net, &in, x, text, c);
        else
            block_forward(g, net, &in, i, &x, &text, c);
        segment_close(g, s);
        network_show(net, x, "joint_blocks.%d", i);
    }
    x = dit_final_forward(g, &m->last, x, c);
    network_show(net, x, "final_layer");
    return op_unpatchify(g, x, in.x->shape.dim[1], in.x->shape.dim[2], m->embed.patch);
}

static int mmdit_pieces(struct param_piece out[PARAM_PIECES], const char *ours, const void *config)
{
    int depth = (int)((const struct mmdit_config *)config)->depth;

    return mmdit_folder_pieces(out, ours, 0, &depth);
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
    .pieces = mmdit_pieces,
};
