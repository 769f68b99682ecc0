/*
 * parity_model.c - fixtures of whole networks
 *
 * The configuration in the file builds the network, its weights are loaded by their public names (a
 * missing or an unexpected one fails), and one run forward and backward of <out, cot> is compared
 * at every place the file knows: intermediate values, output, loss, gradient of the input, gradient
 * of every parameter.  A network that is right at its ends but wrong inside is found at the first
 * place where it leaves the reference.
 *
 * Then the same step is run in every other way the engine has (one thread, three threads, node by
 * node, with recomputed segments), and the bits must not change: a plan that reuses memory too
 * early or a sum whose order depends on the threads is wrong even where it is within tolerance.
 *
 * Gradients come in the layout of checkpoints, so the loader of parameters reads them too, into an
 * array beside the weights.
 */
#include "model_case.h"

#include "diffusion/guidance.h"
#include "diffusion/label_drop.h"
#include "model_config.h"

#include <math.h>
#include <string.h>

static const struct parity_limit of_outputs = {.of_max = 5e-5};
static const struct parity_limit of_inputs = {.of_max = 1e-4};

/* --- comparing ---------------------------------------------------------------------------- */

enum status model_activations_compare(struct model_case *m, struct graph *g,
                                      struct parity_report *r, const struct model_taps *taps)
{
    struct parity_array in, want;
    const char *name;
    float *got;
    enum status st;
    int k;

    report_group(r, "activations");
    for (int64_t i = 0; i < weights_count(m->data->file); i++) {
        name = weights_at(m->data->file, i)->name;
        if (strncmp(name, "act.", 4) != 0)
            continue;
        for (k = 0; k < taps->n && strcmp(taps->at[k].name, name + 4) != 0; k++)
            continue;
        if (k == taps->n) {
            parity_skip(r, name, "the network does not show this value");
            continue;
        }
        if ((st = fixture_f32(m->fixture, &in, m->data, name, m->err)))
            return st;
        want = in;
        /* Feature maps are NCHW in the file; tokens [N, T, D] are as here. */
        if (in.shape.rank == 4 && (st = channels_last(m->fixture, &want, &in, m->err)))
            return st;
        if (!shape_equal(want.shape, taps->at[k].value->shape)) {
            parity_claim(r, name, false, "the shapes differ");
            continue;
        }
        if ((st = model_case_read(m, g, &got, taps->at[k].value)))
            return st;
        parity_compare_f32(r, name, got, want.v, want.n, of_outputs);
    }
    return OK;
}

/* A sum of many terms is as exact as its terms are large, however small it turns out. */
static enum status loss_compare(struct model_case *m, struct parity_report *r,
                                const struct model_results *got, const float *out)
{
    double *want, size = 0, loss = (double)got->loss;
    int64_t n;
    enum status st;

    if (!weights_find(m->data->file, "loss"))
        return OK;
    if ((st = fixture_f64(m->fixture, &want, &n, m->data, "loss", m->err)))
        return st;
    for (int64_t i = 0; i < m->cot.n; i++)
        size += fabs((double)out[i] * (double)m->cot.v[i]);
    if (n == 1)
        parity_compare_f64(r, "loss", &loss, want, 1,
                           (struct parity_limit){.absolute = 1e-5 * size});
    return OK;
}

/* Of an input that is laid out as here; an empty one has none. */
static enum status gradient_compare(struct model_case *m, struct parity_report *r, const char *name,
                                    const float *got, const struct parity_array *in)
{
    struct parity_array want;
    enum status st;

    if (!in->v)
        return OK;
    if ((st = model_case_array(m, &want, name, in->shape)))
        return st;
    parity_compare_f32(r, name, got, want.v, want.n, of_inputs);
    return OK;
}

