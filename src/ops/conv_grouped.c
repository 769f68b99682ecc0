/*
 * conv_grouped.c - convolution in groups of channels that see nothing of each other
 *
 *     y [n, u, v, o] = b [o] + sum over ky, kx, i of  w [o, ky, kx, i]
 *                      x [n, u stride + ky - top, v stride + kx - left, o / O' I' + i]
 *
 * with I' = I / groups channels read and O' = O / groups written by a group.  One channel a group
 * each way is a depthwise convolution (Chollet 2017, "Xception"), a few are ResNeXt's (Xie et al.
 * 2017).
 *
 * Groups are narrow: as matrix products they would be many small ones whose packing costs more than
 * they do, and a library call for each cannot fill its vectors.  So this is the sum itself, sixteen
 * channels at a time.  The sixteen are neighbours in memory in either case, but what they are
 * multiplied with differs:
 *
 *     depthwise         sixteen groups with a channel of x each    a vector of x, a vector of w
 *     wide groups       sixteen outputs of one group               a number of x, a vector of w
 *     narrow groups     sixteen outputs of several groups          the same, with zeros in w
 *
 * Narrow groups read the channels of all groups that a block touches.  The zeros cost nothing,
 * since lanes would be left empty otherwise.  (A number that is not finite spreads over them; the
 * step that has one has failed anyway.)
 *
 * dx is the same sum read backwards: pixel h of x gets from output u where u stride + k - top = h,
 * so a tap whose quotient is not whole gives nothing.  Which source pixel each tap has is a matter
 * of rows and columns apart, and stands in two tables that are made once a run.  dW keeps a vector
 * of dy a tap and channel in the same layout; samples are cut into at most SHARES, whose sums are
 * added in order.
 *
 * Work is cut by shapes alone, and each sum has a fixed order: no number of threads
 * changes a bit, and a sample's result knows nothing of its neighbours.
 */
#include "ops/conv.h"

#include "base/simd.h"
#include "base/whole.h"
#include "ops/basic.h"
#include "ops/conv_parts.h"
#include "ops/lanes.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <string.h>

enum { CONV_GROUPS = CONV_LEFT + 1, SHARES = 8 };

/* One of the two products with weights: pictures `from`, channels [groups, read], to pictures `to`,
 * channels [groups, written]. */
struct grouped {
    struct dnn_conv s; /* the forward convolution; s.I and s.O count the channels of all groups */
    bool back;         /* dy to dx                                                         */
    bool depthwise;
    int64_t groups, read, written, taps;
    int64_t blocks, per_group; /* of LANES written channels; of one group, 0: of any that follow */
    int64_t span; /* channels that a block reads, from block_source on                   */
};

/* The most groups that a block of narrow ones touches. */
static int64_t groups_touched(int64_t groups, int64_t written)
{
    int64_t most = 0;

    for (int64_t first = 0; first < groups * written; first += LANES) {
        int64_t last = whole_min(first + LANES, groups * written) - 1;
        int64_t touched = last / written - first / written + 1;

        most = touched > most ? touched : most;
    }
    return most;
}

static struct grouped grouped_of(struct dnn_conv s, int64_t groups, bool back)
{
    struct grouped p = {
        .s = s,
        .back = back,
        .groups = groups,
        .read = (back ? s.O : s.I) / groups,
        .written = (back ? s.I : s.O) / groups,
        .taps = s.kh * s.kw,
    };

    p.depthwise = p.read == 1 && p.written == 1;
    p.per_group = p.written < LANES ? 0 : whole_parts(p.written, LANES);
    p.blocks = p.per_group ? groups * p.per_group : whole_parts(groups * p.written, LANES);
    p.span = p.depthwise ? 1 : p.per_group ? p.read : groups_touched(groups, p.written) * p.read;
    return p;
}

