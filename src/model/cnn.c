/*
 * cnn.c - a small convolutional classifier, whose features measures and losses compare
 *
 * Distances between sets of pictures are taken between features of a network that was taught to
 * tell pictures apart.  For photographs that is Inception; for small grey pictures of clothes or
 * digits its features say little, and a classifier of the very set, trained in minutes, knows what
 * matters in it.  The same network judges whether a picture shows what was asked for.
 *
 *     stage k:  blocks x [conv 3 x 3, group norm, SiLU], the first of a later stage at half size
 *     features  the mean over the pixels of the last stage
 *     logits    a linear function of the features
 *
 * Group norm and not batch norm: a picture's features must not depend on the pictures beside it.
 * The mean over pixels makes features blind to place, as Inception's are, and smooth in the
 * picture.  It knows no t: it is for clean pictures only.
 *
 * Of clips its features must know what moves, and where to.  Space and time take turns, as in the
 * autoencoder of clips (vae_time.h): behind each convolution of single frames one along time at
 * each place, and where a stage halves the sides it halves the frames too.  Two frames side by side
 * and a threshold are all that seeing a direction takes (Adelson and Bergen 1985); the mean at the
 * end is over places and frames.
 */
#include "model/cnn.h"

#include "model/vae_time.h"
#include "nn/layers.h"
#include "ops/basic.h"

#include <inttypes.h>
#include <stdlib.h>

enum { BLOCKS_MAX = 16, CHANNELS_MAX = 65536, TIME_TAPS = 3 };
static const double NORM_EPS = 1e-5;

static const struct option options[] = {
    {"size", "height and width of the pictures", OPTION_INT, offsetof(struct cnn_config, size),
     "32", .lo = 1, .hi = 4096},
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct cnn_config, channels), "3",
     .lo = 1, .hi = 256},
    {"frames", "of the clips; 1: pictures", OPTION_INT, offsetof(struct cnn_config, frames), "1",
     .lo = 1, .hi = 1024},
    {"classes", "labels to tell apart", OPTION_INT, offsetof(struct cnn_config, classes), "2",
     .lo = 0, .hi = 1000000},
    {"width", "channels of the first stage", OPTION_INT, offsetof(struct cnn_config, width), "32",
     .lo = 1, .hi = 4096},
    {"mult", "channels of each stage over the width; the last has the features", OPTION_REALS,
     offsetof(struct cnn_config, mult), "1,2,4", .lo = 0.125, .hi = 64},
    {"blocks", "convolutions a stage", OPTION_INT, offsetof(struct cnn_config, blocks), "2",
     .lo = 1, .hi = BLOCKS_MAX},
    {"groups", "groups of the norms", OPTION_INT, offsetof(struct cnn_config, groups), "8", .lo = 1,
     .hi = 1024},
    {0},
};

static int64_t stage_channels(const struct cnn_config *c, int stage)
{
    return (int64_t)((double)c->width * c->mult.at[stage]);
}

static enum status cnn_check(const void *config, struct error *err)
{
    const struct cnn_config *c = config;

    if (c->classes < 2)
        return fail(err, E_ARG,
                    "cnn.classes: a classifier tells 2 or more classes apart, not %" PRId64,
                    c->classes);
    if (c->mult.n < 1 || c->mult.n > CNN_STAGES)
        return fail(err, E_ARG, "cnn.mult: %d stages, not 1 to %d", c->mult.n, CNN_STAGES);
    if (c->size >> (c->mult.n - 1) < 1)
        return fail(err, E_ARG, "cnn.mult: pictures of %" PRId64 " cannot be halved %d times",
                    c->size, c->mult.n - 1);
    for (int k = 0; k < c->mult.n; k++) {
        int64_t n = stage_channels(c, k);

        if (n < 1 || n > CHANNELS_MAX || n % c->groups)
            return fail(err, E_ARG,
                        "cnn.mult: stage %d has %" PRId64 " channels, not a multiple of %" PRId64
                        " groups up to %d",
                        k, n, c->groups, CHANNELS_MAX);
    }
    return OK;
}

