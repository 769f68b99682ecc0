/*
 * panel.c - the inner loop of every linear layer, for each kind of number and processor
 *
 * A block of C is held in registers while the sum runs: each step loads one strip of B and as many
 * words of A as the block has rows, and every loaded word is used once for each row or each vector.
 * With AVX-512, 6 rows of 4 vectors are 24 sums, 4 of B and 1 of A in 32 registers: ten loads for
 * 24 multiply-adds, in float32 as with bf16 pairs (vdpbf16ps) and with four bytes (vpdpbusd), whose
 * instructions take the same operands and the same time, and do two or four times the work.
 *
 * Why not oneDNN's products, which are as fast: they choose their own cut of the sum by the number
 * of rows and columns, so that tiles must have one height and be padded to it; theirs of bytes
 * wants another pass to make numbers of the sums; version 2.6 emulates bf16 on processors that have
 * it. Here a row's bits do not depend on the cut, so work is shared as suits the caches and the
 * threads.
 *
 * Bytes are unsigned times signed because vpdpbusd is.  Where the processor has neither it nor bf16
 * products, pairs of 16-bit numbers are multiplied, or bf16 is widened: the bytes' sums are whole
 * numbers and the same everywhere, those of bf16 round differently.
 *
 * Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
 */
#include "backend/cpu/panel.h"

#include <stddef.h>

enum {
    PANEL_NEAR = 512, /* words of a strip that is copied, at most         */
    PANEL_TALL = 24,  /* rows that must meet it: fewer do not pay for that */
};

/* Loops over registers must disappear before the compiler decides where the sums live. */
#ifdef __clang__
#define PANEL_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PANEL_UNROLL _Pragma("GCC unroll 8")
#endif

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* --- AVX-512 ----------------------------------------------------------------------------------
 */

#define PANEL_NAME(x)      x##_f32_512
#define PANEL_TARGET       __attribute__((target("avx512f")))
#define PANEL_BYTES        64
#define PANEL_ROWS         6
#define PANEL_VECS         4
#define PANEL_TYPE         float
#define PANEL_MAC(s, a, b) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (s))
#include "backend/cpu/panel_kernel.h"

#define PANEL_NAME(x)      x##_bf16_512
#define PANEL_TARGET       __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define PANEL_BYTES        64
#define PANEL_ROWS         6
#define PANEL_VECS         4
#define PANEL_TYPE         float
#define PANEL_MAC(s, a, b) _mm512_dpbf16_ps((s), (__m512bh)(a), (__m512bh)(b))
#include "backend/cpu/panel_kernel.h"

#define PANEL_NAME(x) x##_int8_512
#define PANEL_TARGET  __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define PANEL_BYTES   64
#define PANEL_ROWS    6
#define PANEL_VECS    4
#define PANEL_TYPE    int32_t
#define PANEL_MAC(s, a, b) \
    ((sum_int8_512)_mm512_dpbusd_epi32((__m512i)(s), (__m512i)(a), (__m512i)(b)))
#include "backend/cpu/panel_kernel.h"

static bool has_f32_512(void)
{
    return __builtin_cpu_supports("avx512f");
}

static bool has_bf16_512(void)
{
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw");
}

static bool has_int8_512(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw");
}

/* --- AVX2 -------------------------------------------------------------------------------------
 */

#define WIDE_LOW_256(x)  ((__m256)_mm256_slli_epi32((__m256i)(x), 16))
#define WIDE_HIGH_256(x) ((__m256)_mm256_and_si256((__m256i)(x), _mm256_set1_epi32(-65536)))

#define PANEL_NAME(x)      x##_f32_256
#define PANEL_TARGET       __attribute__((target("avx2,fma")))
#define PANEL_BYTES        32
#define PANEL_ROWS         6
#define PANEL_VECS         2
#define PANEL_TYPE         float
#define PANEL_MAC(s, a, b) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (s))
#include "backend/cpu/panel_kernel.h"

#define PANEL_NAME(x) x##_bf16_256
#define PANEL_TARGET  __attribute__((target("avx2,fma")))
#define PANEL_BYTES   32
#define PANEL_ROWS    4
#define PANEL_VECS    2
#define PANEL_TYPE    float
#define PANEL_MAC(s, a, b)                              \
    _mm256_fmadd_ps(WIDE_HIGH_256(a), WIDE_HIGH_256(b), \
                    _mm256_fmadd_ps(WIDE_LOW_256(a), WIDE_LOW_256(b), (s)))
#include "backend/cpu/panel_kernel.h"

#define PANEL_NAME(x) x##_int8_vnni_256
#define PANEL_TARGET  __attribute__((target("avx2,avxvnni")))
#define PANEL_BYTES   32
#define PANEL_ROWS    6
#define PANEL_VECS    2
#define PANEL_TYPE    int32_t
#define PANEL_MAC(s, a, b) \
    ((sum_int8_vnni_256)_mm256_dpbusd_avx_epi32((__m256i)(s), (__m256i)(a), (__m256i)(b)))
#include "backend/cpu/panel_kernel.h"

