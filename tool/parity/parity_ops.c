/*
 * parity_ops.c - fixtures of single operators (kind "ops")
 *
 * One file holds the cases of a family; its "cases" metadata names each case's operator and
 * constants. BUILDERS maps those names to the library's ops, one row each.  A name that no row has
 * is skipped by name: the files also hold operators of architectures that are not part of this
 * version.
 *
 * Before an op is called, what it demands of its operands is checked here, because an op treats a
 * wrong shape as the programmer's mistake and aborts, while a wrong shape in a file is only a bad
 * file.
 */
#include "op_case.h"

#include "base/json.h"
#include "model_config.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/magnitude.h"
#include "ops/norm.h"
#include "ops/resample.h"

#include <math.h>
#include <string.h>

/* Whether t is absent or has exactly this shape. */
static bool has_shape(const struct tensor *t, struct shape s)
{
    return !t || shape_equal(t->shape, s);
}

/* --- linear ------------------------------------------------------------------------------- */

static struct tensor *build_linear(struct op_case *c)
{
    struct tensor *x = case_input(c, "x", CASE_PLAIN), *w = case_input(c, "weight", CASE_PLAIN);
    struct tensor *b = case_optional(c, "bias", CASE_PLAIN);

    if (c->status || !case_need(c,
                                w->shape.rank == 2 && x->shape.rank > 0 &&
                                    shape_last(x->shape) == w->shape.dim[1] &&
                                    has_shape(b, SHAPE(w->shape.dim[0])),
                                "x [..., I], weight [O, I], bias [O]"))
        return NULL;
    return op_linear(c->graph, x, w, b, ACT_NONE);
}

static struct tensor *build_embedding(struct op_case *c)
{
    struct tensor *table = case_input(c, "table", CASE_PLAIN), *ids;

    if (c->status || !case_need(c, table->shape.rank == 2, "table [K, D]"))
        return NULL;
    ids = case_indices(c, "ids", table->shape.dim[0]);
    return ids ? op_embedding(c->graph, table, ids) : NULL;
}

/* --- convolution -------------------------------------------------------------------------- */

/* "pad" is [h, w] or [left, right, top, bottom]. */
static struct conv_geometry conv_attributes(struct op_case *c)
{
    struct conv_geometry geometry = {.stride = case_int(c, "stride", 1, 64)};
    int64_t pad[4] = {0}, n = 0;

    if (!c->status)
        c->status = config_ints(pad, &n, 4, c->attributes, "pad", 0, 64, c->err);
    if (!case_need(c, n == 2 || n == 4, "\"pad\" has two or four numbers"))
        return geometry;
    geometry.left = n == 2 ? pad[1] : pad[0];
    geometry.right = pad[1];
    geometry.top = n == 2 ? pad[0] : pad[2];
    geometry.bottom = n == 2 ? pad[0] : pad[3];
    return geometry;
}

static struct tensor *build_conv2d(struct op_case *c)
{
    struct conv_geometry geometry = conv_attributes(c);
    int64_t groups = case_int(c, "groups", 1, 1 << 20);
    struct tensor *x = case_input(c, "x", CASE_PICTURE), *w = case_input(c, "weight", CASE_PICTURE);
    struct tensor *b = case_optional(c, "bias", CASE_PLAIN);

    if (c->status ||
        !case_need(c,
                   x->shape.rank == 4 && w->shape.rank == 4 &&
                       x->shape.dim[3] == groups * w->shape.dim[3] &&
                       w->shape.dim[0] % groups == 0 && has_shape(b, SHAPE(w->shape.dim[0])) &&
                       x->shape.dim[1] + geometry.top + geometry.bottom >= w->shape.dim[1] &&
                       x->shape.dim[2] + geometry.left + geometry.right >= w->shape.dim[2],
                   "x [N, I, H, W], weight [O, I / groups, kh, kw] no larger than x, bias [O]"))
        return NULL;
    return op_conv2d_grouped(c->graph, x, w, b, geometry, groups);
}

/* --- norms -------------------------------------------------------------------------------- */

static struct tensor *group_norm_of(struct op_case *c, bool film)
{
    int64_t groups = case_int(c, "groups", 1, 1 << 20), C;
    double eps = case_real(c, "eps");
    struct tensor *x = case_input(c, "x", CASE_PICTURE), *w = case_input(c, "weight", CASE_PLAIN);
    struct tensor *b = case_input(c, "bias", CASE_PLAIN);
    struct tensor *emb = film ? case_input(c, "emb", CASE_PLAIN) : NULL;

