/*
 * lanes.h - sums along a row, sixteen at a time in a fixed order
 *
 * A plain float sum may not be reordered, so a compiler leaves it scalar; told that it may reorder,
 * it chooses an order by vector width and alignment, and a row would sum to other bits at another
 * place. Here lane l adds the elements l, l + 16, l + 32, ... and the lanes are folded in halves:
 * the order is part of the program, whatever the processor's vectors.  Sixteen chains also make the
 * sum more accurate than one.
 */
#ifndef IMGEN_OPS_LANES_H
#define IMGEN_OPS_LANES_H

#include <stdint.h>
#include <string.h>

enum { LANES = 16 };

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

/* Inlined into clones (base/simd.h), so that each gets its own instructions. */
#define LANES_INLINE static inline __attribute__((always_inline))

/* The next 16 floats, or n if fewer are left, and `rest` in the lanes beyond. */
LANES_INLINE void lanes_load(lanes *v, const float *x, int64_t n, float rest)
{
    float t[LANES];

    if (n >= LANES) {
        memcpy(v, x, sizeof(*v));
        return;
    }
    for (int64_t l = 0; l < LANES; l++)
        t[l] = l < n ? x[l] : rest;
    memcpy(v, t, sizeof(*v));
}

/* The lanes to memory, or the first n if fewer are left. */
LANES_INLINE void lanes_store(float *x, const lanes *v, int64_t n)
{
    if (n >= LANES)
        memcpy(x, v, sizeof(*v));
    else
        memcpy(x, v, (size_t)n * sizeof(float));
}

LANES_INLINE float lanes_fold(const lanes *v)
{
    float t[LANES];

    memcpy(t, v, sizeof(t));
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            t[l] += t[l + half];
    return t[0];
}

/* sum x */
LANES_INLINE float row_sum(const float *x, int64_t n)
{
    lanes sum = {0}, v;

    for (int64_t i = 0; i < n; i += LANES) {
        lanes_load(&v, x + i, n - i, 0);
        sum += v;
    }
    return lanes_fold(&sum);
}

/* sum (x - mean)^2 */
LANES_INLINE float row_square_sum(const float *x, float mean, int64_t n)
{
    lanes sum = {0}, v;

    for (int64_t i = 0; i < n; i += LANES) {
        lanes_load(&v, x + i, n - i, mean);
        v -= mean;
        sum += v * v;
    }
    return lanes_fold(&sum);
}

/* sum x y */
LANES_INLINE float row_dot(const float *x, const float *y, int64_t n)
{
    lanes sum = {0}, v, w;

    for (int64_t i = 0; i < n; i += LANES) {
        lanes_load(&v, x + i, n - i, 0);
        lanes_load(&w, y + i, n - i, 0);
        sum += v * w;
    }
    return lanes_fold(&sum);
}

#endif
