/*
 * pairs.c - every row of one set with every row of another
 *
 * Ten thousand pictures against ten thousand are 10^8 pairs of a few hundred numbers: the work of a
 * matrix product, and too many results to keep.  So one set is packed into blocks of 64 rows, and
 * whoever asks gets the products of 64 rows with 64 others at a time, in a tile that stays in
 * cache, to be summed or compared and forgotten.  The kernel is that of attention (ops/tile.h).
 *
 * Distances are |a|^2 + |b|^2 - 2 <a, b>, one product a number where (a - b)^2 would be twice the
 * work.  The norms are made by the same chain of multiply-adds as the products: the three terms of
 * two equal rows then cancel exactly, so that a copy is at distance 0 and not near it, and the
 * distance from a to b is that from b to a, bit for bit.
 */
#include "eval/pairs.h"

#include "base/memory.h"
#include "ops/tile.h"

#include <stdlib.h>

_Static_assert(PAIRS_BLOCK % TILE_LANES == 0, "a block is whole vectors");

static const struct tile_terms once[2] = {{1, 0, 0}, {1, 0, 0}};

int64_t pairs_rows(const struct pairs *p, int64_t block)
{
    int64_t left = p->n - block * PAIRS_BLOCK;

    return left < PAIRS_BLOCK ? left : PAIRS_BLOCK;
}

void pairs_products(float *tile, const float *rows, int64_t n, const struct pairs *p, int64_t block)
{
    struct tile c = {tile, PAIRS_BLOCK, 1};
    struct tile a = {(float *)(uintptr_t)rows, p->D, 1};
    struct tile b = {p->packed + block * p->D * PAIRS_BLOCK, PAIRS_BLOCK, 1};

    tile_mul_sum(c, a, b, n, PAIRS_BLOCK, p->D, once, false);
}

static void pack_block(struct pairs *p, const float *rows, int64_t block)
{
    int64_t D = p->D, first = block * PAIRS_BLOCK, n = pairs_rows(p, block);
    float tile[PAIRS_BLOCK * PAIRS_BLOCK], *to = p->packed + first * D;

    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < D; d++)
            to[d * PAIRS_BLOCK + i] = rows[(first + i) * D + d];
    pairs_products(tile, rows + first * D, n, p, block);
    for (int64_t i = 0; i < n; i++)
        p->norm[first + i] = tile[i * PAIRS_BLOCK + i];
}

enum status pairs_init(struct pairs *p, const float *rows, int64_t n, int64_t D, struct error *err)
{
    int64_t blocks = (n + PAIRS_BLOCK - 1) / PAIRS_BLOCK;
    enum status st;

    *p = (struct pairs){.n = n, .D = D, .blocks = blocks};
    if ((st = mem_new((void **)&p->packed, (uint64_t)(blocks * PAIRS_BLOCK),
                      (uint64_t)D * sizeof *p->packed, "a set of features", err)) ||
        (st = mem_new((void **)&p->norm, (uint64_t)(blocks * PAIRS_BLOCK), sizeof *p->norm,
                      "norms of features", err)))
        return st;
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < blocks; block++)
        pack_block(p, rows, block);
    return OK;
}

void pairs_release(struct pairs *p)
{
    free(p->packed);
    free(p->norm);
    *p = (struct pairs){0};
}

void pairs_distances(float *tile, const float *rows, int64_t n, const struct pairs *q, int64_t own,
                     const struct pairs *p, int64_t block)
{
    const float *a = q->norm + own * PAIRS_BLOCK, *b = p->norm + block * PAIRS_BLOCK;

    pairs_products(tile, rows, n, p, block);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < PAIRS_BLOCK; j++) {
            float d = (a[i] + b[j]) - 2 * tile[i * PAIRS_BLOCK + j];

            tile[i * PAIRS_BLOCK + j] = d > 0 ? d : 0;
        }
}
