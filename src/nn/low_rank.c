/*
 * low_rank.c - a change of low rank to a matrix of weights, kept beside it
 *
 * What a large network lacks for a new subject is little: the change of a matrix that fine-tuning
 * finds has a few directions that matter.  So the matrix stays as it is and two thin ones learn
 * beside it.  B begins at zero, and with it the network as it was.
 *
 * The sum W + scale B A could be computed once and then cost nothing.  It is not, because W is no
 * memory of ours: it lies in a mapped file, in two bytes a number or in one, shared with every
 * other process.  The sum would be a copy of all of it, four bytes a number, or rounded back to
 * eight bits and then no longer what was trained; several adapters, or one at another weight, would
 * each want theirs.  Beside W the change costs rank (in + out) multiplications a row where W costs
 * in * out: 2.8 % at rank 16 and width 1536 for q, k and v together, and bytes for the thin
 * matrices alone.  And training needs the two products apart in any case, so that one way of
 * computing serves both.
 *
 * q, k and v are one matrix here and three elsewhere, so one matrix may be changed in several
 * parts, each with features of its own.  Those features are computed together, in one pass over x:
 *
 *     x [T, in] --A--> [T, ranks]  = | of q | of k | of v |
 *                                       |B      |B     |B        each added to its own columns
 *     y [T, out]                   = |  q   |   k   |   v  |
 *
 * What must stay true: where B is zero, zeros are added and no bit of y changes (but the sign of a
 * zero); a row's bits depend on that row alone, for the products are those of op_linear.
 */
#include "nn/low_rank.h"

#include "ops/basic.h"
#include "ops/linear.h"

#include <inttypes.h>

void low_rank_attach(struct param *q, struct low_rank *l)
{
    struct low_rank **at = &q->low_rank;

    MUST(q->linear && shape_last(l->down->shape) == shape_last(q->shape), "%s and %s do not fit",
         q->name, l->down->name);
    while (*at)
        at = &(*at)->next;
    l->next = NULL;
    *at = l;
}

void low_rank_detach(struct param *q, const struct low_rank *l)
{
    struct low_rank **at = &q->low_rank;

    while (*at && *at != l)
        at = &(*at)->next;
    if (*at)
        *at = l->next;
}

/* The features of one part. */
static struct tensor *features_of(struct graph *g, const struct low_rank_part *p, struct tensor *h)
{
    int64_t rank = shape_last(p->up->shape);

    return rank == shape_last(h->shape) ? h : op_slice(g, h, p->column, rank);
}

static struct tensor *add_one(struct graph *g, const struct low_rank *l, struct tensor *x,
                              struct tensor *y)
{
    struct tensor *h = op_linear(g, x, nn_param(g, l->down), NULL, ACT_NONE);

    if (l->scale < 1 || l->scale > 1)
        h = op_affine(g, h, l->scale, -0.0);
    for (int k = 0; k < l->parts; k++) {
        const struct low_rank_part *p = &l->part[k];
        struct tensor *u = op_linear(g, features_of(g, p, h), nn_param(g, p->up), NULL, ACT_NONE);

        y = op_add_columns(g, y, u, p->row);
    }
    return y;
}

struct tensor *nn_low_rank(struct graph *g, const struct low_rank *l, struct tensor *x,
                           struct tensor *y)
{
    for (; l; l = l->next)
        y = add_one(g, l, x, y);
    return y;
}
