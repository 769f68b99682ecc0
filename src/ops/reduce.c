/*
 * reduce.c - sums over all elements, over rows, and over the rows of each sample
 *
 * A sum has one order: inside a fixed block of rows, then over the blocks (ops/rows.h), so its bits
 * do not depend on the threads.  Sums to one number (losses) are taken in double, since 10^7 terms
 * in float32 would lose three digits; sums over rows (gradients of biases and gates) stay in
 * float32, where a block is short and the blocks are few.
 *
 * The adjoint of a sum hands the same gradient to everyone: the spread ops below.
 */
#include "ops/basic.h"

#include "base/simd.h"
#include "ops/rows.h"

#include <string.h>

enum { DOUBLES = 8 };

static double input_flops(const struct tensor *y)
{
    return (double)shape_count(y->in[0]->shape);
}

/* --- one number from all elements ------------------------------------------------------------- */

static size_t doubles_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(elements_of(y->in[0]->shape), 1) * sizeof(double);
}

/* The blocks' partial sums in y->scratch, added in order. */
static double doubles_total(const struct tensor *y)
{
    const double *partial = y->scratch;
    int64_t blocks = partial_count(elements_of(y->in[0]->shape), 1);
    double sum = 0;

    for (int64_t i = 0; i < blocks; i++)
        sum += partial[i];
    return sum;
}

static double doubles_fold(const double sum[DOUBLES])
{
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

IMGEN_CLONES static void sum_block(const struct tensor *y, struct block at)
{
    const float *x = (const float *)y->in[0]->data + at.first;
    int64_t n = at.last - at.first, i = 0;
    double sum[DOUBLES] = {0};

    for (; i + DOUBLES <= n; i += DOUBLES)
        for (int l = 0; l < DOUBLES; l++)
            sum[l] += (double)x[i + l];
    for (int l = 0; i + l < n; l++)
        sum[l] += (double)x[i + l];
    ((double *)y->scratch)[at.index] = doubles_fold(sum);
}

static void sum_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->in[0]->shape), sum_block);
    ((float *)y->data)[0] = (float)doubles_total(y);
}

IMGEN_CLONES static void spread_block(const struct tensor *y, struct block at)
{
    float value = ((const float *)y->in[0]->data)[0], *out = y->data;

    for (int64_t i = at.first; i < at.last; i++)
        out[i] = value;
}

static void spread_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), spread_block);
}

static const struct op spread = {.name = "spread", .cpu = spread_cpu};

static void sum_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record(g, &spread, y->in[0]->shape, y->grad, NULL, NULL, NULL));
}

static const struct op sum_all = {.name = "sum",
                                  .cpu = sum_cpu,
                                  .adjoint = sum_adjoint,
                                  .scratch = doubles_scratch,
                                  .flops = input_flops};

struct tensor *op_sum(struct graph *g, struct tensor *x)
{
    return record(g, &sum_all, SHAPE(1), x, NULL, NULL, NULL);
}

/* --- the mean squared difference -------------------------------------------------------------- */

IMGEN_CLONES static void mse_block(const struct tensor *y, struct block at)
{
    const float *a = (const float *)y->in[0]->data + at.first;
    const float *b = (const float *)y->in[1]->data + at.first;
    int64_t n = at.last - at.first, i = 0;
    double sum[DOUBLES] = {0};

    for (; i + DOUBLES <= n; i += DOUBLES)
        for (int l = 0; l < DOUBLES; l++) {
            double d = (double)a[i + l] - (double)b[i + l];

            sum[l] += d * d;
        }
    for (int l = 0; i + l < n; l++) {
        double d = (double)a[i + l] - (double)b[i + l];

        sum[l] += d * d;
    }
    ((double *)y->scratch)[at.index] = doubles_fold(sum);
}

/* The mean over no elements is taken as 0. */
static void mse_cpu(const struct tensor *y)
{
    int64_t n = shape_count(y->in[0]->shape);

    each_block(y, elements_of(y->in[0]->shape), mse_block);
    ((float *)y->data)[0] = n ? (float)(doubles_total(y) / (double)n) : 0;
}

