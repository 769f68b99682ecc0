/*
 * parity_samplers.c - solvers of the flow against published formulas on mixtures
 *
 * Files of kind sampler_mixture hold, for each path, field values ("probe"), the exact end points
 * of the flow ODE, the results of fixed-step methods and of dopri5 with its step counts; the rest
 * of such a file is parity_solvers.c's.  What this version has no code for is skipped by name.
 * Tolerance 1e-9 absolute, as the files state.
 */
#include "solver_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct parity_limit limit = {.absolute = 1e-9};

/* Skip, by name, the members of an object that nothing here reads. */
static void skip_others(struct parity_report *r, const json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        bool mine = false;

        for (int i = 0; known[i] && !mine; i++)
            mine = strcmp(known[i], key) == 0;
        if (!mine && (json_is_object(value) || json_is_array(value)))
            parity_skip(r, key, "not in this version");
    }
}

/* ---- sampler_mixture ---- */

static enum status probe_values(double *log_p, double *fields[KNOWN_PREDICTIONS],
                                const struct sampler_case *s, const double *x, int64_t points,
                                double t, struct error *err)
{
    struct path_coefs c = path_at(&s->path, t);
    struct mixture_value v;
    enum status st;
    int d = s->m.dim;

    for (int64_t i = 0; i < points; i++) {
        if ((st = mixture_at(&v, &s->m, &c, x + i * d, MIXTURE_ANY, err)))
            return st;
        log_p[i] = v.log_p;
        memcpy(fields[PREDICT_VELOCITY] + i * d, v.u, (size_t)d * sizeof(double));
        memcpy(fields[PREDICT_SCORE] + i * d, v.s, (size_t)d * sizeof(double));
        memcpy(fields[PREDICT_NOISE] + i * d, v.eps, (size_t)d * sizeof(double));
        memcpy(fields[PREDICT_DATA] + i * d, v.z, (size_t)d * sizeof(double));
    }
    return OK;
}

static enum status probe_check(struct sampler_case *s, const json_t *probe, struct error *err)
{
    static const char *const keys[KNOWN_PREDICTIONS] = {"velocity", "score", "noise", "denoiser"};
    double *x, *t, *ab, *got[KNOWN_PREDICTIONS], *want, *log_p;
    int64_t n, times;
    enum status st;

    if ((st = member_read(&x, &n, s->f, probe, "x", -1, err)) ||
        (st = member_read(&t, &times, s->f, probe, "t", -1, err)) ||
        (st = member_read(&ab, NULL, s->f, probe, "alpha_beta", 2 * times, err)) ||
        (st = fixture_new(s->f, (void **)&log_p, (uint64_t)(times * n), sizeof(double), err)))
        return st;
    for (int p = 0; p < KNOWN_PREDICTIONS; p++)
        if ((st = fixture_new(s->f, (void **)&got[p], (uint64_t)(times * n), sizeof(double), err)))
            return st;
    for (int64_t i = 0; i < times; i++) {
        double *here[KNOWN_PREDICTIONS], mine[2];
        int64_t points = n / s->m.dim;

        if (!(t[i] >= 0 && t[i] <= 1) || n % s->m.dim)
            return fail(err, E_FORMAT, "a probe of %lld numbers at t = %g", (long long)n, t[i]);
        for (int p = 0; p < KNOWN_PREDICTIONS; p++)
            here[p] = got[p] + i * n;
        mine[0] = path_at(&s->path, t[i]).alpha;
        mine[1] = path_at(&s->path, t[i]).beta;
        if (!parity_compare_f64(s->r, "probe alpha, beta", mine, ab + 2 * i, 2, limit))
            return OK;
        if ((st = probe_values(log_p + i * points, here, s, x, points, t[i], err)))
            return st;
    }
    for (int p = 0; p < KNOWN_PREDICTIONS; p++) {
        if ((st = member_read(&want, NULL, s->f, probe, keys[p], times * n, err)))
            return st;
        parity_compare_f64(s->r, keys[p], got[p], want, times * n, limit);
    }
    n = times * (n / s->m.dim);
    if ((st = member_read(&want, NULL, s->f, probe, "logp", n, err)))
        return st;
    parity_compare_f64(s->r, "log p", log_p, want, n, limit);
    return OK;
}

