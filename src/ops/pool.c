/*
 * pool.c - what a window sees as it slides over a picture: its largest value, or its mean
 *
 *     max   y [n, u, v, c] = max  of x [n, i, j, c] over the pixels (i, j) that the window covers
 *     mean  y [n, u, v, c] = mean of them, or their sum / size^2 where padding counts as zeros
 *
 *     rows    [u stride - padding, u stride - padding + size), and columns alike
 *     cut to  [0, H) and [0, W)
 *
 * Whether the padding counts in a mean is a matter of definition in which published networks
 * differ, and it changes the values along the edges of every picture: so the caller says.
 *
 * Channels are innermost, so a window is a few runs of C floats that are taken together: no look-up
 * of single pixels, and the loop over channels fills vectors.  Running sums along a row would save
 * additions, and make a pixel's bits depend on where the row began.
 *
 * Windows overlap, so a gradient adds up from several of them.  It is scattered window by window in
 * one order, a picture on one thread: slower than gathering, but each window then finds its largest
 * pixel once, and the sum has one order.  Equal largest pixels (zeros after a rectifier are common)
 * would share: the first takes all, as anywhere else.
 */
#include "ops/pool.h"

#include "base/simd.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Constants of a node. */
enum { POOL_SIZE, POOL_STRIDE, POOL_PADDING, POOL_COUNT };

/* The pixels that a window covers: rows [top, bottom), columns [left, right). */
struct pane {
    int64_t top, bottom, left, right;
};

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Of place (u, v), on pictures x with the constants of `node`. */
static struct pane pane_at(const struct tensor *node, struct shape x, int64_t u, int64_t v)
{
    int64_t size = node->arg[POOL_SIZE].i, stride = node->arg[POOL_STRIDE].i;
    int64_t top = u * stride - node->arg[POOL_PADDING].i;
    int64_t left = v * stride - node->arg[POOL_PADDING].i;

    return (struct pane){.top = at_least(top, 0),
                         .bottom = at_most(top + size, x.dim[1]),
                         .left = at_least(left, 0),
                         .right = at_most(left + size, x.dim[2])};
}

static float share(const struct tensor *node, struct pane p)
{
    int64_t size = node->arg[POOL_SIZE].i;
    int64_t seen = (p.bottom - p.top) * (p.right - p.left);

    return 1 / (float)(node->arg[POOL_COUNT].i ? size * size : seen);
}

/* A comparison and a store, or an addition, for each pixel of each window. */
static double pool_flops(const struct tensor *y)
{
    int64_t size = y->arg[POOL_SIZE].i;

    return (double)shape_count(y->shape) * (double)(size * size);
}

/* --- forward: the input read size^2 / stride^2 times, mostly from cache ----------------------- */

/* picture: [H, W, C], of which W C floats are a row; out: [C]. */
IMGEN_CLONES static void largest(float *restrict out, const float *restrict picture, struct pane p,
                                 int64_t row, int64_t C)
{
    for (int64_t c = 0; c < C; c++)
        out[c] = -INFINITY;
    for (int64_t i = p.top; i < p.bottom; i++)
        for (int64_t j = p.left; j < p.right; j++) {
            const float *restrict x = picture + i * row + j * C;

            for (int64_t c = 0; c < C; c++)
                out[c] = x[c] > out[c] || x[c] != x[c] ? x[c] : out[c];
        }
}

IMGEN_CLONES static void mean(float *restrict out, const float *restrict picture, struct pane p,
                              int64_t row, int64_t C, float scale)
{
    memset(out, 0, (size_t)C * sizeof *out);
    for (int64_t i = p.top; i < p.bottom; i++)
        for (int64_t j = p.left; j < p.right; j++) {
            const float *restrict x = picture + i * row + j * C;

            for (int64_t c = 0; c < C; c++)
                out[c] += x[c];
        }
    for (int64_t c = 0; c < C; c++)
        out[c] *= scale;
}

static const struct op maxpool;

/* Rows of places, counted over all samples. */
static void pool_block(const struct tensor *y, struct block at)
{
    struct shape s = y->in[0]->shape;
    int64_t H = y->shape.dim[1], W = y->shape.dim[2], C = s.dim[3], row = s.dim[2] * C;
    const float *x = y->in[0]->data;
    float *out = (float *)y->data + at.first * W * C;

    for (int64_t r = at.first; r < at.last; r++) {
        const float *picture = x + r / H * s.dim[1] * row;

        for (int64_t v = 0; v < W; v++, out += C) {
            struct pane p = pane_at(y, s, r % H, v);

            if (y->op == &maxpool)
                largest(out, picture, p, row, C);
            else
                mean(out, picture, p, row, C, share(y, p));
        }
    }
}

static void pool_cpu(const struct tensor *y)
{
    struct shape s = y->shape;

    each_block(y, row_blocks(1, s.dim[0] * s.dim[1], s.dim[2] * s.dim[3]), pool_block);
}

