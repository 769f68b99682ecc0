/*
 * unet.c - the convolutional U-Nets
 *
 * An encoder halves the resolution level by level, a decoder mirrors it, and each decoder block
 * also sees what the encoder made at the same resolution.  Time and label enter every block.  On
 * small pictures a U-Net learns several times faster than a transformer, because neighbourhoods
 * need not be discovered.  Ho et al. 2020, "Denoising diffusion probabilistic models".
 *
 *     level 0   first, R blocks ----------------> join: R+1 blocks, last
 *                   down |                            ^ up
 *     level 1        R blocks ------------------> join: R+1 blocks
 *                   down |                            ^ up
 *      ...              ...         two blocks       ...
 *
 * Four published families are configurations of this one: ADM, Stable Diffusion 1 (which attends to
 * a text), DDPM++ as EDM has it, and EDM2.  The blocks and the encoder are those of unet_parts.c;
 * the decoder, which sees the encoder's results, stands here.
 *
 * A label can be a text of one learned word (label_token): then the form that attends to a sequence
 * is trained on labels alone, as the class-conditional models of Rombach et al. 2022 were.
 */
#include "model/unet_parts.h"

#include "ops/basic.h"
#include "ops/embedding.h"

#include <stdlib.h>

static const char *const styles[] = {"adm", "ddpmpp", "edm2", NULL};

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
    {"style", "blocks of ADM and Stable Diffusion, of DDPM++, or of EDM2", OPTION_CHOICE,
     offsetof(struct unet_config, style), "adm", .choices = styles},
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
    {"context_width", "attend to a sequence of tokens of so many features, too; 0: no (adm)",
     OPTION_INT, offsetof(struct unet_config, context_width), "0", .lo = 0,
     .hi = UNET_CHANNELS_MAX},
    {"depth", "transformer blocks wherever a sequence is attended to", OPTION_INT,
     offsetof(struct unet_config, depth), "1", .lo = 1, .hi = SPATIAL_DEPTH},
    {"label_token", "the label is the sequence: one learned token", OPTION_BOOL,
     offsetof(struct unet_config, label_token), .fallback = "false"},
    {"groups", "most groups of the norms (adm, ddpmpp)", OPTION_INT,
     offsetof(struct unet_config, groups), "32", .lo = 1, .hi = 1024},
    {"dropout", "share of a block's inside that is left out, in training alone", OPTION_REAL,
     offsetof(struct unet_config, dropout), "0", .lo = 0, .hi = 0.9},
    {"film", "time and label scale and shift each block (adm, ddpmpp)", OPTION_BOOL,
     offsetof(struct unet_config, film), .fallback = "true"},
    {"residual_resample", "residual blocks go down and up (adm: or a convolution)", OPTION_BOOL,
     offsetof(struct unet_config, residual_resample), .fallback = "true"},
    {"new_attention_order", "packed q, k, v over all heads (adm)", OPTION_BOOL,
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
        .out_channels = unet_out_channels(c),
        .n_classes = c->classes,
        .n_labels = unet_labels(c),
        .null_label = c->classes && c->null_class ? (int32_t)c->classes : -1,
        .context_width = c->label_token ? 0 : c->context_width,
        .n_attention = unet_attention_count(c),
        .middle = unet_attention_before_middle(c),
        .n_middle = 1,
    };
}

/* --- declaration --------------------------------------------------------------------------------
 */

struct unet {
    struct unet_ends ends;
    const struct param *tokens; /* of label_token, or NULL */
    struct unet_encoder encoder;
    int n_out;
    struct unet_entry entry[]; /* the encoder's, then n_out of the decoder */
};

static int decoder_steps(const struct unet_config *c)
{
    return (int)(c->mult.n * (c->blocks + 2)) - 1;
}

static void add(struct unet *m, const struct unet_config *c, struct scope s, struct unet_place p)
{
    struct unet_entry *e = &m->entry[m->encoder.n + m->n_out];

    e->order = m->encoder.n + 2 + m->n_out++; /* two are of the middle */
    unet_entry_declare(e, c, s, &p);
}

static void decoder_declare(struct unet *m, const struct unet_config *c, struct scope s)
{
    int64_t ch = unet_level_channels(c, c->mult.n - 1), skip, out;
    int top = m->encoder.n, number = -1;

    for (int l = c->mult.n - 1; l >= 0; l--) {
        /* In ADM's files the step up is a module of the entry before it, after an attention. */
        if (l < c->mult.n - 1)
            add(m, c, s,
                (struct unet_place){.step = STEP_UP,
                                    .level = l,
                                    .number = number,
                                    .part = unet_attends(c, (int64_t)2 << l) ? 2 : 1,
                                    .in = ch,
                                    .out = ch});
        for (int b = 0; b <= c->blocks; b++) {
            skip = m->encoder.skip[--top];
            out = unet_level_channels(c, l);
            add(m, c, s, (struct unet_place){STEP_DECODER, l, b, ++number, 0, ch + skip, out});
            ch = out;
        }
    }
}

static void *unet_declare(const void *config, struct scope s)
{
    const struct unet_config *c = config;
    const struct unet_style_ops *style = unet_style_of(c);
    size_t n = (size_t)(unet_encoder_blocks(c) + decoder_steps(c));
    struct unet *m = calloc(1, sizeof *m + n * sizeof m->entry[0]);

    if (!m)
        return NULL;
    style->declare_embedding(&m->ends, c, s);
    if (c->label_token)
        m->tokens = params_add(s, "label_token.weight", SHAPE(unet_labels(c), c->context_width),
                               (struct init){.kind = INIT_NORMAL, .std = 1});
    unet_encoder_declare(&m->encoder, m->entry, c, s);
    decoder_declare(m, c, s);
    style->declare_output(&m->ends, c, s);
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

/* [N, D] -> a sequence of one token for each sample. */
static struct tensor *label_sequence(struct graph *g, const struct unet *m, struct tensor *y)
{
    struct tensor *token = op_embedding(g, nn_param(g, m->tokens), y);

    return op_reshape(g, token, SHAPE(token->shape.dim[0], 1, shape_last(token->shape)));
}

static struct tensor *unet_forward(struct graph *g, const struct network *net,
                                   struct network_input in)
{
    const struct unet_config *c = net->config;
    const struct unet *m = net->layers;
    const struct unet_style_ops *style = m->encoder.style;
    struct tensor *skip[UNET_SKIPS_MAX], *x, *emb;
    int top = m->encoder.n;

    MUST(in.y || !net->io.n_labels, "a network with labels needs them");
    if (m->tokens)
        in.context = label_sequence(g, m, in.y);
    MUST(in.context || !c->context_width, "a network that reads a sequence needs one");
    emb = style->embedding(g, net, &m->ends, &in);
    x = unet_encoder_forward(g, net, &m->encoder, &in, emb, skip);
    for (int i = 0; i < m->n_out; i++) {
        const struct unet_entry *e = &m->entry[m->encoder.n + i];

        if (e->joins)
            x = style->join(g, x, skip[--top]);
        x = unet_entry_forward(g, net, style, e, x, emb, &in);
    }
    return style->output(g, &m->ends, x);
}

const struct network_kind network_unet = {
    .name = "unet",
    .summary = "convolutional U-Net: ADM, Stable Diffusion 1, DDPM++ or EDM2",
    .paper = "Dhariwal and Nichol 2021",
    .options = options,
    .config_bytes = sizeof(struct unet_config),
    .check = unet_check,
    .declare = unet_declare,
    .io = unet_io,
    .forward = unet_forward,
};
