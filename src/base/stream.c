/*
 * stream.c - writing past the caches with AVX-512
 *
 * Such stores meet in a few buffers, each a line long, and a buffer goes to memory when it is full
 * or when another is needed.  Vectors of AVX-512 are a line: every store fills its buffer.  With
 * shorter ones, whose stores stand between others, a line goes to memory in parts, and group norm
 * was no faster with them than without; so older processors are told that it is not possible.
 *
 * These stores know no order among themselves and towards others: stream_end waits for them.
 */
#include "base/stream.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

bool stream_possible(const float *to, int64_t n)
{
    return n % STREAM_LINE == 0 && (uintptr_t)to % sizeof(__m512) == 0 &&
           __builtin_cpu_supports("avx512f");
}

__attribute__((target("avx512f"))) void stream_floats(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i += STREAM_LINE)
        _mm512_stream_ps(to + i, _mm512_load_ps(from + i));
}

void stream_end(void)
{
    _mm_sfence();
}
#else
#include <string.h>

bool stream_possible(const float *to, int64_t n)
{
    (void)to;
    (void)n;
    return false;
}

void stream_floats(float *to, const float *from, int64_t n)
{
    memcpy(to, from, (size_t)n * sizeof *to);
}

void stream_end(void)
{
}
#endif
