/*
 * autoencode.c - what an autoencoder is trained for, recorded
 *
 *     x --encode--> moments --sample--> z --+ noise--> decode --> y
 *                      |                                          |
 *                 KL, or the codebook's                 |x - y| + perceptual distance
 *
 *     loss = ( nll + kl KL + H W C (codebook L_code + outliers L_out) ) / H W C,
 *     nll = sum (|x - y| + edges |d(x - y)|^2) exp(-s) + s,  d: to the pixel below and beside
 *
 * Each part is a sum over the picture, so that a weight of the KL means what it means in published
 * configurations (1e-6: reconstruction.c); the whole is divided by how many numbers a picture has,
 * which no optimizer of Adam's kind notices, so that losses, gradient norms and the clipping of
 * gradients mean the same at every size.  A codebook's loss is a mean already, and stands beside
 * the mean (Esser et al. 2021); so is the penalty of latents that stand out (outlier.c).
 *
 * A Gaussian latent has noise of its own, but at a weight of 1e-6 hardly any.  A generator's
 * latents are never quite those of a picture, so the decoder may be shown latents with noise on
 * them, as large as a share of each channel's deviation in the batch: a fixed size could be
 * outgrown by making latents larger.  architectures.md 3.2, 3.5.
 *
 * With an opponent (opponent.c) all that looks at y looks at it cut off from the decoder, and what
 * it says comes back as one gradient.  The scale s of the errors, where it is trained, learns from
 * the errors as they were, since that gradient is not for it.
 *
 * A video is a picture with more numbers: sums are over all its frames.  What looks at pictures
 * (the feature network, the opponent) is shown the frames one by one, and what decoding gives
 * beyond the video's own frames nobody sees.
 *
 * All noise is drawn on the host by the number of the sample, so that a resumed run is the uncut
 * one.
 */
#include "train/autoencode.h"

#include "base/memory.h"
#include "base/rng.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/loss.h"
#include "train/outlier.h"
#include "train/perceptual.h"
#include "train/reconstruction.h"

#include <math.h>
#include <stdlib.h>

const struct option autoencoder_option_rows[] = {
    {"pixels", "distance of pixels: l1 absolute differences, l2 squares", OPTION_CHOICE,
     offsetof(struct autoencoder_options, pixels), "l1", .choice = pixel_distance_name},
    {"kl", "weight of the divergence of Gaussian latents from the normal law", OPTION_REAL,
     offsetof(struct autoencoder_options, kl), "1e-6", .lo = 0, .hi = 1e6},
    {"edges", "weight of the squared error of differences between neighbouring pixels", OPTION_REAL,
     offsetof(struct autoencoder_options, edges), "0", .lo = 0, .hi = 1e6},
    {"inflate", "of videos: begin as this autoencoder of pictures", OPTION_TEXT,
     offsetof(struct autoencoder_options, inflate), .value = "FILE"},
    {"codebook", "weight of what ties latents and codebook together", OPTION_REAL,
     offsetof(struct autoencoder_options, codebook), "1", .lo = 0, .hi = 1e6},
    {"outliers", "weight of the penalty of latents that stand far out in their picture",
     OPTION_REAL, offsetof(struct autoencoder_options, outliers), "0", .lo = 0, .hi = 1e6},
    {"noise", "noise on the latents that the decoder is shown, over their deviation", OPTION_REAL,
     offsetof(struct autoencoder_options, noise), "0", .lo = 0, .hi = 10},
    {"perceptual", "weight of the distance that a feature network sees; 0: none", OPTION_REAL,
     offsetof(struct autoencoder_options, perceptual), "0", .lo = 0, .hi = 1e6},
    {"features", "that network: a model with network = cnn, or the backbone of LPIPS", OPTION_TEXT,
     offsetof(struct autoencoder_options, features), .value = "FILE"},
    {"heads", "of LPIPS: the file of its linear layers", OPTION_TEXT,
     offsetof(struct autoencoder_options, heads), .value = "FILE"},
    {"log_scale", "train the scale of the errors, too", OPTION_BOOL,
     offsetof(struct autoencoder_options, log_scale), "false", .lo = 0},
    {"discriminator", "weight of a discriminator's opinion; 0: there is none", OPTION_REAL,
     offsetof(struct autoencoder_options, opponent.how.weight), "0", .lo = 0, .hi = 1e6},
    {"discriminator_start", "steps before there is one", OPTION_INT,
     offsetof(struct autoencoder_options, opponent.how.start), "0", .lo = 0, .hi = 1e12},
    {"discriminator_limit", "of how much louder it is made where the distances shout", OPTION_REAL,
     offsetof(struct autoencoder_options, opponent.how.limit), "10000", .lo = 1e-6, .hi = 1e9},
    {"discriminator_width", "channels of its first layer", OPTION_INT,
     offsetof(struct autoencoder_options, opponent.width), "64", .lo = 1, .hi = 4096},
    {"discriminator_layers", "its layers that halve the picture", OPTION_INT,
     offsetof(struct autoencoder_options, opponent.layers), "3", .lo = 1, .hi = PATCHGAN_LAYERS},
    {"discriminator_rate", "its learning rate over the autoencoder's", OPTION_REAL,
     offsetof(struct autoencoder_options, opponent.rate), "1", .lo = 0, .hi = 1000},
    {"statistics", "pictures by which the finished latents are measured; 0: all", OPTION_INT,
     offsetof(struct autoencoder_options, statistics), "4096", .lo = 0, .hi = 1e9},
    {0},
};

