/*
 * symmetric.c - covariance matrices: factors and eigenvalues, in double
 *
 * The distance of two Gaussians needs the trace of a matrix's square root, that is the eigenvalues
 * of a symmetric matrix of up to 2048 rows, and nothing that the project stands on has them (oneDNN
 * multiplies; LAPACK would be a large dependency for this one number).  Three textbook steps do:
 *
 *   factor        Cholesky with pivots.  A covariance of few pictures has no full rank; the pivots
 *                 stop where only rounding is left, instead of dividing by it.
 *   tridiagonal   Householder's reflections take a symmetric matrix to one with two diagonals and
 *                 the same eigenvalues: n steps, each a matrix times a vector and a correction.
 *   bisection     How many eigenvalues of a tridiagonal matrix lie below x is a count of signs in a
 *                 recurrence of n divisions (Sturm); halving the interval finds each to the last
 *                 bit.  No vectors are wanted, and unlike iterations that chase shifts it cannot
 *                 fail to converge.
 *
 * Every sum runs over its own index in order, one output to a thread.
 * Golub and Van Loan, "Matrix computations", 4th ed., 4.2.8, 8.3.1, 8.4.1.
 */
#include "eval/symmetric.h"

#include "base/memory.h"
#include "base/simd.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LANES = 8,     /* chains of a sum along a row                     */
    TILE_ROWS = 8, /* of a product, whose sums stay in cache          */
    TILE_COLUMNS = 64,
    PARALLEL_FROM = 128, /* rows from which threads are worth their waiting */
    HALVINGS = 1100,     /* of an interval: more than doubles have          */
};

IMGEN_CLONES static double dot(const double *a, const double *b, int64_t n)
{
    double sum[LANES] = {0};
    int64_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            sum[l] += a[i + l] * b[i + l];
    for (int l = 0; i + l < n; l++)
        sum[l] += a[i + l] * b[i + l];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

/* --- the factor ---------------------------------------------------------------------------------
 */

/* The next column: what the first j ones leave of a's column `pivot`; left loses its squares. */
static void next_column(double *l, double *left, const double *a, int64_t n, int64_t j,
                        int64_t pivot)
{
    double root = sqrt(left[pivot]);

#pragma omp parallel for schedule(static) if (n >= PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) {
        double x = (a[i * n + pivot] - dot(l + i * n, l + pivot * n, j)) / root;

        l[i * n + j] = x;
        left[i] -= x * x;
    }
}

enum status symmetric_factor(double *l, int64_t *rank, const double *a, int64_t n,
                             struct error *err)
{
    double *left = NULL, least = 0;
    enum status st;

    if ((st = mem_new((void **)&left, (uint64_t)n, sizeof *left, "a diagonal", err)))
        return st;
    memset(l, 0, (size_t)(n * n) * sizeof *l);
    for (int64_t i = 0; i < n; i++) {
        left[i] = a[i * n + i];
        least = fmax(least, (double)n * DBL_EPSILON * left[i]);
    }
    for (*rank = 0; *rank < n; ++*rank) {
        int64_t pivot = 0;

        for (int64_t i = 1; i < n; i++)
            if (left[i] > left[pivot])
                pivot = i;
        if (!(left[pivot] > least))
            break;
        next_column(l, left, a, n, *rank, pivot);
    }
    free(left);
    return OK;
}

/* --- the product --------------------------------------------------------------------------------
 */

/* c [rows, columns] of a tile: at most TILE_ROWS x TILE_COLUMNS. */
IMGEN_CLONES static void product_tile(double *c, int64_t c_row, const double *a, int64_t a_row,
                                      const double *b, int64_t b_row, int64_t k, int64_t rows,
                                      int64_t columns)
{
    double sum[TILE_ROWS][TILE_COLUMNS] = {{0}};

    for (int64_t t = 0; t < k; t++)
        for (int64_t i = 0; i < rows; i++) {
            double s = a[t * a_row + i];

            for (int64_t j = 0; j < columns; j++)
                sum[i][j] += s * b[t * b_row + j];
        }
    for (int64_t i = 0; i < rows; i++)
        memcpy(c + i * c_row, sum[i], (size_t)columns * sizeof *c);
}

static int64_t tiles_of(int64_t n, int64_t tile)
{
    return (n + tile - 1) / tile;
}

static int64_t part(int64_t n, int64_t first, int64_t most)
{
    return n - first < most ? n - first : most;
}

void symmetric_product(double *c, const double *a, int64_t a_row, const double *b, int64_t b_row,
                       int64_t k, int64_t m, int64_t n)
{
    int64_t down = tiles_of(m, TILE_ROWS), across = tiles_of(n, TILE_COLUMNS);

    /* Tiles of one strip of b follow each other: the strip stays in cache. */
#pragma omp parallel for schedule(static)
    for (int64_t tile = 0; tile < down * across; tile++) {
        int64_t i = tile % down * TILE_ROWS, j = tile / down * TILE_COLUMNS;

        product_tile(c + i * n + j, n, a + i, a_row, b + j, b_row, k, part(m, i, TILE_ROWS),
                     part(n, j, TILE_COLUMNS));
    }
}