static struct grouped product_of(const struct tensor *y, bool back)
{
    const struct tensor *x = back ? y : y->in[0], *out = back ? y->in[0] : y;

    return grouped_of(conv_geometry_of(y, x, y->in[1], out), y->arg[CONV_GROUPS].i, back);
}

/* The first channel that a block writes, of all; *count: how many. */
static int64_t block_channels(const struct grouped *p, int64_t block, int64_t *count)
{
    int64_t within = p->per_group ? block % p->per_group * LANES : 0;
    int64_t first = p->per_group ? block / p->per_group * p->written + within : block * LANES;

    *count = whole_min(LANES, p->per_group ? p->written - within : p->groups * p->written - first);
    return first;
}

/* The first of the `span` channels that it reads: the last blocks, too, read no more than there
 * are. */
static int64_t block_source(const struct grouped *p, int64_t first)
{
    if (p->depthwise)
        return first;
    return whole_min(first / p->written * p->read, p->groups * p->read - p->span);
}

/* --- weights as [blocks, taps, span, LANES], zero where there is none ---------------------------
 */

static int64_t packed_count(const struct grouped *p)
{
    return p->blocks * p->taps * p->span * LANES;
}

/* Where the weight that takes channel i of those a block reads to channel c of all that are written
 * lies, for tap 0; -1: they are of two groups. */
static int64_t weight_at(const struct grouped *p, int64_t c, int64_t i)
{
    int64_t group = c / p->written, mine = c % p->written, step = p->s.I / p->groups;

    i -= group * p->read;
    if (i < 0 || i >= p->read)
        return -1;
    return p->back ? (group * p->read + i) * p->taps * step + mine : c * p->taps * step + i;
}

static void pack_block(float *out, const struct grouped *p, const float *w, int64_t block)
{
    int64_t count, first = block_channels(p, block, &count), step = p->s.I / p->groups;

    memset(out, 0, (size_t)(p->taps * p->span * LANES) * sizeof *out);
    for (int64_t l = 0; l < count; l++)
        for (int64_t i = 0; i < p->span; i++) {
            int64_t source = p->depthwise ? first + l : block_source(p, first) + i;
            int64_t at = weight_at(p, first + l, source);

            for (int64_t tap = 0; tap < p->taps && at >= 0; tap++)
                out[(tap * p->span + i) * LANES + l] = w[at + tap * step];
        }
}

/* --- sources: for each pixel along one side and each tap, the pixel it reads, or -1 --------------
 */

static void sources_fill(int64_t *out, int64_t written, int64_t read, int64_t k, int64_t stride,
                         int64_t before, bool back)
{
    for (int64_t at = 0; at < written; at++)
        for (int64_t tap = 0; tap < k; tap++) {
            int64_t up = at + before - tap, from = back ? up / stride : at * stride + tap - before;
            bool whole = !back || (up >= 0 && up % stride == 0);

            out[at * k + tap] = whole && from >= 0 && from < read ? from : -1;
        }
}

/* What a run keeps in scratch. */
struct prepared {
    float *packed;
    int64_t *rows, *columns; /* [height, kh], [width, kw] of the picture that is written */
};

static struct prepared prepared_in(void *scratch, const struct grouped *p)
{
    struct prepared s = {.packed = scratch};

    s.rows = (int64_t *)(void *)(s.packed + packed_count(p));
    s.columns = s.rows + (p->back ? p->s.H : p->s.OH) * p->s.kh;
    return s;
}

static size_t prepared_bytes(const struct grouped *p)
{
    int64_t rows = (p->back ? p->s.H : p->s.OH) * p->s.kh;
    int64_t columns = (p->back ? p->s.W : p->s.OW) * p->s.kw;

    return (size_t)packed_count(p) * sizeof(float) + (size_t)(rows + columns) * sizeof(int64_t);
}

