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
 * The blocks and the encoder are those of unet_parts.c; the decoder, which sees the encoder's
 * results, stands here.
 */
#include "model/unet_parts.h"

#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/embedding.h"

#include <stdlib.h>

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
     .lo = 1, .hi = UNET_BLOCKS_MAX},
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

static enum status unet_check(const void *config, struct error *err)
{
    return unet_check_sizes("unet", config, err);
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

struct unet {
    struct unet_time time;
    const struct param *labels;
    struct unet_encoder encoder;
    int n_out;
    struct group_norm norm;
    struct conv last;
    struct unet_entry entry[]; /* the encoder's, then n_out of the decoder */
};

static void decoder_declare(struct unet *m, const struct unet_config *c, struct scope s)
{
    int64_t ch = unet_level_channels(c, c->mult.n - 1);
    int top = m->encoder.n;

    for (int l = c->mult.n - 1; l >= 0; l--)
        for (int64_t b = 0; b <= c->blocks; b++) {
            struct unet_entry *e = &m->entry[m->encoder.n + m->n_out];
            struct scope here = scope_in(s, "output_blocks.%d", m->n_out++);

            e->has_res = true;
            unet_res_declare(&e->res, c, scope_in(here, "0"), ch + m->encoder.skip[--top],
                             unet_level_channels(c, l), SAME);
            ch = unet_level_channels(c, l);
            e->has_attn = unet_attends(c, (int64_t)1 << l);
            if (e->has_attn)
                unet_attn_declare(&e->attn, c, scope_in(here, "1"), ch);
            if (l && b == c->blocks)
                unet_resample_declare(e, c, here, e->has_attn ? 2 : 1, ch, UP);
        }
}

static void *unet_declare(const void *config, struct scope s)
{
    const struct unet_config *c = config;
    size_t n = (size_t)(2 * unet_encoder_blocks(c));
    struct unet *m = calloc(1, sizeof *m + n * sizeof m->entry[0]);
    struct network_io io;

    if (!m)
        return NULL;
    unet_io(c, &io);
    unet_time_declare(&m->time, c, s);
    if (io.n_labels)
        m->labels = params_add(s, "label_emb.weight", SHAPE(io.n_labels, 4 * c->width),
                               (struct init){.kind = INIT_NORMAL, .std = 1});
    unet_encoder_declare(&m->encoder, m->entry, c, s);
    decoder_declare(m, c, s);
    group_norm_init(&m->norm, scope_in(s, "out.0"), unet_level_channels(c, 0), c->groups, UNET_EPS);
    conv_init(&m->last, scope_in(s, "out.2"), unet_level_channels(c, 0), io.out_channels, 3, 1,
              INIT_ZERO);
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

static struct tensor *condition(struct graph *g, const struct network *net, struct network_input in)
{
    const struct unet *m = net->layers;
    struct tensor *emb = unet_time_forward(g, net, &m->time, in.t);

    if (!m->labels)
        return emb;
    MUST(in.y, "a class-conditional network needs labels");
    return op_add(g, emb, op_embedding(g, nn_param(g, m->labels), in.y));
}

static struct tensor *unet_forward(struct graph *g, const struct network *net,
                                   struct network_input in)
{
    const struct unet *m = net->layers;
    struct tensor *emb = op_silu(g, condition(g, net, in));
    struct tensor *skip[UNET_SKIPS_MAX], *x;
    int top = m->encoder.n;

    x = unet_encoder_forward(g, net, &m->encoder, in.x, emb, skip);
    for (int i = 0; i < m->n_out; i++) {
        x = op_concat(g, x, skip[--top]);
        x = unet_entry_forward(g, &m->entry[m->encoder.n + i], x, emb);
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
