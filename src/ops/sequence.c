/*
 * sequence.c - rows of sequences, chosen by where they stand or by what stands there
 *
 * Joining and cutting sequences needs no kernel: a token's features are dense, so a sample is one
 * row of T D floats, and tokens are joined and cut where floats are.
 *
 * Which row of a text is its end depends on the ids, which a recording may not look at; so the
 * choice is an op, and its adjoint another.  The bias of relative positions is expanded to [heads,
 * T, T] once for a network whose layers all share it: T^2 numbers a head, read a tile at a time by
 * attention, against a lookup of two levels in its innermost loop.
 */
#include "ops/sequence.h"

#include "backend/cpu/widen.h"
#include "base/error.h"
#include "ops/basic.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* --- joined and cut -----------------------------------------------------------------------------
 */

struct tensor *op_tokens_cut(struct graph *g, struct tensor *x, int64_t first, int64_t count)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1], D = shape_last(x->shape);

    x = op_slice(g, op_reshape(g, x, SHAPE(N, T * D)), first * D, count * D);
    return op_reshape(g, x, SHAPE(N, count, D));
}

struct tensor *op_tokens_join(struct graph *g, struct tensor *a, struct tensor *b)
{
    int64_t N = a->shape.dim[0], A = a->shape.dim[1], B = b->shape.dim[1], D = shape_last(a->shape);

    a = op_reshape(g, a, SHAPE(N, A * D));
    b = op_reshape(g, b, SHAPE(N, B * D));
    return op_reshape(g, op_concat(g, a, b), SHAPE(N, A + B, D));
}

/* --- a window of a grid -------------------------------------------------------------------------
 */

enum { ARG_SIDE, ARG_TOP, ARG_LEFT, ARG_WIDTH };

/* 8 bytes an element; the rows of the grid's rows lie side by side.  A stored table, which may be
 * many times as large as the window, is one row, of which the window's parts are widened. */
static void window_cpu(const struct tensor *y)
{
    int64_t D = shape_last(y->shape), width = y->arg[ARG_WIDTH].i;
    int64_t height = width ? y->shape.dim[1] / width : 0;
    int64_t first = (y->arg[ARG_TOP].i * y->arg[ARG_SIDE].i + y->arg[ARG_LEFT].i) * D;
    const float *table = y->in[0]->data;
    float *to = y->data;

    for (int64_t i = 0; i < height; i++, first += y->arg[ARG_SIDE].i * D, to += width * D)
        if (y->in[0]->dtype == DTYPE_STORED)
            widen_row(widen_engine(), to, y->in[0]->data, 0, first, width * D);
        else
            memcpy(to, table + first, (size_t)(width * D) * sizeof(float));
}

static const struct op window = {.name = "window", .cpu = window_cpu, .stored = 1 << 0};

struct tensor *op_window(struct graph *g, struct tensor *table, struct grid_window w)
{
    int64_t D = shape_last(table->shape);
    struct tensor *y;

    MUST(shape_equal(table->shape, SHAPE(1, w.side * w.side, D)) && w.top >= 0 && w.left >= 0 &&
             w.height >= 0 && w.width >= 0 && w.top + w.height <= w.side &&
             w.left + w.width <= w.side,
         "a window of %d x %d at %d, %d in a grid of %d", (int)w.height, (int)w.width, (int)w.top,
         (int)w.left, (int)w.side);
    y = record(g, &window, SHAPE(1, w.height * w.width, D), table, NULL, NULL, NULL);
    y->arg[ARG_SIDE].i = w.side;
    y->arg[ARG_TOP].i = w.top;
    y->arg[ARG_LEFT].i = w.left;
    y->arg[ARG_WIDTH].i = w.width;
    return y;
}

/* --- the row of the largest id ------------------------------------------------------------------
 */

static int64_t first_largest(const int32_t *ids, int64_t T)
{
    int64_t best = 0;

    for (int64_t i = 1; i < T; i++)
        best = ids[i] > ids[best] ? i : best;
    return best;
}

static void row_cpu(const struct tensor *y)
{
    int64_t N = y->shape.dim[0], D = shape_last(y->shape), T = y->in[1]->shape.dim[1];
    const float *x = y->in[0]->data;
    const int32_t *ids = y->in[1]->data;

    for (int64_t n = 0; n < N; n++)
        memcpy((float *)y->data + n * D, x + (n * T + first_largest(ids + n * T, T)) * D,
               (size_t)D * sizeof(float));
}

/* in: dy, ids. */
static void row_dx_cpu(const struct tensor *y)
{
    int64_t N = y->shape.dim[0], T = y->shape.dim[1], D = shape_last(y->shape);
    const float *dy = y->in[0]->data;
    const int32_t *ids = y->in[1]->data;

    memset(y->data, 0, tensor_bytes(y));
    for (int64_t n = 0; n < N; n++)
        memcpy((float *)y->data + (n * T + first_largest(ids + n * T, T)) * D, dy + n * D,
               (size_t)D * sizeof(float));
}

static const struct op row_dx = {.name = "row_of_largest_dx", .cpu = row_dx_cpu};

static void row_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0];

    grad_add(g, x, record(g, &row_dx, x->shape, y->grad, y->in[1], NULL, NULL));
}

static const struct op row_of_largest = {
    .name = "row_of_largest", .cpu = row_cpu, .adjoint = row_adjoint};