    if (c->status)
        return NULL;
    C = shape_last(x->shape);
    if (!case_need(c,
                   x->shape.rank >= 3 && C % groups == 0 && has_shape(w, SHAPE(C)) &&
                       has_shape(b, SHAPE(C)) && has_shape(emb, SHAPE(x->shape.dim[0], 2 * C)),
                   "x [N, C, ...], groups dividing C, weight and bias [C], emb [N, 2 C]"))
        return NULL;
    return op_groupnorm(c->graph, x, groups, w, b, emb, false, eps);
}

static struct tensor *build_group_norm(struct op_case *c)
{
    return group_norm_of(c, false);
}

static struct tensor *build_group_norm_film(struct op_case *c)
{
    return group_norm_of(c, true);
}

static struct tensor *build_batch_norm(struct op_case *c)
{
    double eps = case_real(c, "eps");
    struct tensor *x = case_input(c, "x", CASE_PICTURE), *w = case_input(c, "weight", CASE_PLAIN);
    struct tensor *b = case_input(c, "bias", CASE_PLAIN);
    int64_t C;

    if (c->status)
        return NULL;
    C = shape_last(x->shape);
    if (!case_need(c, x->shape.rank >= 3 && has_shape(w, SHAPE(C)) && has_shape(b, SHAPE(C)),
                   "x [N, C, ...], weight and bias [C]"))
        return NULL;
    return op_batchnorm(c->graph, x, w, b, eps, NULL);
}

static struct tensor *build_l2_norm(struct op_case *c)
{
    double eps = case_real(c, "eps");
    struct tensor *x = case_input(c, "x", CASE_PLAIN);

    if (c->status || !case_need(c, x->shape.rank > 0 && eps > 0, "x [..., D], eps above 0"))
        return NULL;
    return op_l2norm(c->graph, x, eps);
}

static struct tensor *build_layer_norm(struct op_case *c)
{
    double eps = case_real(c, "eps");
    struct tensor *x = case_input(c, "x", CASE_PLAIN), *w = case_optional(c, "weight", CASE_PLAIN);
    struct tensor *b = case_optional(c, "bias", CASE_PLAIN);

    if (c->status ||
        !case_need(c,
                   x->shape.rank > 0 && !w == !b && has_shape(w, SHAPE(shape_last(x->shape))) &&
                       has_shape(b, SHAPE(shape_last(x->shape))),
                   "x [..., D], weight and bias [D] or neither"))
        return NULL;
    return op_layernorm(c->graph, x, w, b, eps);
}

static struct tensor *build_layer_norm_modulate(struct op_case *c)
{
    double eps = case_real(c, "eps");
    struct tensor *x = case_input(c, "x", CASE_PLAIN);
    struct tensor *shift = case_optional(c, "shift", CASE_PLAIN);
    struct tensor *scale = case_input(c, "scale", CASE_PLAIN);

    if (c->status ||
        !case_need(c,
                   x->shape.rank > 1 &&
                       has_shape(shift, SHAPE(x->shape.dim[0], shape_last(x->shape))) &&
                       has_shape(scale, SHAPE(x->shape.dim[0], shape_last(x->shape))),
                   "x [N, ..., D], shift and scale [N, D]"))
        return NULL;
    return op_layernorm_modulate(c->graph, x, shift, scale, eps);
}

static struct tensor *build_rms_norm(struct op_case *c)
{
    double eps = case_real(c, "eps");
    struct tensor *x = case_input(c, "x", CASE_PLAIN), *w = case_optional(c, "weight", CASE_PLAIN);

    if (c->status || !case_need(c, x->shape.rank > 0 && has_shape(w, SHAPE(shape_last(x->shape))),
                                "x [..., D], weight [D]"))
        return NULL;
    return op_rmsnorm(c->graph, x, w, eps);
}

/* --- activations -------------------------------------------------------------------------- */

static struct tensor *build_pointwise(struct op_case *c)
{
    struct tensor *x = case_input(c, "x", CASE_PLAIN);

    return x ? c->builder->unary(c->graph, x) : NULL;
}

