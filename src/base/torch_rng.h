/*
 * torch_rng.h - the normal numbers of PyTorch's generator on the CPU
 *
 * People share seeds, and a seed means the numbers that other programs draw from it.  Ours come
 * from rng.h; these are for pictures that are to begin with the same noise as elsewhere.
 */
#ifndef IMGEN_BASE_TORCH_RNG_H
#define IMGEN_BASE_TORCH_RNG_H

#include <stdbool.h>
#include <stdint.h>

enum { MERSENNE_WORDS = 624 };

struct torch_rng {
    uint32_t state[MERSENNE_WORDS];
    int at;          /* the next word of state; MERSENNE_WORDS: a new round is due */
    bool has_normal; /* the second of a pair of single numbers waits               */
    double normal;
};

/* As torch.manual_seed: of the seed the lower 32 bits count. */
struct torch_rng torch_rng_seed(uint64_t seed);

/* out[0 .. n-1] = torch.randn(n) in float32, for any shape of n elements, the same bits as the
 * published builds for processors with AVX2.  A call of 15 or fewer draws numbers one by one,
 * and is exact to the last bit or the one before it. */
void torch_rng_normals(struct torch_rng *r, float *out, int64_t n);

#endif
