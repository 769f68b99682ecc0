/*
 * threshold.c - keeping the predicted picture inside the range that pictures have
 *
 * Strong guidance pushes the data prediction beyond [-1, 1], where no training picture ever was,
 * and the network is then asked about points it knows nothing of.  Clipping at 1 saturates whole
 * areas; clipping at a quantile s of the picture's own values and dividing by s keeps their order.
 * For pixels, not for latents, which have no range.  Saharia et al. 2022, "Imagen"; sampling.md 5.
 */
#include "diffusion/threshold.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Between the order statistics, linearly. */
static double quantile_of(double *sorted, int64_t n, double q)
{
    double at = q * (double)(n - 1);
    int64_t below = (int64_t)at;

    qsort(sorted, (size_t)n, sizeof(*sorted), ascending);
    return below + 1 < n
               ? sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below])
               : sorted[n - 1];
}

enum status threshold_clip(double *data, int64_t rows, int64_t n, double quantile,
                           struct error *err)
{
    double *size = NULL;
    enum status st;

    if ((st = mem_new((void **)&size, (uint64_t)n, sizeof(*size), "a threshold", err)))
        return st;
    for (int64_t r = 0; r < rows; r++, data += n) {
        double s;

        for (int64_t i = 0; i < n; i++)
            size[i] = fabs(data[i]);
        s = fmax(1, quantile_of(size, n, quantile));
        for (int64_t i = 0; i < n; i++)
            data[i] = fmax(-s, fmin(s, data[i])) / s;
    }
    free(size);
    return OK;
}