/* [a | b] -> half as wide. */
static struct tensor *build_gated(struct op_case *c)
{
    struct tensor *h = case_input(c, "h", CASE_PLAIN);

    if (c->status ||
        !case_need(c, h->shape.rank > 0 && shape_last(h->shape) % 2 == 0, "h [..., 2 F]"))
        return NULL;
    return c->builder->unary(c->graph, h);
}

static struct tensor *build_leaky_relu(struct op_case *c)
{
    double slope = case_real(c, "slope");
    struct tensor *x = case_input(c, "x", CASE_PLAIN);

    return x ? op_leaky_relu(c->graph, x, slope) : NULL;
}

/* --- attention ---------------------------------------------------------------------------- */

/* The projections around attention: qkv [3 C, C] and output [C, C], both with bias. */
struct projections {
    struct tensor *wqkv, *bqkv, *wo, *bo;
};

/* Take them for tokens of C channels; false with the case's status set when the file's do not fit.
 */
static bool projections_take(struct op_case *c, struct projections *p, int64_t C)
{
    p->wqkv = case_input(c, "wqkv", CASE_PLAIN);
    p->bqkv = case_input(c, "bqkv", CASE_PLAIN);
    p->wo = case_input(c, "wo", CASE_PLAIN);
    p->bo = case_input(c, "bo", CASE_PLAIN);
    return !c->status &&
           case_need(c,
                     has_shape(p->wqkv, SHAPE(3 * C, C)) && has_shape(p->bqkv, SHAPE(3 * C)) &&
                         has_shape(p->wo, SHAPE(C, C)) && has_shape(p->bo, SHAPE(C)),
                     "wqkv [3 C, C], bqkv [3 C], wo [C, C], bo [C]");
}

/* x [N, T, C] -> projected, attended, projected. */
static struct tensor *attend(struct graph *g, struct tensor *x, const struct projections *p,
                             int64_t heads, enum qkv_order order)
{
    struct tensor *qkv = op_linear(g, x, p->wqkv, p->bqkv, ACT_NONE);

    return op_linear(g, op_attention(g, qkv, heads, order), p->wo, p->bo, ACT_NONE);
}

static struct tensor *build_attention_self(struct op_case *c)
{
    int64_t heads = case_int(c, "heads", 1, 4096);
    struct tensor *x = case_input(c, "x", CASE_PLAIN);
    struct projections p;

    if (c->status ||
        !case_need(c, x->shape.rank == 3 && shape_last(x->shape) % heads == 0,
                   "x [N, T, D], heads dividing D") ||
        !projections_take(c, &p, shape_last(x->shape)))
        return NULL;
    return attend(c->graph, x, &p, heads, QKV_SPLIT);
}

/* Pixels attend to pixels: x + proj(attention(qkv(GN(x)))), Dhariwal and Nichol 2021. */
static struct tensor *build_attention_spatial(struct op_case *c)
{
    int64_t groups = case_int(c, "groups", 1, 1 << 20);
    int64_t head = case_int(c, "head_channels", 1, 1 << 20), C;
    bool new_order = strcmp(case_text(c, "order"), "new") == 0;
    double eps = case_real(c, "eps");
    struct tensor *x = case_input(c, "x", CASE_PICTURE), *h;
    struct tensor *nw = case_input(c, "nw", CASE_PLAIN), *nb = case_input(c, "nb", CASE_PLAIN);
    struct projections p;

    if (c->status)
        return NULL;
    C = shape_last(x->shape);
    if (!case_need(c,
                   x->shape.rank == 4 && C % groups == 0 && C % head == 0 &&
                       has_shape(nw, SHAPE(C)) && has_shape(nb, SHAPE(C)),
                   "x [N, C, H, W], groups and head_channels dividing C, nw and nb [C]") ||
        !projections_take(c, &p, C))
        return NULL;
    h = op_groupnorm(c->graph, x, groups, nw, nb, NULL, false, eps);
    h = op_reshape(c->graph, h, SHAPE(x->shape.dim[0], x->shape.dim[1] * x->shape.dim[2], C));
    h = attend(c->graph, h, &p, C / head, new_order ? QKV_SPLIT : QKV_PERHEAD);
    return op_add(c->graph, x, op_reshape(c->graph, h, x->shape));
}

