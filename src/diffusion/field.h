/*
 * field.h - what a solver integrates: a predictor under guidance, read through a path
 *
 * The four axes meet here and nowhere else: a solver asks for the velocity (or the score, noise,
 * data) and need not know what the network predicts, on which path, or with how much guidance.
 */
#ifndef IMGEN_DIFFUSION_FIELD_H
#define IMGEN_DIFFUSION_FIELD_H

#include "diffusion/guidance.h"
#include "diffusion/prediction.h"

/* The caller fills it; it owns nothing.  A model of two predictions, velocity and score say, has
 * two guidances of one size over its two predictors: what either of them predicts is then taken
 * from it as it is, and all else is converted. */
struct field {
    struct path path;
    enum prediction predicts; /* what the predictor hands out */
    struct guidance *guidance;
    enum prediction second_predicts;
    struct guidance *second;   /* NULL: there is one prediction */
    struct predictor variance; /* in zeros: nobody says one */
};

/* out = `want` at (x, t).  [rows, length], not overlapping.  One guided prediction and one
 * conversion; of two predictions, from the one that is `want` or a multiple of it, else from the
 * first that can tell. E_ARG where table 2.4 has no value, else what the predictor says. */
enum status field_predict(struct field *f, enum prediction want, double *out, const double *x,
                          double t, struct error *err);

/* data = E[z | x], noise = E[eps | x] from one guided prediction; noise may be NULL.  [rows,
 * length] each, neither overlapping x or the other.  Fails as field_predict. */
enum status field_data_noise(struct field *f, double *data, double *noise, const double *x,
                             double t, struct error *err);

/* out = v at (x, t), what a network with a learned variance says of the steps from there: log s^2 =
 * f log b + (1 - f) log b~ with f = (v + 1) / 2.  [rows, length].  Of rows with w = 0 the unguided
 * branch's, of others the guided one's.  E_ARG where nobody says it. */
enum status field_variance(struct field *f, double *out, const double *x, double t,
                           struct error *err);

/* Whether `want` can be had at t: false where the conversion divides by alpha = 0 or beta = 0. */
bool field_has(const struct field *f, enum prediction want, double t);

#endif