static void prepare(const struct tensor *y, const struct grouped *p)
{
    const struct dnn_conv *s = &p->s;
    struct prepared to = prepared_in(y->scratch, p);

    for (int64_t b = 0; b < p->blocks; b++)
        pack_block(to.packed + b * p->taps * p->span * LANES, p, y->in[1]->data, b);
    if (p->back) {
        sources_fill(to.rows, s->H, s->OH, s->kh, s->stride, s->top, true);
        sources_fill(to.columns, s->W, s->OW, s->kw, s->stride, s->left, true);
    } else {
        sources_fill(to.rows, s->OH, s->H, s->kh, s->stride, s->top, false);
        sources_fill(to.columns, s->OW, s->W, s->kw, s->stride, s->left, false);
    }
}

/* --- y and dx: a row of pixels, a block of channels ---------------------------------------------
 */

/* A row of pixels of the result. */
struct row {
    const float *from;  /* the sample's picture that is read                  */
    float *to;          /* pixel 0                                            */
    const int64_t *tap; /* [kh]: the row of `from` that each row of taps reads */
    const int64_t *columns;
    int64_t width, from_width, from_channels, to_channels;
};

enum { CHAINS = 4 };

/* sum += numbers of x times vectors of w, in CHAINS sums that do not wait for each other. */
LANES_INLINE void add_group(lanes sum[CHAINS], const float *x, const float *w, int64_t span)
{
    int64_t i = 0;
    lanes v;

    for (; i + CHAINS <= span; i += CHAINS)
        for (int k = 0; k < CHAINS; k++) {
            memcpy(&v, w + (i + k) * LANES, sizeof v);
            sum[k] += x[i + k] * v;
        }
    for (; i < span; i++) {
        memcpy(&v, w + i * LANES, sizeof v);
        sum[0] += x[i] * v;
    }
}

LANES_INLINE void add_depthwise(lanes *sum, const float *x, const float *w, int64_t count)
{
    lanes v, u;

    lanes_load(&v, x, count, 0);
    memcpy(&u, w, sizeof u);
    *sum += v * u;
}

/* Of a block, whose form and width are constants where this is inlined. */
LANES_INLINE void block_of(const struct grouped *p, const struct row *r, int64_t first,
                           const float *w, const float *bias, bool depthwise, int64_t count)
{
    const float *from = r->from + block_source(p, first);
    int64_t kw = p->s.kw;
    lanes start = {0};

    if (bias)
        lanes_load(&start, bias + first, count, 0);
    for (int64_t v = 0; v < r->width; v++) {
        lanes sum[CHAINS] = {start};

        for (int64_t ky = 0; ky < p->s.kh; ky++)
            for (int64_t kx = 0; kx < kw; kx++) {
                int64_t u = r->tap[ky], at = r->columns[v * kw + kx];
                const float *taps = w + (ky * kw + kx) * p->span * LANES;
                const float *x = from;

                if (u < 0 || at < 0)
                    continue;
                x += (u * r->from_width + at) * r->from_channels;
                if (depthwise)
                    add_depthwise(sum, x, taps, count);
                else
                    add_group(sum, x, taps, p->span);
            }
        sum[0] += (sum[1] + sum[2]) + sum[3];
        lanes_store(r->to + v * r->to_channels + first, sum, count);
    }
}

IMGEN_CLONES static void row_block(const struct grouped *p, const struct row *r, int64_t block,
                                   const float *packed, const float *bias)
{
    int64_t count, first = block_channels(p, block, &count);
    const float *w = packed + block * p->taps * p->span * LANES;

    if (p->depthwise && count == LANES)
        block_of(p, r, first, w, bias, true, LANES);
    else if (p->depthwise)
        block_of(p, r, first, w, bias, true, count);
    else if (count == LANES)
        block_of(p, r, first, w, bias, false, LANES);
    else
        block_of(p, r, first, w, bias, false, count);
}

