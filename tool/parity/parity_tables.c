/*
 * parity_tables.c - fixtures of tables in double precision (kind "tables")
 *
 * The name of a table holds its sizes: "time.cos_sin_256" has 256 features for the times of
 * "time.t", "pos2d.48_4" encodes a grid of 4 x 4 in 48 features.  Each prefix is a row below; the
 * numbers after it are read from the name, so that any size in the file is made and compared.
 * Tables are made where networks make them: by the op on the tape, and by the init rule of a
 * parameter.
 */
#include "parity.h"

#include "diffusion/ddpm.h"

#include "graph/graph.h"
#include "model_config.h"
#include "ops/embedding.h"

#include <string.h>

static const struct parity_limit of_tables = {.of_max = 2e-5};

/* A table of the file, in float32 and as the file has it. */
static enum status compare(struct parity_report *r, struct parity_fixture *f, const char *name,
                           const float *got, int64_t n, struct error *err)
{
    struct parity_array want;
    enum status st = fixture_f32(f, &want, fixture_part(f, ""), name, err);

    if (st)
        return st;
    if (want.n != n) {
        parity_claim(r, name, false, "the file has %lld numbers, not %lld", (long long)want.n,
                     (long long)n);
        return OK;
    }
    parity_compare_f32(r, name, got, want.v, n, of_tables);
    return OK;
}

/* "time.cos_sin_D"; "time.edm_positional_D" is the same table. */
static enum status time_check(struct parity_report *r, struct parity_fixture *f, const char *name,
                              const int64_t *size, struct error *err)
{
    struct graph *g = NULL;
    struct parity_array t;
    struct tensor *y;
    float *got;
    enum status st;

    if (size[0] < 2) {
        parity_skip(r, name, "one number is too few for time features");
        return OK;
    }
    if ((st = fixture_f32(f, &t, fixture_part(f, ""), "time.t", err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)(t.n * size[0]), sizeof(float), err)) ||
        (st = graph_new(&g, 0, 1, err)))
        return st;
    y = op_time_features(g, graph_input(g, SHAPE(t.n), t.v), size[0]);
    graph_keep(g, y);
    if (!(st = graph_run(g, err))) {
        graph_read(g, y, got);
        st = compare(r, f, name, got, t.n * size[0], err);
    }
    graph_free(g);
    return st;
}

/* "pos2d.D_g". */
static enum status positions_check(struct parity_report *r, struct parity_fixture *f,
                                   const char *name, const int64_t *size, struct error *err)
{
    struct network *net = NULL;
    const struct param *p;
    enum status st = model_of_tables(&net, size[0], size[1], false, err);

    if (!st) {
        p = params_find(net->params, "pos_embed");
        st = compare(r, f, name, p->value, shape_count(p->shape), err);
    }
    network_free(net);
    return st;
}

/* "betas.NAME" and "alphas_cumprod.NAME": rates of a schedule, or what they keep. */
static enum status schedule_check(struct parity_report *r, struct parity_fixture *f,
                                  const char *name, struct error *err)
{
    static const struct {
        const char *name, *path;
        double first, last; /* rates; 0: the path's own */
    } schedules[] = {
        {"linear", "ddpm_linear", 0, 0},
        {"scaled_linear_sd", "ddpm_scaled", 0, 0},
        {"scaled_linear_ldm", "ddpm_scaled", 0.0015, 0.0195},
        {"cosine", "ddpm_cosine", 0, 0},
    };
    const char *which = strchr(name, '.') + 1;
    size_t i = 0, n_known = sizeof schedules / sizeof *schedules;
    struct path path;
    double *want, *got;
    int64_t n;
    enum status st;

    while (i < n_known && strcmp(which, schedules[i].name) != 0)
        i++;
    if (i == n_known) {
        parity_skip(r, name, "this schedule is not implemented");
        return OK;
    }
    if ((st = fixture_f64(f, &want, &n, fixture_part(f, ""), name, err)) ||
        (st = fixture_new(f, (void **)&got, (uint64_t)n, sizeof *got, err)) ||
        (st = path_init(&path, schedules[i].path, err)) ||
        (st = path_set(&path, "steps", (double)n, err)) ||
        (schedules[i].first > 0 && ((st = path_set(&path, "first", schedules[i].first, err)) ||
                                    (st = path_set(&path, "last", schedules[i].last, err)))))
        return st;
    for (int k = 0; k < n; k++)
        got[k] = name[0] == 'b' ? path.kind->rate(k, path.values) : ddpm_kept(&path, k);
    parity_compare_f64(r, name, got, want, n, (struct parity_limit){.of_each = 1e-10});
    return OK;
}

static const struct {
    const char *prefix;
    int sizes; /* numbers in the name, "_" between them */
    enum status (*check)(struct parity_report *r, struct parity_fixture *f, const char *name,
                         const int64_t *size, struct error *err);
} rows[] = {
    {"time.cos_sin_", 1, time_check},
    {"time.edm_positional_", 1, time_check},
    {"pos2d.", 2, positions_check},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]), SIZE_MAX_HERE = 4096 };

/* Reads `n` numbers in 1 .. SIZE_MAX_HERE from "16_3"; false when that is not what stands there. */
static bool sizes_read(int64_t *size, int n, const char *text)
{
    for (int k = 0; k < n; k++) {
        size[k] = 0;
        for (; *text >= '0' && *text <= '9' && size[k] <= SIZE_MAX_HERE; text++)
            size[k] = 10 * size[k] + (*text - '0');
        if (size[k] < 1 || size[k] > SIZE_MAX_HERE || *text != (k + 1 < n ? '_' : '\0'))
            return false;
        text++;
    }
    return true;
}

static enum status tables_check(struct parity_report *r, struct parity_fixture *f,
                                const struct parity_options *options, struct error *err)
{
    const struct weights *file = fixture_part(f, "")->file;
    int64_t size[2];
    enum status st = OK;

    (void)options; /* tables are made once, by one thread */
    for (int64_t i = 0; i < weights_count(file) && !st; i++) {
        const char *name = weights_at(file, i)->name;
        int k = 0;

        if (strcmp(name, "time.t") == 0)
            continue;
        if (strncmp(name, "betas.", 6) == 0 || strncmp(name, "alphas_cumprod.", 15) == 0) {
            st = schedule_check(r, f, name, err);
            continue;
        }
        while (k < N_ROWS && (strncmp(name, rows[k].prefix, strlen(rows[k].prefix)) != 0 ||
                              !sizes_read(size, rows[k].sizes, name + strlen(rows[k].prefix))))
            k++;
        if (k == N_ROWS)
            parity_skip(r, name, "this table is not implemented");
        else
            st = rows[k].check(r, f, name, size, err);
    }
    return st;
}

const struct parity_checker parity_tables = {
    .kind = "tables", .parts = {""}, .check = tables_check};
