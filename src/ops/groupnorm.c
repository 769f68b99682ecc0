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
 * it is one look for the statistics (groupnorm_statistics.c) and one to write, and the second finds
 * the sample in cache.  The mean is subtracted first: with slope and offset folded further
 * (x slope + offset') a group whose mean is large against its spread would lose its digits.
 *
 * Where memory is fast, one look after the other is slow: the first waits for x, and while the
 * second computes memory has only y to do.  So the second look asks for the x of the sample that
 * its thread will have next, and the first then works in cache.  And y, where it is too large to be
 * found in any cache later, is written past them, or each of its lines would be read before.
 *
 * The side result [N, 4, C] holds mean, rstd, slope and offset of every channel for the backward
 * (groupnorm_backward.c).  op_groupnorm_by is the second look alone, for a picture that is run in
 * parts, each a sample here, whose statistics are the whole's.
 */
#include "ops/groupnorm_parts.h"

#include "base/fetch.h"
#include "base/simd.h"
#include "base/stream.h"
#include "ops/basic.h"
#include "ops/vecmath.h"

#include <inttypes.h>
#include <math.h>

/* One loop for all variants of a kernel: what is constant in a call disappears from it. */
#define INLINE static inline __attribute__((always_inline))

double groupnorm_flops(const struct tensor *y)
{
    return 15 * (double)shape_count(y->shape);
}

/* Floats of a sample that a second-level cache holds beside another's. */
enum { NEXT_MOST = 1 << 18 };

/* From sample n to the one that its thread will most likely have next, in floats; 0: there is none
 * that would wait in the cache. */
static int64_t to_next(const struct tensor *y, int64_t n)
{
    struct row_blocks b = rows_of_samples(y->shape);
    int64_t next = sample_after(b, n);

    return next < 0 || b.rows * b.width > NEXT_MOST ? 0 : (next - n) * b.rows * b.width;
}

/* --- the first look: statistics, folded ------------------------------------------------------- */

static size_t groupnorm_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(rows_of_samples(y->shape), 1) * groupnorm_stats_bytes(y);
}

static void stats_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;

    groupnorm_stats_rows(y, x + at.first * shape_last(y->shape), at.last - at.first, at.index);
}

/* Four numbers for each channel of a group of sample n; film: the sample's, or NULL. */
static void fold_group(const struct tensor *y, int64_t n, int64_t group, double mean,
                       double variance, const float *film)
{
    int64_t C = shape_last(y->shape), width = C / y->arg[GROUPNORM_GROUPS].i;
    const float *weight = y->in[1]->data, *bias = y->in[2]->data;
    float *means = folded_row(y->side, n, MEAN), *rstds = folded_row(y->side, n, RSTD);
    float *slope = folded_row(y->side, n, SLOPE), *offset = folded_row(y->side, n, OFFSET);
    float rstd = (float)(1 / sqrt(variance + y->arg[GROUPNORM_EPS].f));

    for (int64_t c = group * width, end = c + width; c < end; c++) {
        float more = film ? 1 + film[c] : 1, shift = film ? film[C + c] : 0;

        means[c] = (float)mean;
        rstds[c] = rstd;
        slope[c] = rstd * weight[c] * more;
        offset[c] = bias[c] * more + shift;
    }
}

/* Merge the blocks of sample n and fold everything into four numbers a channel. */
static void fold(const struct tensor *y, struct row_blocks b, int64_t n)
{
    const float *film = y->in[3] ? (const float *)y->in[3]->data + n * 2 * b.width : NULL;
    struct group_moments m = groupnorm_gather(y, b, n);
    bool any = m.count > 0;

    for (int64_t g = 0; g < y->arg[GROUPNORM_GROUPS].i; g++)
        fold_group(y, n, g, any ? m.mean[g] : 0, any ? m.m2[g] / m.count : 0, film);
}

/* --- the second look: 8 bytes and ~15 flops an element ---------------------------------------- */

/* Floats of a result that no cache keeps until it is read, and of the longest row of it that is put
 * together in the first-level cache. */
enum { PAST_FROM = 8 << 20, PAST_ROW = 1024 };

/* Whether y is written past the caches.  Where it is x, its lines have been read already. */
static bool goes_past(const struct tensor *y)
{
    int64_t C = shape_last(y->shape);

    return shape_count(y->shape) >= PAST_FROM && C <= PAST_ROW && y->data != y->in[0]->data &&
           stream_possible(y->data, C);
}

/* Rows of y, and what they come from. */
struct apply {
    struct folded by;
    float *out;
    const float *x;        /* may be out                                */
    int64_t rows, C, next; /* next: from x to that of the next sample, or 0 */
    bool past;             /* the caches                                */
};

INLINE void apply_loop(const struct apply *a, bool silu)
{
    const float *mean = a->by.mean, *slope = a->by.slope, *offset = a->by.offset, *x = a->x;
    _Alignas(STREAM_LINE * sizeof(float)) float line[PAST_ROW];
    int64_t C = a->C;
    float *out = a->out;

    for (int64_t r = 0; r < a->rows; r++, x += C, out += C) {
        float *to = a->past ? line : out;

        if (a->next)
            fetch_floats_later(x + a->next, C);
        else
            fetch_floats(x + GROUPNORM_AHEAD, C);
#pragma omp simd
        for (int64_t c = 0; c < C; c++) {
            float v = (x[c] - mean[c]) * slope[c] + offset[c];

            to[c] = silu ? vec_silu(v) : v;
        }
        if (a->past)
            stream_floats(out, line, C);
    }
}

IMGEN_CLONES static void apply_rows(const struct apply *a, bool silu)
{
    if (silu)
        apply_loop(a, true);
    else
        apply_loop(a, false);
}

static void apply_block(const struct tensor *y, struct block at)
{
    int64_t C = shape_last(y->shape);
    const struct apply a = {
        .out = (float *)y->data + at.first * C,
        .x = (const float *)y->in[0]->data + at.first * C,
        .next = to_next(y, at.sample),
        .by = folded_of(y->side, at.sample),
        .rows = at.last - at.first,
        .C = C,
        .past = goes_past(y),
    };

    apply_rows(&a, y->arg[GROUPNORM_SILU].i);
    if (a.past)
        stream_end();
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

/* --- the ops ---------------------------------------------------------------------------------- */

static const struct op groupnorm = {.name = "groupnorm",
                                    .cpu = groupnorm_cpu,
                                    .adjoint = groupnorm_adjoint,
                                    .again = record_again,
                                    .scratch = groupnorm_scratch,
                                    .flops = groupnorm_flops,
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
    y->arg[GROUPNORM_GROUPS].i = groups;
    y->arg[GROUPNORM_SILU].i = silu;
    y->arg[GROUPNORM_EPS].f = eps;
    record_side(g, y, SHAPE(N, FOLDED, C));
    return y;
}

static void groupnorm_by_sample(const struct tensor *y, struct row_blocks b, int64_t n)
{
    int64_t G = y->arg[GROUPNORM_GROUPS].i;
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
    .name = "groupnorm_by", .cpu = groupnorm_by_cpu, .flops = groupnorm_flops, .inplace = 1};

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
    y->arg[GROUPNORM_GROUPS].i = groups;
    y->arg[GROUPNORM_SILU].i = silu;
    y->arg[GROUPNORM_EPS].f = eps;
    record_side(g, y, SHAPE(N, FOLDED, C));
    return y;
}
