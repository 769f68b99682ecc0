/*
 * parity_solvers.c - multistep and stochastic solvers on mixtures
 *
 * The second half of the files of kind sampler_mixture.  Methods are looked up by the names the
 * files use, noise is what the file gives, and runs whose time is a noise level (alpha = 1) are
 * made on condot at the same noise levels: all Gaussian paths are one path up to a scale, so this
 * also tests that the solvers know it.
 */
#include "solver_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct parity_limit limit = {.absolute = 1e-9};
/* From t = 0.001 the reversal is so strong that its first step magnifies what rounding left. */
static const struct parity_limit limit_sde = {.absolute = 1e-8};

/* A solver and up to four of its numbers. */
struct method {
    const char *name;
    const struct sampler *sampler;
    double values[CHOICE_VALUES];
};

static enum status method_find(struct method *m, const char *name, struct error *err)
{
    enum status st;

    m->name = name;
    if (!(st = sampler_find(&m->sampler, name, err)))
        choice_defaults(m->values, &m->sampler->is);
    return st;
}

static enum status method_set(struct method *m, const char *key, double value, struct error *err)
{
    return choice_set(m->values, &m->sampler->is, key, value, err);
}

/* One run, its end kept as a pair with the file's. */
static enum status run_pair(struct sampler_case *s, struct pairs *p, const struct method *m,
                            struct oracle_run run, const json_t *want, struct error *err)
{
    int64_t n = s->rows * s->m.dim;
    double *got, *end;
    enum status st;

    run.sampler = m->sampler;
    run.options = m->values;
    if ((st = numbers_read(&end, NULL, s->f, want, n, m->name, err)) ||
        (st = case_solve(&got, s, &run, err)))
        return st;
    return pairs_add(p, got, end, n, err);
}

/* All numbers of steps of one method: {"5": [...], "10": [...]}. */
static enum status run_counts(struct sampler_case *s, const struct method *m, const json_t *counts,
                              enum status (*times)(double *t, int steps, const struct path *path,
                                                   const double *ends, struct error *err),
                              const double *ends, struct error *err)
{
    struct pairs p = {0};
    const char *steps;
    json_t *want;
    enum status st = OK;

    json_object_foreach((json_t *)counts, steps, want)
    {
        struct oracle_run run = {.steps = (int)strtol(steps, NULL, 10)};
        double t[STEPS_MAX + 1];

        if (st || run.steps < 1 || run.steps > STEPS_MAX)
            break;
        run.times = t;
        if (!(st = times(t, run.steps, &s->path, ends, err)))
            st = run_pair(s, &p, m, run, want, err);
    }
    pairs_compare(&p, s->r, m->name, limit);
    pairs_release(&p);
    return st;
}

static enum status times_uniform(double *t, int steps, const struct path *path, const double *ends,
                                 struct error *err)
{
    (void)path, (void)err;
    for (int i = 0; i <= steps; i++)
        t[i] = ends[0] + (ends[1] - ends[0]) * i / steps;
    return OK;
}

/* Uniform in log(alpha / beta). */
static enum status times_log_snr(double *t, int steps, const struct path *path, const double *ends,
                                 struct error *err)
{
    double a = path_at(path, ends[0]).half_log_snr, b = path_at(path, ends[1]).half_log_snr;

    (void)err;
    for (int i = 0; i <= steps; i++)
        t[i] = path_time_of_noise(path, exp(-(a + (b - a) * i / steps)));
    t[0] = ends[0];
    t[steps] = ends[1];
    return OK;
}

static enum status multistep_dpmpp(struct sampler_case *s, const json_t *orders, struct error *err)
{
    static const char *const names[] = {"ddim", "dpmpp_2m", "dpmpp_3m"};
    static const double whole[] = {0, 1};
    const char *order;
    json_t *counts;
    enum status st;