static enum status outputs_compare(struct model_case *m, struct parity_report *r,
                                   const struct model_results *got)
{
    const struct network_io *io = &m->net->io;
    struct parity_array want;
    enum status st;

    report_group(r, "outputs");
    st = io->classifies ? model_case_array(m, &want, m->out_name, m->cot.shape)
                        : model_case_picture(m, &want, m->out_name, io->out_channels);
    if (st)
        return st;
    parity_compare_f32(r, m->out_name, got->out, want.v, want.n, of_outputs);
    if ((st = loss_compare(m, r, got, want.v)))
        return st;
    report_group(r, "input gradient");
    if ((st = model_case_picture(m, &want, "grad_in.x", io->in_channels)))
        return st;
    parity_compare_f32(r, "grad_in.x", got->grad_x, want.v, want.n, of_inputs);
    if ((st = gradient_compare(m, r, "grad_in.context", got->grad_context, &m->context)))
        return st;
    return gradient_compare(m, r, "grad_in.pooled", got->grad_pooled, &m->pooled);
}

static double largest(const float *v, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)v[i]));
    return most;
}

/* Gradients that vanish in exact arithmetic are noise in any other; they are held to the size of
 * the whole model's gradient. */
enum status gradients_compare(struct parity_report *r, struct parity_fixture *f, struct params *p,
                              const float *got, struct error *err)
{
    int64_t n = params_n_trained(p);
    double most;
    float *want;
    enum status st;

    report_group(r, "parameter gradients");
    if ((st = fixture_new(f, (void **)&want, (uint64_t)params_n_values(p), sizeof(float), err)) ||
        (st = params_load_named(p, fixture_part(f, "grads")->file, model_naming(f->kind),
                                PARAMS_TRAINED, want, err))) {
        fail_under(err, "gradients");
        return st;
    }
    most = largest(want, n);
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);
        struct parity_limit limit = {.of_max = 3e-4};

        if (!q->trained)
            continue;
        if (largest(want + q->offset, shape_count(q->shape)) < 1e-6)
            limit.absolute = 1e-6 * most;
        parity_compare_f32(r, q->name, got + q->offset, want + q->offset, shape_count(q->shape),
                           limit);
    }
    return OK;
}

/* Tables that the network can make itself must be those of the file. */
static enum status tables_compare(struct model_case *m, struct parity_report *r)
{
    struct params *p = m->net->params;
    struct parity_array want;
    enum status st;

    report_group(r, "tables");
    params_init(p, 0);
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);
        const struct parity_part *weights = fixture_part(m->fixture, "weights");

        if (q->init.kind != INIT_TABLE || !weights_find(weights->file, q->name))
            continue;
        if ((st = fixture_f32(m->fixture, &want, weights, q->name, m->err)))
            return st;
        if (want.n != shape_count(q->shape)) {
            parity_claim(r, q->name, false, "the sizes differ");
            continue;
        }
        parity_compare_f32(r, q->name, q->value, want.v, want.n,
                           (struct parity_limit){.of_max = 1e-6});
    }
    return OK;
}

/* --- the same bits, however it is run ----------------------------------------------------- */

static const struct {
    const char *name;
    unsigned flags;
    int threads;
} ways[] = {
    {"planned, 1 thread", 0, 1},
    {"planned, 3 threads", 0, 3},
    {"eager", GRAPH_EAGER, 2},
    {"checkpointed", GRAPH_CHECKPOINT, 2},
};

/* The first thing in which two runs differ, or NULL. */
static const char *difference(struct model_case *m, const struct model_results *a,
                              const struct model_results *b)
{
    struct params *p = m->net->params;

    if (memcmp(a->out, b->out, (size_t)m->cot.n * sizeof(float)) != 0)
        return "the output";
    if (memcmp(a->grad_x, b->grad_x, (size_t)m->x.n * sizeof(float)) != 0)
        return "the gradient of the input";
    if (m->context.v &&
        memcmp(a->grad_context, b->grad_context, (size_t)m->context.n * sizeof(float)) != 0)
        return "the gradient of the text";
    if (m->pooled.v &&
        memcmp(a->grad_pooled, b->grad_pooled, (size_t)m->pooled.n * sizeof(float)) != 0)
        return "the gradient of the pooled text";
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);

        if (q->trained && memcmp(a->grads + q->offset, b->grads + q->offset,
                                 (size_t)shape_count(q->shape) * sizeof(float)) != 0)
            return q->name;
    }
    return NULL;
}

