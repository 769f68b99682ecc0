/*
 * pixart.c - the diffusion transformer that attends to a text
 *
 * A request in words is a sequence of vectors, one a word, and which of them matters differs from
 * place to place in the picture: so each block asks the text by cross-attention, between its
 * self-attention and its feed-forward.  With the request gone from the conditioning vector, only
 * time is left to modulate the norms; then one projection of time serves the whole network, and
 * each block adds a small table of its own ("adaLN-single"), which saves a quarter of the
 * parameters.  Chen et al. 2023, "PixArt-alpha", section 2.3.
 *
 *     y = mlp(text)   [N, L, D]         te = time mlp   [N, D]        m = linear(silu(te))   [N, 6
 * D] block:  shift, scale, gate of both branches = table + m x += gate attention(norm(x));   x +=
 * cross_attention(x, y);   x += gate mlp(norm(x)) final:  shift, scale = table + te
 *
 * The cross-attention has neither norm nor gate; its projection starts at zero instead, so that a
 * network begins as one without a text.
 */
#include "model/dit_parts.h"

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/norm.h"
#include "ops/resample.h"

#include <math.h>
#include <stdlib.h>

struct pixart_config {
    int64_t size, channels; /* pictures [size, size, channels]   */
    int64_t context_width;  /* features of a token of the text   */
    int64_t patch, width, depth, heads;
    double mlp_ratio;
    bool learn_sigma; /* twice the output channels */
};

static const struct option options[] = {
    {"size", "height and width of the pictures", OPTION_INT, offsetof(struct pixart_config, size),
     "32", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct pixart_config, channels),
     "3", .lo = 1, .hi = 256},
    {"context_width", "features of a token of the encoded text", OPTION_INT,
     offsetof(struct pixart_config, context_width), "768", .lo = 1, .hi = DIT_WIDTH_MAX},
    {"patch", "side of a patch in pixels", OPTION_INT, offsetof(struct pixart_config, patch), "2",
     .lo = 1, .hi = 256},
    {"width", "features of a token, a multiple of 4", OPTION_INT,
     offsetof(struct pixart_config, width), "384", .lo = 4, .hi = DIT_WIDTH_MAX},
    {"depth", "blocks", OPTION_INT, offsetof(struct pixart_config, depth), "12", .lo = 1,
     .hi = 256},
    {"heads", "attention heads", OPTION_INT, offsetof(struct pixart_config, heads), "6", .lo = 1,
     .hi = 1024},
    {"mlp_ratio", "width of the feed-forward part over the width", OPTION_REAL,
     offsetof(struct pixart_config, mlp_ratio), "4", .lo = 0.25, .hi = 16},
    {"learn_sigma", "predict a variance beside each channel", OPTION_BOOL,
     offsetof(struct pixart_config, learn_sigma), .fallback = "false"},
    {0},
};

static struct dit_geometry geometry_of(const struct pixart_config *c)
{
    return (struct dit_geometry){.size = c->size,
                                 .channels = c->channels,
                                 .patch = c->patch,
                                 .width = c->width,
                                 .heads = c->heads};
}

static enum status pixart_check(const void *config, struct error *err)
{
    struct dit_geometry d = geometry_of(config);

    return dit_check_geometry("pixart", &d, err);
}

static void pixart_io(const void *config, struct network_io *io)
{
    const struct pixart_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .out_channels = c->channels * (c->learn_sigma ? 2 : 1),
        .null_label = -1,
        .context_width = c->context_width,
    };
    network_count_attention(io, c->depth);
}

/* --- declaration --------------------------------------------------------------------------------
 */

struct block {
    const struct param *table; /* [6, D], added to what time says */
    struct linear qkv, proj;
    struct linear ask, text, cross; /* cross-attention: q, [k | v], projection */
    struct dit_mlp mlp;
};

struct pixart {
    int64_t width, heads, depth;
    struct dit_embedders embed;
    struct linear modulation; /* "t_block" */
    struct dit_mlp text;      /* into our width */
    const struct param *final_table;
    struct linear final;
    struct block block[];
};

/* Scales, shifts and gates start small, N(0, 1) / sqrt(D), and differ from block to block. */
static const struct param *table(struct scope s, int64_t rows, int64_t D)
{
    return params_add(s, "scale_shift_table", SHAPE(rows, D),
                      (struct init){.kind = INIT_NORMAL, .std = 1 / sqrt((double)D)});
}

static void block_declare(struct block *b, const struct pixart_config *c, struct scope s)
{
    struct scope attn = scope_in(s, "attn"), cross = scope_in(s, "cross_attn");
    int64_t D = c->width;

    b->table = table(s, 6, D);
    linear_init(&b->qkv, scope_in(attn, "qkv"), D, 3 * D, INIT_XAVIER);
    linear_init(&b->proj, scope_in(attn, "proj"), D, D, INIT_XAVIER);
    linear_init(&b->ask, scope_in(cross, "q_linear"), D, D, INIT_XAVIER);
    linear_init(&b->text, scope_in(cross, "kv_linear"), D, 2 * D, INIT_XAVIER);
    linear_init(&b->cross, scope_in(cross, "proj"), D, D, INIT_ZERO);
    dit_mlp_declare(&b->mlp, scope_in(s, "mlp"), D, (int64_t)((double)D * c->mlp_ratio), false);
}

