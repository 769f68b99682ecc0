/*
 * groupnorm_backward.c - the gradients of group norm, FiLM and SiLU
 *
 * With v the argument of act, A = sum dv, B = sum dv (x - mean) rstd over the rows of a sample,
 *
 *     dx = slope dv - rstd mean_g(k A) - (x - mean) rstd^2 mean_g(k B),    k = weight (1 + scale),
 *
 * mean_g over all elements of the group.  One look sums A and B, leaving dv where dx will be, one
 * writes dx.  Where x has a gradient already, from a connection that passes the norm by, the second
 * look adds it.  dweight, dbias and dfilm are small sums of A and B, [N, 2, C], the side result.
 *
 * v and its sigmoid are computed again from x and the forward's folded numbers: keeping either
 * would cost a tape as large as x, and reading it takes longer.  The first look waits for memory
 * (two arrays read, one written), the second finds the sample in the second-level cache or the
 * third.
 */
#include "ops/groupnorm_parts.h"

#include "base/fetch.h"
#include "base/simd.h"
#include "ops/basic.h"
#include "ops/vecmath.h"

#include <string.h>

/* One loop for all variants of a kernel: what is constant in a call disappears from it. */
#define INLINE static inline __attribute__((always_inline))

/* --- backward: 12 bytes and ~30 flops an element ---------------------------------------------- */

/*
 * Scratch of the backward:
 *
 *     A, B of each block [blocks of all samples, 2, C]
 *     for each sample, two numbers a channel [N, 2, C]: the constant and the factor of x - mean
 * that are subtracted from slope dv
 */
static size_t groupnorm_dx_scratch(const struct tensor *y, int threads)
{
    struct row_blocks b = rows_of_samples(y->shape);

    (void)threads;
    return (size_t)(partial_count(b, 2 * b.width) + b.samples * 2 * b.width) * sizeof(float);
}

static float *subtrahends(const struct tensor *y, struct row_blocks b, int64_t n)
{
    return (float *)y->scratch + partial_count(b, 2 * b.width) + n * 2 * b.width;
}

/* sum += dv, deviation += dv (x - mean), with dv = dy or, left in dv, dy silu'(v). */
INLINE void slopes_loop(float *dv, float *sum, float *deviation, const float *x, const float *dy,
                        const struct folded *f, int64_t rows, int64_t C, bool silu)
{
    const float *mean = f->mean, *slope = f->slope, *offset = f->offset;

    for (; rows > 0; rows--, x += C, dy += C, dv += C) {
        fetch_floats(x + GROUPNORM_AHEAD, C);
        fetch_floats(dy + GROUPNORM_AHEAD, C);
#pragma omp simd
        for (int64_t c = 0; c < C; c++) {
            float d = x[c] - mean[c], v = d * slope[c] + offset[c], back = dy[c];

            if (silu) {
                float s = vec_sigmoid(v);

                back *= s * (v * (1.0f - s) + 1.0f);
                dv[c] = back;
            }
            sum[c] += back;
            deviation[c] += back * d;
        }
    }
}

IMGEN_CLONES static void slopes_rows(float *dv, float *sum, float *deviation, const float *x,
                                     const float *dy, const struct folded *f, int64_t rows,
                                     int64_t C, bool silu)
{
    if (silu)
        slopes_loop(dv, sum, deviation, x, dy, f, rows, C, true);
    else
        slopes_loop(dv, sum, deviation, x, dy, f, rows, C, false);
}

static void slopes_block(const struct tensor *y, struct block at)
{
    const struct folded f = folded_of(y->in[2], at.sample);
    int64_t C = shape_last(y->shape), rows = at.last - at.first;
    const float *x = (const float *)y->in[0]->data + at.first * C;
    const float *dy = (const float *)y->in[1]->data + at.first * C;
    float *dv = (float *)y->data + at.first * C;
    float *sum = (float *)y->scratch + at.index * 2 * C;

    memset(sum, 0, 2 * (size_t)C * sizeof(float));
    slopes_rows(dv, sum, sum + C, x, dy, &f, rows, C, y->arg[GROUPNORM_SILU].i);
}

/* A and B of sample n into the side result, and what dx subtracts. */
static void gather(const struct tensor *y, struct row_blocks b, int64_t n)
{
    int64_t C = b.width, G = y->arg[GROUPNORM_GROUPS].i, width = C / G;
    const float *rstd = folded_row(y->in[2], n, RSTD), *slope = folded_row(y->in[2], n, SLOPE);
    float *A = (float *)y->side->data + n * 2 * C, *B = A + C;
    float *constant = subtrahends(y, b, n), *factor = constant + C;
    struct row_blocks one = b;

    one.samples = 1;
    partial_total(A, (const float *)y->scratch + n * b.blocks * 2 * C, one, 2 * C);
    for (int64_t g = 0; g < G; g++) {
        double a = 0, ab = 0, count = (double)(b.rows * width);

        /* slope is rstd k: the means come out with one rstd on them. */
        for (int64_t c = g * width, end = c + width; c < end; c++) {
            B[c] *= rstd[c];
            a += (double)slope[c] * (double)A[c];
            ab += (double)slope[c] * (double)B[c];
        }
        for (int64_t c = g * width, end = c + width; c < end; c++) {
            constant[c] = (float)(a / count);
            factor[c] = (float)(ab / count * (double)rstd[c]);
        }
    }
}

/* What dx is made of: rows of x, dv and, or NULL, of what the gradient is already. */
struct dx_rows {
    const float *x, *dv, *so_far;
    const float *mean, *slope, *constant, *factor;
};

