/*
 * peak.c - measuring the machine
 *
 * A share of peak means something only against a peak measured on the same machine in the same run:
 * the clock moves with temperature, neighbours and vector width.  Arithmetic: twelve independent
 * chains of multiply-adds keep two units of latency four or five busy; the values stay finite
 * because x -> a x + b with |a| < 1 has a fixed point.  (The chains begin where the compiler cannot
 * see: one that began on the fixed point would be folded away, and the peak overstated.)  The three
 * variants differ in vector width alone, and the processor is asked which it has; without fused
 * multiply-add the two operations are issued one after the other. Memory: a scaled copy, since
 * reading alone flatters and every real pass writes.
 */
#include "backend/cpu/peak.h"

#include "base/clock.h"
#include "base/memory.h"

#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 12, PEAK_TRIES = 5, COPY_TRIES = 5 };

/* One variant: `rounds` rounds of CHAINS multiply-adds on vectors of BYTES bytes. */
#define FMA_LOOP(NAME, TARGET, BYTES)                                          \
    typedef float NAME##_vec __attribute__((vector_size(BYTES)));              \
    TARGET static float NAME(int64_t rounds)                                   \
    {                                                                          \
        NAME##_vec x[CHAINS], a = {0}, b = {0}, sum = {0};                     \
                                                                               \
        a += 0.5f;                                                             \
        b += 1.0f;                                                             \
        for (int k = 0; k < CHAINS; k++)                                       \
            x[k] = b * (float)(rounds + k);                                    \
        for (int64_t i = 0; i < rounds; i++) {                                 \
            x[0] = x[0] * a + b, x[1] = x[1] * a + b, x[2] = x[2] * a + b;     \
            x[3] = x[3] * a + b, x[4] = x[4] * a + b, x[5] = x[5] * a + b;     \
            x[6] = x[6] * a + b, x[7] = x[7] * a + b, x[8] = x[8] * a + b;     \
            x[9] = x[9] * a + b, x[10] = x[10] * a + b, x[11] = x[11] * a + b; \
        }                                                                      \
        for (int k = 0; k < CHAINS; k++)                                       \
            sum += x[k];                                                       \
        return sum[0];                                                         \
    }

struct variant {
    float (*loop)(int64_t rounds);
    int floats;
    const char *name;
};

FMA_LOOP(loop_128, , 16)

#ifdef __x86_64__
FMA_LOOP(loop_256, __attribute__((target("avx2,fma"))), 32)
FMA_LOOP(loop_512, __attribute__((target("avx512f"))), 64)

static struct variant variant_here(void)
{
    if (__builtin_cpu_supports("avx512f"))
        return (struct variant){loop_512, 16, "AVX-512"};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct variant){loop_256, 8, "AVX2"};
    return (struct variant){loop_128, 4, "SSE2"};
}
#else
static struct variant variant_here(void)
{
    return (struct variant){loop_128, 4, "128-bit vectors"};
}
#endif

double cpu_peak_flops(int threads)
{
    const int64_t rounds = 1 << 20;
    struct variant v = variant_here();
    double best = 0;

    for (int t = 0; t < PEAK_TRIES; t++) {
        float sink = 0;
        double start, rate;

#pragma omp parallel num_threads(threads) reduction(+ : sink)
        sink += v.loop(rounds / 16);
        start = clock_seconds();
#pragma omp parallel num_threads(threads) reduction(+ : sink)
        sink += v.loop(rounds);
        /* The sum is never negative, but the compiler does not know and must compute it. */
        rate = sink < 0 ? 0 : 2.0 * CHAINS * v.floats * (double)rounds * threads;
        rate /= clock_seconds() - start;
        best = rate > best ? rate : best;
    }
    return best;
}

double cpu_copy_rate(float *restrict to, const float *restrict from, int64_t n, int threads)
{
    double start = clock_seconds();

#pragma omp parallel for simd num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i++)
        to[i] = 0.5f * from[i];
    return 2.0 * sizeof(float) * (double)n / (clock_seconds() - start);
}

double cpu_memory_bandwidth(int threads)
{
    const int64_t n = 32 << 20;
    float *from = NULL, *to = NULL;
    double best = 0;

    if (!mem_new((void **)&from, (uint64_t)n, sizeof *from, "a copy to measure", NULL) &&
        !mem_new((void **)&to, (uint64_t)n, sizeof *to, "a copy to measure", NULL))
        for (int t = 0; t < COPY_TRIES; t++) {
            double rate = cpu_copy_rate(to, from, n, threads);

            best = rate > best ? rate : best;
        }
    free(from);
    free(to);
    return best;
}

const char *cpu_name(char buf[CPU_NAME])
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256], model[96] = "unknown processor";
    const char *text;

    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "model name", 10) || !(text = strchr(line, ':')))
            continue;
        snprintf(model, sizeof(model), "%.*s", (int)strcspn(text + 2, "\n"), text + 2);
        break;
    }
    if (f)
        fclose(f);
    snprintf(buf, CPU_NAME, "%s, %s, %d processors", model, variant_here().name,
             omp_get_num_procs());
    return buf;
}
