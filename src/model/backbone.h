/*
 * backbone.h - published classifiers as far as others compare what they see inside
 *
 * AlexNet, VGG16 and SqueezeNet 1.1 with torchvision's names, from weights that the user brings.
 */
#ifndef IMGEN_MODEL_BACKBONE_H
#define IMGEN_MODEL_BACKBONE_H

#include "nn/params.h"

enum { BACKBONE_TAPS = 7 };

struct backbone;

/* Which of them the file holds is told by its names.  E_FORMAT: none of them, or not whole.
 * E_MEMORY.  Freed by backbone_free (NULL is fine). */
enum status backbone_load(struct backbone **out, const struct weights *f, struct error *err);
void backbone_free(struct backbone *b);

const char *backbone_name(const struct backbone *b); /* "alexnet", "vgg16", "squeezenet1_1" */
int64_t backbone_side_min(const struct backbone *b); /* of pictures, in pixels            */
int backbone_taps(const struct backbone *b);         /* at most BACKBONE_TAPS             */
int64_t backbone_channels(const struct backbone *b, int k); /* of tap k                          */

/* Record x [N, H, W, 3], H and W at least backbone_side_min, normalised as the network was trained:
 * tap[k] [N, h, w, channels k], behind a rectifier.  Weights have no gradient, x may. */
void backbone_record(struct graph *g, const struct backbone *b, struct tensor *x,
                     struct tensor *tap[BACKBONE_TAPS]);

#endif
