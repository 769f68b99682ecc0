/*
 * add_columns.c - a narrow tensor added to some columns of a wide one
 *
 * One projection often makes several things side by side (q, k and v), and an adapter may change
 * one of them.  Concatenating zeros around its share would move three times as much; here only the
 * columns that change are touched, in place wherever nobody reads the wide tensor again.
 */
#include "ops/basic.h"

#include "base/simd.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <string.h>

/* Rows [at.first, at.last): 12 bytes and 1 flop for each element of the narrow one. */
IMGEN_CLONES static void add_columns_block(const struct tensor *y, struct block at)
{
    int64_t wide = shape_last(y->shape), n = shape_last(y->in[1]->shape);
    const float *x = y->in[0]->data, *u = y->in[1]->data;
    float *out = y->data;

    for (int64_t r = at.first; r < at.last; r++) {
        float *to = out + r * wide + y->arg[0].i;
        const float *from = u + r * n;

        if (out != x)
            memcpy(out + r * wide, x + r * wide, (size_t)wide * sizeof *out);
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            to[i] += from[i];
    }
}

static void add_columns_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), add_columns_block);
}

static void add_columns_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *u = y->in[1];

    grad_add(g, y->in[0], y->grad);
    if (u->wants_grad)
        grad_add(g, u, op_slice(g, y->grad, y->arg[0].i, shape_last(u->shape)));
}

static double add_columns_flops(const struct tensor *y)
{
    return (double)shape_count(y->in[1]->shape);
}

static const struct op add_columns = {.name = "add_columns",
                                      .cpu = add_columns_cpu,
                                      .adjoint = add_columns_adjoint,
                                      .flops = add_columns_flops,
                                      .inplace = 1};

struct tensor *op_add_columns(struct graph *g, struct tensor *x, struct tensor *u, int64_t first)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *y;

    MUST(shape_equal(x->shape, shape_with_last(u->shape, shape_last(x->shape))) && first >= 0 &&
             first <= shape_last(x->shape) - shape_last(u->shape),
         "add_columns: %s to %s from column %" PRId64 " on", shape_text(s, u->shape),
         shape_text(t, x->shape), first);
    if (shape_equal(x->shape, u->shape))
        return op_add(g, x, u);
    y = record(g, &add_columns, x->shape, x, u, NULL, NULL);
    y->arg[0].i = first;
    return y;
}
