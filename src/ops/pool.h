/*
 * pool.h - what a window sees as it slides over a picture: its largest value, or its mean
 */
#ifndef IMGEN_OPS_POOL_H
#define IMGEN_OPS_POOL_H

#include "graph/graph.h"

#include <stdbool.h>

/* A square window: its side and its step in pixels, and how far it reaches beyond each edge. */
struct pool_window {
    int64_t size, stride, padding;
    bool over; /* one window more may begin in the picture and end beyond its last row or column */
};

/* x [N, H, W, C] -> [N, H', W', C] with H' = (H + 2 padding - size) / stride + 1, channel by
 * channel; 2 padding <= size <= H + 2 padding, so that every window covers some pixel.  With `over`
 * the quotient is rounded up, unless the last window would begin past the picture. */

/* The largest of the pixels that the window covers, NaN if any is; padding is never the largest.
 * Its gradient goes to the first of equal ones, row by row. */
struct tensor *op_maxpool(struct graph *g, struct tensor *x, struct pool_window window);

/* The mean of the pixels that the window covers; with count_padding their sum over size^2, so that
 * padding counts as zeros. */
struct tensor *op_avgpool(struct graph *g, struct tensor *x, struct pool_window window,
                          bool count_padding);

#endif