struct tensor *op_row_of_largest(struct graph *g, struct tensor *x, struct tensor *ids)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(x->shape.rank == 3 && ids->dtype == DTYPE_I32 && x->shape.dim[1] > 0 &&
             shape_equal(ids->shape, SHAPE(x->shape.dim[0], x->shape.dim[1])),
         "row_of_largest: rows %s, ids %s", shape_text(s, x->shape), shape_text(t, ids->shape));
    return record(g, &row_of_largest, SHAPE(x->shape.dim[0], shape_last(x->shape)), x, ids, NULL,
                  NULL);
}

/* --- ids, thinned out ---------------------------------------------------------------------------
 */

static void ids_cpu(const struct tensor *y)
{
    int64_t n = y->arg[0].i, count = shape_count(y->shape);
    const int32_t *ids = y->in[0]->data;
    int32_t *out = y->data;

    for (int64_t i = 0; i < count; i++)
        out[i] = ids[i * n];
}

static const struct op ids_every = {.name = "ids_every", .cpu = ids_cpu};

struct tensor *op_ids_every(struct graph *g, struct tensor *ids, int64_t n)
{
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(ids->shape.rank == 2 && ids->dtype == DTYPE_I32 && n > 0 && ids->shape.dim[1] % n == 0,
         "ids_every: every number %" PRId64 " of %s", n, shape_text(s, ids->shape));
    if (n == 1)
        return ids;
    y = record(g, &ids_every, SHAPE(ids->shape.dim[0], ids->shape.dim[1] / n), ids, NULL, NULL,
               NULL);
    y->dtype = DTYPE_I32;
    y->arg[0].i = n;
    return y;
}

/* --- relative positions -------------------------------------------------------------------------
 */

enum { ARG_FAR };

/* The logarithm is taken in float32, as where the networks were trained. */
int64_t relative_bucket(int64_t offset, int64_t buckets, int64_t far)
{
    int64_t half = buckets / 2, near = half / 2, base = offset > 0 ? half : 0;
    int64_t distance = offset < 0 ? -offset : offset, step;
    float log_span = (float)log((double)far / (double)near);

    if (distance < near)
        return base + distance;
    step = near + (int64_t)(logf((float)distance / (float)near) / log_span * (float)(half - near));
    return base + (step < half ? step : half - 1);
}

/* Rows of y are queries of a head: all keys of one. */
static void bias_block(const struct tensor *y, struct block at)
{
    int64_t heads = y->shape.dim[0], T = y->shape.dim[1];
    const float *table = y->in[0]->data;

    for (int64_t row = at.first; row < at.last; row++) {
        const int32_t *bucket = (const int32_t *)y->scratch + T - 1 - row % T;
        float *out = (float *)y->data + row * T;

        for (int64_t key = 0; key < T; key++)
            out[key] = table[bucket[key] * heads + row / T];
    }
}

/* The buckets of all offsets, -(T - 1) .. T - 1, are found once. */
static void bias_cpu(const struct tensor *y)
{
    int64_t T = shape_last(y->shape), buckets = y->in[0]->shape.dim[0];
    int32_t *bucket = y->scratch;

    for (int64_t offset = 1 - T; offset < T; offset++)
        bucket[T - 1 + offset] = (int32_t)relative_bucket(offset, buckets, y->arg[ARG_FAR].i);
    each_block(y, rows_of(y->shape), bias_block);
}

static size_t bias_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)(2 * shape_last(y->shape)) * sizeof(int32_t);
}

/* Sums over the places of a bucket in one order, in double: there may be T^2 of them. */
static void bias_dtable_cpu(const struct tensor *y)
{
    int64_t buckets = y->shape.dim[0], heads = y->shape.dim[1], T = y->in[0]->shape.dim[1];

#pragma omp parallel for
    for (int64_t cell = 0; cell < buckets * heads; cell++) {
        const float *dy = (const float *)y->in[0]->data + cell % heads * T * T;
        double sum = 0;

        for (int64_t offset = 1 - T; offset < T; offset++) {
            int64_t first = offset < 0 ? -offset : 0, last = offset < 0 ? T : T - offset;

            if (relative_bucket(offset, buckets, y->arg[ARG_FAR].i) != cell / heads)
                continue;
            for (int64_t query = first; query < last; query++)
                sum += (double)dy[query * T + query + offset];
        }
        ((float *)y->data)[cell] = (float)sum;
    }
}

static const struct op bias_dtable = {.name = "relative_bias_dtable", .cpu = bias_dtable_cpu};

static void bias_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *table = y->in[0], *d;

    d = record(g, &bias_dtable, table->shape, y->grad, NULL, NULL, NULL);
    d->arg[ARG_FAR] = y->arg[ARG_FAR];
    grad_add(g, table, d);
}

static const struct op relative_bias = {
    .name = "relative_bias", .cpu = bias_cpu, .adjoint = bias_adjoint, .scratch = bias_scratch};

struct tensor *op_relative_bias(struct graph *g, struct tensor *table, int64_t T, int64_t far)
{
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(table->shape.rank == 2 && table->shape.dim[0] > 0 && table->shape.dim[0] % 4 == 0 &&
             far > table->shape.dim[0] / 4 && T >= 0,
         "relative_bias: table %s, %d tokens, far from %d on", shape_text(s, table->shape), (int)T,
         (int)far);
    y = record(g, &relative_bias, SHAPE(table->shape.dim[1], T, T), table, NULL, NULL, NULL);
    y->arg[ARG_FAR].i = far;
    return y;
}
