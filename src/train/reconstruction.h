/*
 * reconstruction.h - how close an autoencoder comes to its pictures
 *
 * Sums over a picture, means over the batch, as the published autoencoders count: the weights of
 * all parts are against these sums.  architectures.md 3.2.
 */
#ifndef IMGEN_TRAIN_RECONSTRUCTION_H
#define IMGEN_TRAIN_RECONSTRUCTION_H

#include "graph/graph.h"

enum pixel_distance {
    PIXELS_L1, /* |x - y|   */
    PIXELS_L2, /* (x - y)^2 */
};
const char *pixel_distance_name(int i); /* NULL past the last */

/* x, y [N, ...] -> [1]: the sum over a picture's numbers, meaned over the N pictures. */
struct tensor *pixel_loss(struct graph *g, struct tensor *x, struct tensor *y,
                          enum pixel_distance how);

/* x, y [N, H, W, C] -> [1]: the squares of d(x - y), d being what a pixel differs from the one
 * below it and the one beside it, meaned over each of the two and counted at each of a picture's
 * numbers, as pixel_loss counts them. */
struct tensor *edge_loss(struct graph *g, struct tensor *x, struct tensor *y);

/* Mean of what every picture has one of: each [N], such as the KL divergences of the codes, -> [1].
 */
struct tensor *batch_mean(struct graph *g, struct tensor *each);

/* Add a perceptual distance to a pixel loss: pixels + weight numbers mean(each), each [N], one for
 * every picture, which is counted at each of its `numbers` = H W C numbers. */
struct tensor *perceptual_loss(struct graph *g, struct tensor *pixels, struct tensor *each,
                               double weight, int64_t numbers);

/* The negative log likelihood of a picture whose every number has the log scale s, [1] and perhaps
 * trained: loss exp(-s) + numbers s.  With s = 0 that is the loss itself. */
struct tensor *scaled_loss(struct graph *g, struct tensor *loss, struct tensor *s, int64_t numbers);

#endif
