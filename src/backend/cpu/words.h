/*
 * words.h - floats into the words of panel.h, rounded and packed
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

/* A matrix whose sum runs along its rows, turned round: out [words, 64] = x [cols <= 64, n]^T.  Not
 * for bytes. */
void words_across(enum precision p, panel_word *out, const float *x, int64_t x_row, int64_t cols,
                  int64_t n);

/* n floats to bf16 (nearest, ties to even), the last word filled with zero. */
void words_bf16(panel_word *out, const float *x, int64_t n);

/* x = low + step * byte, 0 .. 255, within step / 2: the range of the row is cut into 255 steps. A
 * row with a number that is not finite has a step of NaN. */
struct byte_row {
    float low, step;
};

/* n floats to unsigned bytes; what fills the last word is undefined.  n > 0. */
struct byte_row words_bytes(panel_word *out, const float *x, int64_t n);

/* Weights to signed bytes, turned round as words_across: x[j] = scale[j] * byte, -127 .. 127,
 * within scale / 2, and zeros to fill; total[j] = scale[j] * the sum of the bytes. scale, total:
 * [64]. */
void words_weights(panel_word *out, float *scale, float *total, const float *x, int64_t x_row,
                   int64_t cols, int64_t n);

/* Sums of bytes to floats, in place: row r, column j of y [rows, cols] become
 * row[r].step * scale[j] * sum + row[r].low * total[j] + bias[j].  bias may be NULL. */
void words_to_floats(panel_word *y, int64_t y_row, const struct byte_row *row, int64_t rows,
                     const float *scale, const float *total, const float *bias, int64_t cols);

#endif
