/*
 * layernorm.c - layer norm over channels, with an affine map or a modulation fused
 *
 * Ba, Kiros and Hinton 2016.  A row (a few KiB) is read once from memory and then three times from
 * the first-level cache: for its mean, for its variance around that mean, and to be written out.
 * The variance as E[x^2] - E[x]^2 would save the second look and lose all digits where the mean is
 * large.
 *
 * Weight and bias, or 1 + scale and shift of adaptive layer norm (Peebles and Xie 2023), are the
 * same thing to a row: a gain and an offset a channel.  They are laid out once (per tensor or per
 * sample) and one kernel serves both ops and every missing operand:
 *
 *     y = (x - mean) rstd gain + offset
 *
 * The backward uses mean, rstd and the gain from the forward's side result.  With h = dy gain and
 * z = (x - mean) rstd,
 *
 *     dx = rstd (h - mean(h) - z mean(h z)),   dgain = sum dy z,   doffset = sum dy,
 *
 * and the two sums over rows are taken in the same pass, by fixed blocks (ops/rows.h).  A residual
 * branch begins with a norm, so x mostly has a gradient already, from the connection around the
 * branch: it is added in the same pass too.
 */
#include "ops/norm.h"

#include "base/simd.h"
#include "ops/basic.h"
#include "ops/lanes.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

/* args of all ops here */
enum { EPS, MODULATED };

static double ten_flops(const struct tensor *y)
{
    return 10 * (double)shape_count(y->shape);
}

/* One sample holds all rows where gain and offset are the same for all. */
static struct row_blocks rows_alike(const struct tensor *y)
{
    return y->arg[MODULATED].i ? rows_of_samples(y->shape) : rows_of(y->shape);
}

/* gain[i] = base[i] + plus, or 1 where there is no base. */
static void lay_gain(float *restrict gain, const struct tensor *base, float plus, int64_t n)
{
    const float *restrict values = base ? base->data : NULL;

    for (int64_t i = 0; i < n; i++)
        gain[i] = values ? values[i] + plus : 1;
}

static void lay_offset(float *restrict offset, const struct tensor *base, int64_t n)
{
    const float *restrict values = base ? base->data : NULL;

    for (int64_t i = 0; i < n; i++)
        offset[i] = values ? values[i] : 0;
}

/* --- forward: 8 bytes and ~10 flops an element ------------------------------------------------ */

/* The side result: mean and rstd [rows, 2], then gain [samples, D]. */
static float *gain_of(const struct tensor *side, int64_t rows)
{
    return (float *)side->data + 2 * rows;
}

/* y->scratch: offset [samples, D]. */
static size_t norm_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)(rows_alike(y).samples * shape_last(y->shape)) * sizeof(float);
}

IMGEN_CLONES static void norm_row(float *out, float stats[2], const float *x, const float *gain,
                                  const float *offset, int64_t D, float eps)
{
    float mean = row_sum(x, D) / (float)D;
    float variance = row_square_sum(x, mean, D) / (float)D;
    float rstd = 1.0f / sqrtf(variance + eps);

#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        out[d] = (x[d] - mean) * (rstd * gain[d]) + offset[d];
    stats[0] = mean;
    stats[1] = rstd;
}

static void norm_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *gain = gain_of(y->side, shape_rows(y->shape)) + at.sample * D;
    const float *offset = (const float *)y->scratch + at.sample * D, *x = y->in[0]->data;
    float *out = y->data, *stats = y->side->data, eps = (float)y->arg[EPS].f;

    for (int64_t r = at.first; r < at.last; r++)
        norm_row(out + r * D, stats + 2 * r, x + r * D, gain, offset, D, eps);
}

/* in: x, weight or scale, bias or shift */
static void norm_cpu(const struct tensor *y)
{
    struct row_blocks b = rows_alike(y);
    int64_t n = b.samples * b.width;

    lay_gain(gain_of(y->side, shape_rows(y->shape)), y->in[1], y->arg[MODULATED].i ? 1 : 0, n);
    lay_offset(y->scratch, y->in[2], n);
    each_block(y, b, norm_block);
}

/* --- backward: 12 bytes and ~16 flops an element ---------------------------------------------- */

/* y->scratch: a partial sum [2, D] (offset, gain) for each block. */
static size_t norm_dx_scratch(const struct tensor *y, int threads)
{
    struct row_blocks b = rows_alike(y);

    (void)threads;
    return (size_t)partial_count(b, 2 * b.width) * sizeof(float);
}

struct means {
    float h, hz; /* of h and of h z over a row */
};

/* Means of one row, adding the row to the sums over rows on the way. */
LANES_INLINE struct means norm_dx_sums(float *doffset, float *dgain, const float *x,
                                       const float *dy, const float *gain, int64_t D, float mean,
                                       float rstd)
{
    lanes h = lanes_of(0), hz = lanes_of(0);

    for (int64_t i = 0; i < D; i += LANES) {
        lanes z = lanes_sub(lanes_load(x + i, D - i, mean), lanes_of(mean));
        lanes slope = lanes_load(dy + i, D - i, 0);
        lanes k = lanes_mul(lanes_load(gain + i, D - i, 0), slope);

        z = lanes_scale(z, rstd);
        lanes_store(doffset + i, lanes_add(lanes_load(doffset + i, D - i, 0), slope), D - i);
        lanes_store(dgain + i, lanes_mad(lanes_load(dgain + i, D - i, 0), slope, z), D - i);
        h = lanes_add(h, k);
        hz = lanes_mad(hz, k, z);
    }
    return (struct means){lanes_fold(h) / (float)D, lanes_fold(hz) / (float)D};
}

