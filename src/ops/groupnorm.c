/*
 * groupnorm.c - group norm with FiLM and SiLU fused
 *
 * Wu and He 2018; FiLM: Perez et al. 2018.  A U-Net meets this chain before every convolution, and
 * as separate ops it would move the picture eight times.  Folded into per-channel numbers of one
 * sample,
 *
 *     y = act( (x - mean) slope + offset ),   slope  = rstd weight (1 + scale)
 *                                             offset = bias (1 + scale) + shift,
 *
 * it is one look for the statistics and one to write, and the second finds the sample in cache. The
 * mean is subtracted first: with slope and offset folded further (x slope + offset') a group whose
 * mean is large against its spread would lose its digits.
 *
 * Statistics.  Channels lie innermost, so a group is a stripe of every row.  A block of rows is
 * summed channel by channel, which vectorises whatever the group's width: d = x - c and d^2 around
 * a provisional centre c, the group's mean in the block's first rows.  c is a value of the group
 * itself and not 0, so sum d^2 - (sum d)^2 / n cancels no digits that the data have, and one look
 * suffices.  Blocks are then merged in order, in double, by the formula of Chan, Golub and LeVeque
 * 1979.
 *
 * The side result [N, 4, C] holds mean, rstd, slope and offset of every channel for the backward:
 * with v the argument of act, A = sum dv, B = sum dv (x - mean) rstd over the rows of a sample,
 *
 *     dx = slope dv - rstd mean_g(k A) - (x - mean) rstd^2 mean_g(k B),    k = weight (1 + scale),
 *
 * mean_g over all elements of the group.  One look sums A and B, leaving dv where dx will be, one
 * writes dx.  Where x has a gradient already, from a connection that passes the norm by, the second
 * look adds it.  dweight, dbias and dfilm are small sums of A and B, [N, 2, C], the backward's side
 * result.
 *
 * A picture too large for one tape is run in parts, each a sample here, whose statistics are the
 * whole's.  op_group_moments is the first look alone, op_groupnorm_by the second alone.
 */
#include "ops/norm.h"

#include "base/fetch.h"
#include "base/simd.h"
#include "ops/basic.h"
#include "ops/rows.h"
#include "ops/vecmath.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* One loop for all variants of a kernel: what is constant in a call disappears from it. */
#define INLINE static inline __attribute__((always_inline))

/* args */
enum { GROUPS, SILU, EPS };

enum { CENTER_ROWS = 4 };

enum { AHEAD = 512 }; /* floats that are asked for ahead of the arithmetic */

/* rows of the side result */
enum { MEAN = NORM_MEAN, RSTD = NORM_RSTD, SLOPE, OFFSET, FOLDED };

static double fifteen_flops(const struct tensor *y)
{
    return 15 * (double)shape_count(y->shape);
}

/* Row `which` of sample n in the folded numbers. */
static float *folded_row(const struct tensor *folded, int64_t n, int which)
{
    return (float *)folded->data + (n * FOLDED + which) * shape_last(folded->shape);
}

/* The three that a row needs. */
struct folded {
    const float *mean, *slope, *offset;
};

static struct folded folded_of(const struct tensor *folded, int64_t n)
{
    return (struct folded){folded_row(folded, n, MEAN), folded_row(folded, n, SLOPE),
                           folded_row(folded, n, OFFSET)};
}

/* --- statistics ------------------------------------------------------------------------------- */

struct moments moments_merge(struct moments a, struct moments b)
{
    double count = a.count + b.count, delta = b.mean - a.mean;

    if (count == 0)
        return a;
    return (struct moments){.count = count,
                            .mean = a.mean + delta * (b.count / count),
                            .m2 = a.m2 + b.m2 + delta * delta * (a.count * b.count / count)};
}

/*
 * Scratch of the forward, for each block of each sample:
 *
 *     struct moments [groups] | float center [C] | float sum [C] | float squares [C]
 */
static size_t stats_bytes(const struct tensor *y)
{
    size_t floats = 3 * (size_t)shape_last(y->in[0]->shape) * sizeof(float);

    floats = (floats + sizeof(double) - 1) / sizeof(double) * sizeof(double);
    return (size_t)y->arg[GROUPS].i * sizeof(struct moments) + floats;
}

static struct moments *block_moments(const struct tensor *y, int64_t block)
{
    return (struct moments *)((char *)y->scratch + (size_t)block * stats_bytes(y));
}

