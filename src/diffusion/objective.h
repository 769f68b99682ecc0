/*
 * objective.h - what a network is asked for, and how its answer is graded
 *
 * Every loss here is mean (gain F - target)^2 with F what the network says: which prediction it is,
 * whose error counts, with which weight and inside which wrapper are all in two numbers a sample.
 * theory.md 1.4, 2.2, 2.4; architectures.md 1.8, 2.3.
 */
#ifndef IMGEN_DIFFUSION_OBJECTIVE_H
#define IMGEN_DIFFUSION_OBJECTIVE_H

#include "diffusion/precondition.h"
#include "diffusion/weighting.h"

/* In zeros: a velocity, graded by its own plain square. */
struct objective {
    enum prediction predicts;
    int graded_as; /* 0: as itself, or as the weighting says; else 1 + enum prediction    */
    struct weighting weighting;
    double floor; /* beta below which the error counts less, by beta / floor; 0: nowhere */
};

/* "own" and the names of predictions: number i is graded_as = i.  NULL past the last. */
const struct choice *graded_as_at(int i);

/* Whose error is squared. */
enum prediction objective_space(const struct objective *o);

/* At one time: the sample's loss is mean (gain F - of_z z - of_eps eps)^2. */
struct grading {
    double gain, of_z, of_eps;
};

/* E_ARG where the loss has no finite value at c. */
enum status objective_at(struct grading *out, const struct objective *o,
                         const struct precondition *wrap, const struct path *path,
                         const struct path_coefs *c, struct error *err);

/* E_ARG for a floor that is none, a weight that is stated on another error than the one asked for,
 * and a loss that grows without bound towards the first or the last time, ends[0] or ends[1] (NULL:
 * the law of the times fades out there). */
enum status objective_check(const struct objective *o, const struct precondition *wrap,
                            const struct path *path, const double *ends, struct error *err);

/* Whether the gain is 1 at all times: then F itself is compared with the target. */
bool objective_is_plain(const struct objective *o, const struct precondition *wrap);

#endif
