/*
 * winograd_transform.c - from pixels and taps to the places where they are multiplied, and back
 *
 * Each transform is a small matrix from the left and its transpose from the right: first all
 * columns, then all rows, in registers.  The factors are 1 and 1/2, so that a transform adds and
 * hardly multiplies, and loses no more than the last bit of a sum of four numbers.  The larger
 * tiles of the paper (4 x 4 results for 36 multiplications) have factors up to 8 and cost a decimal
 * digit.
 *
 * Vectors run along channels, which lie side by side.
 */
#include "backend/cpu/winograd_transform.h"

#include "base/simd.h"

enum { TAPS = 3, U = WINOGRAD_U_SIDE };

/* --- unit ---------------------------------------------------------------------------------------
 */

enum { UNIT_IN = 4, UNIT_OUT = 2, UNIT = 4 };

IMGEN_CLONES static void unit_from_x(float *restrict out, int64_t step, const float *const *x,
                                     int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[UNIT][UNIT_IN];

#pragma GCC unroll 4
        for (int c = 0; c < UNIT_IN; c++) {
            float a = x[c][i], b = x[UNIT_IN + c][i];
            float d = x[2 * UNIT_IN + c][i], e = x[3 * UNIT_IN + c][i];

            t[0][c] = a - d;
            t[1][c] = b + d;
            t[2][c] = d - b;
            t[3][c] = b - e;
        }
#pragma GCC unroll 4
        for (int r = 0; r < UNIT; r++) {
            out[(r * UNIT) * step + i] = t[r][0] - t[r][2];
            out[(r * UNIT + 1) * step + i] = t[r][1] + t[r][2];
            out[(r * UNIT + 2) * step + i] = t[r][2] - t[r][1];
            out[(r * UNIT + 3) * step + i] = t[r][1] - t[r][3];
        }
    }
}

IMGEN_CLONES static void unit_to_y(float *const *y, const float *restrict m, int64_t step,
                                   const float *restrict bias, int64_t n)
{
    float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];

#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[UNIT_OUT][UNIT];

#pragma GCC unroll 4
        for (int c = 0; c < UNIT; c++) {
            float b = m[(UNIT + c) * step + i], d = m[(2 * UNIT + c) * step + i];

            t[0][c] = m[c * step + i] + b + d;
            t[1][c] = b - d - m[(3 * UNIT + c) * step + i];
        }
        y0[i] = t[0][0] + t[0][1] + t[0][2] + bias[i];
        y1[i] = t[0][1] - t[0][2] - t[0][3] + bias[i];
        y2[i] = t[1][0] + t[1][1] + t[1][2] + bias[i];
        y3[i] = t[1][1] - t[1][2] - t[1][3] + bias[i];
    }
}

IMGEN_CLONES static void unit_from_dy(float *restrict out, int64_t step, const float *const *dy,
                                      int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[UNIT][UNIT_OUT];

#pragma GCC unroll 2
        for (int c = 0; c < UNIT_OUT; c++) {
            float a = dy[c][i], b = dy[UNIT_OUT + c][i];

            t[0][c] = a;
            t[1][c] = a + b;
            t[2][c] = a - b;
            t[3][c] = -b;
        }
#pragma GCC unroll 4
        for (int r = 0; r < UNIT; r++) {
            out[(r * UNIT) * step + i] = t[r][0];
            out[(r * UNIT + 1) * step + i] = t[r][0] + t[r][1];
            out[(r * UNIT + 2) * step + i] = t[r][0] - t[r][1];
            out[(r * UNIT + 3) * step + i] = -t[r][1];
        }
    }
}

IMGEN_CLONES static void unit_from_w(float *restrict out, int64_t step, const float *restrict w,
                                     int64_t ky_step, int64_t kx_step, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[U][TAPS];

#pragma GCC unroll 3
        for (int c = 0; c < TAPS; c++) {
            float a = w[c * kx_step + i], b = w[ky_step + c * kx_step + i];
            float d = w[2 * ky_step + c * kx_step + i];

            t[0][c] = a;
            t[1][c] = 0.5f * (a + d + b);
            t[2][c] = 0.5f * (a + d - b);
            t[3][c] = d;
        }
#pragma GCC unroll 4
        for (int r = 0; r < U; r++) {
            out[(r * U) * step + i] = t[r][0];
            out[(r * U + 1) * step + i] = 0.5f * (t[r][0] + t[r][2] + t[r][1]);
            out[(r * U + 2) * step + i] = 0.5f * (t[r][0] + t[r][2] - t[r][1]);
            out[(r * U + 3) * step + i] = t[r][2];
        }
    }
}

