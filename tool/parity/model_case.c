/*
 * model_case.c - a network of a fixture, what goes into it, and one run of it
 *
 * Which inputs a fixture must hold follows from the network that its configuration describes: a
 * label where there is a table of labels, a sequence and its mask where there is one to read. Every
 * shape is compared with the configuration before it is used, because files come from outside.
 *
 * The scalar that is differentiated is <out, cot>, or the mean of (out - cot)^2, with gradients for
 * every input that has one.
 */
#include "model_case.h"

#include "ops/basic.h"

#include <stdlib.h>
#include <string.h>

static void tap_keep(const char *name, struct tensor *value, void *user)
{
    struct model_taps *taps = user;

    if (taps->n == MODEL_TAPS)
        return;
    graph_keep(taps->graph, value);
    snprintf(taps->at[taps->n].name, sizeof(taps->at[taps->n].name), "%s", name);
    taps->at[taps->n++].value = value;
}

void model_case_tap(struct model_case *m, struct graph *g, struct model_taps *taps)
{
    m->net->tap = taps ? tap_keep : NULL;
    m->net->tap_user = taps;
    if (taps)
        taps->graph = g;
}

/* --- loading ------------------------------------------------------------------------------ */

static enum status shape_agrees(struct model_case *m, const char *name, struct shape is,
                                struct shape want)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    if (shape_equal(is, want))
        return OK;
    return fail(m->err, E_FORMAT, "%s is %s, the configuration says %s (channels last)", name,
                shape_text(a, is), shape_text(b, want));
}

enum status model_case_array(struct model_case *m, struct parity_array *out, const char *name,
                             struct shape want)
{
    enum status st = fixture_f32(m->fixture, out, m->data, name, m->err);

    return st ? st : shape_agrees(m, name, out->shape, want);
}

enum status model_case_map(struct model_case *m, struct parity_array *out, const char *name,
                           struct shape want)
{
    struct parity_array in;
    enum status st;

    if ((st = fixture_f32(m->fixture, &in, m->data, name, m->err)) ||
        (st = channels_last(m->fixture, out, &in, m->err)))
        return st;
    return shape_agrees(m, name, out->shape, want);
}

enum status model_case_picture(struct model_case *m, struct parity_array *out, const char *name,
                               int64_t channels)
{
    const struct network_io *io = &m->net->io;

    return model_case_map(m, out, name, SHAPE(m->t.n, io->height, io->width, channels));
}

enum status model_case_labels(struct model_case *m, int32_t **out, const char *name)
{
    const struct network_io *io = &m->net->io;
    int64_t n, most = io->classifies ? io->n_classes : io->n_labels;
    enum status st = fixture_i32(m->fixture, out, &n, m->data, name, m->err);

    if (st)
        return st;
    if (n != m->t.n)
        return fail(m->err, E_FORMAT, "%s has %lld labels for %lld samples", name, (long long)n,
                    (long long)m->t.n);
    for (int64_t i = 0; i < n; i++)
        if ((*out)[i] < 0 || (*out)[i] >= most)
            return fail(m->err, E_FORMAT, "%s[%lld] is %d, the network has %lld labels", name,
                        (long long)i, (int)(*out)[i], (long long)most);
    return OK;
}

/* The length of the sequence is the file's affair. */
static enum status context_load(struct model_case *m)
{
    const struct network_io *io = &m->net->io;
    struct parity_array *c = &m->context;
    int64_t n;
    enum status st;

    if ((st = fixture_f32(m->fixture, c, m->data, "in.context", m->err)) ||
        (st = shape_agrees(
             m, "in.context", c->shape,
             SHAPE(m->t.n, c->shape.rank == 3 ? c->shape.dim[1] : 0, io->context_width))))
        return st;
    if (io->pooled_width &&
        (st = model_case_array(m, &m->pooled, "in.pooled", SHAPE(m->t.n, io->pooled_width))))
        return st;
    if (!weights_find(m->data->file, "in.mask"))
        return OK;
    if ((st = fixture_i32(m->fixture, &m->mask, &n, m->data, "in.mask", m->err)))
        return st;
    if (n != m->t.n * c->shape.dim[1])
        return fail(m->err, E_FORMAT, "in.mask has %lld words for %lld tokens", (long long)n,
                    (long long)(m->t.n * c->shape.dim[1]));
    return OK;
}

enum status model_case_load(struct model_case *m)
{
    const struct network_io *io = &m->net->io;
    enum status st;

