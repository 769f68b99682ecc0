/*
 * unet.c - the convolutional U-Net of the ADM family
 *
 * An encoder halves the resolution level by level, a decoder mirrors it, and each decoder block
 * also sees what the encoder made at the same resolution.  Time and label enter every residual
 * block as a scale and a shift of its second norm.  Ho et al. 2020; Dhariwal and Nichol 2021,
 * "Diffusion models beat GANs on image synthesis" (ADM).  On small pictures it learns several times
 * faster than a transformer, because neighbourhoods need not be discovered.
 *
 *     level 0  conv, R x res ------------------------------------> (R+1) x [concat, res], norm,
 * conv down                                              up level 1       R x res+attn
 * -------------------> (R+1) x [concat, res+attn] down                            up
 *     ...                         res, attn, res
 *
 * Public names count the blocks of each half: input_blocks.I.M and output_blocks.I.M, M being the
 * place of a module inside its block (residual block, attention, resampling).  One struct entry is
 * one such block; the same description builds and runs both halves.
 */
#include "model/unet.h"
#include "model/network.h"

#include "nn/layers.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/resample.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LEVELS_MAX = 8, BLOCKS_MAX = 16, CHANNELS_MAX = 65536 };
static const double NORM_EPS = 1e-5;

static const struct option options[] = {
    {"size", "height and width of the pictures", OPTION_INT, offsetof(struct unet_config, size),
     "32", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct unet_config, channels),
     "3", .lo = 1, .hi = 256},
    {"out_channels", "channels of the prediction; 0: as the pictures", OPTION_INT,
     offsetof(struct unet_config, out_channels), "0", .lo = 0, .hi = 512},
    {"classes", "labels a request can name; 0: none", OPTION_INT,
     offsetof(struct unet_config, classes), "0", .lo = 0, .hi = 1000000},
    {"null_class", "one more label that means no request", OPTION_BOOL,
     offsetof(struct unet_config, null_class), .fallback = "true"},
    {"width", "channels of the first level", OPTION_INT, offsetof(struct unet_config, width), "64",
     .lo = 1, .hi = 4096},
    {"mult", "channels of each level over the width", OPTION_REALS,
     offsetof(struct unet_config, mult), "1,2,2", .lo = 0.125, .hi = 16},
    {"blocks", "residual blocks a level", OPTION_INT, offsetof(struct unet_config, blocks), "2",
     .lo = 1, .hi = BLOCKS_MAX},
    {"attention", "reductions (1, 2, 4, ...) at which to attend", OPTION_INTS,
     offsetof(struct unet_config, attention), "4", .lo = 1, .hi = 128},
    {"heads", "attention heads, when head_channels is 0", OPTION_INT,
     offsetof(struct unet_config, heads), "1", .lo = 1, .hi = 1024},
    {"head_channels", "channels of a head; 0: by heads", OPTION_INT,
     offsetof(struct unet_config, head_channels), "0", .lo = 0, .hi = 1024},
    {"groups", "groups of the norms", OPTION_INT, offsetof(struct unet_config, groups), "32",
     .lo = 1, .hi = 1024},
    {"film", "time and label scale and shift each block", OPTION_BOOL,
     offsetof(struct unet_config, film), .fallback = "true"},
    {"residual_resample", "residual blocks go down and up", OPTION_BOOL,
     offsetof(struct unet_config, residual_resample), .fallback = "true"},
    {"new_attention_order", "packed q, k, v over all heads", OPTION_BOOL,
     offsetof(struct unet_config, new_attention_order), .fallback = "true"},
    {0},
};

static int64_t level_channels(const struct unet_config *c, int level)
{
    return (int64_t)((double)c->width * c->mult.at[level]);
}

static bool attends(const struct unet_config *c, int64_t reduction)
{
    for (int i = 0; i < c->attention.n; i++)
        if (c->attention.at[i] == reduction)
            return true;
    return false;
}

static int64_t heads_of(const struct unet_config *c, int64_t channels)
{
    return c->head_channels ? channels / c->head_channels : c->heads;
}

static enum status check_level(const struct unet_config *c, int level, struct error *err)
{
    int64_t ch = level_channels(c, level), heads = heads_of(c, ch);
    bool attention = attends(c, (int64_t)1 << level) || level == c->mult.n - 1;

