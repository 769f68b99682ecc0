/*
 * run.c - executing a tape, at once or node by node
 *
 * A planned run gives every node its address (arena + offset) and calls the kernels in tape order.
 * An eager run does the same for one node at a time, as soon as the next one is recorded, with
 * memory of its own for each value: every intermediate can be looked at, and a wrong plan cannot
 * hide.  Both call the same kernels on the same inputs, hence the same bits.
 *
 * A run of a large network takes many seconds, and whoever waits may lose patience: so between two
 * kernels somebody may be asked whether to go on.  A run that is given up leaves nothing to undo.
 * Values are written anew by the next one, and plans are kept whole or not at all.
 */
#include "graph/internal.h"

#include "base/clock.h"
#include "base/memory.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static void execute(struct graph *g, struct tensor *t)
{
    double start = g->probe ? clock_seconds() : 0;

    t->op->cpu(t);
    if (g->probe)
        g->probe(t, clock_seconds() - start, g->probe_user);
}

enum status run_goes_on(const struct graph *g, double done, struct error *err)
{
    if (!g->watch || g->watch(done, g->watch_user))
        return OK;
    return fail(err, E_CANCELLED, "stopped after %.0f %% of a run of the network", 100 * done);
}

/* --- planned ------------------------------------------------------------------------------------
 */

static enum status grow(unsigned char **block, size_t *have, size_t want, const char *what,
                        struct error *err)
{
    enum status st;

    if (want <= *have)
        return OK;
    mem_block_free(*block, *have, 1);
    *block = NULL;
    *have = 0;
    if ((st = mem_block_new((void **)block, want, 1, what, err)))
        return st;
    *have = want;
    return OK;
}

static void place(struct graph *g, const struct plan *p)
{
    for (int32_t i = 0; i < g->n; i++) {
        struct tensor *t = &g->node[i];

        t->state = p->state[i];
        t->scratch = g->scratch;
        if (p->offset[i] >= 0)
            t->data = g->arena + p->offset[i];
        else if (p->offset[i] == PLACE_BOUND)
            t->data = t->bound;
        else if (p->offset[i] == PLACE_VIEW)
            t->data = t->in[0]->data;
    }
}

static bool is_computed(const struct graph *g, const struct plan *p, int32_t i)
{
    return (p->offset[i] >= 0 || p->offset[i] == PLACE_BOUND) && g->node[i].op != &op_side;
}

static enum status execute_all(struct graph *g, const struct plan *p, struct error *err)
{
    double flops = 0;
    enum status st;

    for (int32_t i = 0; i < g->n; i++) {
        const struct op *op = g->node[i].op;

        if (!is_computed(g, p, i))
            continue;
        if ((st = run_goes_on(g, p->flops > 0 ? flops / p->flops : (double)i / g->n, err)))
            return st;
        execute(g, &g->node[i]);
        flops += g->watch && op->flops ? op->flops(&g->node[i]) : 0;
    }
    return OK;
}

static enum status run_planned(struct graph *g, struct error *err)
{
    struct plan *p;
    enum status st;

    if ((st = plan_find(g, &p, err)) ||
        (st = grow(&g->arena, &g->arena_bytes, p->arena_bytes + 1, "values of a step", err)) ||
        (st = grow(&g->scratch, &g->scratch_bytes, p->scratch_bytes, "scratch of a step", err)))
        return st;
    place(g, p);
    return execute_all(g, p, err);
}

/* --- eager --------------------------------------------------------------------------------------
 */

static enum status run_one(struct graph *g, struct tensor *t, struct error *err)
{
    enum status st = OK;
    size_t bytes;

    if (t->op->view) {
        t->data = t->in[0]->data;
        return OK;
    }
    if ((st = mem_new(&t->data, tensor_bytes(t), 1, t->op->name, err)))
        return st;
    if (t->side && (st = mem_new(&t->side->data, tensor_bytes(t->side), 1, t->op->name, err)))
        return st;
    if (t->op->plan && (st = t->op->plan(g, t, err)))
        return st;
    bytes = t->op->scratch ? t->op->scratch(t, g->threads) : 0;
    if ((st = grow(&g->scratch, &g->scratch_bytes, bytes, "scratch of a node", err)))
        return st;
    t->scratch = g->scratch;
    execute(g, t);
    if (t->bound)
        memcpy(t->bound, t->data, tensor_bytes(t));
    return OK;
}

