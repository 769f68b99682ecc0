/*
 * conv.c - 2-D convolution, channels last
 *
 *     y [n, u, v, o] = b [o] + sum over ky, kx, i of
 *                      x [n, u stride + ky - top, v stride + kx - left, i] w [o, ky, kx, i]
 *
 * Forward: oneDNN on pictures cut into bands (backend/cpu/bands.c).
 *
 * dx, stride 1: itself a convolution, of dy with the weights turned by half a turn and their
 * channels exchanged, padded by what the other left: kh - 1 - top.  It takes the forward kernels,
 * in bands, which are 10 % faster than oneDNN's own backward ones.  Other strides take those, a
 * picture at a time.
 *
 * dW is a sum over the batch: chunks of pictures, as many as the shapes say and not as the threads
 * say, each into a copy of its own; then the copies are added in order, still packed.  More chunks
 * share the work among more threads and cost more adding: a chunk has at least CHUNK_PIXELS pixels
 * where the batch allows it.  The bias's gradient goes the same way.
 *
 * A 1 x 1 convolution of stride 1 is a linear layer and is recorded as one.
 */
#include "ops/conv.h"

#include "backend/cpu/bands.h"
#include "backend/cpu/columns.h"
#include "backend/cpu/tiles.h"
#include "base/memory.h"
#include "base/simd.h"
#include "ops/linear.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Constants of a node; bottom and right follow from the shapes. */
enum { ARG_STRIDE, ARG_TOP, ARG_LEFT };

/* --- geometry -----------------------------------------------------------------------------------
 */

/* Padding that is really read at the far end; what a stride leaves over there is not read. */
static int64_t far_padding(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t before)
{
    int64_t need = (out - 1) * stride - before + k - in;

    return need > 0 ? need : 0;
}

/* The forward convolution x -> y with weights w that the constants of `node` speak of. */
static struct dnn_conv geometry(const struct tensor *node, const struct tensor *x,
                                const struct tensor *w, const struct tensor *y)
{
    struct dnn_conv s = {
        .N = x->shape.dim[0],
        .H = x->shape.dim[1],
        .W = x->shape.dim[2],
        .I = x->shape.dim[3],
        .O = w->shape.dim[0],
        .kh = w->shape.dim[1],
        .kw = w->shape.dim[2],
        .OH = y->shape.dim[1],
        .OW = y->shape.dim[2],
        .stride = node->arg[ARG_STRIDE].i,
        .top = node->arg[ARG_TOP].i,
        .left = node->arg[ARG_LEFT].i,
    };

    s.bottom = far_padding(s.H, s.OH, s.kh, s.stride, s.top);
    s.right = far_padding(s.W, s.OW, s.kw, s.stride, s.left);
    return s;
}

/* The convolution that takes dy to dx when the stride is 1. */
static struct dnn_conv turned(const struct dnn_conv *s)
{
    struct dnn_conv t = *s;

    t.H = s->OH, t.W = s->OW, t.I = s->O;
    t.OH = s->H, t.OW = s->W, t.O = s->I;
    t.top = s->kh - 1 - s->top;
    t.left = s->kw - 1 - s->left;
    t.bottom = far_padding(t.H, t.OH, t.kh, 1, t.top);
    t.right = far_padding(t.W, t.OW, t.kw, 1, t.left);
    return t;
}

/* Over all places along one side, the taps of the kernel that lie on the picture. */
static int64_t taps(int64_t places, int64_t k, int64_t stride, int64_t before, int64_t size)
{
    int64_t n = 0;

    for (int64_t u = 0; u < places; u++)
        for (int64_t i = u * stride - before; i < u * stride - before + k; i++)
            n += i >= 0 && i < size;
    return n;
}

/* Products with the zeros of the padding are not counted: a good kernel leaves them out. */
static double geometry_flops(const struct dnn_conv *s)
{
    return 2.0 * (double)s->N * (double)taps(s->OH, s->kh, s->stride, s->top, s->H) *
           (double)taps(s->OW, s->kw, s->stride, s->left, s->W) * (double)(s->I * s->O);
}

/* --- y and dx: pictures times packed weights ----------------------------------------------------
 */

