/*
 * parity_guide.c - kinds of guidance against published formulas on given numbers
 *
 * A file of kind guidance holds two branches, guided and unguided, and what each formula makes of
 * them; which prediction they stand for is part of the formula.  Here a predictor hands out the
 * file's branches, so what is compared is what a solver would get.  One member is a whole guided
 * flow on the mixture of another file.
 */
#include "oracle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct parity_limit limit = {.absolute = 1e-9};

struct given {
    struct parity_report *r;
    struct parity_fixture *f;
    const double *unguided, *guided, *x;
    double w;
    int64_t rows, n; /* n: numbers in all */
};

static enum status given_predict(void *self, double *out, const double *x, double t,
                                 unsigned branches, struct error *err)
{
    const struct given *g = self;

    (void)x, (void)t, (void)err;
    if (branches & BRANCH_UNGUIDED) {
        memcpy(out, g->unguided, (size_t)g->n * sizeof(*out));
        out += g->n;
    }
    if (branches & BRANCH_GUIDED)
        memcpy(out, g->guided, (size_t)g->n * sizeof(*out));
    return OK;
}

static enum status how_named(struct guidance_how *how, const char *name, struct error *err)
{
    enum status st;

    *how = guidance_plain();
    if (!(st = guidance_kind_find(&how->kind, name, err)))
        choice_defaults(how->values, &how->kind->is);
    return st;
}

static enum status how_set(struct guidance_how *how, const char *key, double value,
                           struct error *err)
{
    return choice_set(how->values, &how->kind->is, key, value, err);
}

/* A guidance over the file's branches. */
static enum status given_open(struct guidance *g, struct given *in, double w,
                              const struct guidance_how *how, struct error *err)
{
    double scales[64];

    if (in->rows > 64)
        return fail(err, E_FORMAT, "%lld pictures; served are 64", (long long)in->rows);
    for (int64_t i = 0; i < in->rows; i++)
        scales[i] = w;
    return guidance_init(g, (struct predictor){given_predict, in, in->rows, in->n / in->rows},
                         scales, how, err);
}

/* What is made of the branches, read as `is`, at t = 0.5 of condot. */
static enum status check_one(struct given *in, const char *name, enum prediction is,
                             const struct guidance_how *how, const json_t *wanted,
                             struct error *err)
{
    struct guidance g;
    struct path path;
    struct path_coefs c;
    enum prediction out_is;
    double *got, *want;
    enum status st;

    if ((st = numbers_read(&want, NULL, in->f, wanted, in->n, name, err)) ||
        (st = fixture_new(in->f, (void **)&got, (uint64_t)in->n, sizeof(*got), err)) ||
        (st = path_init(&path, "condot", err)) || (st = given_open(&g, in, in->w, how, err)))
        return st;
    c = path_at(&path, 0.5);
    if (!(st = guidance_predict(&g, got, &out_is, NULL, NULL, in->x, &c, is, err)) && out_is == is)
        parity_compare_f64(in->r, name, got, want, in->n, limit);
    guidance_release(&g);
    return st;
}

static enum status check_plain(struct given *in, const json_t *root, struct error *err)
{
    struct guidance_how how = guidance_plain();
    const json_t *part;
    enum status st;

    if ((st = check_one(in, "classifier-free guidance", PREDICT_NOISE, &how,
                        json_object_get(root, "cfg"), err)))
        return st;
    if ((part = json_object_get(root, "rescale"))) {
        if ((st = real_read(&how.rescale, part, "phi", err)) ||
            (st =
                 check_one(in, "rescaled", PREDICT_NOISE, &how, json_object_get(part, "out"), err)))
            return st;
        how.rescale = 0;
    }
    if ((part = json_object_get(root, "dynamic_threshold"))) {
        if ((st = real_read(&how.threshold, part, "percentile", err)) ||
            (st = check_one(in, "dynamic threshold", PREDICT_DATA, &how,
                            json_object_get(part, "out"), err)))
            return st;
    }
    if ((part = json_object_get(root, "cfg_zero_star"))) {
        if ((st = how_named(&how, "cfg_zero_star", err)))
            return st;
        return check_one(in, "cfg_zero_star", PREDICT_VELOCITY, &how, json_object_get(part, "out"),
                         err);
    }
    return OK;
}

