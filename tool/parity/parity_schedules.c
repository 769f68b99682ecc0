/*
 * parity_schedules.c - time grids, noise levels and discrete schedules against published numbers
 */
#include "oracle.h"

#include "diffusion/precondition.h"
#include "diffusion/weighting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct parity_limit limit = {.absolute = 1e-9};

static enum status shift_check(struct parity_report *r, struct parity_fixture *f,
                               const json_t *shift, struct error *err)
{
    double *s, *t, *want, got[STEPS_MAX + 1];
    int64_t n_s, n_t;
    struct grid grid;
    enum status st;

    if ((st = member_read(&s, &n_s, f, shift, "s", -1, err)) ||
        (st = member_read(&t, &n_t, f, shift, "t", -1, err)) ||
        (st = member_read(&want, NULL, f, shift, "out", n_s * n_t, err)) ||
        (st = grid_init(&grid, "shift", err)))
        return st;
    for (int64_t i = 0; i < n_t; i++)
        if (fabs(t[i] * (double)(n_t - 1) - (double)i) > 1e-12) {
            parity_skip(r, "shift", "the times are not those of a grid");
            return OK;
        }
    for (int64_t i = 0; i < n_s; i++) {
        if ((st = grid_set(&grid, "shift", s[i], err)) ||
            (st = grid_fill(got, &grid, (int)n_t - 1, 0, 1, err)))
            return st;
        parity_compare_f64(r, "shifted grid", got, want + i * n_t, n_t, limit);
    }
    return OK;
}

/* The noise levels of Karras et al. are the path ve_karras at equal times, then 0. */
static enum status karras_check(struct parity_report *r, struct parity_fixture *f,
                                const json_t *karras, struct error *err)
{
    struct path path;
    const char *count;
    json_t *levels;
    enum status st;

    if ((st = path_init(&path, "ve_karras", err)))
        return st;
    json_object_foreach((json_t *)karras, count, levels)
    {
        double *want, *got;
        int64_t n;

        if ((st = numbers_read(&want, &n, f, levels, -1, "karras_rho7", err)) ||
            (st = fixture_new(f, (void **)&got, (uint64_t)n, sizeof(*got), err)))
            return st;
        for (int64_t i = 0; i + 1 < n; i++)
            got[i] = path_at(&path, n > 2 ? (double)i / (double)(n - 2) : 0).beta;
        parity_compare_f64(r, "noise levels of ve_karras", got, want, n, limit);
    }
    return OK;
}

/* The cosine grid of N steps. */
static enum status cosine_check(struct parity_report *r, struct parity_fixture *f,
                                const json_t *part, struct error *err)
{
    double n, *want, got[STEPS_MAX + 1];
    struct grid grid;
    enum status st;

    if ((st = real_read(&n, part, "N", err)) || (st = grid_init(&grid, "cosine", err)) ||
        (st = grid_fill(got, &grid, (int)n, 0, 1, err)) ||
        (st = member_read(&want, NULL, f, part, "out", (int64_t)n + 1, err)))
        return st;
    parity_compare_f64(r, "cosine grid", got, want, (int64_t)n + 1, limit);
    return OK;
}

/* N levels and none, read back from the times of the grid. */
static enum status exponential_check(struct parity_report *r, struct parity_fixture *f,
                                     const json_t *part, struct error *err)
{
    double n, lo, hi, *want, t[STEPS_MAX + 1], got[STEPS_MAX + 1];
    struct path path;
    struct grid grid;
    enum status st;
    int64_t count;

    if ((st = real_read(&n, part, "n", err)) || (st = real_read(&lo, part, "sigma_min", err)) ||
        (st = real_read(&hi, part, "sigma_max", err)) || (st = path_init(&path, "condot", err)) ||
        (st = grid_init(&grid, "exponential", err)) ||
        (st = grid_set(&grid, "sigma_min", lo, err)) ||
        (st = grid_set(&grid, "sigma_max", hi, err)) ||
        (st = grid_fill(t, &grid, (int)n, 0, 1, err)) ||
        (st = member_read(&want, &count, f, part, "out", -1, err)))
        return st;
    for (int64_t i = 1; i < count && i <= (int64_t)n; i++)
        got[i] = path_at(&path, t[i]).beta / path_at(&path, t[i]).alpha;
    parity_compare_f64(r, "exponential noise levels", got + 1, want + 1, count - 1, limit);
    return OK;
}