void run_pending(struct graph *g)
{
    int before = omp_get_max_threads();

    if (!(g->flags & GRAPH_EAGER))
        return;
    omp_set_num_threads(g->threads);
    for (; g->ran < g->n; g->ran++) {
        struct tensor *t = &g->node[g->ran];

        if (g->failed || tape_is_leaf(t) || t->op == &op_side)
            continue;
        if (!(g->failed = run_goes_on(g, 0, &g->failure)))
            g->failed = run_one(g, t, &g->failure);
    }
    omp_set_num_threads(before);
}

void run_release(struct graph *g)
{
    if (!(g->flags & GRAPH_EAGER))
        return;
    for (int32_t i = 0; i < g->n; i++) {
        struct tensor *t = &g->node[i];

        if (tape_is_leaf(t))
            continue;
        if (t->state && t->op->unplan)
            t->op->unplan(t->state);
        if (!t->op->view)
            free(t->data);
    }
}

/* --- both ---------------------------------------------------------------------------------------
 */

static enum status recorded(const struct graph *g, struct error *err)
{
    if (g->failed && err)
        *err = g->failure;
    return g->failed;
}

enum status graph_run(struct graph *g, struct error *err)
{
    int before = omp_get_max_threads();
    enum status st;

    run_pending(g);
    if ((st = recorded(g, err)))
        return st;
    if (g->flags & GRAPH_EAGER)
        return OK;
    omp_set_num_threads(g->threads);
    st = run_planned(g, err);
    omp_set_num_threads(before);
    return st;
}

static void read_out(const struct graph *g, const struct tensor *t, void *out, enum dtype dtype)
{
    MUST(t->data && (t->kept || tape_is_leaf(t) || g->flags & GRAPH_EAGER),
         "%s was not kept, or the graph has not run", t->op->name);
    MUST(t->dtype == dtype, "%s is read as what it is not", t->op->name);
    memcpy(out, t->data, tensor_bytes(t));
}

void graph_read(struct graph *g, const struct tensor *t, float *out)
{
    read_out(g, t, out, DTYPE_F32);
}

void graph_read_i32(struct graph *g, const struct tensor *t, int32_t *out)
{
    read_out(g, t, out, DTYPE_I32);
}

static void tell_plan(struct graph_stats *out, const struct graph *g, const struct plan *p)
{
    *out = (struct graph_stats){
        .nodes = g->n,
        .live = p->live,
        .arena_bytes = (int64_t)p->arena_bytes,
        .scratch_bytes = (int64_t)p->scratch_bytes,
        .held_bytes = (int64_t)p->held_bytes,
        .plans = g->n_plans,
        .naive_bytes = (int64_t)p->naive_bytes,
        .floor_bytes = (int64_t)p->floor_bytes,
        .flops = p->flops,
    };
}

enum status graph_measure(struct graph *g, struct graph_stats *out, struct error *err)
{
    int before = omp_get_max_threads();
    struct plan *p;
    enum status st;

    if ((st = recorded(g, err)))
        return st;
    omp_set_num_threads(g->threads);
    st = plan_find(g, &p, err);
    omp_set_num_threads(before);
    if (!st)
        tell_plan(out, g, p);
    return st;
}

enum status graph_visit(const struct graph *g, graph_visitor *visit, void *user, struct error *err)
{
    struct plan p = {0};
    enum status st;

    if (!(st = recorded(g, err)) && !(st = place_all(g, &p, err)))
        for (int32_t i = 0; i < g->n; i++)
            if (p.offset[i] >= 0 || p.offset[i] == PLACE_BOUND)
                visit(&g->node[i], user);
    free(p.offset);
    return st;
}

enum status graph_outline(const struct graph *g, struct graph_stats *out, struct error *err)
{
    struct plan p = {0};
    enum status st;

    if (!(st = recorded(g, err)) && !(st = place_all(g, &p, err)))
        tell_plan(out, g, &p);
    free(p.offset);
    return st;
}
