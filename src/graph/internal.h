/*
 * internal.h - what the files of graph/ share
 */
#ifndef IMGEN_GRAPH_INTERNAL_H
#define IMGEN_GRAPH_INTERNAL_H

#include "graph/graph.h"

enum {
    TAPE_NODES = 1 << 19,  /* address space reserved for the tape, touched as it grows */
    PARAM_SLOTS = 1 << 18, /* hash table from a parameter's data to its leaf           */
    PLANS_KEPT = 32,       /* distinct tapes remembered                                */
    SEGMENTS = 1 << 12,
};

struct segment_range {
    int32_t first, last; /* nodes [first, last) */
};

struct plan;

struct graph {
    unsigned flags;
    int threads;
    enum precision precision;

    struct tensor *node; /* [n], addresses never move */
    int32_t n;
    int32_t *slot; /* [PARAM_SLOTS], node id + 1 or 0 */
    struct segment_range segment[SEGMENTS];
    int n_segments;
    int recompute;         /* level of graph_set_recompute                                     */
    struct tensor **again; /* [n_again] during graph_backward: by id, the same values once more */
    int32_t n_again;

    uint64_t *words; /* the present tape's signature */
    int64_t words_room;
    struct plan *plan[PLANS_KEPT]; /* most recently used first */
    int n_plans;
    unsigned char *arena, *scratch;
    size_t arena_bytes, scratch_bytes;

    int32_t ran; /* eager: nodes [0, ran) have values */
    enum status failed;
    struct error failure; /* what went wrong while recording; told by graph_run   */

    graph_probe *probe;
    void *probe_user;
    graph_prepared *prepared;
    void *prepared_user;
    graph_watch *watch;
    void *watch_user;
};

/* What is decided once for all tapes that are equal. */
struct plan {
    uint64_t *signature; /* of n nodes */
    uint64_t hash;
    int32_t n;            /* nodes                                                         */
    int64_t *offset;      /* [n] into the arena; PLACE_* when the memory lies elsewhere     */
    void **state;         /* [n] what op->plan made                                        */
    const struct op **op; /* [n] for unplan                                            */
    size_t arena_bytes, scratch_bytes, held_bytes, naive_bytes, floor_bytes;
    int64_t live;
    double flops;
};

enum { PLACE_DEAD = -1, PLACE_LEAF = -2, PLACE_VIEW = -3, PLACE_BOUND = -4 };

/* tape.c */
struct tensor *tape_append(struct graph *g, const struct op *op, struct shape shape,
                           enum dtype dtype);
bool tape_is_leaf(const struct tensor *t);

struct tensor *tape_twin(struct graph *g, const struct tensor *old, struct tensor *const in[]);

/* again.c: x, or the node that computes its values once more for the adjoints. */
struct tensor *again_of(struct graph *g, struct tensor *x);

/* plan.c: the plan of the present tape, found or made. */
enum status plan_find(struct graph *g, struct plan **out, struct error *err);
void plan_free(struct plan *p);

/* place.c: p->n, offset, live, and the bytes of the arena. */
enum status place_all(const struct graph *g, struct plan *p, struct error *err);

/* run.c */
void run_pending(struct graph *g); /* eager: run what was recorded since */
void run_release(struct graph *g); /* eager: free the values             */
/* Ask the watch; E_CANCELLED where it says no.  done: share of the run. */
enum status run_goes_on(const struct graph *g, double done, struct error *err);

/* segment.c: append a copy of the segment's nodes; copy[i - first] is node i's, or node i itself
 * for leaves. */
void segment_clone(struct graph *g, struct segment_range s, struct tensor *copy[]);

#endif
