/*
 * tape.c - recording
 *
 * The tape is one array of nodes in reserved address space: nodes never move, so pointers to them
 * are plain pointers, recording never fails half-way through a model, and forgetting the tape is
 * setting a counter to zero.  Pages are touched only as the tape grows.
 *
 * A node's inputs always stand before it, so the order of recording is an order of execution, and
 * everything else here (adjoints, plans, signatures) is a loop over the array.
 */
#include "graph/internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

const struct op op_input = {.name = "input"};
const struct op op_param = {.name = "param"};
const struct op op_side = {.name = "side"};

static void *reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

enum status graph_new(struct graph **out, unsigned flags, int threads, struct error *err)
{
    enum status st;
    struct graph *g;

    MUST(threads >= 1, "a graph needs a thread, not %d", threads);
    *out = NULL;
    if ((st = mem_new((void **)&g, 1, sizeof *g, "a graph", err)))
        return st;
    g->flags = flags;
    g->threads = threads;
    g->recompute = flags & GRAPH_CHECKPOINT ? RECOMPUTE_ALL : RECOMPUTE_NOTHING;
    g->node = reserve(TAPE_NODES * sizeof *g->node);
    g->slot = reserve(PARAM_SLOTS * sizeof *g->slot);
    if (!g->node || !g->slot) {
        graph_free(g);
        return fail(err, E_MEMORY, "a graph: no address space for a tape of %d nodes", TAPE_NODES);
    }
    *out = g;
    return OK;
}

void graph_free(struct graph *g)
{
    if (!g)
        return;
    graph_forget(g);
    free(g->words);
    if (g->node)
        munmap(g->node, TAPE_NODES * sizeof *g->node);
    if (g->slot)
        munmap(g->slot, PARAM_SLOTS * sizeof *g->slot);
    free(g);
}

static uint32_t slot_of(const void *data)
{
    return (uint32_t)(((uintptr_t)data >> 2) * 0x9E3779B97F4A7C15u >> 46) % PARAM_SLOTS;
}

static void slots_clear(struct graph *g)
{
    for (int32_t i = 0; i < g->n; i++)
        if (g->node[i].op == &op_param)
            for (uint32_t s = slot_of(g->node[i].data); g->slot[s]; s = (s + 1) % PARAM_SLOTS)
                g->slot[s] = 0;
}

void graph_reset(struct graph *g)
{
    run_release(g);
    slots_clear(g);
    g->n = 0;
    g->ran = 0;
    g->n_segments = 0;
    g->failed = OK;
}

void graph_forget(struct graph *g)
{
    graph_reset(g);
    for (int i = 0; i < g->n_plans; i++)
        plan_free(g->plan[i]);
    g->n_plans = 0;
    mem_block_free(g->arena, g->arena_bytes, 1);
    mem_block_free(g->scratch, g->scratch_bytes, 1);
    g->arena = g->scratch = NULL;
    g->arena_bytes = g->scratch_bytes = 0;
}

bool tape_is_leaf(const struct tensor *t)
{
    return t->op == &op_input || t->op == &op_param;
}

struct tensor *tape_append(struct graph *g, const struct op *op, struct shape shape,
                           enum dtype dtype)
{
    struct tensor *t;

    MUST(g->n < TAPE_NODES, "the tape holds %d nodes and no more", TAPE_NODES);
    t = &g->node[g->n];
    *t = (struct tensor){.op = op, .shape = shape, .dtype = dtype, .id = g->n++};
    return t;
}

/* A copy of old that reads other inputs.  A side result belongs to the node that was copied just
 * before it. */
struct tensor *tape_twin(struct graph *g, const struct tensor *old, struct tensor *const in[])
{
    struct tensor *t;

    if (old->op != &op_side)
        run_pending(g);
    t = tape_append(g, old->op, old->shape, old->dtype);
    for (int k = 0; k < TENSOR_INS; k++)
        t->in[k] = in[k];
    memcpy(t->arg, old->arg, sizeof t->arg);
    t->wants_grad = old->wants_grad;
    t->name = old->name;
    if (old->op == &op_side)
        t->in[0]->side = t;
    return t;
}

struct tensor *record(struct graph *g, const struct op *op, struct shape shape, struct tensor *in0,
                      struct tensor *in1, struct tensor *in2, struct tensor *in3)
{
    struct tensor *in[TENSOR_INS] = {in0, in1, in2, in3}, *y;