IMGEN_CLONES static void unit_to_dw(float *restrict dw, int64_t tap_step, const float *restrict s,
                                    int64_t step, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[TAPS][U];

#pragma GCC unroll 4
        for (int c = 0; c < U; c++) {
            float b = s[(U + c) * step + i], d = s[(2 * U + c) * step + i];

            t[0][c] = s[c * step + i] + 0.5f * (b + d);
            t[1][c] = 0.5f * (b - d);
            t[2][c] = 0.5f * (b + d) + s[(3 * U + c) * step + i];
        }
#pragma GCC unroll 3
        for (int r = 0; r < TAPS; r++) {
            dw[(r * TAPS) * tap_step + i] = t[r][0] + 0.5f * (t[r][1] + t[r][2]);
            dw[(r * TAPS + 1) * tap_step + i] = 0.5f * (t[r][1] - t[r][2]);
            dw[(r * TAPS + 2) * tap_step + i] = 0.5f * (t[r][1] + t[r][2]) + t[r][3];
        }
    }
}

/* --- halving ------------------------------------------------------------------------------------
 */

enum { HALVING_IN = 5, HALVING_OUT = 2, HALVING_V = 5, HALVING_M = 3 };

IMGEN_CLONES static void halving_from_x(float *restrict out, int64_t step, const float *const *x,
                                        int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[HALVING_V][HALVING_IN];

#pragma GCC unroll 5
        for (int c = 0; c < HALVING_IN; c++) {
            float middle = x[2 * HALVING_IN + c][i];

            t[0][c] = x[c][i] - middle;
            t[1][c] = x[HALVING_IN + c][i];
            t[2][c] = middle;
            t[3][c] = x[3 * HALVING_IN + c][i];
            t[4][c] = x[4 * HALVING_IN + c][i] - middle;
        }
#pragma GCC unroll 5
        for (int r = 0; r < HALVING_V; r++) {
            out[(r * HALVING_V) * step + i] = t[r][0] - t[r][2];
            out[(r * HALVING_V + 1) * step + i] = t[r][1];
            out[(r * HALVING_V + 2) * step + i] = t[r][2];
            out[(r * HALVING_V + 3) * step + i] = t[r][3];
            out[(r * HALVING_V + 4) * step + i] = t[r][4] - t[r][2];
        }
    }
}

IMGEN_CLONES static void halving_to_y(float *const *y, const float *restrict m, int64_t step,
                                      const float *restrict bias, int64_t n)
{
    float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];

#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[HALVING_OUT][HALVING_M];

#pragma GCC unroll 3
        for (int c = 0; c < HALVING_M; c++) {
            float b = m[(HALVING_M + c) * step + i];

            t[0][c] = m[c * step + i] + b;
            t[1][c] = b + m[(2 * HALVING_M + c) * step + i];
        }
        y0[i] = t[0][0] + t[0][1] + bias[i];
        y1[i] = t[0][1] + t[0][2] + bias[i];
        y2[i] = t[1][0] + t[1][1] + bias[i];
        y3[i] = t[1][1] + t[1][2] + bias[i];
    }
}

IMGEN_CLONES static void halving_from_dy(float *restrict out, int64_t step, const float *const *dy,
                                         int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[HALVING_M][HALVING_OUT];

#pragma GCC unroll 2
        for (int c = 0; c < HALVING_OUT; c++) {
            float a = dy[c][i], b = dy[HALVING_OUT + c][i];

            t[0][c] = a;
            t[1][c] = a + b;
            t[2][c] = b;
        }
#pragma GCC unroll 3
        for (int r = 0; r < HALVING_M; r++) {
            out[(r * HALVING_M) * step + i] = t[r][0];
            out[(r * HALVING_M + 1) * step + i] = t[r][0] + t[r][1];
            out[(r * HALVING_M + 2) * step + i] = t[r][1];
        }
    }
}

IMGEN_CLONES static void halving_from_w(float *restrict out, int64_t step, const float *restrict w,
                                        int64_t ky_step, int64_t kx_step, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[U][TAPS];

#pragma GCC unroll 3
        for (int c = 0; c < TAPS; c++) {
            t[0][c] = w[c * kx_step + i];
            t[1][c] = w[ky_step + c * kx_step + i];
            t[3][c] = w[2 * ky_step + c * kx_step + i];
            t[2][c] = t[0][c] + t[3][c];
        }
#pragma GCC unroll 4
        for (int r = 0; r < U; r++) {
            out[(r * U) * step + i] = t[r][0];
            out[(r * U + 1) * step + i] = t[r][1];
            out[(r * U + 2) * step + i] = t[r][0] + t[r][2];
            out[(r * U + 3) * step + i] = t[r][2];
        }
    }
}

IMGEN_CLONES static void halving_to_dw(float *restrict dw, int64_t tap_step,
                                       const float *restrict s, int64_t step, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[TAPS][U];

#pragma GCC unroll 4
        for (int c = 0; c < U; c++) {
            float both = s[(2 * U + c) * step + i];

            t[0][c] = s[c * step + i] + both;
            t[1][c] = s[(U + c) * step + i];
            t[2][c] = both + s[(3 * U + c) * step + i];
        }
#pragma GCC unroll 3
        for (int r = 0; r < TAPS; r++) {
            dw[(r * TAPS) * tap_step + i] = t[r][0] + t[r][2];
            dw[(r * TAPS + 1) * tap_step + i] = t[r][1];
            dw[(r * TAPS + 2) * tap_step + i] = t[r][2] + t[r][3];
        }
    }
}

