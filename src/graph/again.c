/*
 * again.c - values that are computed again rather than kept
 *
 * Half of what a forward keeps for its backward are results of norms and activations: a linear
 * layer's gradient reads its input, which is a norm of something that is kept anyway.  Such a value
 * costs a few flops an element and as much memory as the result of a matrix product.  So its op may
 * say how to record it once more (op->again); the adjoints read the second copy, recorded just
 * before the first of them needs it, and the memory of the original is free as soon as the forward
 * has passed.  For a transformer that is a third of the memory for a hundredth of the time.
 *
 * Unlike a forgotten segment, which is computed again from its input, each value here is a step
 * away from one that is kept: chains of cheap ops are followed back to it, and no further.
 */
#include "graph/internal.h"

static struct tensor *twin_after(struct graph *g, struct tensor *y, struct tensor *const in[])
{
    struct tensor *t = tape_twin(g, y, in), *only[TENSOR_INS] = {t};

    if (y->side)
        tape_twin(g, y->side, only);
    return t;
}

static bool inputs_again(struct graph *g, struct tensor *in[TENSOR_INS], const struct tensor *y)
{
    bool other = false;

    for (int k = 0; k < TENSOR_INS; k++) {
        in[k] = again_of(g, y->in[k]);
        other |= in[k] != y->in[k];
    }
    return other;
}

struct tensor *record_again(struct graph *g, struct tensor *y)
{
    struct tensor *in[TENSOR_INS];

    inputs_again(g, in, y);
    return twin_after(g, y, in);
}

struct tensor *record_again_after(struct graph *g, struct tensor *y)
{
    struct tensor *in[TENSOR_INS];

    return inputs_again(g, in, y) ? twin_after(g, y, in) : y;
}

struct tensor *again_of(struct graph *g, struct tensor *x)
{
    struct tensor *t = x;

    if (!x || x->id >= g->n_again || tape_is_leaf(x))
        return x;
    if (g->again[x->id])
        return g->again[x->id];
    if (x->op->again)
        t = x->op->again(g, x);
    else if (x->op->view)
        t = record_again_after(g, x);
    t->wants_grad = x->wants_grad;
    g->again[x->id] = t;
    return t;
}
