/*
 * parity_patchgan.c - fixtures of a patch discriminator (kind "patchgan")
 *
 * Real and generated pictures are judged one after the other by a network in training, so the file
 * knows three things that other networks do not have: the two halves of a hinge loss with the
 * gradient of their sum, running statistics after both calls, and the balance of two losses at the
 * last layer of a decoder (adapt.*), for which a single convolution stands in.
 *
 * The discriminator's step is run in every way the engine has, and the bits must not change: a
 * gradient asked by graph_gradient and one by graph_backward share a tape here.
 */
#include "model_case.h"

#include "base/json.h"
#include "model/patchgan.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "train/adversary.h"
#include "train/reconstruction.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct parity_limit of_outputs = {.of_max = 5e-5, .absolute = 1e-7};
static const struct parity_limit of_inputs = {.of_max = 1e-4};
static const struct parity_limit of_params = {.of_max = 3e-4};

struct patchgan_case {
    struct parity_fixture *fixture;
    const struct parity_part *data, *weights;
    struct patchgan_config config;
    struct patchgan *net;
    struct parity_array real, fake; /* [N, H, W, C] */
    struct error *err;
};

/* --- loading ------------------------------------------------------------------------------ */

/* A picture, or a convolution's weight, in our order. */
static enum status last_array(struct patchgan_case *c, struct parity_array *out, const char *name)
{
    struct parity_array in;
    enum status st;

    if ((st = fixture_f32(c->fixture, &in, c->data, name, c->err)))
        return st;
    if (in.shape.rank != 4)
        return fail(c->err, E_FORMAT, "%s has %d dimensions, not 4", name, in.shape.rank);
    return channels_last(c->fixture, out, &in, c->err);
}

static enum status number(struct patchgan_case *c, double *out, const char *name)
{
    double *v;
    int64_t n;
    enum status st = fixture_f64(c->fixture, &v, &n, c->data, name, c->err);

    if (!st && n != 1)
        st = fail(c->err, E_FORMAT, "%s holds %lld numbers", name, (long long)n);
    if (!st)
        *out = v[0];
    return st;
}

static enum status config_read(struct patchgan_case *c)
{
    json_t *config;
    enum status st;

    if ((st = fixture_metadata(&config, c->data, "config", c->err)))
        return st;
    if (!(st = config_int(&c->config.channels, config, "input_nc", 3, 1, 256, c->err)) &&
        !(st = config_int(&c->config.width, config, "ndf", 64, 1, 1024, c->err)))
        st = config_int(&c->config.layers, config, "n_layers", 3, 1, PATCHGAN_LAYERS, c->err);
    json_decref(config);
    return st;
}

/* Pictures that the network can judge. */
static enum status pictures_check(struct patchgan_case *c, const char *name,
                                  const struct parity_array *x)
{
    char text[SHAPE_TEXT];

    if (x->shape.dim[0] < 1 || x->shape.dim[3] != c->config.channels)
        return fail(c->err, E_FORMAT,
                    "%s is %s (channels last), the configuration says %d channels", name,
                    shape_text(text, x->shape), (int)c->config.channels);
    return patchgan_check(c->net, x->shape.dim[1], x->shape.dim[2], c->err);
}

static enum status case_load(struct patchgan_case *c)
{
    enum status st;

    if ((st = config_read(c)) || (st = patchgan_new(&c->net, &c->config, c->err)) ||
        (st = last_array(c, &c->real, "in.real")) || (st = last_array(c, &c->fake, "in.fake")) ||
        (st = pictures_check(c, "in.real", &c->real)) ||
        (st = pictures_check(c, "in.fake", &c->fake)))
        return st;
    return params_load(patchgan_params(c->net), c->weights->file, "", PARAMS_ALL, NULL, c->err);
}

static enum status kept_read(struct patchgan_case *c, struct graph *g, float **out,
                             const struct tensor *t)
{
    enum status st = fixture_new(c->fixture, (void **)out, (uint64_t)shape_count(t->shape),
                                 sizeof(float), c->err);

    if (!st)
        graph_read(g, t, *out);
    return st;
}

/* --- the discriminator's step ------------------------------------------------------------- */

