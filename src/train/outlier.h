/*
 * outlier.h - what latents cost that stand far out among those of their picture
 */
#ifndef IMGEN_TRAIN_OUTLIER_H
#define IMGEN_TRAIN_OUTLIER_H

#include "graph/graph.h"

/* z [..., H, W, C], pictures or frames of latents -> [1], the mean over them of
 *
 *     1 / (H W) sum over places of max(|z - mean| - reach |deviation|, 0),
 *
 * mean and (population) deviation of each channel over the picture's places, lengths over channels.
 * The gradient goes through all three.  A picture of 10 places or fewer costs nothing at a reach of
 * 3.  Polyak et al. 2024, (1). */
struct tensor *outlier_loss(struct graph *g, struct tensor *z, double reach);

#endif
