/*
 * parity_flow.c - solvers on exact fields: end points of the flow ODE and results of fixed steps
 *
 * Two kinds of JSON file.  One holds end points to ten digits, reached here by many steps of RK4;
 * the other what given numbers of steps of given methods give, where solvers must agree to rounding
 * and show their order.  A method that no solver is called after is skipped, not failed.
 */
#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool has_runs_with(const json_t *root, const char *key)
{
    const json_t *run = json_array_get(json_object_get(root, "runs"), 0);

    return json_object_get(root, "mixture") && json_object_get(run, key);
}

/* What both kinds of run say: scheduler, interval, w, y. */
static enum status run_read(struct oracle_run *run, const json_t *root, const json_t *row,
                            struct error *err)
{
    enum status st;

    if ((st = path_of_row(&run->path, root, row, err)) ||
        (st = real_read(&run->t0, row, "t0", err)) || (st = real_read(&run->t1, row, "t1", err)) ||
        (st = real_read(&run->w, row, "w", err)))
        return st;
    if (!(run->t0 >= 0 && run->t0 < run->t1 && run->t1 <= 1))
        return fail(err, E_FORMAT, "a run from t = %g to %g", run->t0, run->t1);
    return label_read(&run->y, row, "y", err);
}

/* ---- End points ---- */

static bool ode_knows(const json_t *root)
{
    return has_runs_with(root, "log_p1");
}

/* log p_t(. | y) at the points of the file, against the file. */
static enum status density_add(struct pairs *p, struct parity_fixture *f, const struct mixture *m,
                               const struct oracle_run *run, double t, const double *x,
                               int64_t rows, const json_t *row, const char *key, struct error *err)
{
    struct path_coefs c = path_at(&run->path, t);
    struct mixture_value v;
    enum status st;
    double *want;

    if ((st = member_read(&want, NULL, f, row, key, rows, err)))
        return st;
    for (int64_t i = 0; i < rows && !st; i++)
        if (!(st = mixture_at(&v, m, &c, x + i * m->dim, run->y, err)))
            st = pairs_add(p, &v.log_p, &want[i], 1, err);
    return st;
}

static enum status ode_add(struct pairs *ends, struct pairs *densities, struct parity_fixture *f,
                           const struct mixture *m, const json_t *root, const json_t *row,
                           struct error *err)
{
    struct oracle_run run = {.mixture = m, .steps = 800};
    double *x0, *x1;
    enum status st;
    int64_t n;

    if ((st = run_read(&run, root, row, err)) || (st = sampler_find(&run.sampler, "rk4", err)) ||
        (st = member_read(&x0, &n, f, row, "x0", -1, err)) ||
        (st = member_read(&x1, NULL, f, row, "x1", n, err)))
        return st;
    if (n % m->dim)
        return fail(err, E_FORMAT, "%lld numbers are no points", (long long)n);
    if ((st = density_add(densities, f, m, &run, run.t0, x0, n / m->dim, row, "log_p0", err)) ||
        (st = density_add(densities, f, m, &run, run.t1, x1, n / m->dim, row, "log_p1", err)) ||
        (st = oracle_solve(x0, n / m->dim, &run, err)))
        return st;
    return pairs_add(ends, x0, x1, n, err);
}

static enum status ode_check(struct parity_report *r, struct parity_fixture *f,
                             const struct parity_options *options, struct error *err)
{
    const json_t *root = fixture_part(f, "")->json;
    struct pairs ends = {0}, densities = {0};
    struct mixture m;
    enum status st = mixture_read(&m, f, json_object_get(root, "mixture"), err);
    const char *name;
    json_t *unused, *row;
    size_t i;

    (void)options;
    json_object_foreach(json_object_get(root, "schedulers"), name, unused)
    {
        struct path path = {0};

        report_group(r, name);
        if (!st)
            st = path_read(&path, name, unused, err);
        json_array_foreach(json_object_get(root, "runs"), i, row)
        {
            const char *whose = json_string_value(json_object_get(row, "scheduler"));

            if (!st && whose && strcmp(whose, name) == 0)
                st = ode_add(&ends, &densities, f, &m, root, row, err);
        }
        if (st)
            break;
        /* 800 equal steps resolve the end of a variance exploding path less well. */
        pairs_compare(&ends, r, "end points (rk4)",
                      limit_rel(path.kind->variance_exploding ? 1e-6 : 1e-8));
        pairs_compare(&densities, r, "log p at both ends", limit_rel(1e-8));
    }
    pairs_release(&ends);
    pairs_release(&densities);
    mixture_release(&m);
    return st;
}

