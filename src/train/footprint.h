/*
 * footprint.h - what a run takes in memory, told before its first step
 */
#ifndef IMGEN_TRAIN_FOOTPRINT_H
#define IMGEN_TRAIN_FOOTPRINT_H

#include "graph/graph.h"

/* Bytes, part by part. */
struct footprint {
    int64_t program; /* what the process had before the run: itself, its libraries            */
    int64_t setup;   /* pictures, batches, tape, primitives: what setting up has taken         */
    int64_t state;   /* weights, gradients, moments, average                                   */
    int64_t values;  /* intermediate values of a step, or of a sheet where that needs more     */
    int64_t scratch; /* the same of scratch                                                    */
    int64_t beside;  /* for a while, when a sheet is drawn or a checkpoint written             */
    int64_t peak;    /* the sum                                                                */
    int level;       /* of graph_set_recompute                                                 */
    int segments;    /* that there are: RECOMPUTE_CHEAP + this is the highest level            */
};

/* A part of the state: allocated, perhaps not touched yet. */
struct footprint_block {
    const void *at;
    uint64_t bytes;
};
enum { FOOTPRINT_BLOCKS = 16 };

/* How to find out.  All of `set up` is done but for the graph's plans; nothing has run. */
struct footprint_task {
    struct graph *graph;
    void (*record)(void *self); /* the tape of a step, onto the graph   */
    /* Plan whatever else the run will do on this graph: the most values and scratch of all of it,
     * and the most bytes that it needs besides. */
    enum status (*others)(void *self, struct graph_stats *most, int64_t *beside, struct error *err);
    void *self;
    struct footprint_block block[FOOTPRINT_BLOCKS]; /* the state; unused ones are zero */
    int64_t program;                                /* mem_resident before setting up  */
    int64_t beside;                                 /* of whatever runs not on the graph */
    int level;     /* of graph_set_recompute, at least                       */
    int64_t limit; /* bytes, or 0: none                                      */
    int64_t batch; /* for the advice in the refusal                          */
};

/* Plan the run: the graph is left with its plans made and the lowest level set at which the peak
 * stays within the limit.  E_MEMORY, naming what it takes and what would help, when none does. */
enum status footprint_find(struct footprint *out, const struct footprint_task *t,
                           struct error *err);

#endif