static void rows_run(const struct tensor *y, struct block at, bool back)
{
    struct grouped p = product_of(y, back);
    struct prepared ready = prepared_in(y->scratch, &p);
    const struct shape *from = &y->in[0]->shape, *to = &y->shape;
    int64_t picture = from->dim[1] * from->dim[2] * from->dim[3], height = to->dim[1];
    const float *bias = !back && y->in[2] ? y->in[2]->data : NULL;

    for (int64_t k = at.first; k < at.last; k++) {
        struct row r = {
            .from = (const float *)y->in[0]->data + k / height * picture,
            .to = (float *)y->data + k * to->dim[2] * to->dim[3],
            .tap = ready.rows + k % height * p.s.kh,
            .columns = ready.columns,
            .width = to->dim[2],
            .from_width = from->dim[2],
            .from_channels = from->dim[3],
            .to_channels = to->dim[3],
        };

        for (int64_t b = 0; b < p.blocks; b++)
            row_block(&p, &r, b, ready.packed, bias);
    }
}

static struct row_blocks rows_of_pixels(const struct tensor *y)
{
    return row_blocks(1, y->shape.dim[0] * y->shape.dim[1], y->shape.dim[2] * y->shape.dim[3]);
}

static void forward_rows(const struct tensor *y, struct block at)
{
    rows_run(y, at, false);
}

static void grouped_cpu(const struct tensor *y)
{
    struct grouped p = product_of(y, false);

    prepare(y, &p);
    each_block(y, rows_of_pixels(y), forward_rows);
}

static size_t grouped_scratch(const struct tensor *y, int threads)
{
    struct grouped p = product_of(y, false);

    (void)threads;
    return prepared_bytes(&p);
}

/* Each output channel reads the channels of its group alone. */
static double grouped_flops(const struct tensor *y)
{
    struct grouped p = product_of(y, false);

    return conv_flops(&p.s) / (double)p.groups;
}

static void dx_rows(const struct tensor *y, struct block at)
{
    rows_run(y, at, true);
}

static void grouped_dx_cpu(const struct tensor *y)
{
    struct grouped p = product_of(y, true);

    prepare(y, &p);
    each_block(y, rows_of_pixels(y), dx_rows);
}

static size_t grouped_dx_scratch(const struct tensor *y, int threads)
{
    struct grouped p = product_of(y, true);

    (void)threads;
    return prepared_bytes(&p);
}

static double grouped_dx_flops(const struct tensor *y)
{
    struct grouped p = product_of(y, true);

    return conv_flops(&p.s) / (double)p.groups;
}

/* in: dy, w; result dx. */
static const struct op conv_grouped_dx = {
    .name = "conv_grouped_dx",
    .cpu = grouped_dx_cpu,
    .scratch = grouped_dx_scratch,
    .flops = grouped_dx_flops,
};

/* --- dW: for each block of output channels and share of the samples, in double -------------------
 */

/* in: x, dy; result dw. */
static struct grouped product_of_dw(const struct tensor *y)
{
    return grouped_of(conv_geometry_of(y, y->in[0], y, y->in[1]), y->arg[CONV_GROUPS].i, false);
}

static int64_t shares_of(const struct grouped *p)
{
    return whole_min(p->s.N, SHARES);
}

static size_t grouped_dw_scratch(const struct tensor *y, int threads)
{
    struct grouped p = product_of_dw(y);

    (void)threads;
    return (size_t)(shares_of(&p) * packed_count(&p)) * sizeof(double);
}

/* The pixels [*first, last) along one side whose tap k lies on the picture; returns last. */
static int64_t taps_inside(int64_t *first, int64_t out, int64_t in, int64_t k, int64_t stride,
                           int64_t before)
{
    int64_t gap = before - k, last = in + gap;

    *first = gap > 0 ? whole_min(whole_parts(gap, stride), out) : 0;
    return last > 0 ? whole_min(whole_parts(last, stride), out) : 0;
}

