/*
 * autoencoder.c - what every autoencoder offers, and its posterior
 *
 * Generation in pixels spends most of its work on what no eye sees.  An autoencoder takes that
 * away: its latents are an eighth of the picture's side, and a generator of latents is fifty times
 * cheaper (Rombach et al. 2022).  The latent is kept near a standard normal by a small penalty, for
 * which the encoder names a distribution instead of a point; the log variance is clamped, since its
 * exponential overflows where a random network errs.
 *
 * A latent model wants numbers of mean 0 and deviation 1, and the penalty is far too small to give
 * them: so latents are shifted and scaled by measured constants on the way, which the autoencoder's
 * configuration carries.  That is done to arrays and not on the tape: latents leave it anyway, for
 * a file or for a solver, and the losses that train an autoencoder look at unscaled ones.
 *
 * The sizes that come from outside are refused by autoencoder_check_size before anything is
 * recorded.  Cutting or padding a picture silently would shift what a latent means; who knows what
 * the picture is for does it.
 */
#include "model/autoencoder.h"

#include "base/whole.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/codebook.h"
#include "ops/embedding.h"
#include "ops/frames.h"
#include "ops/loss.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const double LOG_VARIANCE_LOW = -30, LOG_VARIANCE_HIGH = 20;

const char *const autoencoder_halves_names[] = {"both", "encoder", "decoder", NULL};

enum status autoencoder_check_size(const struct network *net, int64_t height, int64_t width,
                                   struct error *err)
{
    int64_t factor = net->io.factor;

    if (height > 0 && width > 0 && height % factor == 0 && width % factor == 0)
        return OK;
    return fail(err, E_ARG,
                "a picture of %" PRId64 " x %" PRId64 " cannot be encoded: the %s makes it %" PRId64
                " times smaller, and its sides must be multiples of that",
                width, height, net->kind->name, factor);
}

int64_t autoencoder_latent_frames(const struct network *net, int64_t frames)
{
    return whole_parts(frames, net->io.frame_factor);
}

struct shape autoencoder_latent_shape(const struct network *net, int64_t n)
{
    const struct network_io *io = &net->io;
    struct shape s = network_shape(net, n, io->latent_channels);

    if (io->frames)
        s.dim[1] = autoencoder_latent_frames(net, io->frames);
    s.dim[s.rank - 3] /= io->factor;
    s.dim[s.rank - 2] /= io->factor;
    return s;
}

/* Pictures, or videos where the network handles those, with so many channels. */
static bool is_batch(const struct network *net, struct shape s, int64_t channels)
{
    return s.rank == (net->io.frames ? 5 : 4) && shape_last(s) == channels;
}

struct tensor *autoencoder_encode(struct graph *g, const struct network *net, struct tensor *x)
{
    char s[SHAPE_TEXT];

    MUST(net->kind->encode && net->io.has_encoder, "this %s has no encoder", net->kind->name);
    MUST(is_batch(net, x->shape, net->io.in_channels) &&
             x->shape.dim[x->shape.rank - 3] % net->io.factor == 0 &&
             x->shape.dim[x->shape.rank - 2] % net->io.factor == 0,
         "%s cannot be encoded", shape_text(s, x->shape));
    return net->kind->encode(g, net, x);
}

struct tensor *autoencoder_decode(struct graph *g, const struct network *net, struct tensor *z)
{
    char s[SHAPE_TEXT];

    MUST(net->kind->decode && net->io.has_decoder, "this %s has no decoder", net->kind->name);
    MUST(is_batch(net, z->shape, net->io.latent_channels), "%s cannot be decoded",
         shape_text(s, z->shape));
    return net->kind->decode(g, net, z);
}

struct tensor *autoencoder_cut(struct graph *g, struct tensor *videos, int64_t frames)
{
    char s[SHAPE_TEXT];

    MUST(videos->shape.rank == 5 && frames <= videos->shape.dim[1], "%s has no %" PRId64 " frames",
         shape_text(s, videos->shape), frames);
    if (frames == videos->shape.dim[1])
        return videos;
    return op_frames(g, videos, (struct frame_choice){frames, 0, 1, 1});
}

int autoencoder_n_steps(const struct network *net, enum autoencoder_halves half)
{
    MUST(half == HALVES_ENCODER || half == HALVES_DECODER, "steps are of one half");
    return net->kind->steps ? net->kind->steps->count(net, half) : 0;
}

struct tensor *autoencoder_latents(struct graph *g, const struct network *net, struct tensor *code,
                                   struct tensor *noise)
{
    if (!net->io.gaussian)
        return code;
    return noise ? posterior_sample(g, code, noise) : posterior_mean(g, code);
}

struct tensor *autoencoder_code_loss(struct graph *g, const struct network *net, struct tensor *z)
{
    MUST(net->io.codes, "this %s has no codebook", net->kind->name);
    return net->kind->code_loss(g, net, z);
}

struct tensor *autoencoder_last(struct graph *g, const struct network *net)
{
    MUST(net->io.has_decoder, "this %s has no decoder", net->kind->name);
    return nn_param(g, net->kind->last(net));
}

struct tensor *autoencoder_forward(struct graph *g, const struct network *net,
                                   struct network_input in)
{
    struct tensor *z = in.x;

    if (net->io.has_encoder)
        z = autoencoder_encode(g, net, z);
    if (net->io.has_encoder && net->io.has_decoder)
        z = autoencoder_latents(g, net, z, NULL);
    if (net->io.has_decoder)
        z = autoencoder_decode(g, net, z);
    if (net->io.frames && net->io.has_encoder && net->io.has_decoder)
        z = autoencoder_cut(g, z, in.x->shape.dim[1]);
    return z;
}

