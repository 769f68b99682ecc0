/*
 * autoencoder.h - pictures to latents and back: what every autoencoder offers, and its posterior
 *
 * Pictures are [N, H, W, C] with values in -1 .. 1, latents [N, h, w, io.latent_channels] with
 * H = io.factor h and W = io.factor w.  A network is an autoencoder when io.factor is not 0.  Where
 * io.frames is not 0, it maps videos [N, T, H, W, C] to latents [N, t, h, w, ...], t = T /
 * io.frame_factor rounded up; a picture is a video of one frame.
 *
 *     picture --encode--> code --autoencoder_latents--> latent --decode--> picture
 *                                                         |  ^
 *                                            latents_scale|  |latents_unscale
 *                                                         v  |
 *                                               what a latent model sees
 *
 * The code is the latent itself, or, where io.gaussian, the moments of a normal distribution: means
 * and then log variances, twice the channels.  Kingma and Welling 2014.
 */
#ifndef IMGEN_MODEL_AUTOENCODER_H
#define IMGEN_MODEL_AUTOENCODER_H

#include "model/network.h"
#include "nn/layers.h"

/* Which half of an autoencoder a network has: previews and sampling need no encoder. */
enum autoencoder_halves {
    HALVES_BOTH,
    HALVES_ENCODER,
    HALVES_DECODER,
};
extern const char *const autoencoder_halves_names[];

/* E_ARG unless pictures of this height and width can be encoded: both a multiple of the factor, so
 * that no pixel is lost in silence. */
enum status autoencoder_check_size(const struct network *net, int64_t height, int64_t width,
                                   struct error *err);

/* Frames of the latent of a video: frames / io.frame_factor, rounded up. */
int64_t autoencoder_latent_frames(const struct network *net, int64_t frames);
/* The shape of n latents of pictures or videos of io's size. */
struct shape autoencoder_latent_shape(const struct network *net, int64_t n);

/* Record a half.  x [N, H, W, C] of a size that autoencoder_check_size accepts -> the code;
 * z [N, h, w, latent_channels], not scaled, any size -> pictures, not clamped to -1 .. 1.  The
 * network must have that half.  Of videos: any number of frames -> the code; t frames of latents ->
 * io.frame_factor t frames, of which a video of fewer has the first (autoencoder_cut). */
struct tensor *autoencoder_encode(struct graph *g, const struct network *net, struct tensor *x);
struct tensor *autoencoder_decode(struct graph *g, const struct network *net, struct tensor *z);

/* Record the first frames of decoded videos: those behind a video's own last one mean nothing. */
struct tensor *autoencoder_cut(struct graph *g, struct tensor *videos, int64_t frames);

/* Record the latent of a code: of a normal distribution a sample, mean + deviation noise, or with
 * noise NULL its mean; else the code.  noise: of the latent's shape, standard normal. */
struct tensor *autoencoder_latents(struct graph *g, const struct network *net, struct tensor *code,
                                   struct tensor *noise);

/* --- a half in steps: for pictures too large for one tape ---------------------------------------
 *
 * A half is a chain of steps, each from a picture's places to places of the same size, twice, or
 * half the size.  A place of a result depends on places around it alone, and, through group norms,
 * on what all places have in common (struct norm_parts); or, where the step attends, on all. */

enum { REACH_ALL = -1 };

/* What a kind has: how many steps there are; how many places of what goes in a result looks beyond
 * its own on each side, or REACH_ALL; and to record one, norms as nn_group_norm_of_part. */
struct autoencoder_steps {
    int (*count)(const struct network *net, enum autoencoder_halves half);
    int64_t (*reach)(const struct network *net, enum autoencoder_halves half, int i);
    struct tensor *(*record)(struct graph *g, const struct network *net,
                             enum autoencoder_halves half, int i, struct tensor *x,
                             struct norm_parts *norms);
};

/* Of a half that the network has, HALVES_ENCODER or HALVES_DECODER; 0 where the kind has no steps.
 * All steps one after the other are autoencoder_encode or autoencoder_decode, bit for bit. */
int autoencoder_n_steps(const struct network *net, enum autoencoder_halves half);

/* Record what ties an encoder's latents z to its codebook, quantised.loss; the network has one
 * (io.codes is not 0). */
struct tensor *autoencoder_code_loss(struct graph *g, const struct network *net, struct tensor *z);

/* The weight of the layer that makes the pictures, on this tape: where an adversary is balanced.
 * The network has a decoder. */
struct tensor *autoencoder_last(struct graph *g, const struct network *net);

/* For kinds: what forward is, decode(mean of encode(x)), or the one half there is. */
struct tensor *autoencoder_forward(struct graph *g, const struct network *net,
                                   struct network_input in);

/* Of scale and shift of a configuration: one number, or one a channel; no scale is 0.  Of preview:
 * none, or as many as latents_preview reads.  E_ARG. */
enum status autoencoder_check_scaling(const char *kind, const struct network_io *io,
                                      struct error *err);

/* In place, n rows of latent_channels: z = (z - shift) scale, and back.  (architectures.md 3.3) */
void latents_scale(const struct network *net, float *z, int64_t n);
void latents_unscale(const struct network *net, float *z, int64_t n);

/* Make io.scale, io.shift or io.preview, as `name` says, these numbers: measured, not typed.  E_ARG
 * where a configuration could not have them; the old ones then stay. */
enum status autoencoder_set(struct network *net, const char *name, const double *value, int64_t n,
                            struct error *err);

/* What a latent looks like, without a decoder: of n scaled latents z [n, latent_channels] the
 * pictures' pixels [n, channels] at a factor-th of their size, about -1 .. 1 and not clamped,
 *
 *     picture[k] = offset[k] + sum_c weight[c][k] z[c].
 *
 * io.preview holds latent_channels rows of weights and then the offsets, a number for each picture
 * channel in each; a network without it (n = 0) has no such view. */
void latents_preview(const struct network *net, float *picture, const float *z, int64_t n);

/* --- the posterior: moments [N, ..., 2 C] -------------------------------------------------------
 */

struct tensor *posterior_mean(struct graph *g, struct tensor *moments);
/* A log variance held to where its exponential is harmless, -30 .. 20; of many, without slope
 * beyond. */
double posterior_held(double log_variance);
struct tensor *posterior_log_variance(struct graph *g, struct tensor *moments);
/* mean + exp(log variance / 2) noise;  noise [N, ..., C]. */
struct tensor *posterior_sample(struct graph *g, struct tensor *moments, struct tensor *noise);
/* KL(N(mean, variance) || N(0, 1)) of each sample, [N]:
 * sum (mean^2 + variance - 1 - log variance) / 2, in nats. */
struct tensor *posterior_kl(struct graph *g, struct tensor *moments);

/* --- discrete codes -----------------------------------------------------------------------------
 */

struct quantised {
    struct tensor *codes; /* rows of the codebook, of z's shape; z's in the backward             */
    struct tensor *numbers; /* which rows: int32 [N h w], in the order (n, y, x) */
    struct tensor *loss;    /* [1]: mean |sg(z) - e|^2 + beta mean |sg(e) - z|^2, the first moves
                               the codes, the second the encoder (van den Oord et al. 2017, (3))   */
};
struct quantised quantise(struct graph *g, struct tensor *z, struct tensor *codebook, double beta);

#endif
