/*
 * forecast.c - what a request for pictures would take, told before
 *
 * A picture of a published model takes minutes, and where its weights do not fit into memory, every
 * step reads them from the disk once more and it takes hours; so both are said before, and who asks
 * can refuse.  What is needed is not all needed at once:
 *
 *     encoding   the largest text encoder, which is given back when it has answered
 *     solving    weights, values and scratch of the network, what the solver holds
 *     decoding   those values still, and the decoder; the network's weights lie in their file, and
 *                the system takes their pages back when it needs room
 *
 * Weights that a file lends are read there at each step and packed on the way; those of our own
 * files are packed once, and what was read is dropped (generate.c): either way they count once.
 * Values and scratch are what a plan says that is made here, on a graph that packs nothing, and
 * thrown away.
 *
 * Seconds are operations over speed: linear layers by that of a product of usual size, measured in
 * the precision asked for, and attention by the share of peak that it reaches (doc/performance.md).
 * What else a step does is a twentieth at most.  A neighbour on the machine makes it longer.
 */
#include "pipeline/forecast.h"

#include "backend/cpu/peak.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/whole.h"
#include "ops/attention.h"
#include "ops/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRY_ROWS = 512, TRY_SIDE = 1536, TRIES = 3 };

/* Of float32's peak: in float32, and with factors of bf16. */
static const double ATTENTION_SHARE = 0.75, ATTENTION_SHARE_BF16 = 1.3;

/* --- speed --------------------------------------------------------------------------------------
 */

/* Operations a second of a linear layer in that precision. */
static enum status linear_speed(double *out, enum precision precision, int threads,
                                struct error *err)
{
    float *x = NULL, *w = NULL;
    struct graph *g = NULL;
    double best = HUGE_VAL;
    enum status st;

    if ((st = mem_new((void **)&x, TRY_ROWS * TRY_SIDE, sizeof *x, "a try", err)) ||
        (st = mem_new((void **)&w, TRY_SIDE * TRY_SIDE, sizeof *w, "a try", err)) ||
        (st = graph_new(&g, GRAPH_FROZEN, threads, err)))
        goto out;
    graph_set_precision(g, precision);
    for (int i = -1; i < TRIES; i++) { /* the first one plans */
        double start = clock_seconds();

        graph_reset(g);
        graph_keep(g, op_linear(g, graph_input(g, SHAPE(1, TRY_ROWS, TRY_SIDE), x),
                                graph_param(g, SHAPE(TRY_SIDE, TRY_SIDE), w, NULL, "w"), NULL,
                                ACT_NONE));
        if ((st = graph_run(g, err)))
            goto out;
        if (i >= 0)
            best = fmin(best, clock_seconds() - start);
    }
    *out = 2.0 * TRY_ROWS * TRY_SIDE * TRY_SIDE / best;
out:
    graph_free(g);
    free(x);
    free(w);
    return st;
}

/* --- the plan -----------------------------------------------------------------------------------
 */

/* Operations of the plan's nodes: all; without attention; and attention's over its share of peak.
 */
struct work {
    const struct graph *graph;
    double all, layers, attention;
};

static void count(const struct tensor *y, void *user)
{
    struct work *w = user;
    double flops = y->op->flops ? y->op->flops(y) : 0;

    w->all += flops;
    if (strncmp(y->op->name, "attention", strlen("attention")))
        w->layers += flops;
    else if (!strcmp(y->op->name, "attention") &&
             attention_precision(w->graph, y) != PRECISION_FLOAT32)
        w->attention += flops / ATTENTION_SHARE_BF16;
    else
        w->attention += flops / ATTENTION_SHARE;
}

static enum status measure(struct forecast *out, struct work *work,
                           const struct generate_request *request, struct error *err)
{
    struct generate_request r = *request;
    struct generate_beside beside = {0};
    struct graph_stats most;
    enum status st;

    r.n = out->batch;
    if ((st = graph_new(&r.graph, 0, r.threads, err)))
        return st;
    graph_set_precision(r.graph, r.precision);
    work->graph = r.graph;
    graph_set_prepared(r.graph, count, work);
    if (!(st = generate_measure(&most, &beside, &r, err))) {
        out->values = most.arena_bytes + most.scratch_bytes;
        out->solver = beside.solving;
        out->decoder = beside.viewing;
    }
    graph_free(r.graph);
    return st;
}

static int64_t steps_of(const struct generate_request *r)
{
    int64_t steps = r->n_times ? r->n_times - 1 : r->settings.steps;

    if (sampler_at(r->settings.sampler)->adaptive)
        return 0;
    return r->repaint ? (int64_t)ceil((double)steps * r->strength) : steps;
}

enum status forecast_find(struct forecast *out, const struct generate_request *r, struct error *err)
{
    const struct model *m = r->model;
    struct work work = {0};
    double speed;
    enum status st;

    *out = (struct forecast){.program = mem_resident(), .available = mem_available()};
    out->batch = whole_min(generate_batch(r), r->n);
    if (out->batch < 1)
        return fail(err, E_ARG, "no pictures to plan for");
    out->batches = whole_parts(r->n, out->batch);
    out->steps = steps_of(r);
    out->weights = params_mapped_bytes(m->network->params);
    if ((m->encoders && (st = text_encoders_bytes(&out->encoders, m->encoders, err))) ||
        (st = measure(out, &work, r, err)) ||
        (st = linear_speed(&speed, r->precision, r->threads, err)))
        return st;
    out->peak = whole_max(out->weights + out->solver, out->decoder) + out->values;
    out->peak = whole_max(out->encoders, out->peak) + out->program;
    out->flops = work.all * sampler_at(r->settings.sampler)->evaluations;
    out->seconds = work.layers / speed + work.attention / cpu_peak_flops(r->threads);
    out->seconds *= sampler_at(r->settings.sampler)->evaluations;
    return OK;
}
