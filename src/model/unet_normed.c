/*
 * unet_normed.c - U-Net blocks whose values are held in place by group norms
 *
 * The residual block of Ho et al. 2020: norm, SiLU, convolution, twice, with time and label brought
 * in at the second norm, as a scale and a shift (FiLM) or as an addend.  Three public families are
 * choices of it:
 *
 *     ADM       FiLM, blocks that go down and up, attention among the pixels of coarse levels.
 *               Dhariwal and Nichol 2021.
 *     SD 1      Stable Diffusion: an addend, convolutions that go down and up, and a transformer
 *               that attends to a text, too.  Rombach et al. 2022.
 *     DDPM++    Sums of two branches divided by sqrt 2, so that depth does not make values grow;
 *               a projection beside every change of size; attention inside the block, and only in
 *               a level's last block on the way up.  Song et al. 2021, as in Karras et al. 2022.
 *
 * A block that ends in zeros starts as the identity (ADM); DDPM++ begins 1e-5 away from it.
 */
#include "model/unet_parts.h"

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/embedding.h"

#include <math.h>
#include <stdio.h>

/* How the modules of a block are called in files. */
struct names {
    const char *norm1, *conv1, *embed, *norm2, *conv2, *skip;
    const char *attn_norm, *qkv, *proj;
};
static const struct names adm_names = {
    "in_layers.0",     "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3",
    "skip_connection", "norm",        "qkv",          "proj_out",
};
static const struct names ddpmpp_names = {
    "norm0", "conv0", "affine", "norm1", "conv1", "skip", "norm2", "qkv", "proj",
};

/* --- layers as the style begins them ------------------------------------------------------------
 */

/* Layers that end a branch begin at zero, or almost. */
enum start { AS_USUAL, SMALL };

static bool is_ddpmpp(const struct unet_config *c)
{
    return c->style == UNET_DDPMPP;
}

static const struct names *names_of(const struct unet_config *c)
{
    return is_ddpmpp(c) ? &ddpmpp_names : &adm_names;
}

static void conv3(struct conv *v, const struct unet_config *c, struct scope s, int64_t in,
                  int64_t out, enum start start)
{
    if (is_ddpmpp(c))
        conv_init_xavier(v, s, in, out, 3, start == SMALL ? 1e-5 : 1);
    else
        conv_init(v, s, in, out, 3, 1, start == SMALL ? INIT_ZERO : INIT_KAIMING);
}

static void dense(struct linear *l, const struct unet_config *c, struct scope s, int64_t in,
                  int64_t out)
{
    if (is_ddpmpp(c))
        linear_init_xavier(l, s, in, out, 1);
    else
        linear_init(l, s, in, out, INIT_KAIMING);
}

static void norm(struct group_norm *n, const struct unet_config *c, struct scope s,
                 int64_t channels)
{
    group_norm_init(n, s, channels, unet_groups(c, channels), is_ddpmpp(c) ? 1e-6 : UNET_EPS);
}

/* --- a block ------------------------------------------------------------------------------------
 */

static void res_declare(struct normed_block *b, const struct unet_config *c, struct scope s,
                        int64_t in, int64_t out)
{
    const struct names *names = names_of(c);

    b->film = c->film;
    b->rescale = is_ddpmpp(c) ? sqrt(0.5) : 1;
    b->has_skip = in != out || (is_ddpmpp(c) && b->resample != SAME);
    norm(&b->norm1, c, scope_in(s, "%s", names->norm1), in);
    conv3(&b->conv1, c, scope_in(s, "%s", names->conv1), in, out, AS_USUAL);
    dense(&b->embed, c, scope_in(s, "%s", names->embed), 4 * c->width, c->film ? 2 * out : out);
    norm(&b->norm2, c, scope_in(s, "%s", names->norm2), out);
    conv3(&b->conv2, c, scope_in(s, "%s", names->conv2), out, out, SMALL);
    if (b->has_skip && is_ddpmpp(c))
        conv_init_xavier(&b->skip, scope_in(s, "%s", names->skip), in, out, 1, 1);
    else if (b->has_skip)
        conv_init(&b->skip, scope_in(s, "%s", names->skip), in, out, 1, 1, INIT_KAIMING);
}

