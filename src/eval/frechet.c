/*
 * frechet.c - the Frechet distance of two Gaussians fitted to features
 *
 * Two sets of pictures are alike when their features are distributed alike; of the distributions
 * only means and covariances are compared, because those can be estimated from thousands of
 * pictures in hundreds of dimensions, and because the Wasserstein distance of two Gaussians has a
 * closed form.
 *
 * The trace of (S1 S2)^(1/2) is the sum of the roots of the eigenvalues of S1 S2, which is not
 * symmetric.  With S1 = L L^T they are those of L^T S2 L, which is, so no square root of a matrix
 * is ever taken (the published programs take one, by Schur's form, and must then throw away
 * imaginary parts and add a little to the diagonals).  Eigenvalues that rounding made negative
 * count as zero.
 *
 * Sums over pictures are taken in double, the mean first: E[x^2] - E[x]^2 would lose what it is to
 * find.  A covariance of n pictures in D dimensions is biased by about D / n of itself, so
 * distances are comparable between equal n only; hence the floor at the end: the distance between
 * true pictures at the same n.
 *
 * Dowson and Landau 1982; Heusel et al. 2017.
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "base/simd.h"
#include "data/loader.h"
#include "eval/symmetric.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 32, ROWS = 256 };

void gaussian_release(struct gaussian *g)
{
    free(g->mean);
    free(g->covariance);
    *g = (struct gaussian){0};
}

/* --- mean and covariance ------------------------------------------------------------------------
 */

static enum status check_rows(const float *x, int64_t n, int64_t D, int64_t stride,
                              struct error *err)
{
    if (n <= D)
        return fail(err, E_ARG,
                    "%" PRId64 " pictures do not fix a Gaussian of %" PRId64
                    " features: at least %" PRId64 " are needed",
                    n, D, D + 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < D; d++)
            if (!isfinite(x[i * stride + d]))
                return fail(err, E_NOT_FINITE, "feature %" PRId64 " of picture %" PRId64 " is %g",
                            d, i, (double)x[i * stride + d]);
    return OK;
}

static void fit_mean(double *mean, const float *x, int64_t n, int64_t D, int64_t stride)
{
    for (int64_t d = 0; d < D; d++)
        mean[d] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < D; d++)
            mean[d] += (double)x[i * stride + d];
    for (int64_t d = 0; d < D; d++)
        mean[d] /= (double)n;
}

/* Columns [first, first + COLUMNS) of `rows` rows, less their means; zero past the last column. */
static void centre(double *restrict out, const float *x, int64_t rows, int64_t stride,
                   const double *mean, int64_t first, int64_t D)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < COLUMNS; c++)
            out[i * COLUMNS + c] =
                first + c < D ? (double)x[i * stride + first + c] - mean[first + c] : 0;
}

IMGEN_CLONES static void add_products(double *restrict sum, const double *restrict a,
                                      const double *restrict b, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = 0; p < COLUMNS; p++)
            for (int64_t q = 0; q < COLUMNS; q++)
                sum[p * COLUMNS + q] += a[i * COLUMNS + p] * b[i * COLUMNS + q];
}

/* Columns [p, p + COLUMNS) against [q, q + COLUMNS), and the mirrored tile. */
static void fit_tile(struct gaussian *g, const float *x, int64_t stride, int64_t p, int64_t q)
{
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS], sum[COLUMNS * COLUMNS] = {0};

    for (int64_t i = 0; i < g->n; i += ROWS) {
        int64_t rows = g->n - i < ROWS ? g->n - i : ROWS;

        centre(a, x + i * stride, rows, stride, g->mean, p, g->D);
        centre(b, x + i * stride, rows, stride, g->mean, q, g->D);
        add_products(sum, a, b, rows);
    }
    for (int64_t r = 0; r < COLUMNS && p + r < g->D; r++)
        for (int64_t c = 0; c < COLUMNS && q + c < g->D; c++) {
            double value = sum[r * COLUMNS + c] / (double)(g->n - 1);

            g->covariance[(p + r) * g->D + q + c] = value;
            g->covariance[(q + c) * g->D + p + r] = value;
        }
}

enum status gaussian_fit(struct gaussian *g, const float *x, int64_t n, int64_t D, int64_t stride,
                         struct error *err)
{
    int64_t tiles = (D + COLUMNS - 1) / COLUMNS;
    enum status st;

    *g = (struct gaussian){.n = n, .D = D};
    if ((st = check_rows(x, n, D, stride, err)) ||
        (st = mem_new((void **)&g->mean, (uint64_t)D, sizeof *g->mean, "means", err)) ||
        (st = mem_new((void **)&g->covariance, (uint64_t)D, (uint64_t)D * sizeof *g->covariance,
                      "a covariance", err)))
        return st;
    fit_mean(g->mean, x, n, D, stride);
#pragma omp parallel for schedule(dynamic)
    for (int64_t tile = 0; tile < tiles * tiles; tile++) {
        int64_t p = tile / tiles, q = tile % tiles;

        if (p <= q)
            fit_tile(g, x, stride, p * COLUMNS, q * COLUMNS);
    }
    return OK;
}

/* --- the distance -------------------------------------------------------------------------------
 */

/* tr (a b)^(1/2), a and b [n, n]. */
static enum status root_trace(double *out, const double *a, const double *b, int64_t n,
                              struct error *err)
{
    uint64_t count = (uint64_t)(n * n);
    double *l = NULL, *bl = NULL, *value = NULL;
    int64_t rank;
    enum status st;

