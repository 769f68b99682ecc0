/*
 * vec.h - the little arithmetic that solvers do on their state
 */
#ifndef IMGEN_SAMPLER_VEC_H
#define IMGEN_SAMPLER_VEC_H

#include <stdbool.h>
#include <stdint.h>

/* out = x; out and x may be the same. */
void vec_copy(double *out, const double *x, int64_t n);
/* out = x + h d; out may be x or d. */
void vec_step(double *out, const double *x, double h, const double *d, int64_t n);
/* out = x + h (c[0] d[0] + ... + c[k-1] d[k-1]); out may be x or one of d. */
void vec_step_sum(double *out, const double *x, double h, const double *c, double *const *d, int k,
                  int64_t n);
/* No NaN and no infinity. */
bool vec_finite(const double *x, int64_t n);

#endif