struct step {
    float *real, *fake, *d_loss, *g_loss; /* answers and losses                      */
    float *grad_fake;                     /* of the generator's loss                 */
    float *grads, *running;               /* [n_trained], [n_values] with statistics */
    struct shape answers;
};

/* Weights and statistics as the file has them, then one step. */
static enum status step_run(struct patchgan_case *c, struct graph *g, struct step *s)
{
    struct params *p = patchgan_params(c->net);
    struct tensor *fake = graph_input(g, c->fake.shape, c->fake.v), *real, *d, *said[2];
    uint64_t trained = (uint64_t)params_n_trained(p), values = (uint64_t)params_n_values(p);
    struct patchgan_seen seen[2];
    struct tensor *gan, *grad;
    enum status st;

    graph_want_grad(fake);
    real = graph_input(g, c->real.shape, c->real.v);
    said[0] = patchgan_forward(g, c->net, real, &seen[0]);
    said[1] = patchgan_forward(g, c->net, fake, &seen[1]);
    d = hinge_discriminator(g, said[0], said[1]);
    gan = hinge_generator(g, said[1]);
    grad = graph_gradient(g, gan, fake);
    graph_backward(g, d);
    graph_keep(g, said[0]);
    graph_keep(g, said[1]);
    graph_keep(g, d);
    graph_keep(g, gan);
    graph_keep(g, grad);
    if ((st = params_load(p, c->weights->file, "", PARAMS_ALL, NULL, c->err)) ||
        (st = graph_run(g, c->err)) || (st = kept_read(c, g, &s->real, said[0])) ||
        (st = kept_read(c, g, &s->fake, said[1])) || (st = kept_read(c, g, &s->d_loss, d)) ||
        (st = kept_read(c, g, &s->g_loss, gan)) || (st = kept_read(c, g, &s->grad_fake, grad)) ||
        (st = fixture_new(c->fixture, (void **)&s->grads, trained, sizeof(float), c->err)) ||
        (st = fixture_new(c->fixture, (void **)&s->running, values, sizeof(float), c->err)))
        return st;
    for (int k = 0; k < 2; k++)
        patchgan_update(c->net, g, &seen[k]);
    s->answers = said[0]->shape;
    memcpy(s->grads, params_grads(p), trained * sizeof(float));
    memcpy(s->running, params_values(p), values * sizeof(float));
    return OK;
}

static enum status answers_compare(struct patchgan_case *c, struct parity_report *r,
                                   const char *name, const float *got, struct shape shape)
{
    struct parity_array want;
    enum status st;

    if ((st = last_array(c, &want, name)))
        return st;
    if (!shape_equal(want.shape, shape))
        parity_claim(r, name, false, "the shapes differ");
    else
        parity_compare_f32(r, name, got, want.v, want.n, of_outputs);
    return OK;
}

static enum status number_compare(struct patchgan_case *c, struct parity_report *r,
                                  const char *name, float got, struct parity_limit limit)
{
    double want, value = (double)got;
    enum status st = number(c, &want, name);

    if (!st)
        parity_compare_f64(r, name, &value, &want, 1, limit);
    return st;
}

static enum status statistics_compare(struct patchgan_case *c, struct parity_report *r,
                                      const struct step *s)
{
    struct params *p = patchgan_params(c->net);
    char name[160];

    report_group(r, "running statistics");
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);
        struct parity_array want;
        enum status st;

        if (q->trained)
            continue;
        snprintf(name, sizeof name, "running_after.%s", q->name);
        if ((st = fixture_f32(c->fixture, &want, c->data, name, c->err)))
            return st;
        if (want.n != shape_count(q->shape))
            parity_claim(r, name, false, "the sizes differ");
        else
            parity_compare_f32(r, name, s->running + q->offset, want.v, want.n, of_outputs);
    }
    return OK;
}

