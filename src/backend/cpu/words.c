/*
 * words.c - floats into the words of panel.h, rounded
 *
 * Where a whole matrix is to be made panels of, pack.c cuts it and asks here for the words.
 *
 * Bytes of activations are affine, a low end and a step for each row: after a GELU nearly all of
 * the range lies above zero, and a symmetric code would waste half of its steps.  The low end costs
 * nothing in the product, since  sum (low + step q) w = low sum w + step sum q w,  and the first
 * sum is known when the weights are packed.  Rows are coded each for itself: a row's bits must not
 * depend on its neighbours, and a token with an outlier spoils itself alone.  (Jacob et al. 2018,
 * "Quantization and training of neural networks for efficient integer-arithmetic-only inference".)
 *
 * Rounding to whole numbers adds 2^23 or 1.5 * 2^23 and takes the low bits: nearest, ties to even,
 * and defined for NaN, whose row is marked by its step instead.
 */
#include "backend/cpu/words.h"

#include "base/fetch.h"
#include "base/numbers.h"
#include "base/simd.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { LANES = 16, AHEAD = 8 };

/* Words as what they hold. */
typedef int32_t __attribute__((may_alias)) sum_word;
typedef float __attribute__((may_alias)) float_word;

/* --- bf16 -------------------------------------------------------------------------------------
 */

static inline uint32_t pair_of(float low, float high)
{
    return bf16_bits(low) | (uint32_t)bf16_bits(high) << 16;
}

IMGEN_CLONES void words_bf16(panel_word *out, const float *x, int64_t n)
{
    int64_t pairs = n / 2;

#pragma omp simd
    for (int64_t i = 0; i < pairs; i++)
        out[i] = pair_of(x[2 * i], x[2 * i + 1]);
    if (n % 2)
        out[pairs] = bf16_bits(x[n - 1]);
}

/* --- matrices ---------------------------------------------------------------------------------
 */

/* One row of words from the numbers of one or two rows: `parts` times `n` words, out_step apart. */
IMGEN_CLONES static void copy_row(panel_word *out, int64_t out_step, const float *x, int64_t n,
                                  int64_t parts)
{
    float_word *to = (float_word *)out;

    for (int64_t j = 0; j < parts; j++, to += out_step, x += n) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            to[i] = x[i];
    }
}

IMGEN_CLONES static void pair_rows(panel_word *out, int64_t out_step, const float *x,
                                   const float *y, int64_t n, int64_t parts)
{
    for (int64_t j = 0; j < parts; j++, out += out_step, x += n, y += n) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            out[i] = pair_of(x[i], y[i]);
    }
}

void words_pair(panel_word *out, const float *x, const float *y, int64_t n)
{
    pair_rows(out, 0, x, y, n, 1);
}

IMGEN_CLONES static void pairs_any(panel_word *out, int64_t out_row, const float *x, int64_t x_row,
                                   int64_t high, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, out += out_row, x += x_row) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            out[i] = pair_of(x[i], x[i + high]);
    }
}

#if defined(__x86_64__)
/* Two vectors to one of sixteen and sixteen bf16, and those dealt like cards. */
__attribute__((target("avx512f,avx512bw,avx512bf16"))) static void
pairs_512(panel_word *out, int64_t out_row, const float *x, int64_t x_row, int64_t high,
          int64_t rows, int64_t n)
{
    const __m512i low = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i deal = _mm512_or_si512(
        low, _mm512_slli_epi32(_mm512_add_epi32(low, _mm512_set1_epi32(LANES)), 16));

    for (int64_t r = 0; r < rows; r++, out += out_row, x += x_row)
        for (int64_t i = 0; i < n; i += LANES) {
            const __mmask16 there = (__mmask16)(n - i < LANES ? (1 << (n - i)) - 1 : -1);
            const __m512 a = _mm512_maskz_loadu_ps(there, x + i);
            const __m512 b = _mm512_maskz_loadu_ps(there, x + i + high);
            const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(b, a);

            _mm512_mask_storeu_epi32(out + i, there, _mm512_permutexvar_epi16(deal, both));
        }
}
#endif

void words_pairs(panel_word *out, int64_t out_row, const float *x, int64_t x_row, int64_t high,
                 int64_t rows, int64_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw")) {
        pairs_512(out, out_row, x, x_row, high, rows, n);
        return;
    }
#endif
    pairs_any(out, out_row, x, x_row, high, rows, n);
}

IMGEN_CLONES static void half_pair_row(panel_word *out, int64_t out_step, const float *x, int64_t n,
                                       int64_t parts)
{
    for (int64_t j = 0; j < parts; j++, out += out_step, x += n) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            out[i] = bf16_bits(x[i]);
    }
}

/* One row of words; `left` rows of x are there. */
static void words_row(enum precision p, panel_word *out, int64_t out_step, const float *x,
                      int64_t x_row, int64_t left, int64_t n, int64_t parts)
{
    if (p == PRECISION_FLOAT32)
        copy_row(out, out_step, x, n, parts);
    else if (left > 1)
        pair_rows(out, out_step, x, x + x_row, n, parts);
    else
        half_pair_row(out, out_step, x, n, parts);
}