/* A row of pixels: x from x on, x_step floats from pixel to pixel, and dy. */
struct row_pair {
    const float *x, *dy;
    int64_t x_step, dy_step, pixels;
};

/* total [n, LANES] += over the pixels, n numbers of x times the vector of dy. */
LANES_INLINE void add_numbers(double *total, const struct row_pair *r, int64_t count, int n)
{
    lanes sum[CHAINS] = {0}, v;
    float row[LANES];

    for (int64_t k = 0; k < r->pixels; k++) {
        lanes_load(&v, r->dy + k * r->dy_step, count, 0);
        for (int i = 0; i < n; i++)
            sum[i] += r->x[k * r->x_step + i] * v;
    }
    for (int i = 0; i < n; i++) {
        memcpy(row, &sum[i], sizeof row);
        for (int l = 0; l < LANES; l++)
            total[i * LANES + l] += (double)row[l];
    }
}

LANES_INLINE void add_vectors(double *total, const struct row_pair *r, int64_t count)
{
    lanes sum = {0}, v, u;
    float row[LANES];

    for (int64_t k = 0; k < r->pixels; k++) {
        lanes_load(&v, r->dy + k * r->dy_step, count, 0);
        lanes_load(&u, r->x + k * r->x_step, count, 0);
        sum += u * v;
    }
    memcpy(row, &sum, sizeof row);
    for (int l = 0; l < LANES; l++)
        total[l] += (double)row[l];
}

LANES_INLINE void add_row(double *total, const struct grouped *p, struct row_pair r, int64_t count)
{
    int64_t i = 0;

    if (p->depthwise) {
        add_vectors(total, &r, count);
        return;
    }
    for (; i + CHAINS <= p->span; i += CHAINS, r.x += CHAINS)
        add_numbers(total + i * LANES, &r, count, CHAINS);
    for (; i < p->span; i++, r.x++)
        add_numbers(total + i * LANES, &r, count, 1);
}

/* Row u of sample n: total [taps, span, LANES] of one block += . */
IMGEN_CLONES static void dw_row(double *total, const struct grouped *p, const float *x,
                                const float *dy, int64_t block, int64_t n, int64_t u)
{
    const struct dnn_conv *s = &p->s;
    int64_t count, first = block_channels(p, block, &count);

    x += n * s->H * s->W * s->I + block_source(p, first);
    dy += (n * s->OH + u) * s->OW * s->O + first;
    for (int64_t ky = 0; ky < s->kh; ky++) {
        int64_t h = u * s->stride + ky - s->top;

        for (int64_t kx = 0; kx < s->kw && h >= 0 && h < s->H; kx++) {
            int64_t v, end = taps_inside(&v, s->OW, s->W, kx, s->stride, s->left);
            const struct row_pair r = {
                .x = x + (h * s->W + v * s->stride + kx - s->left) * s->I,
                .dy = dy + v * s->O,
                .x_step = s->stride * s->I,
                .dy_step = s->O,
                .pixels = end - v,
            };

            if (v < end)
                add_row(total + (ky * s->kw + kx) * p->span * LANES, p, r, count);
        }
    }
}

/* Row k of the work: a share and a block. */
static void dw_block(const struct tensor *y, struct block at)
{
    struct grouped p = product_of_dw(y);
    int64_t shares = shares_of(&p), numbers = p.taps * p.span * LANES;

    for (int64_t k = at.first; k < at.last; k++) {
        int64_t share = k / p.blocks, block = k % p.blocks;
        double *total = (double *)y->scratch + k * numbers;

        memset(total, 0, (size_t)numbers * sizeof *total);
        for (int64_t n = share * p.s.N / shares; n < (share + 1) * p.s.N / shares; n++)
            for (int64_t u = 0; u < p.s.OH; u++)
                dw_row(total, &p, y->in[0]->data, y->in[1]->data, block, n, u);
    }
}