static void attn_declare(struct normed_block *b, const struct unet_config *c, struct scope s,
                         int64_t channels)
{
    const struct names *names = names_of(c);
    struct scope qkv = scope_in(s, "%s", names->qkv), proj = scope_in(s, "%s", names->proj);
    const struct init xavier = {.kind = INIT_XAVIER, .gain = sqrt(0.2)};
    const struct init small = {.kind = INIT_XAVIER, .gain = 1e-5};

    b->heads = unet_heads(c, channels);
    norm(&b->attn_norm, c, scope_in(s, "%s", names->attn_norm), channels);
    if (is_ddpmpp(c)) {
        b->order = QKV_PERHEAD;
        linear_init_dealt(&b->qkv, qkv, channels, b->heads, xavier);
        linear_init_pixels(&b->proj, proj, channels, channels, small, 4);
        return;
    }
    b->order = c->new_attention_order ? QKV_SPLIT : QKV_PERHEAD;
    linear_init_pixels(&b->qkv, qkv, channels, 3 * channels, (struct init){.kind = INIT_KAIMING},
                       3);
    linear_init_pixels(&b->proj, proj, channels, channels, (struct init){.kind = INIT_ZERO}, 3);
}

/* A step to another level by a convolution that strides, or that follows repeated pixels. */
static void step_declare(struct normed_block *b, struct scope s, const struct unet_place *p)
{
    bool down = b->resample == DOWN;

    b->is_conv = true;
    conv_init(&b->conv1, scope_in(s, down ? "op" : "conv"), p->in, p->out, 3, down ? 2 : 1,
              INIT_KAIMING);
}

static void transformer_declare(struct unet_entry *e, const struct unet_config *c, struct scope s,
                                const struct unet_place *p)
{
    char name[sizeof e->name + 16];

    snprintf(name, sizeof name, "%s.%d", e->name, p->part + 1);
    spatial_transformer_init(&e->normed.transformer, s, name, p->out, c->context_width,
                             unet_heads(c, p->out), c->groups, (int)c->depth);
}

static void entry_declare(struct unet_entry *e, const struct unet_config *c, struct scope s,
                          const struct unet_place *p)
{
    struct normed_block *b = &e->normed;
    struct scope entry = scope_in(s, "%s", e->name);
    struct scope here = is_ddpmpp(c) ? entry : scope_in(entry, "%d", p->part);
    struct scope next = is_ddpmpp(c) ? entry : scope_in(entry, "%d", p->part + 1);

    if (e->is_first) {
        conv3(&e->first, c, here, p->in, p->out, AS_USUAL);
        return;
    }
    b->resample = unet_place_resample(p);
    b->attends = unet_place_attends(c, p);
    b->reads = b->attends && c->context_width;
    if (b->resample != SAME && !c->residual_resample) {
        step_declare(b, here, p);
        return;
    }
    res_declare(b, c, here, p->in, p->out);
    if (b->reads)
        transformer_declare(e, c, next, p);
    else if (b->attends)
        attn_declare(b, c, next, p->out);
}

/* A sum of two branches. */
static struct tensor *sum(struct graph *g, const struct normed_block *b, struct tensor *x,
                          struct tensor *h)
{
    return b->rescale < 1 ? op_mix(g, x, h, b->rescale, b->rescale) : op_add(g, x, h);
}

/* x [N, H, W, C];  emb [N, E], after SiLU. */
static struct tensor *res_forward(struct graph *g, const struct network *net,
                                  const struct unet_entry *entry, struct tensor *x,
                                  struct tensor *emb, const struct network_input *in)
{
    const struct normed_block *b = &entry->normed;
    struct tensor *h = nn_group_norm(g, &b->norm1, x, NULL, true), *e;

    h = nn_conv(g, &b->conv1, unet_resample(g, h, b->resample));
    e = nn_linear(g, &b->embed, emb);
    h = b->film ? nn_group_norm(g, &b->norm2, h, e, true)
                : nn_group_norm(g, &b->norm2, op_add_vec(g, h, e), NULL, true);
    h = nn_conv(g, &b->conv2, unet_dropout(g, net, entry, in, h));
    x = unet_resample(g, x, b->resample);
    return sum(g, b, b->has_skip ? nn_conv(g, &b->skip, x) : x, h);
}

/* Self-attention over the pixels, added. */
static struct tensor *attn_forward(struct graph *g, const struct unet_entry *e, struct tensor *x,
                                   const struct network_input *in)
{
    const struct normed_block *b = &e->normed;
    int64_t N = x->shape.dim[0], T = x->shape.dim[1] * x->shape.dim[2], C = x->shape.dim[3];
    struct tensor *h = nn_group_norm(g, &b->attn_norm, x, NULL, false);

    h = nn_linear(g, &b->qkv, op_reshape(g, h, SHAPE(N, T, C)));
    h = nn_linear(g, &b->proj, network_attention(g, in, e->attention, h, b->heads, b->order));
    return sum(g, b, x, op_reshape(g, h, x->shape));
}

