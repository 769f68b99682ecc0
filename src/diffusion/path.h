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

/* What a network may be asked to predict.  All are linear in (z, eps), so with x each gives the
 * other three (prediction_convert). */
enum prediction {
    PREDICT_VELOCITY, /* u = dalpha z + dbeta eps */
    PREDICT_SCORE,    /* s = -eps / beta          */
    PREDICT_NOISE,    /* eps                      */
    PREDICT_DATA,     /* z                        */
    N_PREDICTIONS,
};

/* The descriptor of a prediction, NULL past the last; the index is the enum. */
const struct choice *prediction_at(int i);
enum status prediction_find(enum prediction *out, const char *name, struct error *err);

/* out = alpha z + beta eps.  All [n]; out may be z or eps. */
void path_point(double *out, const double *z, const double *eps, const struct path_coefs *c,
                int64_t n);

/* The training target of a prediction as target = (*of_z) z + (*of_eps) eps: the conditional
 * quantity given z, which never depends on a label.  E_ARG where it is infinite (the score at beta
 * = 0, the velocity where dbeta is infinite). */
enum status path_target(double *of_z, double *of_eps, enum prediction p, const struct path_coefs *c,
                        struct error *err);

/* log p_t(x | z) of N(alpha z, beta^2 I), beta > 0. */
double path_log_density(const double *x, const double *z, const struct path_coefs *c, int64_t n);

/* One entry of table 2.4: want = (*of_x) x + (*of_have) have.  E_ARG, naming the path's numbers,
 * where that entry has no finite value: dividing by alpha = 0 or by beta = 0. */
enum status prediction_coefs(double *of_x, double *of_have, enum prediction want,
                             enum prediction have, const struct path_coefs *c, struct error *err);

/* out = `want` at x, from `in` = `have` at x.  All [n]; out may be in or x.  want = have copies. */
enum status prediction_convert(double *out, enum prediction want, const double *in,
                               enum prediction have, const double *x, const struct path_coefs *c,
                               int64_t n, struct error *err);

#endif
