/*
 * rng.c - random numbers that depend on nothing but their key
 *
 * Philox encrypts a counter with a key: the n-th block of a stream needs no block before it, so
 * streams cost nothing to open and never overlap.  The key is the seed; the counter's upper half
 * holds the purpose, a place and the index, its lower half counts blocks (2^32 blocks of four words
 * a stream).
 */
#include "base/rng.h"

#include "base/simd.h"

#include <math.h>

static inline __attribute__((always_inline)) void philox(uint32_t out[4], const uint32_t counter[4],
                                                         const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)0xD2511F53u * c0, q = (uint64_t)0xCD9E8D57u * c2;

        c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)q;
        c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

struct rng rng_stream_at(uint64_t seed, enum rng_purpose purpose, uint64_t index, uint32_t place)
{
    return (struct rng){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, (uint32_t)index, (uint32_t)(index >> 32), (uint32_t)purpose | place << 8},
    };
}

struct rng rng_stream(uint64_t seed, enum rng_purpose purpose, uint64_t index)
{
    return rng_stream_at(seed, purpose, index, 0);
}

IMGEN_CLONES static void fill_blocks(uint32_t *restrict out, const uint32_t counter[4],
                                     const uint32_t key[2], int64_t n)
{
    const uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    const uint32_t k[2] = {key[0], key[1]};

#pragma omp simd
    for (int64_t b = 0; b < n; b++) {
        const uint32_t c[4] = {c0 + (uint32_t)b, c1, c2, c3};

        philox(out + 4 * b, c, k);
    }
}

void rng_blocks(uint32_t *out, const struct rng *r, uint32_t first, int64_t n)
{
    const uint32_t counter[4] = {first, r->counter[1], r->counter[2], r->counter[3]};

    fill_blocks(out, counter, r->key, n);
}

uint32_t rng_u32(struct rng *r)
{
    if (!r->left) {
        philox(r->block, r->counter, r->key);
        r->counter[0]++;
        r->left = 4;
    }
    return r->block[4 - r->left--];
}

double rng_uniform(struct rng *r)
{
    uint64_t high = rng_u32(r), low = rng_u32(r);

    return (double)((high << 32 | low) >> 11) * 0x1p-53;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;

    do {
        uint64_t high = rng_u32(r);

        x = high << 32 | rng_u32(r);
    } while (x >= limit);
    return x % n;
}

double rng_normal(struct rng *r)
{
    double radius, angle;

    if (r->has_normal) {
        r->has_normal = 0;
        return r->normal;
    }
    radius = sqrt(-2 * log(1 - rng_uniform(r)));
    angle = 2 * 3.14159265358979323846 * rng_uniform(r);
    r->normal = radius * sin(angle);
    r->has_normal = 1;
    return radius * cos(angle);
}

void rng_normals(struct rng *r, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)rng_normal(r);
}
