/*
 * vae.c - the convolutional autoencoders of latent diffusion
 *
 * An encoder halves the picture level by level and ends in a few channels, a decoder mirrors it.
 * Unlike a U-Net nothing goes around the middle: what the decoder has not got from the latent it
 * must know.  The decoder has one block more a level, since making detail is harder than leaving it
 * out.  Rombach et al. 2022, appendix E.1; architectures.md 3.1; sd3.md 7.
 *
 *     picture                                                             picture
 *       | conv_in                                                  conv_out ^
 *     level 0     R blocks                             R+1 blocks      level 0
 *       | down: right and bottom padded          nearest x 2, conv ^ up
 *     level 1     R blocks                             R+1 blocks      level 1
 *       ...                                                            ...
 *     middle: block, attention, block            block, attention, block
 *       | conv_out                                                  conv_in ^
 *     moments --- quant_conv ---> latent --- post_quant_conv ---------------|
 *
 * Stable Diffusion 1 and 2 (4 channels, 1 x 1 convolutions around the latent), 3 (16 channels,
 * none) and the models with a codebook (VQ: van den Oord et al. 2017) are configurations of it.
 * With a codebook the encoder gives the vector itself and the decoder begins by replacing it with
 * the nearest code, so that a generator may leave the codebook a little.
 *
 * The residual block is the U-Net's without time, and the attention one head over all pixels.  All
 * but the group norms and the middle's attention looks at neighbours only, so any size will do.
 */
#include "model/vae.h"

#include "nn/layers.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/resample.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEVELS_MAX = 8, BLOCKS_MAX = 16, CHANNELS_MAX = 65536 };
static const double NORM_EPS = 1e-6;

static const struct option options[] = {
    {"size", "height and width of the pictures it is trained on", OPTION_INT,
     offsetof(struct vae_config, size), "256", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct vae_config, channels), "3",
     .lo = 1, .hi = 256},
    {"latent_channels", "channels of the latents", OPTION_INT,
     offsetof(struct vae_config, latent_channels), "4", .lo = 1, .hi = 1024},
    {"inner_channels", "what the 1 x 1 convolutions make them of; 0: as many", OPTION_INT,
     offsetof(struct vae_config, inner_channels), "0", .lo = 0, .hi = 1024},
    {"width", "channels of the first level", OPTION_INT, offsetof(struct vae_config, width), "128",
     .lo = 1, .hi = 4096},
    {"mult", "channels of each level over the width", OPTION_REALS,
     offsetof(struct vae_config, mult), "1,2,4,4", .lo = 1e-4, .hi = 4096},
    {"blocks", "residual blocks a level; the decoder has one more", OPTION_INT,
     offsetof(struct vae_config, blocks), "2", .lo = 1, .hi = BLOCKS_MAX},
    {"attention", "reductions (1, 2, 4, ...) at which to attend", OPTION_INTS,
     offsetof(struct vae_config, attention), .lo = 1, .hi = 128},
    {"middle_attention", "attend in the middle", OPTION_BOOL,
     offsetof(struct vae_config, middle_attention), .fallback = "true"},
    {"groups", "groups of the norms", OPTION_INT, offsetof(struct vae_config, groups), "32",
     .lo = 1, .hi = 1024},
    {"quant_conv", "a 1 x 1 convolution behind the encoder", OPTION_BOOL,
     offsetof(struct vae_config, quant_conv), .fallback = "false"},
    {"post_quant_conv", "a 1 x 1 convolution before the decoder", OPTION_BOOL,
     offsetof(struct vae_config, post_quant_conv), .fallback = "false"},
    {"codes", "vectors of a codebook of latents; 0: Gaussian latents", OPTION_INT,
     offsetof(struct vae_config, codes), "0", .lo = 0, .hi = 1 << 20},
    {"beta", "how much the codebook's loss binds the encoder", OPTION_REAL,
     offsetof(struct vae_config, beta), "0.25", .lo = 0, .hi = 100},
    {"halves", "which half there is", OPTION_CHOICE, offsetof(struct vae_config, halves), "both",
     .choices = autoencoder_halves_names},
    {"scale", "of the latents a generator sees, (z - shift) scale; or one number a channel",
     OPTION_REALS, offsetof(struct vae_config, scale), "1", .lo = 1e-6, .hi = 1e6},
    {"shift", "of the same", OPTION_REALS, offsetof(struct vae_config, shift), "0", .lo = -1e6,
     .hi = 1e6},
    {"preview",
     "a linear decoder: each latent channel's weight in each picture channel, and offsets",
     OPTION_REALS, offsetof(struct vae_config, preview), .lo = -1e6, .hi = 1e6},
    {0},
};

