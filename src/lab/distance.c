/*
 * distance.c - how far two clouds of points in the plane lie apart
 *
 * Three measures, for they see different things.  The sliced Wasserstein distance says how far mass
 * must be moved, in the units of the plane: in the plane 64 evenly spaced directions are as good as
 * all, so nothing is random.  The energy distance and the maximum mean discrepancy compare all
 * pairs; the first weighs far mass, the second looks at the scale of its kernel, here 1.
 *
 * Pairs are summed row by row, each row by one thread, and the rows in order, so that the number of
 * threads changes no bit.  Rabin et al. 2011; Szekely and Rizzo 2013; Gretton et al. 2012.
 */
#include "lab/distance.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECTIONS = 64 };

static const double pi = 3.14159265358979323846;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void project(double *out, const double *x, int64_t n, double angle)
{
    double c = cos(angle), s = sin(angle);

    for (int64_t i = 0; i < n; i++)
        out[i] = c * x[2 * i] + s * x[2 * i + 1];
    qsort(out, (size_t)n, sizeof(*out), by_value);
}

/* work: [2, n] a direction. */
static double sliced(double *work, const double *a, const double *b, int64_t n, int threads)
{
    double sum[DIRECTIONS], all = 0;

#pragma omp parallel for schedule(static) num_threads(threads)
    for (int k = 0; k < DIRECTIONS; k++) {
        double *p = work + 2 * n * k, *q = p + n;

        project(p, a, n, pi * k / DIRECTIONS);
        project(q, b, n, pi * k / DIRECTIONS);
        sum[k] = 0;
        for (int64_t i = 0; i < n; i++)
            sum[k] += (p[i] - q[i]) * (p[i] - q[i]);
    }
    for (int k = 0; k < DIRECTIONS; k++)
        all += sum[k];
    return sqrt(all / DIRECTIONS / (double)n);
}

/* Means over all pairs of |x - y| and of the kernel; work: [2, n]. */
static void pairs(double *length, double *kernel, double *work, const double *a, const double *b,
                  int64_t n, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < n; i++) {
        double far = 0, near = 0;

        for (int64_t j = 0; j < n; j++) {
            double dx = a[2 * i] - b[2 * j], dy = a[2 * i + 1] - b[2 * j + 1];
            double square = dx * dx + dy * dy;

            far += sqrt(square);
            near += exp(-0.5 * square);
        }
        work[2 * i] = far;
        work[2 * i + 1] = near;
    }
    *length = *kernel = 0;
    for (int64_t i = 0; i < n; i++) {
        *length += work[2 * i] / (double)n / (double)n;
        *kernel += work[2 * i + 1] / (double)n / (double)n;
    }
}

enum status distance_between(struct distance *out, const double *a, const double *b, int64_t n,
                             int threads, struct error *err)
{
    double length[3], kernel[3], *work = NULL;
    enum status st;

    MUST(n > 0, "a distance of no points");
    if ((st = mem_new((void **)&work, 2 * DIRECTIONS * (uint64_t)n, sizeof(*work), "projections",
                      err)))
        return st;
    out->sliced = sliced(work, a, b, n, threads);
    pairs(&length[0], &kernel[0], work, a, b, n, threads);
    pairs(&length[1], &kernel[1], work, a, a, n, threads);
    pairs(&length[2], &kernel[2], work, b, b, n, threads);
    out->energy = fmax(0, 2 * length[0] - length[1] - length[2]);
    out->mmd = sqrt(fmax(0, kernel[1] + kernel[2] - 2 * kernel[0]));
    free(work);
    return OK;
}