INLINE void dx_loop(float *dx, const struct dx_rows *of, int64_t rows, int64_t C, bool more)
{
    const float *x = of->x, *dv = of->dv, *so_far = of->so_far;
    const float *mean = of->mean, *slope = of->slope;
    const float *constant = of->constant, *factor = of->factor;

    for (int64_t r = 0; r < rows; r++) {
        fetch_floats(x + r * C + GROUPNORM_AHEAD, C);
        fetch_floats(dv + r * C + GROUPNORM_AHEAD, C);
#pragma omp simd
        for (int64_t c = 0; c < C; c++) {
            int64_t i = r * C + c;
            float less = (x[i] - mean[c]) * factor[c] + constant[c];

            dx[i] = dv[i] * slope[c] + (more ? so_far[i] - less : -less);
        }
    }
}

IMGEN_CLONES static void dx_rows(float *dx, const struct dx_rows *of, int64_t rows, int64_t C)
{
    if (of->so_far)
        dx_loop(dx, of, rows, C, true);
    else
        dx_loop(dx, of, rows, C, false);
}

static void dx_block(const struct tensor *y, struct block at)
{
    const float *less = subtrahends(y, rows_of_samples(y->shape), at.sample);
    int64_t C = shape_last(y->shape), first = at.first * C;
    float *dx = (float *)y->data + first;
    const struct dx_rows of = {
        .x = (const float *)y->in[0]->data + first,
        .dv = y->arg[GROUPNORM_SILU].i ? dx : (const float *)y->in[1]->data + first,
        .so_far = y->in[3] ? (const float *)y->in[3]->data + first : NULL,
        .mean = folded_row(y->in[2], at.sample, MEAN),
        .slope = folded_row(y->in[2], at.sample, SLOPE),
        .constant = less,
        .factor = less + C,
    };

    dx_rows(dx, &of, at.last - at.first, C);
}

static void groupnorm_dx_sample(const struct tensor *y, struct row_blocks b, int64_t n)
{
    each_block_of(y, b, n, slopes_block);
    gather(y, b, n);
    each_block_of(y, b, n, dx_block);
}

/* in: x, dy, the folded numbers, x's gradient so far or NULL; side: A and B */
static void groupnorm_dx_cpu(const struct tensor *y)
{
    each_sample(y, rows_of_samples(y->shape), groupnorm_dx_sample);
}

static const struct op groupnorm_dx = {.name = "groupnorm_dx",
                                       .cpu = groupnorm_dx_cpu,
                                       .scratch = groupnorm_dx_scratch,
                                       .flops = groupnorm_flops,
                                       .inplace = 2};

/* --- gradients of weight, bias and film from A and B ------------------------------------------ */

/* [2 C]: dweight = sum_n (1 + scale) B, then dbias = sum_n (1 + scale) A.  in: AB, film or NULL. */
static void groupnorm_daffine_cpu(const struct tensor *y)
{
    int64_t C = shape_last(y->shape) / 2, N = y->in[0]->shape.dim[0];
    float *restrict dweight = y->data, *restrict dbias = dweight + C;

    memset(y->data, 0, tensor_bytes(y));
    for (int64_t n = 0; n < N; n++) {
        const float *A = (const float *)y->in[0]->data + n * 2 * C, *B = A + C;
        const float *scale = y->in[1] ? (const float *)y->in[1]->data + n * 2 * C : NULL;

        for (int64_t c = 0; c < C; c++) {
            float more = scale ? 1 + scale[c] : 1;

            dweight[c] += more * B[c];
            dbias[c] += more * A[c];
        }
    }
}

static const struct op groupnorm_daffine = {.name = "groupnorm_daffine",
                                            .cpu = groupnorm_daffine_cpu};

/* [N, 2 C]: dscale = weight B + bias A, then dshift = A.  in: AB, weight, bias. */
static void groupnorm_dfilm_cpu(const struct tensor *y)
{
    int64_t C = shape_last(y->shape) / 2;
    const float *weight = y->in[1]->data, *bias = y->in[2]->data;

    for (int64_t n = 0; n < y->shape.dim[0]; n++) {
        const float *A = (const float *)y->in[0]->data + n * 2 * C, *B = A + C;
        float *dscale = (float *)y->data + n * 2 * C, *dshift = dscale + C;

        for (int64_t c = 0; c < C; c++) {
            float from_bias = bias[c] * A[c];

            dscale[c] = weight[c] * B[c] + from_bias;
            dshift[c] = A[c];
        }
    }
}

static const struct op groupnorm_dfilm = {.name = "groupnorm_dfilm", .cpu = groupnorm_dfilm_cpu};

void groupnorm_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *weight = y->in[1], *bias = y->in[2], *film = y->in[3];
    int64_t N = x->shape.dim[0], C = shape_last(x->shape);
    struct tensor *dx, *AB, *both;

    dx = record(g, &groupnorm_dx, x->shape, x, y->grad, y->side, grad_so_far(x));
    dx->arg[GROUPNORM_GROUPS] = y->arg[GROUPNORM_GROUPS];
    dx->arg[GROUPNORM_SILU] = y->arg[GROUPNORM_SILU];
    AB = record_side(g, dx, SHAPE(N, 2, C));
    grad_replace(x, dx);
    if (weight->wants_grad || bias->wants_grad) {
        both = record(g, &groupnorm_daffine, SHAPE(2 * C), AB, film, NULL, NULL);
        grad_add(g, weight, op_slice(g, both, 0, C));
        grad_add(g, bias, op_slice(g, both, C, C));
    }
    if (film && film->wants_grad)
        grad_add(g, film, record(g, &groupnorm_dfilm, film->shape, AB, weight, bias, NULL));
}
