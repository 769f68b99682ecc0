/*
 * classifier.c - a classifier of noisy pictures
 *
 * Guidance by a classifier needs d log p(y | x_t) / d x_t at every noise level, and a classifier
 * that has only seen clean pictures says nothing there: so it is shown the same noisy points as the
 * generator, and told the time.  It is the encoder and the middle of the generator's U-Net, and
 * then a head that turns the last pixels into one vector: attention pooling, in which the mean of
 * all pixels asks them what matters (Dhariwal and Nichol 2021, section 4; Radford et al. 2021 for
 * the pooling).
 *
 *     x [N,H,W,C] -> encoder(t) -> middle -> norm -> tokens = [mean | pixels] + positions
 *                 -> attention -> the mean's token -> linear -> logits [N, classes]
 *
 * The pooled attention packs q, k and v over all heads, also where the spatial attention packs them
 * head by head: so do the public files.
 */
#include "model/unet_parts.h"

#include "ops/activation.h"
#include "ops/basic.h"

#include <math.h>
#include <stdlib.h>

static const struct option options[] = {
    {"size", "height and width of the pictures", OPTION_INT, offsetof(struct unet_config, size),
     "32", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct unet_config, channels),
     "3", .lo = 1, .hi = 256},
    {"classes", "classes to tell apart", OPTION_INT, offsetof(struct unet_config, classes), "10",
     .lo = 1, .hi = 1000000},
    {"width", "channels of the first level", OPTION_INT, offsetof(struct unet_config, width), "64",
     .lo = 1, .hi = 4096},
    {"mult", "channels of each level over the width", OPTION_REALS,
     offsetof(struct unet_config, mult), "1,2,2", .lo = 0.125, .hi = 16},
    {"blocks", "residual blocks a level", OPTION_INT, offsetof(struct unet_config, blocks), "2",
     .lo = 1, .hi = UNET_BLOCKS_MAX},
    {"attention", "reductions (1, 2, 4, ...) at which to attend", OPTION_INTS,
     offsetof(struct unet_config, attention), "4", .lo = 1, .hi = 128},
    {"heads", "attention heads, when head_channels is 0", OPTION_INT,
     offsetof(struct unet_config, heads), "1", .lo = 1, .hi = 1024},
    {"head_channels", "channels of a head; 0: by heads", OPTION_INT,
     offsetof(struct unet_config, head_channels), "0", .lo = 0, .hi = 1024},
    {"groups", "groups of the norms", OPTION_INT, offsetof(struct unet_config, groups), "32",
     .lo = 1, .hi = 1024},
    {"film", "time scales and shifts each block", OPTION_BOOL, offsetof(struct unet_config, film),
     .fallback = "true"},
    {"residual_resample", "residual blocks go down", OPTION_BOOL,
     offsetof(struct unet_config, residual_resample), .fallback = "true"},
    {"new_attention_order", "packed q, k, v over all heads", OPTION_BOOL,
     offsetof(struct unet_config, new_attention_order), .fallback = "true"},
    {0},
};

static enum status classifier_check(const void *config, struct error *err)
{
    return unet_check_sizes("classifier", config, err);
}

static void classifier_io(const void *config, struct network_io *io)
{
    const struct unet_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .n_classes = c->classes,
        .null_label = -1,
        .classifies = true,
    };
}

/* --- declaration --------------------------------------------------------------------------------
 */

struct classifier {
    struct unet_time time;
    struct unet_encoder encoder;
    struct group_norm norm;
    const struct param *positions; /* [1, 1 + pixels, C], in files [C, 1 + pixels] */
    struct linear qkv, last;
    int64_t heads;
    struct unet_entry entry[];
};

static void head_declare(struct classifier *m, const struct unet_config *c, struct scope s)
{
    int64_t C = unet_level_channels(c, c->mult.n - 1), side = c->size >> (c->mult.n - 1);
    const struct init usual = {.kind = INIT_KAIMING};
    struct scope pool = scope_in(s, "2");

    m->positions = params_add_stored(
        pool, "positional_embedding", SHAPE(1, side * side + 1, C), SHAPE(C, side * side + 1),
        (const int[]){1, 0}, (struct init){.kind = INIT_NORMAL, .std = 1 / sqrt((double)C)});
    m->heads = unet_heads(c, C);
    group_norm_init(&m->norm, scope_in(s, "0"), C, c->groups, UNET_EPS);
    linear_init_pixels(&m->qkv, scope_in(pool, "qkv_proj"), C, 3 * C, usual, 3);
    linear_init_pixels(&m->last, scope_in(pool, "c_proj"), C, c->classes, usual, 3);
}

static void *classifier_declare(const void *config, struct scope s)
{
    const struct unet_config *c = config;
    struct classifier *m =
        calloc(1, sizeof *m + (size_t)unet_encoder_blocks(c) * sizeof m->entry[0]);

    if (!m)
        return NULL;
    unet_time_declare(&m->time, c, s);
    unet_encoder_declare(&m->encoder, m->entry, c, s);
    head_declare(m, c, scope_in(s, "out"));
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* [N, H, W, C] -> [N, 1 + H W, C]: the mean of the pixels, then the pixels. */
static struct tensor *mean_and_pixels(struct graph *g, struct tensor *x)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1] * x->shape.dim[2], C = shape_last(x->shape);
    struct tensor *mean = op_affine(g, op_sum_inner(g, x), 1 / (double)T, 0);

    x = op_concat(g, mean, op_reshape(g, x, SHAPE(N, T * C)));
    return op_reshape(g, x, SHAPE(N, 1 + T, C));
}

/* [N, T, C] -> [N, C]: token 0. */
static struct tensor *first_token(struct graph *g, struct tensor *x)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1], C = shape_last(x->shape);

    return op_slice(g, op_reshape(g, x, SHAPE(N, T * C)), 0, C);
}

static struct tensor *head_forward(struct graph *g, const struct classifier *m, struct tensor *x)
{
    x = mean_and_pixels(g, nn_group_norm(g, &m->norm, x, NULL, true));
    x = nn_linear(g, &m->qkv, op_add_vec(g, x, nn_param(g, m->positions)));
    x = op_attention(g, x, m->heads, QKV_SPLIT);
    return nn_linear(g, &m->last, first_token(g, x));
}

static struct tensor *classifier_forward(struct graph *g, const struct network *net,
                                         struct network_input in)
{
    const struct classifier *m = net->layers;
    struct tensor *emb = op_silu(g, unet_time_forward(g, net, &m->time, in.t)), *x;

    x = unet_encoder_forward(g, net, &m->encoder, &in, emb, NULL);
    x = head_forward(g, m, x);
    network_show(net, x, "out");
    return x;
}

const struct network_kind network_classifier = {
    .name = "classifier",
    .summary = "classifier of noisy pictures: half a U-Net and attention pooling",
    .paper = "Dhariwal and Nichol 2021",
    .options = options,
    .config_bytes = sizeof(struct unet_config),
    .check = classifier_check,
    .declare = classifier_declare,
    .io = classifier_io,
    .forward = classifier_forward,
};
