/*
 * l2norm.c - rows of length one
 *
 *     y = x / max(|x|, eps),     dx = (dy - y (y . dy)) / |x|,  or dy / eps where |x| <= eps
 *
 * What is left of a row is its direction: codes are compared by it (Yu et al. 2022,
 * "Vector-quantized image modeling with improved VQGAN"), and so are queries and keys of cosine
 * attention.  A root mean square norm divided by sqrt D is nearly this, but keeps eps inside of the
 * root, and a row shorter than eps then comes out longer than it should.  The backward reads x and
 * dy alone and makes both dot products while the row lies in cache.
 */
#include "ops/norm.h"

#include "base/simd.h"
#include "ops/lanes.h"
#include "ops/rows.h"

#include <math.h>

static double three_flops(const struct tensor *y)
{
    return 3 * (double)shape_count(y->shape);
}

static double seven_flops(const struct tensor *y)
{
    return 7 * (double)shape_count(y->shape);
}

/* --- forward: 8 bytes an element -------------------------------------------------------------- */

IMGEN_CLONES static void l2_row(float *out, const float *x, int64_t D, float eps)
{
    float s = 1.0f / fmaxf(sqrtf(row_dot(x, x, D)), eps);

#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        out[d] = x[d] * s;
}

static void l2_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data;
    int64_t D = shape_last(y->shape);

    for (int64_t r = at.first; r < at.last; r++)
        l2_row(out + r * D, x + r * D, D, (float)y->arg[0].f);
}

static void l2_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), l2_block);
}

/* --- backward: 12 bytes an element ------------------------------------------------------------ */

IMGEN_CLONES static void l2_dx_row(float *dx, const float *x, const float *dy, int64_t D, float eps)
{
    float size = sqrtf(row_dot(x, x, D)), s = 1.0f / fmaxf(size, eps);
    float back = size > eps ? row_dot(x, dy, D) * s * s : 0;

#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        dx[d] = s * (dy[d] - x[d] * back);
}

static void l2_dx_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *dx = y->data;
    int64_t D = shape_last(y->shape);

    for (int64_t r = at.first; r < at.last; r++)
        l2_dx_row(dx + r * D, x + r * D, dy + r * D, D, (float)y->arg[0].f);
}

static void l2_dx_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), l2_dx_block);
}

/* in: x, dy. */
static const struct op l2norm_dx = {
    .name = "l2norm_dx", .cpu = l2_dx_cpu, .flops = seven_flops, .inplace = 3};

static void l2_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dx = record(g, &l2norm_dx, y->shape, y->in[0], y->grad, NULL, NULL);

    dx->arg[0] = y->arg[0];
    grad_add(g, y->in[0], dx);
}

static const struct op l2norm = {.name = "l2norm",
                                 .cpu = l2_cpu,
                                 .adjoint = l2_adjoint,
                                 .again = record_again,
                                 .flops = three_flops,
                                 .inplace = 1};

struct tensor *op_l2norm(struct graph *g, struct tensor *x, double eps)
{
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(x->shape.rank > 0 && eps > 0, "l2norm: %s, no row shorter than %g",
         shape_text(s, x->shape), eps);
    y = record(g, &l2norm, x->shape, x, NULL, NULL, NULL);
    y->arg[0].f = eps;
    return y;
}
