/*
 * embedding.h - labels and times to vectors
 */
#ifndef IMGEN_OPS_EMBEDDING_H
#define IMGEN_OPS_EMBEDDING_H

#include "graph/graph.h"

/* Rows of table [K, D] by index ids [...] (int32, each in 0..K-1): [..., D]. */
struct tensor *op_embedding(struct graph *g, struct tensor *table, struct tensor *ids);

/* [cos(t f_k) | sin(t f_k)], f_k = 10000^(-k / (D/2)), k = 0 .. D/2-1, D/2 rounded down, angles in
 * double; a last 0 where D is odd.  t [N] -> [N, D], D at least 2; not differentiated.  Vaswani et
 * al. 2017; cosine half first. */
struct tensor *op_time_features(struct graph *g, struct tensor *t, int64_t D);
/* The same as DDPM++ orders and spaces it: [sin(t f_k) | cos(t f_k)], f_k = 10000^(-k / (D/2 - 1)),
 * so that the lowest frequency is 1/10000 itself.  Song et al. 2021; D at least 4. */
struct tensor *op_time_waves(struct graph *g, struct tensor *t, int64_t D);
/* sqrt 2 cos(t f_k + p_k), of unit magnitude over random phases: t [N], frequencies f and phases p
 * [D], -> [N, D]; not differentiated.  Karras et al. 2024, (75). */
struct tensor *op_fourier_features(struct graph *g, struct tensor *t, struct tensor *f,
                                   struct tensor *p);

/* value at the place of each id and 0 elsewhere: ids [N] (int32, each in 0..K-1) -> [N, K]; not
 * differentiated. */
struct tensor *op_one_hot(struct graph *g, struct tensor *ids, int64_t K, double value);

#endif