    if (ch < 1 || ch > CHANNELS_MAX || ch % c->groups)
        return fail(err, E_ARG,
                    "unet.mult: level %d has %" PRId64 " channels, not a multiple of %" PRId64
                    " groups up to %d",
                    level, ch, c->groups, CHANNELS_MAX);
    if (attention && (heads < 1 || ch % heads || (c->head_channels && ch % c->head_channels)))
        return fail(err, E_ARG,
                    "unet.heads: %" PRId64 " channels of level %d do not divide into heads", ch,
                    level);
    return OK;
}

static enum status unet_check(const void *config, struct error *err)
{
    const struct unet_config *c = config;
    enum status st;

    if (c->mult.n < 1 || c->mult.n > LEVELS_MAX)
        return fail(err, E_ARG, "unet.mult: %d levels, not 1 to %d", c->mult.n, LEVELS_MAX);
    if (c->size % ((int64_t)1 << (c->mult.n - 1)))
        return fail(err, E_ARG, "unet.size: %" PRId64 " cannot be halved %d times", c->size,
                    c->mult.n - 1);
    if (c->width % 2)
        return fail(err, E_ARG, "unet.width: %" PRId64 " is odd", c->width);
    for (int l = 0; l < c->mult.n; l++)
        if ((st = check_level(c, l, err)))
            return st;
    return OK;
}

static void unet_io(const void *config, struct network_io *io)
{
    const struct unet_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .out_channels = c->out_channels ? c->out_channels : c->channels,
        .n_classes = c->classes,
        .n_labels = c->classes + (c->classes && c->null_class),
        .null_label = c->classes && c->null_class ? (int32_t)c->classes : -1,
    };
}

/* --- declaration --------------------------------------------------------------------------------
 */

enum resample { SAME, DOWN, UP };

struct res {
    enum resample resample;
    bool film, has_skip;
    struct group_norm norm1, norm2;
    struct conv conv1, conv2, skip;
    struct linear embed; /* time and label -> scale and shift, or an addend */
};

struct attn {
    struct group_norm norm;
    struct linear qkv, proj;
    int64_t heads;
    enum qkv_order order;
};

/* One of input_blocks or output_blocks: what is there runs in this order. */
struct entry {
    bool has_res, has_attn, has_res2, has_conv;
    struct res res;
    struct attn attn;
    struct res res2;        /* goes up, or down                                    */
    enum resample resample; /* of conv: DOWN strides, UP repeats pixels before it  */
    struct conv conv;
};

struct unet {
    struct linear time1, time2;
    const struct param *labels;
    int n_in, n_out;
    struct res middle1, middle2;
    struct attn middle_attn;
    struct group_norm norm;
    struct conv last;
    struct entry entry[]; /* n_in of the encoder, n_out of the decoder */
};

static void res_declare(struct res *r, const struct unet_config *c, struct scope s, int64_t in,
                        int64_t out, enum resample resample)
{
    r->resample = resample;
    r->film = c->film;
    r->has_skip = in != out;
    group_norm_init(&r->norm1, scope_in(s, "in_layers.0"), in, c->groups, NORM_EPS);
    conv_init(&r->conv1, scope_in(s, "in_layers.2"), in, out, 3, 1, INIT_KAIMING);
    linear_init(&r->embed, scope_in(s, "emb_layers.1"), 4 * c->width, c->film ? 2 * out : out,
                INIT_KAIMING);
    group_norm_init(&r->norm2, scope_in(s, "out_layers.0"), out, c->groups, NORM_EPS);
    conv_init(&r->conv2, scope_in(s, "out_layers.3"), out, out, 3, 1, INIT_ZERO);
    if (r->has_skip)
        conv_init(&r->skip, scope_in(s, "skip_connection"), in, out, 1, 1, INIT_KAIMING);
}

/* Public files keep these as convolutions over a line of pixels: [out, in, 1]. */
static void pixel_linear(struct linear *l, struct scope s, int64_t in, int64_t out,
                         enum init_kind rule)
{
    struct param *w = params_add(s, "weight", SHAPE(out, in), (struct init){.kind = rule});

    w->file_shape = SHAPE(out, in, 1);
    l->weight = w;
    l->bias = params_add(s, "bias", SHAPE(out), (struct init){.kind = rule, .fan_in = in});
}

static void attn_declare(struct attn *a, const struct unet_config *c, struct scope s,
                         int64_t channels)
{
    a->heads = heads_of(c, channels);
    a->order = c->new_attention_order ? QKV_SPLIT : QKV_PERHEAD;
    group_norm_init(&a->norm, scope_in(s, "norm"), channels, c->groups, NORM_EPS);
    pixel_linear(&a->qkv, scope_in(s, "qkv"), channels, 3 * channels, INIT_KAIMING);
    pixel_linear(&a->proj, scope_in(s, "proj_out"), channels, channels, INIT_ZERO);
}

