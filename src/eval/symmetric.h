/*
 * symmetric.h - covariance matrices: factors and eigenvalues, in double
 */
#ifndef IMGEN_EVAL_SYMMETRIC_H
#define IMGEN_EVAL_SYMMETRIC_H

#include "base/error.h"

#include <stdint.h>

/* All matrices are dense, rows first; results do not depend on the number of threads. */

/* a [n, n], symmetric and positive semi-definite, as L L^T: l [n, n], of which the first *rank
 * columns are used; *rank is where what is left is rounding.  n^2 rank flops.  E_MEMORY. */
enum status symmetric_factor(double *l, int64_t *rank, const double *a, int64_t n,
                             struct error *err);

/* c [m, n] = a^T b: a [k, *] and b [k, *] with rows a_row and b_row apart, of which the first m and
 * n columns are used.  2 m n k flops. */
void symmetric_product(double *c, const double *a, int64_t a_row, const double *b, int64_t b_row,
                       int64_t k, int64_t m, int64_t n);

/* The eigenvalues of the symmetric a [n, n], which is overwritten, in rising order: value [n], each
 * within some 1e-15 of the largest.  4/3 n^3 flops.  E_MEMORY. */
enum status symmetric_eigenvalues(double *value, double *a, int64_t n, struct error *err);

#endif
