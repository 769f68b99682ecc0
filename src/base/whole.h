/*
 * whole.h - arithmetic of sizes: numbers that are counted, and cut into parts
 */
#ifndef IMGEN_BASE_WHOLE_H
#define IMGEN_BASE_WHOLE_H

#include <stddef.h>
#include <stdint.h>

static inline int64_t whole_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t whole_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* x brought into lo .. hi; where hi < lo, one of them. */
static inline int64_t whole_clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* Parts that n >= 0 things make, `part` > 0 in each but the last. */
static inline int64_t whole_parts(int64_t n, int64_t part)
{
    return (n + part - 1) / part;
}

/* n > 0 things cut into parts as even as can be: how many make each but the last, at most `most`
 * rounded up to a multiple of `unit`. */
static inline int64_t whole_even(int64_t n, int64_t most, int64_t unit)
{
    return whole_parts(whole_parts(n, whole_parts(n, most)), unit) * unit;
}

/* Bytes up to the end of the cache line, 64 bytes. */
static inline size_t whole_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

#endif
