/*
 * widen.c - stored numbers to floats
 *
 * Every short format is a part of float32, so widening rounds nothing: a product from stored
 * weights has the bits of the same product from weights that were widened beforehand.
 *
 * The plain loops are written once, over functions without a branch (base/numbers.h), and compiled
 * for each processor that is told apart; of float16 alone the instruction of the processor is asked
 * for by name, since no compiler finds it in the shifts that stand in for it.
 *
 * Blocks that are known to nobody here (the types of GGUF) are widened by who lent the matrix.
 */
#include "backend/cpu/widen.h"

#include "base/numbers.h"
#include "base/whole.h"

#include <string.h>

#define ALWAYS static inline __attribute__((always_inline))

/* Numbers at any address. */
typedef uint16_t __attribute__((aligned(1), may_alias)) half_word;

/* --- plain loops --------------------------------------------------------------------------------
 */

ALWAYS void loop_f32(float *out, const void *in, int64_t n)
{
    memcpy(out, in, (size_t)n * sizeof *out);
}

ALWAYS void loop_f16(float *restrict out, const void *in, int64_t n)
{
    const half_word *x = in;

#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = f16_value(x[i]);
}

ALWAYS void loop_bf16(float *restrict out, const void *in, int64_t n)
{
    const half_word *x = in;

#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = bf16_value(x[i]);
}

ALWAYS void loop_e4m3(float *restrict out, const void *in, int64_t n)
{
    const uint8_t *x = in;

#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = f8_e4m3_value(x[i]);
}

ALWAYS void loop_e5m2(float *restrict out, const void *in, int64_t n)
{
    const uint8_t *x = in;

#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = f8_e5m2_value(x[i]);
}

ALWAYS void loop_i8(float *restrict out, const void *in, int64_t n)
{
    const int8_t *x = in;

#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)x[i];
}

ALWAYS void loop_q8_0(float *restrict out, const void *in, int64_t n)
{
    const uint8_t *block = in;

    for (int64_t i = 0; i < n; i += MATRIX_Q8_0_NUMBERS, block += MATRIX_Q8_0_BYTES) {
        const int8_t *x = (const int8_t *)block + 2;
        const float d = f16_value(*(const half_word *)block);

#pragma omp simd
        for (int k = 0; k < MATRIX_Q8_0_NUMBERS; k++)
            out[i + k] = (float)x[k] * d;
    }
}

ALWAYS void loop_scale(float *out, float by, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] *= by;
}

/* --- for each processor -------------------------------------------------------------------------
 */

#define VARIANT(NAME, TARGET, F16)                                        \
    TARGET static void f32_##NAME(float *out, const void *in, int64_t n)  \
    {                                                                     \
        loop_f32(out, in, n);                                             \
    }                                                                     \
    TARGET static void f16_##NAME(float *out, const void *in, int64_t n)  \
    {                                                                     \
        F16(out, in, n);                                                  \
    }                                                                     \
    TARGET static void bf16_##NAME(float *out, const void *in, int64_t n) \
    {                                                                     \
        loop_bf16(out, in, n);                                            \
    }                                                                     \
    TARGET static void e4m3_##NAME(float *out, const void *in, int64_t n) \
    {                                                                     \
        loop_e4m3(out, in, n);                                            \
    }                                                                     \
    TARGET static void e5m2_##NAME(float *out, const void *in, int64_t n) \
    {                                                                     \
        loop_e5m2(out, in, n);                                            \
    }                                                                     \
    TARGET static void i8_##NAME(float *out, const void *in, int64_t n)   \
    {                                                                     \
        loop_i8(out, in, n);                                              \
    }                                                                     \
    TARGET static void q8_0_##NAME(float *out, const void *in, int64_t n) \
    {                                                                     \
        loop_q8_0(out, in, n);                                            \
    }                                                                     \
    TARGET static void scale_##NAME(float *out, float by, int64_t n)      \
    {                                                                     \
        loop_scale(out, by, n);                                           \
    }

