/*
 * stream.h - writing past the caches
 *
 * Before a processor changes a line of memory it reads it, and what it wrote pushes something else
 * out of the cache: for a result that is too large to be found there later, both are in vain.
 */
#ifndef IMGEN_BASE_STREAM_H
#define IMGEN_BASE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

enum { STREAM_LINE = 16 }; /* floats */

/* Whether this processor can write `n` floats from `to` on past its caches in whole lines. */
bool stream_possible(const float *to, int64_t n);

/* to[i] = from[i] for i < n, where stream_possible(to, n); `from` begins a line. */
void stream_floats(float *to, const float *from, int64_t n);

/* To be called behind the last of them, before another thread may read. */
void stream_end(void);

#endif
