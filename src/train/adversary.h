/*
 * adversary.h - training against a discriminator
 *
 * One tape serves a step of both.  `shown` is the decoder's result y as the losses see it, cut off
 * from the decoder:
 *
 *     shown = adversary_show(g, y);
 *     nll = ... of shown and the pictures
 *     fake = patchgan_forward(g, d, shown, ...),  real = patchgan_forward(g, d, pictures, ...)
 *     for_decoder = adversary_join(g, &how, y, shown, last, nll, hinge_generator(g, fake),
 * &weight); graph_backward(g, op_add(g, for_decoder, hinge_discriminator(g, real, fake)));
 *
 * The decoder's parameters get their gradient through y, the discriminator's theirs through real
 * and fake, and neither loss reaches the other's.
 */
#ifndef IMGEN_TRAIN_ADVERSARY_H
#define IMGEN_TRAIN_ADVERSARY_H

#include "graph/graph.h"

struct adversary {
    double weight; /* of the discriminator in the decoder's loss; 0.5 as published         */
    double limit;  /* of the ratio of gradients that it is multiplied with; 10000 as published */
    int64_t start; /* the first step, counted from 0, at which there is a discriminator    */
};

/* E_ARG for numbers that cannot be. */
enum status adversary_check(const struct adversary *how, struct error *err);

/* Before its first step there is no discriminator: neither recorded nor trained. */
bool adversary_begun(const struct adversary *how, int64_t step);

/* Answers of any shape, one for each patch; large means real.
 * 1/2 (mean max(0, 1 - real) + mean max(0, 1 + fake)), [1]. */
struct tensor *hinge_discriminator(struct graph *g, struct tensor *real, struct tensor *fake);
/* - mean fake, [1]. */
struct tensor *hinge_generator(struct graph *g, struct tensor *fake);

/* y's values as losses see them: what flows back to them is asked for, and stops there. */
struct tensor *adversary_show(struct graph *g, struct tensor *y);

/* A scalar whose gradient with respect to y is that of
 *
 *     nll + weight ratio gan,   ratio = min(|d nll / d last| / (|d gan / d last| + 1e-4), limit),
 *
 * weight ratio taken as a constant; its value means nothing.  nll, gan: [1], functions of `shown`;
 * last: the parameter of the layer that made y.  A trained number inside nll gets no gradient from
 * here; scaled_loss of the detached value gives it one.  *ratio: [1], to be kept and read, unless
 * NULL. Recorded before graph_backward. */
struct tensor *adversary_join(struct graph *g, const struct adversary *how, struct tensor *y,
                              struct tensor *shown, struct tensor *last, struct tensor *nll,
                              struct tensor *gan, struct tensor **ratio);

#endif