    json_object_foreach((json_t *)orders, order, counts)
    {
        long i = strtol(order, NULL, 10);
        struct method m;

        if (i < 1 || i > 3)
            parity_skip(s->r, "dpmpp", "order %s", order);
        else if ((st = method_find(&m, names[i - 1], err)) ||
                 (st = run_counts(s, &m, counts, times_uniform, whole, err)))
            return st;
    }
    return OK;
}

/* The name a file uses, and what it is here. */
static enum status method_of_file(struct method *m, const char *name, struct error *err)
{
    static const struct {
        const char *file, *here, *key;
        double value;
    } table[] = {
        {"dpmpp1", "ddim", NULL, 0},         {"dpmpp2", "dpmpp_2m", "lower", 0},
        {"dpmpp3", "dpmpp_3m", "lower", 0},  {"unipc2", "unipc", "order", 2},
        {"unipc3", "unipc", "order", 3},     {"ddim", "ddim", NULL, 0},
        {"dpmpp2m", "dpmpp_2m", "lower", 0}, {"dpmpp3m", "dpmpp_3m", "lower", 0},
        {"euler", "ddim", NULL, 0},          {"heun", "edm", NULL, 0},
    };
    enum status st;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].file, name))
            continue;
        if ((st = method_find(m, table[i].here, err)) ||
            (table[i].key && (st = method_set(m, table[i].key, table[i].value, err))))
            return st;
        m->name = name;
        return OK;
    }
    return fail(err, E_UNSUPPORTED, "no solver goes by that name here");
}

static enum status multistep_interior(struct sampler_case *s, const json_t *interior,
                                      struct error *err)
{
    struct error unknown;
    double ends[2];
    const char *name;
    json_t *counts;
    enum status st;

    if ((st = real_read(&ends[0], interior, "t_from", err)) ||
        (st = real_read(&ends[1], interior, "t_to", err)))
        return st;
    json_object_foreach(json_object_get(interior, "results"), name, counts)
    {
        struct method m;

        if (method_of_file(&m, name, &unknown))
            parity_skip(s->r, name, "%s", unknown.text);
        else if ((st = run_counts(s, &m, counts, times_log_snr, ends, err)))
            return st;
    }
    return OK;
}

static enum status multistep_unipc(struct sampler_case *s, const json_t *orders, struct error *err)
{
    static const double ends[] = {0.02, 1};
    const char *order;
    json_t *counts;
    enum status st;

    json_object_foreach((json_t *)orders, order, counts)
    {
        struct method m;

        if ((st = method_find(&m, "unipc", err)) ||
            (st = method_set(&m, "order", strtod(order, NULL), err)) ||
            (st = run_counts(s, &m, counts, times_uniform, ends, err)))
            return st;
    }
    return OK;
}

enum status case_multistep(struct sampler_case *s, const json_t *path, struct error *err)
{
    const json_t *dpmpp = json_object_get(path, "dpmpp");
    const json_t *interior = json_object_get(path, "interior");
    const json_t *unipc = json_object_get(path, "unipc_full");
    enum status st;

    if ((dpmpp && (st = multistep_dpmpp(s, dpmpp, err))) ||
        (interior && (st = multistep_interior(s, interior, err))) ||
        (unipc && (st = multistep_unipc(s, unipc, err))))
        return st;
    return OK;
}

/* ---- Noise ---- */

/* "form", "norm", "stepper", "last" of one run. */
static enum status sde_method(struct method *m, struct diffusion *d, const json_t *row,
                              struct error *err)
{
    const char *form = json_string_value(json_object_get(row, "form"));
    const char *stepper = json_string_value(json_object_get(row, "stepper"));
    const char *last = json_string_value(json_object_get(row, "last"));
    enum status st;

    if (!form || !stepper || !last)
        return fail(err, E_FORMAT, "a run of the SDE without form, stepper or last step");
    if ((st = real_read(&d->scale, row, "norm", err)) ||
        (st = diffusion_find(&d->kind, form, err)) || (st = last_step_find(&d->last, last, err)))
        return st;
    return method_find(m, strcmp(stepper, "heun") ? "euler_maruyama" : "stochastic_heun", err);
}

