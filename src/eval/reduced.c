/*
 * reduced.c - what a reduced precision costs in exactness
 *
 * A layer in int8 is about a per cent wrong, and whether that matters only the end tells: errors of
 * layers are added, pass through what follows, are guided apart, and are fed back by the solver. So
 * both are measured.  The end: the same pictures from the same noise in both precisions, compared
 * before they are decoded, for a decoder would hide what it does not show.  And the layers: in one
 * run of the network in float32, each linear layer and each attention is computed once more in the
 * other precision on the very input that it has there, so that the figure is its own and none of
 * those before it; where the end is bad, the list says where to look first.
 *
 * Layers are met by the probe that profiles are made with, when the layer's inputs are still in
 * place.  Weights may lie in a file in any type (DTYPE_STORED), as products read them.
 */
#include "eval/reduced.h"

#include "base/clock.h"
#include "base/memory.h"
#include "ops/attention.h"
#include "ops/linear.h"
#include "pipeline/viewer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- layer by layer -----------------------------------------------------------------------------
 */

struct watch {
    struct reduced_result *out;
    const struct reduced_task *task;
    int64_t room, run; /* of out->layer; of the network, from 0      */
    char first[112];   /* the layer that a run begins with           */
    char last[112];    /* the linear layer that was met last         */
    double seconds;    /* that looking has taken                      */
    enum status failed;
    struct error failure;
};

/* What a node of another tape reads, on this one. */
static struct tensor *leaf(struct graph *g, const struct tensor *x)
{
    if (!x)
        return NULL;
    if (x->dtype == DTYPE_STORED)
        return graph_stored(g, x->shape, x->data, "w");
    return x->dtype == DTYPE_I32 ? graph_input_i32(g, x->shape, x->data)
                                 : graph_input(g, x->shape, x->data);
}

static bool is_linear(const struct tensor *y)
{
    return !strcmp(y->op->name, "linear") && y->in[1]->name;
}

/* y's node alone in that precision, on the same input. */
static enum status compute_alone(float *out, struct reduced_layer *l, const struct tensor *y,
                                 const struct reduced_task *t, struct error *err)
{
    struct tensor *in[4], *z;
    struct graph *g;
    enum status st;

    if ((st = graph_new(&g, 0, t->request->threads, err)))
        return st;
    graph_set_precision(g, t->precision);
    for (int k = 0; k < 4; k++)
        in[k] = leaf(g, y->in[k]);
    z = record(g, y->op, y->shape, in[0], in[1], in[2], in[3]);
    memcpy(z->arg, y->arg, sizeof z->arg);
    l->reduced =
        (is_linear(y) ? linear_precision(g, z) : attention_precision(g, z)) != PRECISION_FLOAT32;
    graph_keep(g, z);
    if (l->reduced && !(st = graph_run(g, err)))
        graph_read(g, z, out);
    graph_free(g);
    return st;
}

static double relative_error(const float *x, const float *exact, int64_t n)
{
    double error = 0, size = 0;

    for (int64_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)exact[i];

        error += d * d;
        size += (double)exact[i] * (double)exact[i];
    }
    return size > 0 ? sqrt(error / size) : 0;
}

static enum status add_layer(struct watch *w, const struct tensor *y, struct error *err)
{
    int64_t n = shape_count(y->shape);
    struct reduced_layer *l;
    float *out = NULL;
    enum status st;

    if ((st = mem_grow((void **)&w->out->layer, &w->room, w->out->n_layers + 1, sizeof *l, err)) ||
        (st = mem_new((void **)&out, (uint64_t)n, sizeof *out, "a layer", err)))
        return st;
    l = &w->out->layer[w->out->n_layers];
    *l = (struct reduced_layer){.rows = shape_rows(y->shape),
                                .inputs = shape_last(y->in[0]->shape),
                                .outputs = shape_last(y->shape)};
    if (is_linear(y))
        snprintf(l->name, sizeof l->name, "%s", y->in[1]->name);
    else
        snprintf(l->name, sizeof l->name, "attention of %.90s", w->last);
    if (!(st = compute_alone(out, l, y, w->task, err))) {
        l->error = l->reduced ? relative_error(out, y->data, n) : 0;
        w->out->n_layers++;
    }
    free(out);
    return st;
}

