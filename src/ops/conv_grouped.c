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
 * dx is the same sum read backwards, by the same loops: only the order of the weights and the table
 * of sources differ (conv_grouped_layout.c).  dW is in conv_grouped_weights.c.
 *
 * Work is cut by shapes alone, and each sum has a fixed order: no number of threads changes a bit,
 * and a sample's result knows nothing of its neighbours.
 */
#include "ops/conv.h"

#include "base/simd.h"
#include "ops/basic.h"
#include "ops/conv_grouped_parts.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <string.h>

static struct grouped product_of(const struct tensor *y, bool back)
{
    const struct tensor *x = back ? y : y->in[0], *out = back ? y->in[0] : y;

    return grouped_of(conv_geometry_of(y, x, y->in[1], out), y->arg[CONV_GROUPS].i, back);
}

/* --- y and dx: a row of pixels, a block of channels ------------------------------------------- */

/* A row of pixels of the result. */
struct row {
    const float *from;  /* the sample's picture that is read                  */
    float *to;          /* pixel 0                                            */
    const int64_t *tap; /* [kh]: the row of `from` that each row of taps reads */
    const int64_t *columns;
    int64_t width, from_width, from_channels, to_channels;
};

/* sum += numbers of x times vectors of w, in CHAINS sums that do not wait for each other. */
LANES_INLINE void add_group(lanes sum[CHAINS], const float *x, const float *w, int64_t span)
{
    int64_t i = 0;

    for (; i + CHAINS <= span; i += CHAINS)
        for (int k = 0; k < CHAINS; k++)
            sum[k] = lanes_mad_scale(sum[k], lanes_at(w + (i + k) * LANES), x[i + k]);
    for (; i < span; i++)
        sum[0] = lanes_mad_scale(sum[0], lanes_at(w + i * LANES), x[i]);
}

LANES_INLINE void add_depthwise(lanes *sum, const float *x, const float *w, int64_t count)
{
    *sum = lanes_mad(*sum, lanes_load(x, count, 0), lanes_at(w));
}

/* Of a block, whose form and width are constants where this is inlined. */
LANES_INLINE void block_of(const struct grouped *p, const struct row *r, int64_t first,
                           const float *w, const float *bias, bool depthwise, int64_t count)
{
    const float *from = r->from + block_source(p, first);
    int64_t kw = p->s.kw;
    lanes start = bias ? lanes_load(bias + first, count, 0) : lanes_of(0);

    for (int64_t v = 0; v < r->width; v++) {
        lanes sum[CHAINS] = {start, lanes_of(0), lanes_of(0), lanes_of(0)};

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
        sum[0] = lanes_add(sum[0], lanes_add(lanes_add(sum[1], sum[2]), sum[3]));
        lanes_store(r->to + v * r->to_channels + first, sum[0], count);
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
    struct prepared ready = grouped_prepared_in(y->scratch, &p);
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

    grouped_prepare(y->scratch, &p, y->in[1]->data);
    each_block(y, rows_of_pixels(y), forward_rows);
}

static size_t grouped_scratch(const struct tensor *y, int threads)
{
    struct grouped p = product_of(y, false);

    (void)threads;
    return grouped_prepared_bytes(&p);
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

    grouped_prepare(y->scratch, &p, y->in[1]->data);
    each_block(y, rows_of_pixels(y), dx_rows);
}

static size_t grouped_dx_scratch(const struct tensor *y, int threads)
{
    struct grouped p = product_of(y, true);

    (void)threads;
    return grouped_prepared_bytes(&p);
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

/* --- the op ----------------------------------------------------------------------------------- */

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
