/*
 * op_magnitude.c - builders of magnitude-preserving operators (EDM2), for parity_ops.c
 *
 * The files hold them one by one, as a layer uses them: a weight is normalised and multiplied with
 * in the same case.  Attention comes with each head's channels dealt to q, k and v in turn, an
 * order that the library meets in files only.
 */
#include "op_case.h"

#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "ops/linear.h"
#include "ops/magnitude.h"

/* The library's constant is the published one; a file with another asks for another operator. */
static struct tensor *build_pixel_norm(struct op_case *c)
{
    double eps = case_real(c, "eps");
    struct tensor *x = case_input(c, "x", CASE_PICTURE);

    if (c->status)
        return NULL;
    if (eps < MAGNITUDE_EPS || eps > MAGNITUDE_EPS)
        return case_skip(c, "pixel norm has eps 1e-4");
    return op_pixel_norm(c->graph, x);
}

static struct tensor *build_conv(struct op_case *c)
{
    double gain = case_real(c, "gain");
    struct tensor *x = case_input(c, "x", CASE_PICTURE), *w = case_input(c, "w", CASE_PICTURE);
    int64_t pad;

    if (c->status ||
        !case_need(c,
                   x->shape.rank == 4 && w->shape.rank == 4 && x->shape.dim[3] == w->shape.dim[3] &&
                       w->shape.dim[1] == w->shape.dim[2] && w->shape.dim[1] % 2 == 1,
                   "x [N, I, H, W], w [O, I, k, k], k odd"))
        return NULL;
    pad = w->shape.dim[1] / 2;
    return op_conv2d(c->graph, x, op_weight_norm(c->graph, w, gain), NULL,
                     (struct conv_geometry){1, pad, pad, pad, pad});
}

static struct tensor *build_linear(struct op_case *c)
{
    double gain = case_real(c, "gain");
    struct tensor *x = case_input(c, "x", CASE_PLAIN), *w = case_input(c, "w", CASE_PLAIN);

    if (c->status || !case_need(c,
                                w->shape.rank == 2 && x->shape.rank > 0 &&
                                    shape_last(x->shape) == w->shape.dim[1],
                                "x [..., I], w [O, I]"))
        return NULL;
    return op_linear(c->graph, x, op_weight_norm(c->graph, w, gain), NULL, ACT_NONE);
}

/* The balance of a sum or a concatenation; 1 would leave nothing of a. */
static double balance(struct op_case *c)
{
    double t = case_real(c, "t");

    return case_need(c, t >= 0 && t < 1, "t in [0, 1)") ? t : 0;
}

static struct tensor *build_sum(struct op_case *c)
{
    double t = balance(c);
    struct tensor *a = case_input(c, "a", CASE_PICTURE), *b = case_input(c, "b", CASE_PICTURE);

    if (c->status || !case_need(c, shape_equal(a->shape, b->shape), "a and b of one shape"))
        return NULL;
    return op_mp_sum(c->graph, a, b, t);
}

static struct tensor *build_cat(struct op_case *c)
{
    double t = balance(c);
    struct tensor *a = case_input(c, "a", CASE_PICTURE), *b = case_input(c, "b", CASE_PICTURE);

    if (c->status ||
        !case_need(c,
                   a->shape.rank > 0 && shape_count(a->shape) > 0 && shape_count(b->shape) > 0 &&
                       shape_equal(a->shape, shape_with_last(b->shape, shape_last(a->shape))),
                   "a and b alike but for their channels"))
        return NULL;
    return op_mp_cat(c->graph, a, b, t);
}

static struct tensor *build_cosine_attention(struct op_case *c)
{
    int64_t heads = case_int(c, "heads", 1, 4096), N, T, D;
    struct tensor *qkv = case_input(c, "qkv", CASE_DEALT), *h;

    if (c->status)
        return NULL;
    N = qkv->shape.dim[0];
    T = qkv->shape.dim[1] * qkv->shape.dim[2];
    D = shape_last(qkv->shape) / 3;
    h = op_pixel_norm(c->graph, op_reshape(c->graph, qkv, SHAPE(N, T, 3 * heads, D / heads)));
    return op_attention(c->graph, op_reshape(c->graph, h, SHAPE(N, T, 3 * D)), heads, QKV_PERHEAD);
}

static const struct op_builder builders[] = {
    {"cosine_attention", CASE_PICTURE, build_cosine_attention, NULL},
    {"mp_cat", CASE_PICTURE, build_cat, NULL},
    {"mp_conv3", CASE_PICTURE, build_conv, NULL},
    {"mp_linear_gain", CASE_PLAIN, build_linear, NULL},
    {"mp_sum", CASE_PICTURE, build_sum, NULL},
    {"pixel_norm", CASE_PICTURE, build_pixel_norm, NULL},
};

const struct op_builder *magnitude_builders(size_t *n)
{
    *n = sizeof(builders) / sizeof(builders[0]);
    return builders;
}