void words_down(enum precision p, panel_word *out, int64_t out_row, const float *x, int64_t x_row,
                int64_t rows, int64_t cols)
{
    int64_t numbers = panel_numbers(p);

    for (int64_t r = 0; r < rows; r += numbers, out += out_row, x += numbers * x_row) {
        fetch_floats(x + AHEAD * x_row, rows - r > AHEAD ? cols : 0);
        words_row(p, out, 0, x, x_row, rows - r, cols, 1);
    }
}

/* Row by row through all panels, since memory likes to be read in its order. */
void words_panels(enum precision p, panel_word *out, const float *x, int64_t x_row, int64_t rows,
                  int64_t cols)
{
    int64_t numbers = panel_numbers(p), step = panel_words(p, rows) * PANEL_COLS;
    int64_t whole = cols / PANEL_COLS, rest = cols % PANEL_COLS;

    for (int64_t r = 0; r < rows; r += numbers, out += PANEL_COLS, x += numbers * x_row) {
        panel_word *last = out + whole * step;

        fetch_floats(x + AHEAD * x_row, rows - r > AHEAD ? cols : 0);
        words_row(p, out, step, x, x_row, rows - r, PANEL_COLS, whole);
        if (!rest)
            continue;
        words_row(p, last, 0, x + whole * PANEL_COLS, x_row, rows - r, rest, 1);
        memset(last + rest, 0, (size_t)(PANEL_COLS - rest) * sizeof *last);
    }
}

/* --- bytes ------------------------------------------------------------------------------------
 */

struct range {
    float low, high;
};

/* Smallest and largest of n > 0 floats; NaN when one of them is not finite. */
IMGEN_CLONES static struct range range_of(const float *x, int64_t n)
{
    float low[LANES], high[LANES], bad[LANES] = {0};
    struct range out;
    int64_t i = 0;

    for (int l = 0; l < LANES; l++)
        low[l] = high[l] = x[0];
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
        for (int l = 0; l < LANES; l++) {
            float v = x[i + l];

            low[l] = v < low[l] ? v : low[l];
            high[l] = v > high[l] ? v : high[l];
            bad[l] += v * 0;
        }
    }
    for (; i < n; i++) {
        low[0] = x[i] < low[0] ? x[i] : low[0];
        high[0] = x[i] > high[0] ? x[i] : high[0];
        bad[0] += x[i] * 0;
    }
    out = (struct range){low[0], high[0]};
    for (int l = 0; l < LANES; l++) {
        out.low = low[l] < out.low ? low[l] : out.low;
        out.high = high[l] > out.high ? high[l] : out.high;
        bad[0] += l ? bad[l] : 0;
    }
    out.low += bad[0];
    out.high += bad[0];
    return out;
}

/* The differences are never negative and never above high - low, so 255 is not passed. */
IMGEN_CLONES static void code_bytes(unsigned char *out, const float *x, float low, float per_step,
                                    int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = (unsigned char)number_bits((x[i] - low) * per_step + 8388608.0f);
}

struct byte_row words_bytes(panel_word *out, const float *x, int64_t n)
{
    struct range r = range_of(x, n);
    float span = r.high - r.low;

    code_bytes((unsigned char *)out, x, r.low, span > 0 ? 255 / span : 0, n);
    return (struct byte_row){.low = r.low, .step = span / 255};
}

float words_most(const float *x, int64_t n)
{
    struct range r = range_of(x, n);

    return r.high > -r.low ? r.high : -r.low;
}

IMGEN_CLONES void words_code(panel_word *out, const float *x, float per_step, int64_t n)
{
    signed char *byte = (signed char *)out;

#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        byte[i] = (signed char)(unsigned char)number_bits(x[i] * per_step + 12582912.0f);
}

/* Four bytes at a time: as unsigned numbers 128 larger, two and two in halves of a word. */
IMGEN_CLONES int32_t words_sum(const panel_word *x, int64_t n)
{
    const signed char *byte = (const signed char *)x;
    const int64_t words = n / 4;
    uint32_t all = 0;
    int32_t sum;

#pragma omp simd reduction(+ : all)
    for (int64_t i = 0; i < words; i++) {
        const uint32_t four = x[i] ^ 0x80808080u;
        const uint32_t two = (four & 0x00FF00FFu) + (four >> 8 & 0x00FF00FFu);

        all += (two & 0xFFFFu) + (two >> 16);
    }
    sum = (int32_t)all - 512 * (int32_t)words;
    for (int64_t i = 4 * words; i < n; i++)
        sum += byte[i];
    return sum;
}

IMGEN_CLONES static void decode_row(panel_word *y, struct byte_row row, const float *scale,
                                    const float *total, const float *bias, int64_t n)
{
    const sum_word *sum = (const sum_word *)y;
    float_word *out = (float_word *)y;

    if (bias) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            out[j] = (float)sum[j] * (row.step * scale[j]) + (row.low * total[j] + bias[j]);
        return;
    }
#pragma omp simd
    for (int64_t j = 0; j < n; j++)
        out[j] = (float)sum[j] * (row.step * scale[j]) + row.low * total[j];
}

void words_to_floats(panel_word *y, int64_t y_row, const struct byte_row *row, int64_t rows,
                     const float *scale, const float *total, const float *bias, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        decode_row(y + r * y_row, row[r], scale, total, bias, cols);
}
