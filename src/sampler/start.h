/*
 * start.h - the noise that a picture begins with
 */
#ifndef IMGEN_SAMPLER_START_H
#define IMGEN_SAMPLER_START_H

#include "diffusion/path.h"

#include <stdint.h>

enum start_rng {
    START_IMGEN,     /* sampling_start: streams that any thread may begin anywhere        */
    START_TORCH_CPU, /* torch_rng_normals of [1, channels, height, width], as others draw */
};

const struct choice *start_rng_at(int i); /* NULL past the last */

/* x: [pixels, channels] = X_0 of one picture on the path, a function of the seed and the shape
 * alone.  E_MEMORY. */
enum status start_draw(double *x, enum start_rng rng, const struct path *path, uint64_t seed,
                       int64_t pixels, int64_t channels, struct error *err);

#endif
