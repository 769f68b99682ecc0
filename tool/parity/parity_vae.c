/*
 * parity_vae.c - fixtures of autoencoders with Gaussian latents (kind "vae_kl")
 *
 * There are two outputs, the moments and the reconstruction, with the sampled latent between them,
 * so the gradient runs through the sample.  They are laid one behind the other for the comparisons
 * that all networks share.  Then comes the loss that such a network is trained by, with the
 * gradients of a few of its weights: absolute differences and the divergence from a normal.
 */
#include "model_case.h"

#include "model/autoencoder.h"
#include "ops/basic.h"
#include "ops/loss.h"

#include <math.h>
#include <string.h>

static const struct parity_limit of_outputs = {.of_max = 5e-5};
static const struct parity_limit of_inputs = {.of_max = 1e-4};
static const struct parity_limit of_parameters = {.of_max = 3e-4};

enum { MOMENTS, LATENT, PICTURE, OUTPUTS };
static const char *const out_names[OUTPUTS] = {"out.moments", "out.z", "out.reconstruction"};

struct vae_case {
    struct model_case m; /* first: m->run is given it */
    struct parity_array noise, cot[OUTPUTS];
    struct shape shape[OUTPUTS];
};

/* --- loading ------------------------------------------------------------------------------ */

static enum status vae_load(struct vae_case *c)
{
    struct model_case *m = &c->m;
    const struct network_io *io = &m->net->io;
    int64_t h = io->height / io->factor, w = io->width / io->factor, N;
    struct parity_array x;
    enum status st;

    if ((st = fixture_f32(m->fixture, &x, m->data, "in.x", m->err)))
        return st;
    N = m->t.n = x.shape.rank ? x.shape.dim[0] : 0;
    if (N < 1)
        return fail(m->err, E_FORMAT, "in.x holds no sample");
    c->shape[MOMENTS] = SHAPE(N, h, w, 2 * io->latent_channels);
    c->shape[LATENT] = SHAPE(N, h, w, io->latent_channels);
    c->shape[PICTURE] = SHAPE(N, io->height, io->width, io->out_channels);
    for (int k = 0; k < OUTPUTS; k++)
        m->cot.n += shape_count(c->shape[k]);
    if ((st = model_case_picture(m, &m->x, "in.x", io->in_channels)) ||
        (st = model_case_map(m, &c->noise, "in.eps", c->shape[LATENT])) ||
        (st = model_case_map(m, &c->cot[MOMENTS], "cot.moments", c->shape[MOMENTS])))
        return st;
    return model_case_map(m, &c->cot[PICTURE], "cot.reconstruction", c->shape[PICTURE]);
}

/* --- running ------------------------------------------------------------------------------ */

static void record_outputs(struct vae_case *c, struct graph *g, struct tensor *x,
                           struct tensor *out[OUTPUTS])
{
    const struct network *net = c->m.net;

    out[MOMENTS] = autoencoder_encode(g, net, x);
    out[LATENT] =
        autoencoder_latents(g, net, out[MOMENTS], graph_input(g, c->shape[LATENT], c->noise.v));
    out[PICTURE] = autoencoder_decode(g, net, out[LATENT]);
    for (int k = 0; k < OUTPUTS; k++)
        graph_keep(g, out[k]);
}

static struct tensor *record_cotangent(struct vae_case *c, struct graph *g, struct tensor *out,
                                       int k)
{
    return op_sum(g, op_mul(g, out, graph_input(g, c->shape[k], c->cot[k].v)));
}

static enum status vae_run(struct model_case *m, struct graph *g, struct model_results *r,
                           struct model_taps *taps)
{
    struct vae_case *c = (struct vae_case *)m;
    struct tensor *x = graph_input(g, m->x.shape, m->x.v), *out[OUTPUTS], *loss;
    int64_t at = 0;
    enum status st;

