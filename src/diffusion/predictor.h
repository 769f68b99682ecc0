/*
 * predictor.h - whoever can predict, and two of them as one
 */
#ifndef IMGEN_DIFFUSION_PREDICTOR_H
#define IMGEN_DIFFUSION_PREDICTOR_H

#include "diffusion/prediction.h"

/* What guidance asks for at one point, and may ask for together. */
enum {
    BRANCH_UNGUIDED = 1, /* f(x, t | none)                                                 */
    BRANCH_GUIDED = 2,   /* f(x, t | y)                                                    */
    BRANCH_BOTH = 3,
    BRANCH_PERTURBED = 4, /* f(x, t | y) of a network that lacks some layers, or their attention */
    BRANCH_ALL = 7,
};

/* How many branches a set has. */
int branch_count(unsigned branches);

/* Whoever can predict: a network, or a closed form.  It knows its own labels. */
struct predictor {
    /* out = the predictions for x [rows, length] at t in [0, 1]: [branch_count(branches), rows,
     * length], in the order of the bits, so that a network runs one batch of several times the
     * size.  out never overlaps x.  Returns E_CANCELLED or its own failure.  Only a network has a
     * perturbed branch, and nobody else is asked for it. */
    enum status (*predict)(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err);
    void *self;
    int64_t rows, length;
};

/* Two models as one predictor: one that knows y, and one in the place of its unguided branch, which
 * does not (theory.md 3.9, S16), or which knows y too and is worse (autoguidance).  They must agree
 * in rows and length; `unguided` is asked for its guided branch.  What each of them predicts may
 * differ: the path then says what the one means to the other. */
struct predictor_pair {
    struct predictor unguided, guided;
    struct path path; /* read only where the predictions differ */
    enum prediction unguided_is, guided_is;
};

/* The pair, which predicts guided_is; it must stay where it is.  Where `unguided` tells nothing of
 * that (prediction_tells), `guided` stands in for it, and guidance changes nothing. */
struct predictor predictor_of_pair(struct predictor_pair *pair);

#endif
