/*
 * lanes.h - sums along a row, sixteen at a time in a fixed order
 *
 * A plain float sum may not be reordered, so a compiler leaves it scalar; told that it may reorder,
 * it chooses an order by vector width and alignment, and a row would sum to other bits at another
 * place. Here lane l adds the elements l, l + 16, l + 32, ... and the lanes are folded in halves:
 * the order is part of the program, whatever the processor's vectors.  Sixteen chains also make the
 * sum more accurate than one.
 *
 * They are two vectors of eight, which AVX2 has.  One of sixteen is a single register with AVX-512,
 * but where there is none gcc keeps it in memory, piece by piece, and a sum takes ten times as long;
 * two of eight cost AVX-512 nothing, since two chains run side by side.
 */
#ifndef IMGEN_OPS_LANES_H
#define IMGEN_OPS_LANES_H

#include <stdint.h>
#include <string.h>

enum { LANES = 16, LANES_HALF = LANES / 2 };

typedef float lanes_half __attribute__((vector_size(LANES_HALF * sizeof(float))));

typedef struct {
    lanes_half lo, hi;
} lanes;

/* Inlined into clones (base/simd.h), so that each gets its own instructions. */
#define LANES_INLINE static inline __attribute__((always_inline))

/* Sixteen floats, wherever they lie. */
LANES_INLINE lanes lanes_at(const float *x)
{
    lanes v;

    memcpy(&v.lo, x, sizeof v.lo);
    memcpy(&v.hi, x + LANES_HALF, sizeof v.hi);
    return v;
}

LANES_INLINE void lanes_put(float *x, lanes v)
{
    memcpy(x, &v.lo, sizeof v.lo);
    memcpy(x + LANES_HALF, &v.hi, sizeof v.hi);
}

/* The next 16 floats, or n if fewer are left, and `rest` in the lanes beyond. */
LANES_INLINE lanes lanes_load(const float *x, int64_t n, float rest)
{
    float t[LANES];

    if (n >= LANES)
        return lanes_at(x);
    for (int64_t l = 0; l < LANES; l++)
        t[l] = l < n ? x[l] : rest;
    return lanes_at(t);
}

/* The lanes to memory, or the first n if fewer are left. */
LANES_INLINE void lanes_store(float *x, lanes v, int64_t n)
{
    float t[LANES];

    if (n >= LANES) {
        lanes_put(x, v);
        return;
    }
    lanes_put(t, v);
    memcpy(x, t, (size_t)n * sizeof *x);
}

/* The same number in all. */
LANES_INLINE lanes lanes_of(float x)
{
    lanes_half zero = {0};

    return (lanes){x + zero, x + zero};
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    return (lanes){a.lo + b.lo, a.hi + b.hi};
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b)
{
    return (lanes){a.lo - b.lo, a.hi - b.hi};
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    return (lanes){a.lo * b.lo, a.hi * b.hi};
}

/* sum + a b */
LANES_INLINE lanes lanes_mad(lanes sum, lanes a, lanes b)
{
    return (lanes){sum.lo + a.lo * b.lo, sum.hi + a.hi * b.hi};
}

/* a x */
LANES_INLINE lanes lanes_scale(lanes a, float x)
{
    return (lanes){a.lo * x, a.hi * x};
}

/* sum + a x */
LANES_INLINE lanes lanes_mad_scale(lanes sum, lanes a, float x)
{
    return (lanes){sum.lo + a.lo * x, sum.hi + a.hi * x};
}

LANES_INLINE float lanes_fold(lanes v)
{
    float t[LANES_HALF];

    v.lo += v.hi;
    memcpy(t, &v.lo, sizeof t);
    for (int half = LANES_HALF / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            t[l] += t[l + half];
    return t[0];
}

/* sum x */
LANES_INLINE float row_sum(const float *x, int64_t n)
{
    lanes sum = lanes_of(0);

    for (int64_t i = 0; i < n; i += LANES)
        sum = lanes_add(sum, lanes_load(x + i, n - i, 0));
    return lanes_fold(sum);
}

/* sum (x - mean)^2 */
LANES_INLINE float row_square_sum(const float *x, float mean, int64_t n)
{
    lanes sum = lanes_of(0);

    for (int64_t i = 0; i < n; i += LANES) {
        lanes v = lanes_sub(lanes_load(x + i, n - i, mean), lanes_of(mean));

        sum = lanes_mad(sum, v, v);
    }
    return lanes_fold(sum);
}

/* sum x y */
LANES_INLINE float row_dot(const float *x, const float *y, int64_t n)
{
    lanes sum = lanes_of(0);

    for (int64_t i = 0; i < n; i += LANES)
        sum = lanes_mad(sum, lanes_load(x + i, n - i, 0), lanes_load(y + i, n - i, 0));
    return lanes_fold(sum);
}

/* sum x y z */
LANES_INLINE float row_dot3(const float *x, const float *y, const float *z, int64_t n)
{
    lanes sum = lanes_of(0);

    for (int64_t i = 0; i < n; i += LANES) {
        lanes v = lanes_mul(lanes_load(y + i, n - i, 0), lanes_load(z + i, n - i, 0));

        sum = lanes_mad(sum, lanes_load(x + i, n - i, 0), v);
    }
    return lanes_fold(sum);
}

#endif
