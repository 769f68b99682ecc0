/*
 * batchnorm.c - batch norm in training: each channel by its statistics over the whole batch
 *
 *     y = (x - mean_c) / sqrt(var_c + eps) weight + bias,   mean and var over all N pixels of a
 * batch
 *
 * Ioffe and Szegedy 2015, algorithm 1.  With all pixels of the batch as those of one picture it is
 * a group norm of single channels, so that op computes it, and its adjoint is this one's: there is
 * no second kernel to keep exact.
 *
 * It is the one op whose result for a picture depends on the pictures beside it.  That is what a
 * patch discriminator was published with, and networks that generate have no use for it.
 *
 * A norm in training leaves something behind: running statistics, for later use without a batch. An
 * op is a pure function, so it does not keep them; it hands out this batch's, read where the group
 * norm noted them for its backward, and the layer (nn/layers.c) folds them in after the run.  The
 * variance comes out of 1 / sqrt(var + eps): what that loses is 1e-7 of var + eps, which nothing
 * that adds eps again can see.
 */
#include "ops/norm.h"

#include "ops/basic.h"

static void moments_cpu(const struct tensor *y)
{
    int64_t C = shape_last(y->shape);
    const float *mean = (const float *)y->in[0]->data + NORM_MEAN * C;
    const float *rstd = (const float *)y->in[0]->data + NORM_RSTD * C;
    float *out = y->data;

    for (int64_t c = 0; c < C; c++) {
        double r = (double)rstd[c], var = 1 / (r * r) - y->arg[0].f;

        out[c] = mean[c];
        out[C + c] = var < 0 ? 0 : (float)var;
    }
}

static const struct op batch_moments = {.name = "batch_moments", .cpu = moments_cpu};

struct tensor *op_batchnorm(struct graph *g, struct tensor *x, struct tensor *weight,
                            struct tensor *bias, double eps, struct tensor **moments)
{
    int64_t C = shape_last(x->shape);
    struct tensor *y = op_reshape(g, x, SHAPE(1, shape_rows(x->shape), C));

    y = op_groupnorm(g, y, C, weight, bias, NULL, false, eps);
    if (moments) {
        *moments = record(g, &batch_moments, SHAPE(2, C), y->side, NULL, NULL, NULL);
        (*moments)->arg[0].f = eps;
        (*moments)->wants_grad = false;
    }
    return op_reshape(g, y, x->shape);
}