static void look_at(const struct tensor *y, double seconds, void *user)
{
    struct watch *w = user;
    double start = clock_seconds();

    (void)seconds;
    if (w->failed || (!is_linear(y) && strcmp(y->op->name, "attention")))
        return;
    if (is_linear(y)) {
        snprintf(w->last, sizeof w->last, "%s", y->in[1]->name);
        if (!*w->first)
            memcpy(w->first, w->last, sizeof w->first);
        w->run += !strcmp(w->first, w->last);
    }
    if (w->run == w->task->look_at)
        w->failed = add_layer(w, y, &w->failure);
    w->seconds += clock_seconds() - start;
}

static int by_error(const void *a, const void *b)
{
    const struct reduced_layer *x = a, *y = b;

    return (x->error < y->error) - (x->error > y->error);
}

/* --- the end ------------------------------------------------------------------------------------
 */

/* States as of the last step so far. */
struct ending {
    double *x; /* [n, length] */
    int64_t length;
    bool reached;
};

static bool keep(const struct generate_progress *p, void *user)
{
    struct ending *e = user;

    if (p->phase != PHASE_STEPPED)
        return true;
    memcpy(e->x + p->first * e->length, p->x, (size_t)(p->count * e->length) * sizeof *e->x);
    e->reached = p->steps && p->step == p->steps && p->first + p->count == p->n;
    return !e->reached;
}

/* Solve, and stop before anything is decoded. */
static enum status solve(double *x, double *seconds, const struct reduced_task *t,
                         enum precision precision, struct watch *w, struct error *err)
{
    const struct network_io *io = &t->request->model->network->io;
    const struct view_shape shape = view_shape(t->request->model, false);
    struct generate_request r = *t->request;
    struct ending end = {.x = x, .length = io->height * io->width * io->in_channels};
    double start = clock_seconds();
    float *pictures = NULL;
    enum status st;

    if ((st = mem_new((void **)&pictures, (uint64_t)(r.n * view_length(&shape)), sizeof *pictures,
                      "pictures", err)) ||
        (st = graph_new(&r.graph, GRAPH_FROZEN, r.threads, err)))
        goto out;
    graph_set_precision(r.graph, precision);
    if (w)
        graph_set_probe(r.graph, look_at, w);
    r.progress = keep;
    r.preview_every = 0;
    r.user = &end;
    st = generate(pictures, &r, NULL, err);
    st = st == E_CANCELLED && end.reached ? OK : st;
    graph_free(r.graph);
out:
    free(pictures);
    *seconds = clock_seconds() - start;
    return st;
}

static void compare(struct reduced_result *out, const double *exact, const double *x, int64_t n)
{
    double least = exact[0], most = exact[0], mean = 0, power = 0, error = 0;

    for (int64_t i = 0; i < n; i++) {
        least = fmin(least, exact[i]);
        most = fmax(most, exact[i]);
        mean += exact[i] / (double)n;
        error += (x[i] - exact[i]) * (x[i] - exact[i]) / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        power += (exact[i] - mean) * (exact[i] - mean) / (double)n;
    out->psnr = error > 0 ? 10 * log10((most - least) * (most - least) / error) : (double)INFINITY;
    out->snr = error > 0 ? 10 * log10(power / error) : (double)INFINITY;
}

enum status reduced_compare(struct reduced_result *out, const struct reduced_task *t,
                            struct error *err)
{
    const struct network_io *io = &t->request->model->network->io;
    int64_t n = t->request->n * io->height * io->width * io->in_channels;
    struct watch w = {.out = out, .task = t, .run = -1};
    double *x[2] = {NULL, NULL};
    enum status st = OK;

    *out = (struct reduced_result){0};
    if (t->request->n < 1)
        return fail(err, E_ARG, "no pictures to compare");
    for (int k = 0; k < 2 && !st; k++)
        st = mem_new((void **)&x[k], (uint64_t)n, sizeof **x, "what a solver leaves", err);
    if (st ||
        (st = solve(x[0], &out->seconds[0], t, PRECISION_FLOAT32, t->look_at < 0 ? NULL : &w, err)))
        goto out;
    if (w.failed) {
        st = fail(err, w.failed, "%s", w.failure.text);
        goto out;
    }
    out->seconds[0] -= w.seconds;
    if (out->n_layers)
        qsort(out->layer, (size_t)out->n_layers, sizeof *out->layer, by_error);
    if (!(st = solve(x[1], &out->seconds[1], t, t->precision, NULL, err)))
        compare(out, x[0], x[1], n);
out:
    free(x[0]);
    free(x[1]);
    return st;
}

void reduced_release(struct reduced_result *r)
{
    free(r->layer);
    *r = (struct reduced_result){0};
}
