/*
 * parity_guidance.c - guidance where its result is known: Gaussians, a logistic path, given numbers
 *
 * The Gaussian pair has linear fields, so its guided flow ODE moves mean and standard deviation
 * only, and two trajectories tell both.  The logistic path has no scores: it checks that the
 * combiner needs none.
 */
#include "diffusion/points.h"
#include "oracle.h"

#include <math.h>
#include <string.h>

/* ---- Two Gaussians: unguided N(0, v), guided N(m, v_y), from N(0, 1) ---- */

static bool gaussian_knows(const json_t *root)
{
    return json_object_get(root, "v_y") && json_object_get(root, "rows");
}

struct gaussian_pair {
    struct mixture any, with;
};

/* Two separate predictors, each asked for what it knows, as theory.md 3.9 S16. */
static enum status pair_solve(double x[2], const struct gaussian_pair *g, const struct path *path,
                              double w, struct error *err)
{
    static const int32_t labels[2] = {0, 0};
    struct mixture_oracle any = {.mixture = &g->any, .path = *path, .label = labels, .rows = 2};
    struct mixture_oracle with = {.mixture = &g->with, .path = *path, .label = labels, .rows = 2};
    struct predictor_pair pair = {.unguided = predictor_of_mixture(&any),
                                  .guided = predictor_of_mixture(&with)};
    struct guidance guidance;
    struct field field = {.path = *path, .guidance = &guidance};
    struct sampling_request request = {.steps = 400, .field = &field};
    double times[401], scales[2] = {w, w};
    struct grid grid;
    enum status st;

    if ((st = grid_init(&grid, "uniform", err)) || (st = grid_fill(times, &grid, 400, 0, 1, err)) ||
        (st = sampler_find(&request.sampler, "rk4", err)) ||
        (st = guidance_init(&guidance, predictor_of_pair(&pair), scales, NULL, err)))
        return st;
    request.times = times;
    choice_defaults(request.values, &request.sampler->is);
    st = sampling_run(x, &request, NULL, err);
    guidance_release(&guidance);
    return st;
}

/* The tilted density's score, (1 - w) s + w s(. | y) at t = 1, is linear: its zero is the mean, its
 * slope -1 over the variance. */
static enum status tilted_moments(double *mean, double *var, const struct gaussian_pair *g,
                                  const struct path *path, double w, struct error *err)
{
    struct path_coefs c = path_at(path, 1);
    struct mixture_value any, with;
    double s[2];
    enum status st;

    for (int i = 0; i < 2; i++) {
        double x = i;

        if ((st = mixture_at(&any, &g->any, &c, &x, MIXTURE_ANY, err)) ||
            (st = mixture_at(&with, &g->with, &c, &x, MIXTURE_ANY, err)))
            return st;
        guidance_combine(&s[i], any.s, with.s, w, 1);
    }
    *var = 1 / (s[0] - s[1]);
    *mean = s[0] * *var;
    return OK;
}

/* The guided SDE's drift is linear, A x + k, so its law stays Gaussian: M' = A M + k and
 * V' = 2 A V + sigma^2, here of a constant sigma.  One evaluation gives both slopes. */
static enum status moment_slopes(double out[2], const double in[2], const struct gaussian_pair *g,
                                 const struct path *path, double t, double w, double sigma,
                                 struct error *err)
{
    struct path_coefs c = path_at(path, t);
    double drift[2];
    enum status st;

    for (int i = 0; i < 2; i++) {
        struct mixture_value any, with;
        double x = i, u, s;

        if ((st = mixture_at(&any, &g->any, &c, &x, MIXTURE_ANY, err)) ||
            (st = mixture_at(&with, &g->with, &c, &x, MIXTURE_ANY, err)))
            return st;
        guidance_combine(&u, any.u, with.u, w, 1);
        guidance_combine(&s, any.s, with.s, w, 1);
        drift[i] = u + sigma * sigma / 2 * s;
    }
    out[0] = (drift[1] - drift[0]) * in[0] + drift[0];
    out[1] = 2 * (drift[1] - drift[0]) * in[1] + sigma * sigma;
    return OK;
}