    run_pending(g);
    y = tape_append(g, op, shape, DTYPE_F32);
    for (int k = 0; k < TENSOR_INS; k++) {
        MUST(!in[k] || in[k] == &g->node[in[k]->id], "%s: input %d is not on this tape", op->name,
             k);
        MUST(!in[k] || in[k]->dtype != DTYPE_STORED || op->stored >> k & 1,
             "%s: input %d stays as a file stores it", op->name, k);
        y->in[k] = in[k];
        y->wants_grad |= in[k] && in[k]->wants_grad;
    }
    return y;
}

void record_input(struct graph *g, struct tensor *y, int k, struct tensor *in)
{
    MUST(y->id == g->n - 1 && k >= 4 && k < TENSOR_INS, "%s: input %d is given to a new node",
         y->op->name, k);
    MUST(!in || in == &g->node[in->id], "%s: input %d is not on this tape", y->op->name, k);
    y->in[k] = in;
    y->wants_grad |= in && in->wants_grad;
}

struct tensor *record_side(struct graph *g, struct tensor *y, struct shape shape)
{
    MUST(y->id == g->n - 1, "%s: a side result is recorded right after its node", y->op->name);
    y->side = tape_append(g, &op_side, shape, DTYPE_F32);
    y->side->in[0] = y;
    return y->side;
}

static struct tensor *leaf(struct graph *g, const struct op *op, struct shape shape,
                           enum dtype dtype, const void *data)
{
    struct tensor *t;

    run_pending(g);
    t = tape_append(g, op, shape, dtype);
    /* Leaves are inputs of ops and nothing writes to an input: the cast drops const for storage. */
    t->data = (void *)(uintptr_t)data;
    return t;
}

struct tensor *graph_input(struct graph *g, struct shape shape, const float *data)
{
    return leaf(g, &op_input, shape, DTYPE_F32, data);
}

struct tensor *graph_input_i32(struct graph *g, struct shape shape, const int32_t *data)
{
    return leaf(g, &op_input, shape, DTYPE_I32, data);
}

/* The leaf of this data, made at the first time. */
static struct tensor *param_leaf(struct graph *g, struct shape shape, enum dtype dtype,
                                 const void *data, float *grad, const char *name)
{
    uint32_t s = slot_of(data);
    struct tensor *t;

    for (; g->slot[s]; s = (s + 1) % PARAM_SLOTS)
        if (g->node[g->slot[s] - 1].data == data)
            return &g->node[g->slot[s] - 1];
    t = leaf(g, &op_param, shape, dtype, data);
    g->slot[s] = t->id + 1;
    t->bound = grad; /* of a leaf: where its gradient goes */
    t->wants_grad = grad != NULL;
    t->name = name;
    return t;
}

struct tensor *graph_param(struct graph *g, struct shape shape, const float *data, float *grad,
                           const char *name)
{
    return param_leaf(g, shape, DTYPE_F32, data, grad, name);
}

struct tensor *graph_stored(struct graph *g, struct shape shape, const struct matrix *s,
                            const char *name)
{
    char text[SHAPE_TEXT];

    MUST(shape.rank > 0 && shape.dim[0] == s->rows && shape_count(shape) == s->rows * s->cols,
         "%s: %s of %d x %d stored numbers", name, shape_text(text, shape), (int)s->rows,
         (int)s->cols);
    return param_leaf(g, shape, DTYPE_STORED, s, NULL, name);
}

void graph_set_recompute(struct graph *g, int level)
{
    g->recompute = level;
}

void graph_want_grad(struct tensor *x)
{
    x->wants_grad = true;
}

void graph_keep(struct graph *g, struct tensor *t)
{
    (void)g;
    MUST(t, "there is no such tensor to keep");
    t->kept = true;
}

void graph_set_precision(struct graph *g, enum precision precision)
{
    g->precision = precision;
}

enum precision graph_precision(const struct graph *g)
{
    return g->precision;
}

bool graph_is_frozen(const struct graph *g)
{
    return g->flags & GRAPH_FROZEN;
}

void graph_set_watch(struct graph *g, graph_watch *watch, void *user)
{
    g->watch = watch;
    g->watch_user = user;
}

void graph_set_probe(struct graph *g, graph_probe *probe, void *user)
{
    g->probe = probe;
    g->probe_user = user;
}

void graph_set_prepared(struct graph *g, graph_prepared *prepared, void *user)
{
    g->prepared = prepared;
    g->prepared_user = user;
}
