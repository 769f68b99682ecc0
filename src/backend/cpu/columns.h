/*
 * columns.h - one vector of channels against many rows of them: biases and their gradients
 */
#ifndef IMGEN_BACKEND_CPU_COLUMNS_H
#define IMGEN_BACKEND_CPU_COLUMNS_H

#include <stdint.h>

/* y[r][i] = x[r][i] + v[i]: rows x n, n > 0, x_step and y_step floats from row to row; y may be x.
 */
void columns_add(float *y, int64_t y_step, const float *x, int64_t x_step, const float *v,
                 int64_t rows, int64_t n);

/* total[i] += sum over rows of x[r][i], `step` floats from row to row.  Short blocks of rows are
 * summed in float32 and join the double total in order. */
void columns_sum(double *total, const float *x, int64_t step, int64_t rows, int64_t n);

/* The same sums, bit for bit, and out[r][i] = x[r][i] on the way, out_step floats from row to row.
 */
void columns_copy(float *out, int64_t out_step, double *total, const float *x, int64_t step,
                  int64_t rows, int64_t n);

#endif