/* --- doubling -----------------------------------------------------------------------------------
 */

enum { DOUBLING_IN = 3, DOUBLING_OUT = 4, DOUBLING_V = 4, DOUBLING_M = 5 };

IMGEN_CLONES static void doubling_from_x(float *restrict out, int64_t step, const float *const *x,
                                         int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float t[DOUBLING_V][DOUBLING_IN];

#pragma GCC unroll 3
        for (int c = 0; c < DOUBLING_IN; c++) {
            float middle = x[DOUBLING_IN + c][i];

            t[0][c] = x[c][i] - middle;
            t[1][c] = middle;
            t[3][c] = x[2 * DOUBLING_IN + c][i];
            t[2][c] = t[3][c] - middle;
        }
#pragma GCC unroll 4
        for (int r = 0; r < DOUBLING_V; r++) {
            out[(r * DOUBLING_V) * step + i] = t[r][0] - t[r][1];
            out[(r * DOUBLING_V + 1) * step + i] = t[r][1];
            out[(r * DOUBLING_V + 2) * step + i] = t[r][2] - t[r][1];
            out[(r * DOUBLING_V + 3) * step + i] = t[r][2];
        }
    }
}

/* A row of results under one row of places. */
IMGEN_CLONES static void doubling_odd_row(float *const *y, const float *restrict m, int64_t step,
                                          const float *restrict bias, int64_t n)
{
    float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];

#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float middle = m[2 * step + i];

        y0[i] = m[i] + middle + bias[i];
        y1[i] = m[step + i] + bias[i];
        y2[i] = middle + m[4 * step + i] + bias[i];
        y3[i] = m[3 * step + i] + bias[i];
    }
}

/* ... under the sum of two. */
IMGEN_CLONES static void doubling_even_row(float *const *y, const float *restrict m,
                                           const float *restrict other, int64_t step,
                                           const float *restrict bias, int64_t n)
{
    float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];

#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float middle = m[2 * step + i] + other[2 * step + i];

        y0[i] = m[i] + other[i] + middle + bias[i];
        y1[i] = m[step + i] + other[step + i] + bias[i];
        y2[i] = middle + m[4 * step + i] + other[4 * step + i] + bias[i];
        y3[i] = m[3 * step + i] + other[3 * step + i] + bias[i];
    }
}

static void doubling_to_y(float *const *y, const float *m, int64_t step, const float *bias,
                          int64_t n)
{
    const int64_t row = DOUBLING_M * step;

    doubling_even_row(y, m, m + 2 * row, step, bias, n);
    doubling_odd_row(y + DOUBLING_OUT, m + row, step, bias, n);
    doubling_even_row(y + 2 * DOUBLING_OUT, m + 2 * row, m + 4 * row, step, bias, n);
    doubling_odd_row(y + 3 * DOUBLING_OUT, m + 3 * row, step, bias, n);
}

/* --- the table ----------------------------------------------------------------------------------
 */

static const struct winograd_form unit = {
    .in = UNIT_IN,
    .ahead = UNIT_OUT,
    .out = UNIT_OUT,
    .v = UNIT,
    .m = UNIT,
    .products = 4,
    .product = {{0, 0, 0, true, true},
                {1, 1, 1, true, true},
                {2, 2, 2, true, true},
                {3, 3, 3, true, true}},
    .from_x = unit_from_x,
    .to_y = unit_to_y,
    .from_dy = unit_from_dy,
    .from_w = unit_from_w,
    .to_dw = unit_to_dw,
};

static const struct winograd_form halving = {
    .in = HALVING_IN,
    .ahead = 2 * HALVING_OUT,
    .out = HALVING_OUT,
    .v = HALVING_V,
    .m = HALVING_M,
    .products = 5,
    .product = {{0, 0, 0, true, true},
                {1, 1, 0, true, false},
                {2, 2, 1, true, true},
                {3, 1, 2, false, true},
                {4, 3, 2, true, false}},
    .from_x = halving_from_x,
    .to_y = halving_to_y,
    .from_dy = halving_from_dy,
    .from_w = halving_from_w,
    .to_dw = halving_to_dw,
};

static const struct winograd_form doubling = {
    .in = DOUBLING_IN,
    .ahead = DOUBLING_OUT / 2,
    .out = DOUBLING_OUT,
    .v = DOUBLING_V,
    .m = DOUBLING_M,
    .products = 5,
    .product = {{0, 3, 0, true, true},
                {1, 1, 1, true, true},
                {1, 2, 2, true, true},
                {3, 1, 3, false, true},
                {2, 0, 4, true, true}},
    .from_x = doubling_from_x,
    .to_y = doubling_to_y,
    .from_w = halving_from_w,
};

const struct winograd_form *winograd_form_of(int64_t stride, bool transposed)
{
    if (stride == 1)
        return &unit;
    return transposed ? &doubling : &halving;
}
