/*
 * conv_weights.c - the gradients of a convolution's weights and bias
 *
 *     dW [o, ky, kx, i] = sum over n, u, v of
 *                         dy [n, u, v, o] x [n, u stride + ky - top, v stride + kx - left, i]
 *
 * is a sum over all pixels of the batch.  It is cut into chunks, as many as the shapes say and not
 * as the threads say, each into a copy of dW of its own; then the copies are added in order, still
 * packed.  More chunks share the work among more threads and cost more adding: a chunk has at least
 * CHUNK_PIXELS pixels, which keeps the adding to a twentieth.  The bias's gradient goes the same
 * way.
 *
 * A chunk is several pictures or, where there are fewer pictures than chunks, a band of rows of
 * one: like the bands of the forward (backend/cpu/bands.c) it reads a row or two more of x than it
 * has of dy.
 *
 * Cutting dW itself instead, by channels, would need no copies; but oneDNN takes only dense
 * pictures, and every part would read all of x and dy.
 */
#include "backend/cpu/bands.h"
#include "backend/cpu/columns.h"
#include "backend/cpu/tiles.h"
#include "backend/cpu/winograd.h"
#include "base/memory.h"
#include "base/simd.h"
#include "base/whole.h"
#include "ops/conv_parts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNKS = 8,          /* at most                                             */
    CHUNK_PIXELS = 1024, /* at least, unless that leaves one chunk of pictures  */
    DISTINCT = 4,        /* shapes of chunks: see bands.c                       */
    SPAN = 1 << 14,      /* floats of a tile when copies are added              */
};

struct chunk {
    int which;             /* product                              */
    int64_t x, dy, pixels; /* first float of each; pixels of dy    */
};

struct conv_dw {
    struct dnn_conv s;
    struct chunk chunk[CHUNKS];
    int64_t chunks;
    int lanes, n_distinct;
    struct dnn_conv shape[DISTINCT];
    struct dnn *product[DISTINCT];
    struct dnn *unpack;
    size_t lane_bytes;
};

static void products_free(struct conv_dw *d)
{
    for (int k = 0; k < d->n_distinct; k++)
        dnn_free(d->product[k]);
    d->n_distinct = 0;
    d->chunks = 0;
    d->lane_bytes = 0;
}

static void conv_dw_free(void *state)
{
    struct conv_dw *d = state;

    if (!d)
        return;
    products_free(d);
    dnn_free(d->unpack);
    free(d);
}

/* --- cutting ------------------------------------------------------------------------------------
 */

/* One chunk more, of this shape. */
static enum status chunk_add(struct conv_dw *d, const struct dnn_conv *shape, struct chunk at,
                             struct error *err)
{
    enum status st;

    for (at.which = 0; at.which < d->n_distinct; at.which++)
        if (!memcmp(&d->shape[at.which], shape, sizeof(*shape)))
            break;
    if (at.which == d->n_distinct) {
        MUST(at.which < DISTINCT, "more kinds of chunks than there can be");
        d->shape[at.which] = *shape;
        if ((st = dnn_conv(&d->product[at.which], DNN_CONV_WEIGHTS, shape, d->lanes, err)))
            return st;
        d->n_distinct++;
        if (dnn_scratch_bytes(d->product[at.which]) > d->lane_bytes)
            d->lane_bytes = dnn_scratch_bytes(d->product[at.which]);
    }
    d->chunk[d->chunks++] = at;
    return OK;
}

static enum status cut_pictures(struct conv_dw *d, int64_t chunks, struct error *err)
{
    const struct dnn_conv *s = &d->s;
    int64_t together = (s->N + chunks - 1) / chunks;
    enum status st;

    for (int64_t n = 0; n < s->N; n += together) {
        struct dnn_conv shape = *s;

        shape.N = s->N - n < together ? s->N - n : together;
        if ((st = chunk_add(d, &shape,
                            (struct chunk){.x = n * s->H * s->W * s->I,
                                           .dy = n * s->OH * s->OW * s->O,
                                           .pixels = shape.N * s->OH * s->OW},
                            err)))
            return st;
    }
    return OK;
}