/* scale (a - b) dy, with scale 2 / n for a and -2 / n for b. */
IMGEN_CLONES static void mse_dx_block(const struct tensor *y, struct block at)
{
    const float *a = y->in[0]->data, *b = y->in[1]->data;
    float scale = (float)(y->arg[0].f * (double)((const float *)y->in[2]->data)[0]);
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = (a[i] - b[i]) * scale;
}

static void mse_dx_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), mse_dx_block);
}

static const struct op mse_dx = {.name = "mse_dx", .cpu = mse_dx_cpu, .inplace = 3};

static void mse_adjoint(struct graph *g, struct tensor *y)
{
    double scale = 2 / (double)shape_count(y->in[0]->shape);

    for (int k = 0; k < 2; k++) {
        struct tensor *dx;

        if (!y->in[k]->wants_grad)
            continue;
        dx = record(g, &mse_dx, y->in[0]->shape, y->in[0], y->in[1], y->grad, NULL);
        dx->arg[0].f = k ? -scale : scale;
        grad_add(g, y->in[k], dx);
    }
}

static const struct op mse = {.name = "mse",
                              .cpu = mse_cpu,
                              .adjoint = mse_adjoint,
                              .scratch = doubles_scratch,
                              .flops = input_flops};

struct tensor *op_mse(struct graph *g, struct tensor *a, struct tensor *b)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(shape_equal(a->shape, b->shape), "mse: %s and %s differ", shape_text(s, a->shape),
         shape_text(t, b->shape));
    return record(g, &mse, SHAPE(1), a, b, NULL, NULL);
}

/* --- one row from many: 4 bytes and 1 flop an element ----------------------------------------- */

/* in[0] cut into the samples of y: one for op_sum_rows ([D]), N for op_sum_inner ([N, D]). */
static struct row_blocks rows_summed(const struct tensor *y)
{
    struct shape s = y->in[0]->shape;

    return y->arg[0].i ? rows_of_samples(s) : rows_of(s);
}

static size_t rows_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(rows_summed(y), shape_last(y->shape)) * sizeof(float);
}

IMGEN_CLONES static void sum_rows_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *restrict x = y->in[0]->data;
    float *restrict sum_row = (float *)y->scratch + at.index * D;

    memset(sum_row, 0, (size_t)D * sizeof(float));
    for (int64_t r = at.first; r < at.last; r++)
        for (int64_t d = 0; d < D; d++)
            sum_row[d] += x[r * D + d];
}

static void sum_rows_cpu(const struct tensor *y)
{
    struct row_blocks b = rows_summed(y);

    each_block(y, b, sum_rows_block);
    partial_total(y->data, y->scratch, b, b.width);
}

/* Rows of y: in[0] has one for each sample. */
static void spread_rows_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *row = (const float *)y->in[0]->data + at.sample * D;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        memcpy(out + r * D, row, (size_t)D * sizeof(float));
}

static void spread_rows_cpu(const struct tensor *y)
{
    bool inner = y->arg[0].i;

    each_block(y, inner ? rows_of_samples(y->shape) : rows_of(y->shape), spread_rows_block);
}

static const struct op spread_rows = {.name = "spread_rows", .cpu = spread_rows_cpu};

static void sum_rows_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dx = record(g, &spread_rows, y->in[0]->shape, y->grad, NULL, NULL, NULL);

    dx->arg[0] = y->arg[0];
    grad_add(g, y->in[0], dx);
}

static const struct op sum_rows = {.name = "sum_rows",
                                   .cpu = sum_rows_cpu,
                                   .adjoint = sum_rows_adjoint,
                                   .scratch = rows_scratch,
                                   .flops = input_flops};

struct tensor *op_sum_rows(struct graph *g, struct tensor *x)
{
    return record(g, &sum_rows, SHAPE(shape_last(x->shape)), x, NULL, NULL, NULL);
}

struct tensor *op_sum_inner(struct graph *g, struct tensor *x)
{
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(x->shape.rank >= 2, "sum_inner: %s has no samples", shape_text(s, x->shape));
    y = record(g, &sum_rows, SHAPE(x->shape.dim[0], shape_last(x->shape)), x, NULL, NULL, NULL);
    y->arg[0].i = 1;
    return y;
}
