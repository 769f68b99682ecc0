/*
 * unet_parts.c - what the U-Nets of the ADM family are made of
 *
 * A generator has an encoder, a middle and a decoder; a classifier has the first two and a head.
 * Both are built of the same blocks, under the same names, so that they stand here once: Dhariwal
 * and Nichol 2021, "Diffusion models beat GANs on image synthesis", appendix A and their code.
 *
 * Public names count the blocks of each half: input_blocks.I.M and output_blocks.I.M, M being the
 * place of a module inside its block (residual block, attention, resampling).  One struct
 * unet_entry is one such block; the same description builds and runs both halves.
 */
#include "model/unet_parts.h"

#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/resample.h"

#include <inttypes.h>

int64_t unet_level_channels(const struct unet_config *c, int level)
{
    return (int64_t)((double)c->width * c->mult.at[level]);
}

bool unet_attends(const struct unet_config *c, int64_t reduction)
{
    for (int i = 0; i < c->attention.n; i++)
        if (c->attention.at[i] == reduction)
            return true;
    return false;
}

int64_t unet_heads(const struct unet_config *c, int64_t channels)
{
    return c->head_channels ? channels / c->head_channels : c->heads;
}

static enum status check_level(const char *kind, const struct unet_config *c, int level,
                               struct error *err)
{
    int64_t ch = unet_level_channels(c, level), heads = unet_heads(c, ch);
    bool attention = unet_attends(c, (int64_t)1 << level) || level == c->mult.n - 1;

    if (ch < 1 || ch > UNET_CHANNELS_MAX || ch % c->groups)
        return fail(err, E_ARG,
                    "%s.mult: level %d has %" PRId64 " channels, not a multiple of %" PRId64
                    " groups up to %d",
                    kind, level, ch, c->groups, UNET_CHANNELS_MAX);
    if (attention && (heads < 1 || ch % heads || (c->head_channels && ch % c->head_channels)))
        return fail(err, E_ARG,
                    "%s.heads: %" PRId64 " channels of level %d do not divide into heads", kind, ch,
                    level);
    return OK;
}

enum status unet_check_sizes(const char *kind, const struct unet_config *c, struct error *err)
{
    enum status st;

    if (c->mult.n < 1 || c->mult.n > UNET_LEVELS_MAX)
        return fail(err, E_ARG, "%s.mult: %d levels, not 1 to %d", kind, c->mult.n,
                    UNET_LEVELS_MAX);
    if (c->size % ((int64_t)1 << (c->mult.n - 1)))
        return fail(err, E_ARG, "%s.size: %" PRId64 " cannot be halved %d times", kind, c->size,
                    c->mult.n - 1);
    if (c->width % 2)
        return fail(err, E_ARG, "%s.width: %" PRId64 " is odd", kind, c->width);
    for (int l = 0; l < c->mult.n; l++)
        if ((st = check_level(kind, c, l, err)))
            return st;
    return OK;
}

/* --- blocks -------------------------------------------------------------------------------------
 */

void unet_res_declare(struct unet_res *r, const struct unet_config *c, struct scope s, int64_t in,
                      int64_t out, enum resample resample)
{
    r->resample = resample;
    r->film = c->film;
    r->has_skip = in != out;
    group_norm_init(&r->norm1, scope_in(s, "in_layers.0"), in, c->groups, UNET_EPS);
    conv_init(&r->conv1, scope_in(s, "in_layers.2"), in, out, 3, 1, INIT_KAIMING);
    linear_init(&r->embed, scope_in(s, "emb_layers.1"), 4 * c->width, c->film ? 2 * out : out,
                INIT_KAIMING);
    group_norm_init(&r->norm2, scope_in(s, "out_layers.0"), out, c->groups, UNET_EPS);
    conv_init(&r->conv2, scope_in(s, "out_layers.3"), out, out, 3, 1, INIT_ZERO);
    if (r->has_skip)
        conv_init(&r->skip, scope_in(s, "skip_connection"), in, out, 1, 1, INIT_KAIMING);
}

void unet_pixel_linear(struct linear *l, struct scope s, int64_t in, int64_t out,
                       enum init_kind rule)
{
    struct param *w = params_add(s, "weight", SHAPE(out, in), (struct init){.kind = rule});

    w->file_shape = SHAPE(out, in, 1);
    l->weight = w;
    l->bias = params_add(s, "bias", SHAPE(out), (struct init){.kind = rule, .fan_in = in});
}

void unet_attn_declare(struct unet_attn *a, const struct unet_config *c, struct scope s,
                       int64_t channels)
{
    a->heads = unet_heads(c, channels);
    a->order = c->new_attention_order ? QKV_SPLIT : QKV_PERHEAD;
    group_norm_init(&a->norm, scope_in(s, "norm"), channels, c->groups, UNET_EPS);
    unet_pixel_linear(&a->qkv, scope_in(s, "qkv"), channels, 3 * channels, INIT_KAIMING);
    unet_pixel_linear(&a->proj, scope_in(s, "proj_out"), channels, channels, INIT_ZERO);
}

void unet_resample_declare(struct unet_entry *e, const struct unet_config *c, struct scope s,
                           int place, int64_t channels, enum resample resample)
{
    if (c->residual_resample) {
        e->has_res2 = true;
        unet_res_declare(&e->res2, c, scope_in(s, "%d", place), channels, channels, resample);
        return;
    }
    e->has_conv = true;
    e->resample = resample;
    conv_init(&e->conv, scope_in(s, resample == DOWN ? "%d.op" : "%d.conv", place), channels,
              channels, 3, resample == DOWN ? 2 : 1, INIT_KAIMING);
}

