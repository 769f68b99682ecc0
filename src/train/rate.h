/*
 * rate.h - the learning rate over the steps of a run
 */
#ifndef IMGEN_TRAIN_RATE_H
#define IMGEN_TRAIN_RATE_H

#include <stdint.h>

enum rate_kind { RATE_CONSTANT, RATE_COSINE, N_RATES };

/* "constant", "cosine"; NULL past the last. */
const char *rate_name(int kind);

/* The factor of the learning rate at step s (from 0) of `steps`: min(1, (s + 1) / warmup) while
 * warming up, then 1, or half a cosine from 1 down to `floor` at the last step.  Loshchilov and
 * Hutter 2017. */
double rate_at(enum rate_kind kind, int64_t s, int64_t steps, int64_t warmup, double floor);

#endif