static enum status step_compare(struct patchgan_case *c, struct parity_report *r,
                                const struct step *s)
{
    struct parity_array want;
    enum status st;

    report_group(r, "outputs");
    if ((st = answers_compare(c, r, "out.logits_real", s->real, s->answers)) ||
        (st = answers_compare(c, r, "out.logits_fake", s->fake, s->answers)) ||
        (st = number_compare(c, r, "out.d_loss", *s->d_loss, of_outputs)) ||
        (st = number_compare(c, r, "out.g_loss", *s->g_loss, of_outputs)))
        return st;
    report_group(r, "input gradient");
    if ((st = last_array(c, &want, "grad_in.fake_of_g_loss")))
        return st;
    if (want.n != c->fake.n)
        return fail(c->err, E_FORMAT, "grad_in.fake_of_g_loss and in.fake differ in size");
    parity_compare_f32(r, "grad_in.fake_of_g_loss", s->grad_fake, want.v, want.n, of_inputs);
    if ((st = gradients_compare(r, c->fixture, patchgan_params(c->net), s->grads, c->err)))
        return st;
    return statistics_compare(c, r, s);
}

static bool same_step(const struct patchgan_case *c, const struct step *a, const struct step *b)
{
    struct params *p = patchgan_params(c->net);
    size_t answers = (size_t)shape_count(a->answers) * sizeof(float);

    return !memcmp(a->real, b->real, answers) && !memcmp(a->fake, b->fake, answers) &&
           !memcmp(a->grad_fake, b->grad_fake, (size_t)c->fake.n * sizeof(float)) &&
           !memcmp(a->grads, b->grads, (size_t)params_n_trained(p) * sizeof(float)) &&
           !memcmp(a->running, b->running, (size_t)params_n_values(p) * sizeof(float));
}

static enum status ways_compare(struct patchgan_case *c, struct parity_report *r,
                                const struct step *base)
{
    static const struct {
        const char *name;
        unsigned flags;
        int threads;
    } ways[] = {{"planned, 1 thread", 0, 1},
                {"planned, 3 threads", 0, 3},
                {"eager", GRAPH_EAGER, 2},
                {"checkpointed", GRAPH_CHECKPOINT, 2}};

    report_group(r, "equal bits");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct graph *g = NULL;
        struct step s = {0};
        enum status st;

        if (!(st = graph_new(&g, ways[i].flags, ways[i].threads, c->err)))
            st = step_run(c, g, &s);
        graph_free(g);
        if (st)
            return st;
        parity_claim(r, ways[i].name, same_step(c, base, &s), "the bits differ from the first run");
    }
    return OK;
}

/* --- the balance -------------------------------------------------------------------------- */

struct balance {
    struct parity_array weight, features, target, grad_nll, grad_gan;
    float *joined;                    /* where the gradient of both lands */
    struct tensor *nll, *gan, *ratio; /* gradients at the weight, and their ratio */
};

static enum status balance_load(struct patchgan_case *c, struct balance *b)
{
    const struct shape *w = &b->weight.shape, *f = &b->features.shape, *t = &b->target.shape;
    enum status st;

    if ((st = last_array(c, &b->weight, "adapt.last_weight")) ||
        (st = last_array(c, &b->features, "adapt.features")) ||
        (st = last_array(c, &b->target, "adapt.target")) ||
        (st = last_array(c, &b->grad_nll, "adapt.grad_nll")) ||
        (st = last_array(c, &b->grad_gan, "adapt.grad_gan")) ||
        (st = pictures_check(c, "adapt.target", &b->target)))
        return st;
    if (w->dim[1] != 3 || w->dim[2] != 3 || w->dim[3] != f->dim[3] || w->dim[0] != t->dim[3] ||
        f->dim[0] != t->dim[0] || f->dim[1] != t->dim[1] || f->dim[2] != t->dim[2] ||
        !shape_equal(b->grad_nll.shape, *w) || !shape_equal(b->grad_gan.shape, *w))
        return fail(c->err, E_FORMAT, "the shapes of adapt.* do not fit each other");
    return fixture_new(c->fixture, (void **)&b->joined, (uint64_t)b->weight.n, sizeof(float),
                       c->err);
}

