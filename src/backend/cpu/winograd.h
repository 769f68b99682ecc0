/*
 * winograd.h - 3 x 3 convolutions of stride 1 and 2 with fewer multiplications than taps
 *
 *     V = B^T X B,    U = G w G^T,    M [m] = sum of V [v] U [u],    Y = A^T M A
 *
 * X: the pixels under a tile, Y: the tile's results; the sum goes over a form's triples (v, u, m)
 * of places.  winograd_transform.h has the forms and their matrices.  Stride 1 is F(2 x 2, 3 x 3)
 * of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015): 16 multiplications
 * for four results, not 36.  Stride 2 takes 25.  A pixel's result depends on its picture and the
 * weights alone: not on how many pictures there are, not on the number of threads.
 */
#ifndef IMGEN_BACKEND_CPU_WINOGRAD_H
#define IMGEN_BACKEND_CPU_WINOGRAD_H

#include "backend/cpu/dnn.h"
#include "tensor/precision.h"

/* Along height or width. */
struct winograd_side {
    int64_t in, out; /* pixels read, pixels written                          */
    int64_t tiles;
    int64_t first; /* pixel under the first tile; those outside count as 0 */
    bool mirrored; /* the form sees pixels and results in reverse          */
    bool turned;   /* ... and the stored taps                              */
};

/* A convolution's pictures in tiles: x [N, in, in, I] to y [N, out, out, O]. */
struct winograd_grid {
    const struct winograd_form *form;
    int64_t N, I, O;
    struct winograd_side down, across;
    int64_t tiles; /* of all pictures */
};

struct winograd {
    struct winograd_grid grid;
    enum precision precision; /* of the products: float32 or bf16, with sums in float32       */
    int64_t words;            /* of a place's inputs                                         */
    int64_t step[2];          /* floats along stored weights: outputs, inputs; one is 1        */
    int64_t tap;              /* ... from a tap to its right neighbour                         */
    int64_t blocks, block;    /* of tiles                                                      */
    int64_t panels, groups;   /* of 64 outputs; of panels                                      */
    int lanes;
};

/* Whether s is such a convolution, with channels that fill vectors and repay the transforms. */
bool winograd_suits(const struct dnn_conv *s);

/* s: suits; s->N may be 0.  transposed: the product that takes dy to dx.  precision: float32 or
 * bf16.  For the number of threads that OpenMP is set to now; works with any. */
void winograd_init(struct winograd *w, const struct dnn_conv *s, bool transposed,
                   enum precision precision);

size_t winograd_packed_bytes(const struct winograd *w);
/* Scratch of `threads` threads, for packing as for running; a multiple of 64. */
size_t winograd_scratch_bytes(const struct winograd *w, int threads);

/* Weights [O, 3, 3, I] of s into packed (winograd_packed_bytes, aligned to 64). */
void winograd_pack(const struct winograd *w, const float *weights, void *packed, void *scratch);

/* y = x * weights + bias; bias [O] or NULL.  Transposed: y is dx, x is dy. */
void winograd_run(const struct winograd *w, const float *x, const void *packed, float *y,
                  const float *bias, void *scratch);

/* --- the gradient of the weights ----------------------------------------------------------------
 *
 *     dW = G^T dU G,    dU [u] = sum over tiles and triples of Z [m] V [v],    Z = A dY A^T
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