enum status case_solve(double **out, struct sampler_case *s, struct oracle_run *run,
                       struct error *err)
{
    int64_t n = s->rows * s->m.dim;
    enum status st;

    if ((st = fixture_new(s->f, (void **)out, (uint64_t)n, sizeof(**out), err)))
        return st;
    memcpy(*out, s->start, (size_t)n * sizeof(**out));
    run->mixture = &s->m;
    run->path = s->path;
    run->y = MIXTURE_ANY;
    return oracle_solve(*out, s->rows, run, err);
}

static enum status fixed_check(struct sampler_case *s, const json_t *methods, struct error *err)
{
    int64_t n = s->rows * s->m.dim;
    const char *method, *steps;
    json_t *results, *result;
    enum status st;

    json_object_foreach((json_t *)methods, method, results)
    {
        struct oracle_run run = {.t1 = 1};
        struct error unknown = {0};
        struct pairs p = {0};

        if (sampler_find(&run.sampler, method, &unknown)) {
            parity_skip(s->r, method, "%s", unknown.text);
            continue;
        }
        json_object_foreach(results, steps, result)
        {
            double *got, *want;

            run.steps = (int)strtol(steps, NULL, 10);
            if ((st = numbers_read(&want, NULL, s->f, result, n, method, err)) ||
                (st = case_solve(&got, s, &run, err)) || (st = pairs_add(&p, got, want, n, err))) {
                pairs_release(&p);
                return st;
            }
        }
        pairs_compare(&p, s->r, method, limit);
        pairs_release(&p);
    }
    return OK;
}

/* dopri5 to full accuracy against the file's end points. */
static enum status ends_check(struct sampler_case *s, const json_t *ends, struct error *err)
{
    static const double options[CHOICE_VALUES] = {1e-12, 1e-13, 0.01};
    struct oracle_run run = {.t1 = 1, .steps = 1, .options = options};
    int64_t n = s->rows * s->m.dim;
    double *got, *want;
    enum status st;

    if ((st = sampler_find(&run.sampler, "dopri5", err)) ||
        (st = numbers_read(&want, NULL, s->f, ends, n, "ode_end", err)) ||
        (st = case_solve(&got, s, &run, err)))
        return st;
    parity_compare_f64(s->r, "end points (dopri5)", got, want, n, limit);
    return OK;
}

static enum status dopri5_check(struct sampler_case *s, const json_t *row, struct error *err)
{
    struct oracle_run run = {.steps = 1};
    int64_t n = s->rows * s->m.dim;
    double rtol, atol, h0, counts[3], *got, *want, values[CHOICE_VALUES];
    enum status st;

    if ((st = sampler_find(&run.sampler, "dopri5", err)) ||
        (st = real_read(&rtol, row, "rtol", err)) || (st = real_read(&atol, row, "atol", err)) ||
        (st = real_read(&h0, row, "h0", err)) || (st = real_read(&run.t1, row, "t1", err)) ||
        (st = real_read(&counts[0], row, "accepted", err)) ||
        (st = real_read(&counts[1], row, "rejected", err)) ||
        (st = real_read(&counts[2], row, "evaluations", err)) ||
        (st = member_read(&want, NULL, s->f, row, "end", n, err)))
        return st;
    choice_defaults(values, &run.sampler->is);
    if ((st = choice_set(values, &run.sampler->is, "rtol", rtol, err)) ||
        (st = choice_set(values, &run.sampler->is, "atol", atol, err)) ||
        (st = choice_set(values, &run.sampler->is, "h0", h0, err)))
        return st;
    run.options = values;
    if ((st = case_solve(&got, s, &run, err)))
        return st;
    parity_compare_f64(s->r, "dopri5", got, want, n, limit);
    parity_claim(s->r, "dopri5 counts",
                 (double)run.report.accepted == counts[0] &&
                     (double)run.report.rejected == counts[1] &&
                     (double)run.report.evaluations == counts[2],
                 "%lld accepted, %lld rejected, %lld evaluations, not %g, %g, %g",
                 (long long)run.report.accepted, (long long)run.report.rejected,
                 (long long)run.report.evaluations, counts[0], counts[1], counts[2]);
    return OK;
}

