/*
 * numbers.h - the short floating formats, one number at a time
 *
 * Every float16, bfloat16 and float8 is a float32 and is widened exactly; the way back rounds to
 * the nearest, ties to even.  No function here branches, so that loops over them become vectors,
 * and none meets a subnormal float32 on its way, so that no mode of the processor matters.
 *
 * Bytes are little-endian in the file and on every machine this is built for (x86-64, arm64); a
 * big-endian build is stopped below, not silently wrong.
 */
#ifndef IMGEN_BASE_NUMBERS_H
#define IMGEN_BASE_NUMBERS_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are little-endian, and values are copied out of them as they are"
#endif

static inline float number_of_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t number_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* A format of e exponent bits (IEEE bias) and m mantissa bits, sign in front, as if it had no
 * infinities: the exponent is rebiased and the mantissa moves up.  A subnormal becomes the smallest
 * normal number with its mantissa, less the smallest normal number. */
static inline float number_widen(uint32_t bits, int e, int m)
{
    uint32_t sign = bits >> (e + m) << 31, rest = (bits & ((1u << (e + m)) - 1)) << (23 - m);
    uint32_t bias = (1u << (e - 1)) - 1, least = (128 - bias) << 23;
    uint32_t small = number_bits(number_of_bits(rest + least) - number_of_bits(least));

    return number_of_bits(sign | (rest < 1u << 23 ? small : rest + ((127 - bias) << 23)));
}

/* The same where the top exponent holds infinity and NaN, as IEEE 754 has it.  NaN stays NaN. */
static inline float number_widen_ieee(uint32_t bits, int e, int m)
{
    uint32_t wide = number_bits(number_widen(bits, e, m));
    uint32_t top = ((1u << e) - 1) << m, is_top = (bits & top) == top;

    return number_of_bits(wide | (is_top ? 0x7F800000u : 0));
}

static inline float f16_value(uint16_t bits)
{
    return number_widen_ieee(bits, 5, 10);
}

static inline float bf16_value(uint16_t bits)
{
    return number_of_bits((uint32_t)bits << 16);
}

/* Bias 7, no infinities, 0x7F and 0xFF are NaN, largest 448. */
static inline float f8_e4m3_value(uint8_t bits)
{
    uint32_t wide = number_bits(number_widen(bits, 4, 3));

    return number_of_bits(wide | ((bits & 0x7F) == 0x7F ? 0x7FC00000u : 0));
}

/* Bias 15, infinities and NaN as in IEEE 754. */
static inline float f8_e5m2_value(uint8_t bits)
{
    return number_widen_ieee(bits, 5, 2);
}

/* The nearest float16; past the largest comes infinity.  Below the smallest normal number the sum
 * with one half, whose unit in the last place is float16's smallest step, does the rounding. */
static inline uint16_t f16_bits(float x)
{
    uint32_t size = number_bits(x) & 0x7FFFFFFFu, sign = number_bits(x) >> 31 << 15;
    uint32_t normal = (size - (112u << 23) + 0xFFF + (size >> 13 & 1)) >> 13;
    uint32_t small =
        number_bits(number_of_bits(size < 0x38800000u ? size : 0) + 0.5f) - 0x3F000000u;
    uint32_t large = size > 0x7F800000u ? 0x7E00u : 0x7C00u;

    return (uint16_t)(sign | (size < 0x38800000u ? small : size < 0x47800000u ? normal : large));
}

/* The nearest bfloat16: the upper half of a float32, rounded.  NaN stays NaN. */
static inline uint16_t bf16_bits(float x)
{
    uint32_t bits = number_bits(x), rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;

    return (uint16_t)((bits & 0x7FFFFFFFu) > 0x7F800000u ? bits >> 16 | 0x40 : rounded);
}

#endif
