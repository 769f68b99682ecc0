/*
 * conv.c - 2-D convolution, channels last
 *
 *     y [n, u, v, o] = b [o] + sum over ky, kx, i of
 *                      x [n, u stride + ky - top, v stride + kx - left, i] w [o, ky, kx, i]
 *
 * Forward and dx: 3 x 3 of stride 1 or 2 with channels that fill vectors by Winograd's transforms
 * (backend/cpu/winograd.c), others by oneDNN on pictures cut into bands (backend/cpu/bands.c).
 *
 * There dx of stride 1 is itself a convolution, of dy with the weights turned by half a turn and
 * their channels exchanged, padded by what the other left: kh - 1 - top.  It takes the forward
 * kernels, which are faster than oneDNN's own backward ones.  Other strides take those, a picture
 * at a time.
 *
 * In a graph of bf16 Winograd's products are computed in it; the direct form, which has the first
 * and the last layer, stays float32, as does dW, a sum over all pixels.
 *
 * dW and db are in conv_weights.c.
 *
 * The transposed convolution is dx as an op of its own.  It is linear in x and w, and its adjoint
 * needs nothing new: towards x the convolution itself, towards w the sum of conv_weights.c with x
 * and the incoming gradient in each other's place.  Dumoulin and Visin 2016, chapter 4.
 *
 * A 1 x 1 convolution of stride 1 is a linear layer and is recorded as one.
 */
#include "ops/conv.h"

#include "backend/cpu/bands.h"
#include "backend/cpu/tiles.h"
#include "backend/cpu/winograd.h"
#include "base/memory.h"
#include "base/whole.h"
#include "ops/basic.h"
#include "ops/conv_parts.h"
#include "ops/linear.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* --- geometry -----------------------------------------------------------------------------------
 */

/* Padding that is really read at the far end; what a stride leaves over there is not read. */
static int64_t far_padding(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t before)
{
    int64_t need = (out - 1) * stride - before + k - in;

    return need > 0 ? need : 0;
}

