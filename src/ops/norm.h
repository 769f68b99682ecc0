/*
 * norm.h - normalisations over channels, with what follows them fused
 *
 * Statistics in float32 or wider from two passes over a cached row or group, never E[x^2] - E[x]^2.
 */
#ifndef IMGEN_OPS_NORM_H
#define IMGEN_OPS_NORM_H

#include "graph/graph.h"

/* Layer norm over the last dimension, biased variance.  x [..., D]; weight, bias [D] or NULL. */
struct tensor *op_layernorm(struct graph *g, struct tensor *x, struct tensor *weight,
                            struct tensor *bias, double eps);

/* Layer norm without affine, then (1 + scale) and + shift, in one pass.  x [N, ..., D];
 * shift, scale [N, D]; shift may be NULL. */
struct tensor *op_layernorm_modulate(struct graph *g, struct tensor *x, struct tensor *shift,
                                     struct tensor *scale, double eps);

/* x / sqrt(mean(x^2) + eps) * weight over the last dimension; weight [D] or NULL. */
struct tensor *op_rmsnorm(struct graph *g, struct tensor *x, struct tensor *weight, double eps);

/* x / max(|x|, eps) over the last dimension, |x| the root of the sum of squares: rows of length
 * one; eps > 0. */
struct tensor *op_l2norm(struct graph *g, struct tensor *x, double eps);

/* x (1 + scale) + shift.  x [N, ..., D]; shift, scale [N, D]; shift may be NULL. */
struct tensor *op_modulate(struct graph *g, struct tensor *x, struct tensor *shift,
                           struct tensor *scale);

/* Group norm: x [N, ..., C], `groups` divides C, weight, bias [C]; optionally followed by FiLM and SiLU:
 *     y = act( (GN(x) weight + bias) (1 + scale) + shift )
 * film: [N, 2C] as [scale | shift], or NULL (Perez et al. 2018; ADM, Dhariwal and Nichol 2021).
 * silu: apply x sigmoid(x) last.  Everything in one node, one read and one write of x.  The side
 * result, [N, 4, C], begins with two rows of statistics: every channel has those of its group. */
struct tensor *op_groupnorm(struct graph *g, struct tensor *x, int64_t groups,
                            struct tensor *weight, struct tensor *bias, struct tensor *film,
                            bool silu, double eps);
enum norm_row {
    NORM_MEAN,
    NORM_RSTD, /* 1 / sqrt(variance + eps) */
};

/* Group norm of a part of a sample, by the statistics of the whole.  Neither is differentiated.
 *
 * op_group_moments: x [1, H, ..., C]; window int32 [2]: rows window[0] .. window[1] - 1 of H count.
 * [2, groups]: the mean of every group over them, and its mean squared deviation from that.
 * op_groupnorm_by: op_groupnorm with these [2, groups] for the statistics of every sample. */
struct tensor *op_group_moments(struct graph *g, struct tensor *x, int64_t groups,
                                struct tensor *window);
struct tensor *op_groupnorm_by(struct graph *g, struct tensor *x, int64_t groups,
                               struct tensor *moments, struct tensor *weight, struct tensor *bias,
                               bool silu, double eps);

/* Mean and sum of squared deviations of `count` numbers; of two sets of them together (Chan, Golub
 * and LeVeque 1979). */
struct moments {
    double count, mean, m2;
};
struct moments moments_merge(struct moments a, struct moments b);

/* Batch norm in training: x [N, ..., C], every channel by its mean and biased variance over all of
 * x but the last dimension; weight, bias [C].  *moments, unless moments is NULL: [2, C], these
 * means and variances, not differentiated.  A sample's result depends on the batch around it. */
struct tensor *op_batchnorm(struct graph *g, struct tensor *x, struct tensor *weight,
                            struct tensor *bias, double eps, struct tensor **moments);

#endif
