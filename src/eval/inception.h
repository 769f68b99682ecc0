/*
 * inception.h - Inception-v3 up to its pooled features, from published weights
 */
#ifndef IMGEN_EVAL_INCEPTION_H
#define IMGEN_EVAL_INCEPTION_H

#include "graph/graph.h"
#include "io/weights.h"

#include <stdbool.h>

enum {
    INCEPTION_SIDE = 299,      /* of the pictures it was trained on            */
    INCEPTION_SIDE_MIN = 75,   /* of the smallest that leave a pixel at its end */
    INCEPTION_FEATURES = 2048, /* of a picture                                 */
};

/* How the blocks pool beside their convolutions; see inception.c. */
enum inception_pooling {
    INCEPTION_POOLING_FID,         /* of the graph of 2015, which FID is defined by       */
    INCEPTION_POOLING_TORCHVISION, /* of the network that torchvision trains              */
};

struct inception;

/* Whether the file holds tensors of the names of such a network, all of them or not. */
bool inception_is(const struct weights *f);

/* Take the weights out of f, with every batch norm folded into its convolution; f is not kept.
 * E_FORMAT lists what is missing or has another shape, with both, and names a layer whose numbers
 * are not finite once folded; E_MEMORY.  Freed by inception_free (NULL is fine). */
enum status inception_load(struct inception **out, const struct weights *f,
                           enum inception_pooling pooling, struct error *err);
void inception_free(struct inception *m);

/* x [N, H, W, 3], black to white -1 .. 1, both sides INCEPTION_SIDE_MIN or more -> [N, 2048]. */
struct tensor *inception_features(struct graph *g, const struct inception *m, struct tensor *x);

#endif
