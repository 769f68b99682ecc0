/*
 * predictor.c - a network as a predictor
 *
 * Solvers work in double on the host, networks in float32 on a tape: here the two meet.  Both
 * branches of guidance go through the network as one batch of twice the rows, the unguided half
 * under the null label or a negative one, so that weights are read once for both.
 *
 * A network with two predictions computes both at once, and a solver asks for them one after the
 * other; so it is with the variance that some say beside their prediction.  So what was asked last
 * is remembered, and asked again at the same point it is read out of the same result.
 *
 * The perturbed branch is another tape of the same network on the same weights, so it is a run of
 * its own, after the others.
 *
 * The tape is recorded anew at each call and its plan found again by its signature: the cost is
 * some microseconds, and the batch of one branch and that of two need no bookkeeping.
 */
#include "pipeline/predictor.h"

#include "base/memory.h"
#include "pipeline/condition.h"
#include "pipeline/windows.h"

#include <stdlib.h>
#include <string.h>

enum status network_predictor_init(struct network_predictor *p, const struct model *model,
                                   struct graph *graph, const int32_t *label,
                                   const struct prompts *prompts, int64_t rows, struct error *err)
{
    const struct network_io *io = &model->network->io;
    uint64_t twice = 2 * (uint64_t)rows;
    enum status st;

    *p = (struct network_predictor){
        .model = model,
        .graph = graph,
        .rows = rows,
        .length = shape_count(windows_shape(model, 1, io->in_channels)),
        .away = io->null_label,
        .prompts = prompts,
    };
    MUST(prompts || !(io->text_length || io->context_width),
         "a network that reads texts is given none");
    if (io->context_width &&
        ((st = mem_new((void **)&p->context, twice * (uint64_t)prompts->tokens,
                       (uint64_t)prompts->width * sizeof *p->context, "encoded texts", err)) ||
         (st = mem_new((void **)&p->pooled, twice,
                       (uint64_t)prompts->pooled_width * sizeof *p->pooled, "encoded texts", err))))
        return st;
    if (io->text_length &&
        (st = mem_new((void **)&p->text, twice, (uint64_t)io->text_length * sizeof *p->text,
                      "texts", err)))
        return st;
    if (io->condition_channels &&
        (st = mem_new((void **)&p->condition, twice * (uint64_t)condition_length(model->network),
                      sizeof *p->condition, "conditions", err)))
        return st;
    if ((st = mem_new((void **)&p->label, (uint64_t)rows, sizeof *p->label, "labels", err)) ||
        (st = mem_new((void **)&p->fed, twice, sizeof *p->fed, "labels", err)) ||
        (st = mem_new((void **)&p->t, twice, sizeof *p->t, "times", err)) ||
        (st = mem_new((void **)&p->x, twice * (uint64_t)p->length, sizeof *p->x, "a batch", err)) ||
        (st = mem_new((void **)&p->y,
                      twice * (uint64_t)shape_count(windows_shape(model, 1, io->out_channels)),
                      sizeof *p->y, "a batch of predictions", err)))
        return st;
    for (int h = 0; h < 2; h++)
        p->head[h] = (struct network_head){p, h};
    if (label)
        memcpy(p->label, label, (size_t)rows * sizeof *label);
    return model->options.second || model_has_variance(model) ? network_predictor_remember(p, err)
                                                              : OK;
}

enum status network_predictor_remember(struct network_predictor *p, struct error *err)
{
    if (p->asked)
        return OK;
    return mem_new((void **)&p->asked, (uint64_t)p->rows * (uint64_t)p->length, sizeof *p->asked,
                   "a point", err);
}

enum status network_predictor_perturb(struct network_predictor *p, const bool *identity,
                                      const bool *skip, struct error *err)
{
    const struct network_io *io = &p->model->network->io;
    uint64_t length = (uint64_t)shape_count(windows_shape(p->model, 1, io->out_channels));
    float *y;
    enum status st;

    if ((st = mem_new((void **)&y, 3 * (uint64_t)p->rows * length, sizeof *y,
                      "a batch of predictions", err)))
        return st;
    free(p->y);
    p->y = y;
    p->identity = identity;
    p->skip = skip;
    return OK;
}

void network_predictor_condition(struct network_predictor *p, const float *known, int64_t step)
{
    MUST(p->condition, "a network without a condition is given one");
    p->known = known;
    p->known_step = step;
}

void network_predictor_release(struct network_predictor *p)
{
    free(p->condition);
    free(p->label);
    free(p->asked);
    free(p->fed);
    free(p->text);
    free(p->context);
    free(p->pooled);
    free(p->t);
    free(p->x);
    free(p->y);
    memset(p, 0, sizeof *p);
}

static struct reading reading_at(const struct network_predictor *p, double t)
{
    const struct model *m = p->model;
    struct path_coefs c = path_at(&m->path, t);

    return precondition_at(&m->precondition, &m->path, &c);
}

/* Rows [at, at + rows) of the batch: x at t under the labels, or under that of the unguided branch.
 */
static void feed(struct network_predictor *p, int64_t at, const double *x, const struct reading *r,
                 const int32_t *label)
{
    float *to = p->x + at * p->length;

    for (int64_t i = 0; i < p->rows * p->length; i++)
        to[i] = (float)(r->in * x[i]);
    for (int64_t i = 0; i < p->rows; i++) {
        p->t[at + i] = (float)r->time;
        p->fed[at + i] = label ? label[i] : p->away;
    }
    for (int64_t i = 0; p->known && i < p->rows; i++) {
        int64_t length = condition_length(p->model->network);

        memcpy(p->condition + (at + i) * length, p->known + i * p->known_step,
               (size_t)length * sizeof *p->known);
    }
    if (p->context)
        prompts_gather_encoded(p->prompts, p->context + at * p->prompts->tokens * p->prompts->width,
                               p->pooled + at * p->prompts->pooled_width, p->fed + at, p->rows);
    if (p->text)
        prompts_gather(p->prompts, p->text + at * p->prompts->length, p->fed + at, p->rows);
}

