/*
 * graph.h - the recorded tape and its planned run
 *
 * An op call infers its shape and appends a node; graph_backward appends the adjoints as ordinary
 * nodes; graph_run plans (last uses, memory, primitives; once per distinct tape) and executes.
 *
 *     graph_reset(g);
 *     x = graph_input(g, SHAPE(n, 2), points);
 *     w = graph_param(g, SHAPE(8, 2), weight, weight_grad, "w");
 *     loss = op_mse(g, op_linear(g, x, w, NULL, ACT_NONE), target);
 *     graph_backward(g, loss);
 *     graph_keep(g, loss);
 *     if ((st = graph_run(g, err)))
 *         return st;
 *     graph_read(g, loss, &value);
 *
 * Five laws (STYLE, section 6): recording looks at shapes, never at values; values enter by
 * graph_input and leave by graph_read; an op is a pure function of inputs and constants; tensors
 * are dense; an adjoint is written in ops.
 */
#ifndef IMGEN_GRAPH_GRAPH_H
#define IMGEN_GRAPH_GRAPH_H

#include "base/error.h"
#include "tensor/matrix.h"
#include "tensor/precision.h"
#include "tensor/tensor.h"

struct graph;

/* What a family of ops provides, one const struct an op. */
struct op {
    const char *name;

    /* Compute y->data from y->in[k]->data.  Splits of work depend on shapes, never on the number of
     * threads; sums have a fixed order; a row's result does not depend on how many rows there are.
     */
    void (*cpu)(const struct tensor *y);

    /* d loss / d inputs, recorded with ops: grad_add(g, y->in[k], ...).  NULL: not differentiable.
     */
    void (*adjoint)(struct graph *g, struct tensor *y);

    /* Optional, once per distinct tape: make y->state (primitives, packed weights) before any run.
     * y->in[k]->data is not set yet, except on parameters of a frozen graph. */
    enum status (*plan)(const struct graph *g, struct tensor *y, struct error *err);
    void (*unplan)(void *state);

    /* Optional: bytes of scratch, with room for `threads` threads.  Called after plan. */
    size_t (*scratch)(const struct tensor *y, int threads);

    /* Optional: bytes that the state holds, as packed weights.  Called after plan. */
    size_t (*held)(const struct tensor *y);

    /* Optional: floating-point operations, for reports. */
    double (*flops)(const struct tensor *y);

    /* Optional: record y's values once more, from what the backward keeps anyway, for less than it
     * costs to keep them.  record_again where y's own kernel is as cheap as that. */
    struct tensor *(*again)(struct graph *g, struct tensor *y);

    unsigned inplace; /* bit k: y->data may be in[k]->data                                  */
    unsigned stored;  /* bit k: in[k] may be a matrix that stays as its file stores it      */
    bool view;        /* y shares the memory of in[0] (reshape): no kernel                  */
};

/* Kinds of leaf, so that plans and loaders can tell them apart. */
extern const struct op op_input; /* values of this run                                        */
extern const struct op op_param; /* a trained or stored parameter                             */
extern const struct op op_side;  /* the second result of in[0]                                */

enum graph_flags {
    GRAPH_EAGER = 1,      /* run each node as it is recorded: slow, for debugging, same bits    */
    GRAPH_CHECKPOINT = 2, /* begin with graph_set_recompute(g, RECOMPUTE_ALL)                   */
    GRAPH_FROZEN = 4,     /* parameters do not change while this graph lives: pack them once    */
};

/* threads: 1 or more; used for every run of this graph.  Fails with E_MEMORY. */
enum status graph_new(struct graph **out, unsigned flags, int threads, struct error *err);
void graph_free(struct graph *g);

/* In which precision linear layers, 3 x 3 convolutions and attentions are computed that are planned
 * from now on, as far as they know it; float32 at first. */
void graph_set_precision(struct graph *g, enum precision precision);

/* Forget the tape (tensors of it become invalid); plans are kept. */
void graph_reset(struct graph *g);
/* Forget the plans too, what ops prepared for them, and the memory that runs have taken. */
void graph_forget(struct graph *g);

/* A leaf with the caller's values, dense, valid until the run is over. */
struct tensor *graph_input(struct graph *g, struct shape shape, const float *data);
struct tensor *graph_input_i32(struct graph *g, struct shape shape, const int32_t *data);

/* A parameter.  data: its values; grad: where graph_backward must leave d loss / d parameter, or
 * NULL when no gradient is wanted.  Asking twice for the same data gives the same tensor. */
struct tensor *graph_param(struct graph *g, struct shape shape, const float *data, float *grad,
                           const char *name);

/* The same for a matrix that stays as its file stores it, without a gradient: of dtype
 * DTYPE_STORED, an input of those ops alone that say so (op->stored).  *s outlives the run, and
 * frozen or not, its address tells plans apart. */
struct tensor *graph_stored(struct graph *g, struct shape shape, const struct matrix *s,
                            const char *name);

/* Ask for d loss / d x of an input, or of what op_detach gives; read it as x->grad. Call before x
 * is used. */
void graph_want_grad(struct tensor *x);

/* How much graph_backward forgets and computes again, from now on: less memory for more time, and
 * the same bits.  At most: 1 + graph_segments(g). */
enum {
    RECOMPUTE_NOTHING = 0,   /* every value that an adjoint reads is kept                         */
    RECOMPUTE_CHEAP = 1,     /* what ops say is cheap (op->again), norms and activations, is not  */
    RECOMPUTE_ALL = 1 << 16, /* 1 + k: nor is the inside of the first k segments                */
};
void graph_set_recompute(struct graph *g, int level);