static enum status sigma_check(struct parity_report *r, struct parity_fixture *f,
                               const json_t *part, struct error *err)
{
    double *sigma, *want, *got;
    struct path path;
    enum status st;
    int64_t n;

    if ((st = member_read(&sigma, &n, f, part, "sigma", -1, err)) ||
        (st = member_read(&want, NULL, f, part, "t", n, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)n, sizeof(*got), err)) ||
        (st = path_init(&path, "condot", err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        got[i] = path_time_of_noise(&path, sigma[i]);
    parity_compare_f64(r, "times of noise levels", got, want, n, limit);
    return OK;
}

/* alpha, beta, sigma of some indices k, at t = 1 - (k + 1) / 1000. */
static enum status discrete_check(struct parity_report *r, struct parity_fixture *f,
                                  const json_t *part, const char *name, struct error *err)
{
    static const char *const keys[3] = {"alpha", "beta", "sigma"};
    double *index, *want, *got;
    struct path path;
    enum status st;
    int64_t n;

    if ((st = path_init(&path, name, err)) ||
        (st = member_read(&index, &n, f, part, "index", -1, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)(3 * n), sizeof(*got), err)))
        return st;
    for (int64_t i = 0; i < n; i++) {
        struct path_coefs c = path_at(&path, 1 - (index[i] + 1) / 1000);

        got[i] = c.alpha;
        got[n + i] = c.beta;
        got[2 * n + i] = c.beta / c.alpha;
    }
    for (int k = 0; k < 3; k++) {
        if ((st = member_read(&want, NULL, f, part, keys[k], n, err)))
            return st;
        parity_compare_f64(r, name, got + k * n, want, n, limit_rel(1e-9));
    }
    return OK;
}

/* ---- One step of DDPM ---- */

struct one_step {
    const double *eps, *noise;
    int64_t n;
};

static enum status told_noise(void *self, double *out, const double *x, double t, unsigned branches,
                              struct error *err)
{
    const struct one_step *s = self;

    (void)x, (void)t, (void)branches, (void)err;
    memcpy(out, s->eps, (size_t)s->n * sizeof(*out));
    return OK;
}

static void fresh_noise(void *self, double *out, int64_t step)
{
    const struct one_step *s = self;

    (void)step;
    if (s->noise)
        memcpy(out, s->noise, (size_t)s->n * sizeof(*out));
    else
        memset(out, 0, (size_t)s->n * sizeof(*out));
}

/* From index k to k - 1; with no fresh noise what is left is the posterior's mean. */
static enum status ddpm_run(double *x, struct one_step *s, double index, struct error *err)
{
    const double times[] = {1 - (index + 1) / 1000, 1 - index / 1000}, one = 1;
    struct guidance g;
    struct field field = {.predicts = PREDICT_NOISE, .guidance = &g};
    struct sampling_request r = {
        .times = times, .steps = 1, .field = &field, .draw = fresh_noise, .draw_self = s};
    enum status st;

    if ((st = path_init(&field.path, "ddpm_linear", err)) ||
        (st = sampler_find(&r.sampler, "ddpm", err)) ||
        (st = guidance_init(&g, (struct predictor){told_noise, s, 1, s->n}, &one, NULL, err)))
        return st;
    choice_defaults(r.values, &r.sampler->is);
    st = sampling_run(x, &r, NULL, err);
    guidance_release(&g);
    return st;
}

static enum status ddpm_step_check(struct parity_report *r, struct parity_fixture *f,
                                   const json_t *part, struct error *err)
{
    static const char *const keys[2] = {"posterior_mean", "next_small"};
    double *x, *eps, *z, *want, *got, index;
    enum status st;
    int64_t n;

    if ((st = real_read(&index, part, "index", err)) ||
        (st = member_read(&x, &n, f, part, "x_t", -1, err)) ||
        (st = member_read(&eps, NULL, f, part, "eps", n, err)) ||
        (st = member_read(&z, NULL, f, part, "z", n, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)n, sizeof(*got), err)))
        return st;
    for (int k = 0; k < 2; k++) {
        struct one_step s = {eps, k ? z : NULL, n};

        memcpy(got, x, (size_t)n * sizeof(*got));
        if ((st = member_read(&want, NULL, f, part, keys[k], n, err)) ||
            (st = ddpm_run(got, &s, index, err)))
            return st;
        parity_compare_f64(r, keys[k], got, want, n, limit);
    }
    return OK;
}

