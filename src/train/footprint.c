/*
 * footprint.c - what a run takes in memory, told before its first step
 *
 * Nearly all memory of a run is asked for before the first step: flat arrays, batches, and the
 * arena and scratch whose sizes the plan knows.  What is left, the program, oneDNN's primitives and
 * the data set, cannot be derived from shapes, but is there once the run is set up and the plan is
 * made.  So:
 *
 *     peak =  what the process has now                              (measured)
 *           + pages of the state that nobody has touched yet        (asked of the system)
 *           + arena and scratch                                     (planned)
 *           + what a sheet or a checkpoint takes for a while        (formulas)
 *
 * Sheets and evaluations run on the training's own graph, in its arena, so that they add little (a
 * decoder of latents is the exception: it has a graph of its own, for as long as a sheet takes);
 * their plans are made here too, for theirs may be the longest.
 *
 * A limit is met by computing more again (graph_set_recompute), at the lowest level that fits,
 * since every level costs time.  Levels are compared by where their values would lie, which shapes
 * tell in a millisecond; only the one that is chosen makes its primitives.
 */
#include "train/footprint.h"

#include "base/memory.h"

#include <inttypes.h>

static int64_t more(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Plan at this level, and add up. */
static enum status measure(struct footprint *out, const struct footprint_task *t, int level,
                           struct error *err)
{
    struct graph_stats step, others = {0};
    int64_t missing = 0, beside = 0, now;
    enum status st;

    *out = (struct footprint){.program = t->program, .level = level};
    graph_set_recompute(t->graph, level);
    t->record(t->self);
    out->segments = graph_segments(t->graph);
    if (out->level > RECOMPUTE_CHEAP + out->segments)
        out->level = RECOMPUTE_CHEAP + out->segments;
    if ((st = graph_measure(t->graph, &step, err)) ||
        (st = t->others(t->self, &others, &beside, err)))
        return st;
    for (int i = 0; i < FOOTPRINT_BLOCKS; i++) {
        out->state += (int64_t)t->block[i].bytes;
        missing += mem_block_missing(t->block[i].at, t->block[i].bytes, 1);
    }
    out->beside = more(t->beside, beside);
    now = mem_resident();
    out->values = more(step.arena_bytes, others.arena_bytes);
    out->scratch = more(step.scratch_bytes, others.scratch_bytes);
    out->setup = more(0, now - out->program - (out->state - missing));
    out->peak = out->program + out->setup + out->state + out->values + out->scratch + out->beside;
    return OK;
}

/* The lowest level above `from` whose values take at most `room`, or, where none fits, the one that
 * takes least: what is computed again needs room too, so that the highest level may not be it. */
static enum status find_level(int *level, bool *fits, const struct footprint_task *t, int from,
                              int highest, int64_t room, struct error *err)
{
    int64_t least = INT64_MAX;
    enum status st;

    *fits = false;
    for (int k = from + 1; k <= highest && !*fits; k++) {
        struct graph_stats step;

        graph_set_recompute(t->graph, k);
        t->record(t->self);
        if ((st = graph_outline(t->graph, &step, err)))
            return st;
        *fits = step.arena_bytes <= room;
        if (step.arena_bytes < least) {
            least = step.arena_bytes;
            *level = k;
        }
    }
    return OK;
}

/* Values and scratch grow with the batch, nothing else does. */
static enum status refuse(const struct footprint *f, const struct footprint_task *t,
                          struct error *err)
{
    int64_t fixed = f->peak - f->values;
    int64_t fits = t->limit > fixed ? t->batch * (t->limit - fixed) / more(f->values, 1) : 0;

    if (fits < 1)
        return fail(err, E_MEMORY,
                    "train.memory_limit: a run takes %" PRId64
                    " bytes with all recomputed that can "
                    "be, the limit is %" PRId64 "; %" PRId64 " of them do not depend on the batch: "
                    "only a smaller network would fit",
                    f->peak, t->limit, fixed);
    return fail(err, E_MEMORY,
                "train.memory_limit: a run takes %" PRId64
                " bytes with all recomputed that saves any, "
                "the limit is %" PRId64 "; train.batch = %" PRId64 " should fit, with "
                "train.accumulate to make up for it",
                f->peak, t->limit, fits);
}

enum status footprint_find(struct footprint *out, const struct footprint_task *t, struct error *err)
{
    bool fits = true;
    int level = 0, highest;
    enum status st;

    if ((st = measure(out, t, t->level, err)))
        return st;
    highest = RECOMPUTE_CHEAP + out->segments;
    while (t->limit && out->peak > t->limit) {
        if (!fits || out->level >= highest)
            return refuse(out, t, err);
        if ((st = find_level(&level, &fits, t, out->level, highest,
                             t->limit - (out->peak - out->values), err)))
            return st;
        graph_forget(t->graph);
        if ((st = measure(out, t, level, err)))
            return st;
    }
    return OK;
}
