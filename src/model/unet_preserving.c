/*
 * unet_preserving.c - U-Net blocks that keep magnitudes without norms: EDM2
 *
 * In the blocks of unet_normed.c weights grow all through training, because the norms after them
 * undo it; the step of the optimizer then shrinks relative to them, at a speed of each layer's own.
 * Here no layer may change the size of what passes: rows of weights are used at unit length,
 * whatever is stored, and what is stored is brought back to unit root mean square after every step
 * (params_force_units), so that a step turns a row by an angle that the learning rate alone
 * decides. Sums, concatenations and SiLU divide by what they would add, attention compares
 * directions, and group norms, biases and shifts are gone: a channel of ones beside the picture
 * does for all biases. Karras et al. 2024, "Analyzing and improving the training dynamics of
 * diffusion models", section 2 and figure 21.
 *
 *     encoder          x = pixel_norm(skip(resample(x)))
 *     decoder          x = resample(x)
 *     both             h = res0(silu(x));  h = res1(silu(h (1 + gain embed(emb))))
 *     decoder          x = skip(x)
 *     both             x = sum(x, h, 0.3)
 *     where it attends x = sum(x, proj(attention(q, k, v each pixel-normed)), 0.3)
 *                      clamped to +-256
 *
 * Every gain starts at zero: a new network ignores time and label and gives zero.
 */
#include "model/unet_parts.h"

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "ops/magnitude.h"
#include "ops/norm.h"

#include <math.h>

/* How much of a sum its second term is. */
static const double RES_BALANCE = 0.3, ATTN_BALANCE = 0.3, LABEL_BALANCE = 0.5, CAT_BALANCE = 0.5;
static const double CLIP = 256;

/* --- layers -------------------------------------------------------------------------------------
 */

/* k: 3 for a convolution, 1 for one of a single pixel, 0 for a matrix. */
static struct param *mp_declare(struct mp_layer *l, struct scope s, int64_t in, int64_t out,
                                int64_t k)
{
    const struct init normal = {.kind = INIT_NORMAL, .std = 1};
    struct param *w;

    if (k > 1) {
        w = params_add_conv(s, "weight", SHAPE(out, k, k, in), normal);
    } else {
        w = params_add(s, "weight", SHAPE(out, in), normal);
        w->file_shape = k ? SHAPE(out, in, 1, 1) : w->file_shape;
    }
    w->unit_rows = true;
    l->weight = w;
    l->k = k;
    return w;
}

/* gain: a number that multiplies the weight, or NULL. */
static struct tensor *mp(struct graph *g, const struct mp_layer *l, struct tensor *x,
                         const struct param *gain)
{
    struct tensor *w = op_weight_norm(g, nn_param(g, l->weight), 1);
    int64_t pad = l->k / 2;

    if (gain)
        w = op_scale(g, w, nn_param(g, gain));
    if (l->k > 1)
        return op_conv2d(g, x, w, NULL, (struct conv_geometry){1, pad, pad, pad, pad});
    return op_linear(g, x, w, NULL, ACT_NONE);
}

static const struct param *gain_declare(struct scope s, const char *name)
{
    struct param *p = params_add(s, name, SHAPE(1), (struct init){.kind = INIT_ZERO});

    p->file_shape = (struct shape){0};
    return p;
}

/* --- a block ------------------------------------------------------------------------------------
 */

/* Channels of the vector of time and label: those of the widest level. */
static int64_t embedding_width(const struct unet_config *c)
{
    int64_t most = 0;

    for (int l = 0; l < c->mult.n; l++)
        most = unet_level_channels(c, l) > most ? unet_level_channels(c, l) : most;
    return most;
}

static void entry_declare(struct unet_entry *e, const struct unet_config *c, struct scope s,
                          const struct unet_place *p)
{
    struct mp_block *b = &e->mp;
    struct scope here = scope_in(s, "%s", e->name);

    if (e->is_first) {
        mp_declare(&e->mp_first, here, p->in + 1, p->out, 3);
        return;
    }
    b->resample = unet_place_resample(p);
    b->encodes = p->step == STEP_ENCODER || p->step == STEP_DOWN;
    b->attends = unet_place_attends(c, p);
    b->has_skip = p->in != p->out;
    b->embed_gain = gain_declare(here, "emb_gain");
    mp_declare(&b->res0, scope_in(here, "conv_res0"), b->encodes ? p->out : p->in, p->out, 3);
    mp_declare(&b->embed, scope_in(here, "emb_linear"), embedding_width(c), p->out, 0);
    mp_declare(&b->res1, scope_in(here, "conv_res1"), p->out, p->out, 3);
    if (b->has_skip)
        mp_declare(&b->skip, scope_in(here, "conv_skip"), p->in, p->out, 1);
    if (!b->attends)
        return;
    b->heads = unet_heads(c, p->out);
    param_deal(mp_declare(&b->qkv, scope_in(here, "attn_qkv"), p->out, 3 * p->out, 1), b->heads);
    mp_declare(&b->proj, scope_in(here, "attn_proj"), p->out, p->out, 1);
}

/* The branch that convolves: x [N, H, W, C], emb [N, E]. */
static struct tensor *branch(struct graph *g, const struct network *net, const struct unet_entry *e,
                             struct tensor *x, struct tensor *emb, const struct network_input *in)
{
    const struct mp_block *b = &e->mp;
    struct tensor *h = mp(g, &b->res0, op_mp_silu(g, x), NULL);