static enum status cut_rows(struct conv_dw *d, int64_t bands, struct error *err)
{
    const struct dnn_conv *s = &d->s;
    int64_t rows = (s->OH + bands - 1) / bands, from;
    enum status st;

    for (int64_t n = 0; n < s->N; n++)
        for (int64_t first = 0; first < s->OH; first += rows) {
            int64_t here = s->OH - first < rows ? s->OH - first : rows;
            struct dnn_conv shape = bands_part(s, first, here, &from);

            if ((st = chunk_add(d, &shape,
                                (struct chunk){.x = (n * s->H + from) * s->W * s->I,
                                               .dy = (n * s->OH + first) * s->OW * s->O,
                                               .pixels = here * s->OW},
                                err)))
                return st;
        }
    return OK;
}

static bool packed_alike(const struct conv_dw *d)
{
    for (int k = 1; k < d->n_distinct; k++)
        if (!dnn_same_packing(d->product[0], d->product[k]))
            return false;
    return true;
}

/* Copies can be added only if they are packed alike; else the whole batch becomes one chunk. */
static enum status cut(struct conv_dw *d, struct error *err)
{
    const struct dnn_conv *s = &d->s;
    int64_t n = s->N * s->OH * s->OW / CHUNK_PIXELS;
    enum status st;

    n = n > CHUNKS ? CHUNKS : n;
    if (n >= 2 * s->N)
        st = cut_rows(d, n / s->N, err);
    else
        st = cut_pictures(d, n < 2 ? 2 : n, err);
    if (st || packed_alike(d))
        return st;
    products_free(d);
    return cut_pictures(d, 1, err);
}

/* in[0]: dy, in[1]: x; result dW, side result db. */
static enum status conv_dw_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    struct conv_dw *d;
    enum status st;

    (void)g;
    if ((st = mem_new((void **)&d, 1, sizeof(*d), "a convolution's gradient", err)))
        return st;
    y->state = d;
    d->s = conv_geometry_of(y, y->in[1], y, y->in[0]);
    d->lanes = tiles_lanes();
    if (!d->s.N)
        return OK;
    if ((st = cut(d, err)) ||
        (st = dnn_unpack(&d->unpack, d->product[0],
                         (int64_t[]){d->s.kh * d->s.kw * d->s.I, 1, d->s.kw * d->s.I, d->s.I},
                         d->lanes, err)))
        return st;
    if (dnn_scratch_bytes(d->unpack) > d->lane_bytes)
        d->lane_bytes = dnn_scratch_bytes(d->unpack);
    return OK;
}

/* --- running ------------------------------------------------------------------------------------
 */

/* Scratch: a packed dW a chunk | sums of dy a chunk, in double | oneDNN's, a lane. */
static size_t sums_bytes(const struct conv_dw *d)
{
    return whole_lines((size_t)(d->chunks * d->s.O) * sizeof(double));
}

static size_t conv_dw_scratch(const struct tensor *y, int threads)
{
    const struct conv_dw *d = y->state;

    if (!d->s.N)
        return 0;
    return dnn_packed_bytes(d->product[0]) * (size_t)d->chunks + sums_bytes(d) +
           d->lane_bytes * (size_t)threads;
}

struct dw_job {
    const struct tensor *y;
    const struct conv_dw *d;
    float *copies; /* [chunks][floats] */
    double *sums;  /* [chunks][O]      */
    int64_t floats;
    unsigned char *scratch;
};

static void dw_chunk(void *user, int64_t k, int lane)
{
    const struct dw_job *job = user;
    const struct conv_dw *d = job->d;
    const struct chunk *c = &d->chunk[k];
    const float *dy = (const float *)job->y->in[0]->data + c->dy;
    const float *x = (const float *)job->y->in[1]->data + c->x;

    dnn_run(d->product[c->which], lane, x, dy, job->copies + k * job->floats,
            job->scratch + (size_t)lane * d->lane_bytes);
    if (job->y->side)
        columns_sum(job->sums + k * d->s.O, dy, d->s.O, c->pixels, d->s.O);
}

IMGEN_CLONES static void add_span(float *restrict total, const float *restrict copy, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        total[i] += copy[i];
}

