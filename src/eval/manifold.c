/*
 * manifold.c - precision and recall: quality and variety told apart
 *
 * One distance cannot say whether a model makes bad pictures or too few kinds of good ones.  A set
 * of features is therefore thickened to a region: a ball around each picture that reaches to its
 * k-th nearest companion.  A made picture inside the region of the real ones looks real; a real one
 * inside the region of the made ones could have been made.
 *
 * Balls of lone outliers are large, which is the known weakness; k = 3 keeps them small.  Distances
 * are taken in tiles (pairs.c), the k smallest of each row are kept by insertion.
 *
 * Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative models".
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "eval/pairs.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { K_MAX = 64 };

struct cloud {
    struct pairs pairs;
    const float *rows;
    float *radius; /* [n], squared */
};

static void keep_smallest(float *smallest, int64_t k, float d)
{
    int64_t at = k;

    if (!(d < smallest[k - 1]))
        return;
    for (; at > 1 && d < smallest[at - 2]; at--)
        smallest[at - 1] = smallest[at - 2];
    smallest[at - 1] = d;
}

/* Radii of the rows of one block. */
static void block_radii(struct cloud *c, int64_t own, int64_t k)
{
    const struct pairs *p = &c->pairs;
    int64_t n = pairs_rows(p, own);
    float tile[PAIRS_BLOCK * PAIRS_BLOCK], smallest[PAIRS_BLOCK * K_MAX];

    for (int64_t i = 0; i < n * k; i++)
        smallest[i] = INFINITY;
    for (int64_t block = 0; block < p->blocks; block++) {
        pairs_distances(tile, c->rows + own * PAIRS_BLOCK * p->D, n, p, own, p, block);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < pairs_rows(p, block); j++)
                if (block != own || i != j)
                    keep_smallest(smallest + i * k, k, tile[i * PAIRS_BLOCK + j]);
    }
    for (int64_t i = 0; i < n; i++)
        c->radius[own * PAIRS_BLOCK + i] = smallest[i * k + k - 1];
}

static enum status cloud_init(struct cloud *c, const float *rows, int64_t n, int64_t D, int64_t k,
                              struct error *err)
{
    enum status st;

    c->rows = rows;
    if ((st = pairs_init(&c->pairs, rows, n, D, err)) ||
        (st = mem_new((void **)&c->radius, (uint64_t)n, sizeof *c->radius, "radii", err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(c->pairs.norm[i]))
            return fail(err, E_NOT_FINITE, "the features of picture %" PRId64 " have length %g", i,
                        sqrt((double)c->pairs.norm[i]));
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < c->pairs.blocks; block++)
        block_radii(c, block, k);
    return OK;
}

static void cloud_release(struct cloud *c)
{
    pairs_release(&c->pairs);
    free(c->radius);
}

/* How many rows of one block of a lie inside b. */
static int64_t block_covered(const struct cloud *a, int64_t own, const struct cloud *b)
{
    int64_t n = pairs_rows(&a->pairs, own), D = a->pairs.D, count = 0;
    float tile[PAIRS_BLOCK * PAIRS_BLOCK];
    bool inside[PAIRS_BLOCK] = {false};

    for (int64_t block = 0; block < b->pairs.blocks; block++) {
        const float *radius = b->radius + block * PAIRS_BLOCK;

        pairs_distances(tile, a->rows + own * PAIRS_BLOCK * D, n, &a->pairs, own, &b->pairs, block);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < pairs_rows(&b->pairs, block); j++)
                inside[i] |= tile[i * PAIRS_BLOCK + j] <= radius[j];
    }
    for (int64_t i = 0; i < n; i++)
        count += inside[i];
    return count;
}

static double covered(const struct cloud *a, const struct cloud *b)
{
    int64_t count = 0;

#pragma omp parallel for schedule(static) reduction(+ : count)
    for (int64_t block = 0; block < a->pairs.blocks; block++)
        count += block_covered(a, block, b);
    return (double)count / (double)a->pairs.n;
}

enum status manifold_compare(struct manifold *out, const float *x, int64_t nx, const float *y,
                             int64_t ny, int64_t D, int64_t k, struct error *err)
{
    struct cloud a = {0}, b = {0};
    enum status st;

    *out = (struct manifold){0};
    if (k < 1 || k > K_MAX || k >= nx || k >= ny)
        return fail(err, E_ARG,
                    "%" PRId64 " neighbours in sets of %" PRId64 " and %" PRId64
                    ": 1 to %d, and fewer than there are",
                    k, nx, ny, K_MAX);
    if (!(st = cloud_init(&a, x, nx, D, k, err)) && !(st = cloud_init(&b, y, ny, D, k, err)))
        *out = (struct manifold){covered(&a, &b), covered(&b, &a)};
    cloud_release(&a);
    cloud_release(&b);
    return st;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    int64_t k = t->options.neighbours;
    struct manifold m;
    enum status st;

    if ((st = manifold_compare(&m, t->pictures.features, t->pictures.n, t->reference.features,
                               t->reference.n, t->D, k, err)))
        return st;
    measure_add(out, "precision", m.precision, -1, "share that looks real, %" PRId64 " neighbours",
                k);
    measure_add(out, "recall", m.recall, -1, "share of the reference that is covered");
    return OK;
}

const struct measure measure_precision = {
    .name = "precision",
    .summary = "precision and recall: quality and variety told apart",
    .paper = "Kynkaanniemi et al. 2019",
    .needs = NEEDS_REFERENCE | NEEDS_FEATURES,
    .of_clips = true,
    .run = run,
};
