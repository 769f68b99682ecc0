/*
 * winograd_tiles.h - where the tiles of a convolution lie in its pictures
 */
#ifndef IMGEN_BACKEND_CPU_WINOGRAD_TILES_H
#define IMGEN_BACKEND_CPU_WINOGRAD_TILES_H

#include "backend/cpu/winograd.h"

/* s: 3 x 3 of stride 1 or 2. */
struct winograd_grid winograd_grid_of(const struct dnn_conv *s, bool transposed);

/* The pixels [in, in] of x [N, in, in, I] under a tile, the first channel of each; `zeros` (I of
 * them) stands for those outside. */
void winograd_under(const struct winograd_grid *g, int64_t tile, const float *x, const float *zeros,
                    const float **pixel);

/* Where in y [N, out, out, O] the results [out, out] of a tile begin; -1: outside. */
void winograd_in(const struct winograd_grid *g, int64_t tile, int64_t *at);

/* Ask for the pixels under, or in, a tile; of those under it, only what no tile before it reads.
 * Pieces of two rows are no pattern that a processor would foresee.  A tile past the last asks for
 * nothing. */
void winograd_fetch_under(const struct winograd_grid *g, int64_t tile, const float *x);
void winograd_fetch_in(const struct winograd_grid *g, int64_t tile, const float *y);

#endif
