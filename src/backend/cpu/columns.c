/*
 * columns.c - adding a vector to rows, and summing rows to a vector
 *
 * The sum of a bias's gradient runs over every pixel of a batch, a million terms, where a float32
 * total loses its last digits one by one.  Doubles alone would halve the speed; 32 rows in float32
 * lose nothing that matters, and a double for each column takes their sum.  Columns are walked in
 * strips whose sums stay in the first-level cache.  Who copies the rows anyway can have their sums
 * on the way: the additions hide behind the memory that the copy waits for.
 */
#include "backend/cpu/columns.h"

#include "base/fetch.h"
#include "base/simd.h"
#include "base/whole.h"

#include <string.h>

enum { STRIP = 384, SUM_ROWS = 32, AHEAD = 8 };

IMGEN_CLONES static void add_rows(float *y, int64_t y_step, const float *x, int64_t x_step,
                                  const float *v, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, y += y_step, x += x_step) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] + v[i];
    }
}

/* Dense narrow rows are taken several at a time, against as many copies of v: a row of 32 floats
 * takes two vector operations, and starting a loop takes ten times as long. */
void columns_add(float *y, int64_t y_step, const float *x, int64_t x_step, const float *v,
                 int64_t rows, int64_t n)
{
    float copies[STRIP];
    int64_t together = STRIP / n, groups = together > 1 ? rows / together : 0;

    if (y_step == n && x_step == n && groups > 0) {
        int64_t wide = together * n;

        for (int64_t k = 0; k < together; k++)
            memcpy(copies + k * n, v, (size_t)n * sizeof(float));
        add_rows(y, wide, x, wide, copies, groups, wide);
        y += groups * wide;
        x += groups * wide;
        rows -= groups * together;
    }
    add_rows(y, y_step, x, x_step, v, rows, n);
}

/* n <= STRIP. */
IMGEN_CLONES static void sum_strip(double *total, const float *x, int64_t step, int64_t rows,
                                   int64_t n)
{
    float part[STRIP];

    memset(part, 0, (size_t)n * sizeof(float));
    for (int64_t r = 0; r < rows; r++, x += step) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            part[i] += x[i];
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        total[i] += (double)part[i];
}

void columns_sum(double *total, const float *x, int64_t step, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r += SUM_ROWS)
        for (int64_t i = 0; i < n; i += STRIP)
            sum_strip(total + i, x + r * step + i, step, whole_min(rows - r, SUM_ROWS),
                      whole_min(n - i, STRIP));
}

/* n <= STRIP. */
IMGEN_CLONES static void copy_strip(float *out, int64_t out_step, double *total, const float *x,
                                    int64_t step, int64_t rows, int64_t n)
{
    float part[STRIP];

    memset(part, 0, (size_t)n * sizeof(float));
    for (int64_t r = 0; r < rows; r++, out += out_step, x += step) {
        fetch_floats(x + AHEAD * step, n);
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            out[i] = x[i];
            part[i] += x[i];
        }
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        total[i] += (double)part[i];
}

void columns_copy(float *out, int64_t out_step, double *total, const float *x, int64_t step,
                  int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r += SUM_ROWS)
        for (int64_t i = 0; i < n; i += STRIP)
            copy_strip(out + r * out_step + i, out_step, total + i, x + r * step + i, step,
                       whole_min(rows - r, SUM_ROWS), whole_min(n - i, STRIP));
}
