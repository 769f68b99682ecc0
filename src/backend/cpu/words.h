/*
 * words.h - floats into the words of panel.h, rounded
 */
#ifndef IMGEN_BACKEND_CPU_WORDS_H
#define IMGEN_BACKEND_CPU_WORDS_H

#include "backend/cpu/panel.h"

/* A matrix whose sum runs down its columns, x [rows, cols] with x_row floats from row to row.  Not
 * for bytes.  Numbers of the last word that x does not have become zero. words_down    out [words,
 * out_row]; columns from cols on are left alone words_panels  out [panels, words, 64]; the last
 * panel's columns from cols on become zero */
void words_down(enum precision p, panel_word *out, int64_t out_row, const float *x, int64_t x_row,
                int64_t rows, int64_t cols);
void words_panels(enum precision p, panel_word *out, const float *x, int64_t x_row, int64_t rows,
                  int64_t cols);

/* out[i] = the bf16 of x[i], and above it that of y[i]. */
void words_pair(panel_word *out, const float *x, const float *y, int64_t n);

/* Row r of out: its word i is the bf16 of x[r, i], and above it that of x[r, i + high]; `rows` rows
 * of n words, out_row words and x_row floats apart.  With high = x_row and twice the step, pairs of
 * rows; with high = half a row, halves of each.  out may be x where out_row <= x_row.  Subnormal
 * floats may become zero. */
void words_pairs(panel_word *out, int64_t out_row, const float *x, int64_t x_row, int64_t high,
                 int64_t rows, int64_t n);

/* n floats to bf16 (nearest, ties to even), the last word filled with zero. */
void words_bf16(panel_word *out, const float *x, int64_t n);

/* x = low + step * byte, 0 .. 255, within step / 2: the range of the row is cut into 255 steps. A
 * row with a number that is not finite has a step of NaN. */
struct byte_row {
    float low, step;
};

/* n floats to unsigned bytes; what fills the last word is undefined.  n > 0. */
struct byte_row words_bytes(panel_word *out, const float *x, int64_t n);

/* The largest magnitude of n > 0 floats; NaN when one of them is not finite. */
float words_most(const float *x, int64_t n);

/* n floats to signed bytes, the nearest whole numbers to per_step x, which lie in -127 .. 127; what
 * fills the last word is left alone.  And the sum of n signed bytes. */
void words_code(panel_word *out, const float *x, float per_step, int64_t n);
int32_t words_sum(const panel_word *x, int64_t n);

/* Sums of bytes to floats, in place: row r, column j of y [rows, cols] become
 * row[r].step * scale[j] * sum + row[r].low * total[j] + bias[j].  bias may be NULL. */
void words_to_floats(panel_word *y, int64_t y_row, const struct byte_row *row, int64_t rows,
                     const float *scale, const float *total, const float *bias, int64_t cols);

#endif
