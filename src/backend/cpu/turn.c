/*
 * turn.c - rows of words turned round, into columns of a panel
 *
 * A forward product wants neighbours along the sum below each other, and files have them side by
 * side.  A square of L x L words, L being what a vector holds, is turned in registers: log2 L times
 * each vector is shuffled with a partner, first words, then pairs, then quarters and halves.  That
 * is L log2 L shuffles for L^2 words, so wide vectors turn a word for less: a quarter of a shuffle
 * with AVX-512.
 */
#include "backend/cpu/turn.h"

#include <stddef.h>

/* Words that the squares leave over. */
static void turn_rest(panel_word *out, const panel_word *in, int64_t first, int64_t words)
{
    for (int64_t k = first; k < words; k++)
        for (int j = 0; j < TURN_ROWS; j++)
            out[k * PANEL_COLS + j] = in[j * TURN_STEP + k];
}

#ifdef __clang__
#define TURN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TURN_UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__x86_64__)
#include <immintrin.h>

/* --- AVX-512 ----------------------------------------------------------------------------------
 */

/* After words and pairs were exchanged within quarters, quarter q of row 4 g + i holds rows
 * 4 g .. 4 g + 3 of column 4 q + i. */
__attribute__((target("avx512f"))) static inline __attribute__((always_inline)) void
turn_square_512(panel_word *out, const panel_word *in)
{
    __m512i r[16], s[16];

    TURN_UNROLL
    for (int i = 0; i < 16; i++)
        r[i] = _mm512_loadu_si512(in + i * TURN_STEP);
    TURN_UNROLL
    for (int i = 0; i < 16; i += 2) {
        s[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    TURN_UNROLL
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(s[i], s[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(s[i], s[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(s[i + 1], s[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(s[i + 1], s[i + 3]);
    }
    TURN_UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i a = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
        const __m512i b = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
        const __m512i c = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
        const __m512i d = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);

        _mm512_storeu_si512(out + i * PANEL_COLS, _mm512_shuffle_i32x4(a, b, 0x88));
        _mm512_storeu_si512(out + (i + 4) * PANEL_COLS, _mm512_shuffle_i32x4(c, d, 0x88));
        _mm512_storeu_si512(out + (i + 8) * PANEL_COLS, _mm512_shuffle_i32x4(a, b, 0xdd));
        _mm512_storeu_si512(out + (i + 12) * PANEL_COLS, _mm512_shuffle_i32x4(c, d, 0xdd));
    }
}

__attribute__((target("avx512f"))) static void turn_512(panel_word *out, const panel_word *in,
                                                        int64_t words)
{
    int64_t k = 0;

    for (; k + 16 <= words; k += 16)
        turn_square_512(out + k * PANEL_COLS, in + k);
    turn_rest(out, in, k, words);
}

static bool has_512(void)
{
    return __builtin_cpu_supports("avx512f");
}

/* --- AVX2 -------------------------------------------------------------------------------------
 */

__attribute__((target("avx2"))) static inline __attribute__((always_inline)) void
turn_square_256(panel_word *out, const panel_word *in)
{
    __m256i r[8], s[8];

    TURN_UNROLL
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_si256((const void *)(in + i * TURN_STEP));
    TURN_UNROLL
    for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    TURN_UNROLL
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_unpacklo_epi64(s[i], s[i + 2]);
        r[i + 1] = _mm256_unpackhi_epi64(s[i], s[i + 2]);
        r[i + 2] = _mm256_unpacklo_epi64(s[i + 1], s[i + 3]);
        r[i + 3] = _mm256_unpackhi_epi64(s[i + 1], s[i + 3]);
    }
    TURN_UNROLL
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_si256((void *)(out + i * PANEL_COLS),
                            _mm256_permute2x128_si256(r[i], r[4 + i], 0x20));
        _mm256_storeu_si256((void *)(out + (i + 4) * PANEL_COLS),
                            _mm256_permute2x128_si256(r[i], r[4 + i], 0x31));
    }
}

__attribute__((target("avx2"))) static void turn_256(panel_word *out, const panel_word *in,
                                                     int64_t words)
{
    int64_t k = 0;

    for (; k + 8 <= words; k += 8)
        for (int j = 0; j < TURN_ROWS; j += 8)
            turn_square_256(out + k * PANEL_COLS + j, in + j * TURN_STEP + k);
    turn_rest(out, in, k, words);
}

static bool has_256(void)
{
    return __builtin_cpu_supports("avx2");
}
#endif

/* --- any processor ----------------------------------------------------------------------------
 */

typedef int32_t four __attribute__((vector_size(16), aligned(4), may_alias));

static void turn_square_128(panel_word *out, const panel_word *in)
{
    const four r0 = *(const four *)in, r1 = *(const four *)(in + TURN_STEP);
    const four r2 = *(const four *)(in + 2 * TURN_STEP), r3 = *(const four *)(in + 3 * TURN_STEP);
    const four a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    const four b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    const four c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    const four d = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);

    *(four *)out = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    *(four *)(out + PANEL_COLS) = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    *(four *)(out + 2 * PANEL_COLS) = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    *(four *)(out + 3 * PANEL_COLS) = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

static void turn_128(panel_word *out, const panel_word *in, int64_t words)
{
    int64_t k = 0;

    for (; k + 4 <= words; k += 4)
        for (int j = 0; j < TURN_ROWS; j += 4)
            turn_square_128(out + k * PANEL_COLS + j, in + j * TURN_STEP + k);
    turn_rest(out, in, k, words);
}

static bool has_nothing_special(void)
{
    return true;
}

/* --- the choice -------------------------------------------------------------------------------
 */

static const struct turn_engine engines[] = {
#if defined(__x86_64__)
    {"AVX-512", has_512, turn_512},
    {"AVX2", has_256, turn_256},
#endif
    {"128-bit vectors", has_nothing_special, turn_128},
};

const struct turn_engine *turn_engine_at(int i)
{
    return i >= 0 && i < (int)(sizeof engines / sizeof *engines) ? &engines[i] : NULL;
}

const struct turn_engine *turn_engine(void)
{
    int i = 0;

    while (!engines[i].here())
        i++;
    return &engines[i];
}