#define ENGINE(LABEL, HERE, NAME)                                        \
    {                                                                    \
        .name = LABEL, .here = HERE, .scale = scale_##NAME, .numbers = { \
            [MATRIX_F32] = f32_##NAME,                                   \
            [MATRIX_F16] = f16_##NAME,                                   \
            [MATRIX_BF16] = bf16_##NAME,                                 \
            [MATRIX_F8_E4M3] = e4m3_##NAME,                              \
            [MATRIX_F8_E5M2] = e5m2_##NAME,                              \
            [MATRIX_I8] = i8_##NAME,                                     \
            [MATRIX_Q8_0] = q8_0_##NAME,                                 \
        }                                                                \
    }

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define TARGET_512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))
#define TARGET_256 __attribute__((target("avx2,fma,f16c")))

TARGET_512 ALWAYS void half_512(float *out, const void *in, int64_t n)
{
    const half_word *x = in;
    int64_t i = 0;

    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(out + i, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(x + i))));
    for (; i < n; i++)
        out[i] = f16_value(x[i]);
}

TARGET_256 ALWAYS void half_256(float *out, const void *in, int64_t n)
{
    const half_word *x = in;
    int64_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(x + i))));
    for (; i < n; i++)
        out[i] = f16_value(x[i]);
}

VARIANT(512, TARGET_512, half_512)
VARIANT(256, TARGET_256, half_256)

/* Compilers differ in whether they know this name, so the processor is asked. */
static bool has_f16c(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    return __get_cpuid(1, &a, &b, &c, &d) && c >> 29 & 1;
}

static bool has_256(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

static bool has_512(void)
{
    return has_256() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#endif

static bool has_nothing_special(void)
{
    return true;
}

VARIANT(plain, , loop_f16)

static const struct widen_engine engines[] = {
#if defined(__x86_64__)
    ENGINE("AVX-512", has_512, 512),
    ENGINE("AVX2, F16C", has_256, 256),
#endif
    ENGINE("plain loops", has_nothing_special, plain),
};

const struct widen_engine *widen_engine_at(int i)
{
    return i >= 0 && i < (int)(sizeof engines / sizeof *engines) ? &engines[i] : NULL;
}

const struct widen_engine *widen_engine(void)
{
    int i = 0;

    while (!engines[i].here())
        i++;
    return &engines[i];
}

/* --- a part of a row ----------------------------------------------------------------------------
 */

/* Numbers in a block of s, 1 where each stands for itself. */
static int64_t block_of(const struct matrix *s)
{
    return s->type == MATRIX_OTHER ? s->block : s->type == MATRIX_Q8_0 ? MATRIX_Q8_0_NUMBERS : 1;
}

/* Whole blocks. */
static void widen_blocks(const struct widen_engine *e, float *out, const struct matrix *s,
                         int64_t row, int64_t first, int64_t n)
{
    const uint8_t *at = (const uint8_t *)s->bytes + row * s->row_bytes;

    if (s->type == MATRIX_OTHER)
        s->widen(out, s, row, first, n);
    else
        e->numbers[s->type](out, at + matrix_bytes(s->type, first), n);
}

/* Less than a block. */
static void widen_within(const struct widen_engine *e, float *out, const struct matrix *s,
                         int64_t row, int64_t first, int64_t n)
{
    float numbers[MATRIX_BLOCK];
    int64_t before = first % block_of(s);

    widen_blocks(e, numbers, s, row, first - before, block_of(s));
    memcpy(out, numbers + before, (size_t)n * sizeof *out);
}

/* The rest of a block, whole ones, and the begin of another. */
static void widen_numbers(const struct widen_engine *e, float *out, const struct matrix *s,
                          int64_t row, int64_t first, int64_t n)
{
    int64_t block = block_of(s), before = first % block;

    if (before || n < block) {
        int64_t some = whole_min(n, block - before);

        widen_within(e, out, s, row, first, some);
        out += some, first += some, n -= some;
    }
    if (n >= block) {
        int64_t whole = n / block * block;

        widen_blocks(e, out, s, row, first, whole);
        out += whole, first += whole, n -= whole;
    }
    if (n)
        widen_within(e, out, s, row, first, n);
}

void widen_row(const struct widen_engine *e, float *out, const struct matrix *s, int64_t row,
               int64_t first, int64_t n)
{
    s = matrix_at(s, &row);
    if (s->type < MATRIX_Q8_0)
        widen_blocks(e, out, s, row, first, n);
    else
        widen_numbers(e, out, s, row, first, n);
    if (s->scales)
        e->scale(out, s->scale[s->scales == 1 ? 0 : row], n);
}
