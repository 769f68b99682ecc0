/*
 * modulate.c - x (1 + scale) + shift, one scale and shift a sample
 *
 * What adaptive norms do after normalising (Peebles and Xie 2023), for the norms that do not fuse
 * it.  The row of scales stays in cache while the sample streams past.  The backward makes dx and,
 * in the same pass, the two sums over the sample's rows, dshift = sum dy and dscale = sum dy x, as
 * one side result [N, 2 D] of fixed blocks (ops/rows.h).
 */
#include "ops/norm.h"

#include "base/simd.h"
#include "ops/basic.h"
#include "ops/rows.h"

#include <string.h>

static double two_flops(const struct tensor *y)
{
    return 2 * (double)shape_count(y->shape);
}

/* --- forward: 8 bytes and 2 flops an element -------------------------------------------------- */

IMGEN_CLONES static void modulate_row(float *out, const float *x, const float *scale,
                                      const float *shift, int64_t D)
{
    if (shift) {
#pragma omp simd
        for (int64_t d = 0; d < D; d++)
            out[d] = x[d] * (1.0f + scale[d]) + shift[d];
    } else {
#pragma omp simd
        for (int64_t d = 0; d < D; d++)
            out[d] = x[d] * (1.0f + scale[d]);
    }
}

static void modulate_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *x = y->in[0]->data, *scale = (const float *)y->in[1]->data + at.sample * D;
    const float *shift = y->in[2] ? (const float *)y->in[2]->data + at.sample * D : NULL;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        modulate_row(out + r * D, x + r * D, scale, shift, D);
}

static void modulate_cpu(const struct tensor *y)
{
    each_block(y, rows_of_samples(y->shape), modulate_block);
}

/* --- backward: 12 bytes and 5 flops an element ------------------------------------------------ */

static size_t modulate_dx_scratch(const struct tensor *y, int threads)
{
    struct row_blocks b = rows_of_samples(y->shape);

    (void)threads;
    return (size_t)partial_count(b, 2 * b.width) * sizeof(float);
}

IMGEN_CLONES static void modulate_dx_row(float *dx, float *dshift, float *dscale, const float *x,
                                         const float *dy, const float *scale, int64_t D)
{
#pragma omp simd
    for (int64_t d = 0; d < D; d++) {
        float slope = dy[d];

        dshift[d] += slope;
        dscale[d] += slope * x[d];
        dx[d] = slope * (1.0f + scale[d]);
    }
}

static void modulate_dx_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    const float *scale = (const float *)y->in[2]->data + at.sample * D;
    float *dx = y->data, *partial = (float *)y->scratch + at.index * 2 * D;

    memset(partial, 0, 2 * (size_t)D * sizeof(float));
    for (int64_t r = at.first; r < at.last; r++)
        modulate_dx_row(dx + r * D, partial, partial + D, x + r * D, dy + r * D, scale, D);
}

static void modulate_dx_cpu(const struct tensor *y)
{
    struct row_blocks b = rows_of_samples(y->shape);

    each_block(y, b, modulate_dx_block);
    partial_total(y->side->data, y->scratch, b, 2 * b.width);
}

static const struct op modulate_dx = {.name = "modulate_dx",
                                      .cpu = modulate_dx_cpu,
                                      .scratch = modulate_dx_scratch,
                                      .flops = two_flops,
                                      .inplace = 3};

static void modulate_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *scale = y->in[1], *shift = y->in[2], *dx, *sums;
    int64_t D = shape_last(x->shape);

    dx = record(g, &modulate_dx, x->shape, x, y->grad, scale, NULL);
    sums = record_side(g, dx, SHAPE(x->shape.dim[0], 2 * D));
    grad_add(g, x, dx);
    if (shift && shift->wants_grad)
        grad_add(g, shift, op_slice(g, sums, 0, D));
    if (scale->wants_grad)
        grad_add(g, scale, op_slice(g, sums, D, D));
}

static const struct op modulate = {.name = "modulate",
                                   .cpu = modulate_cpu,
                                   .adjoint = modulate_adjoint,
                                   .again = record_again,
                                   .flops = two_flops,
                                   .inplace = 1};

struct tensor *op_modulate(struct graph *g, struct tensor *x, struct tensor *shift,
                           struct tensor *scale)
{
    struct shape like = SHAPE(x->shape.dim[0], shape_last(x->shape));
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(x->shape.rank >= 2 && shape_equal(scale->shape, like), "modulate: a scale %s for %s",
         shape_text(s, scale->shape), shape_text(t, x->shape));
    MUST(!shift || shape_equal(shift->shape, like), "modulate: a shift %s for %s",
         shape_text(s, shift->shape), shape_text(t, x->shape));
    return record(g, &modulate, x->shape, x, scale, shift, NULL);
}
