/*
 * stream.c - writing past the caches
 *
 * Such stores meet in a few buffers, each a line long, and a buffer goes to memory when it is full
 * or when another is needed.  Vectors of AVX-512 are a line: every store fills its buffer.  Two of
 * AVX2 fill it if nothing stands between them, so rows are put together in the first-level cache
 * and written in one go.  Shorter ones won nothing: older processors are told that it is not
 * possible.
 *
 * These stores know no order among themselves and towards others: stream_end waits for them.
 */
#include "base/stream.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

bool stream_possible(const float *to, int64_t n)
{
    return n % STREAM_LINE == 0 && (uintptr_t)to % sizeof(__m512) == 0 &&
           (__builtin_cpu_supports("avx512f") || __builtin_cpu_supports("avx2"));
}

__attribute__((target("avx512f"))) static void stream_512(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i += STREAM_LINE)
        _mm512_stream_ps(to + i, _mm512_load_ps(from + i));
}

__attribute__((target("avx2"))) static void stream_256(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i += STREAM_LINE) {
        _mm256_stream_ps(to + i, _mm256_load_ps(from + i));
        _mm256_stream_ps(to + i + 8, _mm256_load_ps(from + i + 8));
    }
}

void stream_floats(float *to, const float *from, int64_t n)
{
    if (__builtin_cpu_supports("avx512f"))
        stream_512(to, from, n);
    else
        stream_256(to, from, n);
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