/* --- sizes --------------------------------------------------------------------------------------
 */

static int64_t level_channels(const struct vae_config *c, int level)
{
    return llround((double)c->width * c->mult.at[level]);
}

static bool attends(const struct vae_config *c, int level)
{
    for (int i = 0; i < c->attention.n; i++)
        if (c->attention.at[i] == (int64_t)1 << level)
            return true;
    return false;
}

static int64_t inner_channels(const struct vae_config *c)
{
    return c->inner_channels ? c->inner_channels : c->latent_channels;
}

/* Channels of the code for each of the latent. */
static int64_t moments(const struct vae_config *c)
{
    return c->codes ? 1 : 2;
}

static bool has_encoder(const struct vae_config *c)
{
    return c->halves != HALVES_DECODER;
}

static bool has_decoder(const struct vae_config *c)
{
    return c->halves != HALVES_ENCODER;
}

/* Asked before the configuration is checked, too. */
static int64_t factor(const struct vae_config *c)
{
    return c->mult.n > 0 && c->mult.n <= LEVELS_MAX ? (int64_t)1 << (c->mult.n - 1) : 1;
}

static void vae_io(const void *config, struct network_io *io)
{
    const struct vae_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .out_channels = c->channels,
        .null_label = -1,
        .clean = true,
        .factor = factor(c),
        .latent_channels = c->latent_channels,
        .gaussian = !c->codes,
        .codes = c->codes,
        .has_encoder = has_encoder(c),
        .has_decoder = has_decoder(c),
        .scale = &c->scale,
        .shift = &c->shift,
        .preview = &c->preview,
    };
}

/* Norms see the channels of a level, those of the level before, and at the start the width. */
static enum status check_groups(int64_t channels, const struct vae_config *c, struct error *err)
{
    if (channels < 1 || channels > CHANNELS_MAX)
        return fail(err, E_ARG, "vae.mult: a level of %" PRId64 " channels, not 1 to %d", channels,
                    CHANNELS_MAX);
    if (channels % c->groups)
        return fail(err, E_ARG,
                    "vae.mult: norms of %" PRId64 " channels, not a multiple of %" PRId64 " groups",
                    channels, c->groups);
    return OK;
}

static enum status vae_check(const void *config, struct error *err)
{
    const struct vae_config *c = config;
    struct network_io io;
    enum status st;

    if (c->mult.n < 1 || c->mult.n > LEVELS_MAX)
        return fail(err, E_ARG, "vae.mult: %d levels, not 1 to %d", c->mult.n, LEVELS_MAX);
    if (c->size % factor(c))
        return fail(err, E_ARG, "vae.size: %" PRId64 " cannot be halved %d times", c->size,
                    c->mult.n - 1);
    if (inner_channels(c) != c->latent_channels &&
        ((has_encoder(c) && !c->quant_conv) || (has_decoder(c) && !c->post_quant_conv)))
        return fail(err, E_ARG,
                    "vae.inner_channels: %" PRId64 " become %" PRId64
                    " latent channels by 1 x 1 convolutions only (quant_conv, post_quant_conv)",
                    inner_channels(c), c->latent_channels);
    if ((st = check_groups(c->width, c, err)))
        return st;
    for (int l = 0; l < c->mult.n; l++)
        if ((st = check_groups(level_channels(c, l), c, err)))
            return st;
    vae_io(c, &io);
    return autoencoder_check_scaling("vae", &io, err);
}

/* --- steps --------------------------------------------------------------------------------------
 */

struct block {
    struct group_norm norm1, norm2;
    struct conv conv1, conv2, skip;
    bool has_skip;
};

struct attention {
    struct group_norm norm;
    struct linear q, k, v, out;
};

/* One step of a half: a module of public files. */
struct step {
    char name[40]; /* "encoder.down.0.block.1" */
    enum { BLOCK, ATTENTION, DOWN, UP } kind;
    union {
        struct block block;
        struct attention attention;
        struct conv conv;
    };
};

struct half {
    const char *name; /* "encoder" or "decoder" */
    struct conv first, last;
    struct group_norm norm;
    struct step *step; /* [n] */
    int n;
};

