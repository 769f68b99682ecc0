/*
 * cross_entropy.h - how surprised a classifier is by the label
 */
#ifndef IMGEN_OPS_CROSS_ENTROPY_H
#define IMGEN_OPS_CROSS_ENTROPY_H

#include "graph/graph.h"

/* -log softmax(z)_y of each row: z [N, K], y int32 [N], each in 0 .. K - 1 -> [N], in nats.  A
 * row's bits depend on itself alone. */
struct tensor *op_cross_entropy(struct graph *g, struct tensor *z, struct tensor *y);

#endif
