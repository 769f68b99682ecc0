/*
 * codebook.h - vectors replaced by the nearest of a list, and gradients that go around that
 */
#ifndef IMGEN_OPS_CODEBOOK_H
#define IMGEN_OPS_CODEBOOK_H

#include "graph/graph.h"

/* For each row of z [..., D] the number of the row of codebook [K, D] nearest to it (Euclidean; of
 * equals the first): int32 [rows], rows in the order of z.  Not differentiated.  3 K D flops a row,
 * whose result depends on itself alone. */
struct tensor *op_nearest(struct graph *g, struct tensor *z, struct tensor *codebook);

/* The values of `value` with the gradient going to `through`, as if it were that (equal shapes);
 * shares the memory of `value`.  Bengio et al. 2013, "straight-through". */
struct tensor *op_straight_through(struct graph *g, struct tensor *value, struct tensor *through);

#endif
