/*
 * plan.c - memory, primitives and scratch, decided once for all equal tapes
 *
 * A training step records the same tape again and again.  Its signature (ops, shapes, constants,
 * edges) is compared word by word with the tapes met before; a known one costs a memcmp.
 *
 * For a new tape:  (1) find what is needed, from the kept tensors and the parameters' gradients
 * backwards;  (2) find where each value is read for the last time;  (3) walk forward and place each
 * value in one arena: over an input that dies here when the op allows it, else in the smallest hole
 * that fits, else at the end.  A hole opens when a value has been read for the last time.
 *
 * Best fit by size with neighbours merged is within a few per cent of the lower bound (the largest
 * sum of values alive at once) on the tapes of U-Nets and transformers, whose lives nest like
 * brackets. Offsets, not addresses, are planned, so that plans share one arena.
 */
#include "graph/internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { PLACE_ALIGN = 64, NODE_WORDS = 2 + TENSOR_INS + TENSOR_ARGS + SHAPE_RANK };

/* --- the signature ------------------------------------------------------------------------------
 */

/* A frozen parameter may be packed into the plan's state, so there its address counts. */
static uint64_t *sign_node(const struct graph *g, const struct tensor *t, uint64_t *w)
{
    uint64_t place = t->op == &op_param && g->flags & GRAPH_FROZEN ? (uintptr_t)t->data : 0;

    *w++ = (uintptr_t)t->op ^ place << 1;
    *w++ = (uint64_t)t->shape.rank | (uint64_t)t->dtype << 8 | (uint64_t)t->kept << 16 |
           (uint64_t)t->wants_grad << 17 | (uint64_t)(t->bound != NULL) << 18 |
           (uint64_t)(t->side ? t->side->id + 1 : 0) << 32;
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

static enum status sign(const struct graph *g, struct plan *p, struct error *err)
{
    enum status st;
    uint64_t *w;

    p->n_words = (int64_t)g->n * NODE_WORDS;
    if ((st = mem_new((void **)&p->signature, (uint64_t)p->n_words, sizeof *w, "a plan", err)))
        return st;
    w = p->signature;
    for (int32_t i = 0; i < g->n; i++)
        w = sign_node(g, &g->node[i], w);
    p->hash = hash_words(p->signature, p->n_words);
    return OK;
}

static struct plan *plan_known(struct graph *g, const struct plan *p)
{
    for (int i = 0; i < g->n_plans; i++) {
        struct plan *q = g->plan[i];

        if (q->hash != p->hash || q->n_words != p->n_words ||
            memcmp(q->signature, p->signature, (size_t)p->n_words * sizeof *p->signature))
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

/* --- lives --------------------------------------------------------------------------------------
 */

struct life {
    int32_t root; /* whose memory this node uses: itself, or what it is a view of or wrote over */
    int32_t last; /* of a root: the last node that reads it; INT32_MAX: kept                    */
    bool live;
};

/* A side result has no kernel of its own: it lives when its node does, and the other way round. */
static void mark_live(const struct graph *g, struct life *life)
{
    for (int32_t i = g->n - 1; i >= 0; i--) {
        const struct tensor *t = &g->node[i];

        life[i].live |= t->kept || (t->bound && !tape_is_leaf(t));
        if (t->side)
            life[i].live |= life[t->side->id].live;
        if (!life[i].live)
            continue;
        for (int k = 0; k < TENSOR_INS; k++)
            if (t->in[k])
                life[t->in[k]->id].live = true;
    }
    for (int32_t i = 0; i < g->n; i++)
        if (g->node[i].op == &op_side)
            life[i].live = life[g->node[i].in[0]->id].live;
}

static void mark_last(const struct graph *g, struct life *life)
{
    for (int32_t i = 0; i < g->n; i++) {
        const struct tensor *t = &g->node[i];
        int32_t made = t->op == &op_side ? t->in[0]->id : i, end = t->kept ? INT32_MAX : made;

        life[i].root = t->op->view ? life[t->in[0]->id].root : i;
        if (!life[i].live)
            continue;
        if (life[life[i].root].last < end)
            life[life[i].root].last = end;
        for (int k = 0; k < TENSOR_INS && t->op != &op_side; k++) {
            struct life *r = t->in[k] ? &life[life[t->in[k]->id].root] : NULL;

            if (r && r->last < i)
                r->last = i;
        }
    }
}

/* --- places -------------------------------------------------------------------------------------
 */

struct hole {
    int64_t at, bytes;
};

struct places {
    struct hole *hole; /* by address, none adjacent to another */
    int64_t n_holes, room;
    int64_t end;
};

static enum status place_free(struct places *pl, int64_t at, int64_t bytes, struct error *err)
{
    enum status st;
    int64_t i = pl->n_holes;

    if ((st = mem_grow((void **)&pl->hole, &pl->room, pl->n_holes + 1, sizeof *pl->hole, err)))
        return st;
    while (i > 0 && pl->hole[i - 1].at > at)
        i--;
    memmove(&pl->hole[i + 1], &pl->hole[i], (size_t)(pl->n_holes - i) * sizeof *pl->hole);
    pl->hole[i] = (struct hole){at, bytes};
    pl->n_holes++;
    for (int64_t k = i + 1; k >= i && k > 0; k--) {
        if (k >= pl->n_holes || pl->hole[k - 1].at + pl->hole[k - 1].bytes != pl->hole[k].at)
            continue;
        pl->hole[k - 1].bytes += pl->hole[k].bytes;
        memmove(&pl->hole[k], &pl->hole[k + 1], (size_t)(pl->n_holes - k - 1) * sizeof *pl->hole);
        pl->n_holes--;
    }
    return OK;
}

static int64_t place_take(struct places *pl, int64_t bytes)
{
    int64_t best = -1, at;

    for (int64_t i = 0; i < pl->n_holes; i++)
        if (pl->hole[i].bytes >= bytes && (best < 0 || pl->hole[i].bytes < pl->hole[best].bytes))
            best = i;
    if (best < 0) {
        struct hole *top = pl->n_holes ? &pl->hole[pl->n_holes - 1] : NULL;
        bool grows = top && top->at + top->bytes == pl->end;

        at = grows ? top->at : pl->end;
        pl->n_holes -= grows;
        pl->end = at + bytes;
        return at;
    }
    at = pl->hole[best].at;
    pl->hole[best].at += bytes;
    pl->hole[best].bytes -= bytes;
    if (!pl->hole[best].bytes) {
        memmove(&pl->hole[best], &pl->hole[best + 1],
                (size_t)(pl->n_holes - best - 1) * sizeof *pl->hole);
        pl->n_holes--;
    }
    return at;
}

static int64_t padded(const struct tensor *t)
{
    return ((int64_t)tensor_bytes(t) + PLACE_ALIGN - 1) / PLACE_ALIGN * PLACE_ALIGN;
}

/* May node i be written over its input k: the input's memory dies here, is as large, and is read
 * through no other input that the op does not also read element by element. */
static bool may_overwrite(const struct graph *g, const struct plan *p, const struct life *life,
                          int32_t i, int k)
{
    const struct tensor *t = &g->node[i];
    int32_t root;

    if (!(t->op->inplace >> k & 1) || !t->in[k])
        return false;
    root = life[t->in[k]->id].root;
    if (p->offset[root] < 0 || life[root].last != i || padded(&g->node[root]) != padded(t))
        return false;
    for (int j = 0; j < TENSOR_INS; j++)
        if (t->in[j] && life[t->in[j]->id].root == root && !(t->op->inplace >> j & 1))
            return false;
    return true;
}

static void place_node(const struct graph *g, struct plan *p, struct life *life, struct places *pl,
                       int32_t i)
{
    const struct tensor *t = &g->node[i];

    for (int k = 0; k < TENSOR_INS; k++) {
        if (!may_overwrite(g, p, life, i, k))
            continue;
        p->offset[i] = p->offset[life[t->in[k]->id].root];
        life[life[t->in[k]->id].root].last = -1; /* nobody frees it: it is ours now */
        return;
    }
    p->offset[i] = place_take(pl, padded(t));
}

/* A value nobody reads dies where it is made; an input dies after the node that reads it last. */
static enum status free_dead(const struct graph *g, struct plan *p, struct life *life,
                             struct places *pl, int32_t i, struct error *err)
{
    const struct tensor *t = &g->node[i];
    const struct tensor *ends[TENSOR_INS + 2] = {t, t->side};
    enum status st;

    for (int k = 0; k < TENSOR_INS; k++)
        ends[2 + k] = t->in[k];
    for (int k = 0; k < TENSOR_INS + 2; k++) {
        int32_t root = ends[k] ? life[ends[k]->id].root : -1;

        if (root < 0 || p->offset[root] < 0 || life[root].last < 0 || life[root].last > i)
            continue;
        if ((st = place_free(pl, p->offset[root], padded(&g->node[root]), err)))
            return st;
        life[root].last = -1;
    }
    return OK;
}

static enum status place_all(const struct graph *g, struct plan *p, struct life *life,
                             struct error *err)
{
    struct places pl = {0};
    enum status st = OK;

    for (int32_t i = 0; i < g->n && !st; i++) {
        const struct tensor *t = &g->node[i];

        if (tape_is_leaf(t) || !life[i].live || t->op->view || t->op == &op_side) {
            if (t->op != &op_side || !life[i].live)
                p->offset[i] = tape_is_leaf(t) ? PLACE_LEAF
                               : !life[i].live ? PLACE_DEAD
                                               : PLACE_VIEW;
            continue;
        }
        p->live++;
        p->naive_bytes += (size_t)padded(t) + (t->side ? (size_t)padded(t->side) : 0);
        if (t->bound)
            p->offset[i] = PLACE_BOUND;
        else
            place_node(g, p, life, &pl, i);
        if (t->side)
            p->offset[t->side->id] = place_take(&pl, padded(t->side));
        st = free_dead(g, p, life, &pl, i, err);
    }
    p->arena_bytes = (size_t)pl.end;
    free(pl.hole);
    return st;
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
    scratch = t->op->scratch ? t->op->scratch(t, g->threads) : 0;
    if (scratch > p->scratch_bytes)
        p->scratch_bytes = scratch;
    if (t->op->flops)
        p->flops += t->op->flops(t);
    return OK;
}

static enum status plan_make(struct graph *g, struct plan *p, struct error *err)
{
    uint64_t n = (uint64_t)g->n;
    struct life *life = NULL;
    enum status st;

    p->n = g->n;
    if ((st = mem_new((void **)&life, n, sizeof *life, "a plan", err)) ||
        (st = mem_new((void **)&p->offset, n, sizeof *p->offset, "a plan", err)) ||
        (st = mem_new((void **)&p->state, n, sizeof *p->state, "a plan", err)) ||
        (st = mem_new((void **)&p->op, n, sizeof *p->op, "a plan", err)))
        goto out;
    mark_live(g, life);
    mark_last(g, life);
    st = place_all(g, p, life, err);
    for (int32_t i = 0; i < g->n && !st; i++)
        st = prepare(g, p, i, err);
out:
    free(life);
    return st;
}

enum status plan_find(struct graph *g, struct plan **out, struct error *err)
{
    struct plan *p = NULL;
    enum status st;

    if ((st = mem_new((void **)&p, 1, sizeof *p, "a plan", err)) || (st = sign(g, p, err)))
        goto out;
    if ((*out = plan_known(g, p)))
        goto out;
    if ((st = plan_make(g, p, err)))
        goto out;
    if (g->n_plans == PLANS_KEPT)
        plan_free(g->plan[--g->n_plans]);
    memmove(&g->plan[1], &g->plan[0], (size_t)g->n_plans++ * sizeof g->plan[0]);
    *out = g->plan[0] = p;
    return OK;
out:
    plan_free(p);
    return st;
}