/* Bytes 0 and 2 of each word, and bytes 1 and 3, as 16-bit numbers: unsigned of A, signed of B. */
#define EVEN_A_256(a) _mm256_and_si256((__m256i)(a), _mm256_set1_epi16(255))
#define ODD_A_256(a)  _mm256_srli_epi16((__m256i)(a), 8)
#define EVEN_B_256(b) _mm256_srai_epi16(_mm256_slli_epi16((__m256i)(b), 8), 8)
#define ODD_B_256(b)  _mm256_srai_epi16((__m256i)(b), 8)

#define PANEL_NAME(x) x##_int8_256
#define PANEL_TARGET  __attribute__((target("avx2")))
#define PANEL_BYTES   32
#define PANEL_ROWS    4
#define PANEL_VECS    2
#define PANEL_TYPE    int32_t
#define PANEL_MAC(s, a, b)                                                                 \
    ((s) + (sum_int8_256)_mm256_add_epi32(_mm256_madd_epi16(EVEN_A_256(a), EVEN_B_256(b)), \
                                          _mm256_madd_epi16(ODD_A_256(a), ODD_B_256(b))))
#include "backend/cpu/panel_kernel.h"

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Compilers differ in whether they know this name, so the processor is asked. */
static bool has_int8_vnni_256(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 4 & 1;
}
#endif

/* --- any processor ----------------------------------------------------------------------------
 */

static bool has_nothing_special(void)
{
    return true;
}

#define PANEL_NAME(x) x##_f32_128
#define PANEL_TARGET
#define PANEL_BYTES        16
#define PANEL_ROWS         4
#define PANEL_VECS         2
#define PANEL_TYPE         float
#define PANEL_MAC(s, a, b) ((s) + (sum_f32_128)(a) * (sum_f32_128)(b))
#include "backend/cpu/panel_kernel.h"

/* A bf16 is the upper half of a float. */
#define WIDE_LOW_128(x)  ((sum_bf16_128)((x) << 16))
#define WIDE_HIGH_128(x) ((sum_bf16_128)((x) & -65536))

#define PANEL_NAME(x) x##_bf16_128
#define PANEL_TARGET
#define PANEL_BYTES 16
#define PANEL_ROWS  4
#define PANEL_VECS  2
#define PANEL_TYPE  float
#define PANEL_MAC(s, a, b) \
    ((s) + WIDE_LOW_128(a) * WIDE_LOW_128(b) + WIDE_HIGH_128(a) * WIDE_HIGH_128(b))
#include "backend/cpu/panel_kernel.h"

/* Byte k of each word, unsigned of A, signed of B. */
#define BYTE_A_128(a, k) ((a) >> (8 * (k)) & 255)
#define BYTE_B_128(b, k) ((b) << (24 - 8 * (k)) >> 24)

#define PANEL_NAME(x) x##_int8_128
#define PANEL_TARGET
#define PANEL_BYTES 16
#define PANEL_ROWS  4
#define PANEL_VECS  2
#define PANEL_TYPE  int32_t
#define PANEL_MAC(s, a, b)                                                             \
    ((s) + BYTE_A_128(a, 0) * BYTE_B_128(b, 0) + BYTE_A_128(a, 1) * BYTE_B_128(b, 1) + \
     BYTE_A_128(a, 2) * BYTE_B_128(b, 2) + BYTE_A_128(a, 3) * BYTE_B_128(b, 3))
#include "backend/cpu/panel_kernel.h"

/* --- the choice -------------------------------------------------------------------------------
 */

enum { ENGINES = 4 };

static const struct panel_engine engines[][ENGINES] = {
    [PRECISION_FLOAT32] =
        {
#if defined(__x86_64__)
            {"AVX-512", has_f32_512, mul_f32_512, false},
            {"AVX2", has_avx2, mul_f32_256, false},
#endif
            {"128-bit vectors", has_nothing_special, mul_f32_128, false},
        },
    [PRECISION_BF16] =
        {
#if defined(__x86_64__)
            {"AVX-512 BF16", has_bf16_512, mul_bf16_512, false},
            {"AVX2, widened", has_avx2, mul_bf16_256, true},
#endif
            {"128-bit vectors, widened", has_nothing_special, mul_bf16_128, true},
        },
    [PRECISION_INT8] =
        {
#if defined(__x86_64__)
            {"AVX-512 VNNI", has_int8_512, mul_int8_512, false},
            {"AVX-VNNI", has_int8_vnni_256, mul_int8_vnni_256, false},
            {"AVX2, 16-bit products", has_avx2, mul_int8_256, false},
#endif
            {"128-bit vectors", has_nothing_special, mul_int8_128, false},
        },
};

const struct panel_engine *panel_engine_at(enum precision p, int i)
{
    return i >= 0 && i < ENGINES && engines[p][i].name ? &engines[p][i] : NULL;
}

const struct panel_engine *panel_engine(enum precision p)
{
    int i = 0;

    while (!panel_engine_at(p, i)->here())
        i++;
    return panel_engine_at(p, i);
}