struct conv {
    struct bands *bands;
    bool turn;     /* the weights are to be turned before they are packed                    */
    float *packed; /* of a frozen graph's weights, or NULL: packed into scratch every run */
    size_t packed_bytes;
};

static void conv_free(void *state)
{
    struct conv *c = state;

    if (!c)
        return;
    bands_free(c->bands);
    mem_block_free(c->packed, c->packed_bytes, 1);
    free(c);
}

static size_t whole_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* The taps of every output channel in reverse order: half a turn of [kh, kw]. */
static void turn_weights(float *out, const float *w, struct shape s)
{
    int64_t taps = s.dim[1] * s.dim[2], I = s.dim[3], rows = s.dim[0] * taps;

#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        memcpy(out + (r - r % taps + taps - 1 - r % taps) * I, w + r * I,
               (size_t)I * sizeof(float));
}

/* Turned weights stand at the start of the scratch. */
static size_t pack_scratch(const struct conv *c, const struct tensor *w, int threads)
{
    return bands_scratch_bytes(c->bands, threads) + (c->turn ? whole_lines(tensor_bytes(w)) : 0);
}

static void pack(const struct conv *c, const struct tensor *w, float *packed, void *scratch)
{
    const float *weights = w->data;

    if (c->turn) {
        turn_weights(scratch, weights, w->shape);
        weights = scratch;
        scratch = (unsigned char *)scratch + whole_lines(tensor_bytes(w));
    }
    bands_pack(c->bands, weights, packed, scratch);
}

static enum status pack_frozen(struct conv *c, const struct tensor *w, struct error *err)
{
    void *scratch = NULL;
    enum status st;

    c->packed_bytes = bands_packed_bytes(c->bands);
    if ((st = mem_block_new((void **)&c->packed, c->packed_bytes, 1, "packed weights", err)) ||
        (st = mem_new(&scratch, 1, pack_scratch(c, w, tiles_lanes()), "packing weights", err)))
        return st;
    pack(c, w, c->packed, scratch);
    free(scratch);
    return OK;
}

/* The weights are y->in[1] in both products. */
static enum status conv_make(const struct graph *g, struct tensor *y, enum dnn_conv_kind kind,
                             const struct dnn_conv *s, const int64_t step[4], bool turn,
                             struct error *err)
{
    const struct tensor *w = y->in[1];
    struct conv *c;
    enum status st;

    if ((st = mem_new((void **)&c, 1, sizeof(*c), "a convolution", err)))
        return st;
    y->state = c;
    c->turn = turn;
    if ((st = bands_new(&c->bands, kind, s, step, err)))
        return st;
    if (graph_is_frozen(g) && w->op == &op_param && w->data)
        return pack_frozen(c, w, err);
    return OK;
}

static size_t conv_scratch(const struct tensor *y, int threads)
{
    const struct conv *c = y->state;

    return pack_scratch(c, y->in[1], threads) + (c->packed ? 0 : bands_packed_bytes(c->bands));
}

static void conv_run(const struct tensor *y, const float *bias)
{
    const struct conv *c = y->state;
    float *packed = c->packed;
    unsigned char *scratch = y->scratch;

    if (!packed) {
        packed = y->scratch;
        scratch += bands_packed_bytes(c->bands);
        pack(c, y->in[1], packed, scratch);
    }
    bands_run(c->bands, y->in[0]->data, packed, y->data, bias, scratch);
}

static enum status conv2d_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    struct dnn_conv s = geometry(y, y->in[0], y->in[1], y);
    const int64_t step[4] = {s.kh * s.kw * s.I, 1, s.kw * s.I, s.I};

    return conv_make(g, y, DNN_CONV_FORWARD, &s, step, false, err);
}

static void conv2d_cpu(const struct tensor *y)
{
    conv_run(y, y->in[2] ? y->in[2]->data : NULL);
}

static double conv2d_flops(const struct tensor *y)
{
    struct dnn_conv s = geometry(y, y->in[0], y->in[1], y);

    return geometry_flops(&s);
}

