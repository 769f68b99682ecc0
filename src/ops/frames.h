/*
 * frames.h - along the time of a video: frames chosen, time and place exchanged, convolution
 */
#ifndef IMGEN_OPS_FRAMES_H
#define IMGEN_OPS_FRAMES_H

#include "graph/graph.h"

/* Which frames of a video: number k of `count` is frame first + floor(k step / repeat), or the
 * nearest one that there is.  count >= 0, step > 0, repeat > 0.
 *
 *     {T + 2, -1, 1, 1}           the first and the last one twice: replicate padding by one
 *     {2 T, 0, 1, 2}              each twice: nearest-neighbour upsampling
 *     {(T + 1) / 2, 0, 2, 1}      every second
 *     {count, 0, 1, 1}            the first ones, for count <= T                                 */
struct frame_choice {
    int64_t count, first, step, repeat;
};

/* x [N, T, ...] -> [N, count, ...]; T >= 1. */
struct tensor *op_frames(struct graph *g, struct tensor *x, struct frame_choice which);

/* The second and the third dimension exchanged: [N, A, B, D] -> [N, B, A, D]. */
struct tensor *op_swap(struct graph *g, struct tensor *x);

/* Convolution along the second dimension, at every place by itself: x [N, T, P, I]; weight [O, k,
 * 1, I] with k odd; bias [O] or NULL -> [N, ceil(T / stride), P, O],
 *
 *     y [n, u] = bias + sum over j of x [n, u stride + j - k / 2] weight [., j]^T,
 *
 * where x goes on beyond its ends as it was there (replicate padding). */
struct tensor *op_conv_time(struct graph *g, struct tensor *x, struct tensor *weight,
                            struct tensor *bias, int64_t stride);

#endif
