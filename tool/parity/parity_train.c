/*
 * parity_train.c - fixtures of training runs (kind "train_dit")
 *
 * Outputs and gradients can be right and training still wrong: a clipping factor without its
 * epsilon, a decay applied after the step, an average that starts one step late.  The file holds
 * the data, the noise and the times of every step, so that the whole run is reproduced without
 * drawing anything, and is compared along the way (loss, norm of the gradient, learning rate) and
 * at its end (parameters and averages).  What is run is the trainer's own optimizer, learning rate
 * and path, not copies.
 *
 * A second run with another number of threads and recomputed segments must end in the same bits.
 */
#include "parity.h"

#include "base/json.h"
#include "diffusion/prediction.h"
#include "model_config.h"
#include "ops/basic.h"
#include "train/adamw.h"
#include "train/rate.h"

#include <math.h>
#include <string.h>

/* The recipe in the configuration. */
struct recipe {
    double lr, beta1, beta2, eps, weight_decay, clip, ema;
    int64_t warmup;
    bool ddpm; /* noise prediction on the DDPM path, else velocity on the straight one */
};

/* All that a run needs, and is compared with. */
struct train_case {
    struct parity_fixture *fixture;
    const struct parity_part *data, *init, *final;
    struct network *net;
    struct recipe recipe;
    int64_t steps, batch, length; /* length: numbers of one picture          */
    struct shape shape;           /* of one batch, channels last             */
    float *x1, *noise, *t;        /* [steps, batch, ...]                     */
    int32_t *y;                   /* NULL: takes none                        */
    struct error *err;
};

/* What a run leaves: per step, and at its end (arrays in the layout of the parameters). */
struct trajectory {
    double *loss, *norm, *lr;
    float *average, *m, *v, *values;
};

static enum status recipe_read(struct recipe *r, const json_t *config, struct error *err)
{
    const json_t *betas = json_object_get(config, "betas");
    const char *objective = "";
    enum status st;

    *r = (struct recipe){.beta1 = json_number_value(json_array_get(betas, 0)),
                         .beta2 = json_number_value(json_array_get(betas, 1))};
    if (json_array_size(betas) != 2)
        return fail(err, E_FORMAT, "\"betas\" must be two numbers");
    if ((st = config_need(config, "lr", err)) || (st = config_need(config, "objective", err)) ||
        (st = config_double(&r->lr, config, "lr", 0, 0, 1e6, err)) ||
        (st = config_double(&r->eps, config, "eps", 1e-8, 0, 1, err)) ||
        (st = config_double(&r->weight_decay, config, "weight_decay", 0, 0, 1e6, err)) ||
        (st = config_double(&r->clip, config, "clip", 0, 0, 1e30, err)) ||
        (st = config_double(&r->ema, config, "ema", 0, 0, 1, err)) ||
        (st = config_int(&r->warmup, config, "warmup", 0, 0, INT32_MAX, err)) ||
        (st = config_text(&objective, config, "objective", "", err)))
        return st;
    r->ddpm = strcmp(objective, "ddpm_eps") == 0;
    if (!r->ddpm && strcmp(objective, "flow_v") != 0)
        return fail(err, E_UNSUPPORTED, "the objective %s is not implemented", objective);
    return OK;
}

/* --- loading ------------------------------------------------------------------------------ */

/* Pictures [S, B, C, H, W] as S batches [B, H, W, C]. */
static enum status pictures_load(struct train_case *c, float **out, const char *name)
{
    struct parity_array in, last;
    struct shape s;
    enum status st;