    graph_want_grad(x);
    model_case_tap(m, g, taps);
    record_outputs(c, g, x, out);
    model_case_tap(m, g, NULL);
    loss = op_add(g, record_cotangent(c, g, out[MOMENTS], MOMENTS),
                  record_cotangent(c, g, out[PICTURE], PICTURE));
    graph_keep(g, loss);
    graph_backward(g, loss);
    graph_keep(g, x->grad);
    if ((st = graph_run(g, m->err)) ||
        (st = fixture_new(m->fixture, (void **)&r->out, (uint64_t)m->cot.n, sizeof(float),
                          m->err)) ||
        (st = model_case_read(m, g, &r->grad_x, x->grad)) || (st = model_case_grads(m, r)))
        return st;
    for (int k = 0; k < OUTPUTS; k++) {
        graph_read(g, out[k], r->out + at);
        at += shape_count(c->shape[k]);
    }
    graph_read(g, loss, &r->loss);
    return OK;
}

/* --- comparing ---------------------------------------------------------------------------- */

static enum status number_compare(struct vae_case *c, struct parity_report *r, const char *name,
                                  double got, struct parity_limit limit)
{
    struct model_case *m = &c->m;
    double *want;
    int64_t n;
    enum status st = fixture_f64(m->fixture, &want, &n, m->data, name, m->err);

    if (st)
        return st;
    if (n != 1)
        return fail(m->err, E_FORMAT, "%s holds %lld numbers", name, (long long)n);
    parity_compare_f64(r, name, &got, want, 1, limit);
    return OK;
}

/* As exact as the terms of the sum are large. */
static double loss_size(const struct vae_case *c, const struct model_results *got)
{
    const float *out = got->out;
    double size = 0;

    for (int k = 0; k < OUTPUTS; out += shape_count(c->shape[k++]))
        for (int64_t i = 0; i < c->cot[k].n; i++)
            size += fabs((double)out[i] * (double)c->cot[k].v[i]);
    return size;
}

static enum status outputs_compare(struct vae_case *c, struct parity_report *r,
                                   const struct model_results *got)
{
    struct model_case *m = &c->m;
    const float *out = got->out;
    struct parity_array want;
    enum status st;

    report_group(r, "outputs");
    for (int k = 0; k < OUTPUTS; out += shape_count(c->shape[k++])) {
        if ((st = model_case_map(m, &want, out_names[k], c->shape[k])))
            return st;
        parity_compare_f32(r, out_names[k], out, want.v, want.n, of_outputs);
    }
    if ((st = number_compare(c, r, "loss", (double)got->loss,
                             (struct parity_limit){.absolute = 1e-5 * loss_size(c, got)})))
        return st;
    report_group(r, "input gradient");
    if ((st = model_case_picture(m, &want, "grad_in.x", m->net->io.in_channels)))
        return st;
    parity_compare_f32(r, "grad_in.x", got->grad_x, want.v, want.n, of_inputs);
    return OK;
}

/* --- the loss of training ----------------------------------------------------------------- */

struct training {
    struct tensor *x, *l1, *kl, *loss;
};

/* Differences are between pictures, so the gradient reaches x by the target, too. */
static void training_record(struct vae_case *c, struct graph *g, struct training *t, double weight)
{
    struct tensor *out[OUTPUTS];
    double N = (double)c->m.t.n;

    t->x = graph_input(g, c->m.x.shape, c->m.x.v);
    graph_want_grad(t->x);
    record_outputs(c, g, t->x, out);
    t->l1 = op_affine(g, op_sum(g, op_abs(g, op_sub(g, t->x, out[PICTURE]))), 1 / N, 0);
    t->kl = posterior_kl(g, out[MOMENTS]);
    t->loss = op_mix(g, t->l1, op_sum(g, t->kl), 1, weight / N);
    graph_keep(g, t->l1);
    graph_keep(g, t->kl);
    graph_keep(g, t->loss);
    graph_backward(g, t->loss);
    graph_keep(g, t->x->grad);
}

/* Every "ae.grad.NAME", in the layout of checkpoints: OIHW, read by the parameter's own rule. */
static enum status training_gradients(struct vae_case *c, struct parity_report *r)
{
    struct model_case *m = &c->m;
    struct parity_array in, want;
    enum status st;