static struct tensor *entry_forward(struct graph *g, const struct network *net,
                                    const struct unet_entry *e, struct tensor *x,
                                    struct tensor *emb, const struct network_input *in)
{
    const struct normed_block *b = &e->normed;

    if (e->is_first)
        return nn_conv(g, &e->first, x);
    if (b->is_conv)
        return nn_conv(g, &b->conv1, b->resample == UP ? unet_resample(g, x, UP) : x);
    x = res_forward(g, net, e, x, emb, in);
    if (b->reads)
        return nn_spatial_transformer(g, net, &b->transformer, x, in, e->attention);
    return b->attends ? attn_forward(g, e, x, in) : x;
}

static struct tensor *join(struct graph *g, struct tensor *x, struct tensor *skip)
{
    return op_concat(g, x, skip);
}

/* --- time and label -----------------------------------------------------------------------------
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

static void adm_embedding_declare(struct unet_ends *m, const struct unet_config *c, struct scope s)
{
    unet_time_declare(&m->normed.time, c, s);
    if (unet_labels(c) && !c->label_token)
        m->normed.labels = params_add(s, "label_emb.weight", SHAPE(unet_labels(c), 4 * c->width),
                                      (struct init){.kind = INIT_NORMAL, .std = 1});
}

static struct tensor *adm_embedding(struct graph *g, const struct network *net,
                                    const struct unet_ends *m, const struct network_input *in)
{
    struct tensor *emb = unet_time_forward(g, net, &m->normed.time, in->t);

    if (m->normed.labels)
        emb = op_add(g, emb, op_embedding(g, nn_param(g, m->normed.labels), in->y));
    return op_silu(g, emb);
}

static void ddpmpp_embedding_declare(struct unet_ends *m, const struct unet_config *c,
                                     struct scope s)
{
    struct unet_time *time = &m->normed.time;

    time->width = c->width;
    if (unet_labels(c))
        linear_init_xavier(&m->normed.label, scope_in(s, "map_label"), unet_labels(c), c->width, 1);
    linear_init_xavier(&time->first, scope_in(s, "map_layer0"), c->width, 4 * c->width, 1);
    linear_init_xavier(&time->second, scope_in(s, "map_layer1"), 4 * c->width, 4 * c->width, 1);
}

/* A label is one among K and comes with size sqrt K, so that its row has magnitude one. */
static struct tensor *ddpmpp_embedding(struct graph *g, const struct network *net,
                                       const struct unet_ends *m, const struct network_input *in)
{
    int64_t K = unet_labels(net->config);
    struct tensor *emb = op_time_waves(g, in->t, m->normed.time.width), *y;

    network_show(net, emb, "t_freq");
    if (K) {
        y = op_one_hot(g, in->y, K, sqrt((double)K));
        emb = op_add(g, emb, nn_linear(g, &m->normed.label, y));
    }
    emb = nn_linear_act(g, &m->normed.time.first, emb, ACT_SILU);
    return nn_linear_act(g, &m->normed.time.second, emb, ACT_SILU);
}

static void embedding_declare(struct unet_ends *m, const struct unet_config *c, struct scope s)
{
    if (is_ddpmpp(c))
        ddpmpp_embedding_declare(m, c, s);
    else
        adm_embedding_declare(m, c, s);
}

static struct tensor *embedding(struct graph *g, const struct network *net,
                                const struct unet_ends *m, const struct network_input *in)
{
    return is_ddpmpp(net->config) ? ddpmpp_embedding(g, net, m, in) : adm_embedding(g, net, m, in);
}

/* --- after the last block -----------------------------------------------------------------------
 */

static void output_declare(struct unet_ends *m, const struct unet_config *c, struct scope s)
{
    int64_t channels = unet_level_channels(c, 0);
    int side = (int)c->size;
    struct scope at = is_ddpmpp(c) ? scope_in(s, "dec") : scope_in(s, "out");

    norm(&m->normed.norm, c,
         is_ddpmpp(c) ? scope_in(at, "%dx%d_aux_norm", side, side) : scope_in(at, "0"), channels);
    conv3(&m->normed.last, c,
          is_ddpmpp(c) ? scope_in(at, "%dx%d_aux_conv", side, side) : scope_in(at, "2"), channels,
          unet_out_channels(c), SMALL);
}

static struct tensor *output(struct graph *g, const struct unet_ends *m, struct tensor *x)
{
    return nn_conv(g, &m->normed.last, nn_group_norm(g, &m->normed.norm, x, NULL, true));
}

const struct unet_style_ops unet_normed = {
    .declare_embedding = embedding_declare,
    .declare_entry = entry_declare,
    .declare_output = output_declare,
    .embedding = embedding,
    .entry = entry_forward,
    .join = join,
    .output = output,
};
