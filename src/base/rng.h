/*
 * rng.h - random numbers that depend on nothing but their key
 *
 * A stream is named by a seed, a purpose and an index (the step, the sample, the parameter), so
 * that changing the label, the guidance scale, the batch size or the number of threads never
 * changes the noise, and a resumed run draws what the uncut run would have drawn.  Philox4x32-10,
 * Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
 */
#ifndef IMGEN_BASE_RNG_H
#define IMGEN_BASE_RNG_H

#include <stdint.h>

/* What the numbers are for.  Values are part of every saved run: append, never renumber. */
enum rng_purpose {
    RNG_INIT = 1,       /* initial parameters; index: parameter                     */
    RNG_NOISE = 2,      /* x_0 of training; index: number of the sample drawn       */
    RNG_TIME = 3,       /* t of training; index: number of the sample drawn         */
    RNG_DROP = 4,       /* label dropping; index: number of the sample drawn        */
    RNG_SHUFFLE = 5,    /* order of a data set; index: epoch                        */
    RNG_AUGMENT = 6,    /* flips and crops; index: number of the sample drawn       */
    RNG_DATA = 7,       /* procedural pictures; index: picture                      */
    RNG_START = 8,      /* X_0 of sampling; index: picture                          */
    RNG_STEP = 9,       /* noise of SDE steps; index: picture                       */
    RNG_TEST = 10,      /* tests and benchmarks                                     */
    RNG_EVAL = 11,      /* subsets and directions of a measure; index: which        */
    RNG_DROPOUT = 12,   /* dropout in training; index: number of the sample drawn   */
    RNG_LATENT = 13,    /* latents drawn from an encoder's posterior; index: picture */
    RNG_CONDITION = 14, /* what a clip is told beforehand; index: number of the sample drawn */
};

struct rng {
    uint32_t key[2], counter[4], block[4];
    int left;       /* unread words of block      */
    int has_normal; /* the second of a pair waits */
    double normal;
};

struct rng rng_stream(uint64_t seed, enum rng_purpose purpose, uint64_t index);

/* One of RNG_PLACES streams of the same name; place 0 is rng_stream's. */
enum { RNG_PLACES = 1 << 24 };
struct rng rng_stream_at(uint64_t seed, enum rng_purpose purpose, uint64_t index, uint32_t place);

/* out[0 .. 4 n - 1]: the words of rng_u32 from the 4 first-th of the stream on, wherever r has read
 * to; r stays as it is. */
void rng_blocks(uint32_t *out, const struct rng *r, uint32_t first, int64_t n);

uint32_t rng_u32(struct rng *r);
/* Uniform on [0, 1), 53 bits. */
double rng_uniform(struct rng *r);
/* Uniform on 0 .. n-1, exactly (by rejection); n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Standard normal (Box and Muller 1958, in double). */
double rng_normal(struct rng *r);
/* out[0..n-1] standard normal. */
void rng_normals(struct rng *r, float *out, int64_t n);

#endif