/* in[0]: dy, in[1]: w; result dx. */
static enum status conv_dx_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    struct dnn_conv s = geometry(y, y, y->in[1], y->in[0]), t = turned(&s);
    const int64_t step[4] = {s.kh * s.kw * s.I, 1, s.kw * s.I, s.I};
    const int64_t exchanged[4] = {1, s.kh * s.kw * s.I, s.kw * s.I, s.I};

    if (s.stride == 1)
        return conv_make(g, y, DNN_CONV_FORWARD, &t, exchanged, true, err);
    return conv_make(g, y, DNN_CONV_DATA, &s, step, false, err);
}

static void conv_dx_cpu(const struct tensor *y)
{
    conv_run(y, NULL);
}

static double conv_dx_flops(const struct tensor *y)
{
    struct dnn_conv s = geometry(y, y, y->in[1], y->in[0]);

    return geometry_flops(&s);
}

static const struct op conv_dx = {
    .name = "conv_dx",
    .cpu = conv_dx_cpu,
    .plan = conv_dx_plan,
    .unplan = conv_free,
    .scratch = conv_scratch,
    .flops = conv_dx_flops,
};

/* --- dW and db ----------------------------------------------------------------------------------
 */

enum {
    CHUNKS = 8,          /* at most                                  */
    CHUNK_PIXELS = 1024, /* at least, unless that leaves one chunk   */
    SPAN = 1 << 14,      /* floats of a tile when copies are added   */
};

struct conv_dw {
    struct dnn_conv s;
    int64_t chunk, chunks; /* pictures of a chunk, chunks */
    int lanes;
    struct dnn *product[2]; /* a whole chunk; the shorter last one */
    struct dnn *unpack;
    size_t lane_bytes;
};

static void conv_dw_free(void *state)
{
    struct conv_dw *d = state;

    if (!d)
        return;
    for (int k = 0; k < 2; k++)
        dnn_free(d->product[k]);
    dnn_free(d->unpack);
    free(d);
}

static void cut_into(struct conv_dw *d, int64_t chunks)
{
    d->chunk = (d->s.N + chunks - 1) / chunks;
    d->chunks = (d->s.N + d->chunk - 1) / d->chunk;
}

static void cut_batch(struct conv_dw *d)
{
    int64_t n = d->s.N * d->s.OH * d->s.OW / CHUNK_PIXELS;

    n = n < 2 ? 2 : n;
    n = n > CHUNKS ? CHUNKS : n;
    cut_into(d, n > d->s.N ? d->s.N : n);
}

static enum status chunk_product(struct conv_dw *d, int which, int64_t pictures, struct error *err)
{
    struct dnn_conv s = d->s;
    enum status st;

    s.N = pictures;
    if ((st = dnn_conv(&d->product[which], DNN_CONV_WEIGHTS, &s, d->lanes, err)))
        return st;
    if (dnn_scratch_bytes(d->product[which]) > d->lane_bytes)
        d->lane_bytes = dnn_scratch_bytes(d->product[which]);
    return OK;
}

/* Copies can be added only if they are packed alike; a shorter last chunk that is not makes the
 * whole batch one chunk. */
static enum status chunk_products(struct conv_dw *d, struct error *err)
{
    int64_t rest = d->s.N % d->chunk;
    enum status st;

    if ((st = chunk_product(d, 0, d->chunk, err)) ||
        (rest && (st = chunk_product(d, 1, rest, err))))
        return st;
    if (!rest || dnn_same_packing(d->product[0], d->product[1]))
        return OK;
    for (int k = 0; k < 2; k++) {
        dnn_free(d->product[k]);
        d->product[k] = NULL;
    }
    cut_into(d, 1);
    return chunk_product(d, 0, d->chunk, err);
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
    d->s = geometry(y, y->in[1], y, y->in[0]);
    d->lanes = tiles_lanes();
    if (!d->s.N)
        return OK;
    cut_batch(d);
    if ((st = chunk_products(d, err)))
        return st;
    return dnn_unpack(&d->unpack, d->product[0],
                      (int64_t[]){d->s.kh * d->s.kw * d->s.I, 1, d->s.kw * d->s.I, d->s.I},
                      d->lanes, err);
}

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
    const struct dnn_conv *s = &d->s;
    int64_t first = k * d->chunk, n = s->N - first < d->chunk ? s->N - first : d->chunk;
    const float *dy = (const float *)job->y->in[0]->data + first * s->OH * s->OW * s->O;
    const float *x = (const float *)job->y->in[1]->data + first * s->H * s->W * s->I;

    dnn_run(d->product[n < d->chunk], lane, x, dy, job->copies + k * job->floats,
            job->scratch + (size_t)lane * d->lane_bytes);
    if (job->y->side)
        columns_sum(job->sums + k * s->O, dy, s->O, n * s->OH * s->OW, s->O);
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
    struct dnn_conv s = geometry(y, y->in[1], y, y->in[0]);

    return geometry_flops(&s);
}