/* The step to the next level, in module `place` of the block. */
static void resample_declare(struct entry *e, const struct unet_config *c, struct scope s,
                             int place, int64_t channels, enum resample resample)
{
    if (c->residual_resample) {
        e->has_res2 = true;
        res_declare(&e->res2, c, scope_in(s, "%d", place), channels, channels, resample);
        return;
    }
    e->has_conv = true;
    e->resample = resample;
    conv_init(&e->conv, scope_in(s, resample == DOWN ? "%d.op" : "%d.conv", place), channels,
              channels, 3, resample == DOWN ? 2 : 1, INIT_KAIMING);
}

static void encoder_declare(struct unet *m, const struct unet_config *c, struct scope s,
                            int64_t skip[])
{
    int64_t ch = level_channels(c, 0);
    struct entry *e = m->entry;

    e->has_conv = true;
    conv_init(&e->conv, scope_in(s, "input_blocks.0.0"), c->channels, ch, 3, 1, INIT_KAIMING);
    skip[m->n_in++] = ch;
    for (int l = 0; l < c->mult.n; l++) {
        for (int64_t b = 0; b < c->blocks; b++) {
            struct scope here = scope_in(s, "input_blocks.%d", m->n_in);

            e = &m->entry[m->n_in];
            e->has_res = true;
            res_declare(&e->res, c, scope_in(here, "0"), ch, level_channels(c, l), SAME);
            ch = level_channels(c, l);
            e->has_attn = attends(c, (int64_t)1 << l);
            if (e->has_attn)
                attn_declare(&e->attn, c, scope_in(here, "1"), ch);
            skip[m->n_in++] = ch;
        }
        if (l == c->mult.n - 1)
            break;
        resample_declare(&m->entry[m->n_in], c, scope_in(s, "input_blocks.%d", m->n_in), 0, ch,
                         DOWN);
        skip[m->n_in++] = ch;
    }
}

static void decoder_declare(struct unet *m, const struct unet_config *c, struct scope s,
                            const int64_t skip[])
{
    int64_t ch = level_channels(c, c->mult.n - 1);
    int top = m->n_in;

    for (int l = c->mult.n - 1; l >= 0; l--)
        for (int64_t b = 0; b <= c->blocks; b++) {
            struct entry *e = &m->entry[m->n_in + m->n_out];
            struct scope here = scope_in(s, "output_blocks.%d", m->n_out++);

            e->has_res = true;
            res_declare(&e->res, c, scope_in(here, "0"), ch + skip[--top], level_channels(c, l),
                        SAME);
            ch = level_channels(c, l);
            e->has_attn = attends(c, (int64_t)1 << l);
            if (e->has_attn)
                attn_declare(&e->attn, c, scope_in(here, "1"), ch);
            if (l && b == c->blocks)
                resample_declare(e, c, here, e->has_attn ? 2 : 1, ch, UP);
        }
}

