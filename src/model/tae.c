/*
 * tae.c - the tiny autoencoder: a large one's latents, distilled into 1.3 million weights a half
 *
 * The decoder of a published autoencoder takes trillions of operations for a picture, which is too
 * much to look at a latent while it is being generated.  A small network without norms, taught by
 * the large one, knows its latents well enough for that (the TAESD family of Ollin Boer Bohan).
 *
 *     encoder   conv, block, [conv of stride 2, blocks] a level, conv to the latent's channels
 *     decoder   3 tanh(z / 3), conv, ReLU, [blocks, nearest x 2, conv] a level, block, conv
 *     block     relu(x + conv relu conv relu conv x)
 *     pooled    x + W relu GN(V x) first, V and W of one pixel: the group norm's mean and variance
 *               are all that tells a pixel about the far ones
 *
 * The numbers of the parameters count the places of the published layers, ReLUs and doublings
 * included.  It was trained on pictures in 0 .. 1; ours are in -1 .. 1, and it is told so at its
 * ends.  The tanh keeps latents that no encoder makes, as there are many under way, from growing in
 * a network that has no norm to stop them.
 */
#include "model/tae.h"

#include "nn/layers.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/resample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS_MAX = 6, BLOCKS_MAX = 8, POOL_TIMES = 4, POOL_GROUPS = 4 };
static const double NORM_EPS = 1e-5, LATENT_REACH = 3;

static const struct option options[] = {
    {"size", "height and width of the pictures it is trained on", OPTION_INT,
     offsetof(struct tae_config, size), "256", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct tae_config, channels), "3",
     .lo = 1, .hi = 256},
    {"latent_channels", "channels of the latents", OPTION_INT,
     offsetof(struct tae_config, latent_channels), "4", .lo = 1, .hi = 1024},
    {"width", "channels of everything between", OPTION_INT, offsetof(struct tae_config, width),
     "64", .lo = 1, .hi = 4096},
    {"levels", "halvings", OPTION_INT, offsetof(struct tae_config, levels), "3", .lo = 1,
     .hi = LEVELS_MAX},
    {"blocks", "residual blocks a level", OPTION_INT, offsetof(struct tae_config, blocks), "3",
     .lo = 1, .hi = BLOCKS_MAX},
    {"pool", "blocks at the coarsest level see the whole picture", OPTION_BOOL,
     offsetof(struct tae_config, pool), .fallback = "false"},
    {"halves", "which half there is", OPTION_CHOICE, offsetof(struct tae_config, halves), "both",
     .choices = autoencoder_halves_names},
    {"scale", "of the latents a generator sees, (z - shift) scale; or one number a channel",
     OPTION_REALS, offsetof(struct tae_config, scale), "1", .lo = 1e-6, .hi = 1e6},
    {"shift", "of the same", OPTION_REALS, offsetof(struct tae_config, shift), "0", .lo = -1e6,
     .hi = 1e6},
    {"preview",
     "a linear decoder: each latent channel's weight in each picture channel, and offsets",
     OPTION_REALS, offsetof(struct tae_config, preview), .lo = -1e6, .hi = 1e6},
    {0},
};

static void tae_io(const void *config, struct network_io *io)
{
    const struct tae_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .out_channels = c->channels,
        .null_label = -1,
        .clean = true,
        .factor = (int64_t)1 << c->levels,
        .frame_factor = 1,
        .latent_channels = c->latent_channels,
        .has_encoder = c->halves != HALVES_DECODER,
        .has_decoder = c->halves != HALVES_ENCODER,
        .scale = &c->scale,
        .shift = &c->shift,
        .preview = &c->preview,
    };
}

static enum status tae_check(const void *config, struct error *err)
{
    const struct tae_config *c = config;
    struct network_io io;

    tae_io(c, &io);
    if (c->size % io.factor)
        return fail(err, E_ARG, "tae.size: %" PRId64 " cannot be halved %" PRId64 " times", c->size,
                    c->levels);
    return autoencoder_check_scaling("tae", &io, err);
}

/* --- layers -------------------------------------------------------------------------------------
 */

struct block {
    struct conv conv[3];
    bool pools;
    struct linear out_to, back;
    struct group_norm norm;
};

struct level {
    struct conv conv;
    struct block block[BLOCKS_MAX];
};

struct half {
    struct conv first, last;
    struct block lone; /* at full size */
    struct level level[LEVELS_MAX];
};

struct tae {
    struct half encoder, decoder;
};

static void conv_declare(struct conv *v, struct scope s, int place, int64_t in, int64_t out)
{
    conv_init(v, scope_in(s, "%d", place), in, out, 3, 1, INIT_KAIMING);
}