/* The weights of one block's outputs out of its sums, `numbers` a share. */
static void dw_unpack(float *dw, const struct grouped *p, const double *total, int64_t numbers,
                      int64_t block)
{
    int64_t count, first = block_channels(p, block, &count), step = p->s.I / p->groups;

    for (int64_t l = 0; l < count; l++)
        for (int64_t i = 0; i < p->span; i++) {
            int64_t source = p->depthwise ? first + l : block_source(p, first) + i;
            int64_t at = weight_at(p, first + l, source);

            for (int64_t tap = 0; tap < p->taps && at >= 0; tap++) {
                double sum = 0;

                for (int64_t share = 0; share < shares_of(p); share++)
                    sum += total[share * numbers + (tap * p->span + i) * LANES + l];
                dw[at + tap * step] = (float)sum;
            }
        }
}

static void grouped_dw_cpu(const struct tensor *y)
{
    struct grouped p = product_of_dw(y);
    int64_t n = shares_of(&p) * p.blocks, of_block = p.taps * p.span * LANES;
    struct row_blocks each = {.samples = 1,
                              .rows = n,
                              .width = whole_parts(shape_count(y->in[1]->shape), p.blocks),
                              .block = 1,
                              .blocks = n};

    each_block(y, each, dw_block);
    for (int64_t b = 0; b < p.blocks; b++)
        dw_unpack(y->data, &p, (const double *)y->scratch + b * of_block, packed_count(&p), b);
}

static double grouped_dw_flops(const struct tensor *y)
{
    struct grouped p = product_of_dw(y);

    return conv_flops(&p.s) / (double)p.groups;
}

static const struct op conv_grouped_dw = {
    .name = "conv_grouped_dw",
    .cpu = grouped_dw_cpu,
    .scratch = grouped_dw_scratch,
    .flops = grouped_dw_flops,
};

/* --- the op -------------------------------------------------------------------------------------
 */

static void grouped_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *w = y->in[1], *bias = y->in[2], *d;

    if (x->wants_grad) {
        d = record(g, &conv_grouped_dx, x->shape, y->grad, w, NULL, NULL);
        memcpy(d->arg, y->arg, sizeof d->arg);
        grad_add(g, x, d);
    }
    if (w->wants_grad) {
        d = record(g, &conv_grouped_dw, w->shape, x, y->grad, NULL, NULL);
        memcpy(d->arg, y->arg, sizeof d->arg);
        grad_add(g, w, d);
    }
    if (bias && bias->wants_grad)
        grad_add(g, bias, op_sum_rows(g, y->grad));
}

static const struct op conv_grouped = {
    .name = "conv_grouped",
    .cpu = grouped_cpu,
    .adjoint = grouped_adjoint,
    .scratch = grouped_scratch,
    .flops = grouped_flops,
};

struct tensor *op_conv2d_grouped(struct graph *g, struct tensor *x, struct tensor *weight,
                                 struct tensor *bias, struct conv_geometry geometry, int64_t groups)
{
    struct shape xs = x->shape, ws = weight->shape;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct tensor *y;

    MUST(groups > 0 && xs.rank == 4 && ws.rank == 4 && xs.dim[3] == groups * ws.dim[3] &&
             ws.dim[0] % groups == 0,
         "conv2d in %" PRId64 " groups: x %s, weight %s", groups, shape_text(a, xs),
         shape_text(b, ws));
    if (groups == 1)
        return op_conv2d(g, x, weight, bias, geometry);
    MUST(!bias || shape_equal(bias->shape, SHAPE(ws.dim[0])), "conv2d: weight %s, bias %s",
         shape_text(a, ws), shape_text(b, bias->shape));
    y = record(g, &conv_grouped, conv_result_shape(xs, ws, &geometry), x, weight, bias, NULL);
    conv_set_geometry(y, &geometry);
    y->arg[CONV_GROUPS].i = groups;
    return y;
}