/* q, k, v of one shape as one packed tensor [N, T, 3 D]; NULL with the case skipped or failed. */
static struct tensor *pack_qkv(struct op_case *c)
{
    struct tensor *q = case_input(c, "q", CASE_HEADS), *k = case_input(c, "k", CASE_HEADS);
    struct tensor *v = case_input(c, "v", CASE_HEADS);

    if (c->status || !case_need(c, shape_count(q->shape) > 0, "queries of some size"))
        return NULL;
    if (!shape_equal(q->shape, k->shape) || !shape_equal(q->shape, v->shape))
        return case_skip(c, "attention with queries, keys and values of different sizes is not "
                            "implemented");
    return op_concat(c->graph, op_concat(c->graph, q, k), v);
}

/* Heads of d channels made `wide` by zeros: [N, T, heads d] -> [N, T, heads wide]. */
static struct tensor *heads_widen(struct graph *g, struct tensor *x, int64_t heads, int64_t wide)
{
    int64_t N = x->shape.dim[0], T = x->shape.dim[1], d = shape_last(x->shape) / heads;

    if (d == wide)
        return x;
    x = op_concat(g, op_reshape(g, x, SHAPE(N, T, heads, d)),
                  op_fill(g, SHAPE(N, T, heads, wide - d), 0));
    return op_reshape(g, x, SHAPE(N, T, heads * wide));
}

/* Heads of one size attend to each other; where values have heads of another, all get the larger,
 * and q the factor by which that changes the scale of the scores. */
static struct tensor *build_attention_core(struct op_case *c)
{
    struct tensor *q = case_input(c, "q", CASE_HEADS), *k = case_input(c, "k", CASE_HEADS);
    struct tensor *v = case_input(c, "v", CASE_HEADS), *kv;
    int64_t heads = case_heads(c, "q"), d, of_v, wide;
    struct graph *g = c->graph;

    if (c->status || !case_need(c,
                                shape_count(q->shape) > 0 && case_heads(c, "k") == heads &&
                                    case_heads(c, "v") == heads &&
                                    shape_last(k->shape) == shape_last(q->shape) &&
                                    k->shape.dim[0] == q->shape.dim[0] &&
                                    shape_rows(k->shape) == shape_rows(v->shape) &&
                                    v->shape.dim[0] == k->shape.dim[0],
                                "queries, keys and values of heads that fit together"))
        return NULL;
    d = shape_last(q->shape) / heads;
    of_v = shape_last(v->shape) / heads;
    if (!case_need(c, of_v >= d, "heads of values no smaller than those of keys"))
        return NULL;
    wide = of_v;
    kv = op_concat(g, heads_widen(g, k, heads, wide), v);
    q = op_affine(g, heads_widen(g, q, heads, wide), sqrt((double)wide / (double)d), 0);
    return op_attention_cross(g, q, kv, NULL, heads);
}

/* x [N, T, A] asks ctx [N, S, B], projected to [D] by wq, wk and wv, and back by wo. */
static struct tensor *build_attention_cross(struct op_case *c)
{
    int64_t heads = case_int(c, "heads", 1, 4096), D, A, B;
    struct tensor *x = case_input(c, "x", CASE_PLAIN), *ctx = case_input(c, "ctx", CASE_PLAIN);
    struct tensor *wq = case_input(c, "wq", CASE_PLAIN), *wk = case_input(c, "wk", CASE_PLAIN);
    struct tensor *wv = case_input(c, "wv", CASE_PLAIN), *wo = case_input(c, "wo", CASE_PLAIN);
    struct tensor *bo = case_input(c, "bo", CASE_PLAIN), *mask, *kv;
    struct graph *g = c->graph;

    if (c->status ||
        !case_need(c, x->shape.rank == 3 && ctx->shape.rank == 3 && wq->shape.rank == 2,
                   "x [N, T, A], ctx [N, S, B], wq [D, A]"))
        return NULL;
    D = wq->shape.dim[0], A = shape_last(x->shape), B = shape_last(ctx->shape);
    if (!case_need(c,
                   D > 0 && D % heads == 0 && ctx->shape.dim[0] == x->shape.dim[0] &&
                       has_shape(wq, SHAPE(D, A)) && has_shape(wk, SHAPE(D, B)) &&
                       has_shape(wv, SHAPE(D, B)) && has_shape(wo, SHAPE(A, D)) &&
                       has_shape(bo, SHAPE(A)),
                   "projections of the sizes of x and ctx"))
        return NULL;
    mask = case_mask(c, "mask", ctx->shape.dim[0], ctx->shape.dim[1]);
    if (!mask)
        return NULL;
    kv = op_concat(g, op_linear(g, ctx, wk, NULL, ACT_NONE), op_linear(g, ctx, wv, NULL, ACT_NONE));
    x = op_attention_cross(g, op_linear(g, x, wq, NULL, ACT_NONE), kv, mask, heads);
    return op_linear(g, x, wo, bo, ACT_NONE);
}