    m->out_name = io->classifies ? "out.logits" : "out.model";
    m->cot_name = io->classifies ? "cot.logits" : "cot.model";
    if ((st = fixture_f32(m->fixture, &m->t, m->data, "in.t", m->err)))
        return st;
    if (m->t.n < 1)
        return fail(m->err, E_FORMAT, "in.t holds no sample");
    m->t.shape = SHAPE(m->t.n);
    if ((st = model_case_picture(m, &m->x, "in.x", io->in_channels)))
        return st;
    st = io->classifies ? model_case_array(m, &m->cot, m->cot_name, SHAPE(m->t.n, io->n_classes))
                        : model_case_picture(m, &m->cot, m->cot_name, io->out_channels);
    if (!st && io->context_width)
        st = context_load(m);
    return !st && io->n_labels > 0 ? model_case_labels(m, &m->y, "in.y") : st;
}

/* --- running ------------------------------------------------------------------------------ */

static struct tensor *array_record(struct graph *g, const struct parity_array *a)
{
    return a->v ? graph_input(g, a->shape, a->v) : NULL;
}

struct network_input model_case_record(struct model_case *m, struct graph *g, const int32_t *y)
{
    return (struct network_input){
        .x = array_record(g, &m->x),
        .t = array_record(g, &m->t),
        .y = y ? graph_input_i32(g, SHAPE(m->t.n), y) : NULL,
        .context = array_record(g, &m->context),
        .context_mask =
            m->mask ? graph_input_i32(g, SHAPE(m->t.n, m->context.shape.dim[1]), m->mask) : NULL,
        .pooled = array_record(g, &m->pooled),
    };
}

enum status model_case_read(struct model_case *m, struct graph *g, float **out,
                            const struct tensor *t)
{
    enum status st = fixture_new(m->fixture, (void **)out, (uint64_t)shape_count(t->shape),
                                 sizeof(float), m->err);

    if (!st)
        graph_read(g, t, *out);
    return st;
}

static enum status gradient_read(struct model_case *m, struct graph *g, float **out,
                                 const struct tensor *in)
{
    return in ? model_case_read(m, g, out, in->grad) : OK;
}

enum status model_case_grads(struct model_case *m, struct model_results *r)
{
    int64_t n = params_n_trained(m->net->params);
    enum status st =
        fixture_new(m->fixture, (void **)&r->grads, (uint64_t)n, sizeof(float), m->err);

    if (!st)
        memcpy(r->grads, params_grads(m->net->params), (size_t)n * sizeof(float));
    return st;
}

static enum status results_read(struct model_case *m, struct graph *g, struct model_results *r,
                                const struct tensor *out, const struct network_input *in,
                                const struct tensor *loss)
{
    enum status st;

    if ((st = model_case_read(m, g, &r->out, out)) ||
        (st = gradient_read(m, g, &r->grad_x, in->x)) ||
        (st = gradient_read(m, g, &r->grad_context, in->context)) ||
        (st = gradient_read(m, g, &r->grad_pooled, in->pooled)) || (st = model_case_grads(m, r)))
        return st;
    graph_read(g, loss, &r->loss);
    return OK;
}

enum status model_case_run(struct model_case *m, struct graph *g, struct model_results *r,
                           struct model_taps *taps)
{
    struct network_input in = model_case_record(m, g, m->y);
    struct tensor *const wanted[] = {in.x, in.context, in.pooled}, *out, *cot, *loss;
    enum { WANTED = sizeof(wanted) / sizeof(wanted[0]) };
    enum status st;

    for (int k = 0; k < WANTED; k++)
        if (wanted[k])
            graph_want_grad(wanted[k]);
    model_case_tap(m, g, taps);
    out = network_forward(g, m->net, in);
    model_case_tap(m, g, NULL);
    cot = graph_input(g, out->shape, m->cot.v);
    loss = m->squared ? op_mse(g, out, cot) : op_sum(g, op_mul(g, out, cot));
    graph_keep(g, out);
    graph_keep(g, loss);
    graph_backward(g, loss);
    for (int k = 0; k < WANTED; k++)
        if (wanted[k])
            graph_keep(g, wanted[k]->grad);
    if ((st = graph_run(g, m->err)))
        return st;
    return results_read(m, g, r, out, &in, loss);
}

/* --- weights ------------------------------------------------------------------------------ */

static bool same_values(const struct param *p, const struct param *q)
{
    size_t bytes = (size_t)shape_count(p->shape) * sizeof(float);
    float *a = malloc(bytes), *b = malloc(bytes);
    bool same = false;

    if (a && b) {
        param_read(a, p);
        param_read(b, q);
        same = !memcmp(a, b, bytes);
    }
    free(a);
    free(b);
    return same;
}

void weights_compare(struct parity_report *r, struct params *a, struct params *b)
{
    const char *differs = params_count(a) == params_count(b) ? NULL : "the number of parameters";

    for (int64_t i = 0; i < params_count(a) && !differs; i++) {
        const struct param *p = params_at(a, i), *q = params_find(b, p->name);

        if (!q || !shape_equal(p->shape, q->shape) || !same_values(p, q))
            differs = p->name;
    }
    parity_claim(r, "weights", !differs, "%s differs", differs ? differs : "");
}