struct dnn_conv conv_geometry_of(const struct tensor *node, const struct tensor *x,
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
        .stride = node->arg[CONV_STRIDE].i,
        .top = node->arg[CONV_TOP].i,
        .left = node->arg[CONV_LEFT].i,
    };

    s.bottom = far_padding(s.H, s.OH, s.kh, s.stride, s.top);
    s.right = far_padding(s.W, s.OW, s.kw, s.stride, s.left);
    return s;
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
double conv_flops(const struct dnn_conv *s)
{
    return 2.0 * (double)s->N * (double)taps(s->OH, s->kh, s->stride, s->top, s->H) *
           (double)taps(s->OW, s->kw, s->stride, s->left, s->W) * (double)(s->I * s->O);
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

/* --- y and dx: pictures times packed weights ----------------------------------------------------
 */

struct conv {
    struct bands *bands; /* NULL: the next */
    struct winograd winograd;
    bool turn;     /* bands' weights are to be turned before they are packed              */
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

/* The taps of every output channel in reverse order: half a turn of [kh, kw]. */
static void turn_weights(float *out, const float *w, struct shape s)
{
    int64_t taps = s.dim[1] * s.dim[2], I = s.dim[3], rows = s.dim[0] * taps;

#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++)
        memcpy(out + (r - r % taps + taps - 1 - r % taps) * I, w + r * I,
               (size_t)I * sizeof(float));
}

static size_t packed_bytes(const struct conv *c)
{
    return c->bands ? bands_packed_bytes(c->bands) : winograd_packed_bytes(&c->winograd);
}

/* Turned weights stand at the start of the scratch. */
static size_t pack_scratch(const struct conv *c, const struct tensor *w, int threads)
{
    if (!c->bands)
        return winograd_scratch_bytes(&c->winograd, threads);
    return bands_scratch_bytes(c->bands, threads) + (c->turn ? whole_lines(tensor_bytes(w)) : 0);
}

static void pack(const struct conv *c, const struct tensor *w, float *packed, void *scratch)
{
    const float *weights = w->data;

    if (!c->bands) {
        winograd_pack(&c->winograd, weights, packed, scratch);
        return;
    }
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

    c->packed_bytes = packed_bytes(c);
    if ((st = mem_block_new((void **)&c->packed, c->packed_bytes, 1, "packed weights", err)) ||
        (st = mem_new(&scratch, 1, pack_scratch(c, w, tiles_lanes()), "packing weights", err)))
        return st;
    pack(c, w, c->packed, scratch);
    free(scratch);
    return OK;
}

/* By oneDNN.  s: of the convolution, for both products. */
static enum status bands_make(struct conv *c, enum dnn_conv_kind kind, const struct dnn_conv *s,
                              struct error *err)
{
    const int64_t step[4] = {s->kh * s->kw * s->I, 1, s->kw * s->I, s->I};
    const int64_t exchanged[4] = {1, s->kh * s->kw * s->I, s->kw * s->I, s->I};
    struct dnn_conv t = turned(s);

    c->turn = kind == DNN_CONV_DATA && s->stride == 1;
    if (c->turn)
        return bands_new(&c->bands, DNN_CONV_FORWARD, &t, exchanged, err);
    return bands_new(&c->bands, kind, s, step, err);
}

/* Bytes are for linear layers. */
static enum precision precision_of(const struct graph *g)
{
    return graph_precision(g) == PRECISION_BF16 ? PRECISION_BF16 : PRECISION_FLOAT32;
}

/* The weights are y->in[1] in both products. */
static enum status conv_make(const struct graph *g, struct tensor *y, enum dnn_conv_kind kind,
                             const struct dnn_conv *s, struct error *err)
{
    const struct tensor *w = y->in[1];
    struct conv *c;
    enum status st;

    if ((st = mem_new((void **)&c, 1, sizeof(*c), "a convolution", err)))
        return st;
    y->state = c;
    if (winograd_suits(s))
        winograd_init(&c->winograd, s, kind == DNN_CONV_DATA, precision_of(g));
    else if ((st = bands_make(c, kind, s, err)))
        return st;
    if (graph_is_frozen(g) && w->op == &op_param && w->data)
        return pack_frozen(c, w, err);
    return OK;
}

static size_t conv_scratch(const struct tensor *y, int threads)
{
    const struct conv *c = y->state;

    return pack_scratch(c, y->in[1], threads) + (c->packed ? 0 : packed_bytes(c));
}

static size_t conv_held(const struct tensor *y)
{
    const struct conv *c = y->state;

    return c->packed_bytes;
}

static void conv_run(const struct tensor *y, const float *bias)
{
    const struct conv *c = y->state;
    float *packed = c->packed;
    unsigned char *scratch = y->scratch;

    if (!packed) {
        packed = y->scratch;
        scratch += packed_bytes(c);
        pack(c, y->in[1], packed, scratch);
    }
    if (c->bands)
        bands_run(c->bands, y->in[0]->data, packed, y->data, bias, scratch);
    else
        winograd_run(&c->winograd, y->in[0]->data, packed, y->data, bias, scratch);
}

static enum status conv2d_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    struct dnn_conv s = conv_geometry_of(y, y->in[0], y->in[1], y);

    return conv_make(g, y, DNN_CONV_FORWARD, &s, err);
}

static void conv2d_cpu(const struct tensor *y)
{
    conv_run(y, y->in[2] ? y->in[2]->data : NULL);
}

static double conv2d_flops(const struct tensor *y)
{
    struct dnn_conv s = conv_geometry_of(y, y->in[0], y->in[1], y);

    return conv_flops(&s);
}

/* in[0]: dy, in[1]: w; result dx. */
static enum status conv_dx_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    struct dnn_conv s = conv_geometry_of(y, y, y->in[1], y->in[0]);

    return conv_make(g, y, DNN_CONV_DATA, &s, err);
}

static void conv_dx_cpu(const struct tensor *y)
{
    conv_run(y, NULL);
}

static double conv_dx_flops(const struct tensor *y)
{
    struct dnn_conv s = conv_geometry_of(y, y, y->in[1], y->in[0]);

    return conv_flops(&s);
}

static const struct op conv2d;

static struct tensor *record_as(struct graph *g, const struct op *op, struct shape shape,
                                struct tensor *x, struct tensor *w, const struct tensor *like)
{
    struct tensor *y = record(g, op, shape, x, w, NULL, NULL);

    memcpy(y->arg, like->arg, sizeof(y->arg));
    return y;
}

/* Asked for by op_conv2d_transposed alone: nobody differentiates a gradient. */
static void conv_dx_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *w = y->in[1];

    if (x->wants_grad)
        grad_add(g, x, record_as(g, &conv2d, x->shape, y->grad, w, y));
    if (w->wants_grad)
        grad_add(g, w, conv_weights_gradient(g, y, y->grad, w, x));
}

static const struct op conv_dx = {
    .name = "conv_dx",
    .cpu = conv_dx_cpu,
    .adjoint = conv_dx_adjoint,
    .plan = conv_dx_plan,
    .unplan = conv_free,
    .scratch = conv_scratch,
    .held = conv_held,
    .flops = conv_dx_flops,
};

/* --- the ops ------------------------------------------------------------------------------------
 */

