/*
 * cloud.h - many points at once: drawn from a law, and carried by a solver
 */
#ifndef IMGEN_LAB_CLOUD_H
#define IMGEN_LAB_CLOUD_H

#include "lab/lab.h"

/* Sets of points that must not share randomness, by number. */
enum cloud_set { CLOUD_DATA, CLOUD_START, CLOUD_EXACT, CLOUD_AGAIN, CLOUD_TRAIN };

/* x [n, 2] and label [n] (may be NULL): the i-th point is a function of (seed, set, first + i)
 * alone. */
void cloud_draw(double *x, int32_t *label, int64_t n, const struct law *l, int32_t y, uint64_t seed,
                enum cloud_set set, int64_t first);
/* x [n, 2] = alpha z + beta eps at the time of c, exactly from p_t(. | y); z [n, 2], eps [n, 2] and
 * label [n] are what they were made of, or NULL. */
void cloud_noisy(double *x, double *z, double *eps, int32_t *label, int64_t n, const struct law *l,
                 const struct path_coefs *c, int32_t y, uint64_t seed, enum cloud_set set);

/* Two sets of n fresh points of a law, [n, 2] each: what is carried is held against the first, and
 * the distance between the two is what chance alone gives. */
struct cloud_pair {
    double *fresh, *again;
    int64_t n;
};
enum status cloud_pair_new(struct cloud_pair *p, int64_t n, struct error *err);
void cloud_pair_draw(struct cloud_pair *p, const struct law *l, int32_t y, uint64_t seed);
void cloud_pair_release(struct cloud_pair *p);

/* A run of a solver on points of one label. */
struct cloud_run {
    const struct sampler *sampler;
    struct path path;
    int steps;     /* evenly spaced                                             */
    double t0, t1; /* 0 and 1 unless the predictions have no value there         */
    double w;      /* guidance                                                  */
    struct diffusion diffusion;
    uint64_t seed; /* of an SDE's noise                                         */
    double *trace; /* [steps + 1, n, 2]: where the points were, or NULL         */
};
/* Ordinary values: the flow, from 0 to 1, w = 1. */
struct cloud_run cloud_run_plain(const struct path *path, const char *sampler, int steps);

/* x [n, 2] from t0 to t1, in place, under predictions of `of` (n rows of 2).  Fails as
 * sampling_run; E_CANCELLED when the lab is asked to stop. */
enum status cloud_carry(double *x, const struct cloud_run *run, struct predictor of,
                        enum prediction predicts, struct lab *lab, struct error *err);
/* The same on the exact fields of a law under label y. */
enum status cloud_carry_exactly(double *x, int64_t n, const struct cloud_run *run,
                                const struct law *l, int32_t y, struct lab *lab, struct error *err);

#endif