static enum status sde_moments(double out[2], const struct gaussian_pair *g,
                               const struct path *path, double w, double sigma, struct error *err)
{
    enum { STEPS = 4000 };
    static const double ahead[] = {0, 0.5, 0.5, 1}, share[] = {1 / 6.0, 1 / 3.0, 1 / 3.0, 1 / 6.0};
    enum status st;

    out[0] = 0;
    out[1] = 1;
    for (int n = 0; n < STEPS; n++) {
        double h = 1.0 / STEPS, sum[2] = {0}, k[2] = {0};

        for (int i = 0; i < 4; i++) {
            double at[2] = {out[0] + ahead[i] * h * k[0], out[1] + ahead[i] * h * k[1]};

            if ((st = moment_slopes(k, at, g, path, fmin(1, (n + ahead[i]) * h), w, sigma, err)))
                return st;
            sum[0] += share[i] * k[0];
            sum[1] += share[i] * k[1];
        }
        out[0] += h * sum[0];
        out[1] += h * sum[1];
    }
    return OK;
}

struct gaussian_found {
    struct pairs ode, closed, tilted, sde;
};

static enum status gaussian_row(struct gaussian_found *p, const struct gaussian_pair *g,
                                const json_t *root, const json_t *row, struct error *err)
{
    double w, want[2], got[2], stirred[2], x[2] = {0, 1}, closed, sigma;
    struct path path;
    enum status st;
    json_t *sde;
    size_t i;

    if ((st = path_of_row(&path, root, row, err)) || (st = real_read(&w, row, "w", err)) ||
        (st = real_read(&want[0], row, "tilted_mean", err)) ||
        (st = real_read(&want[1], row, "tilted_var", err)) ||
        (st = real_read(&closed, row, "ode_var_closed", err)) ||
        (st = tilted_moments(&got[0], &got[1], g, &path, w, err)) ||
        (st = pairs_add(&p->tilted, got, want, 2, err)) || (st = pair_solve(x, g, &path, w, err)))
        return st;
    got[0] = x[0];
    got[1] = (x[1] - x[0]) * (x[1] - x[0]);
    if ((st = pairs_add(&p->closed, &got[1], &closed, 1, err)))
        return st;
    json_array_foreach(json_object_get(row, "sde"), i, sde)
    {
        if ((st = real_read(&sigma, sde, "sigma", err)) ||
            (st = real_read(&want[0], sde, "mean", err)) ||
            (st = real_read(&want[1], sde, "var", err)))
            return st;
        if (sigma == 0 && (st = pairs_add(&p->ode, got, want, 2, err)))
            return st;
        if (sigma != 0 && ((st = sde_moments(stirred, g, &path, w, sigma, err)) ||
                           (st = pairs_add(&p->sde, stirred, want, 2, err))))
            return st;
    }
    return OK;
}

static enum status gaussian_check(struct parity_report *r, struct parity_fixture *f,
                                  const struct parity_options *options, struct error *err)
{
    static const int32_t label;
    const json_t *root = fixture_part(f, "")->json;
    struct gaussian_pair g = {0};
    struct gaussian_found p = {0};
    double v, v_y, m, zero = 0, one = 1;
    enum status st;
    json_t *row;
    size_t i;

    (void)options;
    if ((st = real_read(&v, root, "v", err)) || (st = real_read(&v_y, root, "v_y", err)) ||
        (st = real_read(&m, root, "m", err)) ||
        (st = mixture_init(&g.any, 1, 1, &one, &zero, &v, &label, err)) ||
        (st = mixture_init(&g.with, 1, 1, &one, &m, &v_y, &label, err)))
        goto out;
    json_array_foreach(json_object_get(root, "rows"), i, row)
    {
        if (!st)
            st = gaussian_row(&p, &g, root, row, err);
    }
    pairs_compare(&p.ode, r, "guided flow: mean and variance", limit_rel(1e-6));
    pairs_compare(&p.closed, r, "guided flow: closed form", limit_rel(1e-6));
    pairs_compare(&p.tilted, r, "tilted density", limit_rel(1e-9));
    pairs_compare(&p.sde, r, "guided SDE: mean and variance", limit_rel(1e-6));
out:
    pairs_release(&p.ode);
    pairs_release(&p.closed);
    pairs_release(&p.tilted);
    pairs_release(&p.sde);
    mixture_release(&g.any);
    mixture_release(&g.with);
    return st;
}

const struct parity_checker parity_theory_gaussian = {
    .kind = "theory gaussian guidance",
    .parts = {""},
    .knows = gaussian_knows,
    .check = gaussian_check,
};

/* ---- A path that is not Gaussian ---- */

static bool general_knows(const json_t *root)
{
    return json_object_get(root, "base") && json_object_get(root, "points");
}

struct general_pairs {
    struct pairs u, log_p, posterior, guided, total;
};

static enum status general_class(struct general_pairs *p, const struct points *points, double t,
                                 double x, double u, double total[2], const json_t *record,
                                 struct error *err)
{
    double want_u, want_log_p, want_prob, u_y, log_p, prob, w, got, want;
    enum status st;
    json_t *guided;
    int32_t y;
    size_t i;