enum status model_ways_compare(struct model_case *m, struct parity_report *r,
                               const struct model_results *base)
{
    report_group(r, "equal bits");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct model_results got = {0};
        struct graph *g = NULL;
        const char *where;
        enum status st;

        if (!(st = graph_new(&g, ways[i].flags, ways[i].threads, m->err)))
            st = m->run(m, g, &got, NULL);
        graph_free(g);
        if (st)
            return st;
        where = difference(m, base, &got);
        parity_claim(r, ways[i].name, !where, "%s differs from the first run", where ? where : "");
    }
    return OK;
}

/* --- guidance ----------------------------------------------------------------------------- */

/* The forward alone with other labels: *out [N, H, W, C]. */
static enum status forward_run(struct model_case *m, float **out, const int32_t *y,
                               const struct parity_options *options)
{
    struct graph *g = NULL;
    struct tensor *f;
    enum status st;

    if (!(st = graph_new(&g, 0, options->threads, m->err))) {
        f = network_forward(g, m->net, model_case_record(m, g, y));
        graph_keep(g, f);
        if (!(st = graph_run(g, m->err)))
            st = model_case_read(m, g, out, f);
    }
    graph_free(g);
    return st;
}

/* The first `keep` of every `channels` numbers, in double. */
static enum status channels_take(struct model_case *m, double **out, const float *v,
                                 int64_t channels, int64_t keep)
{
    int64_t pixels = m->cot.n / channels;
    enum status st =
        fixture_new(m->fixture, (void **)out, (uint64_t)(pixels * keep), sizeof(double), m->err);

    for (int64_t i = 0; !st && i < pixels; i++)
        for (int64_t c = 0; c < keep; c++)
            (*out)[i * keep + c] = (double)v[i * channels + c];
    return st;
}

/* "cfg.*": (1 - w) f(none) + w f(y), over the channels that predict (not the variances). */
static enum status guidance_compare(struct model_case *m, struct parity_report *r,
                                    const float *cond, const struct parity_options *options)
{
    const struct network_io *io = &m->net->io;
    double *w, *guided, *unguided, *want;
    struct parity_array file;
    float *none;
    int32_t *y;
    int64_t n;
    enum status st;

    if (!weights_find(m->data->file, "cfg.uncond_out"))
        return OK;
    report_group(r, "guidance");
    if (io->null_label < 0)
        return fail(m->err, E_FORMAT,
                    "the file holds an unguided output, the network has no label "
                    "for it");
    if ((st = fixture_new(m->fixture, (void **)&y, (uint64_t)m->t.n, sizeof(*y), m->err)))
        return st;
    for (int64_t i = 0; i < m->t.n; i++)
        y[i] = io->null_label;
    if ((st = forward_run(m, &none, y, options)) ||
        (st = model_case_picture(m, &file, "cfg.uncond_out", io->out_channels)))
        return st;
    parity_compare_f32(r, "cfg.uncond_out", none, file.v, file.n, of_outputs);
    if ((st = fixture_f64(m->fixture, &w, &n, m->data, "cfg.scale", m->err)) ||
        (st = model_case_picture(m, &file, "cfg.guided_all_channels", io->in_channels)) ||
        (st = channels_take(m, &guided, cond, io->out_channels, io->in_channels)) ||
        (st = channels_take(m, &unguided, none, io->out_channels, io->in_channels)) ||
        (st = fixture_new(m->fixture, (void **)&want, (uint64_t)file.n, sizeof(*want), m->err)))
        return st;
    if (n != 1)
        return fail(m->err, E_FORMAT, "cfg.scale holds %lld numbers", (long long)n);
    guidance_combine(guided, unguided, guided, w[0], file.n);
    for (int64_t i = 0; i < file.n; i++)
        want[i] = (double)file.v[i];
    parity_compare_f64(r, "cfg.guided_all_channels", guided, want, file.n, of_outputs);
    return OK;
}

/* "drop.*": a forced drop makes the label "none", and no other drop happens. */
static enum status dropping_compare(struct model_case *m, struct parity_report *r)
{
    int32_t *force, *want;
    int64_t n, differ = 0;
    enum status st;

