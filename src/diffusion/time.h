/*
 * time.h - the law of the time t that a training sample is shown at
 */
#ifndef IMGEN_DIFFUSION_TIME_H
#define IMGEN_DIFFUSION_TIME_H

#include "base/rng.h"
#include "diffusion/choice.h"

#include <stdint.h>

struct time_kind {
    struct choice is;
    double (*draw)(const double *values, struct rng *r);
    /* E_ARG when the numbers fit their ranges but not each other; may be NULL. */
    enum status (*check)(const double *values, struct error *err);
};

struct time_density {
    const struct time_kind *kind;
    double values[CHOICE_VALUES];
};

const struct time_kind *time_kind_at(int i); /* NULL past the last */

/* "uniform" (t0, t1) or "logit_normal" (mean, std), with default numbers.  E_ARG when unknown. */
enum status time_init(struct time_density *d, const char *name, struct error *err);
/* E_ARG for an unknown parameter, and outside its range. */
enum status time_set(struct time_density *d, const char *param, double value, struct error *err);
/* E_ARG when t0 is not below t1.  Call once after the last time_set. */
enum status time_check(const struct time_density *d, struct error *err);

/* t in [0, 1) for the sample-th training sample ever drawn: a function of (seed, sample) alone. */
double time_draw(const struct time_density *d, uint64_t seed, uint64_t sample);

#endif
