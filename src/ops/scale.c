/*
 * scale.c - each sample of a batch times its own number
 *
 * A weight of the noise level is one number a sample.  It is multiplied into the prediction before
 * the difference is squared rather than into the squares: the mean square stays the op it is, and a
 * weight that goes to infinity where the difference goes to zero is never formed.
 */
#include "ops/loss.h"

#include "base/simd.h"
#include "ops/basic.h"
#include "ops/rows.h"

static double one_flop(const struct tensor *y)
{
    return (double)shape_count(y->shape);
}

/* --- 8 bytes and 1 flop an element ------------------------------------------------------------ */

IMGEN_CLONES static void scale_block(const struct tensor *y, struct block at)
{
    int64_t D = shape_last(y->shape);
    const float *x = y->in[0]->data;
    float s = ((const float *)y->in[1]->data)[at.sample], *out = y->data;

#pragma omp simd
    for (int64_t i = at.first * D; i < at.last * D; i++)
        out[i] = s * x[i];
}

/* A batch of single numbers is a row a sample too. */
static struct shape with_rows(struct shape s)
{
    return s.rank > 1 ? s : SHAPE(s.dim[0], 1);
}

static void scale_cpu(const struct tensor *y)
{
    struct shape s = with_rows(y->shape);
    struct row_blocks b = rows_of_samples(s);

    if (y->shape.rank > 1) {
        each_block(y, b, scale_block);
        return;
    }
    for (int64_t i = 0; i < s.dim[0]; i++)
        ((float *)y->data)[i] =
            ((const float *)y->in[1]->data)[i] * ((const float *)y->in[0]->data)[i];
}

static void scale_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *s = y->in[1], *ds;
    int64_t N = x->shape.dim[0];

    if (x->wants_grad)
        grad_add(g, x, op_scale_samples(g, y->grad, s));
    if (!s->wants_grad)
        return;
    ds = op_reshape(g, op_mul(g, x, y->grad), SHAPE(N, shape_count(x->shape) / N, 1));
    grad_add(g, s, op_reshape(g, op_sum_inner(g, ds), SHAPE(N)));
}

static const struct op scale_samples = {.name = "scale_samples",
                                        .cpu = scale_cpu,
                                        .adjoint = scale_adjoint,
                                        .flops = one_flop,
                                        .inplace = 1};

struct tensor *op_scale_samples(struct graph *g, struct tensor *x, struct tensor *s)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    MUST(x->shape.rank > 0 && shape_equal(s->shape, SHAPE(x->shape.dim[0])),
         "scale_samples: %s is not one number for each sample of %s", shape_text(b, s->shape),
         shape_text(a, x->shape));
    return record(g, &scale_samples, x->shape, x, s, NULL, NULL);
}
