/*
 * vecmath.h - exp, tanh, sigmoid and erf that a compiler can vectorize
 *
 * libm's functions are calls, one element at a time, and differ between systems.  These are
 * straight lines of float32 arithmetic without branches, so that a loop over them inside a function
 * marked IMGEN_CLONES (base/simd.h) becomes vector code.  Largest errors against the exact value,
 * in units of the last place: exp 1, sigmoid and silu 2.5, tanh 2.5, erf 2
 * (test/ops/test_vecmath.c).  NaN gives NaN, infinities give the limits (but silu of minus infinity
 * is a NaN), overflow gives infinity, underflow goes through the denormals to zero.
 *
 * Every sum has at most one product in it.  Whether the compiler contracts a * b + c to one
 * rounding is its choice, but with one product there is one way to do it, and the vector body and
 * the scalar tail of a loop give equal bits: the result for an element does not depend on its
 * place.
 */
#ifndef IMGEN_OPS_VECMATH_H
#define IMGEN_OPS_VECMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Bounds of arguments, in a file of their own.  Behind a clamp to a constant, gcc copies the
 * arithmetic that follows for that constant, and vectorized all copies run, under masks; a bound
 * that it cannot know is a minimum or a maximum (silu 1.5 times as fast). */
struct vec_bounds {
    float exp_lo, exp_hi;
    float sigmoid_lo, sigmoid_hi;
    float tanh_hi, erf_hi;
    float exp2_lo; /* of exp2_below in attention_tiles.h */
};
extern const struct vec_bounds vec_bounds;

/* 2^n, n in -126 .. 127; some float for other n. */
static inline float vec_pow2(int32_t n)
{
    uint32_t bits = ((uint32_t)n + 127) << 23;
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* x = n log 2 + r with |r| <= (log 2) / 2; returns n.  |x| <= 104; of a NaN, r is NaN and n any
 * number. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.  log 2 is
 * subtracted in two parts, the first short enough that n times it is exact. */
static inline int32_t vec_reduce(float x, float *r)
{
    const float magic = 12582912.0f;
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    uint32_t bits;

    memcpy(&bits, &shifted, sizeof(bits));
    *r = x - n * 0.693359375f;
    *r = *r - n * -2.12194440e-4f;
    return (int32_t)(bits & 0x7fffff) - 0x400000;
}

/* (e^r - 1 - r) / r^2 on |r| <= (log 2) / 2, e^r within 3e-9. */
static inline float vec_exp_tail(float r)
{
    float p = 1.38145964e-3f;

    p = p * r + 8.36871709e-3f;
    p = p * r + 4.16683881e-2f;
    p = p * r + 1.66665206e-1f;
    return p * r + 4.99999934e-1f;
}

/* e^x.  The scale 2^n is applied in two halves, since n reaches 128 where the result is still
 * finite and -150 where it is the smallest denormal. */
static inline float vec_exp(float x)
{
    float r, p;
    int32_t n, half;

    x = x > vec_bounds.exp_hi ? vec_bounds.exp_hi : x;
    x = x < vec_bounds.exp_lo ? vec_bounds.exp_lo : x;
    n = vec_reduce(x, &r);
    p = vec_exp_tail(r) * r;
    p = p * r + r;
    p = p + 1.0f;
    half = n >> 1;
    return p * vec_pow2(half) * vec_pow2(n - half);
}

/* 1 + e^-x, what the sigmoid divides by: x over it is SiLU, with one rounding less than x times the
 * quotient and one multiplication saved.  It is the heart of SiLU and GELU, hence a shorter e^-x
 * than vec_exp's: up to 87 the scale 2^n is a normal number, and where n reaches 128, at -88.376,
 * its bits are infinity's and the quotient is 0, which is less than 5e-39 too small.  The number
 * that rounds to an integer leaves n + 127 in the low bits; what is above them is shifted out. */
static inline float vec_sigmoid_divisor(float x)
{
    const float magic = 12583039.0f;
    float shifted, n, r, e, scale;
    uint32_t bits;

    x = x > vec_bounds.sigmoid_hi ? vec_bounds.sigmoid_hi : x;
    x = x < vec_bounds.sigmoid_lo ? vec_bounds.sigmoid_lo : x;
    shifted = x * -1.44269504f + magic;
    n = shifted - magic;
    r = n * -0.693359375f - x;
    r = r - n * -2.12194440e-4f;
    memcpy(&bits, &shifted, sizeof(bits));
    bits <<= 23;
    memcpy(&scale, &bits, sizeof(scale));
    e = vec_exp_tail(r) * r + 1.0f;
    e = e * r + 1.0f;
    return e * scale + 1.0f;
}

/* 1 / (1 + e^-x) */
static inline float vec_sigmoid(float x)
{
    return 1.0f / vec_sigmoid_divisor(x);
}

/* m / (m + 2) with m = e^(2|x|) - 1, put together so that small x lose nothing. */
static inline float vec_tanh(float x)
{
    float a = fabsf(x), r, q, s, m;
    int32_t n;

    a = a > vec_bounds.tanh_hi ? vec_bounds.tanh_hi : a;
    n = vec_reduce(2.0f * a, &r);
    q = vec_exp_tail(r) * r;
    q = q * r + r;
    s = vec_pow2(n);
    m = q * s + (s - 1.0f);
    return copysignf(m / (m + 2.0f), x);
}

/* Odd polynomial up to 1; beyond, 1 - e^l(|x|) with l fitted to log erfc. */
static inline float vec_erf(float x)
{
    float a = fabsf(x), u = x * x, p, l, e;

    p = 7.87587506e-5f;
    p = p * u + -8.01686429e-4f;
    p = p * u + 5.18908742e-3f;
    p = p * u + -2.68542120e-2f;
    p = p * u + 1.12835947e-1f;
    p = p * u + -3.76126267e-1f;
    p = p * u + 1.28379166e-1f;
    p = p * x + x;

    a = a > vec_bounds.erf_hi ? vec_bounds.erf_hi : a;
    l = -1.32723618e-5f;
    l = l * a + 3.16937023e-4f;
    l = l * a + -3.43235138e-3f;
    l = l * a + 2.26047724e-2f;
    l = l * a + -1.03281118e-1f;
    l = l * a + -6.39141258e-1f;
    l = l * a + -1.12589365e0f;
    l = l * a + -7.65897780e-4f;
    e = copysignf(1.0f - vec_exp(l), x);
    return fabsf(x) > 1.0f ? e : p;
}

/* x sigmoid(x) (Elfwing et al. 2018) and its derivative. */
static inline float vec_silu(float x)
{
    return x / vec_sigmoid_divisor(x);
}

static inline float vec_silu_slope(float x)
{
    float s = vec_sigmoid(x), bend = x * (1.0f - s);

    return s * (1.0f + bend);
}

/* x Phi(x) in the tanh form (Hendrycks and Gimpel 2016): 0.5 x (1 + tanh(z)) = x sigmoid(2 z) with
 * z = sqrt(2 / pi) (x + 0.044715 x^3), and its derivative. */
static inline float vec_gelu(float x)
{
    float u = 0.044715f * (x * x) + 1.0f;

    return x * vec_sigmoid(1.59576912f * x * u);
}

static inline float vec_gelu_slope(float x)
{
    float u = x * x, s = vec_sigmoid(1.59576912f * x * (0.044715f * u + 1.0f));
    float bend = 1.59576912f * x * (0.134145f * u + 1.0f) * (1.0f - s);

    return s * (1.0f + bend);
}

#endif
