/*
 * resample.h - pictures to other sizes, and to patches and back
 */
#ifndef IMGEN_OPS_RESAMPLE_H
#define IMGEN_OPS_RESAMPLE_H

#include "graph/graph.h"

/* Mean of 2 x 2 pixels: [N, H, W, C] -> [N, H/2, W/2, C]; H and W even. */
struct tensor *op_avgpool2(struct graph *g, struct tensor *x);
/* Each pixel four times: [N, H, W, C] -> [N, 2H, 2W, C]. */
struct tensor *op_upsample2(struct graph *g, struct tensor *x);

/* [N, H, W, C] -> [N, (H/p)(W/p), p p C], features in the order (py, px, channel), tokens row-major;
 * p divides H and W. */
struct tensor *op_patchify(struct graph *g, struct tensor *x, int64_t p);
/* The inverse: [N, T, p p C] -> [N, H, W, C]. */
struct tensor *op_unpatchify(struct graph *g, struct tensor *x, int64_t H, int64_t W, int64_t p);

#endif