/* Three steps in a row, for the momentum. */
static enum status check_apg(struct given *in, const json_t *part, struct error *err)
{
    static const char *const keys[][2] = {
        {"eta", "eta"}, {"norm_threshold", "norm"}, {"momentum", "momentum"}};
    struct path path;
    struct path_coefs c;
    struct guidance_how how;
    struct guidance g;
    enum prediction is;
    double value, *guided, *unguided, *want, *got;
    json_t *step;
    enum status st;
    size_t i;

    if ((st = how_named(&how, "apg", err)) || (st = path_init(&path, "condot", err)))
        return st;
    for (int k = 0; k < 3; k++)
        if ((st = real_read(&value, part, keys[k][0], err)) ||
            (st = how_set(&how, keys[k][1], value, err)))
            return st;
    if ((st = given_open(&g, in, in->w, &how, err)))
        return st;
    c = path_at(&path, 0.5);
    json_array_foreach(json_object_get(part, "steps"), i, step)
    {
        struct given now = *in;

        if ((st = member_read(&guided, NULL, in->f, step, "cond", in->n, err)) ||
            (st = member_read(&unguided, NULL, in->f, step, "uncond", in->n, err)) ||
            (st = member_read(&want, NULL, in->f, step, "out", in->n, err)) ||
            (st = fixture_new(in->f, (void **)&got, (uint64_t)in->n, sizeof(*got), err)))
            break;
        now.guided = guided;
        now.unguided = unguided;
        g.of.self = &now;
        if ((st = guidance_predict(&g, got, &is, NULL, NULL, in->x, &c, PREDICT_DATA, err)))
            break;
        parity_compare_f64(in->r, "apg", got, want, in->n, limit);
    }
    guidance_release(&g);
    return st;
}

static void no_noise(void *self, double *out, int64_t step)
{
    (void)self, (void)out, (void)step;
}

/* One step of DDIM between two points of the cosine path. */
static enum status check_plus_plus(struct given *in, const json_t *part, struct error *err)
{
    static const char *const keys[2] = {"alpha_beta_now", "alpha_beta_next"};
    struct sampling_request request = {.steps = 1, .draw = no_noise};
    struct field field = {.predicts = PREDICT_NOISE};
    double times[2], *ab, *want, *x, lambda;
    struct guidance_how how;
    struct guidance g;
    enum status st;

    if ((st = path_init(&field.path, "cosine", err)) || (st = how_named(&how, "cfgpp", err)) ||
        (st = sampler_find(&request.sampler, "ddim", err)) ||
        (st = real_read(&lambda, part, "lambda", err)) ||
        (st = member_read(&want, NULL, in->f, part, "next_x", in->n, err)) ||
        (st = fixture_new(in->f, (void **)&x, (uint64_t)in->n, sizeof(*x), err)))
        return st;
    for (int k = 0; k < 2; k++) {
        if ((st = member_read(&ab, NULL, in->f, part, keys[k], 2, err)))
            return st;
        times[k] = path_time_of_noise(&field.path, ab[1] / ab[0]);
    }
    if ((st = given_open(&g, in, lambda, &how, err)))
        return st;
    field.guidance = &g;
    request.times = times;
    request.field = &field;
    memcpy(x, in->x, (size_t)in->n * sizeof(*x));
    choice_defaults(request.values, &request.sampler->is);
    if (!(st = sampling_run(x, &request, NULL, err)))
        parity_compare_f64(in->r, "cfgpp", x, want, in->n, limit);
    guidance_release(&g);
    return st;
}