static struct tensor *record_rows(struct network_predictor *p, int64_t rows, bool perturbed)
{
    const struct network_io *io = &p->model->network->io;
    struct graph *g = p->graph;
    struct network_input in = {.identity = perturbed ? p->identity : NULL,
                               .skip = perturbed ? p->skip : NULL};
    struct tensor *y;

    graph_reset(g);
    in.x = graph_input(g, windows_shape(p->model, rows, io->in_channels), p->x);
    in.t = graph_input(g, SHAPE(rows), p->t);
    if (p->condition)
        in.condition = graph_input(
            g, network_shape(p->model->network, rows, io->condition_channels), p->condition);
    network_ask(g, io, &in, rows, p->fed, p->text);
    if (p->context)
        network_tell(g, io, &in, rows, p->prompts->tokens, p->context, p->pooled);
    y = network_forward(g, p->model->network, in);
    graph_keep(g, y);
    return y;
}

/* The network on the rows that were fed; what it says becomes y's rows from `to` on. */
static enum status run(struct network_predictor *p, int64_t rows, int64_t to, bool perturbed,
                       struct error *err)
{
    const struct network_io *io = &p->model->network->io;
    struct tensor *y;
    enum status st;

    if (!rows)
        return OK;
    y = record_rows(p, rows, perturbed);
    if ((st = graph_run(p->graph, err)))
        return st;
    graph_read(p->graph, y, p->y + to * shape_count(windows_shape(p->model, 1, io->out_channels)));
    p->evaluations += rows / p->rows;
    return OK;
}

enum status network_predictor_measure(struct network_predictor *p, int64_t rows,
                                      struct graph_stats *out, struct error *err)
{
    record_rows(p, rows, false);
    return graph_measure(p->graph, out, err);
}

/* The at-th branch of y.  A network that learned a variance hands out more channels than the
 * picture has, and so does one with two predictions: the first count, or the second. */
static void read_out(const struct network_predictor *p, double *out, int64_t at, int head,
                     const double *x, const struct reading *r)
{
    const struct network_io *io = &p->model->network->io;
    int64_t C = io->in_channels, K = io->out_channels;
    int64_t pixels = p->rows * shape_count(windows_shape(p->model, 1, 1));
    const float *y = p->y + at * pixels * K + head * C;

    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < C; c++)
            out[i * C + c] = r->out * (double)y[i * K + c];
    if (r->skip != 0)
        for (int64_t i = 0; i < p->rows * p->length; i++)
            out[i] += r->skip * x[i];
}

/* Run the network, unless its results for this very point are still there, perhaps with more
 * branches beside.  *held: those that y then holds. */
static enum status ask(struct network_predictor *p, unsigned *held, const double *x, double t,
                       unsigned branches, const struct reading *r, struct error *err)
{
    size_t bytes = (size_t)(p->rows * p->length) * sizeof *x;
    int64_t rows = 0;
    enum status st;

    *held = p->asked_branches;
    if (p->asked && (*held & branches) == branches && p->asked_t == t &&
        !memcmp(p->asked, x, bytes))
        return OK;
    *held = branches;
    p->asked_branches = 0;
    for (unsigned b = BRANCH_UNGUIDED; b <= BRANCH_GUIDED; b <<= 1)
        if (branches & b) {
            feed(p, rows, x, r, b == BRANCH_GUIDED ? p->label : NULL);
            rows += p->rows;
        }
    if ((st = run(p, rows, 0, false, err)))
        return st;
    if (branches & BRANCH_PERTURBED) {
        MUST(p->identity || p->skip,
             "a network that is not perturbed is asked for its perturbed branch");
        feed(p, 0, x, r, p->label);
        if ((st = run(p, p->rows, rows, true, err)))
            return st;
    }
    if (!p->asked)
        return OK;
    memcpy(p->asked, x, bytes);
    p->asked_t = t;
    p->asked_branches = branches;
    return OK;
}

static enum status predict(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err)
{
    const struct network_head *head = self;
    struct reading r = reading_at(head->of, t);
    int64_t length = head->of->rows * head->of->length;
    unsigned held;
    enum status st;

    if ((st = ask(head->of, &held, x, t, branches, &r, err)))
        return st;
    for (unsigned b = BRANCH_UNGUIDED; b <= BRANCH_PERTURBED; b <<= 1)
        if (branches & b) {
            read_out(head->of, out, branch_count(held & (b - 1)), head->index, x, &r);
            out += length;
        }
    return OK;
}

static struct predictor predictor_of(struct network_predictor *p, int head)
{
    return (struct predictor){
        .predict = predict, .self = &p->head[head], .rows = p->rows, .length = p->length};
}

struct predictor predictor_of_network(struct network_predictor *p)
{
    return predictor_of(p, 0);
}

struct predictor predictor_of_second(struct network_predictor *p)
{
    MUST(p->model->options.second, "a network of one prediction is asked for its second");
    return predictor_of(p, 1);
}

struct predictor predictor_of_variance(struct network_predictor *p)
{
    MUST(model_has_variance(p->model), "a network that says no variance is asked for it");
    return predictor_of(p, 1);
}