/* so_far: what dx is added to, or NULL. */
IMGEN_CLONES static void norm_dx_row(float *dx, float *doffset, float *dgain, const float stats[2],
                                     const float *x, const float *dy, const float *gain,
                                     const float *so_far, int64_t D)
{
    float mean = stats[0], rstd = stats[1];
    struct means m = norm_dx_sums(doffset, dgain, x, dy, gain, D, mean, rstd);

    if (so_far) {
#pragma omp simd
        for (int64_t d = 0; d < D; d++) {
            float z = (x[d] - mean) * rstd, back = z * m.hz + m.h;

            dx[d] = rstd * (dy[d] * gain[d] - back) + so_far[d];
        }
    } else {
#pragma omp simd
        for (int64_t d = 0; d < D; d++) {
            float z = (x[d] - mean) * rstd, back = z * m.hz + m.h;

            dx[d] = rstd * (dy[d] * gain[d] - back);
        }
    }
}

static void norm_dx_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *x = y->in[0]->data, *dy = y->in[1]->data, *stats = y->in[2]->data;
    const float *gain = gain_of(y->in[2], shape_rows(y->shape)) + at.sample * D;
    const float *so_far = y->in[3] ? y->in[3]->data : NULL;
    float *partial = (float *)y->scratch + at.index * 2 * D, *dx = y->data;

    memset(partial, 0, 2 * (size_t)D * sizeof(float));
    for (int64_t r = at.first; r < at.last; r++)
        norm_dx_row(dx + r * D, partial, partial + D, stats + 2 * r, x + r * D, dy + r * D, gain,
                    so_far ? so_far + r * D : NULL, D);
}

/* in: x, dy, the side result, x's gradient so far or NULL; side: [samples, 2 D], offset, gain. */
static void norm_dx_cpu(const struct tensor *y)
{
    struct row_blocks b = rows_alike(y);

    each_block(y, b, norm_dx_block);
    partial_total(y->side->data, y->scratch, b, 2 * b.width);
}

static const struct op layernorm_dx = {.name = "layernorm_dx",
                                       .cpu = norm_dx_cpu,
                                       .scratch = norm_dx_scratch,
                                       .flops = ten_flops,
                                       .inplace = 1 | 2 | 8};

static void norm_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *gain = y->in[1], *offset = y->in[2], *dx, *sums;
    int64_t D = shape_last(x->shape);

    dx = record(g, &layernorm_dx, x->shape, x, y->grad, y->side, grad_so_far(x));
    dx->arg[EPS] = y->arg[EPS];
    dx->arg[MODULATED] = y->arg[MODULATED];
    sums = record_side(g, dx, y->arg[MODULATED].i ? SHAPE(x->shape.dim[0], 2 * D) : SHAPE(2 * D));
    grad_replace(x, dx);
    if (offset && offset->wants_grad)
        grad_add(g, offset, op_slice(g, sums, 0, D));
    if (gain && gain->wants_grad)
        grad_add(g, gain, op_slice(g, sums, D, D));
}

/* --- the two ops ------------------------------------------------------------------------------ */

static const struct op layernorm = {.name = "layernorm",
                                    .cpu = norm_cpu,
                                    .adjoint = norm_adjoint,
                                    .again = record_again,
                                    .scratch = norm_scratch,
                                    .flops = ten_flops,
                                    .inplace = 1};

static struct tensor *record_norm(struct graph *g, struct tensor *x, struct tensor *gain,
                                  struct tensor *offset, double eps, bool modulated)
{
    struct shape like =
        modulated ? SHAPE(x->shape.dim[0], shape_last(x->shape)) : SHAPE(shape_last(x->shape));
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *y;

    MUST(!gain || shape_equal(gain->shape, like), "layernorm: a gain %s for %s",
         shape_text(s, gain->shape), shape_text(t, x->shape));
    MUST(!offset || shape_equal(offset->shape, like), "layernorm: an offset %s for %s",
         shape_text(s, offset->shape), shape_text(t, x->shape));
    y = record(g, &layernorm, x->shape, x, gain, offset, NULL);
    y->arg[EPS].f = eps;
    y->arg[MODULATED].i = modulated;
    record_side(g, y,
                SHAPE(2 * shape_rows(x->shape) + rows_alike(y).samples * shape_last(x->shape)));
    return y;
}

struct tensor *op_layernorm(struct graph *g, struct tensor *x, struct tensor *weight,
                            struct tensor *bias, double eps)
{
    return record_norm(g, x, weight, bias, eps, false);
}

struct tensor *op_layernorm_modulate(struct graph *g, struct tensor *x, struct tensor *shift,
                                     struct tensor *scale, double eps)
{
    char s[SHAPE_TEXT];

    MUST(x->shape.rank >= 2, "layernorm_modulate: %s has no samples", shape_text(s, x->shape));
    return record_norm(g, x, scale, shift, eps, true);
}
