/*
 * patchgan.c - a discriminator that judges patches
 *
 * An autoencoder taught by differences of pixels alone answers with the mean of what might have
 * been there, which is a blur.  A discriminator learns to tell its pictures from true ones and
 * hands it the gradient.  What it must judge is texture, so it looks at patches: a fully
 * convolutional network whose every output sees 70 x 70 pixels (three layers) and no more.  Large
 * shapes are left to the reconstruction, pictures of any size are judged, and it stays small.
 *
 *     main.0                conv 4 x 4, stride 2, bias                    LeakyReLU 0.2
 *     main.2 .. 3n - 1      conv 4 x 4, stride 2, batch norm              LeakyReLU 0.2
 *     main.3 layers - 1     the same at stride 1
 *     main.3 layers + 2     conv 4 x 4, stride 1, bias, to one channel
 *
 * Padding is 1 throughout, channels double up to 8 times the width.  Isola et al. 2017, section 3.2
 * and appendix 6.1.2, in the form and with the names of the latent diffusion autoencoders
 * (Rombach et al. 2022); architectures.md 3.2.
 *
 * The norms are batch norms, in training for as long as it exists: it is never used after training,
 * and its running statistics are kept because published files have them.
 */
#include "model/patchgan.h"

#include "base/memory.h"
#include "nn/layers.h"
#include "ops/activation.h"

#include <inttypes.h>
#include <stdlib.h>

enum { KERNEL = 4, WIDEST = 8, WIDTH_MAX = 4096, CHANNELS_MAX = 256 };
static const double SLOPE = 0.2, NORM_EPS = 1e-5, MOMENTUM = 0.1, SPREAD = 0.02;

struct patchgan {
    struct patchgan_config config;
    struct params *params;
    float *moments;                    /* [2, channels of the widest norm], for patchgan_update */
    struct conv first, judge;          /* judge: to one channel                                 */
    struct conv conv[PATCHGAN_LAYERS]; /* [layers], the last at stride 1                */
    struct batch_norm norm[PATCHGAN_LAYERS];
};

/* Of layer k, counted from the first convolution as 0. */
static int64_t channels_of(const struct patchgan_config *c, int64_t k)
{
    int64_t times = (int64_t)1 << k;

    return c->width * (times < WIDEST ? times : WIDEST);
}

static enum status check_config(const struct patchgan_config *c, struct error *err)
{
    if (c->channels < 1 || c->channels > CHANNELS_MAX)
        return fail(err, E_ARG, "a patch discriminator of %" PRId64 " channels, not 1 to %d",
                    c->channels, CHANNELS_MAX);
    if (c->width < 1 || c->width > WIDTH_MAX)
        return fail(err, E_ARG, "a patch discriminator of width %" PRId64 ", not 1 to %d", c->width,
                    WIDTH_MAX);
    if (c->layers < 1 || c->layers > PATCHGAN_LAYERS)
        return fail(err, E_ARG, "a patch discriminator of %" PRId64 " layers, not 1 to %d",
                    c->layers, PATCHGAN_LAYERS);
    return OK;
}

static void declare_conv(struct conv *to, struct scope s, int64_t in, int64_t out, int64_t stride,
                         bool bias)
{
    const struct init rule = {.kind = INIT_NORMAL, .std = SPREAD};
    const struct init of_bias = {.kind = INIT_KAIMING, .fan_in = in * KERNEL * KERNEL};

    to->weight = params_add_conv(s, "weight", SHAPE(out, KERNEL, KERNEL, in), rule);
    to->bias = bias ? params_add(s, "bias", SHAPE(out), of_bias) : NULL;
    to->geometry = (struct conv_geometry){stride, 1, 1, 1, 1};
}

static void declare(struct patchgan *d)
{
    const struct init around_one = {.kind = INIT_NORMAL, .mean = 1, .std = SPREAD};
    const struct patchgan_config *c = &d->config;
    struct scope s = scope_root(d->params);

    declare_conv(&d->first, scope_in(s, "main.0"), c->channels, c->width, 2, true);
    for (int k = 0; k < c->layers; k++) {
        int64_t in = channels_of(c, k), out = channels_of(c, k + 1);

        declare_conv(&d->conv[k], scope_in(s, "main.%d", 3 * k + 2), in, out,
                     k + 1 < c->layers ? 2 : 1, false);
        batch_norm_init(&d->norm[k], scope_in(s, "main.%d", 3 * k + 3), out, around_one, NORM_EPS);
    }
    declare_conv(&d->judge, scope_in(s, "main.%d", (int)(3 * c->layers + 2)),
                 channels_of(c, c->layers), 1, 1, true);
}

enum status patchgan_new(struct patchgan **out, const struct patchgan_config *config,
                         struct error *err)
{
    struct patchgan *d = NULL;
    enum status st;

    *out = NULL;
    if ((st = check_config(config, err)) ||
        (st = mem_new((void **)&d, 1, sizeof *d, "a discriminator", err)))
        return st;
    d->config = *config;
    if (!(st = params_new(&d->params, err))) {
        declare(d);
        st = params_alloc(d->params, true, err);
    }
    if (!st)
        st = mem_new((void **)&d->moments, 2 * (uint64_t)channels_of(config, config->layers),
                     sizeof *d->moments, "a discriminator", err);
    if (st)
        patchgan_free(d);
    else
        *out = d;
    return st;
}

void patchgan_free(struct patchgan *d)
{
    if (!d)
        return;
    params_free(d->params);
    free(d->moments);
    free(d);
}

struct params *patchgan_params(struct patchgan *d)
{
    return d->params;
}

enum status patchgan_check(const struct patchgan *d, int64_t height, int64_t width,
                           struct error *err)
{
    int64_t halved = (int64_t)1 << d->config.layers, h = height / halved, w = width / halved;

    if (h < 3 || w < 3)
        return fail(err, E_ARG,
                    "pictures of %" PRId64 " x %" PRId64 " are too small for a patch discriminator "
                    "of %" PRId64 " layers, which begins at %" PRId64,
                    width, height, d->config.layers, 3 * halved);
    return OK;
}

static void note_moments(struct graph *g, struct patchgan_seen *seen, int k, struct tensor *moments,
                         const struct tensor *x)
{
    if (!seen)
        return;
    graph_keep(g, moments);
    seen->moments[k] = moments;
    seen->count[k] = shape_rows(x->shape);
}

struct tensor *patchgan_forward(struct graph *g, const struct patchgan *d, struct tensor *x,
                                struct patchgan_seen *seen)
{
    struct tensor *h = op_leaky_relu(g, nn_conv(g, &d->first, x), SLOPE), *moments;

    for (int k = 0; k < d->config.layers; k++) {
        h = nn_batch_norm(g, &d->norm[k], nn_conv(g, &d->conv[k], h), &moments);
        note_moments(g, seen, k, moments, h);
        h = op_leaky_relu(g, h, SLOPE);
    }
    return nn_conv(g, &d->judge, h);
}

void patchgan_update(struct patchgan *d, struct graph *g, const struct patchgan_seen *seen)
{
    for (int k = 0; k < d->config.layers; k++) {
        graph_read(g, seen->moments[k], d->moments);
        batch_norm_update(&d->norm[k], d->moments, seen->count[k], MOMENTUM);
    }
}
