/*
 * conv.h - 2-D convolution, channels last
 */
#ifndef IMGEN_OPS_CONV_H
#define IMGEN_OPS_CONV_H

#include "graph/graph.h"

/* Zero padding of each side, in pixels, and the step. */
struct conv_geometry {
    int64_t stride;
    int64_t top, bottom, left, right;
};

/* x [N, H, W, I]; weight [O, kh, kw, I]; bias [O] or NULL; result [N, H', W', O] with
 * H' = (H + top + bottom - kh) / stride + 1. */
struct tensor *op_conv2d(struct graph *g, struct tensor *x, struct tensor *weight,
                         struct tensor *bias, struct conv_geometry geometry);

/* The same in `groups` groups: the k-th O / groups outputs read the k-th I / groups channels of x.
 * weight [O, kh, kw, I / groups]; groups divides I and O, and groups = I = O is a depthwise
 * convolution. */
struct tensor *op_conv2d_grouped(struct graph *g, struct tensor *x, struct tensor *weight,
                                 struct tensor *bias, struct conv_geometry geometry,
                                 int64_t groups);

/* The transpose of op_conv2d ("transposed convolution"): what a convolution of this geometry takes
 * from I to O channels this takes back, so that a stride makes pictures larger.  x [N, H, W, I];
 * weight [I, kh, kw, O]; bias [O] or NULL; result [N, H', W', O] with
 * H' = (H - 1) stride - top - bottom + kh. */
struct tensor *op_conv2d_transposed(struct graph *g, struct tensor *x, struct tensor *weight,
                                    struct tensor *bias, struct conv_geometry geometry);

#endif
