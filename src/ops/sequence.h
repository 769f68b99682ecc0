/*
 * sequence.h - rows of sequences, chosen by where they stand or by what stands there
 */
#ifndef IMGEN_OPS_SEQUENCE_H
#define IMGEN_OPS_SEQUENCE_H

#include "graph/graph.h"

/* Rows [first, first + count) of every sample's sequence: [N, T, D] -> [N, count, D]. */
struct tensor *op_tokens_cut(struct graph *g, struct tensor *x, int64_t first, int64_t count);
/* b's rows behind a's: [N, A, D], [N, B, D] -> [N, A + B, D]. */
struct tensor *op_tokens_join(struct graph *g, struct tensor *a, struct tensor *b);

/* A window of a table that has a row for each cell of a grid: table [1, side side, D], row-major,
 * -> [1, height width, D], the cells from row `top` and column `left` on.  A stored table is widened
 * there alone.  Not differentiated. */
struct grid_window {
    int64_t side, top, left, height, width;
};
struct tensor *op_window(struct graph *g, struct tensor *table, struct grid_window w);

/* Of each sample the row at which its ids have their largest number, the first of equal ones: x [N,
 * T, D], ids int32 [N, T], T >= 1 -> [N, D].  With an end token above all others, the row where a
 * text ends. */
struct tensor *op_row_of_largest(struct graph *g, struct tensor *x, struct tensor *ids);

/* Every n-th of the ids, the first included: int32 [N, T], T a multiple of n -> int32 [N, T / n].
 * Not differentiated. */
struct tensor *op_ids_every(struct graph *g, struct tensor *ids, int64_t n);

/* What the distance of two tokens adds to their score: table [buckets, heads] -> [heads, T, T], a
 * row for each query a, a column for each key b, of bucket(b - a).  Half of the buckets are for
 * keys behind the query; of each half the first half is for one distance each, and the others grow
 * geometrically up to `far`, from where on all distances share the last.  buckets a multiple of 4,
 * far above buckets / 4.  Raffel et al. 2020, section 2.1. */
struct tensor *op_relative_bias(struct graph *g, struct tensor *table, int64_t T, int64_t far);
/* The bucket of key - query. */
int64_t relative_bucket(int64_t offset, int64_t buckets, int64_t far);

#endif
