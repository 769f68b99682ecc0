/*
 * codebook.c - vectors replaced by the nearest of a list, and gradients that go around that
 *
 * A discrete latent is a vector replaced by the nearest row of a codebook (van den Oord et al.
 * 2017, "Neural discrete representation learning", (2)).  The choice is piecewise constant and has
 * no useful gradient, so the decoder's gradient is given to the vector as if nothing had been
 * replaced: one op chooses, op_embedding fetches the rows, and op_straight_through exchanges who is
 * differentiated.  It hands on the code itself and not z + (code - z), whose rounding would make
 * other numbers of equal codes.
 *
 * Distances are summed as squares of differences: |z|^2 - 2 z e + |e|^2 would be a matrix product
 * and three times as fast, and confuses neighbours where the codes are far from zero and close
 * together.  Codes have 3 to 8 numbers, so a decoder behind them costs a thousand times more.
 */
#include "ops/codebook.h"

#include "ops/rows.h"

static double distance(const float *a, const float *b, int64_t D)
{
    double sum = 0;

    for (int64_t d = 0; d < D; d++) {
        double gap = (double)a[d] - (double)b[d];

        sum += gap * gap;
    }
    return sum;
}

static void nearest_block(const struct tensor *y, struct block at)
{
    const struct tensor *codebook = y->in[1];
    int64_t K = codebook->shape.dim[0], D = codebook->shape.dim[1];
    const float *z = y->in[0]->data, *code = codebook->data;
    int32_t *out = y->data;

    for (int64_t r = at.first; r < at.last; r++) {
        double least = distance(z + r * D, code, D), far;

        out[r] = 0;
        for (int64_t k = 1; k < K; k++)
            if ((far = distance(z + r * D, code + k * D, D)) < least) {
                least = far;
                out[r] = (int32_t)k;
            }
    }
}

static void nearest_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->in[0]->shape), nearest_block);
}

static double nearest_flops(const struct tensor *y)
{
    return 3 * (double)shape_count(y->shape) * (double)shape_count(y->in[1]->shape);
}

static const struct op nearest = {.name = "nearest", .cpu = nearest_cpu, .flops = nearest_flops};

struct tensor *op_nearest(struct graph *g, struct tensor *z, struct tensor *codebook)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *y;

    MUST(codebook->shape.rank == 2 && codebook->shape.dim[0] > 0 &&
             shape_last(codebook->shape) == shape_last(z->shape),
         "nearest: vectors %s among codes %s", shape_text(s, z->shape),
         shape_text(t, codebook->shape));
    y = record(g, &nearest, SHAPE(shape_rows(z->shape)), z, codebook, NULL, NULL);
    y->dtype = DTYPE_I32;
    y->wants_grad = false;
    return y;
}

/* --- who is differentiated -----------------------------------------------------------------------
 */

static void straight_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[1], y->grad);
}

static const struct op straight = {
    .name = "straight_through", .adjoint = straight_adjoint, .view = true};

struct tensor *op_straight_through(struct graph *g, struct tensor *value, struct tensor *through)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *y;

    MUST(shape_equal(value->shape, through->shape), "straight_through: %s instead of %s",
         shape_text(s, value->shape), shape_text(t, through->shape));
    y = record(g, &straight, value->shape, value, through, NULL, NULL);
    y->wants_grad = through->wants_grad;
    return y;
}
