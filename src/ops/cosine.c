/*
 * cosine.c - how far two fields point the same way, row by row
 *
 * The mean over rows of <a, b> / (|a| |b|).  Rows are the channels of a pixel or the features of a
 * token.  Products and sums of a row are taken in double: a cosine near 1 is a difference of nearly
 * equal numbers as soon as it is subtracted from 1, which is what losses do.  Each block of rows
 * sums its own, and the blocks are added in order (ops/rows.h).
 *
 *     d cos / da = (b / |b| - cos a / |a|) / |a|
 *
 * A row shorter than 1e-8 is divided by that instead, and its slope is that of the plain product.
 */
#include "ops/loss.h"

#include "ops/rows.h"

#include <math.h>

static const double shortest = 1e-8;

static double six_flops(const struct tensor *y)
{
    return 6 * (double)shape_count(y->in[0]->shape);
}

static double dot(const float *a, const float *b, int64_t D)
{
    double sum = 0;

    for (int64_t d = 0; d < D; d++)
        sum += (double)a[d] * (double)b[d];
    return sum;
}

static double length_of(const float *a, int64_t D)
{
    return fmax(sqrt(dot(a, a, D)), shortest);
}

/* --- forward: 8 bytes and 6 flops an element -------------------------------------------------- */

static size_t cosine_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(rows_of(y->in[0]->shape), 1) * sizeof(double);
}

static void cosine_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->in[0]->shape);
    const float *a = y->in[0]->data, *b = y->in[1]->data;
    double sum = 0;

    for (int64_t r = at.first; r < at.last; r++) {
        const float *u = a + r * D, *v = b + r * D;

        sum += dot(u, v, D) / (length_of(u, D) * length_of(v, D));
    }
    ((double *)y->scratch)[at.index] = sum;
}

static void cosine_cpu(const struct tensor *y)
{
    struct row_blocks b = rows_of(y->in[0]->shape);
    const double *partial = y->scratch;
    double sum = 0;

    each_block(y, b, cosine_block);
    for (int64_t i = 0; i < partial_count(b, 1); i++)
        sum += partial[i];
    ((float *)y->data)[0] = (float)(sum / (double)shape_rows(y->in[0]->shape));
}

/* --- backward: 12 bytes and 10 flops an element ----------------------------------------------- */

/* in: a, b, dy; the gradient of a. */
static void cosine_da_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *a = y->in[0]->data, *b = y->in[1]->data, *dy = y->in[2]->data;
    double scale = (double)dy[0] / (double)shape_rows(y->shape);
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++) {
        const float *u = a + r * D, *v = b + r * D;
        double lu = length_of(u, D), lv = length_of(v, D);
        double along = lu > shortest ? dot(u, v, D) / (lu * lu * lu * lv) : 0;

        for (int64_t d = 0; d < D; d++)
            out[r * D + d] = (float)(scale * ((double)v[d] / (lu * lv) - along * (double)u[d]));
    }
}

static void cosine_da_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), cosine_da_block);
}

static const struct op cosine_da = {.name = "cosine_da", .cpu = cosine_da_cpu, .flops = six_flops};

static void cosine_adjoint(struct graph *g, struct tensor *y)
{
    for (int k = 0; k < 2; k++)
        if (y->in[k]->wants_grad)
            grad_add(g, y->in[k],
                     record(g, &cosine_da, y->in[k]->shape, y->in[k], y->in[1 - k], y->grad, NULL));
}

static const struct op cosine = {.name = "cosine",
                                 .cpu = cosine_cpu,
                                 .adjoint = cosine_adjoint,
                                 .scratch = cosine_scratch,
                                 .flops = six_flops};

struct tensor *op_cosine(struct graph *g, struct tensor *a, struct tensor *b)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(a->shape.rank > 0 && shape_equal(a->shape, b->shape), "cosine: %s and %s differ",
         shape_text(s, a->shape), shape_text(t, b->shape));
    return record(g, &cosine, SHAPE(1), a, b, NULL, NULL);
}