/* In which of the times both branches were asked for. */
static enum status check_interval(struct given *in, const json_t *part, struct error *err)
{
    const json_t *guided = json_object_get(part, "guided");
    struct guidance_how how = guidance_plain();
    bool agree = true;
    struct guidance g;
    struct path path;
    double *t, *out;
    enum prediction is;
    enum status st;
    int64_t n;

    if ((st = real_read(&how.from, part, "lo", err)) ||
        (st = real_read(&how.to, part, "hi", err)) ||
        (st = member_read(&t, &n, in->f, part, "t", -1, err)) ||
        (st = path_init(&path, "condot", err)) ||
        (st = fixture_new(in->f, (void **)&out, (uint64_t)in->n, sizeof(*out), err)) ||
        (st = given_open(&g, in, in->w, &how, err)))
        return st;
    for (int64_t i = 0; i < n && !st; i++) {
        struct path_coefs c = path_at(&path, t[i]);
        int64_t before = g.evaluations;

        st = guidance_predict(&g, out, &is, NULL, NULL, in->x, &c, PREDICT_VELOCITY, err);
        agree &= (g.evaluations - before == 2) == json_is_true(json_array_get(guided, (size_t)i));
    }
    if (!st)
        parity_claim(in->r, "interval", agree, "another set of times was guided");
    guidance_release(&g);
    return st;
}

/* v + kappa s grad of one branch and eps - beta s grad of the other: the weights that classifier
 * guidance gives a gradient. */
static enum status check_classifier(struct given *in, const json_t *part, struct error *err)
{
    double s, beta, t, *grad, *want, *got;
    struct path path;
    struct path_coefs c;
    enum status st;

    if ((st = real_read(&s, part, "s", err)) || (st = real_read(&beta, part, "beta", err)) ||
        (st = real_read(&t, part, "linear_t", err)) || (st = path_init(&path, "condot", err)) ||
        (st = member_read(&grad, NULL, in->f, part, "grad", in->n, err)) ||
        (st = member_read(&want, NULL, in->f, part, "v_out", in->n, err)) ||
        (st = fixture_new(in->f, (void **)&got, (uint64_t)in->n, sizeof(*got), err)))
        return st;
    c = path_at(&path, t);
    for (int64_t i = 0; i < in->n; i++)
        got[i] = in->unguided[i] + s * guidance_gradient_weight(PREDICT_VELOCITY, &c) * grad[i];
    parity_compare_f64(in->r, "classifier, velocity", got, want, in->n, limit);
    if ((st = member_read(&want, NULL, in->f, part, "eps_out", in->n, err)))
        return st;
    c.beta = beta;
    for (int64_t i = 0; i < in->n; i++)
        got[i] = in->guided[i] + s * guidance_gradient_weight(PREDICT_NOISE, &c) * grad[i];
    parity_compare_f64(in->r, "classifier, noise", got, want, in->n, limit);
    return OK;
}

/* ---- A guided flow ---- */

/* The mixture that a guided run names lies in a file beside this one; the class is a set of its
 * parts. */
static enum status sibling_mixture(struct mixture *m, struct parity_fixture *f, const json_t *run,
                                   struct error *err)
{
    const char *path = fixture_part(f, "")->path, *slash = strrchr(path, '/');
    const char *name = json_string_value(json_object_get(run, "mixture"));
    int folder = slash ? (int)(slash - path) + 1 : 0;
    char file[1024];
    double *members;
    json_error_t why;
    json_t *root;
    enum status st;
    int64_t n;

