/*
 * magnitude.h - ops that keep values at unit magnitude: root mean square one in, one out
 *
 * Karras et al. 2024, "Analyzing and improving the training dynamics of diffusion models" (EDM2),
 * appendix B.  All are differentiable.
 */
#ifndef IMGEN_OPS_MAGNITUDE_H
#define IMGEN_OPS_MAGNITUDE_H

#include "graph/graph.h"

/* Added to the root mean square of a row before it divides. */
#define MAGNITUDE_EPS 1e-4

/* Pixel norm: x / (eps + |x| / sqrt D) over the last dimension, D channels wide. */
struct tensor *op_pixel_norm(struct graph *g, struct tensor *x);

/* The weight that a layer multiplies with, (47): gain w / (eps + |w| / sqrt n) / sqrt n for each of
 * the O rows of w [O, ...], n numbers each: rows of length `gain`. */
struct tensor *op_weight_norm(struct graph *g, struct tensor *w, double gain);

/* O rows of n weights to root mean square one where they lie: w / (eps + |w| / sqrt n), (66). */
void weight_force_units(float *w, int64_t O, int64_t n);

/* s x for a learned number s [1]. */
struct tensor *op_scale(struct graph *g, struct tensor *x, struct tensor *s);

/* ((1 - t) a + t b) / sqrt((1 - t)^2 + t^2), (88): equal shapes, 0 <= t < 1. */
struct tensor *op_mp_sum(struct graph *g, struct tensor *a, struct tensor *b, double t);

/* [wa a | wb b] along the last dimension, (103): with Na and Nb channels,
 *     wa = C (1 - t) / sqrt Na,   wb = C t / sqrt Nb,   C = sqrt((Na + Nb) / ((1 - t)^2 + t^2)),
 * so that both contribute to what follows as t says and not as their widths do. */
struct tensor *op_mp_cat(struct graph *g, struct tensor *a, struct tensor *b, double t);

/* x sigmoid(x) / 0.596, (81): the deviation of SiLU of a standard normal is 0.596. */
struct tensor *op_mp_silu(struct graph *g, struct tensor *x);

#endif