static size_t groupnorm_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(rows_of_samples(y->shape), 1) * stats_bytes(y);
}

/* Sums of d = x - center and of d^2.  Four rows at a time, so that the sums go to memory and back a
 * quarter as often. */
IMGEN_CLONES static void channel_deviations(float *restrict sum, float *restrict squares,
                                            const float *restrict x, const float *restrict center,
                                            int64_t rows, int64_t C)
{
    memset(sum, 0, (size_t)C * sizeof(float));
    memset(squares, 0, (size_t)C * sizeof(float));
    for (; rows >= 4; rows -= 4, x += 4 * C) {
        fetch_floats(x + AHEAD, 4 * C);
        for (int64_t c = 0; c < C; c++) {
            float d0 = x[c] - center[c], d1 = x[C + c] - center[c];
            float d2 = x[2 * C + c] - center[c], d3 = x[3 * C + c] - center[c];
            float upper = d0 * d0, lower = d2 * d2;

            upper = d1 * d1 + upper;
            lower = d3 * d3 + lower;
            sum[c] += (d0 + d1) + (d2 + d3);
            squares[c] += upper + lower;
        }
    }
    for (; rows > 0; rows--, x += C)
        for (int64_t c = 0; c < C; c++) {
            float d = x[c] - center[c];

            sum[c] += d;
            squares[c] += d * d;
        }
}

static double sum_of(const float *x, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum;
}

/* The mean of each group in the first rows of a block, for all its channels. */
static void provisional_center(float *center, const float *x, int64_t rows, int64_t C,
                               int64_t width)
{
    rows = rows < CENTER_ROWS ? rows : CENTER_ROWS;
    for (int64_t first = 0; first < C; first += width) {
        double sum = 0;

        for (int64_t r = 0; r < rows; r++)
            sum += sum_of(x + r * C + first, width);
        for (int64_t c = first; c < first + width; c++)
            center[c] = (float)(sum / (double)(rows * width));
    }
}

/* Of `rows` rows of x, which are block number `block`. */
static void stats_rows(const struct tensor *y, const float *x, int64_t rows, int64_t block)
{
    int64_t C = shape_last(y->in[0]->shape), G = y->arg[GROUPS].i, width = C / G;
    struct moments *m = block_moments(y, block);
    float *center = (float *)(m + G), *sum = center + C, *squares = sum + C;
    double count = (double)(rows * width);

    provisional_center(center, x, rows, C, width);
    channel_deviations(sum, squares, x, center, rows, C);
    for (int64_t g = 0; g < G; g++) {
        double off = sum_of(sum + g * width, width), m2 = sum_of(squares + g * width, width);

        m[g] = (struct moments){.count = count,
                                .mean = (double)center[g * width] + off / count,
                                .m2 = m2 - off * off / count};
    }
}

static void stats_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;

    stats_rows(y, x + at.first * shape_last(y->shape), at.last - at.first, at.index);
}

/* Group `group` over the blocks of sample n. */
static struct moments gathered(const struct tensor *y, struct row_blocks b, int64_t n,
                               int64_t group)
{
    struct moments m = {0};

    for (int64_t i = 0; i < b.blocks; i++)
        m = moments_merge(m, block_moments(y, n * b.blocks + i)[group]);
    return m;
}

/* --- forward: 8 bytes and ~15 flops an element ------------------------------------------------ */

/* Four numbers for each channel of a group of sample n; film: the sample's, or NULL. */
static void fold_group(const struct tensor *y, int64_t n, int64_t group, double mean,
                       double variance, const float *film)
{
    int64_t C = shape_last(y->shape), width = C / y->arg[GROUPS].i;
    const float *weight = y->in[1]->data, *bias = y->in[2]->data;
    float rstd = (float)(1 / sqrt(variance + y->arg[EPS].f));

    for (int64_t c = group * width, end = c + width; c < end; c++) {
        float more = film ? 1 + film[c] : 1, shift = film ? film[C + c] : 0;

        folded_row(y->side, n, MEAN)[c] = (float)mean;
        folded_row(y->side, n, RSTD)[c] = rstd;
        folded_row(y->side, n, SLOPE)[c] = rstd * weight[c] * more;
        folded_row(y->side, n, OFFSET)[c] = bias[c] * more + shift;
    }
}