static struct tensor *build_qk_rmsnorm(struct op_case *c)
{
    struct tensor *wq = case_input(c, "wq", CASE_PLAIN), *wk = case_input(c, "wk", CASE_PLAIN);
    double eps = case_real(c, "eps");
    struct tensor *qkv = pack_qkv(c);
    int64_t heads, d;

    if (!qkv)
        return NULL;
    heads = case_heads(c, "q");
    d = shape_last(qkv->shape) / 3 / heads;
    if (!case_need(c, has_shape(wq, SHAPE(d)) && has_shape(wk, SHAPE(d)), "wq and wk [d]"))
        return NULL;
    qkv = op_qk_norm(c->graph, qkv, heads, wq, wk, eps);
    return op_attention(c->graph, qkv, heads, QKV_SPLIT);
}

/* The tables of an op_rope for a grid of patches, in the fixture's memory. */
static enum status rotary_tables(struct op_case *c, int64_t d, int64_t grid, float **cos,
                                 float **sin)
{
    uint64_t n = (uint64_t)(grid * grid * d);
    struct network *net = NULL;
    enum status st;

    if (!(st = model_of_tables(&net, d, grid, true, c->err)) &&
        !(st = fixture_new(c->fixture, (void **)cos, n, sizeof(float), c->err)) &&
        !(st = fixture_new(c->fixture, (void **)sin, n, sizeof(float), c->err))) {
        memcpy(*cos, params_find(net->params, "feat_rope.freqs_cos")->value, n * sizeof(float));
        memcpy(*sin, params_find(net->params, "feat_rope.freqs_sin")->value, n * sizeof(float));
    }
    network_free(net);
    return st;
}

/* The op turns q and k of a packed tensor; here x is q, and the rest is zero. */
static struct tensor *build_rope2d(struct op_case *c)
{
    int64_t grid = case_int(c, "grid", 1, 256), d = case_int(c, "head_dim", 4, 4096);
    double theta = case_real(c, "theta");
    struct tensor *x = case_input(c, "x", CASE_HEADS), *zero, *qkv;
    float *cos = NULL, *sin = NULL;

    if (c->status)
        return NULL;
    if (theta < 10000 || theta > 10000)
        return case_skip(c, "rotary positions have theta 10000");
    if (!case_need(c,
                   x->shape.dim[1] == grid * grid && shape_last(x->shape) == d * case_heads(c, "x"),
                   "x [N, heads, grid grid, head_dim]") ||
        (c->status = rotary_tables(c, d, grid, &cos, &sin)))
        return NULL;
    zero = op_fill(c->graph, x->shape, 0);
    qkv = op_concat(c->graph, op_concat(c->graph, x, zero), zero);
    qkv = op_rope(c->graph, qkv, case_heads(c, "x"),
                  graph_input(c->graph, SHAPE(grid * grid, d), cos),
                  graph_input(c->graph, SHAPE(grid * grid, d), sin));
    return op_slice(c->graph, qkv, 0, shape_last(x->shape));
}

/* --- resampling --------------------------------------------------------------------------- */

static struct tensor *build_upsample(struct op_case *c)
{
    struct tensor *x = case_input(c, "x", CASE_PICTURE);

    if (c->status || !case_need(c, x->shape.rank == 4, "x [N, C, H, W]"))
        return NULL;
    return op_upsample2(c->graph, x);
}

static struct tensor *build_avgpool(struct op_case *c)
{
    struct tensor *x = case_input(c, "x", CASE_PICTURE);

    if (c->status ||
        !case_need(c, x->shape.rank == 4 && x->shape.dim[1] % 2 == 0 && x->shape.dim[2] % 2 == 0,
                   "x [N, C, H, W] with H and W even"))
        return NULL;
    return op_avgpool2(c->graph, x);
}

