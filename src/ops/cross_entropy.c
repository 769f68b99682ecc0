/*
 * cross_entropy.c - how surprised a classifier is by the label
 *
 * -log p_y with p the softmax of the logits is log sum exp(z - max) - (z_y - max).  Written in one
 * piece, since a probability that underflows to zero has no logarithm while its logarithm is an
 * ordinary number, and since the gradient is then simply p - (1 at y).  The sum and the logarithm
 * are taken in double: a row is short, and a sure classifier lives on the last digits of the sum.
 */
#include "ops/cross_entropy.h"

#include "ops/rows.h"

#include <math.h>

/* log sum exp of a row; NaN gives NaN. */
static double log_sum_exp(const float *z, int64_t K, float *max)
{
    double sum = 0;

    *max = z[0];
    for (int64_t k = 1; k < K; k++)
        *max = z[k] > *max ? z[k] : *max;
    for (int64_t k = 0; k < K; k++)
        sum += exp((double)z[k] - (double)*max);
    return log(sum);
}

static void cross_entropy_block(const struct tensor *y, struct block at)
{
    const int64_t K = shape_last(y->in[0]->shape);
    const int32_t *label = y->in[1]->data;
    float *out = y->data, max;

    for (int64_t n = at.first; n < at.last; n++) {
        const float *z = (const float *)y->in[0]->data + n * K;
        const double log_sum = log_sum_exp(z, K, &max);

        out[n] = (float)(log_sum - ((double)z[label[n]] - (double)max));
    }
}

static void cross_entropy_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->in[0]->shape), cross_entropy_block);
}

/* y: in = z, labels, gradient of the surprise [N]. */
static void cross_entropy_dz_block(const struct tensor *y, struct block at)
{
    const int64_t K = shape_last(y->shape);
    const int32_t *label = y->in[1]->data;
    const float *slope = y->in[2]->data;
    float max;

    for (int64_t n = at.first; n < at.last; n++) {
        const float *z = (const float *)y->in[0]->data + n * K;
        const double log_sum = log_sum_exp(z, K, &max);
        float *dz = (float *)y->data + n * K;

        for (int64_t k = 0; k < K; k++) {
            double p = exp((double)z[k] - (double)max - log_sum);

            dz[k] = (float)((p - (k == label[n] ? 1 : 0)) * (double)slope[n]);
        }
    }
}

static void cross_entropy_dz_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), cross_entropy_dz_block);
}

static const struct op cross_entropy_dz = {.name = "cross_entropy_dz", .cpu = cross_entropy_dz_cpu};

static void cross_entropy_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *z = y->in[0];

    grad_add(g, z, record(g, &cross_entropy_dz, z->shape, z, y->in[1], y->grad, NULL));
}

static const struct op cross_entropy = {
    .name = "cross_entropy", .cpu = cross_entropy_cpu, .adjoint = cross_entropy_adjoint};

struct tensor *op_cross_entropy(struct graph *g, struct tensor *z, struct tensor *y)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(z->shape.rank == 2 && shape_last(z->shape) > 0 && y->dtype == DTYPE_I32 &&
             shape_equal(y->shape, SHAPE(z->shape.dim[0])),
         "cross_entropy: logits %s, labels %s", shape_text(s, z->shape), shape_text(t, y->shape));
    return record(g, &cross_entropy, y->shape, z, y, NULL, NULL);
}