/* Merge the blocks of sample n and fold everything into four numbers a channel. */
static void fold(const struct tensor *y, struct row_blocks b, int64_t n)
{
    const float *film = y->in[3] ? (const float *)y->in[3]->data + n * 2 * b.width : NULL;

    for (int64_t g = 0; g < y->arg[GROUPS].i; g++) {
        struct moments m = gathered(y, b, n, g);

        fold_group(y, n, g, m.mean, m.count > 0 ? m.m2 / m.count : 0, film);
    }
}

/* Rows of y from rows of x; out may be x. */
INLINE void apply_loop(float *out, const float *x, const struct folded *f, int64_t rows, int64_t C,
                       bool silu)
{
    const float *mean = f->mean, *slope = f->slope, *offset = f->offset;

    for (; rows > 0; rows--, x += C, out += C) {
        fetch_floats(x + AHEAD, C);
#pragma omp simd
        for (int64_t c = 0; c < C; c++) {
            float v = (x[c] - mean[c]) * slope[c] + offset[c];

            out[c] = silu ? vec_silu(v) : v;
        }
    }
}

IMGEN_CLONES static void apply_rows(float *out, const float *x, const struct folded *f,
                                    int64_t rows, int64_t C, bool silu)
{
    if (silu)
        apply_loop(out, x, f, rows, C, true);
    else
        apply_loop(out, x, f, rows, C, false);
}

static void apply_block(const struct tensor *y, struct block at)
{
    const struct folded f = folded_of(y->side, at.sample);
    int64_t C = shape_last(y->shape), rows = at.last - at.first;
    const float *x = (const float *)y->in[0]->data + at.first * C;
    float *out = (float *)y->data + at.first * C;

    apply_rows(out, x, &f, rows, C, y->arg[SILU].i);
}

static void groupnorm_sample(const struct tensor *y, struct row_blocks b, int64_t n)
{
    each_block_of(y, b, n, stats_block);
    fold(y, b, n);
    each_block_of(y, b, n, apply_block);
}

/* in: x, weight, bias, film or NULL */
static void groupnorm_cpu(const struct tensor *y)
{
    each_sample(y, rows_of_samples(y->shape), groupnorm_sample);
}

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
        fetch_floats(x + AHEAD, C);
        fetch_floats(dy + AHEAD, C);
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
    slopes_rows(dv, sum, sum + C, x, dy, &f, rows, C, y->arg[SILU].i);
}

/* A and B of sample n into the side result, and what dx subtracts. */
static void gather(const struct tensor *y, struct row_blocks b, int64_t n)
{
    int64_t C = b.width, G = y->arg[GROUPS].i, width = C / G;
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
        fetch_floats(x + r * C + AHEAD, C);
        fetch_floats(dv + r * C + AHEAD, C);
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
        .dv = y->arg[SILU].i ? dx : (const float *)y->in[1]->data + first,
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
                                       .flops = fifteen_flops,
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

static void groupnorm_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *weight = y->in[1], *bias = y->in[2], *film = y->in[3];
    int64_t N = x->shape.dim[0], C = shape_last(x->shape);
    struct tensor *dx, *AB, *both;

    dx = record(g, &groupnorm_dx, x->shape, x, y->grad, y->side, grad_so_far(x));
    dx->arg[GROUPS] = y->arg[GROUPS];
    dx->arg[SILU] = y->arg[SILU];
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

static const struct op groupnorm = {.name = "groupnorm",
                                    .cpu = groupnorm_cpu,
                                    .adjoint = groupnorm_adjoint,
                                    .again = record_again,
                                    .scratch = groupnorm_scratch,
                                    .flops = fifteen_flops,
                                    .inplace = 1};

struct tensor *op_groupnorm(struct graph *g, struct tensor *x, int64_t groups,
                            struct tensor *weight, struct tensor *bias, struct tensor *film,
                            bool silu, double eps)
{
    int64_t N = x->shape.dim[0], C = shape_last(x->shape);
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *y;

    MUST(x->shape.rank >= 2 && groups > 0 && C % groups == 0, "groupnorm: %s in %" PRId64 " groups",
         shape_text(s, x->shape), groups);
    MUST(shape_equal(weight->shape, SHAPE(C)) && shape_equal(bias->shape, SHAPE(C)),
         "groupnorm: weight %s and bias %s", shape_text(s, weight->shape),
         shape_text(t, bias->shape));
    MUST(!film || shape_equal(film->shape, SHAPE(N, 2 * C)), "groupnorm: film %s for %s",
         shape_text(s, film->shape), shape_text(t, x->shape));
    y = record(g, &groupnorm, x->shape, x, weight, bias, film);
    y->arg[GROUPS].i = groups;
    y->arg[SILU].i = silu;
    y->arg[EPS].f = eps;
    record_side(g, y, SHAPE(N, FOLDED, C));
    return y;
}

/* --- in parts ----------------------------------------------------------------------------------
 */

/* The rows of floats that count. */
struct window {
    int64_t first; /* among the rows of x */
    struct row_blocks cut;
};

static struct window window_of(const struct tensor *y, int64_t first, int64_t last)
{
    const struct shape s = y->in[0]->shape;
    int64_t row = shape_count(s) / (s.dim[1] * shape_last(s));

    return (struct window){first * row, row_blocks(1, (last - first) * row, shape_last(s))};
}

static size_t moments_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(window_of(y, 0, y->in[0]->shape.dim[1]).cut, 1) * stats_bytes(y);
}

