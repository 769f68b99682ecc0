/*
 * broadcast.c - one row added to, or multiplied with, many
 *
 * What conditions a network (time, label) comes as one row a sample and meets every row of that
 * sample. The row stays in the first-level cache while the sample streams past, so these ops cost
 * what one read and one write of x cost.  The gated residual, x + gate y, is one node because it
 * ends every branch of a DiT block: in three ops it would move seven tensors instead of three.  Its
 * adjoint makes both gradients in one pass, the gate's by fixed blocks of rows (ops/rows.h).
 */
#include "ops/basic.h"

#include "base/simd.h"
#include "ops/rows.h"

#include <string.h>

/* --- x + v ------------------------------------------------------------------------------------ */

/* What v's row is chosen by. */
enum vec_form {
    VEC_ALL,      /* [D]: the same for all rows            */
    VEC_SAMPLE,   /* [N, D]: the sample                    */
    VEC_POSITION, /* [1, ..., D]: the place in the sample  */
};

static double one_flop(const struct tensor *y)
{
    return (double)shape_count(y->shape);
}

static int64_t rows_of_sample(struct shape s)
{
    return rows_of_samples(s).rows;
}

IMGEN_CLONES static void add_row(float *out, const float *x, const float *v, int64_t D)
{
#pragma omp simd
    for (int64_t d = 0; d < D; d++)
        out[d] = x[d] + v[d];
}

static void add_vec_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape), T = rows_of_sample(y->shape);
    const float *x = y->in[0]->data, *v = y->in[1]->data;
    enum vec_form form = (enum vec_form)y->arg[0].i;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++) {
        int64_t row = form == VEC_ALL ? 0 : form == VEC_SAMPLE ? at.sample : r - at.sample * T;

        add_row(out + r * D, x + r * D, v + row * D, D);
    }
}

static void add_vec_cpu(const struct tensor *y)
{
    each_block(y, rows_of_samples(y->shape), add_vec_block);
}

/* Sum over samples, [N, ...] -> [1, ...]: each element adds its N terms in order. */
IMGEN_CLONES static void sum_samples_block(const struct tensor *y, struct block at)
{
    int64_t N = y->in[0]->shape.dim[0], n = shape_count(y->shape);
    const float *restrict x = y->in[0]->data;
    float *restrict out = y->data;

    memset(out + at.first, 0, (size_t)(at.last - at.first) * sizeof(float));
    for (int64_t s = 0; s < N; s++)
        for (int64_t i = at.first; i < at.last; i++)
            out[i] += x[s * n + i];
}

static void sum_samples_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), sum_samples_block);
}

static const struct op sum_samples = {.name = "sum_samples", .cpu = sum_samples_cpu};

static void add_vec_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *v = y->in[1], *dv;

    grad_add(g, x, y->grad);
    if (!v->wants_grad)
        return;
    if (y->arg[0].i == VEC_ALL)
        dv = op_sum_rows(g, y->grad);
    else if (y->arg[0].i == VEC_SAMPLE)
        dv = op_sum_inner(g, y->grad);
    else
        dv = record(g, &sum_samples, v->shape, y->grad, NULL, NULL, NULL);
    grad_add(g, v, dv);
}

static const struct op add_vec = {.name = "add_vec",
                                  .cpu = add_vec_cpu,
                                  .adjoint = add_vec_adjoint,
                                  .flops = one_flop,
                                  .inplace = 1};

static enum vec_form vec_form(struct shape x, struct shape v)
{
    struct shape position = x;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    position.dim[0] = 1;
    if (v.rank == 1 && v.dim[0] == shape_last(x))
        return VEC_ALL;
    if (v.rank == 2 && x.rank >= 2 && shape_equal(v, SHAPE(x.dim[0], shape_last(x))))
        return VEC_SAMPLE;
    MUST(x.rank >= 2 && shape_equal(v, position),
         "add_vec: %s is no row [D], row a sample [N, D], or single sample [1, ..., D] of %s",
         shape_text(s, v), shape_text(t, x));
    return VEC_POSITION;
}

struct tensor *op_add_vec(struct graph *g, struct tensor *x, struct tensor *v)
{
    enum vec_form form = vec_form(x->shape, v->shape);
    struct tensor *y = record(g, &add_vec, x->shape, x, v, NULL, NULL);

    y->arg[0].i = form;
    return y;
}

/* --- x + gate h: 12 bytes and 2 flops an element ---------------------------------------------- */

static double two_flops(const struct tensor *y)
{
    return 2 * one_flop(y);
}

IMGEN_CLONES static void gated_add_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *x = y->in[0]->data, *h = y->in[2]->data;
    const float *gate = (const float *)y->in[1]->data + at.sample * D;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
#pragma omp simd
        for (int64_t d = 0; d < D; d++)
            out[r * D + d] = h[r * D + d] * gate[d] + x[r * D + d];
}

static void gated_add_cpu(const struct tensor *y)
{
    each_block(y, rows_of_samples(y->shape), gated_add_block);
}

/* dh = gate dy, and beside it dgate = sum over the sample's rows of dy h. */
IMGEN_CLONES static void gated_add_dh_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *dy = y->in[0]->data, *h = y->in[2]->data;
    const float *gate = (const float *)y->in[1]->data + at.sample * D;
    float *dh = y->data, *dgate = (float *)y->scratch + at.index * D;

    memset(dgate, 0, (size_t)D * sizeof(float));
    for (int64_t r = at.first; r < at.last; r++)
#pragma omp simd
        for (int64_t d = 0; d < D; d++) {
            float slope = dy[r * D + d];

            dgate[d] += slope * h[r * D + d];
            dh[r * D + d] = slope * gate[d];
        }
}

static size_t gated_add_dh_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(rows_of_samples(y->shape), shape_last(y->shape)) * sizeof(float);
}

static void gated_add_dh_cpu(const struct tensor *y)
{
    struct row_blocks b = rows_of_samples(y->shape);

    each_block(y, b, gated_add_dh_block);
    partial_total(y->side->data, y->scratch, b, b.width);
}

static const struct op gated_add_dh = {.name = "gated_add_dh",
                                       .cpu = gated_add_dh_cpu,
                                       .scratch = gated_add_dh_scratch,
                                       .flops = two_flops,
                                       .inplace = 1 | 4};

static void gated_add_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *gate = y->in[1], *h = y->in[2], *dh;

    grad_add(g, x, y->grad);
    if (!gate->wants_grad && !h->wants_grad)
        return;
    dh = record(g, &gated_add_dh, y->shape, y->grad, gate, h, NULL);
    grad_add(g, gate, record_side(g, dh, gate->shape));
    grad_add(g, h, dh);
}

static const struct op gated_add = {.name = "gated_add",
                                    .cpu = gated_add_cpu,
                                    .adjoint = gated_add_adjoint,
                                    .flops = two_flops,
                                    .inplace = 1 | 4};

struct tensor *op_gated_add(struct graph *g, struct tensor *x, struct tensor *gate,
                            struct tensor *y)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT], u[SHAPE_TEXT];

    MUST(x->shape.rank >= 2 && shape_equal(x->shape, y->shape) &&
             shape_equal(gate->shape, SHAPE(x->shape.dim[0], shape_last(x->shape))),
         "gated_add: %s + %s * %s", shape_text(s, x->shape), shape_text(t, gate->shape),
         shape_text(u, y->shape));
    return record(g, &gated_add, x->shape, x, gate, y, NULL);
}
