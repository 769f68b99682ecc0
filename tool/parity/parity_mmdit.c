/*
 * parity_mmdit.c - folders that hold a transformer of two streams as it is published
 *
 * The network comes from the file alone, as a user's would.  Pictures and texts may be of any size
 * that it takes.  One run forward and backward of the mean of (v - target)^2 is compared at every
 * value and every gradient that the folder knows, and what takes no part in the result (the queries
 * of the last block's text) must have a gradient of exactly zero.  Then the same run in every other
 * way the engine has; the same weights from the folder layout, where that lies beside the file; and
 * the steps of training that the folder has recorded (parity_mmdit_train.c).
 */
#include "parity_mmdit.h"

#include "model/mmdit.h"

#include <stdio.h>
#include <string.h>

static const struct parity_limit within = {.of_each = 1e-4, .absolute = 1e-4};

#define PREFIX "model.diffusion_model."

/* --- loading ------------------------------------------------------------------------------ */

enum status mmdit_picture(struct model_case *m, const struct parity_part *part,
                          struct parity_array *out, const char *name, int64_t channels)
{
    struct parity_array in;
    char text[SHAPE_TEXT];
    enum status st;

    if ((st = fixture_f32(m->fixture, &in, part, name, m->err)) ||
        (st = channels_last(m->fixture, out, &in, m->err)))
        return st;
    if (out->shape.rank != 4 || out->shape.dim[3] != channels)
        return fail(m->err, E_FORMAT, "%s is %s, not [N, H, W, %lld] (channels last)", name,
                    shape_text(text, out->shape), (long long)channels);
    return network_check_size(m->net, out->shape.dim[1], out->shape.dim[2], m->err);
}

enum status mmdit_text(struct model_case *m, const struct parity_part *part, const char *before)
{
    const struct network_io *io = &m->net->io;
    struct parity_array *c = &m->context, *y = &m->pooled;
    char name[64];
    enum status st;

    snprintf(name, sizeof(name), "%scontext", before);
    if ((st = fixture_f32(m->fixture, c, part, name, m->err)))
        return st;
    if (c->shape.rank != 3 || c->shape.dim[0] != m->t.n || c->shape.dim[2] != io->context_width)
        return fail(m->err, E_FORMAT, "%s does not fit the network", name);
    snprintf(name, sizeof(name), "%sy", before);
    if (io->pooled_width && (st = fixture_f32(m->fixture, y, part, name, m->err)))
        return st;
    if (io->pooled_width && !shape_equal(y->shape, SHAPE(m->t.n, io->pooled_width)))
        return fail(m->err, E_FORMAT, "%s does not fit the network", name);
    return OK;
}

/* target: what is wanted of the prediction, where the folder says it; else the result itself, whose
 * loss is nothing. */
static enum status inputs_load(struct model_case *m)
{
    const struct network_io *io = &m->net->io;
    const char *target = weights_find(m->data->file, "in.target") ? "in.target" : "out.v";
    enum status st;

    if ((st = fixture_f32(m->fixture, &m->t, m->data, "in.t", m->err)) ||
        (st = mmdit_picture(m, m->data, &m->x, "in.x", io->in_channels)) ||
        (st = mmdit_picture(m, m->data, &m->cot, target, io->out_channels)))
        return st;
    if (m->t.shape.rank != 1 || m->x.shape.dim[0] != m->t.n || m->cot.n % io->out_channels ||
        m->cot.n / io->out_channels != m->x.n / io->in_channels)
        return fail(m->err, E_FORMAT, "in.x, in.t and %s are not of one batch", target);
    return mmdit_text(m, m->data, "in.");
}

/* --- comparing ---------------------------------------------------------------------------- */

/* What the network calls the value "mid.<theirs>". */
static void value_name(char out[96], const char *theirs)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = {
        {"x_patch", "x_embedder"}, {"pos_crop", "pos_embed"}, {"t_emb", "t_embedder"},
        {"y_emb", "y_embedder"},   {"final", "final_layer"},  {"context_emb", "context_embedder"},
    };
    int block, end = 0;

    snprintf(out, 96, "%s", theirs);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(theirs, names[i].theirs) == 0)
            snprintf(out, 96, "%s", names[i].ours);
    if (sscanf(theirs, "block%d.%n", &block, &end) == 1 && end)
        snprintf(out, 96, "joint_blocks.%d%s", block,
                 strcmp(theirs + end, "x") ? ".context_block" : "");
}