static struct tensor *build_concat(struct op_case *c)
{
    struct tensor *a = case_input(c, "a", CASE_PICTURE), *b = case_input(c, "b", CASE_PICTURE);

    if (c->status ||
        !case_need(c,
                   a->shape.rank > 0 &&
                       shape_equal(a->shape, shape_with_last(b->shape, shape_last(a->shape))),
                   "a and b alike but for their channels"))
        return NULL;
    return op_concat(c->graph, a, b);
}

static struct tensor *build_patchify(struct op_case *c)
{
    int64_t p = case_int(c, "patch", 1, 4096);
    struct tensor *x = case_input(c, "x", CASE_PICTURE);

    if (c->status ||
        !case_need(c, x->shape.rank == 4 && x->shape.dim[1] % p == 0 && x->shape.dim[2] % p == 0,
                   "x [N, C, H, W], patch dividing H and W"))
        return NULL;
    return op_patchify(c->graph, x, p);
}

/* The file says no height: it is that of the result. */
static struct tensor *build_unpatchify(struct op_case *c)
{
    int64_t p = case_int(c, "patch", 1, 4096), H, W;
    struct tensor *t = case_input(c, "t", CASE_PLAIN);
    const struct file_tensor *out;
    char key[256];

    snprintf(key, sizeof(key), "%s.out", c->name);
    out = weights_find(c->part->file, key);
    if (c->status || !case_need(c, t->shape.rank == 3 && out && out->rank == 4,
                                "t [N, T, p p C], out [N, C, H, W]"))
        return NULL;
    H = out->dim[2];
    W = out->dim[3];
    if (!case_need(c,
                   H % p == 0 && W % p == 0 && t->shape.dim[1] == H / p * (W / p) &&
                       t->shape.dim[2] == p * p * out->dim[1],
                   "tokens that fill the picture"))
        return NULL;
    return op_unpatchify(c->graph, t, H, W, p);
}

/* --- the table ---------------------------------------------------------------------------- */

static const struct op_builder builders[] = {
    {"attention_core", CASE_HEADS, build_attention_core, NULL},
    {"attention_cross", CASE_PLAIN, build_attention_cross, NULL},
    {"attention_self", CASE_PLAIN, build_attention_self, NULL},
    {"attention_spatial", CASE_PICTURE, build_attention_spatial, NULL},
    {"avgpool2", CASE_PICTURE, build_avgpool, NULL},
    {"batch_norm_train", CASE_PICTURE, build_batch_norm, NULL},
    {"concat_channels", CASE_PICTURE, build_concat, NULL},
    {"conv2d", CASE_PICTURE, build_conv2d, NULL},
    {"embedding", CASE_PLAIN, build_embedding, NULL},
    {"geglu", CASE_PLAIN, build_gated, op_geglu},
    {"gelu_erf", CASE_PLAIN, build_pointwise, op_gelu_erf},
    {"gelu_tanh", CASE_PLAIN, build_pointwise, op_gelu},
    {"group_norm", CASE_PICTURE, build_group_norm, NULL},
    {"group_norm_film", CASE_PICTURE, build_group_norm_film, NULL},
    {"l2_normalize", CASE_PLAIN, build_l2_norm, NULL},
    {"layer_norm", CASE_PLAIN, build_layer_norm, NULL},
    {"layer_norm_modulate", CASE_PLAIN, build_layer_norm_modulate, NULL},
    {"leaky_relu", CASE_PLAIN, build_leaky_relu, NULL},
    {"linear", CASE_PLAIN, build_linear, NULL},
    {"mp_silu", CASE_PLAIN, build_pointwise, op_mp_silu},
    {"nearest_x2", CASE_PICTURE, build_upsample, NULL},
    {"patchify_tokens", CASE_PATCHES, build_patchify, NULL},
    {"qk_rmsnorm", CASE_HEADS, build_qk_rmsnorm, NULL},
    {"rms_norm", CASE_PLAIN, build_rms_norm, NULL},
    {"rope2d", CASE_HEADS, build_rope2d, NULL},
    {"silu", CASE_PLAIN, build_pointwise, op_silu},
    {"softmax_last", CASE_PLAIN, build_pointwise, op_softmax},
    {"swiglu", CASE_PLAIN, build_gated, op_swiglu},
    {"tanh", CASE_PLAIN, build_pointwise, op_tanh},
    {"unpatchify_tokens", CASE_PICTURE, build_unpatchify, NULL},
};

