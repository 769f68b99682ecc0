/*
 * vae_time.h - what an autoencoder of videos has behind the layers that see each frame by itself
 *
 * Frames go through a network as pictures, [N T, H, W, C] with a video's T frames one after the
 * other.  All layers begin as if they were not there: what comes in goes out, as often as the size
 * in time says.
 */
#ifndef IMGEN_MODEL_VAE_TIME_H
#define IMGEN_MODEL_VAE_TIME_H

#include "nn/layers.h"

/* Each frame `repeat` times, and a convolution along time of this stride: "weight" [C, taps, 1, C],
 * [C, C, taps] in files, and "bias" [C]. */
struct time_conv {
    const struct param *weight, *bias; /* NULL: nothing is done */
    int64_t repeat, stride;
};
void time_conv_declare(struct time_conv *c, struct scope s, int64_t channels, int64_t taps,
                       int64_t repeat, int64_t stride);
/* x [N T, H, W, C] -> [N T', H, W, C], T' = time_conv_frames(c, T). */
struct tensor *time_conv_forward(struct graph *g, const struct time_conv *c, struct tensor *x,
                                 int64_t T);
int64_t time_conv_frames(const struct time_conv *c, int64_t T);

/* Each place attends to itself at all times, one head, and the finding is added: "norm" by frames,
 * "qkv", "proj_out". */
struct time_attention {
    struct group_norm norm;
    struct linear qkv, out;
};
void time_attention_declare(struct time_attention *a, struct scope s, int64_t channels,
                            int64_t groups, double eps);
/* x [N T, H, W, C] -> the same shape. */
struct tensor *time_attention_forward(struct graph *g, const struct time_attention *a,
                                      struct tensor *x, int64_t T);

#endif