    if ((st = fixture_f32(c->fixture, &in, c->data, name, c->err)))
        return st;
    s = in.shape;
    if (s.rank != 5 || s.dim[0] != c->steps || s.dim[1] != c->batch)
        return fail(c->err, E_FORMAT, "%s is not [%lld, %lld, C, H, W]", name, (long long)c->steps,
                    (long long)c->batch);
    in.shape = SHAPE(s.dim[0] * s.dim[1], s.dim[2], s.dim[3], s.dim[4]);
    if ((st = channels_last(c->fixture, &last, &in, c->err)))
        return st;
    c->shape = last.shape;
    c->shape.dim[0] = c->batch;
    c->length = shape_count(c->shape) / c->batch;
    if (!shape_equal(c->shape, SHAPE(c->batch, c->net->io.height, c->net->io.width,
                                     c->net->io.in_channels)) ||
        c->net->io.in_channels != c->net->io.out_channels)
        return fail(c->err, E_FORMAT, "%s does not fit the network of the configuration", name);
    *out = last.v;
    return OK;
}

static enum status labels_load(struct train_case *c)
{
    int64_t n;
    enum status st;

    if (c->net->io.n_labels == 0)
        return OK;
    if ((st = fixture_i32(c->fixture, &c->y, &n, c->data, "y", c->err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        if (c->y[i] < 0 || c->y[i] >= c->net->io.n_labels)
            return fail(c->err, E_FORMAT, "y[%lld] is %d, the network has %lld labels",
                        (long long)i, (int)c->y[i], (long long)c->net->io.n_labels);
    return n == c->steps * c->batch ? OK : fail(c->err, E_FORMAT, "y does not fit the batches");
}

static enum status data_load(struct train_case *c)
{
    struct parity_array t;
    enum status st;

    if ((st = fixture_f32(c->fixture, &t, c->data, "t", c->err)))
        return st;
    if (t.shape.rank != 2 || t.n < 1)
        return fail(c->err, E_FORMAT, "t is not [steps, batch]");
    c->steps = t.shape.dim[0];
    c->batch = t.shape.dim[1];
    c->t = t.v;
    if ((st = pictures_load(c, &c->x1, "x1")) || (st = pictures_load(c, &c->noise, "noise")))
        return st;
    return labels_load(c);
}

/* --- one step ----------------------------------------------------------------------------- */

/* The coefficients of a time: of the straight path, or of index t of the linear schedule. */
static enum status coefs_at(struct train_case *c, struct path_coefs *out, double t)
{
    struct path path;
    enum status st;

    if ((st = path_init(&path, c->recipe.ddpm ? "ddpm_linear" : "condot", c->err)))
        return st;
    if (!c->recipe.ddpm) {
        if (!(t >= 0 && t <= 1))
            return fail(c->err, E_FORMAT, "a time of %g, not in [0, 1]", t);
        *out = path_at(&path, t);
        return OK;
    }
    if (!(t >= 0 && t < path_steps(&path)) || floor(t) < t)
        return fail(c->err, E_FORMAT, "a time of %g, not an index below %d", t, path_steps(&path));
    *out = path_at(&path, path_time_of_index(&path, (int)t));
    return OK;
}

/* x_t and the target of step s, both [batch, length]. */
static enum status batch_make(struct train_case *c, int64_t s, float *x, float *target)
{
    enum prediction p = c->recipe.ddpm ? PREDICT_NOISE : PREDICT_VELOCITY;

    for (int64_t i = 0; i < c->batch; i++) {
        int64_t first = (s * c->batch + i) * c->length;
        double of_z, of_eps;
        struct path_coefs at;
        enum status st;

        if ((st = coefs_at(c, &at, (double)c->t[s * c->batch + i])) ||
            (st = prediction_target(&of_z, &of_eps, p, &at, c->err)))
            return st;
        for (int64_t k = 0; k < c->length; k++) {
            double z = (double)c->x1[first + k], eps = (double)c->noise[first + k], point;

            path_point(&point, &z, &eps, &at, 1);
            x[i * c->length + k] = (float)point;
            target[i * c->length + k] = (float)(of_z * z + of_eps * eps);
        }
    }
    return OK;
}

/* Forward and backward of step s; the gradients are in the parameters. */
static enum status gradient_take(struct train_case *c, struct graph *g, int64_t s, float *x,
                                 float *target, double *loss)
{
    struct network_input in = {0};
    struct tensor *l;
    float value;
    enum status st = batch_make(c, s, x, target);

    if (st)
        return st;
    graph_reset(g);
    in.x = graph_input(g, c->shape, x);
    in.t = graph_input(g, SHAPE(c->batch), c->t + s * c->batch);
    in.y = c->y ? graph_input_i32(g, SHAPE(c->batch), c->y + s * c->batch) : NULL;
    l = op_mse(g, network_forward(g, c->net, in), graph_input(g, c->shape, target));
    graph_keep(g, l);
    graph_backward(g, l);
    if ((st = graph_run(g, c->err)))
        return st;
    graph_read(g, l, &value);
    *loss = (double)value;
    return OK;
}

static void step_take(struct train_case *c, struct trajectory *tr, int64_t s)
{
    const struct recipe *r = &c->recipe;
    struct params *p = c->net->params;
    struct adamw a = {
        .lr = r->lr * rate_at(RATE_CONSTANT, s, c->steps, r->warmup, 0),
        .beta1 = r->beta1,
        .beta2 = r->beta2,
        .eps = r->eps,
        .weight_decay = r->weight_decay,
        .clip = r->clip,
        .ema = r->ema,
        .step = s + 1,
    };

    tr->lr[s] = a.lr;
    tr->norm[s] = gradient_norm(params_grads(p), params_n_trained(p));
    adamw_step(params_values(p), tr->m, tr->v, tr->average, params_grads(p), params_n_trained(p),
               tr->norm[s], &a);
}

/* --- a run -------------------------------------------------------------------------------- */

static enum status trajectory_new(struct train_case *c, struct trajectory *tr)
{
    uint64_t n = (uint64_t)params_n_values(c->net->params), steps = (uint64_t)c->steps;
    struct parity_fixture *f = c->fixture;
    enum status st;

    if ((st = fixture_new(f, (void **)&tr->loss, steps, sizeof(double), c->err)) ||
        (st = fixture_new(f, (void **)&tr->norm, steps, sizeof(double), c->err)) ||
        (st = fixture_new(f, (void **)&tr->lr, steps, sizeof(double), c->err)) ||
        (st = fixture_new(f, (void **)&tr->average, n, sizeof(float), c->err)) ||
        (st = fixture_new(f, (void **)&tr->m, n, sizeof(float), c->err)) ||
        (st = fixture_new(f, (void **)&tr->v, n, sizeof(float), c->err)))
        return st;
    return fixture_new(f, (void **)&tr->values, n, sizeof(float), c->err);
}

/* From the initial parameters through all steps. */
static enum status train(struct train_case *c, struct trajectory *tr, unsigned flags, int threads)
{
    uint64_t n = (uint64_t)(c->batch * c->length);
    struct params *p = c->net->params;
    size_t bytes = (size_t)params_n_values(p) * sizeof(float);
    struct graph *g = NULL;
    float *x, *target;
    enum status st;

    if ((st = trajectory_new(c, tr)) ||
        (st = fixture_new(c->fixture, (void **)&x, n, sizeof(float), c->err)) ||
        (st = fixture_new(c->fixture, (void **)&target, n, sizeof(float), c->err)) ||
        (st = params_load(p, c->init->file, "", PARAMS_ALL, NULL, c->err)) ||
        (st = graph_new(&g, flags, threads, c->err)))
        return st;
    memcpy(tr->average, params_values(p), bytes);
    for (int64_t s = 0; s < c->steps && !st; s++)
        if (!(st = gradient_take(c, g, s, x, target, &tr->loss[s])))
            step_take(c, tr, s);
    graph_free(g);
    memcpy(tr->values, params_values(p), bytes);
    return st;
}

/* --- comparing ---------------------------------------------------------------------------- */

static enum status series_compare(struct train_case *c, struct parity_report *r, const char *name,
                                  const double *got, double each)
{
    double *want;
    int64_t n;
    enum status st = fixture_f64(c->fixture, &want, &n, c->data, name, c->err);

    if (st)
        return st;
    if (n != c->steps)
        return fail(c->err, E_FORMAT, "%s has %lld numbers for %lld steps", name, (long long)n,
                    (long long)c->steps);
    parity_compare_f64(r, name, got, want, n, (struct parity_limit){.of_each = each});
    return OK;
}

static enum status end_compare(struct train_case *c, struct parity_report *r, const char *prefix,
                               const float *got, double of_max)
{
    struct params *p = c->net->params;
    char name[160];
    float *want;
    enum status st;

    if ((st = fixture_new(c->fixture, (void **)&want, (uint64_t)params_n_values(p), sizeof(float),
                          c->err)) ||
        (st = params_load(p, c->final->file, prefix, PARAMS_TRAINED, want, c->err)))
        return st;
    for (int64_t i = 0; i < params_count(p); i++) {
        const struct param *q = params_at(p, i);

        if (!q->trained)
            continue;
        snprintf(name, sizeof(name), "%s%s", prefix, q->name);
        parity_compare_f32(r, name, got + q->offset, want + q->offset, shape_count(q->shape),
                           (struct parity_limit){.of_max = of_max});
    }
    return OK;
}

static bool same(const struct train_case *c, const struct trajectory *a, const struct trajectory *b)
{
    size_t bytes = (size_t)params_n_trained(c->net->params) * sizeof(float);

    return memcmp(a->loss, b->loss, (size_t)c->steps * sizeof(double)) == 0 &&
           memcmp(a->values, b->values, bytes) == 0 && memcmp(a->m, b->m, bytes) == 0 &&
           memcmp(a->v, b->v, bytes) == 0 && memcmp(a->average, b->average, bytes) == 0;
}

static enum status runs_compare(struct train_case *c, struct parity_report *r,
                                const struct parity_options *options)
{
    struct trajectory first = {0}, second = {0};
    enum status st;

    if ((st = train(c, &first, 0, options->threads)))
        return st;
    report_group(r, "along the way");
    if ((st = series_compare(c, r, "loss", first.loss, 1e-5)) ||
        (st = series_compare(c, r, "grad_norm", first.norm, 1e-4)) ||
        (st = series_compare(c, r, "lr", first.lr, 1e-12)))
        return st;
    report_group(r, "final parameters");
    if ((st = end_compare(c, r, "param.", first.values, 1e-3)))
        return st;
    report_group(r, "final averages");
    if ((st = end_compare(c, r, "ema.", first.average, 3e-4)) ||
        (st = train(c, &second, GRAPH_CHECKPOINT, 3)))
        return st;
    report_group(r, "equal bits");
    parity_claim(r, "checkpointed, 3 threads", same(c, &first, &second),
                 "the run ends elsewhere than the first one");
    return OK;
}

static enum status train_check(struct parity_report *r, struct parity_fixture *f,
                               const struct parity_options *options, struct error *err)
{
    struct train_case c = {.fixture = f,
                           .data = fixture_part(f, "data"),
                           .init = fixture_part(f, "init"),
                           .final = fixture_part(f, "final"),
                           .err = err};
    json_t *config = NULL;
    enum status st;

    if ((st = fixture_metadata(&config, c.data, "config", err)))
        return st;
    st = recipe_read(&c.recipe, config, err);
    if (st == E_UNSUPPORTED) {
        parity_skip(r, "objective", "%s", err->text);
        st = OK;
        goto out;
    }
    if (st || (st = model_from_config(&c.net, f->kind, config, true, err)) || (st = data_load(&c)))
        goto out;
    st = runs_compare(&c, r, options);
out:
    json_decref(config);
    network_free(c.net);
    return st;
}

const struct parity_checker parity_train_dit = {
    .kind = "train_dit", .parts = {"data", "init", "final"}, .check = train_check};
