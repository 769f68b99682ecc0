/*
 * place.c - where in one arena each value lies
 *
 * A value lives from the node that makes it to the last node that reads it.  Values whose lives
 * overlap must not overlap in memory; the arena is as long as the highest end.  Least length is NP
 * hard, and the largest sum of values alive at once is a bound that nothing can beat.
 *
 * First, lives are joined: a view has none of its own, and an op that may write over an input that
 * dies there takes its memory.  Then the values are placed one by one, each into the smallest gap
 * between those placed before it that overlap it in time, or above them all.  What decides is the
 * order.  As they are made: what an allocator would do.  Largest first (Pisarchyk and Lee 2020,
 * "Efficient memory management for deep neural net inference"), or longest life first, since what
 * lives long and is placed early lies at the bottom, where nothing has to step around it.  No order
 * wins on every tape, and trying takes milliseconds once a plan: all are tried, the shortest arena
 * stays, and one that meets the bound ends the search.
 *
 * Offsets, not addresses, are planned, so that plans share one arena.
 */
#include "graph/internal.h"

#include "base/memory.h"

#include <stdlib.h>

enum { PLACE_ALIGN = 64 };
enum {
    ORDERED_MAX = 8192
}; /* values of a tape that is worth more than one order: n^2 steps each */

static int64_t padded(const struct tensor *t)
{
    return ((int64_t)tensor_bytes(t) + PLACE_ALIGN - 1) / PLACE_ALIGN * PLACE_ALIGN;
}

/* --- lives --------------------------------------------------------------------------------------
 */

