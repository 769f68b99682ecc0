/*
 * parity_mmdit_train.c - the recorded training steps of a transformer of two streams
 *
 * train.safetensors holds the data, noise and noise levels of a few AdamW steps, so that a run is
 * reproduced without drawing anything: the point sigma noise + (1 - sigma) x0 is shown at time 1000
 * sigma, and noise - x0 is wanted.  Compared are the loss and the norm of the gradient at every
 * step, and all parameters after the last.
 */
#include "parity_mmdit.h"

#include "base/json.h"
#include "train/adamw.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { STEPS_MOST = 64 };

bool mmdit_has_file(const char *path)
{
    struct stat is;

    return stat(path, &is) == 0;
}

struct run {
    struct model_case *m;
    struct parity_part data;
    struct adamw recipe;
    float *moment1, *moment2;
    double loss[STEPS_MOST], norm[STEPS_MOST];
    int64_t steps;
};

static enum status recipe_read(struct run *t)
{
    struct adamw *a = &t->recipe;
    json_t *hyper;
    enum status st = fixture_metadata(&hyper, &t->data, "hyper", t->m->err);

    if (st)
        return st;
    if ((st = config_double(&a->lr, hyper, "lr", 1e-3, 0, 1, t->m->err)) ||
        (st = config_double(&a->beta1, hyper, "beta1", 0.9, 0, 1, t->m->err)) ||
        (st = config_double(&a->beta2, hyper, "beta2", 0.999, 0, 1, t->m->err)) ||
        (st = config_double(&a->eps, hyper, "eps", 1e-8, 0, 1, t->m->err)))
        goto out;
    st = config_double(&a->weight_decay, hyper, "weight_decay", 0, 0, 1, t->m->err);
out:
    json_decref(hyper);
    return st;
}

/* m's picture becomes the point between data and noise, and its cotangent the target. */
static enum status batch_load(struct run *t, int64_t step)
{
    struct model_case *m = t->m;
    int64_t C = m->net->io.in_channels, each;
    struct parity_array data, noise, sigma;
    char before[32], name[64];
    enum status st;

    snprintf(before, sizeof(before), "step%d.", (int)step);
    snprintf(name, sizeof(name), "%sx0", before);
    if ((st = mmdit_picture(m, &t->data, &data, name, C)))
        return st;
    snprintf(name, sizeof(name), "%snoise", before);
    if ((st = mmdit_picture(m, &t->data, &noise, name, C)))
        return st;
    snprintf(name, sizeof(name), "%ssigma", before);
    if ((st = fixture_f32(m->fixture, &sigma, &t->data, name, m->err)))
        return st;
    if (!shape_equal(data.shape, noise.shape) ||
        !shape_equal(sigma.shape, SHAPE(data.shape.dim[0])) || m->net->io.out_channels != C)
        return fail(m->err, E_FORMAT, "the parts of %s do not fit together", before);
    each = data.n / (sigma.n ? sigma.n : 1);
    for (int64_t i = 0; i < data.n; i++) {
        double s = (double)sigma.v[i / each], x0 = (double)data.v[i], e = (double)noise.v[i];

        data.v[i] = (float)((1 - s) * x0 + s * e);
        noise.v[i] = (float)(e - x0);
    }
    for (int64_t i = 0; i < sigma.n; i++)
        sigma.v[i] *= 1000;
    m->x = data;
    m->cot = noise;
    m->t = sigma;
    return mmdit_text(m, &t->data, before);
}

static enum status step_take(struct run *t, struct graph *g, int64_t step)
{
    struct params *p = t->m->net->params;
    int64_t n = params_n_trained(p);
    struct model_results got = {0};
    enum status st;

    graph_reset(g);
    if ((st = batch_load(t, step)) || (st = t->m->run(t->m, g, &got, NULL)))
        return st;
    t->loss[step] = (double)got.loss;
    t->norm[step] = gradient_norm(got.grads, n);
    t->recipe.step = step + 1;
    adamw_step(params_values(p), t->moment1, t->moment2, NULL, got.grads, n, t->norm[step],
               &t->recipe);
    return OK;
}

static enum status series_compare(struct run *t, struct parity_report *r, const char *name,
                                  const double *got, double each)
{
    double want[STEPS_MOST];
    json_t *list;
    enum status st = fixture_metadata(&list, &t->data, name, t->m->err);

    if (st)
        return st;
    if ((int64_t)json_array_size(list) != t->steps)
        st = fail(t->m->err, E_FORMAT, "%s has %lld numbers for %lld steps", name,
                  (long long)json_array_size(list), (long long)t->steps);
    for (int64_t i = 0; i < t->steps && !st; i++)
        want[i] = json_number_value(json_array_get(list, (size_t)i));
    if (!st)
        parity_compare_f64(r, name, got, want, t->steps, (struct parity_limit){.of_each = each});
    json_decref(list);
    return st;
}

static enum status end_compare(struct run *t, struct parity_report *r)
{
    struct params *p = t->m->net->params;
    struct weights *f = NULL;
    char path[4096];
    float *want;
    enum status st;

    snprintf(path, sizeof(path), "%s/train_final.safetensors", t->m->fixture->folder);
    if ((st = fixture_new(t->m->fixture, (void **)&want, (uint64_t)params_n_values(p),
                          sizeof(float), t->m->err)) ||
        (st = weights_open(&f, path, t->m->err)) ||
        (st = params_load(p, f, "model.diffusion_model.", PARAMS_TRAINED, want, t->m->err)))
        goto out;
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);

        if (q->trained)
            parity_compare_f32(r, q->name, q->value, want + q->offset, shape_count(q->shape),
                               (struct parity_limit){.absolute = 1e-4});
    }
out:
    weights_close(f);
    return st;
}

static enum status run_compare(struct run *t, struct parity_report *r,
                               const struct parity_options *options)
{
    uint64_t n = (uint64_t)params_n_trained(t->m->net->params);
    struct parity_fixture *f = t->m->fixture;
    struct graph *g = NULL;
    char name[32];
    enum status st;

    for (; t->steps < STEPS_MOST; t->steps++) {
        snprintf(name, sizeof(name), "step%d.x0", (int)t->steps);
        if (!weights_find(t->data.file, name))
            break;
    }
    if ((st = recipe_read(t)) ||
        (st = fixture_new(f, (void **)&t->moment1, n, sizeof(float), t->m->err)) ||
        (st = fixture_new(f, (void **)&t->moment2, n, sizeof(float), t->m->err)) ||
        (st = graph_new(&g, 0, options->threads, t->m->err)))
        return st;
    for (int64_t i = 0; i < t->steps && !st; i++)
        st = step_take(t, g, i);
    graph_free(g);
    if (st)
        return st;
    report_group(r, "training");
    if ((st = series_compare(t, r, "losses", t->loss, 1e-5)) ||
        (st = series_compare(t, r, "grad_norms", t->norm, 1e-4)))
        return st;
    report_group(r, "parameters after training");
    return end_compare(t, r);
}

enum status mmdit_train_compare(struct model_case *m, struct parity_report *r,
                                const struct parity_options *options)
{
    struct run t = {.m = m};
    char path[4096];
    enum status st;

    snprintf(path, sizeof(path), "%s/train.safetensors", m->fixture->folder);
    if (!mmdit_has_file(path))
        return OK;
    t.data.path = path;
    if (!(st = weights_open(&t.data.file, path, m->err)))
        st = run_compare(&t, r, options);
    weights_close(t.data.file);
    return st;
}
