/*
 * softmax.c - exp(x_i - max x) / sum over the last dimension
 *
 * For heads and small tables; attention has its own, which never stores the matrix (attention.c).
 * The maximum is taken out first, so that no exponential overflows and the largest is exactly 1.
 * The adjoint needs the result alone: dx = y (dy - <dy, y>).
 */
#include "ops/activation.h"

#include "base/simd.h"
#include "ops/lanes.h"
#include "ops/rows.h"
#include "ops/vecmath.h"

static double ten_flops(const struct tensor *y)
{
    return 10 * (double)shape_count(y->shape);
}

IMGEN_CLONES static void softmax_row(float *out, const float *x, int64_t D)
{
    float max = x[0], scale;

    for (int64_t d = 1; d < D; d++)
        max = x[d] > max ? x[d] : max;
#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        out[d] = vec_exp(x[d] - max);
    scale = 1.0f / row_sum(out, D);
#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        out[d] *= scale;
}

static void softmax_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);

    for (int64_t r = at.first; r < at.last; r++)
        softmax_row((float *)y->data + r * D, (const float *)y->in[0]->data + r * D, D);
}

static void softmax_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), softmax_block);
}

IMGEN_CLONES static void softmax_dx_row(float *out, const float *p, const float *dy, int64_t D)
{
    float mean = row_dot(dy, p, D);

#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        out[d] = p[d] * (dy[d] - mean);
}

static void softmax_dx_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);

    for (int64_t r = at.first; r < at.last; r++)
        softmax_dx_row((float *)y->data + r * D, (const float *)y->in[0]->data + r * D,
                       (const float *)y->in[1]->data + r * D, D);
}

static void softmax_dx_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), softmax_dx_block);
}

static const struct op softmax_dx = {
    .name = "softmax_dx", .cpu = softmax_dx_cpu, .flops = ten_flops, .inplace = 3};

static void softmax_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record(g, &softmax_dx, y->shape, y, y->grad, NULL, NULL));
}

static const struct op softmax = {.name = "softmax",
                                  .cpu = softmax_cpu,
                                  .adjoint = softmax_adjoint,
                                  .flops = ten_flops,
                                  .inplace = 1};

struct tensor *op_softmax(struct graph *g, struct tensor *x)
{
    char s[SHAPE_TEXT];

    MUST(shape_last(x->shape) > 0, "softmax over nothing: %s", shape_text(s, x->shape));
    return record(g, &softmax, x->shape, x, NULL, NULL, NULL);
}