static struct tensor *resampled(struct graph *g, struct tensor *x, enum resample resample)
{
    return resample == DOWN ? op_avgpool2(g, x) : resample == UP ? op_upsample2(g, x) : x;
}

struct tensor *unet_res_forward(struct graph *g, const struct unet_res *r, struct tensor *x,
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

struct tensor *unet_attn_forward(struct graph *g, const struct unet_attn *a, struct tensor *x)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1] * x->shape.dim[2], C = x->shape.dim[3];
    struct tensor *h = nn_group_norm(g, &a->norm, x, NULL, false);

    h = nn_linear(g, &a->qkv, op_reshape(g, h, SHAPE(N, T, C)));
    h = nn_linear(g, &a->proj, op_attention(g, h, a->heads, a->order));
    return op_add(g, x, op_reshape(g, h, x->shape));
}

struct tensor *unet_entry_forward(struct graph *g, const struct unet_entry *e, struct tensor *x,
                                  struct tensor *emb)
{
    struct segment s = segment_open(g);

    if (e->has_res)
        x = unet_res_forward(g, &e->res, x, emb);
    if (e->has_attn)
        x = unet_attn_forward(g, &e->attn, x);
    if (e->has_res2)
        x = unet_res_forward(g, &e->res2, x, emb);
    if (e->has_conv)
        x = nn_conv(g, &e->conv, e->resample == UP ? op_upsample2(g, x) : x);
    segment_close(g, s);
    return x;
}

/* --- time ---------------------------------------------------------------------------------------
 */

void unet_time_declare(struct unet_time *m, const struct unet_config *c, struct scope s)
{
    m->width = c->width;
    linear_init(&m->first, scope_in(s, "time_embed.0"), c->width, 4 * c->width, INIT_KAIMING);
    linear_init(&m->second, scope_in(s, "time_embed.2"), 4 * c->width, 4 * c->width, INIT_KAIMING);
}

struct tensor *unet_time_forward(struct graph *g, const struct network *net,
                                 const struct unet_time *m, struct tensor *t)
{
    struct tensor *f = op_time_features(g, t, m->width), *emb;

    network_show(net, f, "t_freq");
    emb = nn_linear(g, &m->second, nn_linear_act(g, &m->first, f, ACT_SILU));
    network_show(net, emb, "time_embed");
    return emb;
}

/* --- the encoder --------------------------------------------------------------------------------
 */

int unet_encoder_blocks(const struct unet_config *c)
{
    return (int)(c->mult.n * (c->blocks + 1));
}

static void input_blocks_declare(struct unet_encoder *m, const struct unet_config *c,
                                 struct scope s)
{
    int64_t ch = unet_level_channels(c, 0);
    struct unet_entry *e = m->entry;

    e->has_conv = true;
    conv_init(&e->conv, scope_in(s, "input_blocks.0.0"), c->channels, ch, 3, 1, INIT_KAIMING);
    m->skip[m->n++] = ch;
    for (int l = 0; l < c->mult.n; l++) {
        for (int64_t b = 0; b < c->blocks; b++) {
            struct scope here = scope_in(s, "input_blocks.%d", m->n);

            e = &m->entry[m->n];
            e->has_res = true;
            unet_res_declare(&e->res, c, scope_in(here, "0"), ch, unet_level_channels(c, l), SAME);
            ch = unet_level_channels(c, l);
            e->has_attn = unet_attends(c, (int64_t)1 << l);
            if (e->has_attn)
                unet_attn_declare(&e->attn, c, scope_in(here, "1"), ch);
            m->skip[m->n++] = ch;
        }
        if (l == c->mult.n - 1)
            break;
        unet_resample_declare(&m->entry[m->n], c, scope_in(s, "input_blocks.%d", m->n), 0, ch,
                              DOWN);
        m->skip[m->n++] = ch;
    }
}

void unet_encoder_declare(struct unet_encoder *m, struct unet_entry *entry,
                          const struct unet_config *c, struct scope s)
{
    int64_t low = unet_level_channels(c, c->mult.n - 1);

    m->entry = entry;
    input_blocks_declare(m, c, s);
    unet_res_declare(&m->middle1, c, scope_in(s, "middle_block.0"), low, low, SAME);
    unet_attn_declare(&m->attn, c, scope_in(s, "middle_block.1"), low);
    unet_res_declare(&m->middle2, c, scope_in(s, "middle_block.2"), low, low, SAME);
}

struct tensor *unet_encoder_forward(struct graph *g, const struct network *net,
                                    const struct unet_encoder *m, struct tensor *x,
                                    struct tensor *emb, struct tensor *skip[])
{
    for (int i = 0; i < m->n; i++) {
        x = unet_entry_forward(g, &m->entry[i], x, emb);
        network_show(net, x, "input_blocks.%d", i);
        if (skip)
            skip[i] = x;
    }
    x = unet_res_forward(g, &m->middle1, x, emb);
    x = unet_attn_forward(g, &m->attn, x);
    x = unet_res_forward(g, &m->middle2, x, emb);
    network_show(net, x, "middle_block");
    return x;
}