static void moments_block(const struct tensor *y, struct block at)
{
    const int32_t *rows = y->in[1]->data;
    const struct window w = window_of(y, rows[0], rows[1]);
    const float *x = y->in[0]->data;

    stats_rows(y, x + (w.first + at.first) * w.cut.width, at.last - at.first, at.index);
}

/* in: x, the window */
static void moments_cpu(const struct tensor *y)
{
    const int32_t *rows = y->in[1]->data;
    const struct window w = window_of(y, rows[0], rows[1]);
    int64_t G = y->arg[GROUPS].i;
    float *mean = y->data, *variance = mean + G;

    each_block(y, w.cut, moments_block);
    for (int64_t g = 0; g < G; g++) {
        struct moments m = gathered(y, w.cut, 0, g);

        mean[g] = (float)m.mean;
        variance[g] = (float)(m.count > 0 ? m.m2 / m.count : 0);
    }
}

static const struct op group_moments = {
    .name = "group_moments", .cpu = moments_cpu, .scratch = moments_scratch};

struct tensor *op_group_moments(struct graph *g, struct tensor *x, int64_t groups,
                                struct tensor *window)
{
    int64_t C = shape_last(x->shape);
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(x->shape.rank >= 3 && x->shape.dim[0] == 1 && groups > 0 && C % groups == 0,
         "moments of %s in %" PRId64 " groups", shape_text(s, x->shape), groups);
    MUST(window->dtype == DTYPE_I32 && shape_count(window->shape) == 2, "a window of rows is %s",
         shape_text(s, window->shape));
    y = record(g, &group_moments, SHAPE(2, groups), x, window, NULL, NULL);
    y->arg[GROUPS].i = groups;
    return y;
}

static void groupnorm_by_sample(const struct tensor *y, struct row_blocks b, int64_t n)
{
    int64_t G = y->arg[GROUPS].i;
    const float *mean = y->in[3]->data, *variance = mean + G;

    for (int64_t g = 0; g < G; g++)
        fold_group(y, n, g, (double)mean[g], (double)variance[g], NULL);
    each_block_of(y, b, n, apply_block);
}

/* in: x, weight, bias, moments */
static void groupnorm_by_cpu(const struct tensor *y)
{
    each_sample(y, rows_of_samples(y->shape), groupnorm_by_sample);
}

static const struct op groupnorm_by = {
    .name = "groupnorm_by", .cpu = groupnorm_by_cpu, .flops = fifteen_flops, .inplace = 1};

struct tensor *op_groupnorm_by(struct graph *g, struct tensor *x, int64_t groups,
                               struct tensor *moments, struct tensor *weight, struct tensor *bias,
                               bool silu, double eps)
{
    int64_t N = x->shape.dim[0], C = shape_last(x->shape);
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *y;

    MUST(x->shape.rank >= 2 && groups > 0 && C % groups == 0 &&
             shape_equal(moments->shape, SHAPE(2, groups)),
         "groupnorm: %s by moments %s", shape_text(s, x->shape), shape_text(t, moments->shape));
    y = record(g, &groupnorm_by, x->shape, x, weight, bias, moments);
    y->arg[GROUPS].i = groups;
    y->arg[SILU].i = silu;
    y->arg[EPS].f = eps;
    record_side(g, y, SHAPE(N, FOLDED, C));
    return y;
}