    *out = 0;
    if ((st = mem_new((void **)&l, count, sizeof *l, "a factor", err)) ||
        (st = mem_new((void **)&bl, count, sizeof *bl, "a product", err)) ||
        (st = mem_new((void **)&value, count, sizeof *value, "a product", err)) ||
        (st = symmetric_factor(l, &rank, a, n, err)))
        goto out;
    symmetric_product(bl, b, n, l, n, n, n, rank);
    symmetric_product(value, l, n, bl, rank, n, rank, rank);
    if ((st = symmetric_eigenvalues(bl, value, rank, err)))
        goto out;
    for (int64_t i = 0; i < rank; i++)
        *out += bl[i] > 0 ? sqrt(bl[i]) : 0;
out:
    free(l);
    free(bl);
    free(value);
    return st;
}

enum status frechet_between(struct frechet *out, const struct gaussian *a, const struct gaussian *b,
                            struct error *err)
{
    double root;
    enum status st;

    MUST(a->D == b->D, "Gaussians of %" PRId64 " and %" PRId64 " dimensions", a->D, b->D);
    *out = (struct frechet){0};
    if ((st = root_trace(&root, a->covariance, b->covariance, a->D, err)))
        return st;
    for (int64_t d = 0; d < a->D; d++) {
        double shift = a->mean[d] - b->mean[d];

        out->mean += shift * shift;
        out->covariance += a->covariance[d * a->D + d] + b->covariance[d * a->D + d];
    }
    out->covariance = fmax(out->covariance - 2 * root, 0);
    out->distance = out->mean + out->covariance;
    return OK;
}

enum status frechet_distance(struct frechet *out, const float *x, int64_t nx, const float *y,
                             int64_t ny, int64_t D, struct error *err)
{
    struct gaussian a = {0}, b = {0};
    enum status st;

    if (!(st = gaussian_fit(&a, x, nx, D, D, err)) && !(st = gaussian_fit(&b, y, ny, D, D, err)))
        st = frechet_between(out, &a, &b, err);
    gaussian_release(&a);
    gaussian_release(&b);
    return st;
}

/* --- the measure ---------------------------------------------------------------------------------
 */

/* Numbers of the reference's pictures, class by class, shuffled inside each: start is scratch for
 * the largest label and two more. */
static void by_class(int64_t *order, int64_t *start, const struct measure_task *t, int64_t classes)
{
    const int32_t *label = t->reference.label;
    int64_t n = t->reference.n;

    for (int64_t i = 0; i < n; i++)
        start[label ? label[i] + 2 : 1]++;
    for (int64_t c = 1; c <= classes; c++)
        start[c] += start[c - 1];
    for (int64_t i = 0; i < n; i++) {
        int64_t row = loader_index(t->options.seed, n, i);

        order[start[label ? label[row] + 1 : 0]++] = row;
    }
}

/* The reference in two parts: rows [n, D] of the first, and the others behind it.  Pictures are
 * dealt evenly along the classes, so that both parts hold them in the same shares: a share that
 * chance made larger would count as a difference. */
static enum status deal(float *rows, const struct measure_task *t, int64_t n, struct error *err)
{
    int64_t all = t->reference.n, classes = 1, first = 0, other = n;
    int64_t *order = NULL, *start = NULL;
    enum status st;

    for (int64_t i = 0; t->reference.label && i < all; i++)
        classes = t->reference.label[i] + 2 > classes ? t->reference.label[i] + 2 : classes;
    if (!(st = mem_new((void **)&order, (uint64_t)all, sizeof *order, "an order", err)) &&
        !(st = mem_new((void **)&start, (uint64_t)classes + 1, sizeof *start, "an order", err))) {
        by_class(order, start, t, classes);
        for (int64_t i = 0; i < all; i++) {
            bool mine = (i + 1) * n / all > i * n / all;

            memcpy(rows + (mine ? first++ : other++) * t->D,
                   t->reference.features + order[i] * t->D, (size_t)t->D * sizeof *rows);
        }
    }
    free(order);
    free(start);
    return st;
}

/* The distance that remains between true pictures: as many as were measured, where the reference
 * has twice that, against the rest of it.  No model can be nearer. */
static enum status add_floor(struct measure_result *out, const struct measure_task *t,
                             struct error *err)
{
    int64_t half = t->reference.n / 2, n = t->pictures.n < half ? t->pictures.n : half;
    struct frechet f;
    float *rows = NULL;
    enum status st;

    if (n <= t->D)
        return OK;
    if (!(st = mem_new((void **)&rows, (uint64_t)t->reference.n, (uint64_t)t->D * sizeof *rows,
                       "features", err)) &&
        !(st = deal(rows, t, n, err)) &&
        !(st = frechet_distance(&f, rows, n, rows + n * t->D, t->reference.n - n, t->D, err)))
        measure_add(out, "frechet_floor", f.distance, -1,
                    "%" PRId64 " pictures of the reference against its %" PRId64 " others", n,
                    t->reference.n - n);
    free(rows);
    return st;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    struct frechet f;
    enum status st;

    if ((st = frechet_distance(&f, t->pictures.features, t->pictures.n, t->reference.features,
                               t->reference.n, t->D, err)))
        return st;
    measure_add(out, "frechet", f.distance, -1, "means %.4g, covariances %.4g", f.mean,
                f.covariance);
    return add_floor(out, t, err);
}

const struct measure measure_frechet = {
    .name = "frechet",
    .summary = "squared distance of Gaussians fitted to features (FID, with Inception's)",
    .paper = "Heusel et al. 2017",
    .needs = NEEDS_REFERENCE | NEEDS_FEATURES,
    .of_clips = true,
    .run = run,
};