static void block_declare(struct block *b, const struct vae_config *c, struct scope s, int64_t in,
                          int64_t out)
{
    b->has_skip = in != out;
    group_norm_init(&b->norm1, scope_in(s, "norm1"), in, c->groups, NORM_EPS);
    conv_init(&b->conv1, scope_in(s, "conv1"), in, out, 3, 1, INIT_KAIMING);
    group_norm_init(&b->norm2, scope_in(s, "norm2"), out, c->groups, NORM_EPS);
    conv_init(&b->conv2, scope_in(s, "conv2"), out, out, 3, 1, INIT_KAIMING);
    if (b->has_skip)
        conv_init(&b->skip, scope_in(s, "nin_shortcut"), in, out, 1, 1, INIT_KAIMING);
}

static void pixels_declare(struct linear *l, struct scope s, int64_t in, int64_t out)
{
    linear_init_pixels(l, s, in, out, (struct init){.kind = INIT_KAIMING}, 4);
}

static void attention_declare(struct attention *a, const struct vae_config *c, struct scope s,
                              int64_t channels)
{
    group_norm_init(&a->norm, scope_in(s, "norm"), channels, c->groups, NORM_EPS);
    pixels_declare(&a->q, scope_in(s, "q"), channels, channels);
    pixels_declare(&a->k, scope_in(s, "k"), channels, channels);
    pixels_declare(&a->v, scope_in(s, "v"), channels, channels);
    pixels_declare(&a->out, scope_in(s, "proj_out"), channels, channels);
}

/* x [N, H, W, in] -> [N, H, W, out].  The way around comes first: when it has other channels, x is
 * then read by the norm last, which can write over it, and large pictures need a fifth less memory.
 */
static struct tensor *block_forward(struct graph *g, const struct block *b, struct tensor *x,
                                    struct norm_parts *norms)
{
    struct tensor *around = b->has_skip ? nn_conv(g, &b->skip, x) : x, *h;

    h = nn_conv(g, &b->conv1, nn_group_norm_of_part(g, &b->norm1, x, true, norms));
    h = nn_conv(g, &b->conv2, nn_group_norm_of_part(g, &b->norm2, h, true, norms));
    return op_add(g, around, h);
}

static struct tensor *attention_forward(struct graph *g, const struct attention *a,
                                        struct tensor *x)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1] * x->shape.dim[2], C = x->shape.dim[3];
    struct tensor *h = op_reshape(g, nn_group_norm(g, &a->norm, x, NULL, false), SHAPE(N, T, C));
    struct tensor *kv = op_concat(g, nn_linear(g, &a->k, h), nn_linear(g, &a->v, h));

    h = op_attention_cross(g, nn_linear(g, &a->q, h), kv, NULL, 1);
    return op_add(g, x, op_reshape(g, nn_linear(g, &a->out, h), x->shape));
}

static struct tensor *step_forward(struct graph *g, const struct step *s, struct tensor *x,
                                   struct norm_parts *norms)
{
    switch (s->kind) {
    case BLOCK:
        return block_forward(g, &s->block, x, norms);
    case ATTENTION:
        return attention_forward(g, &s->attention, x);
    case DOWN:
        return nn_conv(g, &s->conv, x);
    case UP:
        break;
    }
    return nn_conv(g, &s->conv, op_upsample2(g, x));
}

/* --- the two halves -----------------------------------------------------------------------------
 */

/* What the declaration of a half carries along. */
struct site {
    struct half *half;
    const struct vae_config *config;
    struct scope scope; /* "encoder" */
    int64_t channels;   /* of the last step */
};

