/*
 * segment.c - parts of the forward whose inside may be forgotten
 *
 * Activation checkpointing (Chen et al. 2016, "Training deep nets with sublinear memory cost") on a
 * tape is a copy: append the segment's nodes again just before their adjoints, and let the adjoints
 * read the copy.  What of the copy nobody reads is dead code and is never run.  Because ops are
 * pure, the copy's values have the same bits.
 */
#include "graph/internal.h"

struct segment segment_open(struct graph *g)
{
    MUST(g->n_segments == 0 || g->segment[g->n_segments - 1].last <= g->n, "segments do not nest");
    return (struct segment){g->n};
}

void segment_close(struct graph *g, struct segment s)
{
    MUST(g->n_segments < SEGMENTS, "a tape has at most %d segments", SEGMENTS);
    MUST(g->n_segments == 0 || g->segment[g->n_segments - 1].last <= s.first,
         "segments do not nest");
    if (s.first < g->n)
        g->segment[g->n_segments++] = (struct segment_range){s.first, g->n};
}

static struct tensor *twin_of(struct segment_range s, struct tensor *const copy[], struct tensor *t)
{
    return t && t->id >= s.first && t->id < s.last ? copy[t->id - s.first] : t;
}

static struct tensor *clone_node(struct graph *g, struct segment_range s,
                                 struct tensor *const copy[], const struct tensor *old)
{
    struct tensor *in[TENSOR_INS];

    for (int k = 0; k < TENSOR_INS; k++)
        in[k] = twin_of(s, copy, old->in[k]);
    return tape_twin(g, old, in);
}

void segment_clone(struct graph *g, struct segment_range s, struct tensor *copy[])
{
    for (int32_t i = s.first; i < s.last; i++) {
        struct tensor *old = &g->node[i];

        copy[i - s.first] = tape_is_leaf(old) ? old : clone_node(g, s, copy, old);
    }
}

int graph_segments(const struct graph *g)
{
    return g->n_segments;
}