    for (int64_t i = 0; i < weights_count(m->data->file); i++) {
        const char *name = weights_at(m->data->file, i)->name;
        const struct param *q;

        if (strncmp(name, "ae.grad.", 8) != 0)
            continue;
        q = params_find(m->net->params, name + 8);
        if (!q) {
            parity_claim(r, name, false, "the network has no such parameter");
            continue;
        }
        if ((st = fixture_f32(m->fixture, &in, m->data, name, m->err)) ||
            (st = channels_last(m->fixture, &want, &in, m->err)))
            return st;
        if (want.n == shape_count(q->shape))
            parity_compare_f32(r, name, q->grad, want.v, want.n, of_parameters);
        else
            parity_claim(r, name, false, "the sizes differ");
    }
    return OK;
}

static enum status training_compare(struct vae_case *c, struct parity_report *r, struct graph *g,
                                    const struct training *t)
{
    struct model_case *m = &c->m;
    struct parity_array want;
    float l1, loss, *kl, *grad;
    enum status st;

    graph_read(g, t->l1, &l1);
    graph_read(g, t->loss, &loss);
    if ((st = model_case_read(m, g, &kl, t->kl)) ||
        (st = model_case_read(m, g, &grad, t->x->grad)) ||
        (st = model_case_array(m, &want, "ae.kl_per_sample", SHAPE(m->t.n))))
        return st;
    parity_compare_f32(r, "ae.kl_per_sample", kl, want.v, want.n, of_outputs);
    if ((st = number_compare(c, r, "ae.l1_sum_over_batch", (double)l1, of_outputs)) ||
        (st = number_compare(c, r, "ae.loss", (double)loss, of_outputs)) ||
        (st = model_case_picture(m, &want, "ae.grad_x", m->net->io.in_channels)))
        return st;
    parity_compare_f32(r, "ae.grad_x", grad, want.v, want.n, of_inputs);
    return training_gradients(c, r);
}

static enum status training_check(struct vae_case *c, struct parity_report *r,
                                  const struct parity_options *options)
{
    struct model_case *m = &c->m;
    struct training t;
    struct graph *g = NULL;
    json_t *config;
    double weight;
    enum status st;

    if (!weights_find(m->data->file, "ae.loss"))
        return OK;
    report_group(r, "training loss");
    if ((st = fixture_metadata(&config, m->data, "config", m->err)))
        return st;
    weight = json_number_value(json_object_get(config, "kl_weight"));
    json_decref(config);
    if (!(st = graph_new(&g, 0, options->threads, m->err))) {
        training_record(c, g, &t, weight);
        if (!(st = graph_run(g, m->err)))
            st = training_compare(c, r, g, &t);
    }
    graph_free(g);
    return st;
}

/* --- the whole ---------------------------------------------------------------------------- */

static enum status all_compare(struct vae_case *c, struct parity_report *r,
                               const struct parity_options *options)
{
    struct model_case *m = &c->m;
    struct model_results got = {0};
    struct model_taps *taps;
    struct graph *g = NULL;
    enum status st;

    if ((st = fixture_new(m->fixture, (void **)&taps, 1, sizeof(*taps), m->err)) ||
        (st = graph_new(&g, 0, options->threads, m->err)))
        return st;
    if (!(st = vae_run(m, g, &got, taps)))
        st = model_activations_compare(m, g, r, taps);
    graph_free(g);
    if (st || (st = outputs_compare(c, r, &got)) ||
        (st = gradients_compare(r, m->fixture, m->net->params, got.grads, m->err)) ||
        (st = model_ways_compare(m, r, &got)))
        return st;
    return training_check(c, r, options);
}

static enum status vae_check(struct parity_report *r, struct parity_fixture *f,
                             const struct parity_options *options, struct error *err)
{
    struct vae_case c = {0};
    enum status st = model_case_open(&c.m, r, f, err);

    c.m.run = vae_run;
    if (!st && !(st = vae_load(&c)))
        st = all_compare(&c, r, options);
    network_free(c.m.net);
    return st;
}

const struct parity_checker parity_vae_kl = {
    .kind = "vae_kl", .parts = {"data", "weights", "grads"}, .check = vae_check};
