/*
 * perceptual.h - how differently two pictures look to a network
 */
#ifndef IMGEN_TRAIN_PERCEPTUAL_H
#define IMGEN_TRAIN_PERCEPTUAL_H

#include "graph/graph.h"

struct perceptual;

/* heads NULL or "": path is a model file of a classifier trained here (model.network = cnn).  Else
 * path is a published backbone and heads the layers of LPIPS (model/lpips.h).  E_IO, E_FORMAT,
 * E_MEMORY; E_ARG for a model that is no cnn.  Freed by perceptual_free (NULL is fine). */
enum status perceptual_open(struct perceptual **out, const char *path, const char *heads,
                            struct error *err);
void perceptual_free(struct perceptual *p);

/* E_ARG for pictures that it cannot look at: of other channels than a cnn was trained on; for LPIPS
 * see lpips_check. */
enum status perceptual_check(const struct perceptual *p, int64_t height, int64_t width,
                             int64_t channels, struct error *err);

/* x, y [N, H, W, C], as checked, -1 .. 1 -> [N]: 0 for equal pictures.  Differentiable in both; the
 * network's own weights have no gradient.  A picture's distance depends on the two alone. */
struct tensor *perceptual_distance(struct graph *g, const struct perceptual *p, struct tensor *x,
                                   struct tensor *y);

#endif
