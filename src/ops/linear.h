/*
 * linear.h - y = act(x W^T + b)
 */
#ifndef IMGEN_OPS_LINEAR_H
#define IMGEN_OPS_LINEAR_H

#include "graph/graph.h"

enum act {
    ACT_NONE,
    ACT_SILU,
    ACT_GELU, /* tanh form */
};

/* x [..., I]; weight [O, I]; bias [O] or NULL; result [..., O].  The activation runs on each tile of
 * rows while it is in cache. */
struct tensor *op_linear(struct graph *g, struct tensor *x, struct tensor *weight,
                         struct tensor *bias, enum act act);

/* The precision in which this graph computes the forward of y, a result of op_linear. */
enum precision linear_precision(const struct graph *g, const struct tensor *y);

#endif
