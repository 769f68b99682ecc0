/*
 * tile.c - products of small matrices that lie in cache
 *
 * C += A B row by row is a loop of loads; the way out is to hold a block of C in registers and let
 * k run: each step loads one strip of B and as many numbers of A as the block has rows, and every
 * loaded value is used once for each row or each vector.  With AVX-512, 6 rows of 4 vectors are 24
 * sums, 4 of B and 1 of A in 32 registers: ten loads for 24 multiply-adds.  A is read a number at a
 * time and spread over a vector, so it may be stored either way round; only B must lie in rows.
 *
 * gcc and clang do not find this shape from plain loops, since it needs a local array in registers,
 * so the block is written with vector types and, where the language gives no promise that a * b + c
 * is one instruction, the processor's own multiply-add.  Three widths, chosen by asking the
 * processor; a choice by the loader (base/simd.h) would not do, as the best block differs with the
 * width.
 *
 * Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication", for the idea;
 * their packing into panels is left out because a tile is small enough for the first-level cache as
 * it is.
 */
#include "ops/tile.h"

#include "base/error.h"
#include "base/simd.h"

#include <string.h>

/* Loops over registers must disappear before the compiler decides where the sums live. */
#ifdef __clang__
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 8")
#endif

#if defined(__x86_64__)
#include <immintrin.h>

#define TILE_NAME(x)      x##_512
#define TILE_TARGET       __attribute__((target("avx512f")))
#define TILE_BYTES        64
#define TILE_ROWS         6
#define TILE_VECS         4
#define TILE_FMA(a, x, y) _mm512_fmadd_ps(_mm512_set1_ps(a), (x), (y))
#include "ops/tile_kernel.h"

#define TILE_NAME(x)      x##_256
#define TILE_TARGET       __attribute__((target("avx2,fma")))
#define TILE_BYTES        32
#define TILE_ROWS         6
#define TILE_VECS         2
#define TILE_FMA(a, x, y) _mm256_fmadd_ps(_mm256_set1_ps(a), (x), (y))
#include "ops/tile_kernel.h"
#endif

#define TILE_NAME(x) x##_128
#define TILE_TARGET
#define TILE_BYTES        16
#define TILE_ROWS         4
#define TILE_VECS         2
#define TILE_FMA(a, x, y) ((a) * (x) + (y))
#include "ops/tile_kernel.h"

void tile_mul_sum(struct tile c, struct tile a, struct tile b, int64_t m, int64_t n, int64_t k,
                  const struct tile_terms terms[2], bool add)
{
    MUST(n % TILE_LANES == 0 && c.col == 1 && b.col == 1 && (a.row == 1 || a.col == 1),
         "%d columns, strides %d %d %d %d", (int)n, (int)c.col, (int)b.col, (int)a.row, (int)a.col);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        mul_512(c, a, b, m, n, k, terms, add);
        return;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        mul_256(c, a, b, m, n, k, terms, add);
        return;
    }
#endif
    mul_128(c, a, b, m, n, k, terms, add);
}

void tile_mul(struct tile c, struct tile a, struct tile b, int64_t m, int64_t n, int64_t k,
              bool add)
{
    tile_mul_sum(c, a, b, m, n, k, (const struct tile_terms[2]){{.n = 1}, {.n = 1}}, add);
}

/* Four rows of four numbers, turned round in registers: sixteen loads and sixteen stores become
 * four. */
typedef float quad __attribute__((vector_size(16), aligned(sizeof(float)), may_alias));

static void transpose_4x4(float *to, int64_t to_row, const float *from, int64_t from_row,
                          float scale)
{
    const quad r0 = *(const quad *)from, r1 = *(const quad *)(from + from_row);
    const quad r2 = *(const quad *)(from + 2 * from_row), r3 = *(const quad *)(from + 3 * from_row);
    const quad a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    const quad b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    const quad c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    const quad d = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);

    *(quad *)to = scale * __builtin_shufflevector(a, b, 0, 1, 4, 5);
    *(quad *)(to + to_row) = scale * __builtin_shufflevector(a, b, 2, 3, 6, 7);
    *(quad *)(to + 2 * to_row) = scale * __builtin_shufflevector(c, d, 0, 1, 4, 5);
    *(quad *)(to + 3 * to_row) = scale * __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

void tile_transpose(struct tile to, const float *from, int64_t from_row, int64_t m, int64_t n,
                    float scale)
{
    const int64_t width = tile_padded(m), m4 = m / 4 * 4, n4 = n / 4 * 4;

    for (int64_t j = 0; j < n4; j += 4)
        for (int64_t i = 0; i < m4; i += 4)
            transpose_4x4(to.at + j * to.row + i, to.row, from + i * from_row + j, from_row, scale);
    for (int64_t j = 0; j < n; j++) {
        float *row = to.at + j * to.row;

        for (int64_t i = j < n4 ? m4 : 0; i < m; i++)
            row[i] = scale * from[i * from_row + j];
        for (int64_t i = m; i < width; i++)
            row[i] = 0;
    }
}

/* Rows of one head are a few lines, each from another page: no call of memcpy for each. */
IMGEN_CLONES void tile_copy(struct tile to, const float *from, int64_t from_row, int64_t m,
                            int64_t n)
{
    const int64_t width = tile_padded(n);

    for (int64_t i = 0; i < m; i++) {
        float *restrict row = to.at + i * to.row;

        for (int64_t j = 0; j < n; j++)
            row[j] = from[i * from_row + j];
        for (int64_t j = n; j < width; j++)
            row[j] = 0;
    }
}