/* --- scaling ------------------------------------------------------------------------------------
 */

enum status autoencoder_check_scaling(const char *kind, const struct network_io *io,
                                      struct error *err)
{
    if ((io->scale->n != 1 && io->scale->n != io->latent_channels) ||
        (io->shift->n != 1 && io->shift->n != io->latent_channels))
        return fail(err, E_ARG,
                    "%s.scale, %s.shift: %d and %d numbers for %" PRId64
                    " channels of the latents: one, or one each",
                    kind, kind, io->scale->n, io->shift->n, io->latent_channels);
    if (io->preview->n && io->preview->n != (io->latent_channels + 1) * io->out_channels)
        return fail(err, E_ARG,
                    "%s.preview: %d numbers; %" PRId64 " channels of latents and %" PRId64
                    " of pictures need %" PRId64,
                    kind, io->preview->n, io->latent_channels, io->out_channels,
                    (io->latent_channels + 1) * io->out_channels);
    return OK;
}

static double of_channel(const struct real_list *list, int64_t channel)
{
    return list->at[list->n == 1 ? 0 : channel];
}

void latents_scale(const struct network *net, float *z, int64_t n)
{
    int64_t C = net->io.latent_channels;

    for (int64_t c = 0; c < C; c++) {
        double scale = of_channel(net->io.scale, c), shift = of_channel(net->io.shift, c);

        for (int64_t i = 0; i < n; i++)
            z[i * C + c] = (float)(((double)z[i * C + c] - shift) * scale);
    }
}

void latents_unscale(const struct network *net, float *z, int64_t n)
{
    int64_t C = net->io.latent_channels;

    for (int64_t c = 0; c < C; c++) {
        double scale = of_channel(net->io.scale, c), shift = of_channel(net->io.shift, c);

        for (int64_t i = 0; i < n; i++)
            z[i * C + c] = (float)((double)z[i * C + c] / scale + shift);
    }
}

enum status autoencoder_set(struct network *net, const char *name, const double *value, int64_t n,
                            struct error *err)
{
    struct option_group group = {net->kind->name, net->kind->options,
                                 (void *)(uintptr_t)net->config, NULL};
    struct option_set set = {&group, 1};
    char key[64], number[TEXT_REAL];
    struct text list;
    enum status st;

    snprintf(key, sizeof key, "%s.%s", net->kind->name, name);
    text_init(&list, NULL, 0);
    for (int64_t i = 0; i < n; i++)
        text_add(&list, "%s%s", i ? "," : "", text_from_real(number, value[i]));
    st = list.cut ? fail(err, E_MEMORY, "no memory for the numbers of latents")
                  : options_set(&set, key, list.data, err);
    text_release(&list);
    return st;
}

void latents_preview(const struct network *net, float *picture, const float *z, int64_t n)
{
    int64_t C = net->io.latent_channels, K = net->io.out_channels;
    const double *weight = net->io.preview->at, *offset = weight + C * K;

    MUST(net->io.preview->n == (C + 1) * K, "this %s has no preview", net->kind->name);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < K; k++) {
            double sum = offset[k];

            for (int64_t c = 0; c < C; c++)
                sum += weight[c * K + k] * (double)z[i * C + c];
            picture[i * K + k] = (float)sum;
        }
}

/* --- the posterior ------------------------------------------------------------------------------
 */

struct tensor *posterior_mean(struct graph *g, struct tensor *moments)
{
    return op_slice(g, moments, 0, shape_last(moments->shape) / 2);
}

double posterior_held(double log_variance)
{
    return fmin(fmax(log_variance, LOG_VARIANCE_LOW), LOG_VARIANCE_HIGH);
}

struct tensor *posterior_log_variance(struct graph *g, struct tensor *moments)
{
    int64_t C = shape_last(moments->shape) / 2;

    return op_clamp(g, op_slice(g, moments, C, C), LOG_VARIANCE_LOW, LOG_VARIANCE_HIGH);
}

struct tensor *posterior_sample(struct graph *g, struct tensor *moments, struct tensor *noise)
{
    struct tensor *half = op_affine(g, posterior_log_variance(g, moments), 0.5, 0);

    return op_add(g, posterior_mean(g, moments), op_mul(g, op_exp(g, half), noise));
}

struct tensor *posterior_kl(struct graph *g, struct tensor *moments)
{
    struct tensor *mean = posterior_mean(g, moments), *log_variance, *kl;
    int64_t N = mean->shape.dim[0], n = shape_count(mean->shape);

    log_variance = posterior_log_variance(g, moments);
    kl = op_sub(g, op_exp(g, log_variance), log_variance);
    kl = op_affine(g, op_add(g, op_mul(g, mean, mean), kl), 0.5, -0.5);
    kl = op_reshape(g, kl, SHAPE(N, N ? n / N : 0, 1));
    return op_reshape(g, op_sum_inner(g, kl), SHAPE(N));
}

/* --- discrete codes -----------------------------------------------------------------------------
 */

struct quantised quantise(struct graph *g, struct tensor *z, struct tensor *codebook, double beta)
{
    struct quantised q;
    struct tensor *code, *moves_code, *moves_z;

    q.numbers = op_nearest(g, z, codebook);
    code = op_reshape(g, op_embedding(g, codebook, q.numbers), z->shape);
    moves_code = op_mse(g, code, op_detach(g, z));
    moves_z = op_mse(g, z, op_detach(g, code));
    q.loss = op_mix(g, moves_code, moves_z, 1, beta);
    q.codes = op_straight_through(g, code, z);
    return q;
}
