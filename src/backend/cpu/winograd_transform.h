/*
 * winograd_transform.h - the forms of winograd.h and their small matrices, for many channels at
 * once
 *
 * unit: stride 1.  4 pixels under 2 results along a side; (v, u, m) = (p, p, p) for p = 0 .. 3.
 *
 *            | 1  0 -1  0 |        | 1   0   0  |          | 1  1  1  0 |
 *     B^T =  | 0  1  1  0 |   G =  | 1/2 1/2 1/2|   A^T =  | 0  1 -1 -1 |
 *            | 0 -1  1  0 |        | 1/2-1/2 1/2|
 *            | 0  1  0 -1 |        | 0   0   1  |
 *
 * halving: stride 2.  5 pixels a to e under 2 results.  Every other pixel lies under the middle tap
 * alone; the others under the outer two, which make a convolution of stride 1 with two taps and
 * three multiplications for two results:
 *
 *     y0 = (a - c) w0 + b w1 + c (w0 + w2)       V = (a - c, b, c, d, e - c)
 *     y1 = c (w0 + w2) + d w1 + (e - c) w2       U = (w0, w1, w0 + w2, w2)
 *
 *     (v, u, m) = (0, 0, 0) (1, 1, 0) (2, 2, 1) (3, 1, 2) (4, 3, 2);   y0 = M0 + M1,  y1 = M1 + M2
 *
 * doubling: dx of stride 2.  3 pixels a to c of dy under 4 results, the same taps:
 *
 *     x0 = (a - b) w2 + b (w0 + w2)    x1 = b w1       V = (a - b, b, c - b, c)
 *     x2 = b (w0 + w2) + (c - b) w0    x3 = c w1
 *
 *     (v, u, m) = (0, 3, 0) (1, 1, 1) (1, 2, 2) (3, 1, 3) (2, 0, 4);
 *     x0 = M0 + M2,  x1 = M1,  x2 = M2 + M4,  x3 = M3
 *
 * In the plane a place is a pair: [places, places, channels], `step` floats from place to place. n:
 * channels.  Inputs and results may not overlap.
 */
#ifndef IMGEN_BACKEND_CPU_WINOGRAD_TRANSFORM_H
#define IMGEN_BACKEND_CPU_WINOGRAD_TRANSFORM_H

#include "backend/cpu/winograd.h"

/* At most, of all forms; in the plane where not "along a side". */
enum {
    WINOGRAD_PIXELS = 25,  /* under a tile                  */
    WINOGRAD_RESULTS = 16, /* of a tile                     */
    WINOGRAD_U_SIDE = 4,   /* places of U along a side, ... */
    WINOGRAD_U = 16,       /* ... in the plane, exactly     */
    WINOGRAD_PRODUCTS = 5, /* along a side                  */
};

struct winograd_product {
    int v, u, m;
    bool new_u, new_m; /* none before it has this u, this m */
};

struct winograd_form {
    /* Along a side: pixels under a tile, from tile to tile, results; places of V and of M. */
    int in, ahead, out, v, m, products;
    struct winograd_product product[WINOGRAD_PRODUCTS];

    /* B^T X B; x: [in, in] */
    void (*from_x)(float *out, int64_t step, const float *const *x, int64_t n);
    /* A^T M A + bias [n]; y: [out, out], which may be one place */
    void (*to_y)(float *const *y, const float *m, int64_t step, const float *bias, int64_t n);
    /* A dY A^T; dy: [out, out].  NULL: there is none */
    void (*from_dy)(float *out, int64_t step, const float *const *dy, int64_t n);
    /* G w G^T; tap (ky, kx) of channel i at w + ky ky_step + kx kx_step + i */
    void (*from_w)(float *out, int64_t step, const float *w, int64_t ky_step, int64_t kx_step,
                   int64_t n);
    /* G^T S G; tap (ky, kx) of channel i at dw + (3 ky + kx) tap_step + i.  NULL: there is none */
    void (*to_dw)(float *dw, int64_t tap_step, const float *s, int64_t step, int64_t n);
};

/* stride: 1 or 2. */
const struct winograd_form *winograd_form_of(int64_t stride, bool transposed);

/* Places in the plane. */
static inline int64_t winograd_v(const struct winograd_form *f)
{
    return (int64_t)f->v * f->v;
}

static inline int64_t winograd_m(const struct winograd_form *f)
{
    return (int64_t)f->m * f->m;
}

#endif