static void conv2d_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *w = y->in[1], *bias = y->in[2], *dw;

    if (x->wants_grad)
        grad_add(g, x, record_as(g, &conv_dx, x->shape, y->grad, w, y));
    if (!w->wants_grad && !(bias && bias->wants_grad))
        return;
    dw = conv_weights_gradient(g, y, x, w, y->grad);
    if (bias && bias->wants_grad)
        grad_add(g, bias, record_side(g, dw, bias->shape));
    grad_add(g, w, dw);
}

static const struct op conv2d = {
    .name = "conv2d",
    .cpu = conv2d_cpu,
    .adjoint = conv2d_adjoint,
    .plan = conv2d_plan,
    .unplan = conv_free,
    .scratch = conv_scratch,
    .held = conv_held,
    .flops = conv2d_flops,
};

static int64_t result_size(int64_t in, int64_t before, int64_t after, int64_t k, int64_t stride)
{
    return (in + before + after - k) / stride + 1;
}

static void check_geometry(const struct conv_geometry *p, struct shape weight)
{
    char s[SHAPE_TEXT];

    MUST(p->stride > 0 && p->top >= 0 && p->bottom >= 0 && p->left >= 0 && p->right >= 0 &&
             p->top < weight.dim[1] && p->bottom < weight.dim[1] && p->left < weight.dim[2] &&
             p->right < weight.dim[2],
         "conv2d: a stride must be positive, padding 0 or more and less than the kernel %s",
         shape_text(s, weight));
}

struct shape conv_result_shape(struct shape x, struct shape weight, const struct conv_geometry *p)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    MUST(shape_count(weight) > 0 && x.dim[1] > 0 && x.dim[2] > 0 &&
             x.dim[1] + p->top + p->bottom >= weight.dim[1] &&
             x.dim[2] + p->left + p->right >= weight.dim[2],
         "conv2d: x %s, weight %s", shape_text(a, x), shape_text(b, weight));
    check_geometry(p, weight);
    return SHAPE(x.dim[0], result_size(x.dim[1], p->top, p->bottom, weight.dim[1], p->stride),
                 result_size(x.dim[2], p->left, p->right, weight.dim[2], p->stride), weight.dim[0]);
}

void conv_set_geometry(struct tensor *y, const struct conv_geometry *p)
{
    y->arg[CONV_STRIDE].i = p->stride;
    y->arg[CONV_TOP].i = p->top;
    y->arg[CONV_LEFT].i = p->left;
}

struct tensor *op_conv2d(struct graph *g, struct tensor *x, struct tensor *weight,
                         struct tensor *bias, struct conv_geometry geometry)
{
    const struct conv_geometry *p = &geometry;
    struct shape xs = x->shape, ws = weight->shape, out;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct tensor *y;

    MUST(xs.rank == 4 && ws.rank == 4 && xs.dim[3] == ws.dim[3], "conv2d: x %s, weight %s",
         shape_text(a, xs), shape_text(b, ws));
    out = conv_result_shape(xs, ws, p);
    MUST(!bias || shape_count(bias->shape) == ws.dim[0], "conv2d: weight %s, bias %s",
         shape_text(a, ws), shape_text(b, bias->shape));
    if (ws.dim[1] == 1 && ws.dim[2] == 1 && p->stride == 1)
        return op_linear(g, x, weight, bias, ACT_NONE);
    y = record(g, &conv2d, out, x, weight, bias, NULL);
    conv_set_geometry(y, p);
    return y;
}

struct tensor *op_conv2d_transposed(struct graph *g, struct tensor *x, struct tensor *weight,
                                    struct tensor *bias, struct conv_geometry geometry)
{
    const struct conv_geometry *p = &geometry;
    struct shape xs = x->shape, ws = weight->shape;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct tensor *y;
    int64_t H, W;

    MUST(xs.rank == 4 && ws.rank == 4 && xs.dim[3] == ws.dim[0] && shape_count(ws) > 0,
         "conv2d_transposed: x %s, weight %s", shape_text(a, xs), shape_text(b, ws));
    check_geometry(p, ws);
    H = (xs.dim[1] - 1) * p->stride - p->top - p->bottom + ws.dim[1];
    W = (xs.dim[2] - 1) * p->stride - p->left - p->right + ws.dim[2];
    MUST(xs.dim[1] > 0 && xs.dim[2] > 0 && H > 0 && W > 0,
         "conv2d_transposed: nothing is left of %s", shape_text(a, xs));
    y = record(g, &conv_dx, SHAPE(xs.dim[0], H, W, ws.dim[3]), x, weight, NULL, NULL);
    conv_set_geometry(y, p);
    return bias ? op_add_vec(g, y, bias) : y;
}
