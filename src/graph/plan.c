/*
 * plan.c - memory, primitives and scratch, decided once for all equal tapes
 *
 * A training step records the same tape again and again.  Its signature (ops, shapes, constants,
 * edges) is compared word by word with the tapes met before; a known one costs a memcmp.
 *
 * For a new tape, every value that is needed gets its place in the arena (place.c), and every op
 * prepares what it wants to have at hand.
 */
#include "graph/internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { NODE_WORDS = 2 + TENSOR_INS + TENSOR_ARGS + SHAPE_RANK };

/* --- the signature ------------------------------------------------------------------------------
 */

/* A frozen parameter may be packed into the plan's state, so there its address counts; that of a
 * stored one does always, whose type a plan may look at. */
static uint64_t *sign_node(const struct graph *g, const struct tensor *t, uint64_t *w)
{
    bool here = t->dtype == DTYPE_STORED || (t->op == &op_param && g->flags & GRAPH_FROZEN);
    uint64_t place = here ? (uintptr_t)t->data : 0;

    *w++ = (uintptr_t)t->op ^ place << 1;
    *w++ = (uint64_t)t->shape.rank | (uint64_t)t->dtype << 8 | (uint64_t)t->kept << 16 |
           (uint64_t)t->wants_grad << 17 | (uint64_t)(t->bound != NULL) << 18 |
           (uint64_t)g->precision << 19 | (uint64_t)(t->side ? t->side->id + 1 : 0) << 32;
    for (int k = 0; k < TENSOR_INS; k++)
        *w++ = t->in[k] ? (uint64_t)t->in[k]->id + 1 : 0;
    for (int k = 0; k < TENSOR_ARGS; k++)
        memcpy(w++, &t->arg[k], sizeof t->arg[k]);
    for (int k = 0; k < SHAPE_RANK; k++)
        *w++ = k < t->shape.rank ? (uint64_t)t->shape.dim[k] : 0;
    return w;
}

static uint64_t hash_words(const uint64_t *w, int64_t n)
{
    uint64_t h = 0x9E3779B97F4A7C15u;

    for (int64_t i = 0; i < n; i++)
        h = (h ^ w[i]) * 0xD6E8FEB86659FD93u, h ^= h >> 32;
    return h;
}

/* The words stand in the graph, where they are written over at every run: a step allocates nothing.
 */
static enum status sign(struct graph *g, uint64_t *hash, struct error *err)
{
    int64_t n = (int64_t)g->n * NODE_WORDS;
    enum status st;
    uint64_t *w;

    if ((st = mem_grow((void **)&g->words, &g->words_room, n, sizeof *w, err)))
        return st;
    w = g->words;
    for (int32_t i = 0; i < g->n; i++)
        w = sign_node(g, &g->node[i], w);
    *hash = hash_words(g->words, n);
    return OK;
}

static struct plan *plan_known(struct graph *g, uint64_t hash)
{
    for (int i = 0; i < g->n_plans; i++) {
        struct plan *q = g->plan[i];

        if (q->hash != hash || q->n != g->n ||
            memcmp(q->signature, g->words, (size_t)g->n * NODE_WORDS * sizeof *g->words))
            continue;
        memmove(&g->plan[1], &g->plan[0], (size_t)i * sizeof g->plan[0]);
        g->plan[0] = q;
        return q;
    }
    return NULL;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (int32_t i = 0; p->state && p->op && i < p->n; i++)
        if (p->state[i] && p->op[i]->unplan)
            p->op[i]->unplan(p->state[i]);
    free(p->signature);
    free(p->offset);
    free(p->state);
    free(p->op);
    free(p);
}

/* --- a new plan ---------------------------------------------------------------------------------
 */

/* Primitives, packed weights, scratch: what an op prepares for one node.  The state goes into the
 * plan at once, so that plan_free finds it whatever fails next. */
static enum status prepare(struct graph *g, struct plan *p, int32_t i, struct error *err)
{
    struct tensor *t = &g->node[i];
    enum status st = OK;
    size_t scratch;

    p->op[i] = t->op;
    if (p->offset[i] < 0 && p->offset[i] != PLACE_BOUND)
        return OK;
    t->state = NULL;
    if (t->op->plan)
        st = t->op->plan(g, t, err);
    p->state[i] = t->state;
    if (st)
        return st;
    if (g->prepared)
        g->prepared(t, g->prepared_user);
    scratch = t->op->scratch ? t->op->scratch(t, g->threads) : 0;
    if (scratch > p->scratch_bytes)
        p->scratch_bytes = scratch;
    p->held_bytes += t->op->held ? t->op->held(t) : 0;
    if (t->op->flops)
        p->flops += t->op->flops(t);
    return OK;
}

static enum status plan_make(struct graph *g, struct plan *p, struct error *err)
{
    uint64_t n = (uint64_t)g->n;
    enum status st;

    if ((st = place_all(g, p, err)) ||
        (st = mem_new((void **)&p->signature, n * NODE_WORDS, sizeof *p->signature, "a plan",
                      err)) ||
        (st = mem_new((void **)&p->state, n, sizeof *p->state, "a plan", err)) ||
        (st = mem_new((void **)&p->op, n, sizeof *p->op, "a plan", err)))
        return st;
    memcpy(p->signature, g->words, n * NODE_WORDS * sizeof *p->signature);
    for (int32_t i = 0; i < g->n && !st; i++)
        if (!(st = run_goes_on(g, 0, err)))
            st = prepare(g, p, i, err);
    return st;
}

enum status plan_find(struct graph *g, struct plan **out, struct error *err)
{
    struct plan *p = NULL;
    uint64_t hash;
    enum status st;

    if ((st = sign(g, &hash, err)))
        return st;
    if ((*out = plan_known(g, hash)))
        return OK;
    if ((st = mem_new((void **)&p, 1, sizeof *p, "a plan", err)) || (st = plan_make(g, p, err))) {
        plan_free(p);
        return st;
    }
    p->hash = hash;
    if (g->n_plans == PLANS_KEPT)
        plan_free(g->plan[--g->n_plans]);
    memmove(&g->plan[1], &g->plan[0], (size_t)g->n_plans++ * sizeof g->plan[0]);
    *out = g->plan[0] = p;
    return OK;
}