static void block_declare(struct block *b, const struct tae_config *c, struct scope s, int place,
                          bool pools)
{
    const struct init usual = {.kind = INIT_KAIMING};
    struct scope here = scope_in(s, "%d", place);
    int64_t C = c->width;

    for (int k = 0; k < 3; k++)
        conv_init(&b->conv[k], scope_in(here, "conv.%d", 2 * k), C, C, 3, 1, INIT_KAIMING);
    b->pools = pools;
    if (!pools)
        return;
    linear_init_pixels_plain(&b->out_to, scope_in(here, "pool.0"), C, POOL_TIMES * C, usual, 4);
    group_norm_init(&b->norm, scope_in(here, "pool.1"), POOL_TIMES * C, POOL_GROUPS, NORM_EPS);
    linear_init_pixels_plain(&b->back, scope_in(here, "pool.3"), POOL_TIMES * C, C, usual, 4);
}

static void encoder_declare(struct half *h, const struct tae_config *c, struct scope s)
{
    int at = 0;

    conv_declare(&h->first, s, at++, c->channels, c->width);
    block_declare(&h->lone, c, s, at++, false);
    for (int l = 0; l < c->levels; l++) {
        conv_init_plain(&h->level[l].conv, scope_in(s, "%d", at++), c->width, c->width, 3, 2,
                        INIT_KAIMING);
        for (int b = 0; b < c->blocks; b++)
            block_declare(&h->level[l].block[b], c, s, at++, c->pool && l == c->levels - 1);
    }
    conv_declare(&h->last, s, at, c->width, c->latent_channels);
}

static void decoder_declare(struct half *h, const struct tae_config *c, struct scope s)
{
    int at = 1; /* behind the tanh */

    conv_declare(&h->first, s, at, c->latent_channels, c->width);
    at += 2; /* and a ReLU */
    for (int l = 0; l < c->levels; l++) {
        for (int b = 0; b < c->blocks; b++)
            block_declare(&h->level[l].block[b], c, s, at++, c->pool && l == 0);
        at++; /* the doubling */
        conv_init_plain(&h->level[l].conv, scope_in(s, "%d", at++), c->width, c->width, 3, 1,
                        INIT_KAIMING);
    }
    block_declare(&h->lone, c, s, at++, false);
    conv_declare(&h->last, s, at, c->width, c->channels);
}

static void *tae_declare(const void *config, struct scope s)
{
    const struct tae_config *c = config;
    struct tae *m = calloc(1, sizeof *m);

    if (m && c->halves != HALVES_DECODER)
        encoder_declare(&m->encoder, c, scope_in(s, "encoder"));
    if (m && c->halves != HALVES_ENCODER)
        decoder_declare(&m->decoder, c, scope_in(s, "decoder"));
    return m;
}

/* --- forward ------------------------------------------------------------------------------------
 */

static struct tensor *relu(struct graph *g, struct tensor *x)
{
    return op_leaky_relu(g, x, 0);
}

static struct tensor *block_forward(struct graph *g, const struct block *b, struct tensor *x)
{
    struct segment s = segment_open(g);
    struct tensor *h;

    if (b->pools) {
        h = nn_group_norm(g, &b->norm, nn_linear(g, &b->out_to, x), NULL, false);
        x = op_add(g, x, nn_linear(g, &b->back, relu(g, h)));
    }
    h = relu(g, nn_conv(g, &b->conv[0], x));
    h = relu(g, nn_conv(g, &b->conv[1], h));
    x = relu(g, op_add(g, nn_conv(g, &b->conv[2], h), x));
    segment_close(g, s);
    return x;
}

static struct tensor *tae_encode(struct graph *g, const struct network *net, struct tensor *x)
{
    const struct tae_config *c = net->config;
    const struct half *h = &((const struct tae *)net->layers)->encoder;

    x = nn_conv(g, &h->first, op_affine(g, x, 0.5, 0.5));
    x = block_forward(g, &h->lone, x);
    for (int l = 0; l < c->levels; l++) {
        x = nn_conv(g, &h->level[l].conv, x);
        for (int b = 0; b < c->blocks; b++)
            x = block_forward(g, &h->level[l].block[b], x);
    }
    return nn_conv(g, &h->last, x);
}

static struct tensor *tae_decode(struct graph *g, const struct network *net, struct tensor *z)
{
    const struct tae_config *c = net->config;
    const struct half *h = &((const struct tae *)net->layers)->decoder;
    struct tensor *x;

    x = op_tanh(g, op_affine(g, z, 1 / LATENT_REACH, 0));
    x = relu(g, nn_conv(g, &h->first, op_affine(g, x, LATENT_REACH, 0)));
    for (int l = 0; l < c->levels; l++) {
        for (int b = 0; b < c->blocks; b++)
            x = block_forward(g, &h->level[l].block[b], x);
        x = nn_conv(g, &h->level[l].conv, op_upsample2(g, x));
    }
    x = nn_conv(g, &h->last, block_forward(g, &h->lone, x));
    return op_affine(g, x, 2, -1);
}

