/*
 * prediction.h - what a network may predict, and every prediction from every other
 *
 * Each is linear in data and noise, p = of_z z + of_eps eps, so with x = alpha z + beta eps any one
 * of them tells all the others.  theory.md 2.4.
 */
#ifndef IMGEN_DIFFUSION_PREDICTION_H
#define IMGEN_DIFFUSION_PREDICTION_H

#include "diffusion/path.h"

/* Model files hold the names; the order is that of the table in prediction.c. */
enum prediction {
    PREDICT_VELOCITY, /* u = dalpha z + dbeta eps           */
    PREDICT_SCORE,    /* s = -eps / beta                    */
    PREDICT_NOISE,    /* eps                                */
    PREDICT_DATA,     /* z                                  */
    PREDICT_V,        /* alpha eps - beta z                 */
    PREDICT_DESCENT,  /* eps - z                            */
    N_PREDICTIONS,
};

/* The descriptor of a prediction, NULL past the last; the index is the enum. */
const struct choice *prediction_at(int i);
enum status prediction_find(enum prediction *out, const char *name, struct error *err);

/* The training target of a prediction as target = (*of_z) z + (*of_eps) eps: the conditional
 * quantity given z, which never depends on a label.  E_ARG where it is infinite (the score at beta
 * = 0, the velocity where dbeta is infinite). */
enum status prediction_target(double *of_z, double *of_eps, enum prediction p,
                              const struct path_coefs *c, struct error *err);

/* One entry of table 2.4: want = (*of_x) x + (*of_have) have.  E_ARG, naming the path's numbers,
 * where that entry has no finite value: dividing by alpha = 0 or by beta = 0.  *of_have is also the
 * ratio of the two errors, |error of want| = |of_have| |error of have|: (2.5). */
enum status prediction_coefs(double *of_x, double *of_have, enum prediction want,
                             enum prediction have, const struct path_coefs *c, struct error *err);

/* Single precision needs alpha of a hundredth before noise and score tell of the picture: the error
 * of the one, divided by alpha, is the error of the other. */
#define PREDICTION_ALPHA 1e-2

/* Whether a network's `have` tells `want` there: the entry has a finite value, and does not grow
 * without bound towards an alpha = 0 that is nearer than PREDICTION_ALPHA. */
bool prediction_tells(enum prediction want, enum prediction have, const struct path_coefs *c);

/* out = `want` at x, from `in` = `have` at x.  All [n]; out may be in or x.  want = have copies. */
enum status prediction_convert(double *out, enum prediction want, const double *in,
                               enum prediction have, const double *x, const struct path_coefs *c,
                               int64_t n, struct error *err);

#endif
