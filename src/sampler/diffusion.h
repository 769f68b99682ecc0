/*
 * diffusion.h - how strongly an SDE stirs while it transports
 *
 * dX = [u + w_t s] dt + sqrt(2 w_t) dW has the marginals of the flow for every w_t >= 0; in the
 * letters of theory.md (2.6), w_t = sigma_t^2 / 2.
 */
#ifndef IMGEN_SAMPLER_DIFFUSION_H
#define IMGEN_SAMPLER_DIFFUSION_H

#include "diffusion/path.h"

struct diffusion_kind {
    struct choice is; /* no numbers: the scale is struct diffusion's */
    /* w_t at scale >= 0; an infinity where it has no finite value. */
    double (*strength)(const struct path_coefs *c, double scale);
};

/* What the step that ends at the last time does, where noise would stay in the picture. */
enum last_step {
    LAST_MEAN,  /* the drift without the noise */
    LAST_DATA,  /* E[z | x] (Tweedie 1956)     */
    LAST_FLOW,  /* a step of the flow          */
    LAST_NOISY, /* a step like all others      */
    N_LAST_STEPS,
};

struct diffusion {
    const struct diffusion_kind *kind; /* NULL: the first of the table */
    double scale;
    enum last_step last;
};

const struct diffusion_kind *diffusion_kind_at(int i); /* NULL past the last */
const struct choice *last_step_at(int i);              /* the index is the enum */
/* By name or alias; E_ARG naming the nearest. */
enum status diffusion_find(const struct diffusion_kind **out, const char *name, struct error *err);
enum status last_step_find(enum last_step *out, const char *name, struct error *err);

#endif
