/*
 * classifier_guidance.h - guidance by a classifier of noisy pictures
 *
 * f~ = f + s k grad log c(y | x, t), with f the velocity, score, noise or data prediction and k
 * what guidance_gradient_weight says.  theory.md (3.7).
 */
#ifndef IMGEN_DIFFUSION_CLASSIFIER_GUIDANCE_H
#define IMGEN_DIFFUSION_CLASSIFIER_GUIDANCE_H

#include "diffusion/guidance.h"

/* Whoever can tell how a label's probability changes with the point: a network, or a closed form.
 * It knows its own labels. */
struct label_gradient {
    /* out = grad log p(y | x, t) for x [rows, length]; out never overlaps x. */
    enum status (*gradient)(void *self, double *out, const double *x, double t, struct error *err);
    void *self;
};

/* A predictor pulled towards labels.  The caller's; it owns `scale` and `pull`. */
struct classifier_guidance {
    struct predictor of;
    struct label_gradient by;
    struct path path;
    enum prediction predicts; /* what `of` predicts */
    double *scale;            /* [rows] */
    double *pull;             /* [rows, length] */
    int64_t evaluations;      /* gradients asked for so far */
};

/* The least alpha at which the classifier is asked: nearer to noise k grows without bound while the
 * gradient of an exact classifier goes to zero with alpha, and nothing is added. */
#define CLASSIFIER_ALPHA 1e-3

/* scale: [rows], copied, each finite and >= 0 (E_ARG); a row of scale 0 keeps the very numbers of
 * `of`.  E_MEMORY.  Release also after a failure. */
enum status classifier_guidance_init(struct classifier_guidance *c, struct predictor of,
                                     struct label_gradient by, const struct path *path,
                                     enum prediction predicts, const double *scale,
                                     struct error *err);
void classifier_guidance_release(struct classifier_guidance *c);

/* The pulled predictor; c must stay where it is.  Every branch is pulled alike, so that any
 * guidance of both, whose weights sum to one, is itself pulled by as much, whatever its own scale.
 */
struct predictor predictor_of_classifier(struct classifier_guidance *c);

#endif
