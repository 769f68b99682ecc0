/*
 * magnitude.c - ops that keep values at unit magnitude
 *
 * Group norms hold activations in place by measuring them again and again, and weights then grow
 * unseen, which lowers the effective learning rate in a way nobody chose.  EDM2 removes the norms
 * and instead builds every layer so that independent inputs of unit magnitude leave it with unit
 * magnitude: weights are used at unit length, sums and concatenations are divided by what they
 * would add, SiLU by its own deviation (Karras et al. 2024, section 2.3 and appendix B).
 *
 * Two of the ops are one kernel, a row divided by its own size: over the channels of each pixel it
 * is pixel norm, over the numbers that make one output channel it is weight normalisation.  With
 * r = |x|, s = 1 / (eps + r / sqrt D) and a constant c,
 *
 *     y = c s x,      dx = c s (dy - x (x . dy) s / (r sqrt D)),
 *
 * so the backward needs x and dy alone, and makes both dot products while the row lies in cache.
 * A row of zeros stays one, and passes c dy / eps back.
 *
 * The others are written in ops that exist.
 */
#include "ops/magnitude.h"

#include "base/simd.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/lanes.h"
#include "ops/rows.h"

#include <math.h>

/* --- rows at unit magnitude: 8 bytes and 3 flops an element ----------------------------------- */

enum { ARG_GAIN, ARG_WIDTH };

static double three_flops(const struct tensor *y)
{
    return 3 * (double)shape_count(y->shape);
}

static double seven_flops(const struct tensor *y)
{
    return 7 * (double)shape_count(y->shape);
}

/* A tensor as rows of the given width. */
static struct row_blocks rows_wide(const struct tensor *y)
{
    int64_t width = y->arg[ARG_WIDTH].i;

    return row_blocks(1, width ? shape_count(y->shape) / width : 0, width);
}

IMGEN_CLONES static void unit_row(float *out, const float *x, int64_t D, float gain)
{
    float size = sqrtf(row_dot(x, x, D)), root = sqrtf((float)D);
    float s = gain / ((float)MAGNITUDE_EPS + size / root);

#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        out[d] = x[d] * s;
}

static void unit_block(const struct tensor *y, struct block at)
{
    int64_t D = y->arg[ARG_WIDTH].i;
    const float *x = y->in[0]->data;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        unit_row(out + r * D, x + r * D, D, (float)y->arg[ARG_GAIN].f);
}

static void unit_cpu(const struct tensor *y)
{
    each_block(y, rows_wide(y), unit_block);
}

IMGEN_CLONES static void unit_dx_row(float *dx, const float *x, const float *dy, int64_t D,
                                     float gain)
{
    float size = sqrtf(row_dot(x, x, D)), root = sqrtf((float)D);
    float s = 1.0f / ((float)MAGNITUDE_EPS + size / root), outer = gain * s;
    float back = size > 0 ? row_dot(x, dy, D) * (s / (size * root)) : 0;

#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        dx[d] = outer * (dy[d] - x[d] * back);
}

static void unit_dx_block(const struct tensor *y, struct block at)
{
    int64_t D = y->arg[ARG_WIDTH].i;
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *dx = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        unit_dx_row(dx + r * D, x + r * D, dy + r * D, D, (float)y->arg[ARG_GAIN].f);
}

static void unit_dx_cpu(const struct tensor *y)
{
    each_block(y, rows_wide(y), unit_dx_block);
}

/* in: x, dy. */
static const struct op unit_rows_dx = {
    .name = "unit_rows_dx", .cpu = unit_dx_cpu, .flops = seven_flops, .inplace = 3};

static void unit_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dx = record(g, &unit_rows_dx, y->shape, y->in[0], y->grad, NULL, NULL);

    dx->arg[ARG_GAIN] = y->arg[ARG_GAIN];
    dx->arg[ARG_WIDTH] = y->arg[ARG_WIDTH];
    grad_add(g, y->in[0], dx);
}

static const struct op unit_rows = {.name = "unit_rows",
                                    .cpu = unit_cpu,
                                    .adjoint = unit_adjoint,
                                    .again = record_again,
                                    .flops = three_flops,
                                    .inplace = 1};

void weight_force_units(float *w, int64_t O, int64_t n)
{
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < O; o++)
        unit_row(w + o * n, w + o * n, n, 1);
}

static struct tensor *record_unit(struct graph *g, struct tensor *x, int64_t width, double gain)
{
    struct tensor *y = record(g, &unit_rows, x->shape, x, NULL, NULL, NULL);

    y->arg[ARG_GAIN].f = gain;
    y->arg[ARG_WIDTH].i = width;
    return y;
}

struct tensor *op_pixel_norm(struct graph *g, struct tensor *x)
{
    return record_unit(g, x, shape_last(x->shape), 1);
}

struct tensor *op_weight_norm(struct graph *g, struct tensor *w, double gain)
{
    int64_t O = w->shape.dim[0], n = O ? shape_count(w->shape) / O : 0;
    char s[SHAPE_TEXT];

    MUST(w->shape.rank > 1, "weight_norm: %s has no rows", shape_text(s, w->shape));
    return record_unit(g, w, n, n ? gain / sqrt((double)n) : gain);
}

/* --- s x: 8 bytes and 1 flop an element ------------------------------------------------------- */

static double one_flop(const struct tensor *y)
{
    return (double)shape_count(y->shape);
}

IMGEN_CLONES static void scale_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, s = *(const float *)y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = x[i] * s;
}

static void scale_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), scale_block);
}

static void scale_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *s = y->in[1];

    if (x->wants_grad)
        grad_add(g, x, op_scale(g, y->grad, s));
    if (s->wants_grad)
        grad_add(g, s, op_sum(g, op_mul(g, y->grad, x)));
}

static const struct op scale = {.name = "scale",
                                .cpu = scale_cpu,
                                .adjoint = scale_adjoint,
                                .again = record_again,
                                .flops = one_flop,
                                .inplace = 1};

struct tensor *op_scale(struct graph *g, struct tensor *x, struct tensor *s)
{
    char t[SHAPE_TEXT];

    MUST(shape_equal(s->shape, SHAPE(1)), "scale: by %s, not one number", shape_text(t, s->shape));
    return record(g, &scale, x->shape, x, s, NULL, NULL);
}

/* --- in ops that exist ------------------------------------------------------------------------ */

struct tensor *op_mp_sum(struct graph *g, struct tensor *a, struct tensor *b, double t)
{
    double size = hypot(1 - t, t);

    return op_mix(g, a, b, (1 - t) / size, t / size);
}

struct tensor *op_mp_cat(struct graph *g, struct tensor *a, struct tensor *b, double t)
{
    double Na = (double)shape_last(a->shape), Nb = (double)shape_last(b->shape);
    double C = sqrt(Na + Nb) / hypot(1 - t, t);

    return op_concat(g, op_affine(g, a, C * (1 - t) / sqrt(Na), -0.0),
                     op_affine(g, b, C * t / sqrt(Nb), -0.0));
}

struct tensor *op_mp_silu(struct graph *g, struct tensor *x)
{
    return op_affine(g, op_silu(g, x), 1 / 0.596, -0.0);
}