    if (!weights_find(m->data->file, "drop.force_ids"))
        return OK;
    report_group(r, "label dropping");
    if ((st = fixture_i32(m->fixture, &force, &n, m->data, "drop.force_ids", m->err)) ||
        (st = model_case_labels(m, &want, "drop.labels_after")))
        return st;
    if (n != m->t.n || !m->y)
        return fail(m->err, E_FORMAT, "drop.force_ids does not fit the batch");
    for (int64_t i = 0; i < n; i++)
        differ += label_drop(0, (uint64_t)i, m->y[i], force[i] == 1 ? 1 : 0,
                             m->net->io.null_label) != want[i];
    parity_claim(r, "drop.labels_after", differ == 0, "%lld labels differ", (long long)differ);
    return OK;
}

/* --- the whole ---------------------------------------------------------------------------- */

static enum status all_compare(struct model_case *m, struct parity_report *r,
                               const struct parity_options *options)
{
    struct model_results got = {0};
    struct graph *g = NULL;
    struct model_taps *taps;
    enum status st;

    if ((st = fixture_new(m->fixture, (void **)&taps, 1, sizeof(*taps), m->err)) ||
        (st = graph_new(&g, 0, options->threads, m->err)))
        return st;
    if (!(st = m->run(m, g, &got, taps)))
        st = model_activations_compare(m, g, r, taps);
    graph_free(g);
    if (st || (st = outputs_compare(m, r, &got)) ||
        (st = gradients_compare(r, m->fixture, m->net->params, got.grads, m->err)) ||
        (st = model_ways_compare(m, r, &got)) || (st = guidance_compare(m, r, got.out, options)))
        return st;
    return dropping_compare(m, r);
}

enum status model_case_open(struct model_case *m, struct parity_report *r, struct parity_fixture *f,
                            struct error *err)
{
    json_t *config = NULL;
    enum status st;

    *m = (struct model_case){
        .fixture = f, .data = fixture_part(f, "data"), .run = model_case_run, .err = err};
    if (!(st = fixture_metadata(&config, m->data, "config", err)) &&
        !(st = model_from_config(&m->net, f->kind, config, true, err)) &&
        !(st = tables_compare(m, r)))
        st = params_load_named(m->net->params, fixture_part(f, "weights")->file,
                               model_naming(f->kind), PARAMS_ALL, NULL, err);
    json_decref(config);
    return st;
}

enum status model_case_compare(struct model_case *m, struct parity_report *r,
                               struct parity_fixture *f, const struct parity_options *options,
                               struct error *err)
{
    enum status st;

    if ((st = model_case_open(m, r, f, err)) || (st = model_case_load(m)))
        return st;
    return all_compare(m, r, options);
}

static enum status model_check(struct parity_report *r, struct parity_fixture *f,
                               const struct parity_options *options, struct error *err)
{
    struct model_case m;
    enum status st = model_case_compare(&m, r, f, options, err);

    network_free(m.net);
    return st;
}

const struct parity_checker parity_dit = {
    .kind = "dit", .parts = {"data", "weights", "grads"}, .check = model_check};
const struct parity_checker parity_dit_modern = {
    .kind = "dit_modern", .parts = {"data", "weights", "grads"}, .check = model_check};
const struct parity_checker parity_dit_text_cross = {
    .kind = "dit_text_cross", .parts = {"data", "weights", "grads"}, .check = model_check};
const struct parity_checker parity_dit_text_joint = {
    .kind = "dit_text_joint", .parts = {"data", "weights", "grads"}, .check = model_check};
const struct parity_checker parity_unet_adm = {
    .kind = "unet_adm", .parts = {"data", "weights", "grads"}, .check = model_check};
const struct parity_checker parity_unet_sd = {
    .kind = "unet_sd", .parts = {"data", "weights", "grads"}, .check = model_check};
const struct parity_checker parity_unet_ddpmpp = {
    .kind = "unet_ddpmpp", .parts = {"data", "weights", "grads"}, .check = model_check};
const struct parity_checker parity_unet_edm2 = {
    .kind = "unet_edm2", .parts = {"data", "weights", "grads"}, .check = model_check};
