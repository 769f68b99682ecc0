/*
 * lpips.h - learned perceptual distance of two pictures (lpips.c)
 */
#ifndef IMGEN_MODEL_LPIPS_H
#define IMGEN_MODEL_LPIPS_H

#include "graph/graph.h"

struct lpips;

/* backbone: a safetensors file of AlexNet, VGG16 or SqueezeNet 1.1 with torchvision's names; heads:
 * the published linear layers of the same network ("linK.model.1.weight").  E_IO, E_FORMAT (which
 * file, what is wrong with it), E_MEMORY.  Freed by lpips_free (NULL is fine). */
enum status lpips_open(struct lpips **out, const char *backbone, const char *heads,
                       struct error *err);
void lpips_free(struct lpips *l);

/* E_ARG for pictures that it cannot look at: smaller than its windows, or of neither 1 channel
 * (which is repeated) nor 3. */
enum status lpips_check(const struct lpips *l, int64_t height, int64_t width, int64_t channels,
                        struct error *err);

/* x, y [N, H, W, C], as checked, values -1 .. 1 -> [N]: 0 for equal pictures.  Differentiable in
 * both. */
struct tensor *lpips_distance(struct graph *g, const struct lpips *l, struct tensor *x,
                              struct tensor *y);

#endif