    if ((st = label_read(&y, record, "y", err)) || (st = real_read(&want_u, record, "u", err)) ||
        (st = real_read(&want_log_p, record, "log_p", err)) ||
        (st = real_read(&want_prob, record, "posterior", err)) ||
        (st = points_at(&log_p, &u_y, points, t, &x, y, err)) ||
        (st = points_posterior(&prob, points, t, &x, y, err)) ||
        (st = pairs_add(&p->u, &u_y, &want_u, 1, err)) ||
        (st = pairs_add(&p->log_p, &log_p, &want_log_p, 1, err)) ||
        (st = pairs_add(&p->posterior, &prob, &want_prob, 1, err)))
        return st;
    total[0] += prob * u_y;
    total[1] += prob;
    json_array_foreach(json_object_get(record, "guided"), i, guided)
    {
        if ((st = real_read(&w, guided, "w", err)) || (st = real_read(&want, guided, "u", err)))
            return st;
        guidance_combine(&got, &u, &u_y, w, 1);
        if ((st = pairs_add(&p->guided, &got, &want, 1, err)))
            return st;
    }
    return OK;
}

static enum status general_row(struct general_pairs *p, const struct points *points,
                               const json_t *row, struct error *err)
{
    double t, x, u, log_p, want_u, want_log_p, total[2] = {0}, wanted[2] = {0, 1};
    enum status st;
    json_t *record;
    size_t i;

    if ((st = real_read(&t, row, "t", err)) || (st = real_read(&x, row, "x", err)) ||
        (st = real_read(&want_u, row, "u", err)) ||
        (st = real_read(&want_log_p, row, "log_p", err)) ||
        (st = points_at(&log_p, &u, points, t, &x, POINTS_ANY, err)) ||
        (st = pairs_add(&p->u, &u, &want_u, 1, err)) ||
        (st = pairs_add(&p->log_p, &log_p, &want_log_p, 1, err)))
        return st;
    json_array_foreach(json_object_get(row, "by_class"), i, record)
    {
        if ((st = general_class(p, points, t, x, u, total, record, err)))
            return st;
    }
    wanted[0] = u;
    return pairs_add(&p->total, total, wanted, 2, err);
}

static enum status general_check(struct parity_report *r, struct parity_fixture *f,
                                 const struct parity_options *options, struct error *err)
{
    const json_t *root = fixture_part(f, "")->json, *row;
    const char *base = json_string_value(json_object_get(root, "base"));
    struct points points = {.dim = 1, .noise = points_logistic};
    double *z, *weight, *y;
    struct general_pairs p = {0};
    int32_t *label;
    enum status st;
    size_t i;

    (void)options;
    if (!base || strcmp(base, "standard logistic") != 0)
        return fail(err, E_FORMAT, "noise \"%s\" is not known", base ? base : "");
    if ((st = member_read(&z, &points.n, f, root, "points", -1, err)) ||
        (st = member_read(&weight, NULL, f, root, "weights", points.n, err)) ||
        (st = member_read(&y, NULL, f, root, "labels", points.n, err)) ||
        (st = fixture_new(f, (void **)&label, (uint64_t)points.n, sizeof(*label), err)))
        return st;
    for (int64_t k = 0; k < points.n; k++) {
        if (!(y[k] >= 0 && y[k] < INT32_MAX))
            return fail(err, E_FORMAT, "a label is %g", y[k]);
        label[k] = (int32_t)y[k];
    }
    points.z = z;
    points.weight = weight;
    points.label = label;
    json_array_foreach(json_object_get(root, "rows"), i, row)
    {
        if (!st)
            st = general_row(&p, &points, row, err);
    }
    pairs_compare(&p.u, r, "velocity", limit_rel(1e-10));
    pairs_compare(&p.log_p, r, "log p", limit_rel(1e-10));
    pairs_compare(&p.posterior, r, "p(y | x)", limit_rel(1e-10));
    pairs_compare(&p.guided, r, "guided velocity", limit_rel(1e-10));
    pairs_compare(&p.total, r, "law of total expectation", limit_rel(1e-10));
    pairs_release(&p.u);
    pairs_release(&p.log_p);
    pairs_release(&p.posterior);
    pairs_release(&p.guided);
    pairs_release(&p.total);
    return st;
}

const struct parity_checker parity_theory_general = {
    .kind = "theory general path",
    .parts = {""},
    .knows = general_knows,
    .check = general_check,
};
