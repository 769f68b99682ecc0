/*
 * spatial_transformer.h - pixels that attend to each other and to a sequence
 */
#ifndef IMGEN_MODEL_SPATIAL_TRANSFORMER_H
#define IMGEN_MODEL_SPATIAL_TRANSFORMER_H

#include "model/network.h"
#include "nn/layers.h"
#include "ops/attention.h"

enum { SPATIAL_DEPTH = 12 };

/* Projections without bias but for the last. */
struct spatial_attention {
    struct linear q, k, v, out;
};

struct spatial_block {
    struct layer_norm norm1, norm2, norm3;
    struct spatial_attention self, cross;
    struct linear up, down; /* gated feed-forward */
};

struct spatial_transformer {
    char name[40]; /* in public files, for whoever looks at intermediate values */
    int64_t heads;
    int depth;
    struct group_norm norm;
    struct linear in, out;
    struct spatial_block block[SPATIAL_DEPTH];
};

/* Declare under s, which is `name` in files: `depth` blocks (1 to SPATIAL_DEPTH) of `heads` heads
 * over pixels of `channels`, for a sequence of tokens of `context` features. */
void spatial_transformer_init(struct spatial_transformer *t, struct scope s, const char *name,
                              int64_t channels, int64_t context, int64_t heads, int64_t groups,
                              int depth);

/* x [N, H, W, C], and the sequence in->context -> [N, H, W, C].  Together the blocks are
 * self-attention layer number `layer` of in->identity. */
struct tensor *nn_spatial_transformer(struct graph *g, const struct network *net,
                                      const struct spatial_transformer *t, struct tensor *x,
                                      const struct network_input *in, int layer);

#endif
