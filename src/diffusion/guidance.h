/*
 * guidance.h - classifier-free guidance, for any path and any prediction
 *
 * f~ = (1 - w) f(x, t | none) + w f(x, t | y), with f the velocity, score, noise or data
 * prediction. theory.md (3.8), (3.10).
 */
#ifndef IMGEN_DIFFUSION_GUIDANCE_H
#define IMGEN_DIFFUSION_GUIDANCE_H

#include "base/error.h"

#include <stdint.h>

enum {
    BRANCH_UNGUIDED = 1, /* f(x, t | none)  */
    BRANCH_GUIDED = 2,   /* f(x, t | y)     */
    BRANCH_BOTH = 3,
};

/* Whoever can predict: a network, or a closed form.  It knows its own labels. */
struct predictor {
    /* out = the predictions for x [rows, length] at t in [0, 1].  One branch: [rows, length]. Both:
     * [2, rows, length], first unguided, then guided, so that a network runs one batch of twice the
     * size.  out never overlaps x.  Returns E_CANCELLED or its own failure. */
    enum status (*predict)(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err);
    void *self;
    int64_t rows, length;
};

/* Two models, one that knows y and one that does not, as one predictor.  theory.md 3.9, S16.
 * The two must agree in rows and length; both are asked for their guided branch only. */
struct predictor_pair {
    struct predictor unguided, guided;
};
struct predictor predictor_of_pair(struct predictor_pair *pair);

/* out = (1 - w) unguided + w guided, [n]; out may be either.  w = 0 and w = 1 copy. */
void guidance_combine(double *out, const double *unguided, const double *guided, double w,
                      int64_t n);

struct guidance {
    struct predictor of;
    double *w;    /* [rows]: 0 unguided, 1 guided, above 1 strengthened */
    double *both; /* [2, rows, length], when both branches are wanted   */
    unsigned branches;
    int64_t evaluations; /* branches asked for so far: 2 a call where both are needed */
};

/* w: [rows], copied, each finite and >= 0 (E_ARG).  Where every w is 0, or every w is 1, one branch
 * is evaluated, else both.  `of` is copied; its self must outlive the guidance. */
enum status guidance_init(struct guidance *g, struct predictor of, const double *w,
                          struct error *err);
void guidance_release(struct guidance *g);

/* out, x: [rows, length], not overlapping.  A row with w = 0 or w = 1 holds exactly the numbers of
 * its branch, whatever w its neighbours have. */
enum status guidance_predict(struct guidance *g, double *out, const double *x, double t,
                             struct error *err);

#endif
