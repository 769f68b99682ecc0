/*
 * backward.c - adjoints
 *
 * Reverse mode: walk the tape from the loss to its start and let each op record what it owes to its
 * inputs.  The adjoints are ordinary nodes, so planning, reuse of memory and dead-code removal need
 * not know which half of the tape they look at.
 *
 * A loss that weighs two others by their gradients has to see those first.  graph_gradient walks
 * back to one tensor and leaves the tape as if it had not been: what it returns is a value like any
 * other, and the walk for the parameters comes later.
 *
 * The order in which contributions to one gradient are added is the order of this walk.
 * Checkpointed segments and values computed again keep to it (see segment_adjoint and
 * node_adjoint), which is why they give the same bits.
 */
#include "graph/internal.h"

#include <stdlib.h>
#include <string.h>

static void accumulate_cpu(const struct tensor *y)
{
    const float *a = y->in[0]->data, *b = y->in[1]->data;
    float *out = y->data;
    int64_t n = shape_count(y->shape);

#pragma omp parallel for simd if (n > 32768)
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] + b[i];
}

static void copy_cpu(const struct tensor *y)
{
    memcpy(y->data, y->in[0]->data, tensor_bytes(y));
}

static void constant_cpu(const struct tensor *y)
{
    float *out = y->data, value = (float)y->arg[0].f;
    int64_t n = shape_count(y->shape);

    for (int64_t i = 0; i < n; i++)
        out[i] = value;
}

static const struct op accumulate = {.name = "accumulate", .cpu = accumulate_cpu, .inplace = 3};
static const struct op copy = {.name = "copy", .cpu = copy_cpu};
static const struct op constant = {.name = "constant", .cpu = constant_cpu};

static struct tensor *constant_of(struct graph *g, struct shape shape, double value)
{
    struct tensor *t = record(g, &constant, shape, NULL, NULL, NULL, NULL);

    t->arg[0].f = value;
    return t;
}

void grad_add(struct graph *g, struct tensor *x, struct tensor *t)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    if (!x || !x->wants_grad)
        return;
    MUST(shape_equal(x->shape, t->shape), "gradient %s for a tensor %s (%s)",
         shape_text(a, t->shape), shape_text(b, x->shape), x->op->name);
    x->grad = x->grad ? record(g, &accumulate, x->shape, x->grad, t, NULL, NULL) : t;
}

struct tensor *grad_so_far(const struct tensor *x)
{
    return x->wants_grad ? x->grad : NULL;
}

void grad_replace(struct tensor *x, struct tensor *t)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    MUST(shape_equal(x->shape, t->shape), "gradient %s for a tensor %s (%s)",
         shape_text(a, t->shape), shape_text(b, x->shape), x->op->name);
    if (x->wants_grad)
        x->grad = t;
}

/* y's adjoint may read its inputs' values.  Where those are cheap to compute again, it is shown the
 * node that does so, and the originals die in the forward.  What it adds to the gradients is
 * theirs.
 */
static void node_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *in[TENSOR_INS];

    if (!y->grad || !y->wants_grad || tape_is_leaf(y) || y->op == &op_side)
        return;
    MUST(y->op->adjoint, "%s has no adjoint", y->op->name);
    for (int k = 0; k < TENSOR_INS; k++) {
        in[k] = y->in[k];
        y->in[k] = again_of(g, in[k]);
        if (y->in[k] != in[k])
            y->in[k]->grad = in[k]->grad;
    }
    y->op->adjoint(g, y);
    for (int k = 0; k < TENSOR_INS; k++) {
        if (y->in[k] != in[k])
            in[k]->grad = y->in[k]->grad;
        y->in[k] = in[k];
    }
}

/* Recompute the segment from its inputs, then take the adjoints on the copies.  A copy begins with
 * the gradient that later nodes gave to the original, so contributions add up in the same order as
 * without checkpointing.  The originals are then needed by the forward alone, and their memory is
 * free. */
static void segment_adjoint(struct graph *g, struct segment_range s)
{
    int32_t n = s.last - s.first;
    struct tensor **twin = calloc((size_t)n + 1, sizeof *twin);

    if (!twin) {
        g->failed = fail(&g->failure, E_MEMORY, "no memory to copy a segment of %d nodes", n);
        return;
    }
    segment_clone(g, s, twin);
    for (int32_t i = 0; i < n; i++)
        if (twin[i] != &g->node[s.first + i])
            twin[i]->grad = g->node[s.first + i].grad;
    for (int32_t i = n - 1; i >= 0; i--) {
        node_adjoint(g, twin[i]);
        g->node[s.first + i].grad = twin[i]->grad;
    }
    free(twin);
}

/* Where a parameter's gradient must land.  A node that is a leaf, a view or already has a place of
 * its own cannot be sent there, so its values are copied. */
static void bind_gradient(struct graph *g, struct tensor *param)
{
    struct tensor *t = param->grad;

    if (!t) {
        t = constant_of(g, param->shape, 0);
    } else if (tape_is_leaf(t) || t->op->view || t->op == &op_side || t->bound ||
               g->flags & GRAPH_EAGER) {
        t = record(g, &copy, param->shape, t, NULL, NULL, NULL);
    }
    t->bound = param->bound;
    param->grad = t;
}

/* From the loss to the start, the first `forgotten` segments as wholes. */
static void walk_back(struct graph *g, struct tensor *loss, int forgotten)
{
    int s = g->n_segments - 1;

    for (int32_t i = loss->id; i >= 0; i--) {
        while (s >= 0 && g->segment[s].first > i)
            s--;
        if (s >= 0 && s < forgotten && i == g->segment[s].last - 1) {
            segment_adjoint(g, g->segment[s]);
            i = g->segment[s].first;
            continue;
        }
        node_adjoint(g, &g->node[i]);
    }
}

/* All that flows into x comes from nodes after it. */
struct tensor *graph_gradient(struct graph *g, struct tensor *loss, struct tensor *x)
{
    struct tensor *t;

    MUST(shape_count(loss->shape) == 1, "a loss is one number");
    MUST(x->wants_grad, "%s wants no gradient", x->op->name);
    MUST(!loss->grad && !x->grad, "gradients are asked before the backward, not after it");
    run_pending(g);
    loss->grad = constant_of(g, loss->shape, 1);
    for (int32_t i = loss->id; i > x->id; i--)
        node_adjoint(g, &g->node[i]);
    t = x->grad ? x->grad : constant_of(g, x->shape, 0);
    for (int32_t i = 0; i <= loss->id; i++)
        g->node[i].grad = NULL;
    return t;
}

/* Segments at the start are forgotten first: the adjoints reach those when everything that was kept
 * of the later ones has been read and is free. */
void graph_backward(struct graph *g, struct tensor *loss)
{
    int32_t recorded = g->n;

    MUST(shape_count(loss->shape) == 1, "a loss is one number");
    run_pending(g);
    if (g->recompute >= RECOMPUTE_CHEAP) {
        g->again = calloc((size_t)recorded, sizeof(struct tensor *));
        g->n_again = g->again ? recorded : 0;
        if (!g->again)
            g->failed = fail(&g->failure, E_MEMORY, "no memory to record adjoints");
    }
    loss->grad = constant_of(g, loss->shape, 1);
    walk_back(g, loss, g->recompute - RECOMPUTE_CHEAP);
    for (int32_t i = 0; i < recorded; i++)
        if (g->node[i].op == &op_param && g->node[i].bound)
            bind_gradient(g, &g->node[i]);
    free(g->again);
    g->again = NULL;
    g->n_again = 0;
}
