/*
 * parity_sigmas.c - noise levels and training laws of the latent flow models (sigmas.json)
 *
 *     schedules   levels of N steps by two implementations, which agree to float32's rounding
 *     img2img     which level a picture made of another begins with, by the rule of each
 *     dynamic     levels shifted by the picture's size, in both forms
 *     densities   the maps from uniform numbers to levels, and their densities
 *
 * Levels are 1 - t of the library's grids.
 */
#include "oracle.h"

#include "diffusion/time.h"

#include <string.h>

static const struct parity_limit limit = {.absolute = 1e-6};

/* Levels of a grid of `steps` against an array that ends in 0. */
static enum status levels_compare(struct parity_report *r, struct parity_fixture *f,
                                  const char *name, const struct grid *grid, int64_t steps,
                                  const json_t *row, const char *key, struct error *err)
{
    double *want, t[STEPS_MAX + 1];
    enum status st;

    if ((st = grid_fill(t, grid, (int)steps, 0, 1, err)) ||
        (st = member_read(&want, NULL, f, row, key, steps + 1, err)))
        return st;
    for (int64_t i = 0; i <= steps; i++)
        t[i] = 1 - t[i];
    parity_compare_f64(r, name, t, want, steps + 1, limit);
    return OK;
}

static enum status steps_read(int64_t *steps, const json_t *row, struct error *err)
{
    double value;
    enum status st = real_read(&value, row, "steps", err);

    if (st)
        return st;
    if (!(value >= 1 && value <= STEPS_MAX))
        return fail(err, E_FORMAT, "%g steps; 1 .. %d are compared", value, STEPS_MAX);
    *steps = (int64_t)value;
    return OK;
}

static enum status schedule_check(struct parity_report *r, struct parity_fixture *f,
                                  const json_t *row, struct error *err)
{
    static const char *const keys[] = {"reference", "diffusers"};
    struct grid grid;
    char name[64];
    int64_t steps = 0;
    double shift;
    enum status st;

    if ((st = steps_read(&steps, row, err)) || (st = real_read(&shift, row, "shift", err)) ||
        (st = grid_init(&grid, "sd3", err)) || (st = grid_set(&grid, "shift", shift, err)))
        return st;
    for (int k = 0; k < 2 && !st; k++) {
        snprintf(name, sizeof name, "shift %g, %lld steps, %s", shift, (long long)steps, keys[k]);
        if (json_object_get(row, keys[k]))
            st = levels_compare(r, f, name, &grid, steps, row, keys[k], err);
    }
    return st;
}

static enum status start_check(struct parity_report *r, struct parity_fixture *f, const json_t *row,
                               struct error *err)
{
    static const char *const keys[] = {"reference_start", "diffusers_start"};
    double strength, want;
    int64_t steps = 0;
    char name[64];
    enum status st;

    (void)f;
    if ((st = steps_read(&steps, row, err)) || (st = real_read(&strength, row, "denoise", err)))
        return st;
    for (int k = 0; k < 2; k++) {
        int got = grid_start((int)steps, strength, k ? START_FOLDER : START_REFERENCE);

        if ((st = real_read(&want, row, keys[k], err)))
            return st;
        snprintf(name, sizeof name, "%lld steps at %g, %s", (long long)steps, strength, keys[k]);
        parity_claim(r, name, got == want, "begins at %d, not at %g", got, want);
    }
    return OK;
}

static enum status dynamic_check(struct parity_report *r, struct parity_fixture *f,
                                 const json_t *row, struct error *err)
{
    static const char *const keys[] = {"exponential", "linear"};
    struct grid grid;
    double tokens;
    int64_t steps = 0;
    char name[64];
    enum status st;

    if ((st = steps_read(&steps, row, err)) || (st = real_read(&tokens, row, "seq_len", err)) ||
        (st = grid_init(&grid, "sd3_dynamic", err)) ||
        (st = grid_set(&grid, "tokens", tokens, err)))
        return st;
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "%g tokens, %lld steps, %s", tokens, (long long)steps, keys[k]);
        if ((st = grid_set(&grid, "linear", k, err)) ||
            (st = levels_compare(r, f, name, &grid, steps, row, keys[k], err)))
            return st;
    }
    return OK;
}

/* ---- Laws of training ---- */