/* Deviations, as long as all channels' together, within which a latent costs nothing. */
static const double OUTLIER_REACH = 3;

/* Noise of a batch: of the posterior, and for the decoder. */
enum { OF_POSTERIOR, FOR_DECODER, NOISES };

struct autoencode {
    const struct autoencoder_options *options;
    const struct network *net;
    uint64_t seed;
    int64_t rows;
    int64_t frames;          /* of a video, 1 of a picture    */
    int64_t length;          /* numbers of a picture or video ... */
    struct shape latents;    /* ... and the shape of a batch's latents */
    float *noise[NOISES];    /* [rows, ...]; NULL: not drawn  */
    struct perceptual *eyes; /* or NULL                       */

    struct params *scale;             /* or NULL: of one number, the log scale of the errors */
    struct companion scale_companion; /* its                                                 */
    struct opponent *opponent;        /* or NULL                                             */
    bool opposed;                     /* in the step that comes                              */
};

/* ---- Setting up ---- */

static enum status open_eyes(struct autoencode *a, struct error *err)
{
    const struct autoencoder_options *o = a->options;
    const struct network_io *io = &a->net->io;
    enum status st;

    if (!(o->perceptual > 0))
        return OK;
    if (!o->features || !*o->features)
        return fail(err, E_ARG,
                    "autoencoder.perceptual: a weight of %g, and autoencoder.features names no "
                    "network to look with",
                    o->perceptual);
    if ((st = perceptual_open(&a->eyes, o->features, o->heads, err)))
        return st;
    return perceptual_check(a->eyes, io->height, io->width, io->in_channels, err);
}

static enum status make_noise(struct autoencode *a, struct error *err)
{
    const bool wanted[NOISES] = {a->net->io.gaussian, a->options->noise > 0};
    enum status st;

    for (int k = 0; k < NOISES; k++)
        if (wanted[k] && (st = mem_new((void **)&a->noise[k], (uint64_t)shape_count(a->latents),
                                       sizeof(float), "noise of a batch", err)))
            return st;
    return OK;
}

static enum status make_scale(struct autoencode *a, int64_t batches, struct error *err)
{
    enum status st;

    if (!a->options->log_scale)
        return OK;
    if ((st = params_new(&a->scale, err)))
        return st;
    params_add(scope_root(a->scale), "log_scale", SHAPE(1), (struct init){.kind = INIT_ZERO});
    if ((st = params_alloc(a->scale, true, err)))
        return st;
    params_init(a->scale, a->seed);
    return companion_init(&a->scale_companion, "scale", a->scale, batches, err);
}

static enum status make_opponent(struct autoencode *a, int64_t batches, struct error *err)
{
    const struct network_io *io = &a->net->io;
    struct opponent_setting setting = {
        .options = &a->options->opponent,
        .height = io->height,
        .width = io->width,
        .channels = io->out_channels,
        .batches = batches,
        .seed = a->seed,
    };
    enum status st;

    if (!(a->options->opponent.how.weight > 0))
        return OK;
    if ((st = opponent_new(&a->opponent, &setting, err)))
        fail_under(err, "autoencoder.discriminator");
    return st;
}