static enum status values_compare(struct model_case *m, struct graph *g, struct parity_report *r,
                                  const struct model_taps *taps)
{
    struct parity_array want;
    char ours[96];
    float *got;
    enum status st;
    int k;

    report_group(r, "activations");
    for (int64_t i = 0; i < weights_count(m->data->file); i++) {
        const char *name = weights_at(m->data->file, i)->name;

        if (strncmp(name, "mid.", 4) != 0)
            continue;
        value_name(ours, name + 4);
        for (k = 0; k < taps->n && strcmp(taps->at[k].name, ours) != 0; k++)
            continue;
        if (k == taps->n) {
            parity_skip(r, name, "the network does not show this value");
            continue;
        }
        if ((st = fixture_f32(m->fixture, &want, m->data, name, m->err)) ||
            (st = model_case_read(m, g, &got, taps->at[k].value)))
            return st;
        if (shape_equal(want.shape, taps->at[k].value->shape))
            parity_compare_f32(r, name, got, want.v, want.n, within);
        else
            parity_claim(r, name, false, "the shapes differ");
    }
    return OK;
}

static enum status picture_compare(struct model_case *m, struct parity_report *r,
                                   const struct parity_part *part, const char *name,
                                   const float *got, int64_t channels)
{
    struct parity_array want;
    enum status st = mmdit_picture(m, part, &want, name, channels);

    if (!st)
        parity_compare_f32(r, name, got, want.v, want.n, within);
    return st;
}

static enum status row_compare(struct model_case *m, struct parity_report *r,
                               const struct parity_part *part, const char *name, const float *got,
                               const struct parity_array *in)
{
    struct parity_array want;
    enum status st;

    if (!in->v)
        return OK;
    if ((st = fixture_f32(m->fixture, &want, part, name, m->err)))
        return st;
    if (shape_equal(want.shape, in->shape))
        parity_compare_f32(r, name, got, want.v, want.n, within);
    else
        parity_claim(r, name, false, "the shapes differ");
    return OK;
}

static bool all_zero(const float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (v[i] < 0 || v[i] > 0)
            return false;
    return true;
}

/* Of the text's queries in the last block nothing is asked. */
static void silence_compare(struct model_case *m, struct parity_report *r, const float *grads)
{
    static const struct {
        const char *leaf;
        int64_t share; /* the first so-manieth of the values */
    } silent[] = {{"qkv.weight", 3}, {"qkv.bias", 3}, {"ln_q.weight", 1}};
    const struct mmdit_config *config = m->net->config;
    char name[96];

    report_group(r, "gradients of exactly zero");
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
        const struct param *p;

        snprintf(name, sizeof(name), "joint_blocks.%d.context_block.attn.%s",
                 (int)config->depth - 1, silent[i].leaf);
        p = params_find(m->net->params, name);
        if (p)
            parity_claim(r, name,
                         all_zero(grads + p->offset, shape_count(p->shape) / silent[i].share),
                         "queries that nobody reads have a gradient");
    }
}

/* Where the folder knows gradients. */
static enum status gradients_of(struct model_case *m, struct parity_report *r,
                                const struct model_results *got)
{
    const struct parity_part part = {.path = m->fixture->folder, .file = NULL};
    struct params *p = m->net->params;
    struct parity_part grads = part;
    double loss = (double)got->loss, *want_loss;
    char path[4096];
    float *want;
    int64_t n;
    enum status st;

    snprintf(path, sizeof(path), "%s/grads.safetensors", m->fixture->folder);
    if (!mmdit_has_file(path))
        return OK;
    grads.path = path;
    if ((st = weights_open(&grads.file, path, m->err)))
        return st;
    report_group(r, "loss and input gradients");
    if ((st = fixture_f64(m->fixture, &want_loss, &n, &grads, "loss", m->err)))
        goto out;
    if (n == 1)
        parity_compare_f64(r, "loss", &loss, want_loss, 1, within);
    if ((st = picture_compare(m, r, &grads, "grad.in.x", got->grad_x, m->net->io.in_channels)) ||
        (st = row_compare(m, r, &grads, "grad.in.context", got->grad_context, &m->context)) ||
        (st = row_compare(m, r, &grads, "grad.in.y", got->grad_pooled, &m->pooled)) ||
        (st = fixture_new(m->fixture, (void **)&want, (uint64_t)params_n_values(p), sizeof(float),
                          m->err)) ||
        (st = params_load(p, grads.file, "grad." PREFIX, PARAMS_TRAINED, want, m->err)))
        goto out;
    report_group(r, "parameter gradients");
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);

        if (q->trained)
            parity_compare_f32(r, q->name, got->grads + q->offset, want + q->offset,
                               shape_count(q->shape), within);
    }
    silence_compare(m, r, got->grads);