static const struct op conv_dw = {
    .name = "conv_dw",
    .cpu = conv_dw_cpu,
    .plan = conv_dw_plan,
    .unplan = conv_dw_free,
    .scratch = conv_dw_scratch,
    .flops = conv_dw_flops,
};

/* --- the op -------------------------------------------------------------------------------------
 */

static void copy_args(struct tensor *to, const struct tensor *from)
{
    memcpy(to->arg, from->arg, sizeof(to->arg));
}

static void conv2d_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *w = y->in[1], *bias = y->in[2], *t;

    if (x->wants_grad) {
        t = record(g, &conv_dx, x->shape, y->grad, w, NULL, NULL);
        copy_args(t, y);
        grad_add(g, x, t);
    }
    if (!w->wants_grad && !(bias && bias->wants_grad))
        return;
    t = record(g, &conv_dw, w->shape, y->grad, x, NULL, NULL);
    copy_args(t, y);
    if (bias && bias->wants_grad)
        grad_add(g, bias, record_side(g, t, bias->shape));
    grad_add(g, w, t);
}

static const struct op conv2d = {
    .name = "conv2d",
    .cpu = conv2d_cpu,
    .adjoint = conv2d_adjoint,
    .plan = conv2d_plan,
    .unplan = conv_free,
    .scratch = conv_scratch,
    .flops = conv2d_flops,
};

static int64_t result_size(int64_t in, int64_t before, int64_t after, int64_t k, int64_t stride)
{
    return (in + before + after - k) / stride + 1;
}

struct tensor *op_conv2d(struct graph *g, struct tensor *x, struct tensor *weight,
                         struct tensor *bias, struct conv_geometry geometry)
{
    const struct conv_geometry *p = &geometry;
    struct shape xs = x->shape, ws = weight->shape;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct tensor *y;

    MUST(xs.rank == 4 && ws.rank == 4 && xs.dim[3] == ws.dim[3] && shape_count(ws) > 0 &&
             xs.dim[1] > 0 && xs.dim[2] > 0 && xs.dim[1] + p->top + p->bottom >= ws.dim[1] &&
             xs.dim[2] + p->left + p->right >= ws.dim[2],
         "conv2d: x %s, weight %s", shape_text(a, xs), shape_text(b, ws));
    MUST(p->stride > 0 && p->top >= 0 && p->bottom >= 0 && p->left >= 0 && p->right >= 0 &&
             p->top < ws.dim[1] && p->bottom < ws.dim[1] && p->left < ws.dim[2] &&
             p->right < ws.dim[2],
         "conv2d: a stride must be positive, padding 0 or more and less than the kernel %s",
         shape_text(b, ws));
    MUST(!bias || shape_count(bias->shape) == ws.dim[0], "conv2d: weight %s, bias %s",
         shape_text(a, ws), shape_text(b, bias->shape));
    if (ws.dim[1] == 1 && ws.dim[2] == 1 && p->stride == 1)
        return op_linear(g, x, weight, bias, ACT_NONE);
    y = record(g, &conv2d,
               SHAPE(xs.dim[0], result_size(xs.dim[1], p->top, p->bottom, ws.dim[1], p->stride),
                     result_size(xs.dim[2], p->left, p->right, ws.dim[2], p->stride), ws.dim[0]),
               x, weight, bias, NULL);
    y->arg[ARG_STRIDE].i = p->stride;
    y->arg[ARG_TOP].i = p->top;
    y->arg[ARG_LEFT].i = p->left;
    return y;
}