/* ---- The wrapper ---- */

/* c_skip, c_out, c_in, c_noise and the loss weight of some noise levels, on the path alpha = 1. */
static enum status precondition_numbers(struct parity_report *r, struct parity_fixture *f,
                                        const json_t *part, struct error *err)
{
    static const char *const keys[] = {"c_skip", "c_out", "c_in", "c_noise", "weight"};
    enum { KEYS = sizeof keys / sizeof *keys };
    struct precondition wrap = {.kind = precondition_kind_at(1)};
    struct weighting weight;
    double *sigma, *want, *got, data_std;
    struct path path;
    int64_t n;
    enum status st;

    if ((st = real_read(&data_std, part, "sigma_data", err)) ||
        (st = member_read(&sigma, &n, f, part, "sigma", -1, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)(KEYS * n), sizeof *got, err)) ||
        (st = path_init(&path, "ve_karras", err)) || (st = weighting_init(&weight, "edm", err)) ||
        (st = weighting_set(&weight, "data_std", data_std, err)))
        return st;
    wrap.values[0] = data_std;
    for (int64_t i = 0; i < n; i++) {
        struct path_coefs c = {.alpha = 1, .beta = sigma[i], .half_log_snr = -log(sigma[i])};
        struct reading at = precondition_at(&wrap, &path, &c);
        const double mine[] = {at.skip, at.out, at.in, at.time, weighting_at(&weight, &c)};

        for (int k = 0; k < KEYS; k++)
            got[k * n + i] = mine[k];
    }
    for (int k = 0; k < KEYS; k++) {
        if ((st = member_read(&want, NULL, f, part, keys[k], n, err)))
            return st;
        parity_compare_f64(r, keys[k], got + k * n, want, n,
                           (struct parity_limit){.of_each = 1e-12, .absolute = 1e-15});
    }
    return OK;
}

/* ---- The file ---- */

static enum status discrete_linear(struct parity_report *r, struct parity_fixture *f,
                                   const json_t *part, struct error *err)
{
    return discrete_check(r, f, part, "ddpm_linear", err);
}

static enum status discrete_scaled(struct parity_report *r, struct parity_fixture *f,
                                   const json_t *part, struct error *err)
{
    return discrete_check(r, f, part, "ddpm_scaled", err);
}

static enum status schedules_check(struct parity_report *r, struct parity_fixture *f,
                                   const struct parity_options *options, struct error *err)
{
    static const struct {
        const char *key;
        enum status (*check)(struct parity_report *r, struct parity_fixture *f, const json_t *part,
                             struct error *err);
    } parts[] = {{"shift", shift_check},
                 {"karras_rho7", karras_check},
                 {"cosine_grid", cosine_check},
                 {"exponential_sigma", exponential_check},
                 {"sigma_to_linear_t", sigma_check},
                 {"ddpm_linear_1e-4_0.02", discrete_linear},
                 {"ddpm_sd_scaled_linear", discrete_scaled},
                 {"ddpm_step", ddpm_step_check},
                 {"edm_precond", precondition_numbers}};
    const json_t *root = fixture_part(f, "")->json;
    const char *key;
    json_t *part;
    enum status st;

    (void)options;
    json_object_foreach((json_t *)root, key, part)
    {
        size_t i = 0;

        while (i < sizeof parts / sizeof *parts && strcmp(parts[i].key, key))
            i++;
        if (i < sizeof parts / sizeof *parts) {
            if ((st = parts[i].check(r, f, part, err)))
                return st;
        } else if (json_is_object(part)) {
            parity_skip(r, key, "not in this version");
        }
    }
    return OK;
}

const struct parity_checker parity_schedules = {
    .kind = "schedules",
    .parts = {""},
    .check = schedules_check,
};
