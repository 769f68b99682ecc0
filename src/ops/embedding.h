/*
 * embedding.h - labels and times to vectors
 */
#ifndef IMGEN_OPS_EMBEDDING_H
#define IMGEN_OPS_EMBEDDING_H

#include "graph/graph.h"

/* Rows of table [K, D] by index ids [N] (int32, each in 0..K-1): [N, D]. */
struct tensor *op_embedding(struct graph *g, struct tensor *table, struct tensor *ids);

/* [cos(t f_k) | sin(t f_k)], f_k = 10000^(-k / (D/2)), k = 0 .. D/2-1, angles in double.
 * t [N] -> [N, D], D even; not differentiated.  Vaswani et al. 2017; cosine half first. */
struct tensor *op_time_features(struct graph *g, struct tensor *t, int64_t D);

#endif
