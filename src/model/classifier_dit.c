/*
 * classifier_dit.c - a classifier of noisy pictures from transformer blocks
 *
 * The blocks of the diffusion transformer (dit_parts.c), conditioned by time alone, and a last
 * layer that turns each token into logits, whose mean is the answer: every patch casts a vote.
 * Since the last layer is linear, that is the same as pooling the tokens first (Zhai et al. 2022,
 * "Scaling vision transformers", find the mean as good as a class token).
 *
 * As in the generator, gates and the last layer start at zero, so that training begins at a loss
 * of log(classes) whatever the seed.
 */
#include "model/dit_parts.h"

#include "ops/activation.h"
#include "ops/basic.h"

#include <stdlib.h>

struct classifier_dit_config {
    int64_t size, channels; /* pictures [size, size, channels] */
    int64_t classes;
    int64_t patch, width, depth, heads;
    double mlp_ratio;
};

static const struct option options[] = {
    {"size", "height and width of the pictures", OPTION_INT,
     offsetof(struct classifier_dit_config, size), "32", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT,
     offsetof(struct classifier_dit_config, channels), "3", .lo = 1, .hi = 256},
    {"classes", "classes to tell apart", OPTION_INT,
     offsetof(struct classifier_dit_config, classes), "10", .lo = 1, .hi = 1000000},
    {"patch", "side of a patch in pixels", OPTION_INT,
     offsetof(struct classifier_dit_config, patch), "4", .lo = 1, .hi = 256},
    {"width", "features of a token, a multiple of 4", OPTION_INT,
     offsetof(struct classifier_dit_config, width), "128", .lo = 4, .hi = DIT_WIDTH_MAX},
    {"depth", "blocks", OPTION_INT, offsetof(struct classifier_dit_config, depth), "4", .lo = 1,
     .hi = 256},
    {"heads", "attention heads", OPTION_INT, offsetof(struct classifier_dit_config, heads), "4",
     .lo = 1, .hi = 1024},
    {"mlp_ratio", "width of the feed-forward part over the width", OPTION_REAL,
     offsetof(struct classifier_dit_config, mlp_ratio), "4", .lo = 0.25, .hi = 16},
    {0},
};

static struct dit_geometry geometry_of(const struct classifier_dit_config *c)
{
    return (struct dit_geometry){.size = c->size,
                                 .channels = c->channels,
                                 .patch = c->patch,
                                 .width = c->width,
                                 .heads = c->heads};
}

static enum status classifier_dit_check(const void *config, struct error *err)
{
    struct dit_geometry d = geometry_of(config);

    return dit_check_geometry("classifier_dit", &d, err);
}

static void classifier_dit_io(const void *config, struct network_io *io)
{
    const struct classifier_dit_config *c = config;

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

struct classifier_dit {
    int64_t depth;
    struct dit_embedders embed;
    struct dit_final last; /* to logits of each token */
    struct dit_block block[];
};

static void *classifier_dit_declare(const void *config, struct scope s)
{
    const struct classifier_dit_config *c = config;
    struct classifier_dit *m = calloc(1, sizeof *m + (size_t)c->depth * sizeof m->block[0]);
    struct dit_geometry geometry = geometry_of(c), token = geometry;
    struct dit_block_form form = {.hidden = (int64_t)((double)c->width * c->mlp_ratio)};

    if (!m)
        return NULL;
    m->depth = c->depth;
    dit_embedders_declare(&m->embed, &geometry, s);
    for (int64_t i = 0; i < c->depth; i++)
        dit_block_declare(&m->block[i], &geometry, &form, scope_in(s, "blocks.%d", (int)i));
    token.patch = 1;
    dit_final_declare(&m->last, &token, false, c->classes, scope_in(s, "final_layer"));
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

static struct tensor *classifier_dit_forward(struct graph *g, const struct network *net,
                                             struct network_input in)
{
    const struct classifier_dit *m = net->layers;
    const struct dit_rotary none = {NULL, NULL};
    struct tensor *x = dit_tokens(g, net, &m->embed, in.x);
    struct tensor *c = op_silu(g, dit_time(g, net, &m->embed, in.t));

    for (int i = 0; i < m->depth; i++) {
        struct segment s = segment_open(g);

        x = dit_block_forward(g, net, &in, i, &m->block[i], &none, x, c);
        segment_close(g, s);
        network_show(net, x, "blocks.%d", i);
    }
    x = dit_final_forward(g, &m->last, x, c);
    x = op_affine(g, op_sum_inner(g, x), 1 / (double)x->shape.dim[1], 0);
    network_show(net, x, "out");
    return x;
}

const struct network_kind network_classifier_dit = {
    .name = "classifier_dit",
    .summary = "classifier of noisy pictures: a small transformer whose patches vote",
    .paper = "Peebles and Xie 2023; Zhai et al. 2022",
    .options = options,
    .config_bytes = sizeof(struct classifier_dit_config),
    .check = classifier_dit_check,
    .declare = classifier_dit_declare,
    .io = classifier_dit_io,
    .forward = classifier_dit_forward,
};