    h = op_modulate(g, h, NULL, mp(g, &b->embed, emb, b->embed_gain));
    return mp(g, &b->res1, unet_dropout(g, net, e, in, op_mp_silu(g, h)), NULL);
}

/* Queries, keys and values of each head at unit magnitude: scores are cosines times sqrt d. */
static struct tensor *attend(struct graph *g, const struct unet_entry *e, struct tensor *x,
                             const struct network_input *in)
{
    const struct mp_block *b = &e->mp;
    int64_t N = x->shape.dim[0], T = x->shape.dim[1] * x->shape.dim[2], C = x->shape.dim[3];
    struct tensor *h = mp(g, &b->qkv, op_reshape(g, x, SHAPE(N, T, C)), NULL);

    h = op_pixel_norm(g, op_reshape(g, h, SHAPE(N, T, 3 * b->heads, C / b->heads)));
    h = network_attention(g, in, e->attention, op_reshape(g, h, SHAPE(N, T, 3 * C)), b->heads,
                          QKV_PERHEAD);
    return op_reshape(g, mp(g, &b->proj, h, NULL), x->shape);
}

/* A channel of ones, in the place of all biases. */
static struct tensor *first_forward(struct graph *g, const struct unet_entry *e, struct tensor *x)
{
    struct tensor *ones = op_fill(g, shape_with_last(x->shape, 1), 1);

    return mp(g, &e->mp_first, op_concat(g, x, ones), NULL);
}

static struct tensor *entry_forward(struct graph *g, const struct network *net,
                                    const struct unet_entry *e, struct tensor *x,
                                    struct tensor *emb, const struct network_input *in)
{
    const struct mp_block *b = &e->mp;
    struct tensor *h;

    if (e->is_first)
        return first_forward(g, e, x);
    x = unet_resample(g, x, b->resample);
    if (b->encodes)
        x = op_pixel_norm(g, b->has_skip ? mp(g, &b->skip, x, NULL) : x);
    h = branch(g, net, e, x, emb, in);
    if (!b->encodes && b->has_skip)
        x = mp(g, &b->skip, x, NULL);
    x = op_mp_sum(g, x, h, RES_BALANCE);
    if (b->attends)
        x = op_mp_sum(g, x, attend(g, e, x, in), ATTN_BALANCE);
    return op_clamp(g, x, -CLIP, CLIP);
}

static struct tensor *join(struct graph *g, struct tensor *x, struct tensor *skip)
{
    return op_mp_cat(g, x, skip, CAT_BALANCE);
}

/* --- before and after the blocks ----------------------------------------------------------------
 */

/* Drawn once and never trained; a network is nothing without the very numbers, so files hold them.
 */
static const struct param *drawn(struct scope s, const char *name, int64_t n, struct init rule)
{
    struct param *p = params_add(s, name, SHAPE(n), rule);

    p->trained = false;
    return p;
}

static void embedding_declare(struct unet_ends *m, const struct unet_config *c, struct scope s)
{
    int64_t C = unet_level_channels(c, 0), E = embedding_width(c);
    struct scope fourier = scope_in(s, "emb_fourier");

    m->mp.out_gain = gain_declare(s, "out_gain");
    m->mp.frequencies =
        drawn(fourier, "freqs", C, (struct init){.kind = INIT_NORMAL, .std = 2 * M_PI});
    m->mp.phases = drawn(fourier, "phases", C, (struct init){.kind = INIT_UNIFORM, .std = M_PI});
    mp_declare(&m->mp.noise, scope_in(s, "emb_noise"), C, E, 0);
    if (unet_labels(c))
        mp_declare(&m->mp.label, scope_in(s, "emb_label"), unet_labels(c), E, 0);
}

/* A label is one among K and comes with size sqrt K: its column of the weight at unit magnitude. */
static struct tensor *embedding(struct graph *g, const struct network *net,
                                const struct unet_ends *m, const struct network_input *in)
{
    int64_t K = unet_labels(net->config);
    struct tensor *emb =
        op_fourier_features(g, in->t, nn_param(g, m->mp.frequencies), nn_param(g, m->mp.phases));

    network_show(net, emb, "t_freq");
    emb = mp(g, &m->mp.noise, emb, NULL);
    if (K) {
        struct tensor *y = op_one_hot(g, in->y, K, sqrt((double)K));

        emb = op_mp_sum(g, emb, mp(g, &m->mp.label, y, NULL), LABEL_BALANCE);
    }
    return op_mp_silu(g, emb);
}

static void output_declare(struct unet_ends *m, const struct unet_config *c, struct scope s)
{
    mp_declare(&m->mp.last, scope_in(s, "out_conv"), unet_level_channels(c, 0),
               unet_out_channels(c), 3);
}

static struct tensor *output(struct graph *g, const struct unet_ends *m, struct tensor *x)
{
    return mp(g, &m->mp.last, x, m->mp.out_gain);
}

const struct unet_style_ops unet_preserving = {
    .declare_embedding = embedding_declare,
    .declare_entry = entry_declare,
    .declare_output = output_declare,
    .embedding = embedding,
    .entry = entry_forward,
    .join = join,
    .output = output,
};
