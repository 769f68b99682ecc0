/*
 * gguf_blocks.c - GGUF's blocks of numbers that share a scale
 *
 * A block of 32 holds a scale d in float16, perhaps a minimum m, and an integer of 4, 5 or 8 bits
 * for each element: value = q d, or q d + m.  A "K" block of 256 holds scales of scales: each group
 * of 16 or 32 elements has a scale and perhaps a minimum of 4, 6 or 8 bits, which are in units of
 * the block's own d and dm.
 *
 *     Q4_K, 144 bytes:  d | dm | 12 bytes: eight scales, eight minima of 6 bits | 128 bytes: q
 *     value of element l of group g = (d scale[g]) q - (dm minimum[g])
 *
 * Bits are picked apart by loops of 16 or 32 equal steps without a branch, which compilers turn
 * into vectors.  Every product of a type with a minimum fits into the 24 bits of a float32, so that
 * fused or not the values are the same to the last bit.
 *
 * A value of Q6_K is (d s) q: the product d s has 19 bits and is exact, and the last product is
 * rounded once, as anywhere else.
 */
#include "io/gguf_blocks.h"

#include "base/simd.h"
#include "base/numbers.h"

#include <math.h>

/* A float16 at p, which is not aligned. */
static inline float half_at(const uint8_t *p)
{
    return f16_value((uint16_t)(p[0] | p[1] << 8));
}

/* --- blocks of 32 -------------------------------------------------------------------------------
 *
 * Four low bits of element e < 16 are the low half of byte e, those of element e + 16 the high.
 */

IMGEN_CLONES void gguf_from_q4_0(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK, in += GGUF_BYTES_Q4_0, x += GGUF_BLOCK) {
        const uint8_t *q = in + 2;
        float d = half_at(in);

        for (int e = 0; e < 16; e++) {
            x[e] = (float)((q[e] & 15) - 8) * d;
            x[e + 16] = (float)((q[e] >> 4) - 8) * d;
        }
    }
}

IMGEN_CLONES void gguf_from_q4_1(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK, in += GGUF_BYTES_Q4_1, x += GGUF_BLOCK) {
        float d = half_at(in), m = half_at(in + 2);
        const uint8_t *q = in + 4;

        for (int e = 0; e < 16; e++) {
            x[e] = (float)(q[e] & 15) * d + m;
            x[e + 16] = (float)(q[e] >> 4) * d + m;
        }
    }
}

static inline uint32_t word_at(const uint8_t *p)
{
    uint32_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

/* The fifth bit of element e is bit e of a word. */
static inline int five_low(uint8_t q, uint32_t high, int e)
{
    return (q & 15) | (int)(high >> e & 1) << 4;
}

static inline int five_high(uint8_t q, uint32_t high, int e)
{
    return q >> 4 | (int)(high >> (e + 16) & 1) << 4;
}

IMGEN_CLONES void gguf_from_q5_0(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK, in += GGUF_BYTES_Q5_0, x += GGUF_BLOCK) {
        uint32_t high = word_at(in + 2);
        const uint8_t *q = in + 6;
        float d = half_at(in);

        for (int e = 0; e < 16; e++) {
            x[e] = (float)(five_low(q[e], high, e) - 16) * d;
            x[e + 16] = (float)(five_high(q[e], high, e) - 16) * d;
        }
    }
}

IMGEN_CLONES void gguf_from_q5_1(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK, in += GGUF_BYTES_Q5_1, x += GGUF_BLOCK) {
        float d = half_at(in), m = half_at(in + 2);
        uint32_t high = word_at(in + 4);
        const uint8_t *q = in + 8;

        for (int e = 0; e < 16; e++) {
            x[e] = (float)five_low(q[e], high, e) * d + m;
            x[e + 16] = (float)five_high(q[e], high, e) * d + m;
        }
    }
}

IMGEN_CLONES void gguf_from_q8_0(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK, in += GGUF_BYTES_Q8_0, x += GGUF_BLOCK) {
        const int8_t *q = (const int8_t *)in + 2;
        float d = half_at(in);

        for (int e = 0; e < GGUF_BLOCK; e++)
            x[e] = (float)q[e] * d;
    }
}

/* --- blocks of 256 ------------------------------------------------------------------------------
 *
 * Halves of 128 elements; 32 bytes of q hold two or four parts of 32 elements, one beside the other
 * in each byte.
 */

IMGEN_CLONES void gguf_from_q2_k(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK_K, in += GGUF_BYTES_Q2_K) {
        float d = half_at(in + 80), dm = half_at(in + 82);

        for (int part = 0; part < 16; part++, x += 16) {
            const uint8_t *q = in + 16 + part / 8 * 32 + part % 2 * 16;
            float scale = d * (float)(in[part] & 15), least = dm * (float)(in[part] >> 4);
            int shift = part % 8 / 2 * 2;

            for (int e = 0; e < 16; e++)
                x[e] = scale * (float)(q[e] >> shift & 3) - least;
        }
    }
}