/* The two gradients on their own, from losses of y itself; and as a training step has them. */
static void balance_record(struct patchgan_case *c, struct graph *g, struct balance *b)
{
    static const struct adversary how = {.weight = 0.5, .limit = 1e4};
    static const struct conv_geometry same = {1, 1, 1, 1, 1};
    struct tensor *target = graph_input(g, b->target.shape, b->target.v);
    struct tensor *last = graph_param(g, b->weight.shape, b->weight.v, b->joined, "last");
    struct tensor *x = graph_input(g, b->features.shape, b->features.v);
    struct tensor *y = op_conv2d(g, x, last, NULL, same), *shown = adversary_show(g, y);
    struct tensor *nll, *gan;

    nll = pixel_loss(g, target, y, PIXELS_L1);
    gan = hinge_generator(g, patchgan_forward(g, c->net, y, NULL));
    b->nll = graph_gradient(g, nll, last);
    b->gan = graph_gradient(g, gan, last);
    nll = pixel_loss(g, target, shown, PIXELS_L1);
    gan = hinge_generator(g, patchgan_forward(g, c->net, shown, NULL));
    graph_backward(g, adversary_join(g, &how, y, shown, last, nll, gan, &b->ratio));
    graph_keep(g, b->nll);
    graph_keep(g, b->gan);
    graph_keep(g, b->ratio);
}

static enum status balance_compare(struct patchgan_case *c, struct graph *g,
                                   struct parity_report *r, const struct balance *b)
{
    float *nll, *gan, *ratio, *want;
    double factor;
    enum status st;

    if ((st = kept_read(c, g, &nll, b->nll)) || (st = kept_read(c, g, &gan, b->gan)) ||
        (st = kept_read(c, g, &ratio, b->ratio)) ||
        (st = fixture_new(c->fixture, (void **)&want, (uint64_t)b->weight.n, sizeof(*want),
                          c->err)) ||
        (st = number(c, &factor, "adapt.weight_before_disc_weight_factor")))
        return st;
    report_group(r, "adaptive weight");
    parity_compare_f32(r, "adapt.grad_nll", nll, b->grad_nll.v, b->weight.n, of_params);
    parity_compare_f32(r, "adapt.grad_gan", gan, b->grad_gan.v, b->weight.n, of_params);
    for (int64_t i = 0; i < b->weight.n; i++)
        want[i] = (float)((double)b->grad_nll.v[i] + 0.5 * factor * (double)b->grad_gan.v[i]);
    parity_compare_f32(r, "gradient of both", b->joined, want, b->weight.n, of_params);
    return number_compare(c, r, "adapt.weight_before_disc_weight_factor", *ratio, of_inputs);
}

static enum status balance_check(struct patchgan_case *c, struct parity_report *r, int threads)
{
    struct params *p = patchgan_params(c->net);
    struct balance b = {0};
    struct graph *g = NULL;
    enum status st;

    if (!weights_find(c->data->file, "adapt.last_weight"))
        return OK;
    if ((st = balance_load(c, &b)) ||
        (st = params_load(p, c->weights->file, "", PARAMS_ALL, NULL, c->err)) ||
        (st = graph_new(&g, 0, threads, c->err)))
        return st;
    balance_record(c, g, &b);
    if (!(st = graph_run(g, c->err)))
        st = balance_compare(c, g, r, &b);
    graph_free(g);
    return st;
}

/* --- the whole ---------------------------------------------------------------------------- */

static enum status all_compare(struct patchgan_case *c, struct parity_report *r, int threads)
{
    struct graph *g = NULL;
    struct step s = {0};
    enum status st;

    if ((st = graph_new(&g, 0, threads, c->err)))
        return st;
    st = step_run(c, g, &s);
    graph_free(g);
    if (st || (st = step_compare(c, r, &s)) || (st = ways_compare(c, r, &s)))
        return st;
    return balance_check(c, r, threads);
}

static enum status patchgan_case_check(struct parity_report *r, struct parity_fixture *f,
                                       const struct parity_options *options, struct error *err)
{
    struct patchgan_case c = {.fixture = f,
                              .data = fixture_part(f, "data"),
                              .weights = fixture_part(f, "weights"),
                              .err = err};
    enum status st;

    if (!(st = case_load(&c)))
        st = all_compare(&c, r, options->threads);
    patchgan_free(c.net);
    return st;
}

const struct parity_checker parity_patchgan = {
    .kind = "patchgan", .parts = {"data", "weights", "grads"}, .check = patchgan_case_check};
