/*
 * spatial_transformer.c - pixels that attend to each other and to a sequence
 *
 * Where a U-Net attends, a text can enter: the pixels of a level are taken as tokens and go through
 * transformer blocks, each of them attention among the pixels, attention from the pixels to the
 * text, and a gated feed-forward.  A label could be added to the time instead, but a text is a
 * sequence of any length whose words concern different places.  Rombach et al. 2022,
 * "High-resolution image synthesis with latent diffusion models", appendix E.2.1; the gate is
 * GEGLU, Shazeer 2020.
 *
 *     y = in(GN(x))                       pixels as tokens
 *     y = y + self(LN(y))
 *     y = y + cross(LN(y), sequence)      depth times these three
 *     y = y + down(geglu(up(LN(y))))
 *     x + out(y)                          out starts at zero: the block begins as the identity
 *
 * Attention to oneself is attention to a sequence that is oneself, so both are one function.  The
 * group norm's epsilon is 1e-6 here and 1e-5 in the residual blocks, as in the public weights.
 */
#include "model/spatial_transformer.h"

#include "ops/activation.h"
#include "ops/basic.h"

#include <stdio.h>

static const double GROUP_EPS = 1e-6, LAYER_EPS = 1e-5;

/* --- declaration --------------------------------------------------------------------------------
 */

static void attention_init(struct spatial_attention *a, struct scope s, int64_t channels,
                           int64_t from)
{
    linear_init_plain(&a->q, scope_in(s, "to_q"), channels, channels, INIT_KAIMING);
    linear_init_plain(&a->k, scope_in(s, "to_k"), from, channels, INIT_KAIMING);
    linear_init_plain(&a->v, scope_in(s, "to_v"), from, channels, INIT_KAIMING);
    linear_init(&a->out, scope_in(s, "to_out.0"), channels, channels, INIT_KAIMING);
}

static void block_init(struct spatial_block *b, struct scope s, int64_t C, int64_t context)
{
    attention_init(&b->self, scope_in(s, "attn1"), C, C);
    linear_init(&b->up, scope_in(s, "ff.net.0.proj"), C, 8 * C, INIT_KAIMING);
    linear_init(&b->down, scope_in(s, "ff.net.2"), 4 * C, C, INIT_KAIMING);
    attention_init(&b->cross, scope_in(s, "attn2"), C, context);
    layer_norm_init(&b->norm1, scope_in(s, "norm1"), C, LAYER_EPS);
    layer_norm_init(&b->norm2, scope_in(s, "norm2"), C, LAYER_EPS);
    layer_norm_init(&b->norm3, scope_in(s, "norm3"), C, LAYER_EPS);
}

void spatial_transformer_init(struct spatial_transformer *t, struct scope s, const char *name,
                              int64_t channels, int64_t context, int64_t heads, int64_t groups,
                              int depth)
{
    MUST(depth > 0 && depth <= SPATIAL_DEPTH && heads > 0 && channels % heads == 0,
         "a transformer of %d blocks and %d heads over %d channels", depth, (int)heads,
         (int)channels);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->heads = heads;
    t->depth = depth;
    group_norm_init(&t->norm, scope_in(s, "norm"), channels, groups, GROUP_EPS);
    linear_init_pixels(&t->in, scope_in(s, "proj_in"), channels, channels,
                       (struct init){.kind = INIT_KAIMING}, 4);
    for (int i = 0; i < depth; i++)
        block_init(&t->block[i], scope_in(s, "transformer_blocks.%d", i), channels, context);
    linear_init_pixels(&t->out, scope_in(s, "proj_out"), channels, channels,
                       (struct init){.kind = INIT_ZERO}, 4);
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* Every token keeps its own value. */
static struct tensor *keep(struct graph *g, const struct spatial_attention *a, struct tensor *x)
{
    return nn_linear(g, &a->out, nn_linear(g, &a->v, x));
}

/* The tokens of x ask those of `from`. */
static struct tensor *attend(struct graph *g, const struct spatial_attention *a, struct tensor *x,
                             struct tensor *from, struct tensor *mask, int64_t heads)
{
    struct tensor *q = nn_linear(g, &a->q, x);
    struct tensor *k = nn_linear(g, &a->k, from);
    struct tensor *v = nn_linear(g, &a->v, from);

    return nn_linear(g, &a->out, op_attention_cross(g, q, op_concat(g, k, v), mask, heads));
}

static struct tensor *block_forward(struct graph *g, const struct network *net,
                                    const struct spatial_transformer *t, int i, struct tensor *y,
                                    const struct network_input *in, int layer)
{
    const struct spatial_block *b = &t->block[i];
    struct tensor *h = nn_layer_norm(g, &b->norm1, y);

    h = network_keeps_values(in, layer) ? keep(g, &b->self, h)
                                        : attend(g, &b->self, h, h, NULL, t->heads);
    network_show(net, h, "%s.transformer_blocks.%d.attn1", t->name, i);
    y = op_add(g, y, h);

    h = attend(g, &b->cross, nn_layer_norm(g, &b->norm2, y), in->context, in->context_mask,
               t->heads);
    network_show(net, h, "%s.transformer_blocks.%d.attn2", t->name, i);
    y = op_add(g, y, h);

    h = nn_linear(g, &b->up, nn_layer_norm(g, &b->norm3, y));
    h = nn_linear(g, &b->down, op_geglu(g, h));
    network_show(net, h, "%s.transformer_blocks.%d.ff", t->name, i);
    y = op_add(g, y, h);
    network_show(net, y, "%s.transformer_blocks.%d", t->name, i);
    return y;
}

struct tensor *nn_spatial_transformer(struct graph *g, const struct network *net,
                                      const struct spatial_transformer *t, struct tensor *x,
                                      const struct network_input *in, int layer)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1] * x->shape.dim[2], C = x->shape.dim[3];
    struct tensor *y = nn_group_norm(g, &t->norm, x, NULL, false);

    y = nn_linear(g, &t->in, op_reshape(g, y, SHAPE(N, T, C)));
    for (int i = 0; i < t->depth; i++)
        y = block_forward(g, net, t, i, y, in, layer);
    y = op_add(g, x, op_reshape(g, nn_linear(g, &t->out, y), x->shape));
    network_show(net, y, "%s", t->name);
    return y;
}
