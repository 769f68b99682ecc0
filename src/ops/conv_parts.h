/*
 * conv_parts.h - what the files of the convolution share
 */
#ifndef IMGEN_OPS_CONV_PARTS_H
#define IMGEN_OPS_CONV_PARTS_H

#include "backend/cpu/dnn.h"
#include "graph/graph.h"
#include "ops/conv.h"

/* Constants of a node; bottom and right follow from the shapes. */
enum { CONV_STRIDE, CONV_TOP, CONV_LEFT };

/* The forward convolution x -> y with weights w that the constants of `node` speak of. */
struct dnn_conv conv_geometry_of(const struct tensor *node, const struct tensor *x,
                                 const struct tensor *w, const struct tensor *y);

/* What a convolution makes of x [N, H, W, .] with weights [O, kh, kw, .]: MUST be possible. */
struct shape conv_result_shape(struct shape x, struct shape weight, const struct conv_geometry *p);
/* Its constants into a node. */
void conv_set_geometry(struct tensor *y, const struct conv_geometry *p);

/* Of each of its three products, taps in the padding counted. */
double conv_flops(const struct dnn_conv *s);

/* Record the gradient of the weights w of a convolution x -> y with the constants of `node`, given
 * y's gradient dy; returns dW.  record_side adds db. */
struct tensor *conv_weights_gradient(struct graph *g, const struct tensor *node, struct tensor *x,
                                     const struct tensor *w, struct tensor *dy);

/* The same as products of small matrices (conv_weights_tiles.c): in[0] dy, in[1] x, constants as of
 * the convolution; result dW, side result db.  Where w's channels allow it. */
extern const struct op conv_dw_tiles;
bool conv_dw_has_tiles(const struct tensor *w);

#endif
