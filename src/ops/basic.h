/*
 * basic.h - arithmetic on tensors of one shape, broadcasting over samples, and moving values about
 *
 * All are differentiable unless said.  "Rows" are all dimensions but the last.
 */
#ifndef IMGEN_OPS_BASIC_H
#define IMGEN_OPS_BASIC_H

#include "graph/graph.h"

/* a + b, a - b, a * b: equal shapes. */
struct tensor *op_add(struct graph *g, struct tensor *a, struct tensor *b);
struct tensor *op_sub(struct graph *g, struct tensor *a, struct tensor *b);
struct tensor *op_mul(struct graph *g, struct tensor *a, struct tensor *b);

/* p a + q b with constants, p not 0: equal shapes. */
struct tensor *op_mix(struct graph *g, struct tensor *a, struct tensor *b, double p, double q);

/* a x + b with constants. */
struct tensor *op_affine(struct graph *g, struct tensor *x, double a, double b);

/* x [N, ..., D] + v, where v is [D], [N, D] (one row a sample) or x's shape with 1 for N (positions
 * [1, T, D] added to every sample; the 1 is asked for, since [T, D] would mean rows where T = N).
 */
struct tensor *op_add_vec(struct graph *g, struct tensor *x, struct tensor *v);

/* x + gate * y: x, y [N, ..., D], gate [N, D] (adaLN-Zero: Peebles and Xie 2023, figure 3). */
struct tensor *op_gated_add(struct graph *g, struct tensor *x, struct tensor *gate,
                            struct tensor *y);

/* The same values under another shape of equal count; shares memory. */
struct tensor *op_reshape(struct graph *g, struct tensor *x, struct shape shape);

/* The same values, and no gradient passes: a number that was measured.  Shares memory. */
struct tensor *op_detach(struct graph *g, struct tensor *x);

/* Columns [first, first + count) of the last dimension, copied. */
struct tensor *op_slice(struct graph *g, struct tensor *x, int64_t first, int64_t count);
/* The last dimension cut into n equal parts: out[0..n-1]. */
void op_chunk(struct graph *g, struct tensor *x, int n, struct tensor *out[]);
/* [a | b] along the last dimension. */
struct tensor *op_concat(struct graph *g, struct tensor *a, struct tensor *b);

/* x with u [..., n] added to its columns [first, first + n). */
struct tensor *op_add_columns(struct graph *g, struct tensor *x, struct tensor *u, int64_t first);

/* Sum of all elements, [1]: partial sums of fixed blocks, in double. */
struct tensor *op_sum(struct graph *g, struct tensor *x);
/* Sum over everything but the last dimension: [..., D] -> [D]. */
struct tensor *op_sum_rows(struct graph *g, struct tensor *x);
/* [N, ..., D] -> [N, D]: sum over the inner dimensions of each sample. */
struct tensor *op_sum_inner(struct graph *g, struct tensor *x);
/* A constant. */
struct tensor *op_fill(struct graph *g, struct shape shape, double value);

/* Mean of (a - b)^2 over all elements, [1]. */
struct tensor *op_mse(struct graph *g, struct tensor *a, struct tensor *b);

#endif
