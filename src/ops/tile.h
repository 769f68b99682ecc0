/*
 * tile.h - products of small matrices that lie in cache
 *
 * The inner work of attention: blocks of 64 x 64 or so, many of them, each used once.  A library
 * call with its checks, its choice of kernel and its packing costs as much as such a product
 * itself.
 */
#ifndef IMGEN_OPS_TILE_H
#define IMGEN_OPS_TILE_H

#include <stdbool.h>
#include <stdint.h>

/* Columns of a result are computed this many at a time, whatever the processor. */
enum { TILE_LANES = 16 };

/* Element (i, j) lies at at[i * row + j * col]. */
struct tile {
    float *at;
    int64_t row, col;
};

/* A tile whose rows are dense, `row` floats apart. */
static inline struct tile tile_rows(float *at, int64_t row)
{
    return (struct tile){at, row, 1};
}

static inline struct tile tile_transposed(struct tile t)
{
    return (struct tile){t.at, t.col, t.row};
}

/* n rounded up to whole vectors. */
static inline int64_t tile_padded(int64_t n)
{
    return (n + TILE_LANES - 1) / TILE_LANES * TILE_LANES;
}

/* C = A B, or C += A B when `add`: C [m, n], A [m, k], B [k, n], in float32, each element one chain
 * of multiply-adds over k = 0, 1, ... (starting from C when adding): its bits depend on its own row
 * and column alone, and not on m or n.  n must be a multiple of TILE_LANES; C and B must have col =
 * 1, A row = 1 or col = 1; no overlap.  2 m n k flops. */
void tile_mul(struct tile c, struct tile a, struct tile b, int64_t m, int64_t n, int64_t k,
              bool add);

/* C = sum of A_tu B_tu, or C += when `add`: products of one shape whose operands lie terms[0].a and
 * terms[0].b floats apart in t and terms[1]'s in u, terms[0].n times terms[1].n of them, in one
 * chain that stays in registers.  Operands may overlap: rows of pixels seen through a moving
 * window. */
struct tile_terms {
    int64_t n, a, b;
};
void tile_mul_sum(struct tile c, struct tile a, struct tile b, int64_t m, int64_t n, int64_t k,
                  const struct tile_terms terms[2], bool add);

/* to[j, i] = scale * from[i, j] for i < m, j < n; `from` and `to` have dense rows.  Columns m up to
 * the next multiple of TILE_LANES of `to` become zero. */
void tile_transpose(struct tile to, const float *from, int64_t from_row, int64_t m, int64_t n,
                    float scale);

/* to[i, j] = from[i, j] for i < m, j < n, and zero from column n up to the next multiple of
 * TILE_LANES. */
void tile_copy(struct tile to, const float *from, int64_t from_row, int64_t m, int64_t n);

#endif
