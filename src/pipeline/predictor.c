/*
 * predictor.c - a network as a predictor
 *
 * Solvers work in double on the host, networks in float32 on a tape: here the two meet.  Both
 * branches of guidance go through the network as one batch of twice the rows, the unguided half
 * under the null label, so that weights are read once for both.
 *
 * The tape is recorded anew at each call and its plan found again by its signature: the cost is
 * some microseconds, and the batch of one branch and that of two need no bookkeeping.
 */
#include "pipeline/predictor.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum status network_predictor_init(struct network_predictor *p, const struct model *model,
                                   struct graph *graph, const int32_t *label, int64_t rows,
                                   struct error *err)
{
    const struct network_io *io = &model->network->io;
    uint64_t twice = 2 * (uint64_t)rows;
    enum status st;

    *p = (struct network_predictor){
        .model = model,
        .graph = graph,
        .rows = rows,
        .length = io->height * io->width * io->in_channels,
    };
    if ((st = mem_new((void **)&p->label, (uint64_t)rows, sizeof *p->label, "labels", err)) ||
        (st = mem_new((void **)&p->fed, twice, sizeof *p->fed, "labels", err)) ||
        (st = mem_new((void **)&p->t, twice, sizeof *p->t, "times", err)) ||
        (st = mem_new((void **)&p->x, twice * (uint64_t)p->length, sizeof *p->x, "a batch", err)) ||
        (st = mem_new((void **)&p->y, twice * (uint64_t)(io->height * io->width * io->out_channels),
                      sizeof *p->y, "a batch of predictions", err)))
        return st;
    if (label)
        memcpy(p->label, label, (size_t)rows * sizeof *label);
    return OK;
}

void network_predictor_release(struct network_predictor *p)
{
    free(p->label);
    free(p->fed);
    free(p->t);
    free(p->x);
    free(p->y);
    memset(p, 0, sizeof *p);
}

/* Rows [at, at + rows) of the batch: x at t under the labels, or under the null label. */
static void feed(struct network_predictor *p, int64_t at, const double *x, double t,
                 const int32_t *label)
{
    float *to = p->x + at * p->length;

    for (int64_t i = 0; i < p->rows * p->length; i++)
        to[i] = (float)x[i];
    for (int64_t i = 0; i < p->rows; i++) {
        p->t[at + i] = (float)(t * p->model->options.time_scale);
        p->fed[at + i] = label ? label[i] : p->model->network->io.null_label;
    }
}

static struct tensor *record_rows(struct network_predictor *p, int64_t rows)
{
    const struct network_io *io = &p->model->network->io;
    struct graph *g = p->graph;
    struct network_input in;
    struct tensor *y;

    graph_reset(g);
    in.x = graph_input(g, SHAPE(rows, io->height, io->width, io->in_channels), p->x);
    in.t = graph_input(g, SHAPE(rows), p->t);
    in.y = io->n_labels ? graph_input_i32(g, SHAPE(rows), p->fed) : NULL;
    y = network_forward(g, p->model->network, in);
    graph_keep(g, y);
    return y;
}

static enum status run(struct network_predictor *p, int64_t rows, struct error *err)
{
    struct tensor *y = record_rows(p, rows);
    enum status st;

    if ((st = graph_run(p->graph, err)))
        return st;
    graph_read(p->graph, y, p->y);
    return OK;
}

enum status network_predictor_measure(struct network_predictor *p, int64_t rows,
                                      struct graph_stats *out, struct error *err)
{
    record_rows(p, rows);
    return graph_measure(p->graph, out, err);
}

/* A network that learned a variance hands out more channels than the picture has: the first count.
 */
static void read_out(const struct network_predictor *p, double *out, int64_t rows)
{
    const struct network_io *io = &p->model->network->io;
    int64_t C = io->in_channels, K = io->out_channels, pixels = rows * io->height * io->width;

    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < C; c++)
            out[i * C + c] = (double)p->y[i * K + c];
}

static enum status predict(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err)
{
    struct network_predictor *p = self;
    int64_t rows = 0;
    enum status st;

    if (branches & BRANCH_UNGUIDED) {
        feed(p, rows, x, t, NULL);
        rows += p->rows;
    }
    if (branches & BRANCH_GUIDED) {
        feed(p, rows, x, t, p->label);
        rows += p->rows;
    }
    if ((st = run(p, rows, err)))
        return st;
    read_out(p, out, rows);
    return OK;
}

struct predictor predictor_of_network(struct network_predictor *p)
{
    return (struct predictor){.predict = predict, .self = p, .rows = p->rows, .length = p->length};
}
