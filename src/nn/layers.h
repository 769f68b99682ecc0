/*
 * layers.h - layers with parameters: declared once, then applied on any tape
 *
 * X_init declares names and shapes under a scope; nn_X records the computation.
 */
#ifndef IMGEN_NN_LAYERS_H
#define IMGEN_NN_LAYERS_H

#include "nn/params.h"
#include "ops/conv.h"
#include "ops/linear.h"

/* "weight" [out, in], "bias" [out] or NULL. */
struct linear {
    const struct param *weight, *bias;
};
/* rule: of the weight; the bias is zero, except under INIT_KAIMING, where it is drawn too. */
void linear_init(struct linear *l, struct scope s, int64_t in, int64_t out, enum init_kind rule);
/* The same with the weight's deviation given (INIT_NORMAL), or its gain (INIT_XAVIER). */
void linear_init_normal(struct linear *l, struct scope s, int64_t in, int64_t out, double std);
void linear_init_xavier(struct linear *l, struct scope s, int64_t in, int64_t out, double gain);
/* Without a bias. */
void linear_init_plain(struct linear *l, struct scope s, int64_t in, int64_t out,
                       enum init_kind rule);
/* The same layer over pixels, which public files keep as a convolution: weight [out, in, 1, 1], or
 * [out, in, 1] along a line (file_rank 4 or 3); bias drawn by the same rule. */
void linear_init_pixels(struct linear *l, struct scope s, int64_t in, int64_t out,
                        struct init weight, int file_rank);
/* q, k and v of `heads` heads over pixels, [3 channels, channels], in QKV_PERHEAD order here and
 * dealt in files (param_deal). */
void linear_init_dealt(struct linear *l, struct scope s, int64_t channels, int64_t heads,
                       struct init weight);
/* The same without a bias. */
void linear_init_pixels_plain(struct linear *l, struct scope s, int64_t in, int64_t out,
                              struct init weight, int file_rank);
/* x [..., in] -> [..., out], with what is added to the weight (nn/low_rank.h). */
struct tensor *nn_linear(struct graph *g, const struct linear *l, struct tensor *x);
struct tensor *nn_linear_act(struct graph *g, const struct linear *l, struct tensor *x,
                             enum act act);

/* "weight" [out, k, k, in], "bias" [out] or NULL. */
struct conv {
    const struct param *weight, *bias;
    struct conv_geometry geometry;
};
/* k odd: padded to keep the size at stride 1. */
void conv_init(struct conv *c, struct scope s, int64_t in, int64_t out, int64_t k, int64_t stride,
               enum init_kind rule);
/* The same without a bias. */
void conv_init_plain(struct conv *c, struct scope s, int64_t in, int64_t out, int64_t k,
                     int64_t stride, enum init_kind rule);
/* At stride 1 with INIT_XAVIER over the kernel's area times gain; the bias is zero. */
void conv_init_xavier(struct conv *c, struct scope s, int64_t in, int64_t out, int64_t k,
                      double gain);
struct tensor *nn_conv(struct graph *g, const struct conv *c, struct tensor *x);

/* Layer norm: "weight", "bias" [channels]. */
struct layer_norm {
    const struct param *weight, *bias;
    double eps;
};
void layer_norm_init(struct layer_norm *n, struct scope s, int64_t channels, double eps);
struct tensor *nn_layer_norm(struct graph *g, const struct layer_norm *n, struct tensor *x);

/* Group norm: "weight", "bias" [channels]. */
struct group_norm {
    const struct param *weight, *bias;
    int64_t groups;
    double eps;
};
void group_norm_init(struct group_norm *n, struct scope s, int64_t channels, int64_t groups,
                     double eps);
/* film [N, 2C] or NULL; silu: followed by SiLU. */
struct tensor *nn_group_norm(struct graph *g, const struct group_norm *n, struct tensor *x,
                             struct tensor *film, bool silu);

/* Group norms of a picture that goes through them in parts, whose statistics are the whole's.  On a
 * tape of one part the first `known` norms take theirs from outside; `next` is what the norm behind
 * them looks at, of which op_group_moments gathers the next ones, and what is recorded behind that
 * has the part's own statistics and is of no use.  All zero but known and moments before a
 * recording. */
enum { NORM_PARTS = 8 };
struct norm_parts {
    int known;
    const float *moments[NORM_PARTS]; /* [2, groups] of each */
    int met;                          /* norms recorded      */
    struct tensor *next;
    int64_t groups; /* of the norm that looks at next */
};
/* parts: NULL for a whole picture. */
struct tensor *nn_group_norm_of_part(struct graph *g, const struct group_norm *n, struct tensor *x,
                                     bool silu, struct norm_parts *parts);

/* x with values left out with probability p (op_dropout), where drop names the samples; x itself
 * where drop is NULL or p is 0.  place: of this layer in its network. */
struct tensor *nn_dropout(struct graph *g, struct tensor *x, struct tensor *drop, double p,
                          int64_t place);

/* Batch norm in training: "weight", "bias" [channels], and the buffers "running_mean" and
 * "running_var", averages over the batches seen. */
struct batch_norm {
    const struct param *weight, *bias;
    struct param *mean, *variance;
    double eps;
};
/* weight: how it is drawn; the bias is zero. */
void batch_norm_init(struct batch_norm *n, struct scope s, int64_t channels, struct init weight,
                     double eps);
/* By the batch's own statistics, which become *moments (op_batchnorm). */
struct tensor *nn_batch_norm(struct graph *g, const struct batch_norm *n, struct tensor *x,
                             struct tensor **moments);
/* After the run, once a batch and in the order of the batches: average += momentum (batch's -
 * average), the batch's variance unbiased.  moments: [2, channels] as read, of `count` rows, 2 or
 * more. */
void batch_norm_update(const struct batch_norm *n, const float *moments, int64_t count,
                       double momentum);

#endif
