/*
 * parity_sde.c - the SDE of the theory: its law, its steps with given noise, its chain on Gaussians
 *
 * Euler and Maruyama's chain on Gaussian data stays Gaussian, and its mean and variance have exact
 * values that no sampling reaches.  They are read off the solver all the same: each step is affine
 * in the point and in its noise, so one run tells the mean (no noise), the slope (the start moved
 * by one) and the weight of each step's noise (a one in that step alone), all as rows of one batch.
 */
#include "base/memory.h"
#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool sde_knows(const json_t *root)
{
    return json_object_get(root, "moments") && json_object_get(root, "gaussian_em");
}

/* ---- The law of p_t, which every strength shares ---- */

static enum status moments_add(struct pairs *p, struct parity_fixture *f, const struct mixture *m,
                               const json_t *root, const json_t *row, struct error *err)
{
    double t, mean[MIXTURE_DIM], cov[MIXTURE_DIM * MIXTURE_DIM], *want;
    struct path path;
    struct path_coefs c;
    enum status st;
    int32_t y;

    if ((st = path_of_row(&path, root, row, err)) || (st = real_read(&t, row, "t", err)) ||
        (st = label_read(&y, row, "y", err)))
        return st;
    if (!(t >= 0 && t <= 1))
        return fail(err, E_FORMAT, "t = %g", t);
    c = path_at(&path, t);
    if ((st = mixture_moments(mean, cov, m, &c, y, err)) ||
        (st = member_read(&want, NULL, f, row, "mean", m->dim, err)) ||
        (st = pairs_add(p, mean, want, m->dim, err)) ||
        (st = member_read(&want, NULL, f, row, "cov", (int64_t)m->dim * m->dim, err)))
        return st;
    return pairs_add(p, cov, want, (int64_t)m->dim * m->dim, err);
}

/* ---- Steps with the file's noise ---- */

/* sigma_t = c, c beta_t, or that of the reversal; here w_t = sigma_t^2 / 2. */
static enum status strength_of(struct diffusion *d, const json_t *sigma, struct error *err)
{
    static const char *const names[][2] = {
        {"const", "constant"}, {"beta", "proportional"}, {"reverse", "reversal"}};
    const char *kind = json_string_value(json_object_get(sigma, "kind"));
    enum status st;

    *d = (struct diffusion){.last = LAST_NOISY};
    if ((st = real_read(&d->scale, sigma, "c", err)))
        return st;
    for (int i = 0; i < 3; i++)
        if (kind && !strcmp(kind, names[i][0])) {
            if (i == 0)
                d->scale *= d->scale / 2;
            return diffusion_find(&d->kind, names[i][1], err);
        }
    return fail(err, E_UNSUPPORTED, "sigma of kind '%s'", kind ? kind : "?");
}

static enum status path_add(struct pairs *p, struct parity_fixture *f, const struct mixture *m,
                            const json_t *root, const json_t *row, struct error *err)
{
    struct oracle_run run = {.mixture = m};
    double n, *x, *xi, *want, t[STEPS_MAX + 1];
    int64_t size;
    enum status st;

    if ((st = path_of_row(&run.path, root, row, err)) || (st = label_read(&run.y, row, "y", err)) ||
        (st = real_read(&run.w, row, "w", err)) || (st = real_read(&run.t0, row, "t0", err)) ||
        (st = real_read(&run.t1, row, "t1", err)) || (st = real_read(&n, row, "n", err)) ||
        (st = strength_of(&run.diffusion, json_object_get(row, "sigma"), err)) ||
        (st = sampler_find(&run.sampler, "euler_maruyama", err)) ||
        (st = member_read(&x, &size, f, row, "x0", -1, err)))
        return st;
    if (!(n >= 2 && n <= STEPS_MAX) || size % m->dim)
        return fail(err, E_FORMAT, "%g steps of %lld numbers", n, (long long)size);
    if ((st = member_read(&xi, NULL, f, row, "xi", (int64_t)n * size, err)))
        return st;
    for (int i = 0; i <= (int)n; i++)
        t[i] = i == (int)n ? run.t1 : run.t0 + (run.t1 - run.t0) * i / n;
    run.times = t;
    run.noise = xi;
    run.draws = (int64_t)n;
    for (int half = 0; half < 2; half++) { /* to the middle, and on from there */
        run.steps = half ? (int)n - (int)n / 2 : (int)n / 2;
        if ((st = member_read(&want, NULL, f, row, half ? "x1" : "x_half", size, err)) ||
            (st = oracle_solve(x, size / m->dim, &run, err)) ||
            (st = pairs_add(p, x, want, size, err)))
            return st;
        run.times += run.steps;
        run.noise += run.steps * size;
    }
    return OK;
}

/* ---- The chain on Gaussian data ---- */

