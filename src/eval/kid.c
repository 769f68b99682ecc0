/*
 * kid.c - the kernel distance: do two sets of features have the same moments, up to the third?
 *
 * The Frechet distance is biased: it is not zero between two halves of one set, and fewer pictures
 * make it larger.  The squared maximum mean discrepancy has an estimate without bias,
 *
 *     sum_{i /= j} k(x_i, x_j) / m (m - 1) + the same of y - 2 sum_{i, j} k(x_i, y_j) / m^2,
 *
 * which may therefore be negative.  Averaging it over many small subsets costs less than one large
 * one and gives a deviation along with the mean, which says how much of a difference is luck.
 *
 * Each subset is drawn from the seed and its own number.  Binkowski et al. 2018, "Demystifying MMD
 * GANs".
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "base/rng.h"
#include "eval/pairs.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Memory of one subset pair. */
struct draw {
    int64_t size, D;
    float *x, *y;   /* [size, D]                       */
    int64_t *order; /* [max(nx, ny)]: a set, shuffled  */
    double *sums;   /* [blocks of rows]: each one's sum */
};

static void draw_release(struct draw *d)
{
    free(d->x);
    free(d->y);
    free(d->order);
    free(d->sums);
}

/* The first `size` of a shuffled 0 .. n-1 (Fisher and Yates), their rows copied. */
static void draw_rows(float *to, const float *from, int64_t n, struct draw *d, struct rng *r)
{
    for (int64_t i = 0; i < n; i++)
        d->order[i] = i;
    for (int64_t i = 0; i < d->size; i++) {
        int64_t j = i + (int64_t)rng_below(r, (uint64_t)(n - i)), row = d->order[j];

        d->order[j] = d->order[i];
        memcpy(to + i * d->D, from + row * d->D, (size_t)d->D * sizeof *to);
    }
}

/* Sum of a tile's kernels, of a tile on the diagonal without the kernels of rows with themselves.
 */
static double tile_sum(const float *tile, int64_t rows, int64_t columns, double scale,
                       bool on_diagonal)
{
    double sum = 0;

    for (int64_t i = 0; i < rows; i++) {
        double row = 0;

        for (int64_t j = 0; j < columns; j++) {
            double k = scale * (double)tile[i * PAIRS_BLOCK + j] + 1;

            row += on_diagonal && i == j ? 0 : k * k * k;
        }
        sum += row;
    }
    return sum;
}

/* Sum of k over all pairs of rows; of a set with itself, without the diagonal. */
static double kernel_sum(struct draw *d, const float *rows, const struct pairs *p, bool itself)
{
    double scale = 1 / (double)d->D, sum = 0;

#pragma omp parallel for schedule(static)
    for (int64_t a = 0; a < p->blocks; a++) {
        float tile[PAIRS_BLOCK * PAIRS_BLOCK];

        d->sums[a] = 0;
        for (int64_t b = 0; b < p->blocks; b++) {
            pairs_products(tile, rows + a * PAIRS_BLOCK * d->D, pairs_rows(p, a), p, b);
            d->sums[a] +=
                tile_sum(tile, pairs_rows(p, a), pairs_rows(p, b), scale, itself && a == b);
        }
    }
    for (int64_t a = 0; a < p->blocks; a++)
        sum += d->sums[a];
    return sum;
}

static enum status subset_distance(double *out, struct draw *d, struct error *err)
{
    double m = (double)d->size;
    struct pairs x = {0}, y = {0};
    enum status st;

    if (!(st = pairs_init(&x, d->x, d->size, d->D, err)) &&
        !(st = pairs_init(&y, d->y, d->size, d->D, err)))
        *out = (kernel_sum(d, d->x, &x, true) + kernel_sum(d, d->y, &y, true)) / (m * (m - 1)) -
               2 * kernel_sum(d, d->x, &y, false) / (m * m);
    pairs_release(&x);
    pairs_release(&y);
    return st;
}

static enum status check(int64_t nx, int64_t ny, int64_t subsets, int64_t size, struct error *err)
{
    if (size < 2 || size > nx || size > ny)
        return fail(err, E_ARG,
                    "subsets of %" PRId64 " pictures of sets of %" PRId64 " and %" PRId64
                    ": 2 or more are needed, and no more than there are",
                    size, nx, ny);
    if (subsets < 1)
        return fail(err, E_ARG, "%" PRId64 " subsets", subsets);
    return OK;
}

enum status kid_distance(struct kid *out, const float *x, int64_t nx, const float *y, int64_t ny,
                         int64_t D, int64_t subsets, int64_t size, uint64_t seed, struct error *err)
{
    struct draw d = {.size = size, .D = D};
    double mean = 0, square = 0, value = 0;
    enum status st;

    *out = (struct kid){0};
    if ((st = check(nx, ny, subsets, size, err)) ||
        (st = mem_new((void **)&d.x, (uint64_t)size, (uint64_t)D * sizeof *d.x, "a subset", err)) ||
        (st = mem_new((void **)&d.y, (uint64_t)size, (uint64_t)D * sizeof *d.y, "a subset", err)) ||
        (st = mem_new((void **)&d.order, (uint64_t)(nx > ny ? nx : ny), sizeof *d.order, "an order",
                      err)) ||
        (st = mem_new((void **)&d.sums, (uint64_t)size, sizeof *d.sums, "sums", err)))
        goto out;
    for (int64_t s = 0; s < subsets && !st; s++) {
        struct rng r = rng_stream(seed, RNG_EVAL, (uint64_t)s);
        double change;

        draw_rows(d.x, x, nx, &d, &r);
        draw_rows(d.y, y, ny, &d, &r);
        st = subset_distance(&value, &d, err);
        change = value - mean;
        mean += change / (double)(s + 1);
        square += change * (value - mean);
    }
    if (!st && !isfinite(mean))
        st = fail(err, E_NOT_FINITE, "the features' kernel is %g", mean);
    *out = (struct kid){mean, sqrt(square / (double)subsets)};
out:
    draw_release(&d);
    return st;
}

static int64_t subset_size(const struct measure_task *t)
{
    int64_t n = t->options.subset_size ? t->options.subset_size : 1000;

    if (t->options.subset_size)
        return n;
    n = n < t->pictures.n ? n : t->pictures.n;
    return n < t->reference.n ? n : t->reference.n;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct measure_options *o = &t->options;
    int64_t size = subset_size(t);
    struct kid k;
    enum status st;

    if ((st = kid_distance(&k, t->pictures.features, t->pictures.n, t->reference.features,
                           t->reference.n, t->D, o->subsets, size, o->seed, err)))
        return st;
    measure_add(out, "kid", k.mean, k.deviation, "%" PRId64 " subsets of %" PRId64, o->subsets,
                size);
    return OK;
}

const struct measure measure_kid = {
    .name = "kid",
    .summary = "squared kernel distance of features, without bias",
    .paper = "Binkowski et al. 2018",
    .needs = NEEDS_REFERENCE | NEEDS_FEATURES,
    .of_clips = true,
    .run = run,
};
