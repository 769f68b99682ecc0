/*
 * path.h - the Gaussian path x_t = alpha z + beta eps from noise (t = 0) to data (t = 1)
 *
 * A path is a descriptor of the table in path.c and its numbers.  All that depends on time is in
 * struct path_coefs, in double, with the ends of [0, 1] exact.  theory.md 2.4 and 2.5.
 */
#ifndef IMGEN_DIFFUSION_PATH_H
#define IMGEN_DIFFUSION_PATH_H

#include "diffusion/choice.h"

#include <stdbool.h>
#include <stdint.h>

/* Everything a path says about one time.  What has no finite value there is an infinity: a, b and
 * half_log_snr where alpha = 0, dbeta and D of vp_linear where beta = 0.  The products beta_dbeta
 * and beta_D are finite everywhere; formulas that need the ends use them. */
struct path_coefs {
    double t;
    double alpha, beta;   /* signal and noise                                         */
    double dalpha, dbeta; /* their derivatives in t                                   */
    double beta_dbeta;    /* beta dbeta                                               */
    double D;             /* dalpha beta - alpha dbeta, > 0 inside                    */
    double beta_D;        /* beta D                                                   */
    double a, b;          /* u = a x + b s:  a = dalpha / alpha,  b = beta D / alpha  */
    double half_log_snr;  /* log(alpha / beta)                                        */
};

struct path_kind {
    struct choice is;
    bool variance_preserving; /* alpha^2 + beta^2 = 1, hence b = a      */
    bool variance_exploding;  /* alpha = 1; starts from N(0, beta_0^2)  */
    /* Fills alpha, beta, dalpha, dbeta, beta_dbeta; path_at does the rest. */
    void (*fill)(struct path_coefs *c, const double *values, double t);
    /* Discrete schedules: the steps T, and the rate b_k of step k.  NULL on the others. */
    int (*steps)(const double *values);
    double (*rate)(int k, const double *values);
};

struct path {
    const struct path_kind *kind;
    double values[CHOICE_VALUES];
};

const struct path_kind *path_kind_at(int i); /* NULL past the last */

/* A path by name, with its default numbers; change them with path_set.  E_ARG when unknown. */
enum status path_init(struct path *p, const char *name, struct error *err);
/* E_ARG for an unknown parameter, and outside its range. */
enum status path_set(struct path *p, const char *param, double value, struct error *err);

/* t in [0, 1]. */
struct path_coefs path_at(const struct path *p, double t);

/* The time at which beta / alpha is sigma >= 0, to the last bit of t; 0 or 1 where the path does
 * not reach so far. */
double path_time_of_noise(const struct path *p, double sigma);

/* Of a discrete schedule, T, else 0.  Index k of 0 .. T-1 (0 next to the data, as public networks
 * count) stands at t = 1 - (k + 1) / T; path_index gives it back, whole where t is such a time. */
int path_steps(const struct path *p);
double path_time_of_index(const struct path *p, int k);
double path_index(const struct path *p, double t);

/* out = alpha z + beta eps.  All [n]; out may be z or eps. */
void path_point(double *out, const double *z, const double *eps, const struct path_coefs *c,
                int64_t n);

/* log p_t(x | z) of N(alpha z, beta^2 I), beta > 0. */
double path_log_density(const double *x, const double *z, const struct path_coefs *c, int64_t n);

#endif