enum status autoencode_new(struct autoencode **out, const struct autoencode_setting *setting,
                           struct error *err)
{
    const struct network_io *io = &setting->net->io;
    struct autoencode *a = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&a, 1, sizeof *a, "an autoencoder's training", err)))
        return st;
    a->options = setting->options;
    a->net = setting->net;
    a->seed = setting->seed;
    a->rows = setting->rows;
    a->frames = io->frames ? io->frames : 1;
    a->length = shape_count(network_shape(a->net, 1, io->in_channels));
    a->latents = autoencoder_latent_shape(a->net, a->rows);
    if ((st = open_eyes(a, err)) || (st = make_noise(a, err)) ||
        (st = make_scale(a, setting->accumulate, err)) ||
        (st = make_opponent(a, setting->accumulate, err)))
        autoencode_free(a);
    else
        *out = a;
    return st;
}

void autoencode_free(struct autoencode *a)
{
    if (!a)
        return;
    for (int k = 0; k < NOISES; k++)
        free(a->noise[k]);
    perceptual_free(a->eyes);
    companion_release(&a->scale_companion);
    params_free(a->scale);
    opponent_free(a->opponent);
    free(a);
}

void autoencode_set_frames(struct autoencode *a, int64_t frames)
{
    MUST(a->net->io.frames == frames, "a network of %d frames, and %d are told",
         (int)a->net->io.frames, (int)frames);
    a->frames = frames;
    a->length = shape_count(network_shape(a->net, 1, a->net->io.in_channels));
    a->latents = autoencoder_latent_shape(a->net, a->rows);
}

void autoencode_draw(struct autoencode *a, uint64_t first)
{
    int64_t each = shape_count(a->latents) / a->rows;

    for (int k = 0; k < NOISES; k++) {
        if (!a->noise[k])
            continue;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < a->rows; i++) {
            struct rng r = rng_stream_at(a->seed, RNG_LATENT, first + (uint64_t)i, (uint32_t)k);

            rng_normals(&r, a->noise[k] + i * each, each);
        }
    }
}

/* ---- Recording ---- */

/* z with noise on it, `share` of the deviation that each channel has in the batch. */
static struct tensor *roughen(struct graph *g, struct tensor *z, struct tensor *noise, double share)
{
    int64_t N = z->shape.dim[0], C = shape_last(z->shape);
    double each = (double)C / (double)shape_count(z->shape);
    struct tensor *known = op_detach(g, z), *mean, *square, *deviation;

    mean = op_affine(g, op_sum_rows(g, known), each, 0);
    square = op_affine(g, op_sum_rows(g, op_mul(g, known, known)), each, 0);
    square = op_clamp(g, op_sub(g, square, op_mul(g, mean, mean)), 1e-12, 1e12);
    deviation = op_affine(g, op_power(g, square, 0.5), share, 0);
    return op_gated_add(g, z, op_add_vec(g, op_fill(g, SHAPE(N, C), 0), deviation), noise);
}

/* The picture again, and in *prior what the latent costs, or NULL. */
static struct tensor *rebuild(const struct autoencode *a, struct graph *g, struct tensor *x,
                              struct tensor **prior)
{
    const struct autoencoder_options *o = a->options;
    const struct network *net = a->net;
    struct tensor *code = autoencoder_encode(g, net, x), *noise[NOISES] = {0}, *z, *outliers;
    double numbers = (double)a->length;

    for (int k = 0; k < NOISES; k++)
        if (a->noise[k])
            noise[k] = graph_input(g, a->latents, a->noise[k]);
    z = autoencoder_latents(g, net, code, noise[OF_POSTERIOR]);
    *prior = NULL;
    if (net->io.codes && o->codebook > 0)
        *prior = op_affine(g, autoencoder_code_loss(g, net, z), o->codebook * numbers, 0);
    if (net->io.gaussian && o->kl > 0)
        *prior = op_affine(g, batch_mean(g, posterior_kl(g, code)), o->kl, 0);
    if (o->outliers > 0) {
        outliers = outlier_loss(g, autoencoder_latents(g, net, code, NULL), OUTLIER_REACH);
        outliers = op_affine(g, outliers, o->outliers * numbers, 0);
        *prior = *prior ? op_add(g, *prior, outliers) : outliers;
    }
    if (noise[FOR_DECODER])
        z = roughen(g, z, noise[FOR_DECODER], o->noise);
    z = autoencoder_decode(g, net, z);
    return net->io.frames ? autoencoder_cut(g, z, a->frames) : z;
}

/* Frames of videos as pictures; pictures as they are. */
static struct tensor *as_pictures(struct graph *g, struct tensor *x)
{
    struct shape s = x->shape;

    if (s.rank < 5)
        return x;
    return op_reshape(g, x, SHAPE(s.dim[0] * s.dim[1], s.dim[2], s.dim[3], s.dim[4]));
}