/* Sixteen scales of six bits: the low four in eight bytes, low halves first, then the high two of
 * each in four bytes. */
static inline int q3_scale(const uint8_t *s, int i)
{
    int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4;

    return (low | (s[8 + i % 4] >> (i / 4 * 2) & 3) << 4) - 32;
}

IMGEN_CLONES void gguf_from_q3_k(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK_K, in += GGUF_BYTES_Q3_K) {
        float d = half_at(in + 108);

        for (int part = 0; part < 16; part++, x += 16) {
            const uint8_t *high = in + part % 2 * 16, *q = in + 32 + part / 8 * 32 + part % 2 * 16;
            float scale = d * (float)q3_scale(in + 96, part);
            int shift = part % 8 / 2 * 2, bit = part / 2;

            for (int e = 0; e < 16; e++)
                x[e] = scale * (float)((q[e] >> shift & 3) - 4 + (high[e] >> bit & 1) * 4);
        }
    }
}

/* Scale and minimum of group g of eight, six bits each, in the twelve bytes s. */
static inline void six_bits(int *scale, int *least, const uint8_t *s, int g)
{
    *scale = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
    *least = g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | s[g] >> 6 << 4;
}

IMGEN_CLONES void gguf_from_q4_k(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK_K, in += GGUF_BYTES_Q4_K) {
        float d = half_at(in), dm = half_at(in + 2);

        for (int g = 0; g < 8; g++, x += 32) {
            const uint8_t *q = in + 16 + g / 2 * 32;
            int s, m, shift = g % 2 * 4;
            float scale, least;

            six_bits(&s, &m, in + 4, g);
            scale = d * (float)s;
            least = dm * (float)m;
            for (int e = 0; e < 32; e++)
                x[e] = scale * (float)(q[e] >> shift & 15) - least;
        }
    }
}

IMGEN_CLONES void gguf_from_q5_k(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK_K, in += GGUF_BYTES_Q5_K) {
        float d = half_at(in), dm = half_at(in + 2);

        for (int g = 0; g < 8; g++, x += 32) {
            const uint8_t *high = in + 16, *q = in + 48 + g / 2 * 32;
            int s, m, shift = g % 2 * 4;
            float scale, least;

            six_bits(&s, &m, in + 4, g);
            scale = d * (float)s;
            least = dm * (float)m;
            for (int e = 0; e < 32; e++)
                x[e] = scale * (float)((q[e] >> shift & 15) + (high[e] >> g & 1) * 16) - least;
        }
    }
}

IMGEN_CLONES void gguf_from_q6_k(void *out, const uint8_t *in, int64_t n)
{
    float *x = out;

    for (int64_t b = 0; b < n; b += GGUF_BLOCK_K, in += GGUF_BYTES_Q6_K) {
        const int8_t *s = (const int8_t *)in + 192;
        float d = half_at(in + 208);

        for (int part = 0; part < 16; part++, x += 16) {
            int half = part / 8, k = part % 8 / 2, from = part % 2 * 16;
            const uint8_t *low = in + half * 64 + k % 2 * 32 + from;
            const uint8_t *high = in + 128 + half * 32 + from;
            float scale = d * (float)s[part];
            int shift = k / 2 * 4;

            for (int e = 0; e < 16; e++)
                x[e] = scale * (float)(((low[e] >> shift & 15) | (high[e] >> 2 * k & 3) << 4) - 32);
        }
    }
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* To the nearest, halves away from zero, for |x| < 2^22: what is added is the float32 below one
 * half, so that 0.49999997 stays below one.  The range is enforced for what is not finite. */
static inline int8_t rounded(float x)
{
    float in_range = x < 127 ? x > -127 ? x : -127 : 127;

    return (int8_t)(in_range + copysignf(0x1.fffffep-2f, in_range));
}

IMGEN_CLONES void gguf_to_q8_0(uint8_t *out, const float *x, int64_t n)
{
    for (int64_t b = 0; b < n; b += GGUF_BLOCK, out += GGUF_BYTES_Q8_0, x += GGUF_BLOCK) {
        float most = 0, d, per_d;
        uint16_t stored;

        for (int e = 0; e < GGUF_BLOCK; e++)
            most = fabsf(x[e]) > most ? fabsf(x[e]) : most;
        d = most / 127;
        per_d = d > 0 ? 1 / d : 0;
        stored = f16_bits(d);
        memcpy(out, &stored, sizeof stored);
        for (int e = 0; e < GGUF_BLOCK; e++)
            out[2 + e] = (uint8_t)rounded(x[e] * per_d);
    }
}
