/*
 * cholesky.h - small systems of equations with a symmetric, positive matrix
 */
#ifndef IMGEN_BASE_CHOLESKY_H
#define IMGEN_BASE_CHOLESKY_H

#include <stdbool.h>
#include <stdint.h>

/* a [n, n], rows first, of which the lower triangle is read, as L L^T: L into the lower triangle.
 * False where it is not symmetric and positive, or so near to it that nothing could be solved; a is
 * then half done. */
bool cholesky_factor(double *a, int64_t n);

/* x [n] = (L L^T)^-1 x. */
void cholesky_solve(double *x, const double *l, int64_t n);

#endif
