/*
 * fetch.h - asking for memory before it is used
 *
 * A processor foresees one stream through memory, or a few; not rows that lie far apart, nor
 * several streams that take turns.  Those want to be asked for, some thousand floats ahead.
 *
 * Inlined by force: gcc 12 takes a function that only asks for one without effects, and drops its
 * calls.
 */
#ifndef IMGEN_BASE_FETCH_H
#define IMGEN_BASE_FETCH_H

#include <stdint.h>

enum { FETCH_LINE = 16 }; /* floats that memory delivers together */

#define FETCH_INLINE static inline __attribute__((always_inline))

/* n floats from x on, which need not exist. */
FETCH_INLINE void fetch_floats(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += FETCH_LINE)
        __builtin_prefetch(x + i);
}

/* The same, into the second-level cache: for what is wanted so much later that the first would have
 * lost it. */
FETCH_INLINE void fetch_floats_later(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += FETCH_LINE)
        __builtin_prefetch(x + i, 0, 2);
}

/* n bytes from x on, which need not exist. */
FETCH_INLINE void fetch_bytes(const void *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += 64)
        __builtin_prefetch((const char *)x + i);
}

#endif
