/*
 * loss.h - what losses are made of besides the mean square (basic.h)
 */
#ifndef IMGEN_OPS_LOSS_H
#define IMGEN_OPS_LOSS_H

#include "graph/graph.h"

/* x [N, ...] with sample n multiplied by s[n]; s [N].  Differentiable in both. */
struct tensor *op_scale_samples(struct graph *g, struct tensor *x, struct tensor *s);

/* |x|, whose slope at 0 is 0. */
struct tensor *op_abs(struct graph *g, struct tensor *x);
struct tensor *op_exp(struct graph *g, struct tensor *x);
/* log(1 + e^x), without overflow. */
struct tensor *op_softplus(struct graph *g, struct tensor *x);
/* x^p for x > 0: p = 0.5 a root, -1 a reciprocal. */
struct tensor *op_power(struct graph *g, struct tensor *x, double p);

/* Mean over rows of the cosine between a's row and b's, [1]: equal shapes [..., D].  A row whose
 * length is under 1e-8 counts as one of that length.  Differentiable in both. */
struct tensor *op_cosine(struct graph *g, struct tensor *a, struct tensor *b);

/* [N]: over the rows of each sample, the mean of sum_c w_c (u_c - v_c)^2 between the unit vectors
 * u, v along a's and b's rows, shapes [N, ..., C]; w: [C], not differentiated, or NULL for ones.  A
 * row of zeros counts as zeros.  Zhang et al. 2018, (1). */
struct tensor *op_feature_distance(struct graph *g, struct tensor *a, struct tensor *b,
                                   struct tensor *weight);

/* The constants of one sample of op_variational, in this order, float32.  x' is the state one index
 * nearer to the data. */
enum variational_number {
    VB_FROM_X,     /* 1 / alpha: E[z | x] = VB_FROM_X x - VB_FROM_NOISE eps         */
    VB_FROM_NOISE, /* beta / alpha                                                  */
    VB_MEAN_DATA,  /* mean of x' given x and z, per z ...                           */
    VB_MEAN_X,     /* ... and per x                                                 */
    VB_LOG_LARGE,  /* log of the rate b: variance of x' given x                     */
    VB_LOG_SMALL,  /* log of the posterior variance: of x' given x and z            */
    VB_LAST,       /* 1: x' is the picture itself, of 256 levels in -1 .. 1; else 0 */
    VB_NUMBERS,
};

/* The variational bound of each sample in bits a dimension, [N].
 * y [N, ..., 2 C]: what the network says, noise first, then v with log variance = f VB_LOG_LARGE +
 * (1 - f) VB_LOG_SMALL, f = (v + 1) / 2.  x, z [N, ..., C]: the noisy point and the picture;
 * numbers [N, VB_NUMBERS].  Differentiable in v alone: the noise is taken as given. */
struct tensor *op_variational(struct graph *g, struct tensor *y, struct tensor *x, struct tensor *z,
                              struct tensor *numbers);

#endif