static enum status stochastic_sde(struct sampler_case *s, const json_t *sde, struct error *err)
{
    const json_t *noise = json_object_get(sde, "noise");
    double *xi, t[STEPS_MAX + 1], n, size, t0;
    struct pairs p = {0};
    json_t *row;
    enum status st;
    size_t i;

    if ((st = numbers_read(&xi, NULL, s->f, noise, -1, "noise", err)) ||
        (st = real_read(&n, sde, "n", err)))
        return st;
    if (!(n >= 2 && n <= STEPS_MAX && n <= (double)json_array_size(noise)))
        return fail(err, E_FORMAT, "an SDE of %g steps", n);
    json_array_foreach(json_object_get(sde, "runs"), i, row)
    {
        struct oracle_run run = {.steps = (int)n, .times = t, .noise = xi, .draws = (int64_t)n};
        struct method m;

        if ((st = sde_method(&m, &run.diffusion, row, err)) ||
            (st = real_read(&t0, row, "t0", err)) || (st = real_read(&size, row, "last_size", err)))
            break;
        for (int k = 0; k < run.steps; k++)
            t[k] = t0 + (1 - size - t0) * k / (run.steps - 1);
        t[run.steps] = 1;
        if ((st = run_pair(s, &p, &m, run, json_object_get(row, "end"), err)))
            break;
        pairs_compare(&p, s->r, m.sampler->is.name, limit_sde);
    }
    pairs_release(&p);
    return st;
}

/* Runs of a stochastic solver on a grid of the file, noise[i] in step i. */
static enum status stochastic_runs(struct sampler_case *s, const json_t *runs, const char *name,
                                   const char *key, const json_t *noise, struct error *err)
{
    struct pairs p = {0};
    double *xi, *grid, eta;
    json_t *row;
    enum status st;
    int64_t n;
    size_t i;

    if ((st = numbers_read(&xi, NULL, s->f, noise, -1, "noise", err)))
        return st;
    json_array_foreach((json_t *)runs, i, row)
    {
        const char *variant = json_string_value(json_object_get(row, "variant"));
        struct oracle_run run = {.noise = xi, .draws = (int64_t)json_array_size(noise)};
        struct method m;

        if ((st = method_find(&m, name, err)) || (st = real_read(&eta, row, "eta", err)) ||
            (st = method_set(&m, key, eta, err)) ||
            (variant && ((st = method_set(&m, "heun", !strcmp(variant, "heun"), err)) ||
                         (st = method_set(&m, "lower", 0, err)))) ||
            (st = member_read(&grid, &n, s->f, row, "grid", -1, err)))
            break;
        run.times = grid;
        run.steps = (int)n - 1;
        if ((st = run_pair(s, &p, &m, run, json_object_get(row, "end"), err)))
            break;
    }
    pairs_compare(&p, s->r, name, limit);
    pairs_release(&p);
    return st;
}

enum status case_stochastic(struct sampler_case *s, const json_t *path, struct error *err)
{
    const json_t *sde = json_object_get(path, "sde"), *ddim = json_object_get(path, "ddim");
    const json_t *noise = json_object_get(sde, "noise"), *m2 = json_object_get(path, "dpmpp2_sde");
    enum status st;

    if ((sde && (st = stochastic_sde(s, sde, err))) ||
        (ddim && (st = stochastic_runs(s, ddim, "ddim", "zeta", noise, err))) ||
        (m2 && (st = stochastic_runs(s, m2, "dpmpp_2m_sde", "eta", noise, err))))
        return st;
    return OK;
}

/* ---- Time as a noise level ---- */

