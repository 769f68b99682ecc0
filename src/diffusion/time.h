/*
 * time.h - the law of the time t that a training sample is shown at
 */
#ifndef IMGEN_DIFFUSION_TIME_H
#define IMGEN_DIFFUSION_TIME_H

#include "base/rng.h"
#include "diffusion/path.h"

#include <stdint.h>

struct time_kind {
    struct choice is;
    /* The time below which a share u in (0, 1) of the law lies. */
    double (*quantile)(const double *values, const struct path *path, double u);
    /* A time of the law; NULL: the quantile of a uniform number. */
    double (*draw)(const double *values, const struct path *path, struct rng *r);
    /* The law's density at t in (0, 1); NULL where there is no closed form. */
    double (*density)(const double *values, double t);
    /* E_ARG when the numbers fit their ranges but not each other, or the law not the path; may be
     * NULL. */
    enum status (*check)(const double *values, const struct path *path, struct error *err);
    /* The first and the last time; NULL where the law fades out towards t = 0 and t = 1. */
    void (*ends)(const double *values, const struct path *path, double ends[2]);
};

struct time_density {
    const struct time_kind *kind;
    double values[CHOICE_VALUES];
};

const struct time_kind *time_kind_at(int i); /* NULL past the last */

/* Numbers of the logit-normal law of times, and of the grid of its quantiles. */
enum { LOGIT_MEAN, LOGIT_STD };
extern const struct option logit_normal_options[];

/* "uniform", "logit_normal", ... with default numbers.  E_ARG when unknown. */
enum status time_init(struct time_density *d, const char *name, struct error *err);
/* E_ARG for an unknown parameter, and outside its range. */
enum status time_set(struct time_density *d, const char *param, double value, struct error *err);
/* E_ARG when t0 is not below t1, and for a law of indices on a path without them.  Call once after
 * the last time_set. */
enum status time_check(const struct time_density *d, const struct path *path, struct error *err);

/* Whether the law stays positive up to ends[0] and ends[1], which are filled; false where it fades
 * out towards 0 and 1. */
bool time_ends(const struct time_density *d, const struct path *path, double ends[2]);

/* The time below which a share u in (0, 1) of the law lies. */
double time_quantile(const struct time_density *d, const struct path *path, double u);

/* The density of a law that has one in closed form (kind->density) at t in (0, 1). */
double time_density_at(const struct time_density *d, double t);

/* a sigma / (1 + (a - 1) sigma): the share of noise sigma in [0, 1] of a straight path as pictures
 * of a^2 times as many pixels need it, a > 0; noise against data grows a times.  Esser et al. 2024,
 * equation 23.  A shifted logit-normal law is one with another mean. */
double sigma_shifted(double sigma, double a);

/* t in [0, 1) for the sample-th training sample ever drawn: a function of (seed, sample) and the
 * path alone. */
double time_draw(const struct time_density *d, const struct path *path, uint64_t seed,
                 uint64_t sample);

#endif