    if (!name || strchr(name, '/') ||
        snprintf(file, sizeof(file), "%.*s%s.json", folder, path, name) >= (int)sizeof(file))
        return fail(err, E_FORMAT, "the guided run names no mixture");
    root = json_load_file(file, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return fail(err, E_FORMAT, "%s: %s", file, why.text);
    if (!(st = mixture_read(m, f, json_object_get(root, "mixture"), err)) &&
        !(st = member_read(&members, &n, f, run, "class_components", -1, err)))
        for (int64_t i = 0; i < n; i++)
            if (members[i] >= 0 && members[i] < m->parts)
                m->label[(int)members[i]] = 1;
    json_decref(root);
    return st;
}

static enum status guided_runs(struct parity_report *r, struct parity_fixture *f,
                               const struct mixture *m, const json_t *ode, struct error *err)
{
    struct guidance_how how = guidance_plain();
    struct oracle_run run = {.mixture = m, .y = 1, .t1 = 1, .how = &how};
    struct pairs p = {0};
    double *start, *want, *x, steps, lo, hi;
    enum status st;
    json_t *row;
    int64_t n;
    size_t i;

    if ((st = path_init(&run.path, "linear", err)) ||
        (st = sampler_find(&run.sampler, "heun", err)) ||
        (st = real_read(&steps, ode, "heun_N", err)) ||
        (st = member_read(&start, &n, f, ode, "start", -1, err)) ||
        (st = fixture_new(f, (void **)&x, (uint64_t)n, sizeof(*x), err)))
        return st;
    if (!(steps >= 1 && steps <= STEPS_MAX))
        return fail(err, E_FORMAT, "%g steps", steps);
    run.steps = (int)steps;
    json_array_foreach(json_object_get(ode, "runs"), i, row)
    {
        if (st || (st = real_read(&run.w, row, "scale", err)) ||
            (st = real_read(&lo, row, "lo", err)) || (st = real_read(&hi, row, "hi", err)) ||
            (st = member_read(&want, NULL, f, row, "end", n, err)))
            break;
        how.from = lo;
        how.to = hi;
        memcpy(x, start, (size_t)n * sizeof(*x));
        if (!(st = oracle_solve(x, n / m->dim, &run, err)))
            st = pairs_add(&p, x, want, n, err);
    }
    pairs_compare(&p, r, "guided flow", limit);
    pairs_release(&p);
    return st;
}

/* ---- The file ---- */

static enum status check_parts(struct given *in, const json_t *root, struct error *err)
{
    static const struct {
        const char *key;
        enum status (*check)(struct given *in, const json_t *part, struct error *err);
    } parts[] = {{"apg", check_apg},
                 {"cfgpp", check_plus_plus},
                 {"interval", check_interval},
                 {"classifier", check_classifier}};
    enum status st;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const json_t *part = json_object_get(root, parts[i].key);

        if (part && (st = parts[i].check(in, part, err)))
            return st;
    }
    return check_plain(in, root, err);
}

static enum status guidance_check(struct parity_report *r, struct parity_fixture *f,
                                  const struct parity_options *options, struct error *err)
{
    const json_t *root = fixture_part(f, "")->json, *ode = json_object_get(root, "guided_ode");
    struct given in = {.r = r, .f = f};
    double *guided, *unguided, *x;
    struct mixture m = {0};
    enum status st;

    (void)options;
    if ((st = real_read(&in.w, root, "scale", err)) ||
        (st = member_read(&guided, &in.n, f, root, "cond", -1, err)) ||
        (st = member_read(&unguided, NULL, f, root, "uncond", in.n, err)) ||
        (st = member_read(&x, NULL, f, root, "x", in.n, err)))
        return st;
    in.guided = guided;
    in.unguided = unguided;
    in.x = x;
    in.rows = (int64_t)json_array_size(json_object_get(root, "cond"));
    if ((st = check_parts(&in, root, err)))
        return st;
    if (ode && !(st = sibling_mixture(&m, f, ode, err)))
        st = guided_runs(r, f, &m, ode, err);
    mixture_release(&m);
    return st;
}

const struct parity_checker parity_guidance = {
    .kind = "guidance",
    .parts = {""},
    .check = guidance_check,
};