/* Files write a constant into some names ("leaky_relu_0.2"); it stands in the attributes too. */
static bool name_fits(const char *op, const char *row)
{
    size_t n = strlen(row);

    if (strncmp(op, row, n) != 0)
        return false;
    return !op[n] ||
           (op[n] == '_' && op[n + 1] && strspn(op + n + 1, "0123456789.") == strlen(op + n + 1));
}

static const struct op_builder *find_among(const struct op_builder *rows, size_t n, const char *op)
{
    for (size_t i = 0; i < n; i++)
        if (name_fits(op, rows[i].op))
            return &rows[i];
    return NULL;
}

static const struct op_builder *builder_find(const char *op)
{
    size_t n, n_losses;
    const struct op_builder *more = magnitude_builders(&n), *losses = loss_builders(&n_losses);
    const struct op_builder *found =
        find_among(builders, sizeof(builders) / sizeof(builders[0]), op);

    if (!found)
        found = find_among(more, n, op);
    return found ? found : find_among(losses, n_losses, op);
}

/* The accepted deviation is 2e-5, but where a group's values lie so close together that float32
 * cannot say how close (a spread of under a hundredth of their size, eps included), single
 * precision itself only reaches 1.5e-4 and 1e-3 is accepted. */
static enum status limit_of(struct op_case *c, struct parity_limit *limit)
{
    int64_t groups = json_integer_value(json_object_get(c->attributes, "groups")), n;
    double eps = json_number_value(json_object_get(c->attributes, "eps"));
    struct parity_array x;
    char key[256];
    enum status st;

    *limit = (struct parity_limit){.of_max = 2e-5, .absolute = 1e-9};
    snprintf(key, sizeof(key), "%s.in.x", c->name);
    if (groups < 1 || eps <= 0 || !weights_find(c->part->file, key))
        return OK;
    if ((st = fixture_f32(c->fixture, &x, c->part, key, c->err)))
        return st;
    n = x.shape.rank > 1 && x.n > 0 ? x.n / x.shape.dim[0] / groups : 0;
    for (int64_t first = 0; n > 0 && first + n <= x.n; first += n) {
        double mean = 0, variance = 0;

        for (int64_t i = first; i < first + n; i++)
            mean += (double)x.v[i] / (double)n;
        for (int64_t i = first; i < first + n; i++)
            variance += ((double)x.v[i] - mean) * ((double)x.v[i] - mean) / (double)n;
        if (fabs(mean) > 100 * sqrt(variance + eps))
            limit->of_max = 1e-3;
    }
    return OK;
}

/* One case of the metadata.  A bad one fails by itself; the others are still worth comparing. */
static enum status case_open(struct parity_report *r, struct parity_fixture *f, const char *name,
                             json_t *attributes, const struct parity_options *options,
                             struct error *err)
{
    struct op_case c = {.fixture = f,
                        .part = fixture_part(f, ""),
                        .name = name,
                        .attributes = attributes,
                        .err = err};
    const char *op = json_string_value(json_object_get(attributes, "op"));
    struct parity_limit limit;
    enum status st;

    if (!op)
        return fail(err, E_FORMAT, "the case %s names no operator", name);
    c.builder = builder_find(op);
    if (!c.builder) {
        parity_skip(r, name, "the operator %s is not implemented", op);
        return OK;
    }
    if ((st = limit_of(&c, &limit)))
        return st;
    return case_check(&c, r, limit, options);
}

static enum status ops_check(struct parity_report *r, struct parity_fixture *f,
                             const struct parity_options *options, struct error *err)
{
    json_t *cases, *attributes;
    const char *name;
    enum status st = fixture_metadata(&cases, fixture_part(f, ""), "cases", err);

    if (st)
        return st;
    json_object_foreach(cases, name, attributes)
    {
        if (case_open(r, f, name, attributes, options, err))
            parity_claim(r, name, false, "%s", err->text);
    }
    json_decref(cases);
    return OK;
}

const struct parity_checker parity_ops = {.kind = "ops", .parts = {""}, .check = ops_check};
