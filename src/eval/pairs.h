/*
 * pairs.h - every row of one set with every row of another
 */
#ifndef IMGEN_EVAL_PAIRS_H
#define IMGEN_EVAL_PAIRS_H

#include "base/error.h"

#include <stdint.h>

/* Rows are taken so many at a time. */
enum { PAIRS_BLOCK = 64 };

/* A set laid out for products: blocks of 64 rows, each stored as its columns.  Fields are its own.
 */
struct pairs {
    int64_t n, D, blocks;
    float *packed; /* [blocks, D, 64], rows past the last are zero */
    float *norm;   /* [blocks 64]: |row|^2, by the chain of sums that makes products */
};

/* rows [n, D]; not kept.  E_MEMORY.  Release also after a failure. */
enum status pairs_init(struct pairs *p, const float *rows, int64_t n, int64_t D, struct error *err);
void pairs_release(struct pairs *p);

/* tile[i * 64 + j] = <rows[i], row 64 block + j of p> for i < n <= 64.  rows [n, D], aligned to
 * floats alone.  A product depends on its two rows only, and is the same for (a, b) and (b, a). */
void pairs_products(float *tile, const float *rows, int64_t n, const struct pairs *p,
                    int64_t block);

/* out[i * 64 + j] = |rows[i] - row j of the block|^2, where rows are the n rows of q from 64 own on
 * as floats [n, D].  Exactly 0 for equal rows; otherwise off by about 1e-6 of |a|^2 + |b|^2. */
void pairs_distances(float *tile, const float *rows, int64_t n, const struct pairs *q, int64_t own,
                     const struct pairs *p, int64_t block);

/* Rows of the set in a block: 64, or fewer in the last. */
int64_t pairs_rows(const struct pairs *p, int64_t block);

#endif