static enum status chain_moments(double *mean, double *var, const struct oracle_run *of, int n,
                                 double start_mean, double start_var, struct error *err)
{
    struct oracle_run run = *of;
    int64_t rows = n + 2;
    double *x = NULL, *xi = NULL;
    enum status st;

    run.steps = n;
    run.draws = n;
    if ((st = mem_new((void **)&x, (uint64_t)rows, sizeof *x, "a chain", err)) ||
        (st = mem_new((void **)&xi, (uint64_t)(n * rows), sizeof *xi, "a chain's noise", err)))
        goto out;
    for (int64_t i = 0; i < rows; i++)
        x[i] = start_mean + (i == 1);
    for (int k = 0; k < n; k++)
        xi[k * rows + 2 + k] = 1;
    run.noise = xi;
    if ((st = oracle_solve(x, rows, &run, err)))
        goto out;
    *mean = x[0];
    *var = start_var * (x[1] - x[0]) * (x[1] - x[0]);
    for (int k = 0; k < n; k++)
        *var += (x[2 + k] - x[0]) * (x[2 + k] - x[0]);
out:
    free(x);
    free(xi);
    return st;
}

static enum status chain_add(struct pairs *p, const json_t *root, const json_t *row,
                             struct error *err)
{
    struct oracle_run run = {.y = MIXTURE_ANY};
    static const int32_t label;
    double of[7], one = 1, n, want[2], got[2];
    static const char *const keys[] = {"data_mean", "data_var",   "sigma",    "t0",
                                       "t1",        "start_mean", "start_var"};
    struct mixture m = {0};
    json_t *line;
    enum status st;
    size_t i;

    for (int k = 0; k < 7; k++)
        if ((st = real_read(&of[k], row, keys[k], err)))
            return st;
    if ((st = path_of_row(&run.path, root, row, err)) ||
        (st = sampler_find(&run.sampler, "euler_maruyama", err)) ||
        (st = diffusion_find(&run.diffusion.kind, "constant", err)) ||
        (st = mixture_init(&m, 1, 1, &one, &of[0], &of[1], &label, err)))
        goto out;
    run.mixture = &m;
    run.diffusion.scale = of[2] * of[2] / 2;
    run.diffusion.last = LAST_NOISY;
    run.t0 = of[3];
    run.t1 = of[4];
    json_array_foreach(json_object_get(row, "rows"), i, line)
    {
        if ((st = real_read(&n, line, "n", err)) || (st = real_read(&want[0], line, "mean", err)) ||
            (st = real_read(&want[1], line, "var", err)))
            break;
        if (!(n >= 1 && n <= STEPS_MAX)) {
            st = fail(err, E_FORMAT, "a chain of %g steps", n);
            break;
        }
        if ((st = chain_moments(&got[0], &got[1], &run, (int)n, of[5], of[6], err)) ||
            (st = pairs_add(p, got, want, 2, err)))
            break;
    }
out:
    mixture_release(&m);
    return st;
}

/* ---- The file ---- */

typedef enum status add_row(struct pairs *p, struct parity_fixture *f, const struct mixture *m,
                            const json_t *root, const json_t *row, struct error *err);

/* Each row of `list` names its mixture among those of the file. */
static enum status add_rows(struct pairs *p, struct parity_fixture *f, const char *list,
                            add_row *add, struct error *err)
{
    const json_t *root = fixture_part(f, "")->json, *row;
    const json_t *mixtures = json_object_get(root, "mixtures");
    enum status st = OK;
    size_t i;

    json_array_foreach(json_object_get(root, list), i, row)
    {
        const char *which = json_string_value(json_object_get(row, "mixture"));
        struct mixture m = {0};

        if (!(st = mixture_read(&m, f, json_object_get(mixtures, which ? which : ""), err)))
            st = add(p, f, &m, root, row, err);
        mixture_release(&m);
        if (st)
            break;
    }
    return st;
}

static enum status sde_check(struct parity_report *r, struct parity_fixture *f,
                             const struct parity_options *options, struct error *err)
{
    const json_t *root = fixture_part(f, "")->json, *row;
    struct pairs p = {0};
    enum status st;
    size_t i;

    (void)options;
    if ((st = add_rows(&p, f, "moments", moments_add, err)))
        goto out;
    pairs_compare(&p, r, "moments of p_t", limit_rel(1e-12));
    if ((st = add_rows(&p, f, "paths", path_add, err)))
        goto out;
    pairs_compare(&p, r, "steps with given noise", limit_rel(1e-9));
    json_array_foreach(json_object_get(root, "gaussian_em"), i, row)
    {
        if ((st = chain_add(&p, root, row, err)))
            goto out;
    }
    pairs_compare(&p, r, "chain on Gaussian data", limit_rel(1e-10));
out:
    pairs_release(&p);
    return st;
}

const struct parity_checker parity_theory_sde = {
    .kind = "theory sde",
    .parts = {""},
    .knows = sde_knows,
    .check = sde_check,
};