struct life {
    int32_t root; /* whose memory this node uses: itself, or what it is a view of or writes over */
    int32_t last; /* of a root: the last node that reads it; INT32_MAX: kept                     */
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

/* The node that makes t. */
static int32_t made_at(const struct tensor *t)
{
    return t->op == &op_side ? t->in[0]->id : t->id;
}

static void mark_last(const struct graph *g, struct life *life)
{
    for (int32_t i = 0; i < g->n; i++) {
        const struct tensor *t = &g->node[i];
        int32_t end = t->kept ? INT32_MAX : made_at(t);

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

/* Does this node need a place in the arena, its own or one that it takes over? */
static bool has_place(const struct tensor *t, const struct life *life)
{
    return life[t->id].live && !tape_is_leaf(t) && !t->op->view && !t->bound;
}

/* May node i be written over its input k: the input's memory dies here, is as large, and is read
 * through no other input that the op does not also read element by element. */
static bool may_overwrite(const struct graph *g, const struct life *life, int32_t i, int k)
{
    const struct tensor *t = &g->node[i];
    int32_t root;

    if (!(t->op->inplace >> k & 1) || !t->in[k])
        return false;
    root = life[t->in[k]->id].root;
    if (!has_place(&g->node[root], life) || life[root].last != i ||
        padded(&g->node[root]) != padded(t))
        return false;
    for (int j = 0; j < TENSOR_INS; j++)
        if (t->in[j] && life[t->in[j]->id].root == root && !(t->op->inplace >> j & 1))
            return false;
    return true;
}

/* Roots of inputs are final when a node is met, since inputs stand before it. */
static void join_lives(const struct graph *g, struct life *life)
{
    for (int32_t i = 0; i < g->n; i++) {
        const struct tensor *t = &g->node[i];

        if (t->op->view)
            life[i].root = life[t->in[0]->id].root;
        if (!has_place(t, life) || t->op == &op_side)
            continue;
        for (int k = 0; k < TENSOR_INS && life[i].root == i; k++) {
            if (!may_overwrite(g, life, i, k))
                continue;
            life[i].root = life[t->in[k]->id].root;
            life[life[i].root].last = life[i].last;
        }
    }
}

/* --- places -------------------------------------------------------------------------------------
 */

struct value {
    int64_t bytes, at;
    int32_t first, last; /* nodes during which it lives, both included */
    int32_t id;
};

static int by_time(const void *a, const void *b)
{
    const struct value *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static int by_size(const void *a, const void *b)
{
    const struct value *x = a, *y = b;

    return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes) : by_time(a, b);
}

static int by_life(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    int32_t lx = x->last - x->first, ly = y->last - y->first;

    return lx != ly ? (lx < ly) - (lx > ly) : by_size(a, b);
}

static int by_area(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    double ax = (double)x->bytes * (x->last - x->first + 1.0);
    double ay = (double)y->bytes * (y->last - y->first + 1.0);

    return ax > ay || ax < ay ? (ax < ay) - (ax > ay) : by_time(a, b);
}

struct order {
    int (*compare)(const void *a, const void *b);
    bool in_time; /* the dead need not be looked at again */
};

static const struct order orders[] = {
    {by_time, true}, {by_size, false}, {by_area, false}, {by_life, false}};

/* The smallest gap that holds v among the n values placed so far (by address), or above them. */
static int64_t find_gap(struct value *const *placed, int64_t n, const struct value *v)
{
    int64_t end = 0, best = -1, best_bytes = INT64_MAX;

    for (int64_t i = 0; i < n; i++) {
        const struct value *p = placed[i];

        if (p->last < v->first || v->last < p->first)
            continue;
        if (p->at - end >= v->bytes && p->at - end < best_bytes) {
            best = end;
            best_bytes = p->at - end;
        }
        if (p->at + p->bytes > end)
            end = p->at + p->bytes;
    }
    return best >= 0 ? best : end;
}

static int64_t drop_dead(struct value **placed, int64_t n, int32_t now)
{
    int64_t left = 0;

    for (int64_t i = 0; i < n; i++)
        if (placed[i]->last >= now)
            placed[left++] = placed[i];
    return left;
}

/* Place all values in the order they stand in; returns the length of the arena. */
static int64_t place_in_order(struct value *value, int64_t n, bool in_time, struct value **placed)
{
    int64_t length = 0, n_placed = 0;

    for (int64_t i = 0; i < n; i++) {
        struct value *v = &value[i];
        int64_t k;

        if (in_time)
            n_placed = drop_dead(placed, n_placed, v->first);
        v->at = find_gap(placed, n_placed, v);
        for (k = n_placed++; k > 0 && placed[k - 1]->at > v->at; k--)
            placed[k] = placed[k - 1];
        placed[k] = v;
        if (v->at + v->bytes > length)
            length = v->at + v->bytes;
    }
    return length;
}

/* The largest sum of bytes alive at once. */
static enum status find_floor(int64_t *out, const struct value *value, int64_t n, int32_t nodes,
                              struct error *err)
{
    int64_t *change, now = 0;
    enum status st;

    *out = 0;
    if ((st = mem_new((void **)&change, (uint64_t)nodes + 1, sizeof *change, "a plan", err)))
        return st;
    for (int64_t i = 0; i < n; i++) {
        change[value[i].first] += value[i].bytes;
        change[value[i].last < nodes ? value[i].last + 1 : nodes] -= value[i].bytes;
    }
    for (int32_t i = 0; i < nodes; i++) {
        now += change[i];
        *out = now > *out ? now : *out;
    }
    free(change);
    return OK;
}

/* Try the orders; offset[] has the best. */
static enum status place_values(struct value *value, int64_t n, struct plan *p, struct error *err)
{
    size_t n_orders = n <= ORDERED_MAX ? sizeof orders / sizeof *orders : 1;
    struct value **placed = NULL;
    int64_t floor;
    enum status st;

    if ((st = find_floor(&floor, value, n, p->n, err)) ||
        (st = mem_new((void **)&placed, (uint64_t)n, sizeof(struct value *), "a plan", err)))
        return st;
    p->floor_bytes = (size_t)floor;
    for (size_t k = 0; k < n_orders; k++) {
        int64_t length;

        qsort(value, (size_t)n, sizeof *value, orders[k].compare);
        length = place_in_order(value, n, orders[k].in_time, placed);
        if (k && length >= (int64_t)p->arena_bytes)
            continue;
        p->arena_bytes = (size_t)length;
        for (int64_t i = 0; i < n; i++)
            p->offset[value[i].id] = value[i].at;
        if (length == floor)
            break;
    }
    free(placed);
    return OK;
}

/* --- all ----------------------------------------------------------------------------------------
 */

/* Nodes whose memory lies elsewhere or nowhere; the values that need a place of their own. */
static int64_t sort_out(const struct graph *g, const struct life *life, struct plan *p,
                        struct value *value)
{
    int64_t n = 0;

    for (int32_t i = 0; i < g->n; i++) {
        const struct tensor *t = &g->node[i];

        if (life[i].live && !tape_is_leaf(t) && !t->op->view) {
            p->live += t->op != &op_side;
            p->naive_bytes += (size_t)padded(t);
        }
        p->offset[i] = tape_is_leaf(t) ? PLACE_LEAF
                       : !life[i].live ? PLACE_DEAD
                       : t->op->view   ? PLACE_VIEW
                       : t->bound      ? PLACE_BOUND
                                       : 0;
        if (has_place(t, life) && life[i].root == i)
            value[n++] = (struct value){padded(t), 0, made_at(t), life[i].last, i};
    }
    return n;
}

enum status place_all(const struct graph *g, struct plan *p, struct error *err)
{
    uint64_t nodes = (uint64_t)g->n;
    struct life *life = NULL;
    struct value *value = NULL;
    enum status st;

    if ((st = mem_new((void **)&life, nodes, sizeof *life, "a plan", err)) ||
        (st = mem_new((void **)&value, nodes, sizeof *value, "a plan", err)) ||
        (st = mem_new((void **)&p->offset, nodes, sizeof *p->offset, "a plan", err)))
        goto out;
    p->n = g->n;
    mark_live(g, life);
    mark_last(g, life);
    join_lives(g, life);
    if ((st = place_values(value, sort_out(g, life, p, value), p, err)))
        goto out;
    for (int32_t i = 0; i < g->n; i++)
        if (has_place(&g->node[i], life))
            p->offset[i] = p->offset[life[i].root];
out:
    free(life);
    free(value);
    return st;
}