static void cnn_io(const void *config, struct network_io *io)
{
    const struct cnn_config *c = config;

    *io = (struct network_io){
        .height = c->size,
        .width = c->size,
        .in_channels = c->channels,
        .frames = c->frames > 1 ? c->frames : 0,
        .n_classes = c->classes,
        .null_label = -1,
        .classifies = true,
        .clean = true,
    };
}

struct block {
    struct conv conv;
    struct time_conv time; /* of clips */
    struct group_norm norm;
};

struct cnn {
    struct linear head;
    int n;
    struct block block[];
};

static void *cnn_declare(const void *config, struct scope s)
{
    const struct cnn_config *c = config;
    int64_t in = c->channels;
    struct cnn *m = calloc(1, sizeof *m + (size_t)(c->mult.n * c->blocks) * sizeof *m->block);

    if (!m)
        return NULL;
    for (int k = 0; k < c->mult.n; k++)
        for (int64_t b = 0; b < c->blocks; b++) {
            struct scope here = scope_in(s, "stages.%d.%d", k, (int)b);
            struct block *to = &m->block[m->n++];
            int64_t out = stage_channels(c, k);

            conv_init(&to->conv, scope_in(here, "conv"), in, out, 3, k && !b ? 2 : 1, INIT_KAIMING);
            if (c->frames > 1)
                time_conv_declare(&to->time, scope_in(here, "time"), out, TIME_TAPS, 1,
                                  k && !b ? 2 : 1);
            group_norm_init(&to->norm, scope_in(here, "norm"), out, c->groups, NORM_EPS);
            in = out;
        }
    linear_init(&m->head, scope_in(s, "head"), in, c->classes, INIT_KAIMING);
    return m;
}

int64_t cnn_features(const struct network *net)
{
    const struct cnn_config *c = net->config;

    return stage_channels(c, c->mult.n - 1);
}

int cnn_stages(struct graph *g, const struct network *net, struct tensor *x,
               struct tensor *stage[CNN_STAGES])
{
    const struct cnn_config *c = net->config;
    const struct cnn *m = net->layers;
    struct shape s = x->shape;
    int64_t T = 1;

    if (s.rank == 5) {
        T = s.dim[1];
        x = op_reshape(g, x, SHAPE(s.dim[0] * T, s.dim[2], s.dim[3], s.dim[4]));
    }
    for (int k = 0; k < m->n; k++) {
        const struct block *b = &m->block[k];

        x = time_conv_forward(g, &b->time, nn_conv(g, &b->conv, x), T);
        T = time_conv_frames(&b->time, T);
        x = nn_group_norm(g, &b->norm, x, NULL, true);
        stage[k / c->blocks] = x;
    }
    return c->mult.n;
}

struct tensor *cnn_forward(struct graph *g, const struct network *net, struct tensor *x,
                           struct tensor **features)
{
    const struct cnn *m = net->layers;
    struct tensor *stage[CNN_STAGES];
    int64_t N = x->shape.dim[0], places;
    struct shape s;

    x = stage[cnn_stages(g, net, x, stage) - 1];
    s = x->shape;
    places = s.dim[0] / N * s.dim[1] * s.dim[2];
    if (s.dim[0] > N) /* the frames of a clip below each other */
        x = op_reshape(g, x, SHAPE(N, s.dim[0] / N * s.dim[1], s.dim[2], s.dim[3]));
    x = op_affine(g, op_sum_inner(g, x), 1 / (double)places, 0);
    if (features)
        *features = x;
    return nn_linear(g, &m->head, x);
}

static struct tensor *forward(struct graph *g, const struct network *net, struct network_input in)
{
    return cnn_forward(g, net, in.x, NULL);
}

const struct network_kind network_cnn = {
    .name = "cnn",
    .summary = "small classifier of clean pictures or clips, whose features measures compare",
    .options = options,
    .config_bytes = sizeof(struct cnn_config),
    .check = cnn_check,
    .declare = cnn_declare,
    .io = cnn_io,
    .forward = forward,
};