/* The first copy becomes the sum of all. */
static void dw_span(void *user, int64_t tile, int lane)
{
    const struct dw_job *job = user;
    int64_t first = tile * SPAN, n = job->floats - first < SPAN ? job->floats - first : SPAN;

    (void)lane;
    for (int64_t k = 1; k < job->d->chunks; k++)
        add_span(job->copies + first, job->copies + k * job->floats + first, n);
}

static void write_bias_gradient(float *db, const double *sums, int64_t chunks, int64_t O)
{
    for (int64_t o = 0; o < O; o++) {
        double total = 0;

        for (int64_t k = 0; k < chunks; k++)
            total += sums[k * O + o];
        db[o] = (float)total;
    }
}

static void conv_dw_cpu(const struct tensor *y)
{
    const struct conv_dw *d = y->state;
    unsigned char *at = y->scratch;
    struct dw_job job = {.y = y, .d = d};

    if (!d->s.N) {
        memset(y->data, 0, tensor_bytes(y));
        if (y->side)
            memset(y->side->data, 0, tensor_bytes(y->side));
        return;
    }
    job.floats = (int64_t)(dnn_packed_bytes(d->product[0]) / sizeof(float));
    job.copies = (float *)(void *)at;
    at += dnn_packed_bytes(d->product[0]) * (size_t)d->chunks;
    job.sums = (double *)(void *)at;
    job.scratch = at + sums_bytes(d);
    memset(job.sums, 0, sums_bytes(d));

    tiles_run(d->chunks, d->lanes, dw_chunk, &job);
    if (d->chunks > 1)
        tiles_run((job.floats + SPAN - 1) / SPAN, d->lanes, dw_span, &job);
    dnn_run(d->unpack, 0, job.copies, NULL, y->data, job.scratch);
    if (y->side)
        write_bias_gradient(y->side->data, job.sums, d->chunks, d->s.O);
}

static double conv_dw_flops(const struct tensor *y)
{
    struct dnn_conv s = conv_geometry_of(y, y->in[1], y, y->in[0]);

    return conv_flops(&s);
}

static const struct op conv_dw = {
    .name = "conv_dw",
    .cpu = conv_dw_cpu,
    .plan = conv_dw_plan,
    .unplan = conv_dw_free,
    .scratch = conv_dw_scratch,
    .flops = conv_dw_flops,
};

/* --- the same by Winograd's transforms ----------------------------------------------------------
 */

static struct winograd_weights transformed(const struct tensor *y)
{
    struct dnn_conv s = conv_geometry_of(y, y->in[1], y, y->in[0]);
    struct winograd_weights w;

    winograd_weights_init(&w, &s);
    return w;
}

static size_t winograd_scratch(const struct tensor *y, int threads)
{
    struct winograd_weights w = transformed(y);

    (void)threads;
    return winograd_weights_scratch_bytes(&w);
}

static void winograd_cpu(const struct tensor *y)
{
    struct winograd_weights w = transformed(y);

    winograd_weights_run(&w, y->in[0]->data, y->in[1]->data, y->data,
                         y->side ? y->side->data : NULL, y->scratch);
}

static const struct op conv_dw_winograd = {
    .name = "conv_dw",
    .cpu = winograd_cpu,
    .scratch = winograd_scratch,
    .flops = conv_dw_flops,
};

static const struct op *product_for(const struct tensor *node, const struct tensor *x,
                                    const struct tensor *w, const struct tensor *dy)
{
    struct dnn_conv s = conv_geometry_of(node, x, w, dy);

    if (winograd_suits(&s))
        return &conv_dw_winograd;
    return conv_dw_has_tiles(w) ? &conv_dw_tiles : &conv_dw;
}

struct tensor *conv_weights_gradient(struct graph *g, const struct tensor *node, struct tensor *x,
                                     const struct tensor *w, struct tensor *dy)
{
    struct tensor *dw = record(g, product_for(node, x, w, dy), w->shape, dy, x, NULL, NULL);

    memcpy(dw->arg, node->arg, sizeof(node->arg));
    return dw;
}
