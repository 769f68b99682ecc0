/*
 * conv_grouped_weights.c - the gradient of the weights of a convolution in groups
 *
 *     dW [o, ky, kx, i] = sum over n, u, v of  dy [n, u, v, o]
 *                         x [n, u stride + ky - top, v stride + kx - left, o / O' I' + i]
 *
 * A block of sixteen output channels keeps a vector of sums for each tap and channel that it reads,
 * in the places of the packed weights (conv_grouped_layout.c), and a row of pixels adds to it
 * numbers of x times vectors of dy, or vectors of both where every channel is a group.  As a matrix
 * product the same would need x once for every tap, and each product would be a few channels wide.
 *
 * Taps that fall into the padding are left out by their first and last pixel of a row, not pixel by
 * pixel.  A row is summed in float32 and rows in double, since there may be millions of pixels.
 *
 * Blocks and taps alone would leave a narrow layer to one thread, so samples are cut into at most
 * SHARES as well, whose sums are added in order: the cut is by shapes, and no number of threads
 * changes a bit.
 */
#include "ops/conv_grouped_parts.h"

#include "base/simd.h"
#include "ops/rows.h"

#include <string.h>

enum { SHARES = 8 };

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
    return (size_t)(shares_of(&p) * grouped_packed(&p)) * sizeof(double);
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
    lanes sum[CHAINS] = {lanes_of(0), lanes_of(0), lanes_of(0), lanes_of(0)};
    float row[LANES];

    for (int64_t k = 0; k < r->pixels; k++) {
        lanes v = lanes_load(r->dy + k * r->dy_step, count, 0);

        for (int i = 0; i < n; i++)
            sum[i] = lanes_mad_scale(sum[i], v, r->x[k * r->x_step + i]);
    }
    for (int i = 0; i < n; i++) {
        lanes_put(row, sum[i]);
        for (int l = 0; l < LANES; l++)
            total[i * LANES + l] += (double)row[l];
    }
}

LANES_INLINE void add_vectors(double *total, const struct row_pair *r, int64_t count)
{
    lanes sum = lanes_of(0);
    float row[LANES];

    for (int64_t k = 0; k < r->pixels; k++)
        sum = lanes_mad(sum, lanes_load(r->x + k * r->x_step, count, 0),
                        lanes_load(r->dy + k * r->dy_step, count, 0));
    lanes_put(row, sum);
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
            int64_t at = grouped_weight_at(p, first + l, source);

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
        dw_unpack(y->data, &p, (const double *)y->scratch + b * of_block, grouped_packed(&p), b);
}

static double grouped_dw_flops(const struct tensor *y)
{
    struct grouped p = product_of_dw(y);

    return conv_flops(&p.s) / (double)p.groups;
}

const struct op conv_grouped_dw = {
    .name = "conv_grouped_dw",
    .cpu = grouped_dw_cpu,
    .scratch = grouped_dw_scratch,
    .flops = grouped_dw_flops,
};
