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
 * All but the group norms and the middle's attention looks at neighbours only, so any size will do.
 * What the halves are made of stands in vae_parts.c.
 */
#include "model/vae_parts.h"

#include <stdlib.h>

static const struct option options[] = {
    VAE_SIZE_OPTIONS,
    {"codes", "vectors of a codebook of latents; 0: Gaussian latents", OPTION_INT,
     offsetof(struct vae_config, codes), "0", .lo = 0, .hi = 1 << 20},
    {"beta", "how much the codebook's loss binds the encoder", OPTION_REAL,
     offsetof(struct vae_config, beta), "0.25", .lo = 0, .hi = 100},
    VAE_LATENT_OPTIONS,
    {0},
};

void vae_io(const void *config, struct network_io *io)
{
    const struct vae_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .out_channels = c->channels,
        .null_label = -1,
        .clean = true,
        .factor = vae_factor(c),
        .frame_factor = 1,
        .latent_channels = c->latent_channels,
        .gaussian = !c->codes,
        .codes = c->codes,
        .has_encoder = vae_has_encoder(c),
        .has_decoder = vae_has_decoder(c),
        .scale = &c->scale,
        .shift = &c->shift,
        .preview = &c->preview,
    };
}

enum status vae_check_form(const char *kind, const struct vae_config *c, struct error *err)
{
    struct network_io io;
    enum status st = vae_check_sizes(kind, c, err);

    if (st)
        return st;
    vae_io(c, &io);
    return autoencoder_check_scaling(kind, &io, err);
}

static enum status vae_check(const void *config, struct error *err)
{
    return vae_check_form("vae", config, err);
}

/* --- the whole ----------------------------------------------------------------------------------
 */

struct vae {
    struct vae_half encoder, decoder;
    struct linear quant, post_quant;
    const struct param *codebook; /* or NULL */
    struct vae_step step[];
};

void *vae_declare_form(const struct vae_form *form, struct scope s)
{
    const struct vae_config *c = form->space;
    int64_t inner = vae_inner_channels(c);
    struct vae *m = calloc(1, sizeof *m + 2 * vae_steps_most(c) * sizeof m->step[0]);

    if (!m)
        return NULL;
    m->encoder.step = m->step;
    m->decoder.step = m->step + vae_steps_most(c);
    if (vae_has_encoder(c)) {
        vae_encoder_declare(&m->encoder, form, s);
        if (c->quant_conv)
            vae_pixels_declare(&m->quant, scope_in(s, "quant_conv"), vae_moments(c) * inner,
                               vae_moments(c) * c->latent_channels);
    }
    if (c->codes)
        m->codebook = params_add(scope_in(s, "quantize.embedding"), "weight",
                                 SHAPE(c->codes, c->latent_channels),
                                 (struct init){.kind = INIT_UNIFORM, .std = 1 / (double)c->codes});
    if (vae_has_decoder(c)) {
        if (c->post_quant_conv)
            vae_pixels_declare(&m->post_quant, scope_in(s, "post_quant_conv"), c->latent_channels,
                               inner);
        vae_decoder_declare(&m->decoder, form, s);
    }
    return m;
}

static void *vae_declare(const void *config, struct scope s)
{
    return vae_declare_form(&(struct vae_form){.space = config}, s);
}

struct tensor *vae_codebook(struct graph *g, const struct network *net)
{
    const struct vae *m = net->layers;

    MUST(m->codebook, "this vae has no codebook");
    return nn_param(g, m->codebook);
}

/* What stands between a latent and the decoder: it is looked up, and mixed. */
static struct tensor *from_latent(struct graph *g, const struct network *net, struct tensor *z)
{
    const struct vae_config *c = net->config;
    const struct vae *m = net->layers;

    if (m->codebook)
        z = quantise(g, z, vae_codebook(g, net), c->beta).codes;
    return m->post_quant.weight ? nn_linear(g, &m->post_quant, z) : z;
}

static const struct vae_half *half_of(const struct network *net, enum autoencoder_halves half)
{
    const struct vae *m = net->layers;

    return half == HALVES_DECODER ? &m->decoder : &m->encoder;
}

/* With the first convolution and the last. */
static int vae_steps(const struct network *net, enum autoencoder_halves half)
{
    return half_of(net, half)->n + 2;
}

static int64_t vae_reach(const struct network *net, enum autoencoder_halves half, int i)
{
    return vae_half_reach(half_of(net, half), i);
}

static struct tensor *vae_step(struct graph *g, const struct network *net,
                               enum autoencoder_halves half, int i, struct tensor *x,
                               struct norm_parts *norms)
{
    const struct vae *m = net->layers;
    const struct vae_half *h = half_of(net, half);

    if (h == &m->decoder && i == 0)
        x = from_latent(g, net, x);
    x = vae_half_step(g, net, h, i, x, norms);
    return h == &m->encoder && i > h->n && m->quant.weight ? nn_linear(g, &m->quant, x) : x;
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

struct tensor *vae_encode(struct graph *g, const struct network *net, struct tensor *x)
{
    return half_forward(g, net, HALVES_ENCODER, x);
}

struct tensor *vae_decode(struct graph *g, const struct network *net, struct tensor *z)
{
    return half_forward(g, net, HALVES_DECODER, z);
}

static struct tensor *vae_code_loss(struct graph *g, const struct network *net, struct tensor *z)
{
    const struct vae_config *c = net->config;

    return quantise(g, z, vae_codebook(g, net), c->beta).loss;
}

const struct param *vae_last(const struct network *net)
{
    const struct vae_conv *last = &((const struct vae *)net->layers)->decoder.last;

    return last->time.weight ? last->time.weight : last->space.weight;
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