static enum status churn_settings(struct method *m, const json_t *space, struct error *err)
{
    static const char *const keys[][2] = {
        {"S_churn", "churn"}, {"S_min", "churn_min"}, {"S_max", "churn_max"}, {"S_noise", "noise"}};
    const json_t *settings = json_object_get(space, "churn_settings");
    enum status st;
    double value;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if ((st = real_read(&value, settings, keys[i][0], err)) ||
            (st = method_set(m, keys[i][1], value, err)))
            return st;
    return OK;
}

static enum status level_method(struct method *m, const char *name, const json_t *space,
                                struct error *err)
{
    enum status st;

    if (!strncmp(name, "ancestral_eta", 13)) {
        if ((st = method_find(m, "euler_ancestral", err)))
            return st;
        st = method_set(m, "zeta", strtod(name + 13, NULL), err);
    } else if (!strncmp(name, "dpmpp2m_sde_", 12)) {
        if ((st = method_find(m, "dpmpp_2m_sde", err)) || (st = method_set(m, "lower", 0, err)))
            return st;
        st = method_set(m, "heun", !strcmp(name + 12, "heun"), err);
    } else if (!strcmp(name, "heun_churn")) {
        if ((st = method_find(m, "edm", err)))
            return st;
        st = churn_settings(m, space, err);
    } else {
        st = method_of_file(m, name, err);
    }
    m->name = name;
    return st;
}

/* x / alpha is what the file calls x: on condot, alpha = 1 / (1 + sigma). */
static enum status level_run(struct sampler_case *s, const struct method *m, struct oracle_run *run,
                             const double *sigma, const json_t *want, struct error *err)
{
    int64_t n = s->rows * s->m.dim;
    const double *start = s->start;
    struct pairs p = {0};
    double *scaled;
    enum status st;

    if ((st = fixture_new(s->f, (void **)&scaled, (uint64_t)n, sizeof *scaled, err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        scaled[i] = start[i] * sigma[0] / (1 + sigma[0]);
    s->start = scaled;
    st = run_pair(s, &p, m, *run, want, err);
    s->start = start;
    pairs_compare(&p, s->r, m->name, limit);
    pairs_release(&p);
    return st;
}

static enum status level_methods(struct sampler_case *s, const json_t *space, const json_t *one,
                                 struct oracle_run *run, struct error *err)
{
    double *sigma, t[STEPS_MAX + 1];
    struct error unknown;
    const char *name;
    json_t *want;
    enum status st;
    int64_t n;

    if ((st = member_read(&sigma, &n, s->f, one, "sigmas", -1, err)))
        return st;
    if (n < 2 || n > STEPS_MAX + 1)
        return fail(err, E_FORMAT, "%lld noise levels", (long long)n);
    for (int64_t i = 0; i < n; i++)
        t[i] = 1 / (1 + sigma[i]);
    run->times = t;
    run->steps = (int)n - 1;
    json_object_foreach((json_t *)one, name, want)
    {
        struct method m;

        if (!strcmp(name, "sigmas"))
            continue;
        if (level_method(&m, name, space, &unknown))
            parity_skip(s->r, name, "%s", unknown.text);
        else if ((st = level_run(s, &m, run, sigma, want, err)))
            return st;
    }
    return OK;
}

enum status case_noise_levels(struct sampler_case *s, const json_t *root, struct error *err)
{
    const json_t *space = json_object_get(root, "sigma_space");
    const json_t *noise = json_object_get(space, "noise");
    struct oracle_run run = {.draws = (int64_t)json_array_size(noise)};
    const char *count;
    double *xi;
    json_t *one;
    enum status st;

    if (!space)
        return OK;
    if ((st = path_init(&s->path, "condot", err)) ||
        (st = numbers_read(&xi, NULL, s->f, noise, -1, "noise", err)))
        return st;
    run.noise = xi;
    json_object_foreach(json_object_get(space, "runs"), count, one)
    {
        if ((st = level_methods(s, space, one, &run, err)))
            return st;
    }
    return OK;
}
