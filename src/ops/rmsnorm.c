/*
 * rmsnorm.c - x / rms(x) over channels
 *
 * Zhang and Sennrich 2019: layer norm without its mean, half the work.  The reciprocal root mean
 * square of each row is the side result, [rows], for the backward: with h = dy weight and r = 1 /
 * rms,
 *
 *     dx = r (h - x r^2 mean(h x)),   dweight = sum over rows of dy x r.
 */
#include "ops/norm.h"

#include "base/simd.h"
#include "ops/lanes.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

static double six_flops(const struct tensor *y)
{
    return 6 * (double)shape_count(y->shape);
}

/* --- forward: 8 bytes an element -------------------------------------------------------------- */

IMGEN_CLONES static void rms_row(float *out, float *scale, const float *x, const float *weight,
                                 int64_t D, float eps)
{
    float r = 1.0f / sqrtf(row_dot(x, x, D) / (float)D + eps);

    *scale = r;
    if (weight) {
#pragma omp simd
        for (int64_t d = 0; d < D; d++)
            out[d] = x[d] * r * weight[d];
    } else {
#pragma omp simd
        for (int64_t d = 0; d < D; d++)
            out[d] = x[d] * r;
    }
}

static void rms_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *weight = y->in[1] ? y->in[1]->data : NULL;
    float *out = y->data, *scale = y->side->data;
    int64_t D = shape_last(y->shape);

    for (int64_t r = at.first; r < at.last; r++)
        rms_row(out + r * D, scale + r, x + r * D, weight, D, (float)y->arg[0].f);
}

static void rms_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), rms_block);
}

/* --- backward: 12 bytes an element ------------------------------------------------------------ */

static size_t rms_dx_scratch(const struct tensor *y, int threads)
{
    struct row_blocks b = rows_of(y->shape);

    (void)threads;
    return (size_t)partial_count(b, b.width) * sizeof(float);
}

IMGEN_CLONES static void rms_dx_row(float *dx, float *dweight, float r, const float *x,
                                    const float *dy, const float *weight, int64_t D)
{
    float dot = weight ? row_dot3(x, dy, weight, D) : row_dot(x, dy, D);
    float back = r * r * (dot / (float)D);

#pragma omp simd
    for (int64_t d = 0; d < D; d++) {
        float value = x[d], slope = dy[d], h = weight ? slope * weight[d] : slope;

        dweight[d] += slope * (value * r);
        dx[d] = r * (h - value * back);
    }
}

static void rms_dx_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data, *scale = y->in[2]->data;
    const float *weight = y->in[3] ? y->in[3]->data : NULL;
    int64_t D = shape_last(y->shape);
    float *dx = y->data, *partial = (float *)y->scratch + at.index * D;

    memset(partial, 0, (size_t)D * sizeof(float));
    for (int64_t r = at.first; r < at.last; r++)
        rms_dx_row(dx + r * D, partial, scale[r], x + r * D, dy + r * D, weight, D);
}

/* in: x, dy, r, weight; the side result is dweight [D]. */
static void rms_dx_cpu(const struct tensor *y)
{
    struct row_blocks b = rows_of(y->shape);

    each_block(y, b, rms_dx_block);
    partial_total(y->side->data, y->scratch, b, b.width);
}

static const struct op rmsnorm_dx = {.name = "rmsnorm_dx",
                                     .cpu = rms_dx_cpu,
                                     .scratch = rms_dx_scratch,
                                     .flops = six_flops,
                                     .inplace = 3};

static void rms_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *weight = y->in[1], *dx, *dweight;

    dx = record(g, &rmsnorm_dx, x->shape, x, y->grad, y->side, weight);
    dweight = record_side(g, dx, SHAPE(shape_last(x->shape)));
    grad_add(g, x, dx);
    grad_add(g, weight, dweight);
}

static const struct op rmsnorm = {.name = "rmsnorm",
                                  .cpu = rms_cpu,
                                  .adjoint = rms_adjoint,
                                  .again = record_again,
                                  .flops = six_flops,
                                  .inplace = 1};

struct tensor *op_rmsnorm(struct graph *g, struct tensor *x, struct tensor *weight, double eps)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *y;

    MUST(!weight || shape_equal(weight->shape, SHAPE(shape_last(x->shape))),
         "rmsnorm: a weight %s for %s", shape_text(s, weight->shape), shape_text(t, x->shape));
    y = record(g, &rmsnorm, x->shape, x, weight, NULL, NULL);
    y->arg[0].f = eps;
    record_side(g, y, SHAPE(shape_rows(x->shape)));
    return y;
}