static void *pixart_declare(const void *config, struct scope s)
{
    const struct pixart_config *c = config;
    struct pixart *m = calloc(1, sizeof *m + (size_t)c->depth * sizeof m->block[0]);
    struct scope text = scope_in(s, "y_embedder.y_proj"), last = scope_in(s, "final_layer");
    struct dit_geometry geometry = geometry_of(c);
    struct network_io io;

    if (!m)
        return NULL;
    pixart_io(c, &io);
    m->width = c->width;
    m->heads = c->heads;
    m->depth = c->depth;
    dit_embedders_declare(&m->embed, &geometry, s);
    linear_init_normal(&m->modulation, scope_in(s, "t_block.1"), c->width, 6 * c->width, 0.02);
    linear_init_normal(&m->text.up, scope_in(text, "fc1"), c->context_width, c->width, 0.02);
    linear_init_normal(&m->text.down, scope_in(text, "fc2"), c->width, c->width, 0.02);
    for (int64_t i = 0; i < c->depth; i++)
        block_declare(&m->block[i], c, scope_in(s, "blocks.%d", (int)i));
    m->final_table = table(last, 2, c->width);
    linear_init(&m->final, scope_in(last, "linear"), c->width,
                c->patch * c->patch * io.out_channels, INIT_ZERO);
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* c [N, n D] plus the table's n rows, as n parts [N, D]. */
static void modulation(struct graph *g, struct tensor *c, const struct param *rows, int n,
                       struct tensor *part[])
{
    op_chunk(g, op_add_vec(g, c, op_reshape(g, nn_param(g, rows), SHAPE(shape_last(c->shape)))), n,
             part);
}

/* x [N, T, D] asks the text y [N, L, D]. */
static struct tensor *ask(struct graph *g, const struct pixart *m, const struct block *b,
                          struct tensor *x, struct tensor *y, struct tensor *mask)
{
    struct tensor *kv = nn_linear(g, &b->text, y);

    return nn_linear(g, &b->cross,
                     op_attention_cross(g, nn_linear(g, &b->ask, x), kv, mask, m->heads));
}

/* Chen et al. 2023, figure 4. c [N, 6 D], of the whole network;  y [N, L, D]. */
static struct tensor *block_forward(struct graph *g, const struct network *net,
                                    const struct network_input *in, int i, struct tensor *x,
                                    struct tensor *c, struct tensor *y)
{
    enum { SHIFT1, SCALE1, GATE1, SHIFT2, SCALE2, GATE2 };
    const struct pixart *m = net->layers;
    const struct block *b = &m->block[i];
    struct tensor *part[6], *h;

    modulation(g, c, b->table, 6, part);
    h = nn_linear(g, &b->qkv, op_layernorm_modulate(g, x, part[SHIFT1], part[SCALE1], DIT_EPS));
    h = nn_linear(g, &b->proj, network_attention(g, in, i, h, m->heads, QKV_SPLIT));
    network_show(net, h, "blocks.%d.attn", i);
    x = op_gated_add(g, x, part[GATE1], h);
    h = ask(g, m, b, x, y, in->context_mask);
    network_show(net, h, "blocks.%d.cross_attn", i);
    x = op_add(g, x, h);
    h = dit_mlp_forward(g, &b->mlp,
                        op_layernorm_modulate(g, x, part[SHIFT2], part[SCALE2], DIT_EPS));
    network_show(net, h, "blocks.%d.mlp", i);
    return op_gated_add(g, x, part[GATE2], h);
}

/* te [N, D], as it comes from the time embedder. */
static struct tensor *final_forward(struct graph *g, const struct pixart *m, struct tensor *x,
                                    struct tensor *te)
{
    struct tensor *part[2];

    modulation(g, op_concat(g, te, te), m->final_table, 2, part);
    return nn_linear(g, &m->final, op_layernorm_modulate(g, x, part[0], part[1], DIT_EPS));
}

static struct tensor *pixart_forward(struct graph *g, const struct network *net,
                                     struct network_input in)
{
    const struct pixart_config *config = net->config;
    const struct pixart *m = net->layers;
    struct tensor *x = dit_tokens(g, net, &m->embed, in.x);
    struct tensor *te = dit_time(g, net, &m->embed, in.t), *c, *y;

    MUST(in.context, "a network conditioned by a text needs one");
    c = nn_linear(g, &m->modulation, op_silu(g, te));
    network_show(net, c, "t_block");
    y = dit_mlp_forward(g, &m->text, in.context);
    network_show(net, y, "y_embedder.y_proj");
    for (int i = 0; i < m->depth; i++) {
        struct segment s = segment_open(g);

        x = block_forward(g, net, &in, i, x, c, y);
        segment_close(g, s);
        network_show(net, x, "blocks.%d", i);
    }
    x = final_forward(g, m, x, te);
    network_show(net, x, "final_layer");
    return op_unpatchify(g, x, config->size, config->size, config->patch);
}

const struct network_kind network_pixart = {
    .name = "pixart",
    .summary = "diffusion transformer with cross-attention to a text",
    .paper = "Chen et al. 2023",
    .options = options,
    .config_bytes = sizeof(struct pixart_config),
    .check = pixart_check,
    .declare = pixart_declare,
    .io = pixart_io,
    .forward = pixart_forward,
};