static const struct param *tae_last(const struct network *net)
{
    return ((const struct tae *)net->layers)->decoder.last.weight;
}

/* --- published files ----------------------------------------------------------------------------
 */

/* Files hold one half each, whose parameters stand there without its name. */
static bool half_name(char *out, size_t room, const char *ours, int attempt, const void *user)
{
    const char *half = user;
    size_t n = strlen(half);
    int m;

    if (attempt > 0 || strncmp(ours, half, n) != 0)
        return false;
    m = snprintf(out, room, "%s", ours + n);
    return m >= 0 && m < (int)room;
}

static const struct file_tensor *layer_find(const struct weights *f, int place, const char *what)
{
    char name[48];

    snprintf(name, sizeof name, "%d.%s", place, what);
    return weights_find(f, name);
}

/* What a file says: 0 where it does not. */
struct found {
    int64_t width, channels, latents, levels, blocks, pool;
};

static int64_t dim_of(const struct file_tensor *t, int k)
{
    return t && t->rank == 4 ? t->dim[k] : 0;
}

/* A level is its blocks and `between` places more: in the encoder the convolution that follows, in
 * the decoder a doubling and one. */
static struct found look(const struct weights *f, bool decodes)
{
    const struct file_tensor *start = layer_find(f, decodes ? 1 : 0, "weight"), *end;
    int at = 3, between = decodes ? 2 : 1, blocks = 0;
    struct found is = {.width = dim_of(start, 0)};

    while (blocks < BLOCKS_MAX && layer_find(f, at + blocks, "conv.0.weight"))
        blocks++;
    is.blocks = blocks;
    is.pool = decodes && layer_find(f, at, "pool.0.weight");
    while (is.levels < LEVELS_MAX && layer_find(f, at, "conv.0.weight") &&
           layer_find(f, at + blocks - 1 + between, "weight")) {
        is.pool |= !decodes && layer_find(f, at, "pool.0.weight");
        is.levels++;
        at += blocks + between;
    }
    end = layer_find(f, decodes ? at + 1 : at - 1, "weight");
    is.channels = decodes ? dim_of(end, 0) : dim_of(start, 1);
    is.latents = decodes ? dim_of(start, 1) : dim_of(end, 0);
    return is;
}

static enum status check_alike(const struct found *a, const struct found *b, struct error *err)
{
    if (a->width == b->width && a->channels == b->channels && a->latents == b->latents &&
        a->levels == b->levels && a->blocks == b->blocks && a->pool == b->pool)
        return OK;
    return fail(err, E_FORMAT,
                "the halves do not belong together: %" PRId64 " and %" PRId64
                " channels of latents, %" PRId64 " and %" PRId64 " levels",
                a->latents, b->latents, a->levels, b->levels);
}

static enum status load_half(struct network *net, const struct weights *f, const char *half,
                             struct error *err)
{
    const struct params_naming naming = {.prefix = "", .rename = half_name, .user = half};

    return f ? params_load_named(net->params, f, &naming, PARAMS_ALL, NULL, err) : OK;
}

enum status tae_open_published(struct network **out, const struct weights *encoder,
                               const struct weights *decoder, struct error *err)
{
    struct found e = {0}, d = {0}, *is = encoder ? &e : &d;
    json_t *config;
    enum status st;

    *out = NULL;
    if (encoder)
        e = look(encoder, false);
    if (decoder)
        d = look(decoder, true);
    if (encoder && decoder && (st = check_alike(&e, &d, err)))
        return st;
    config = json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:s}", "width", (json_int_t)is->width,
                       "channels", (json_int_t)is->channels, "latent_channels",
                       (json_int_t)is->latents, "levels", (json_int_t)is->levels, "blocks",
                       (json_int_t)is->blocks, "pool", (int)is->pool, "halves",
                       autoencoder_halves_names[!decoder   ? HALVES_ENCODER
                                                : !encoder ? HALVES_DECODER
                                                           : HALVES_BOTH]);
    if (!config)
        return fail(err, E_MEMORY, "no memory for a configuration");
    st = network_from_json(out, &network_tae, config, false, err);
    json_decref(config);
    if (st || (st = load_half(*out, encoder, "encoder.", err)) ||
        (st = load_half(*out, decoder, "decoder.", err))) {
        network_free(*out);
        *out = NULL;
    }
    return st;
}

const struct network_kind network_tae = {
    .name = "tae",
    .summary = "tiny autoencoder for the latents of a larger one",
    .options = options,
    .config_bytes = sizeof(struct tae_config),
    .check = tae_check,
    .declare = tae_declare,
    .io = tae_io,
    .forward = autoencoder_forward,
    .encode = tae_encode,
    .decode = tae_decode,
    .last = tae_last,
};
