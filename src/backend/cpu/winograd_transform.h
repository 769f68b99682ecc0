/*
 * winograd_transform.h - the small matrices of winograd.h, applied to many channels at once
 *
 *            | 1  0 -1  0 |        | 1   0   0  |          | 1  1  1  0 |
 *     B^T =  | 0  1  1  0 |   G =  | 1/2 1/2 1/2|   A^T =  | 0  1 -1 -1 |
 *            | 0 -1  1  0 |        | 1/2-1/2 1/2|
 *            | 0  1  0 -1 |        | 0   0   1  |
 *
 * A transformed tile is 16 numbers a channel, place by place: [16][channels], `step` floats from
 * place to place.  n: channels.  Inputs and results may not overlap.
 */
#ifndef IMGEN_BACKEND_CPU_WINOGRAD_TRANSFORM_H
#define IMGEN_BACKEND_CPU_WINOGRAD_TRANSFORM_H

#include "backend/cpu/winograd.h"

struct winograd_grid winograd_grid_of(const struct dnn_conv *s);

/* The pixels [16] of x [N, H, W, channels] under a tile, the first channel of each; `zeros`
 * (channels of them) stands for those outside. */
void winograd_under(const struct winograd_grid *g, int64_t tile, const float *x, int64_t channels,
                    const float *zeros, const float *pixel[WINOGRAD_PLACES]);

/* Ask for the pixels under, or in, a tile; of those under it, only what no tile before it reads.
 * Pieces of two rows are no pattern that a processor would foresee.  A tile past the last asks for
 * nothing. */
void winograd_fetch_under(const struct winograd_grid *g, int64_t tile, const float *x,
                          int64_t channels);
void winograd_fetch_in(const struct winograd_grid *g, int64_t tile, const float *y,
                       int64_t channels);

/* Where in y [N, OH, OW, channels] the pixels [4] of a tile begin; -1: outside. */
void winograd_in(const struct winograd_grid *g, int64_t tile, int64_t channels, int64_t at[4]);

/* B^T X B */
void winograd_from_x(float *out, int64_t step, const float *const x[WINOGRAD_PLACES], int64_t n);

/* A^T M A + bias [n]; the y may be one place */
void winograd_to_y(float *const y[4], const float *m, int64_t step, const float *bias, int64_t n);

/* A dY A^T */
void winograd_from_dy(float *out, int64_t step, const float *const dy[4], int64_t n);

/* G w G^T; tap (ky, kx) of channel i at w + ky ky_step + kx kx_step + i */
void winograd_from_w(float *out, int64_t step, const float *w, int64_t ky_step, int64_t kx_step,
                     int64_t n);

/* G^T S G; tap (ky, kx) of channel i at dw + (3 ky + kx) tap_step + i */
void winograd_to_dw(float *dw, int64_t tap_step, const float *s, int64_t step, int64_t n);

#endif
