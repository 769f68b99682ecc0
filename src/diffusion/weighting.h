/*
 * weighting.h - how much an error counts at each noise level
 */
#ifndef IMGEN_DIFFUSION_WEIGHTING_H
#define IMGEN_DIFFUSION_WEIGHTING_H

#include "diffusion/prediction.h"

struct weighting_kind {
    struct choice is;
    enum prediction on; /* of whose squared error it is a factor; N_PREDICTIONS: of any */
    /* >= 0; may be infinite where alpha = 0 or beta = 0. */
    double (*weight)(const double *values, const struct path_coefs *c);
};

struct weighting {
    const struct weighting_kind *kind; /* NULL: uniform */
    double values[CHOICE_VALUES];
};

const struct weighting_kind *weighting_kind_at(int i); /* NULL past the last; 0: uniform */

/* "uniform", "min_snr", ... with its default numbers.  E_ARG when unknown. */
enum status weighting_init(struct weighting *w, const char *name, struct error *err);
/* E_ARG for an unknown parameter, and outside its range. */
enum status weighting_set(struct weighting *w, const char *param, double value, struct error *err);

/* N_PREDICTIONS where any error will do. */
enum prediction weighting_on(const struct weighting *w);
bool weighting_is_uniform(const struct weighting *w);
double weighting_at(const struct weighting *w, const struct path_coefs *c);

#endif