static void *unet_declare(const void *config, struct scope s)
{
    const struct unet_config *c = config;
    size_t n = (size_t)(c->mult.n * (2 * c->blocks + 2));
    struct unet *m = calloc(1, sizeof *m + n * sizeof m->entry[0]);
    int64_t skip[LEVELS_MAX * (BLOCKS_MAX + 1) + 1], low;
    struct network_io io;

    if (!m)
        return NULL;
    unet_io(c, &io);
    low = level_channels(c, c->mult.n - 1);
    linear_init(&m->time1, scope_in(s, "time_embed.0"), c->width, 4 * c->width, INIT_KAIMING);
    linear_init(&m->time2, scope_in(s, "time_embed.2"), 4 * c->width, 4 * c->width, INIT_KAIMING);
    if (io.n_labels)
        m->labels = params_add(s, "label_emb.weight", SHAPE(io.n_labels, 4 * c->width),
                               (struct init){.kind = INIT_NORMAL, .std = 1});
    encoder_declare(m, c, s, skip);
    res_declare(&m->middle1, c, scope_in(s, "middle_block.0"), low, low, SAME);
    attn_declare(&m->middle_attn, c, scope_in(s, "middle_block.1"), low);
    res_declare(&m->middle2, c, scope_in(s, "middle_block.2"), low, low, SAME);
    decoder_declare(m, c, s, skip);
    group_norm_init(&m->norm, scope_in(s, "out.0"), level_channels(c, 0), c->groups, NORM_EPS);
    conv_init(&m->last, scope_in(s, "out.2"), level_channels(c, 0), io.out_channels, 3, 1,
              INIT_ZERO);
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

static struct tensor *resampled(struct graph *g, struct tensor *x, enum resample resample)
{
    return resample == DOWN ? op_avgpool2(g, x) : resample == UP ? op_upsample2(g, x) : x;
}

/* A residual block: x [N, H, W, C];  emb [N, E], after SiLU. */
static struct tensor *res_forward(struct graph *g, const struct res *r, struct tensor *x,
                                  struct tensor *emb)
{
    struct tensor *h = nn_group_norm(g, &r->norm1, x, NULL, true), *e;

    h = nn_conv(g, &r->conv1, resampled(g, h, r->resample));
    e = nn_linear(g, &r->embed, emb);
    h = r->film ? nn_group_norm(g, &r->norm2, h, e, true)
                : nn_group_norm(g, &r->norm2, op_add_vec(g, h, e), NULL, true);
    h = nn_conv(g, &r->conv2, h);
    x = resampled(g, x, r->resample);
    return op_add(g, r->has_skip ? nn_conv(g, &r->skip, x) : x, h);
}

/* Self-attention over the pixels, added. */
static struct tensor *attn_forward(struct graph *g, const struct attn *a, struct tensor *x)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1] * x->shape.dim[2], C = x->shape.dim[3];
    struct tensor *h = nn_group_norm(g, &a->norm, x, NULL, false);

    h = nn_linear(g, &a->qkv, op_reshape(g, h, SHAPE(N, T, C)));
    h = nn_linear(g, &a->proj, op_attention(g, h, a->heads, a->order));
    return op_add(g, x, op_reshape(g, h, x->shape));
}

static struct tensor *entry_forward(struct graph *g, const struct entry *e, struct tensor *x,
                                    struct tensor *emb)
{
    struct segment s = segment_open(g);

    if (e->has_res)
        x = res_forward(g, &e->res, x, emb);
    if (e->has_attn)
        x = attn_forward(g, &e->attn, x);
    if (e->has_res2)
        x = res_forward(g, &e->res2, x, emb);
    if (e->has_conv)
        x = nn_conv(g, &e->conv, e->resample == UP ? op_upsample2(g, x) : x);
    segment_close(g, s);
    return x;
}

static struct tensor *condition(struct graph *g, const struct network *net, struct network_input in)
{
    const struct unet_config *c = net->config;
    const struct unet *m = net->layers;
    struct tensor *f = op_time_features(g, in.t, c->width), *emb;

    network_show(net, f, "t_freq");
    emb = nn_linear(g, &m->time2, nn_linear_act(g, &m->time1, f, ACT_SILU));
    network_show(net, emb, "time_embed");
    if (!m->labels)
        return emb;
    MUST(in.y, "a class-conditional network needs labels");
    return op_add(g, emb, op_embedding(g, nn_param(g, m->labels), in.y));
}

static struct tensor *middle_forward(struct graph *g, const struct unet *m, struct tensor *x,
                                     struct tensor *emb)
{
    x = res_forward(g, &m->middle1, x, emb);
    x = attn_forward(g, &m->middle_attn, x);
    return res_forward(g, &m->middle2, x, emb);
}

static struct tensor *unet_forward(struct graph *g, const struct network *net,
                                   struct network_input in)
{
    const struct unet *m = net->layers;
    struct tensor *skip[LEVELS_MAX * (BLOCKS_MAX + 1) + 1], *x = in.x;
    struct tensor *emb = op_silu(g, condition(g, net, in));
    int top = 0;

    for (int i = 0; i < m->n_in; i++) {
        x = skip[top++] = entry_forward(g, &m->entry[i], x, emb);
        network_show(net, x, "input_blocks.%d", i);
    }
    x = middle_forward(g, m, x, emb);
    network_show(net, x, "middle_block");
    for (int i = 0; i < m->n_out; i++) {
        x = op_concat(g, x, skip[--top]);
        x = entry_forward(g, &m->entry[m->n_in + i], x, emb);
        network_show(net, x, "output_blocks.%d", i);
    }
    return nn_conv(g, &m->last, nn_group_norm(g, &m->norm, x, NULL, true));
}

const struct network_kind network_unet = {
    .name = "unet",
    .summary = "convolutional U-Net with residual blocks and attention",
    .paper = "Dhariwal and Nichol 2021",
    .options = options,
    .config_bytes = sizeof(struct unet_config),
    .check = unet_check,
    .declare = unet_declare,
    .io = unet_io,
    .forward = unet_forward,
};
