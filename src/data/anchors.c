/*
 * anchors.c - two synthetic sets on which the right answer of a training run is known
 *
 * A trainer can be wrong in ways that only slow it down.  These two 16 x 16 one-channel sets have
 * published learning curves, so a run can be laid beside them:
 *
 *   anchor-gauss    Ten classes, each exactly Gaussian: a plane wave as mean, eight smooth modes of
 *                   known deviation and a little white noise.  The best velocity loss is known in
 *                   closed form (0.15345 for uniform t), and the moments of samples can be checked.
 *   anchor-shapes   Ten classes of soft grey forms (disc, ring, square, ...) with free place, size
 *                   and intensity: far from Gaussian, and small enough to learn in minutes.
 *
 * Pixel coordinates are cell centres on [-1, 1], x along columns and y along rows.  Values are NOT
 * clipped to [-1, 1]: clipping would make the Gaussian set not Gaussian.  Picture i is a pure
 * function of (seed, i); the class is drawn first, then the free numbers in the order of the
 * formulas.
 */
#include "base/memory.h"
#include "base/rng.h"
#include "data/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { SIDE = 16, CLASSES = 10, MODES = 8 };

static const double pi = 3.14159265358979323846;

struct anchor {
    uint64_t seed;
};

static double cell(int i)
{
    return (i + 0.5) / SIDE * 2 - 1;
}

/* The unit-norm DCT-II vectors with 0, 1 and 2 half waves; a mode is the product of two of them. */
static void waves_make(double wave[3][SIDE])
{
    for (int a = 0; a < 3; a++)
        for (int i = 0; i < SIDE; i++)
            wave[a][i] = sqrt((a ? 2.0 : 1.0) / SIDE) * cos(pi * a * (i + 0.5) / SIDE);
}

static void gauss_draw(int class, struct rng *g, float *pixels)
{
    static const double deviation[MODES] = {3, 2.5, 2, 1.5, 1.2, 1, 0.8, 0.6};
    double fx = 0.5 * (class % 4 + 1), fy = 0.5 * (class / 4 + 1);
    double weight[MODES], wave[3][SIDE];

    waves_make(wave);
    for (int j = 0; j < MODES; j++)
        weight[j] = deviation[j] * rng_normal(g);
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double value = 0.8 * cos(pi * (fx * cell(j) + fy * cell(i)) + 0.6 * class);

            /* Modes (down, across) in the order (0,1) (0,2) (1,0) ... (2,2): m + 1 in base 3. */
            for (int m = 0; m < MODES; m++)
                value += weight[m] * wave[(m + 1) / 3][i] * wave[(m + 1) % 3][j];
            pixels[i * SIDE + j] = (float)(value + 0.05 * rng_normal(g));
        }
}

static double grey_distance(int class, double x, double y, double r)
{
    const double w = 0.14;
    double ax = fabs(x), ay = fabs(y), box = fmax(ax, ay), round = sqrt(x * x + y * y);

    switch (class) {
    case 0: /* disc */
        return round - r;
    case 1: /* ring */
        return fabs(round - r) - w;
    case 2: /* square */
        return box - r;
    case 3: /* square frame */
        return fabs(box - r) - w;
    case 4: /* plus */
        return fmax(fmin(ax, ay) - w, box - 1.2 * r);
    case 5: /* cross */
        return fmax(fmin(fabs(x - y), fabs(x + y)) / sqrt(2) - w, box - 1.2 * r);
    case 6: /* diamond */
        return ax + ay - 1.2 * r;
    case 7: /* horizontal bar */
        return ay - w;
    case 8: /* vertical bar */
        return ax - w;
    default: /* diagonal bar */
        return fmax(fabs(x - y) / sqrt(2) - w, round - 2);
    }
}

static void grey_draw(int class, struct rng *g, float *pixels)
{
    double cx = -0.35 + 0.7 * rng_uniform(g), cy = -0.35 + 0.7 * rng_uniform(g);
    double r = 0.3 + 0.25 * rng_uniform(g), intensity = 0.5 + 0.5 * rng_uniform(g);

    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double d = grey_distance(class, cell(j) - cx, cell(i) - cy, r);

            pixels[i * SIDE + j] = (float)(-1 + (1 + intensity) / (1 + exp(16 * d)));
        }
}

static enum status anchor_open(struct dataset *d, const struct dataset_config *c,
                               const char *const names[CLASSES], struct error *err)
{
    struct anchor *impl;
    enum status st;

    if ((c->size && c->size != SIDE) || (c->channels && c->channels != 1))
        return fail(err, E_ARG,
                    "%s: pictures are 16 x 16 with 1 channel; asked are size %" PRId64
                    ", channels %" PRId64,
                    c->format, c->size, c->channels);
    if ((st = mem_new(&d->impl, 1, sizeof *impl, "an anchor set", err)))
        return st;
    impl = d->impl;
    impl->seed = c->seed;
    d->count = INT64_MAX;
    d->height = d->width = SIDE;
    d->channels = 1;
    return dataset_name_classes(d, CLASSES, names, err);
}

static enum status gauss_open(struct dataset *d, const struct dataset_config *c, struct error *err)
{
    return anchor_open(d, c, NULL, err);
}

static enum status grey_open(struct dataset *d, const struct dataset_config *c, struct error *err)
{
    static const char *const names[CLASSES] = {
        "disc",  "ring",    "square",         "square frame", "plus",
        "cross", "diamond", "horizontal bar", "vertical bar", "diagonal bar"};

    return anchor_open(d, c, names, err);
}

static void anchor_close(struct dataset *d)
{
    free(d->impl);
}

static enum status anchor_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                              void (*draw)(int class, struct rng *g, float *pixels))
{
    const struct anchor *impl = d->impl;
    struct rng g = rng_stream(impl->seed, RNG_DATA, (uint64_t)i);

    *label = (int32_t)rng_below(&g, CLASSES);
    draw(*label, &g, pixels);
    return OK;
}

static enum status gauss_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                             char caption[CAPTION_TEXT], struct error *err)
{
    (void)caption, (void)err;
    return anchor_get(d, i, pixels, label, gauss_draw);
}

static enum status grey_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                            char caption[CAPTION_TEXT], struct error *err)
{
    (void)caption, (void)err;
    return anchor_get(d, i, pixels, label, grey_draw);
}

const struct dataset_format dataset_anchor_gauss = {
    .name = "anchor-gauss",
    .summary = "ten exactly Gaussian classes, 16 x 16, with a known best loss; endless",
    .open = gauss_open,
    .close = anchor_close,
    .get = gauss_get,
};

const struct dataset_format dataset_anchor_shapes = {
    .name = "anchor-shapes",
    .summary = "ten grey forms, 16 x 16, with published learning curves; endless",
    .open = grey_open,
    .close = anchor_close,
    .get = grey_get,
};