const struct parity_checker parity_theory_ode = {
    .kind = "theory ode",
    .parts = {""},
    .knows = ode_knows,
    .check = ode_check,
};

/* ---- Fixed steps ---- */

static bool steps_knows(const json_t *root)
{
    return has_runs_with(root, "method");
}

/* Distance over all numbers of a run, for the order: a single number may pass near zero error. */
static double distance(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

/* The order seen between the two finest runs, where one has twice the steps of the other and
 * rounding is still far. */
struct order {
    int n[2];
    double error[2];
};

static void order_note(struct order *o, int n, double error)
{
    o->n[0] = o->n[1];
    o->error[0] = o->error[1];
    o->n[1] = n;
    o->error[1] = error;
}

static void order_claim(const struct order *o, struct parity_report *r, const struct sampler *s)
{
    double seen = log2(o->error[0] / o->error[1]);

    if (o->n[0] <= 0 || o->n[1] != 2 * o->n[0] || !(o->error[1] > 1e-10))
        return;
    parity_claim(r, "order", fabs(seen - s->order) <= 0.25,
                 "order %.2f of %s seen from %d to %d steps", seen, s->is.name, o->n[0], o->n[1]);
}

static enum status steps_add(struct pairs *p, struct parity_report *r, struct parity_fixture *f,
                             struct oracle_run *run, const json_t *row, struct error *err)
{
    double *x0, *reference, *want, *x, steps;
    int64_t n, dim = run->mixture->dim;
    struct order order = {{0}, {0}};
    enum status st;
    json_t *result;
    size_t i;

    if ((st = member_read(&x0, &n, f, row, "x0", -1, err)) ||
        (st = member_read(&reference, NULL, f, row, "reference", n, err)) ||
        (st = fixture_new(f, (void **)&x, (uint64_t)n, sizeof(*x), err)))
        return st;
    if (n % dim)
        return fail(err, E_FORMAT, "%lld numbers are no points", (long long)n);
    json_array_foreach(json_object_get(row, "results"), i, result)
    {
        if ((st = real_read(&steps, result, "n", err)) ||
            (st = member_read(&want, NULL, f, result, "x1", n, err)))
            return st;
        if (!(steps >= 1 && steps <= STEPS_MAX))
            return fail(err, E_FORMAT, "%g steps", steps);
        run->steps = (int)steps;
        memcpy(x, x0, (size_t)n * sizeof(*x));
        if ((st = oracle_solve(x, n / dim, run, err)) || (st = pairs_add(p, x, want, n, err)))
            return st;
        order_note(&order, run->steps, distance(x, reference, n));
    }
    order_claim(&order, r, run->sampler);
    return OK;
}

static const char *method_of(const json_t *row)
{
    const char *method = json_string_value(json_object_get(row, "method"));

    return method ? method : "";
}

/* Say once of each method that has no solver that its runs are not compared. */
static void skip_methods(struct parity_report *r, const json_t *runs)
{
    const json_t *row;
    size_t i, j;

    json_array_foreach((json_t *)runs, i, row)
    {
        const struct sampler *unused;
        struct error unknown = {0};

        for (j = 0; strcmp(method_of(json_array_get(runs, j)), method_of(row)) != 0; j++)
            ;
        if (j == i && sampler_find(&unused, method_of(row), &unknown))
            parity_skip(r, method_of(row), "%s", unknown.text);
    }
}

static enum status steps_check(struct parity_report *r, struct parity_fixture *f,
                               const struct parity_options *options, struct error *err)
{
    const json_t *root = fixture_part(f, "")->json, *runs = json_object_get(root, "runs"), *row;
    struct pairs p = {0};
    struct mixture m;
    enum status st = mixture_read(&m, f, json_object_get(root, "mixture"), err);
    size_t i;

    (void)options;
    skip_methods(r, runs);
    json_array_foreach((json_t *)runs, i, row)
    {
        struct oracle_run run = {.mixture = &m};
        char name[96];

        if (st || (st = run_read(&run, root, row, err)))
            break;
        if (sampler_find(&run.sampler, method_of(row), NULL))
            continue;
        report_group(r, run.path.kind->is.name);
        st = steps_add(&p, r, f, &run, row, err);
        snprintf(name, sizeof(name), "%s, w = %g, t = %g .. %g", run.sampler->is.name, run.w,
                 run.t0, run.t1);
        pairs_compare(&p, r, name, limit_rel(1e-9));
    }
    pairs_release(&p);
    mixture_release(&m);
    return st;
}

const struct parity_checker parity_theory_steps = {
    .kind = "theory steps",
    .parts = {""},
    .knows = steps_knows,
    .check = steps_check,
};