/* On a 1-D mixture the flow is the monotone map between quantiles, known without any solver. */
static enum status quantile_check(struct sampler_case *s, const json_t *root, struct error *err)
{
    struct path_coefs c = path_at(&s->path, 1);
    const json_t *ends = json_object_get(root, "exact_end");
    double *x, *mine, *want;
    enum status st;

    if (!ends || s->m.dim != 1)
        return OK;
    if ((st = numbers_read(&x, NULL, s->f, ends, s->rows, "exact_end", err)) ||
        (st = fixture_new(s->f, (void **)&mine, (uint64_t)s->rows, sizeof(*mine), err)) ||
        (st = fixture_new(s->f, (void **)&want, (uint64_t)s->rows, sizeof(*want), err)))
        return st;
    for (int64_t i = 0; i < s->rows; i++) {
        mine[i] = mixture_cdf(&s->m, &c, x[i], MIXTURE_ANY);
        want[i] = 0.5 * erfc(-s->start[i] / sqrt(2.0));
    }
    parity_compare_f64(s->r, "quantiles", mine, want, s->rows, limit);
    return OK;
}

static enum status path_check(struct sampler_case *s, const json_t *root, const json_t *one,
                              struct error *err)
{
    static const char *const known[] = {
        "probe",      "ode_end", "fixed_step", "dopri5", "max_error_vs_ode_end", "interior",
        "unipc_full", "dpmpp",   "sde",        "ddim",   "dpmpp2_sde",           NULL};
    const json_t *runs = json_object_get(one, "dopri5"), *row;
    enum status st;
    size_t i;

    if ((st = probe_check(s, json_object_get(one, "probe"), err)) ||
        (st = ends_check(s, json_object_get(one, "ode_end"), err)) ||
        (st = fixed_check(s, json_object_get(one, "fixed_step"), err)) ||
        (st = quantile_check(s, root, err)))
        return st;
    json_array_foreach((json_t *)runs, i, row)
    {
        if ((st = dopri5_check(s, row, err)))
            return st;
    }
    if ((st = case_multistep(s, one, err)) || (st = case_stochastic(s, one, err)))
        return st;
    skip_others(s->r, one, known);
    return OK;
}

static enum status moments_check(struct sampler_case *s, const json_t *root, struct error *err)
{
    double mean[MIXTURE_DIM], cov[MIXTURE_DIM * MIXTURE_DIM], *want;
    struct path_coefs data = {.t = 1, .alpha = 1};
    int64_t d = s->m.dim;
    enum status st;

    if ((st = mixture_moments(mean, cov, &s->m, &data, MIXTURE_ANY, err)) ||
        (st = member_read(&want, NULL, s->f, root, "mean_t1", d, err)))
        return st;
    parity_compare_f64(s->r, "mean of the data", mean, want, d, limit);
    if ((st = member_read(&want, NULL, s->f, root, "cov_t1", d * d, err)))
        return st;
    parity_compare_f64(s->r, "covariance of the data", cov, want, d * d, limit);
    return OK;
}

static enum status mixture_check(struct parity_report *r, struct parity_fixture *f,
                                 const struct parity_options *options, struct error *err)
{
    static const char *const known[] = {"mixture",   "start",      "mean_t1",     "cov_t1", "paths",
                                        "exact_end", "density_t1", "sigma_space", NULL};
    const json_t *root = fixture_part(f, "")->json;
    struct sampler_case s = {.r = r, .f = f};
    const char *name;
    double *start;
    json_t *one;
    int64_t n;
    enum status st;

    (void)options;
    if ((st = mixture_read(&s.m, f, json_object_get(root, "mixture"), err)) ||
        (st = member_read(&start, &n, f, root, "start", -1, err)) ||
        (st = moments_check(&s, root, err)))
        goto out;
    s.start = start;
    s.rows = n / s.m.dim;
    json_object_foreach(json_object_get(root, "paths"), name, one)
    {
        report_group(r, name);
        if ((st = path_read(&s.path, name, NULL, err)) || (st = path_check(&s, root, one, err)))
            goto out;
    }
    report_group(r, "noise levels");
    if ((st = case_noise_levels(&s, root, err)))
        goto out;
    report_group(r, "");
    skip_others(r, root, known);
out:
    mixture_release(&s.m);
    return st;
}

const struct parity_checker parity_sampler_mixture = {
    .kind = "sampler_mixture",
    .parts = {""},
    .check = mixture_check,
};
