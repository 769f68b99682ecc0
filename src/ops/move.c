/*
 * move.c - the same values in another place: reshape, detach, slice, concat
 *
 * Tensors are dense (law 4 of the tape), so a slice is a copy of a run of floats from each row and
 * a concatenation is two; a reshape is the one thing that costs nothing.  The alternative, strides
 * in every tensor, would make each kernel pay for what few ops need.
 */
#include "ops/basic.h"

#include "ops/rows.h"

#include <inttypes.h>
#include <string.h>

/* --- reshape ---------------------------------------------------------------------------------- */

static void reshape_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], op_reshape(g, y->grad, y->in[0]->shape));
}

static const struct op reshape = {.name = "reshape", .adjoint = reshape_adjoint, .view = true};

struct tensor *op_reshape(struct graph *g, struct tensor *x, struct shape shape)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(shape_count(x->shape) == shape_count(shape), "reshape: %s does not fit into %s",
         shape_text(s, x->shape), shape_text(t, shape));
    return record(g, &reshape, shape, x, NULL, NULL, NULL);
}

/* --- detach ----------------------------------------------------------------------------------- */

/* Reached where somebody wanted the gradient of the detached values themselves: it ends here. */
static void detach_adjoint(struct graph *g, struct tensor *y)
{
    (void)g;
    (void)y;
}

static const struct op detach = {.name = "detach", .adjoint = detach_adjoint, .view = true};

struct tensor *op_detach(struct graph *g, struct tensor *x)
{
    struct tensor *y = record(g, &detach, x->shape, x, NULL, NULL, NULL);

    y->wants_grad = false;
    return y;
}

/* --- slice: columns [arg 0, arg 0 + width of y) of each row, 8 bytes an element --------------- */

static void slice_block(const struct tensor *y, struct block at)
{
    int64_t from = shape_last(y->in[0]->shape), to = shape_last(y->shape);
    const float *x = (const float *)y->in[0]->data + y->arg[0].i;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        memcpy(out + r * to, x + r * from, (size_t)to * sizeof(float));
}

static void slice_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), slice_block);
}

/* The rows of y: zeros, with the gradient of the slice in its place. */
static void slice_dx_block(const struct tensor *y, struct block at)
{
    int64_t from = shape_last(y->in[0]->shape), to = shape_last(y->shape), first = y->arg[0].i;
    const float *dy = y->in[0]->data;

    for (int64_t r = at.first; r < at.last; r++) {
        float *out = (float *)y->data + r * to;

        memset(out, 0, (size_t)first * sizeof(float));
        memcpy(out + first, dy + r * from, (size_t)from * sizeof(float));
        memset(out + first + from, 0, (size_t)(to - first - from) * sizeof(float));
    }
}

static void slice_dx_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), slice_dx_block);
}

static const struct op slice_dx = {.name = "slice_dx", .cpu = slice_dx_cpu};

static void slice_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dx;

    if (!y->in[0]->wants_grad)
        return;
    dx = record(g, &slice_dx, y->in[0]->shape, y->grad, NULL, NULL, NULL);
    dx->arg[0] = y->arg[0];
    grad_add(g, y->in[0], dx);
}

static const struct op slice = {.name = "slice", .cpu = slice_cpu, .adjoint = slice_adjoint};

struct tensor *op_slice(struct graph *g, struct tensor *x, int64_t first, int64_t count)
{
    char s[SHAPE_TEXT];
    struct tensor *y;

    MUST(first >= 0 && count >= 0 && first <= shape_last(x->shape) - count,
         "slice: no columns %" PRId64 " to %" PRId64 " in %s", first, first + count,
         shape_text(s, x->shape));
    y = record(g, &slice, shape_with_last(x->shape, count), x, NULL, NULL, NULL);
    y->arg[0].i = first;
    return y;
}

void op_chunk(struct graph *g, struct tensor *x, int n, struct tensor *out[])
{
    char s[SHAPE_TEXT];
    int64_t width = n > 0 ? shape_last(x->shape) / n : 0;

    MUST(n > 0 && width * n == shape_last(x->shape), "chunk: %s has no %d equal parts",
         shape_text(s, x->shape), n);
    for (int i = 0; i < n; i++)
        out[i] = op_slice(g, x, i * width, width);
}

/* --- concat: 8 bytes an element --------------------------------------------------------------- */

static void concat_block(const struct tensor *y, struct block at)
{
    int64_t A = shape_last(y->in[0]->shape), B = shape_last(y->in[1]->shape);
    const float *a = y->in[0]->data, *b = y->in[1]->data;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++) {
        memcpy(out + r * (A + B), a + r * A, (size_t)A * sizeof(float));
        memcpy(out + r * (A + B) + A, b + r * B, (size_t)B * sizeof(float));
    }
}

static void concat_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), concat_block);
}

static void concat_adjoint(struct graph *g, struct tensor *y)
{
    int64_t A = shape_last(y->in[0]->shape), B = shape_last(y->in[1]->shape);

    if (y->in[0]->wants_grad)
        grad_add(g, y->in[0], op_slice(g, y->grad, 0, A));
    if (y->in[1]->wants_grad)
        grad_add(g, y->in[1], op_slice(g, y->grad, A, B));
}

static const struct op concat = {
    .name = "concat", .cpu = concat_cpu, .adjoint = concat_adjoint, .again = record_again};

struct tensor *op_concat(struct graph *g, struct tensor *a, struct tensor *b)
{
    int64_t B = shape_last(b->shape), width = shape_last(a->shape) + B;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(shape_equal(shape_with_last(a->shape, B), b->shape),
         "concat: %s and %s differ before the last dimension", shape_text(s, a->shape),
         shape_text(t, b->shape));
    return record(g, &concat, shape_with_last(a->shape, width), a, b, NULL, NULL);
}
