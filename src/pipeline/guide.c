/*
 * guide.c - a classifier of noisy pictures as a guide
 *
 * The gradient with respect to the picture comes from the same tape that trains the network: the
 * picture is a leaf that wants one, and the parameters, which have no gradients here, do not.  The
 * sum of the rows' surprises is differentiated once for the whole batch; no row's surprise depends
 * on another row's picture, so each gets its own.
 */
#include "pipeline/guide.h"

#include "base/memory.h"
#include "ops/basic.h"
#include "ops/cross_entropy.h"
#include "pipeline/match.h"

#include <stdlib.h>
#include <string.h>

enum status classifier_check(const struct model *classifier, const struct model *generator,
                             struct error *err)
{
    const struct network_io *c = &classifier->network->io;

    if (!c->classifies)
        return fail(err, E_ARG, "a '%s' makes pictures and cannot guide as a classifier",
                    classifier->network->kind->name);
    if (c->clean)
        return fail(err, E_ARG,
                    "a '%s' has seen clean pictures only, and cannot guide through noise",
                    classifier->network->kind->name);
    return models_match(classifier, "classifier", generator, err);
}

enum status network_classifier_init(struct network_classifier *c, const struct model *model,
                                    struct graph *graph, const int32_t *label, int64_t rows,
                                    struct error *err)
{
    const struct network_io *io = &model->network->io;
    uint64_t n = (uint64_t)rows;
    enum status st;

    *c = (struct network_classifier){
        .model = model,
        .graph = graph,
        .rows = rows,
        .length = io->height * io->width * io->in_channels,
    };
    if ((st = mem_new((void **)&c->label, n, sizeof *c->label, "labels", err)) ||
        (st = mem_new((void **)&c->t, n, sizeof *c->t, "times", err)) ||
        (st = mem_new((void **)&c->x, n * (uint64_t)c->length, sizeof *c->x, "a batch", err)) ||
        (st = mem_new((void **)&c->dx, n * (uint64_t)c->length, sizeof *c->dx,
                      "a batch of gradients", err)))
        return st;
    for (int64_t i = 0; i < rows; i++) {
        MUST(label[i] < io->n_classes, "label %d of %d classes", (int)label[i], (int)io->n_classes);
        c->label[i] = label[i] < 0 ? 0 : label[i];
    }
    return OK;
}

void network_classifier_release(struct network_classifier *c)
{
    free(c->label);
    free(c->t);
    free(c->x);
    free(c->dx);
    memset(c, 0, sizeof *c);
}

/* Record minus the gradient. */
static struct tensor *record_rows(struct network_classifier *c)
{
    const struct network_io *io = &c->model->network->io;
    struct graph *g = c->graph;
    struct network_input in = {0};
    struct tensor *surprise;

    graph_reset(g);
    in.x = graph_input(g, SHAPE(c->rows, io->height, io->width, io->in_channels), c->x);
    in.t = graph_input(g, SHAPE(c->rows), c->t);
    graph_want_grad(in.x);
    surprise = op_cross_entropy(g, network_forward(g, c->model->network, in),
                                graph_input_i32(g, SHAPE(c->rows), c->label));
    graph_backward(g, op_sum(g, surprise));
    graph_keep(g, in.x->grad);
    return in.x->grad;
}

static enum status gradient(void *self, double *out, const double *x, double t, struct error *err)
{
    struct network_classifier *c = self;
    const struct model *m = c->model;
    struct path_coefs at = path_at(&m->path, t);
    struct reading r = precondition_at(&m->precondition, &m->path, &at);
    int64_t n = c->rows * c->length;
    struct tensor *dx;
    enum status st;

    for (int64_t i = 0; i < n; i++)
        c->x[i] = (float)x[i];
    for (int64_t i = 0; i < c->rows; i++)
        c->t[i] = (float)r.time;
    dx = record_rows(c);
    if ((st = graph_run(c->graph, err)))
        return st;
    graph_read(c->graph, dx, c->dx);
    for (int64_t i = 0; i < n; i++)
        out[i] = -(double)c->dx[i];
    return OK;
}

struct label_gradient gradient_of_classifier(struct network_classifier *c)
{
    return (struct label_gradient){gradient, c};
}

enum status guide_init(struct guide *guide, struct predictor *of, const struct path *path,
                       enum prediction predicts, const struct model *classifier, double scale,
                       struct graph *graph, const int32_t *label, struct error *err)
{
    int64_t classes = classifier->network->io.n_classes;
    int32_t *wanted = NULL;
    double *each = NULL;
    enum status st;

    memset(guide, 0, sizeof *guide);
    if ((st = mem_new((void **)&wanted, (uint64_t)of->rows, sizeof *wanted, "labels", err)) ||
        (st = mem_new((void **)&each, (uint64_t)of->rows, sizeof *each, "scales", err)))
        goto out;
    for (int64_t i = 0; i < of->rows; i++) {
        bool known = label[i] >= 0 && label[i] < classes;

        wanted[i] = known ? label[i] : -1;
        each[i] = known ? scale : 0;
    }
    if ((st = network_classifier_init(&guide->network, classifier, graph, wanted, of->rows, err)) ||
        (st = classifier_guidance_init(&guide->pull, *of, gradient_of_classifier(&guide->network),
                                       path, predicts, each, err)))
        goto out;
    *of = predictor_of_classifier(&guide->pull);
out:
    free(wanted);
    free(each);
    return st;
}

void guide_release(struct guide *guide)
{
    classifier_guidance_release(&guide->pull);
    network_classifier_release(&guide->network);
}