/* Record the adjoints of a scalar loss ([1]).  Afterwards t->grad is set for every t that wants
 * one, and parameters' gradients are written to their own memory by the run (zeros where none
 * flows). */
void graph_backward(struct graph *g, struct tensor *loss);

/* Record d loss / d x of a scalar loss ([1]) for one x that wants a gradient, as a value to compute
 * with: zeros where nothing flows.  No x->grad is set and no parameter's memory is written, so that
 * several losses may be asked before graph_backward (and not after it).  Of what is recorded, the
 * run executes what the result needs and nothing else.  Nothing is forgotten and computed again. */
struct tensor *graph_gradient(struct graph *g, struct tensor *loss, struct tensor *x);

/* Keep t's values until after the run, for graph_read.  Works on t->grad too. */
void graph_keep(struct graph *g, struct tensor *t);

/* Run everything that a kept tensor or a parameter's gradient needs. E_MEMORY when the plan does
 * not fit, E_CANCELLED where the watch says so, or what an op's plan says. */
enum status graph_run(struct graph *g, struct error *err);

/* Asked before each op of a run is prepared or computed, with the share of the run's arithmetic
 * that is done, in [0, 1]; false ends the run with E_CANCELLED.  The graph then runs again as if
 * nothing had been: what was planned to the end is kept.  Must be quick: it stands between ops.
 * NULL: not asked. */
typedef bool graph_watch(double done, void *user);
void graph_set_watch(struct graph *g, graph_watch *watch, void *user);

/* Copy a kept tensor's values out; out has room for shape_count(t->shape) floats. */
void graph_read(struct graph *g, const struct tensor *t, float *out);
/* The same for whole numbers (DTYPE_I32). */
void graph_read_i32(struct graph *g, const struct tensor *t, int32_t *out);

/* Segments: a part of the forward whose inside may be forgotten (RECOMPUTE_ALL).  No nesting. */
struct segment {
    int32_t first;
};
struct segment segment_open(struct graph *g);
void segment_close(struct graph *g, struct segment s);
int graph_segments(const struct graph *g); /* on the present tape */

/* Called after a node of a new plan was prepared: parameters that it packed (frozen graphs) will
 * hardly be read where they lie.  NULL to stop. */
typedef void graph_prepared(const struct tensor *y, void *user);
void graph_set_prepared(struct graph *g, graph_prepared *prepared, void *user);

/* --- for ops ------------------------------------------------------------------------------------
 */

/* Append a node; absent inputs NULL.  wants_grad follows from the inputs.  Set arg[] on the result
 * before it is used: y = record(...); y->arg[0].f = eps;  (eager mode runs it at the next call). */
struct tensor *record(struct graph *g, const struct op *op, struct shape shape, struct tensor *in0,
                      struct tensor *in1, struct tensor *in2, struct tensor *in3);

/* Input k >= 4 of a node just recorded, for the few ops that read more; NULL: absent. */
void record_input(struct graph *g, struct tensor *y, int k, struct tensor *in);

/* Give y a second float result of this shape, written by the same kernel through y->side->data. */
struct tensor *record_side(struct graph *g, struct tensor *y, struct shape shape);

/* For op->again: the same op of the same inputs and constants once more, side result included.
 * _after: only where an input is recorded again too, else y (an op whose own adjoint keeps
 * nothing). */
struct tensor *record_again(struct graph *g, struct tensor *y);
struct tensor *record_again_after(struct graph *g, struct tensor *y);

/* x->grad += t, when x wants a gradient; t has x's shape. */
void grad_add(struct graph *g, struct tensor *x, struct tensor *t);
/* The same for an op that does the adding itself, in the pass that makes its share: what x's
 * gradient is so far, or NULL, to be an input of the op; then the op's result in its place. */
struct tensor *grad_so_far(const struct tensor *x);
void grad_replace(struct tensor *x, struct tensor *t);
bool graph_is_frozen(const struct graph *g);
enum precision graph_precision(const struct graph *g);

/* --- for reports --------------------------------------------------------------------------------
 */

struct graph_stats {
    int64_t nodes;       /* on the tape                                   */
    int64_t live;        /* of them needed                                */
    int64_t arena_bytes; /* planned memory for intermediate values        */
    int64_t scratch_bytes;
    int64_t held_bytes;  /* packed weights of a frozen graph, for as long as the plan is kept */
    int64_t plans;       /* distinct tapes met so far                     */
    int64_t naive_bytes; /* what the live nodes would take without reuse  */
    int64_t floor_bytes; /* the most that is alive at once                */
    double flops;        /* of the live nodes that say                    */
};

/* Plan the present tape without running it, and tell what it needs. */
enum status graph_measure(struct graph *g, struct graph_stats *out, struct error *err);

/* What shapes alone say, in milliseconds: no primitive is made; scratch, held bytes and
 * flops stay 0. */
enum status graph_outline(const struct graph *g, struct graph_stats *out, struct error *err);

/* Show every node that a run of the present tape would compute, in order, from shapes alone: nothing
 * is planned, and what its inputs hold is never looked at. */
typedef void graph_visitor(const struct tensor *y, void *user);
enum status graph_visit(const struct graph *g, graph_visitor *visit, void *user, struct error *err);

/* Called after each node of a run with the seconds it took, for profiles; NULL to stop. */
typedef void graph_probe(const struct tensor *y, double seconds, void *user);
void graph_set_probe(struct graph *g, graph_probe *probe, void *user);

#endif