static struct step *step_add(struct site *s, int kind, struct scope *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static struct step *step_add(struct site *s, int kind, struct scope *at, const char *fmt, ...)
{
    struct step *step = &s->half->step[s->half->n++];
    char module[24];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(module, sizeof module, fmt, ap);
    va_end(ap);
    snprintf(step->name, sizeof step->name, "%s.%s", s->half->name, module);
    step->kind = kind;
    *at = scope_in(s->scope, "%s", module);
    return step;
}

static void middle_declare(struct site *s)
{
    struct scope at;
    struct step *step;

    for (int i = 1; i <= 2; i++) {
        step = step_add(s, BLOCK, &at, "mid.block_%d", i);
        block_declare(&step->block, s->config, at, s->channels, s->channels);
        if (i == 1 && s->config->middle_attention) {
            step = step_add(s, ATTENTION, &at, "mid.attn_1");
            attention_declare(&step->attention, s->config, at, s->channels);
        }
    }
}

/* way: "down" or "up". */
static void level_declare(struct site *s, const char *way, int level, int64_t blocks)
{
    int64_t out = level_channels(s->config, level);
    struct scope at;
    struct step *step;

    for (int b = 0; b < blocks; b++) {
        step = step_add(s, BLOCK, &at, "%s.%d.block.%d", way, level, b);
        block_declare(&step->block, s->config, at, s->channels, out);
        s->channels = out;
        if (attends(s->config, level)) {
            step = step_add(s, ATTENTION, &at, "%s.%d.attn.%d", way, level, b);
            attention_declare(&step->attention, s->config, at, out);
        }
    }
}

/* The windows that halve begin at even pixels, and the last of them lacks a column on the right and
 * a row below: only those are padded. */
static void resample_declare(struct site *s, int kind, int level)
{
    struct scope at;
    struct step *step = kind == DOWN ? step_add(s, kind, &at, "down.%d.downsample", level)
                                     : step_add(s, kind, &at, "up.%d.upsample", level);

    conv_init(&step->conv, scope_in(at, "conv"), s->channels, s->channels, 3, kind == DOWN ? 2 : 1,
              INIT_KAIMING);
    if (kind == DOWN)
        step->conv.geometry.top = step->conv.geometry.left = 0;
}

static void ends_declare(struct site *s, int64_t in, int64_t first, int64_t out)
{
    conv_init(&s->half->first, scope_in(s->scope, "conv_in"), in, first, 3, 1, INIT_KAIMING);
    group_norm_init(&s->half->norm, scope_in(s->scope, "norm_out"), s->channels, s->config->groups,
                    NORM_EPS);
    conv_init(&s->half->last, scope_in(s->scope, "conv_out"), s->channels, out, 3, 1, INIT_KAIMING);
}

static void encoder_declare(struct half *h, const struct vae_config *c, struct scope s)
{
    struct site at = {h, c, scope_in(s, "encoder"), c->width};

    h->name = "encoder";
    for (int l = 0; l < c->mult.n; l++) {
        level_declare(&at, "down", l, c->blocks);
        if (l < c->mult.n - 1)
            resample_declare(&at, DOWN, l);
    }
    middle_declare(&at);
    ends_declare(&at, c->channels, c->width, moments(c) * inner_channels(c));
}

static void decoder_declare(struct half *h, const struct vae_config *c, struct scope s)
{
    int64_t deepest = level_channels(c, c->mult.n - 1);
    struct site at = {h, c, scope_in(s, "decoder"), deepest};

    h->name = "decoder";
    middle_declare(&at);
    for (int l = c->mult.n - 1; l >= 0; l--) {
        level_declare(&at, "up", l, c->blocks + 1);
        if (l > 0)
            resample_declare(&at, UP, l);
    }
    ends_declare(&at, inner_channels(c), deepest, c->channels);
}

/* --- the whole ----------------------------------------------------------------------------------
 */

struct vae {
    struct half encoder, decoder;
    struct linear quant, post_quant;
    const struct param *codebook; /* or NULL */
    struct step step[];
};

/* Each level: blocks with an attention behind each, and a change of size; and the middle. */
static size_t steps_most(const struct vae_config *c)
{
    return (size_t)(c->mult.n * (2 * (c->blocks + 1) + 1) + 3);
}

static void *vae_declare(const void *config, struct scope s)
{
    const struct vae_config *c = config;
    int64_t inner = inner_channels(c);
    struct vae *m = calloc(1, sizeof *m + 2 * steps_most(c) * sizeof m->step[0]);

    if (!m)
        return NULL;
    m->encoder.step = m->step;
    m->decoder.step = m->step + steps_most(c);
    if (has_encoder(c)) {
        encoder_declare(&m->encoder, c, s);
        if (c->quant_conv)
            pixels_declare(&m->quant, scope_in(s, "quant_conv"), moments(c) * inner,
                           moments(c) * c->latent_channels);
    }
    if (c->codes)
        m->codebook = params_add(scope_in(s, "quantize.embedding"), "weight",
                                 SHAPE(c->codes, c->latent_channels),
                                 (struct init){.kind = INIT_UNIFORM, .std = 1 / (double)c->codes});
    if (has_decoder(c)) {
        if (c->post_quant_conv)
            pixels_declare(&m->post_quant, scope_in(s, "post_quant_conv"), c->latent_channels,
                           inner);
        decoder_declare(&m->decoder, c, s);
    }
    return m;
}

struct tensor *vae_codebook(struct graph *g, const struct network *net)
{
    const struct vae *m = net->layers;

    MUST(m->codebook, "this vae has no codebook");
    return nn_param(g, m->codebook);
}

/* What comes before a half's steps: a decoder looks its latents up. */
static struct tensor *lead_in(struct graph *g, const struct network *net, const struct half *h,
                              struct tensor *x)
{
    const struct vae_config *c = net->config;
    const struct vae *m = net->layers;

    if (h == &m->decoder && m->codebook)
        x = quantise(g, x, vae_codebook(g, net), c->beta).codes;
    if (h == &m->decoder && m->post_quant.weight)
        x = nn_linear(g, &m->post_quant, x);
    x = nn_conv(g, &h->first, x);
    network_show(net, x, "%s.conv_in", h->name);
    return x;
}

static struct tensor *lead_out(struct graph *g, const struct network *net, const struct half *h,
                               struct tensor *x, struct norm_parts *norms)
{
    const struct vae *m = net->layers;

    x = nn_conv(g, &h->last, nn_group_norm_of_part(g, &h->norm, x, true, norms));
    network_show(net, x, "%s", h->name);
    return h == &m->encoder && m->quant.weight ? nn_linear(g, &m->quant, x) : x;
}

static const struct half *half_of(const struct network *net, enum autoencoder_halves half)
{
    const struct vae *m = net->layers;

    return half == HALVES_DECODER ? &m->decoder : &m->encoder;
}

/* The first step leads in, the last one out. */
static int vae_steps(const struct network *net, enum autoencoder_halves half)
{
    return half_of(net, half)->n + 2;
}

static int64_t vae_reach(const struct network *net, enum autoencoder_halves half, int i)
{
    static const int64_t reach[] = {[BLOCK] = 2, [ATTENTION] = REACH_ALL, [DOWN] = 1, [UP] = 1};
    const struct half *h = half_of(net, half);

    return i == 0 || i > h->n ? 1 : reach[h->step[i - 1].kind];
}

static struct tensor *vae_step(struct graph *g, const struct network *net,
                               enum autoencoder_halves half, int i, struct tensor *x,
                               struct norm_parts *norms)
{
    const struct half *h = half_of(net, half);

    if (i == 0)
        return lead_in(g, net, h, x);
    if (i > h->n)
        return lead_out(g, net, h, x, norms);
    x = step_forward(g, &h->step[i - 1], x, norms);
    network_show(net, x, "%s", h->step[i - 1].name);
    return x;
}

static const struct autoencoder_steps steps = {vae_steps, vae_reach, vae_step};

static struct tensor *half_forward(struct graph *g, const struct network *net,
                                   enum autoencoder_halves half, struct tensor *x)
{
    for (int i = 0; i < vae_steps(net, half); i++) {
        struct segment s = segment_open(g);

        x = vae_step(g, net, half, i, x, NULL);
        segment_close(g, s);
    }
    return x;
}

static struct tensor *vae_encode(struct graph *g, const struct network *net, struct tensor *x)
{
    return half_forward(g, net, HALVES_ENCODER, x);
}

static struct tensor *vae_decode(struct graph *g, const struct network *net, struct tensor *z)
{
    return half_forward(g, net, HALVES_DECODER, z);
}

static struct tensor *vae_code_loss(struct graph *g, const struct network *net, struct tensor *z)
{
    const struct vae_config *c = net->config;

    return quantise(g, z, vae_codebook(g, net), c->beta).loss;
}

static const struct param *vae_last(const struct network *net)
{
    return ((const struct vae *)net->layers)->decoder.last.weight;
}

const struct network_kind network_vae = {
    .name = "vae",
    .summary = "autoencoder with Gaussian latents or a codebook: Stable Diffusion, VQ",
    .paper = "Rombach et al. 2022",
    .options = options,
    .config_bytes = sizeof(struct vae_config),
    .check = vae_check,
    .declare = vae_declare,
    .io = vae_io,
    .forward = autoencoder_forward,
    .encode = vae_encode,
    .decode = vae_decode,
    .code_loss = vae_code_loss,
    .last = vae_last,
    .steps = &steps,
};