/* --- two diagonals ------------------------------------------------------------------------------
 */

/* Row i of the m rows below the step's: A v, for the symmetric A that begins at a. */
static void times_vector(double *p, const double *a, int64_t n, const double *v, int64_t m)
{
#pragma omp parallel for schedule(static) if (m >= PARALLEL_FROM)
    for (int64_t i = 0; i < m; i++)
        p[i] = dot(a + i * n, v, m);
}

IMGEN_CLONES static void correct_row(double *a, const double *v, const double *w, double vi,
                                     double wi, int64_t m)
{
    for (int64_t j = 0; j < m; j++)
        a[j] -= vi * w[j] + wi * v[j];
}

/* v: a column [m] to be mapped onto its first axis; returns what stands there afterwards, v becomes
 * the reflection's vector and *scale its factor: I - scale v v^T. */
static double reflect(double *v, double *scale, int64_t m)
{
    double tail = m > 1 ? dot(v + 1, v + 1, m - 1) : 0, first = v[0], length;

    *scale = 0;
    if (tail == 0)
        return first;
    length = sqrt(first * first + tail);
    v[0] = first > 0 ? first + length : first - length;
    *scale = 2 / (v[0] * v[0] + tail);
    return first > 0 ? -length : length;
}

/* diagonal [n], beside [n - 1] of the matrix that a becomes; work [2 n]. */
static void tridiagonal(double *diagonal, double *beside, double *a, double *work, int64_t n)
{
    double *v = work, *w = work + n, scale;

    for (int64_t k = 0; k + 1 < n; k++) {
        int64_t m = n - k - 1;
        double *rest_of_a = a + (k + 1) * n + k + 1, half;

        diagonal[k] = a[k * n + k];
        for (int64_t i = 0; i < m; i++)
            v[i] = a[(k + 1 + i) * n + k];
        beside[k] = reflect(v, &scale, m);
        if (scale == 0)
            continue;
        times_vector(w, rest_of_a, n, v, m);
        half = 0.5 * scale * scale * dot(w, v, m);
        for (int64_t i = 0; i < m; i++)
            w[i] = scale * w[i] - half * v[i];
#pragma omp parallel for schedule(static) if (m >= PARALLEL_FROM)
        for (int64_t i = 0; i < m; i++)
            correct_row(rest_of_a + i * n, v, w, v[i], w[i], m);
    }
    diagonal[n - 1] = a[n * n - 1];
}

/* --- bisection ----------------------------------------------------------------------------------
 */

/* Eigenvalues below x: the negative pivots of T - x I. */
static int64_t count_below(const double *diagonal, const double *square, int64_t n, double least,
                           double x)
{
    double q = diagonal[0] - x;
    int64_t below = q < 0;

    for (int64_t i = 1; i < n; i++) {
        if (fabs(q) < least)
            q = q < 0 ? -least : least;
        q = diagonal[i] - x - square[i - 1] / q;
        below += q < 0;
    }
    return below;
}

/* Eigenvalue number k lies between low and high. */
static double bisect(const double *diagonal, const double *square, int64_t n, double least,
                     double low, double high, int64_t k)
{
    for (int i = 0; i < HALVINGS; i++) {
        double middle = low + (high - low) / 2;

        if (middle <= low || middle >= high || high - low <= least)
            break;
        if (count_below(diagonal, square, n, least, middle) > k)
            high = middle;
        else
            low = middle;
    }
    return low + (high - low) / 2;
}

static void eigenvalues_between(double *value, const double *diagonal, double *beside, int64_t n)
{
    double low = 0, high = 0, size, least;

    for (int64_t i = 0; i < n; i++) { /* Gershgorin's discs */
        double radius = (i ? fabs(beside[i - 1]) : 0) + (i + 1 < n ? fabs(beside[i]) : 0);

        low = fmin(low, diagonal[i] - radius);
        high = fmax(high, diagonal[i] + radius);
    }
    size = fmax(fabs(low), fabs(high));
    least = size * DBL_EPSILON * 0.5 + DBL_MIN;
    for (int64_t i = 0; i + 1 < n; i++)
        beside[i] *= beside[i];
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < n; k++)
        value[k] = bisect(diagonal, beside, n, least, low - least, high + least, k);
}

enum status symmetric_eigenvalues(double *value, double *a, int64_t n, struct error *err)
{
    double *work = NULL;
    enum status st;

    if (!n)
        return OK;
    if ((st = mem_new((void **)&work, 4 * (uint64_t)n, sizeof *work, "eigenvalues", err)))
        return st;
    tridiagonal(work + 2 * n, work + 3 * n, a, work, n);
    eigenvalues_between(value, work + 2 * n, work + 3 * n, n);
    free(work);
    return OK;
}
