/*
 * sliced.c - the sliced Wasserstein distance of two sets of pictures, by their pixels
 *
 * In one dimension the cheapest way to move one set of numbers onto another is in their order, so
 * W_2 is a sort.  In many dimensions it is averaged over random directions.  No network has a say
 * in it: whoever trains a feature network cannot favour a model by it, and a set of any kind of
 * picture can be measured at once.  It sees layout and brightness, and little of detail.
 *
 * For a shift by c alone, W_2^2 along theta is <c, theta>^2, whose mean is |c|^2 / length.
 *
 * 64 directions at a time, so that memory is that of 64 columns and not of all.  Rabin et al. 2012;
 * Bonneel et al. 2015.
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "base/rng.h"
#include "data/picture.h"
#include "eval/pairs.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* --- along one direction ------------------------------------------------------------------------
 */

static int rising(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* W_2^2 of two sorted sets: the integral of the squared difference of their quantiles, whose steps
 * end at multiples of 1 / na and 1 / nb; in units of 1 / (na nb) all are whole numbers. */
static double quantile_distance(const float *a, int64_t na, const float *b, int64_t nb)
{
    int64_t i = 0, j = 0, at = 0;
    double sum = 0;

    while (i < na && j < nb) {
        int64_t end_a = (i + 1) * nb, end_b = (j + 1) * na, end = end_a < end_b ? end_a : end_b;
        double d = (double)a[i] - (double)b[j];

        sum += (double)(end - at) * d * d;
        at = end;
        i += end == end_a;
        j += end == end_b;
    }
    return sum / ((double)na * (double)nb);
}

/* --- many directions ----------------------------------------------------------------------------
 */

struct slices {
    int64_t length;
    struct pairs directions;
    float *a, *b;  /* [64, n]: sets along the present 64 directions */
    float *unit;   /* [projections, length] */
    double *moved; /* [projections]: W_2^2  */
};

static void draw_directions(float *unit, int64_t projections, int64_t length, uint64_t seed)
{
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < projections; p++) {
        struct rng r = rng_stream(seed, RNG_EVAL, (uint64_t)p);
        double square = 0;

        rng_normals(&r, unit + p * length, length);
        for (int64_t k = 0; k < length; k++)
            square += (double)unit[p * length + k] * (double)unit[p * length + k];
        for (int64_t k = 0; k < length; k++)
            unit[p * length + k] = (float)((double)unit[p * length + k] / sqrt(square));
    }
}

/* 64 pictures along 64 directions. */
static void project_block(float *out, const struct slices *s, struct pixel_set set, int64_t first,
                          float *rows, int64_t block)
{
    int64_t n = set.n - first < PAIRS_BLOCK ? set.n - first : PAIRS_BLOCK;
    float tile[PAIRS_BLOCK * PAIRS_BLOCK];

    picture_floats(rows, set.pixels + first * s->length, n * s->length);
    pairs_products(tile, rows, n, &s->directions, block);
    for (int64_t p = 0; p < PAIRS_BLOCK; p++)
        for (int64_t i = 0; i < n; i++)
            out[p * set.n + first + i] = tile[i * PAIRS_BLOCK + p];
}

static enum status project(float *out, const struct slices *s, struct pixel_set set, int64_t block,
                           struct error *err)
{
    bool without = false;

#pragma omp parallel reduction(|| : without)
    {
        float *rows = malloc((size_t)(PAIRS_BLOCK * s->length) * sizeof *rows);

        without = !rows;
#pragma omp for schedule(static)
        for (int64_t first = 0; first < set.n; first += PAIRS_BLOCK)
            if (rows)
                project_block(out, s, set, first, rows, block);
        free(rows);
    }
    return without ? fail(err, E_MEMORY, "no memory for %d pictures", PAIRS_BLOCK) : OK;
}

static enum status measure_block(struct slices *s, struct pixel_set a, struct pixel_set b,
                                 int64_t block, struct error *err)
{
    int64_t n = pairs_rows(&s->directions, block);
    enum status st;

    if ((st = project(s->a, s, a, block, err)) || (st = project(s->b, s, b, block, err)))
        return st;
#pragma omp parallel for schedule(dynamic)
    for (int64_t p = 0; p < n; p++) {
        qsort(s->a + p * a.n, (size_t)a.n, sizeof *s->a, rising);
        qsort(s->b + p * b.n, (size_t)b.n, sizeof *s->b, rising);
        s->moved[block * PAIRS_BLOCK + p] =
            quantile_distance(s->a + p * a.n, a.n, s->b + p * b.n, b.n);
    }
    return OK;
}

/* The root of the mean, and the deviation of that root: of the mean, by the root's slope. */
static void summarise(struct sliced *out, const double *moved, int64_t n)
{
    double mean = 0, square = 0;

    for (int64_t p = 0; p < n; p++)
        mean += moved[p] / (double)n;
    for (int64_t p = 0; p < n; p++)
        square += (moved[p] - mean) * (moved[p] - mean);
    out->distance = sqrt(mean);
    out->deviation =
        n > 1 && mean > 0 ? sqrt(square / (double)(n - 1) / (double)n) / (2 * sqrt(mean)) : 0;
}

static void slices_release(struct slices *s)
{
    pairs_release(&s->directions);
    free(s->a);
    free(s->b);
    free(s->unit);
    free(s->moved);
}

enum status sliced_wasserstein(struct sliced *out, struct pixel_set a, struct pixel_set b,
                               int64_t length, int64_t projections, uint64_t seed,
                               struct error *err)
{
    struct slices s = {.length = length};
    enum status st;

    *out = (struct sliced){0};
    if (a.n < 1 || b.n < 1 || projections < 1)
        return fail(err, E_ARG,
                    "sets of %" PRId64 " and %" PRId64 " pictures along %" PRId64 " directions",
                    a.n, b.n, projections);
    if ((st = mem_new((void **)&s.unit, (uint64_t)projections, (uint64_t)length * sizeof *s.unit,
                      "directions", err)) ||
        (st = mem_new((void **)&s.a, PAIRS_BLOCK * (uint64_t)a.n, sizeof *s.a, "projections",
                      err)) ||
        (st = mem_new((void **)&s.b, PAIRS_BLOCK * (uint64_t)b.n, sizeof *s.b, "projections",
                      err)) ||
        (st = mem_new((void **)&s.moved, (uint64_t)projections, sizeof *s.moved, "distances", err)))
        goto out;
    draw_directions(s.unit, projections, length, seed);
    if ((st = pairs_init(&s.directions, s.unit, projections, length, err)))
        goto out;
    for (int64_t block = 0; block < s.directions.blocks && !st; block++)
        st = measure_block(&s, a, b, block, err);
    if (!st)
        summarise(out, s.moved, projections);
out:
    slices_release(&s);
    return st;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures;
    struct sliced s;
    enum status st;

    if ((st = sliced_wasserstein(&s, (struct pixel_set){p->pixels, p->n},
                                 (struct pixel_set){t->reference.pixels, t->reference.n},
                                 set_length(p), t->options.projections, t->options.seed, err)))
        return st;
    measure_add(out, "sliced", s.distance, s.deviation, "pixels along %" PRId64 " directions",
                t->options.projections);
    return OK;
}

const struct measure measure_sliced = {
    .name = "sliced",
    .summary = "sliced Wasserstein distance of pixels; no network",
    .paper = "Rabin et al. 2012",
    .needs = NEEDS_REFERENCE | NEEDS_PIXELS,
    .of_clips = true,
    .run = run,
};