/* Sums over a picture, or over all frames of a video. */
static struct tensor *errors_of(const struct autoencode *a, struct graph *g, struct tensor *x,
                                struct tensor *y)
{
    struct tensor *errors;

    x = as_pictures(g, x);
    y = as_pictures(g, y);
    errors = pixel_loss(g, x, y, (enum pixel_distance)a->options->pixels);
    if (a->options->edges > 0)
        errors = op_mix(g, errors, edge_loss(g, x, y), 1, a->options->edges);
    if (a->eyes)
        errors = perceptual_loss(g, errors, perceptual_distance(g, a->eyes, x, y),
                                 a->options->perceptual, a->length / a->frames);
    return a->frames > 1 ? op_affine(g, errors, (double)a->frames, 0) : errors;
}

struct tensor *autoencode_distance(const struct autoencode *a, struct graph *g, struct tensor *x,
                                   struct tensor *y)
{
    return op_affine(g, errors_of(a, g, x, y), 1 / (double)a->length, 0);
}

/* The likelihood of the errors under their scale, which learns from what they were: an opponent's
 * share of the decoder's gradient must not reach it. */
static struct tensor *scaled(const struct autoencode *a, struct graph *g, struct tensor *errors,
                             struct tensor **lesson)
{
    struct tensor *s;

    *lesson = NULL;
    if (!a->scale)
        return errors;
    s = nn_param(g, params_at(a->scale, 0));
    *lesson = scaled_loss(g, op_detach(g, errors), s, a->length);
    return scaled_loss(g, errors, op_detach(g, s), a->length);
}

void autoencode_begin(struct autoencode *a, int64_t step)
{
    a->opposed = a->opponent && opponent_begun(a->opponent, step);
}

struct tensor *autoencode_record(struct autoencode *a, struct graph *g, const float *pictures)
{
    const struct network_io *io = &a->net->io;
    double share = 1 / (double)a->length;
    struct opponent_move m = {.share = share};
    struct tensor *told, *prior, *lesson, *loss;

    m.x = graph_input(g, network_shape(a->net, a->rows, io->in_channels), pictures);
    m.y = as_pictures(g, rebuild(a, g, m.x, &prior));
    m.x = as_pictures(g, m.x);
    m.shown = a->opposed ? adversary_show(g, m.y) : m.y;
    m.nll = scaled(a, g, errors_of(a, g, m.x, m.shown), &lesson);
    told = op_affine(g, prior ? op_add(g, m.nll, prior) : m.nll, share, 0);
    graph_keep(g, told);
    if (a->opposed) {
        m.last = autoencoder_last(g, a->net);
        loss = opponent_record(a->opponent, g, &m);
        loss = prior ? op_mix(g, loss, prior, 1, share) : loss;
    } else {
        loss = told;
    }
    graph_backward(g, lesson ? op_mix(g, loss, lesson, 1, share) : loss);
    return told;
}

/* ---- What learns beside the network ---- */

static int list_companions(struct autoencode *a, bool opponent,
                           struct companion *out[AUTOENCODE_COMPANIONS])
{
    int n = 0;

    if (a->scale)
        out[n++] = &a->scale_companion;
    if (opponent)
        out[n++] = opponent_companion(a->opponent);
    return n;
}

int autoencode_companions(struct autoencode *a, struct companion *out[AUTOENCODE_COMPANIONS])
{
    return list_companions(a, a->opponent != NULL, out);
}

void autoencode_ran(struct autoencode *a, struct graph *g, int64_t k, int64_t n)
{
    if (a->scale)
        companion_add(&a->scale_companion, k, n);
    if (a->opposed)
        opponent_ran(a->opponent, g, k, n);
}

bool autoencode_measure(struct autoencode *a)
{
    struct companion *l[AUTOENCODE_COMPANIONS];
    bool finite = true;

    for (int n = list_companions(a, a->opposed, l), k = 0; k < n; k++)
        finite &= isfinite(companion_measure(l[k])) != 0;
    return finite;
}

void autoencode_step(struct autoencode *a, const struct adamw *how)
{
    struct adamw plain = *how;

    plain.weight_decay = 0;
    if (a->scale)
        companion_step(&a->scale_companion, &plain);
    if (a->opposed)
        opponent_step(a->opponent, how);
}

struct opponent_says autoencode_said(const struct autoencode *a)
{
    return a->opposed ? opponent_said(a->opponent) : (struct opponent_says){0};
}