/* What the law sends u to, and its density there.  Where the file counts noise, 1 - t. */
static enum status law_check(struct parity_report *r, struct parity_fixture *f,
                             const struct time_density *law, bool counts_noise, const json_t *row,
                             const char *pdf, struct error *err)
{
    const char *name = law->kind->is.name;
    double *u, *t, *want, *got;
    struct path path;
    enum status st;
    int64_t n;

    if ((st = path_init(&path, "condot", err)) ||
        (st = member_read(&u, &n, f, row, "u", -1, err)) ||
        (st = member_read(&t, NULL, f, row, "t", n, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)n, sizeof *got, err)))
        return st;
    for (int64_t i = 0; i < n; i++) {
        got[i] = time_quantile(law, &path, u[i]);
        got[i] = counts_noise ? 1 - got[i] : got[i];
    }
    parity_compare_f64(r, name, got, t, n, limit);
    if (!pdf)
        return OK;
    if ((st = member_read(&want, NULL, f, row, pdf, n, err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        got[i] = time_density_at(law, t[i]);
    parity_compare_f64(r, pdf, got, want, n, limit);
    return OK;
}

static enum status logit_normal_check(struct parity_report *r, struct parity_fixture *f,
                                      const json_t *row, struct error *err)
{
    struct time_density law;
    double mean, std;
    enum status st;

    if ((st = real_read(&mean, row, "mean", err)) || (st = real_read(&std, row, "std", err)) ||
        (st = time_init(&law, "logit_normal", err)) || (st = time_set(&law, "mean", mean, err)) ||
        (st = time_set(&law, "std", std, err)))
        return st;
    return law_check(r, f, &law, false, row, "pdf", err);
}

static enum status mode_check(struct parity_report *r, struct parity_fixture *f, const json_t *row,
                              struct error *err)
{
    struct time_density law;
    double scale;
    enum status st;

    if ((st = real_read(&scale, row, "scale", err)) || (st = time_init(&law, "mode", err)) ||
        (st = time_set(&law, "s", scale, err)))
        return st;
    return law_check(r, f, &law, true, row, NULL, err);
}

static enum status cosmap_check(struct parity_report *r, struct parity_fixture *f,
                                const json_t *row, struct error *err)
{
    struct time_density law;
    enum status st = time_init(&law, "cosmap", err);

    return st ? st : law_check(r, f, &law, false, row, "pdf_at_t", err);
}

static enum status shift_check(struct parity_report *r, struct parity_fixture *f, const json_t *row,
                               struct error *err)
{
    double alpha, *t, *want, *got;
    enum status st;
    int64_t n;

    if ((st = real_read(&alpha, row, "alpha", err)) ||
        (st = member_read(&t, &n, f, row, "t", -1, err)) ||
        (st = member_read(&want, NULL, f, row, "shifted", n, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)n, sizeof *got, err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        got[i] = sigma_shifted(t[i], alpha);
    parity_compare_f64(r, "shift", got, want, n, limit);
    return OK;
}

/* ---- The file ---- */

struct sigma_part {
    const char *key;
    enum status (*check)(struct parity_report *r, struct parity_fixture *f, const json_t *row,
                         struct error *err);
};

/* One row, or a list of them. */
static enum status rows_check(struct parity_report *r, struct parity_fixture *f, const json_t *rows,
                              const struct sigma_part *part, struct error *err)
{
    enum status st = OK;

    report_group(r, part->key);
    if (json_is_object(rows))
        return part->check(r, f, rows, err);
    for (size_t i = 0; i < json_array_size(rows) && !st; i++)
        st = part->check(r, f, json_array_get(rows, i), err);
    return st;
}

static enum status parts_check(struct parity_report *r, struct parity_fixture *f,
                               const json_t *object, const struct sigma_part *parts, int n,
                               struct error *err)
{
    const char *key;
    json_t *rows;
    enum status st;

    json_object_foreach((json_t *)(uintptr_t)object, key, rows)
    {
        int i = 0;

        while (i < n && strcmp(parts[i].key, key))
            i++;
        if (i < n && (st = rows_check(r, f, rows, &parts[i], err)))
            return st;
        if (i == n && strcmp(key, "densities")) {
            report_group(r, "");
            parity_skip(r, key, "not in this version");
        }
    }
    return OK;
}

static enum status sigmas_check(struct parity_report *r, struct parity_fixture *f,
                                const struct parity_options *options, struct error *err)
{
    static const struct sigma_part levels[] = {
        {"schedules", schedule_check}, {"img2img", start_check}, {"dynamic", dynamic_check}};
    static const struct sigma_part laws[] = {{"logit_normal", logit_normal_check},
                                             {"mode", mode_check},
                                             {"cosmap", cosmap_check},
                                             {"shift", shift_check}};
    const json_t *root = fixture_part(f, "")->json;
    enum status st = parts_check(r, f, root, levels, 3, err);

    (void)options;
    return st ? st : parts_check(r, f, json_object_get(root, "densities"), laws, 4, err);
}

static bool sigmas_knows(const json_t *root)
{
    return json_object_get(root, "schedules") && json_object_get(root, "densities");
}

const struct parity_checker parity_flow_sigmas = {
    .kind = "flow_sigmas",
    .parts = {""},
    .knows = sigmas_knows,
    .check = sigmas_check,
};
