/*
 * winograd.h - 3 x 3 convolutions of stride 1 with 16 multiplications for four results, not 36
 *
 *     Y = A^T ((G w G^T) . (B^T X B)) A      for each tile Y of 2 x 2 results under X of 4 x 4
 *
 * Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), F(2 x 2, 3 x 3).  A
 * pixel's result depends on its picture and the weights alone: not on how many pictures there are,
 * not on the number of threads.
 */
#ifndef IMGEN_BACKEND_CPU_WINOGRAD_H
#define IMGEN_BACKEND_CPU_WINOGRAD_H

#include "backend/cpu/dnn.h"

enum { WINOGRAD_PLACES = 16 };

/* A convolution's pictures in tiles. */
struct winograd_grid {
    struct dnn_conv s;
    int64_t down, across; /* tiles of a picture */
    int64_t tiles;        /* of all pictures    */
};

/* y [N, OH, OW, O] of x [N, H, W, I]. */
struct winograd {
    struct winograd_grid grid;
    int64_t step[4];        /* floats along stored weights: O, I, kh, kw                     */
    bool turn;              /* the stored taps stand in reverse                              */
    int64_t blocks, block;  /* of tiles                                                      */
    int64_t panels, groups; /* of 64 outputs; of panels                                      */
    int lanes;
};

/* Whether s is such a convolution, with channels that fill vectors and repay the transforms. */
bool winograd_suits(const struct dnn_conv *s);

/* s: suits; s->N may be 0.  step: how the stored weights lie, [O, I, kh, kw]; with turn, tap (ky,
 * kx) is stored as (2 - ky, 2 - kx).  For the number of threads that OpenMP is set to now; works
 * with any. */
void winograd_init(struct winograd *w, const struct dnn_conv *s, const int64_t step[4], bool turn);

size_t winograd_packed_bytes(const struct winograd *w);
/* Scratch of `threads` threads, for packing as for running; a multiple of 64. */
size_t winograd_scratch_bytes(const struct winograd *w, int threads);

/* Stored weights into packed (winograd_packed_bytes, aligned to 64). */
void winograd_pack(const struct winograd *w, const float *weights, float *packed, void *scratch);

/* y = x * weights + bias; bias [O] or NULL. */
void winograd_run(const struct winograd *w, const float *x, const float *packed, float *y,
                  const float *bias, void *scratch);

/* --- the gradient of the weights ----------------------------------------------------------------
 *
 *     dW = G^T (sum over tiles of (A dY A^T) . (B^T X B)) G
 */

struct winograd_weights {
    struct winograd_grid grid;
    int64_t together; /* tiles that are transformed before they are summed */
    int64_t panels;   /* of 64 inputs                                      */
    int64_t across;   /* floats from tile to tile of transformed dY        */
    int lanes;
};

void winograd_weights_init(struct winograd_weights *w, const struct dnn_conv *s);
size_t winograd_weights_scratch_bytes(const struct winograd_weights *w);

/* dw [O, 3, 3, I]; db [O] or NULL: the sum of dy over all pixels. */
void winograd_weights_run(const struct winograd_weights *w, const float *dy, const float *x,
                          float *dw, float *db, void *scratch);

#endif
