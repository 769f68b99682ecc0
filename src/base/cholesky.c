/*
 * cholesky.c - small systems of equations with a symmetric, positive matrix
 *
 * Least squares end in such systems, of a few dozen unknowns: the factor takes n^3 / 3 operations,
 * half of an elimination's, and needs no pivots, since no pivot of a positive matrix is larger than
 * what it began as.  One that has lost all but rounding tells that the matrix is singular.
 */
#include "base/cholesky.h"

#include <math.h>

static const double LEAST = 1e-14; /* of a pivot over the diagonal that it began as */

bool cholesky_factor(double *a, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j; i < n; i++) {
            double sum = a[i * n + j];

            for (int64_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > LEAST * a[i * n + i]))
                return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    return true;
}

void cholesky_solve(double *x, const double *l, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++)
            x[i] -= l[i * n + k] * x[k];
        x[i] /= l[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++)
            x[i] -= l[k * n + i] * x[k];
        x[i] /= l[i * n + i];
    }
}
