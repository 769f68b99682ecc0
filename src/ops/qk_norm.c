/*
 * qk_norm.c - root-mean-square norm of each head's q and k
 *
 * Scores grow with the length of q and k, and a softmax fed with large scores has no gradient left;
 * norming both bounds the scores by the trained scales and keeps large or low-precision runs
 * stable (Henry et al. 2020; Dehghani et al. 2023).  With r = 1 / sqrt(mean(x^2) + eps) over a
 * head's d channels:
 *
 *     y = x r w        dx = r (w dy - x r^2 mean(w dy x))        dw = sum over rows and heads of dy
 * x r
 *
 * The norm works on [q | k | v] as the projection wrote it, so that nothing is split or joined.  v
 * passes through.  r is cheap and made again in the backward.  dw is summed in fixed blocks of rows
 * and then over the blocks in order (ops/rows.h).
 */
#include "ops/attention.h"

#include "base/error.h"
#include "base/simd.h"
#include "ops/basic.h"
#include "ops/lanes.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

enum { ARG_HEADS, ARG_EPS };

static int64_t head_size(const struct tensor *y)
{
    return y->in[0]->shape.dim[2] / 3 / y->arg[ARG_HEADS].i;
}

LANES_INLINE float inverse_rms(const float *x, int64_t d, float eps)
{
    return 1.0f / sqrtf(row_dot(x, x, d) / (float)d + eps);
}

/* --- forward: in = packed, q weight, k weight ---------------------------------------------------
 */

/* About 4 flops and 8 bytes a channel. */
IMGEN_CLONES static void norm_block(const struct tensor *y, struct block at)
{
    const int64_t heads = y->arg[ARG_HEADS].i, d = head_size(y), D = heads * d;
    const float eps = (float)y->arg[ARG_EPS].f;

    for (int64_t i = at.first; i < at.last; i++) {
        const float *x = (const float *)y->in[0]->data + i * 3 * D;
        float *out = (float *)y->data + i * 3 * D;

        for (int64_t h = 0; h < 2 * heads; h++) {
            const float *w = y->in[h < heads ? 1 : 2]->data;
            const float r = inverse_rms(x + h * d, d, eps);

#pragma omp simd
            for (int64_t c = 0; c < d; c++)
                out[h * d + c] = x[h * d + c] * r * w[c];
        }
        if (out != x)
            memcpy(out + 2 * D, x + 2 * D, (size_t)D * sizeof(float));
    }
}

static void norm_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), norm_block);
}

/* --- gradient of the projection: in = packed, q weight, k weight, dy ----------------------------
 */

LANES_INLINE void norm_dx_head(float *dx, const float *x, const float *dy, const float *w,
                               int64_t d, float eps)
{
    const float r = inverse_rms(x, d, eps);
    const float pull = row_dot3(x, dy, w, d) / (float)d * r * r;

#pragma omp simd
    for (int64_t c = 0; c < d; c++)
        dx[c] = r * (w[c] * dy[c] - x[c] * pull);
}

IMGEN_CLONES static void norm_dx_block(const struct tensor *y, struct block at)
{
    const int64_t heads = y->arg[ARG_HEADS].i, d = head_size(y), D = heads * d;

    for (int64_t i = at.first; i < at.last; i++) {
        const float *x = (const float *)y->in[0]->data + i * 3 * D;
        const float *dy = (const float *)y->in[3]->data + i * 3 * D;
        float *dx = (float *)y->data + i * 3 * D;

        for (int64_t h = 0; h < 2 * heads; h++)
            norm_dx_head(dx + h * d, x + h * d, dy + h * d, y->in[h < heads ? 1 : 2]->data, d,
                         (float)y->arg[ARG_EPS].f);
        if (dx != dy)
            memcpy(dx + 2 * D, dy + 2 * D, (size_t)D * sizeof(float));
    }
}

static void norm_dx_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), norm_dx_block);
}

static const struct op qk_norm_dx = {
    .name = "qk_norm_dx",
    .cpu = norm_dx_cpu,
    .inplace = 1u << 0 | 1u << 3,
};

/* --- gradient of the weights, [2 d] as [q | k]: in = packed, dy ----------------------------------
 */

IMGEN_CLONES static void norm_dw_block(const struct tensor *y, struct block at)
{
    const int64_t heads = y->arg[ARG_HEADS].i, d = head_size(y), D = heads * d;
    float *sum = (float *)y->scratch + at.index * 2 * d;

    memset(sum, 0, (size_t)(2 * d) * sizeof(float));
    for (int64_t i = at.first; i < at.last; i++) {
        const float *x = (const float *)y->in[0]->data + i * 3 * D;
        const float *dy = (const float *)y->in[1]->data + i * 3 * D;

        for (int64_t h = 0; h < 2 * heads; h++, x += d, dy += d) {
            const float r = inverse_rms(x, d, (float)y->arg[ARG_EPS].f);
            float *restrict to = sum + (h < heads ? 0 : d);

            for (int64_t c = 0; c < d; c++)
                to[c] += dy[c] * x[c] * r;
        }
    }
}

static void norm_dw_cpu(const struct tensor *y)
{
    const struct row_blocks b = rows_of(y->in[0]->shape);

    each_block(y, b, norm_dw_block);
    partial_total(y->data, y->scratch, b, shape_last(y->shape));
}

static size_t norm_dw_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(rows_of(y->in[0]->shape), shape_last(y->shape)) * sizeof(float);
}

static const struct op qk_norm_dw = {
    .name = "qk_norm_dw",
    .cpu = norm_dw_cpu,
    .scratch = norm_dw_scratch,
};

/* --- the op
 * --------------------------------------------------------------------------------------- */

static void norm_adjoint(struct graph *g, struct tensor *y)
{
    const int64_t d = head_size(y);
    struct tensor *x = y->in[0], *wq = y->in[1], *wk = y->in[2], *dx, *dw;

    if (wq->wants_grad || wk->wants_grad) {
        dw = record(g, &qk_norm_dw, SHAPE(2 * d), x, y->grad, NULL, NULL);
        memcpy(dw->arg, y->arg, sizeof(dw->arg));
        grad_add(g, wq, op_slice(g, dw, 0, d));
        grad_add(g, wk, op_slice(g, dw, d, d));
    }
    dx = record(g, &qk_norm_dx, x->shape, x, wq, wk, y->grad);
    memcpy(dx->arg, y->arg, sizeof(dx->arg));
    grad_add(g, x, dx);
}

static const struct op qk_norm = {
    .name = "qk_norm",
    .cpu = norm_cpu,
    .adjoint = norm_adjoint,
    .again = record_again,
    .inplace = 1,
};

struct tensor *op_qk_norm(struct graph *g, struct tensor *qkv, int64_t heads,
                          struct tensor *q_weight, struct tensor *k_weight, double eps)
{
    char text[SHAPE_TEXT];
    struct tensor *y;

    MUST(qkv->shape.rank == 3 && heads > 0 && shape_last(qkv->shape) % (3 * heads) == 0 &&
             shape_equal(q_weight->shape, SHAPE(shape_last(qkv->shape) / (3 * heads))) &&
             shape_equal(q_weight->shape, k_weight->shape),
         "packed %s, %d heads, weights of %d and %d", shape_text(text, qkv->shape), (int)heads,
         (int)shape_count(q_weight->shape), (int)shape_count(k_weight->shape));
    y = record(g, &qk_norm, qkv->shape, qkv, q_weight, k_weight, NULL);
    y->arg[ARG_HEADS].i = heads;
    y->arg[ARG_EPS].f = eps;
    return y;
}