/* --- backward: dx gathers what the windows give it -------------------------------------------- */

/* dy and y: [C], of one window. */
static void give_largest(float *restrict dx, const float *restrict picture,
                         const float *restrict dy, const float *restrict y, struct pane p,
                         int64_t row, int64_t C)
{
    for (int64_t c = 0; c < C; c++) {
        int64_t i = p.top, j = p.left;

        while (i < p.bottom && picture[i * row + j * C + c] != y[c])
            if (++j == p.right) {
                j = p.left;
                i++;
            }
        if (i < p.bottom)
            dx[i * row + j * C + c] += dy[c];
    }
}

IMGEN_CLONES static void give_mean(float *restrict dx, const float *restrict dy, struct pane p,
                                   int64_t row, int64_t C, float scale)
{
    for (int64_t i = p.top; i < p.bottom; i++)
        for (int64_t j = p.left; j < p.right; j++)
            for (int64_t c = 0; c < C; c++)
                dx[i * row + j * C + c] += scale * dy[c];
}

/* in[0]: dy; of a maximum in[1]: x, in[2]: y; result dx. */
static void pool_dx_sample(const struct tensor *d, struct row_blocks b, int64_t n)
{
    struct shape s = d->shape, places = d->in[0]->shape;
    int64_t H = places.dim[1], W = places.dim[2], C = s.dim[3], row = s.dim[2] * C;
    int64_t x_at = n * s.dim[1] * row, y_at = n * H * W * C;
    float *dx = (float *)d->data + x_at;

    (void)b;
    memset(dx, 0, (size_t)(s.dim[1] * row) * sizeof *dx);
    for (int64_t u = 0; u < H; u++)
        for (int64_t v = 0; v < W; v++, y_at += C) {
            const float *dy = (const float *)d->in[0]->data + y_at;
            struct pane p = pane_at(d, s, u, v);

            if (d->in[1])
                give_largest(dx, (const float *)d->in[1]->data + x_at, dy,
                             (const float *)d->in[2]->data + y_at, p, row, C);
            else
                give_mean(dx, dy, p, row, C, share(d, p));
        }
}

static void pool_dx_cpu(const struct tensor *d)
{
    each_sample(d, rows_of_samples(d->shape), pool_dx_sample);
}

static const struct op pool_dx = {.name = "pool_dx", .cpu = pool_dx_cpu};

static void pool_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0];
    bool largest_of = y->op == &maxpool;
    struct tensor *dx =
        record(g, &pool_dx, x->shape, y->grad, largest_of ? x : NULL, largest_of ? y : NULL, NULL);

    memcpy(dx->arg, y->arg, sizeof dx->arg);
    grad_add(g, x, dx);
}

/* --- the ops ---------------------------------------------------------------------------------- */

static const struct op maxpool = {
    .name = "maxpool", .cpu = pool_cpu, .adjoint = pool_adjoint, .flops = pool_flops};
static const struct op avgpool = {
    .name = "avgpool", .cpu = pool_cpu, .adjoint = pool_adjoint, .flops = pool_flops};

/* Places along a side of n pixels. */
static int64_t places(int64_t n, struct pool_window w)
{
    int64_t way = n + 2 * w.padding - w.size, k = way / w.stride + 1;

    return w.over && way % w.stride && k * w.stride < n + w.padding ? k + 1 : k;
}

static struct tensor *record_pool(struct graph *g, const struct op *op, struct tensor *x,
                                  struct pool_window w, bool count_padding)
{
    struct shape s = x->shape;
    int64_t high = s.dim[1] + 2 * w.padding - w.size, wide = s.dim[2] + 2 * w.padding - w.size;
    char text[SHAPE_TEXT];
    struct tensor *y;

    MUST(s.rank == 4 && w.size > 0 && w.stride > 0 && w.padding >= 0 && 2 * w.padding <= w.size &&
             high >= 0 && wide >= 0,
         "%s: a window of %" PRId64 " with padding %" PRId64 " and stride %" PRId64 " on %s",
         op->name, w.size, w.padding, w.stride, shape_text(text, s));
    y = record(g, op, SHAPE(s.dim[0], places(s.dim[1], w), places(s.dim[2], w), s.dim[3]), x, NULL,
               NULL, NULL);
    y->arg[POOL_SIZE].i = w.size;
    y->arg[POOL_STRIDE].i = w.stride;
    y->arg[POOL_PADDING].i = w.padding;
    y->arg[POOL_COUNT].i = count_padding;
    return y;
}

struct tensor *op_maxpool(struct graph *g, struct tensor *x, struct pool_window window)
{
    return record_pool(g, &maxpool, x, window, false);
}

struct tensor *op_avgpool(struct graph *g, struct tensor *x, struct pool_window window,
                          bool count_padding)
{
    return record_pool(g, &avgpool, x, window, count_padding);
}