out:
    weights_close(grads.file);
    return st;
}

/* --- the other layout --------------------------------------------------------------------- */

/* The forward alone, as when pictures are drawn. */
static enum status forward_compare(struct model_case *m, struct parity_report *r,
                                   const struct network *net, const struct parity_options *options)
{
    struct graph *g = NULL;
    struct tensor *v;
    float *got;
    enum status st;

    if ((st = graph_new(&g, GRAPH_FROZEN, options->threads, m->err)))
        return st;
    v = network_forward(g, net, model_case_record(m, g, NULL));
    graph_keep(g, v);
    if (!(st = graph_run(g, m->err)) && !(st = model_case_read(m, g, &got, v)))
        st = picture_compare(m, r, m->data, "out.v", got, net->io.out_channels);
    graph_free(g);
    return st;
}

enum status mmdit_output_compare(struct parity_report *r, struct parity_fixture *f,
                                 const struct weights *w, const struct parity_part *data,
                                 const struct parity_options *options, struct error *err)
{
    struct model_case m = {.fixture = f, .data = data, .err = err};
    json_t *config = NULL;
    enum status st;

    if (!(st = fixture_metadata(&config, data, "config", err)) &&
        !(st = mmdit_open_published(&m.net, w, config, false, err)) && !(st = inputs_load(&m)))
        st = forward_compare(&m, r, m.net, options);
    json_decref(config);
    network_free(m.net);
    return st;
}

static enum status folder_compare(struct model_case *m, struct parity_report *r,
                                  const struct parity_options *options)
{
    const char *inside = "diffusers/transformer";
    struct network *other = NULL;
    struct weights *f = NULL;
    json_t *config = NULL;
    char path[4096];
    enum status st;

    snprintf(path, sizeof(path), "%s/%s", m->fixture->folder, inside);
    if (!mmdit_has_file(path))
        return OK;
    report_group(r, "folder layout");
    if ((st = fixture_json(&config, m->fixture, "diffusers/transformer/config.json", m->err)) ||
        (st = weights_open(&f, path, m->err)) ||
        (st = mmdit_open_published(&other, f, config, false, m->err)))
        goto out;
    weights_compare(r, m->net->params, other->params);
    st = forward_compare(m, r, other, options);
out:
    network_free(other);
    weights_close(f);
    json_decref(config);
    return st;
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
        st = values_compare(m, g, r, taps);
    graph_free(g);
    if (st)
        return st;
    report_group(r, "outputs");
    if ((st = picture_compare(m, r, m->data, "out.v", got.out, m->net->io.out_channels)) ||
        (st = gradients_of(m, r, &got)) || (st = model_ways_compare(m, r, &got)) ||
        (st = folder_compare(m, r, options)))
        return st;
    return mmdit_train_compare(m, r, options);
}

static enum status mmdit_check(struct parity_report *r, struct parity_fixture *f,
                               const struct parity_options *options, struct error *err)
{
    struct model_case m = {.fixture = f,
                           .data = fixture_part(f, "io"),
                           .run = model_case_run,
                           .squared = true,
                           .err = err};
    json_t *config = NULL;
    enum status st;

    if (!(st = fixture_json(&config, f, "config.json", err)) &&
        !(st = mmdit_open_published(&m.net, fixture_part(f, "model")->file, config, true, err)) &&
        !(st = inputs_load(&m)))
        st = all_compare(&m, r, options);
    json_decref(config);
    network_free(m.net);
    return st;
}

const struct parity_checker parity_mmdit = {
    .kind = "SD3Transformer2DModel", .parts = {"io", "model"}, .check = mmdit_check};
