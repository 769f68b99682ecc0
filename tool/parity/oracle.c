/*
 * oracle.c - paths, mixtures and numbers out of JSON fixtures, and solver runs on closed-form
 * fields
 *
 * Fixtures are read as given by a stranger: every count is checked against the sizes the file
 * itself states, and what does not fit is a sentence, because a fixture misread by one row would be
 * reported as a wrong library.
 */
#include "oracle.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEST_MAX = 8 };

static enum status count_numbers(int64_t *n, const json_t *v, int depth, const char *what,
                                 struct error *err)
{
    enum status st = OK;

    if (json_is_number(v) || json_is_null(v)) {
        ++*n;
        return OK;
    }
    if (!json_is_array(v) || depth == NEST_MAX)
        return fail(err, E_FORMAT, "\"%s\" is no array of numbers", what);
    for (size_t i = 0; i < json_array_size(v) && !st; i++)
        st = count_numbers(n, json_array_get(v, i), depth + 1, what, err);
    return st;
}

static void copy_numbers(double **to, const json_t *v)
{
    if (!json_is_array(v)) {
        *(*to)++ = json_is_null(v) ? (double)NAN : json_number_value(v);
        return;
    }
    for (size_t i = 0; i < json_array_size(v); i++)
        copy_numbers(to, json_array_get(v, i));
}

enum status numbers_read(double **out, int64_t *n, struct parity_fixture *f, const json_t *value,
                         int64_t want, const char *what, struct error *err)
{
    int64_t count = 0;
    double *to;
    enum status st;

    if ((st = count_numbers(&count, value, 0, what, err)))
        return st;
    if (want >= 0 && count != want)
        return fail(err, E_FORMAT, "\"%s\" holds %lld numbers, not %lld", what, (long long)count,
                    (long long)want);
    if ((st = fixture_new(f, (void **)out, (uint64_t)count, sizeof(**out), err)))
        return st;
    to = *out;
    copy_numbers(&to, value);
    if (n)
        *n = count;
    return OK;
}

enum status member_read(double **out, int64_t *n, struct parity_fixture *f, const json_t *object,
                        const char *key, int64_t want, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        return fail(err, E_FORMAT, "\"%s\" is missing", key);
    return numbers_read(out, n, f, value, want, key, err);
}

enum status real_read(double *out, const json_t *object, const char *key, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_number(value))
        return fail(err, E_FORMAT, "\"%s\" is missing or no number", key);
    *out = json_number_value(value);
    return OK;
}

enum status label_read(int32_t *out, const json_t *object, const char *key, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_null(value)) {
        *out = MIXTURE_ANY;
        return OK;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > INT32_MAX)
        return fail(err, E_FORMAT, "\"%s\" is no label", key);
    *out = (int32_t)json_integer_value(value);
    return OK;
}

enum status path_read(struct path *out, const char *name, const json_t *params, struct error *err)
{
    const char *key;
    json_t *value;
    enum status st;

    if ((st = path_init(out, name, err)))
        return st;
    json_object_foreach((json_t *)params, key, value)
    {
        if (!json_is_number(value))
            return fail(err, E_FORMAT, "\"%s\" of %s is no number", key, name);
        if ((st = path_set(out, key, json_number_value(value), err)))
            return st;
    }
    return OK;
}

enum status path_of_row(struct path *out, const json_t *root, const json_t *row, struct error *err)
{
    const char *name = json_string_value(json_object_get(row, "scheduler"));

    if (!name)
        return fail(err, E_FORMAT, "a row names no scheduler");
    return path_read(out, name, json_object_get(json_object_get(root, "schedulers"), name), err);
}

enum status mixture_read(struct mixture *out, struct parity_fixture *f, const json_t *value,
                         struct error *err)
{
    bool short_keys = json_object_get(value, "w") != NULL;
    const json_t *mean = json_object_get(value, short_keys ? "m" : "means");
    int64_t parts = 0, dim = (int64_t)json_array_size(json_array_get(mean, 0));
    double *w, *m, *s, *y = NULL;
    int32_t *label;
    enum status st;

    memset(out, 0, sizeof(*out));
    if (dim < 1 || dim > MIXTURE_DIM)
        return fail(err, E_FORMAT, "a mixture in %lld dimensions; served are 1 .. %d",
                    (long long)dim, MIXTURE_DIM);
    if ((st = member_read(&w, &parts, f, value, short_keys ? "w" : "weights", -1, err)) ||
        (st = numbers_read(&m, NULL, f, mean, parts * dim, "means", err)) ||
        (st = member_read(&s, NULL, f, value, short_keys ? "S" : "covariances", parts * dim * dim,
                          err)) ||
        (!short_keys && (st = member_read(&y, NULL, f, value, "labels", parts, err))) ||
        (st = fixture_new(f, (void **)&label, (uint64_t)parts, sizeof(*label), err)))
        return st;
    for (int64_t k = 0; y && k < parts; k++) {
        if (!(y[k] >= 0 && y[k] < INT32_MAX))
            return fail(err, E_FORMAT, "a label of the mixture is %g", y[k]);
        label[k] = (int32_t)y[k];
    }
    return mixture_init(out, (int)dim, (int)parts, w, m, s, label, err);
}

enum status pairs_add(struct pairs *p, const double *got, const double *want, int64_t n,
                      struct error *err)
{
    enum status st;

    if ((st = mem_grow((void **)&p->got, &p->room_got, p->n + n, sizeof(*got), err)) ||
        (st = mem_grow((void **)&p->want, &p->room_want, p->n + n, sizeof(*want), err)))
        return st;
    memcpy(p->got + p->n, got, (size_t)n * sizeof(*got));
    memcpy(p->want + p->n, want, (size_t)n * sizeof(*want));
    p->n += n;
    return OK;
}

void pairs_compare(struct pairs *p, struct parity_report *r, const char *name,
                   struct parity_limit limit)
{
    if (p->n)
        parity_compare_f64(r, name, p->got, p->want, p->n, limit);
    p->n = 0;
}

void pairs_release(struct pairs *p)
{
    free(p->got);
    free(p->want);
    memset(p, 0, sizeof(*p));
}

struct parity_limit limit_rel(double e)
{
    return (struct parity_limit){.of_each = e, .absolute = e};
}

/* The fixture's own noise. */
struct given_noise {
    const double *noise;
    int64_t draws, n;
};

static void draw_given(void *self, double *out, int64_t step)
{
    const struct given_noise *g = self;

    if (step < g->draws)
        memcpy(out, g->noise + step * g->n, (size_t)g->n * sizeof(*out));
    else
        memset(out, 0, (size_t)g->n * sizeof(*out));
}

static enum status solve_guided(double *x, struct oracle_run *run, struct mixture_oracle *oracle,
                                const double *w, struct error *err)
{
    struct guidance guidance;
    struct field field = {.path = run->path, .guidance = &guidance};
    struct given_noise given = {run->noise, run->draws, oracle->rows * oracle->mixture->dim};
    struct sampling_request request = {.sampler = run->sampler,
                                       .steps = run->steps,
                                       .field = &field,
                                       .diffusion = run->diffusion,
                                       .draw = draw_given,
                                       .draw_self = &given};
    struct grid grid;
    double times[STEPS_MAX + 1];
    enum status st;

    if ((st = grid_init(&grid, "uniform", err)) ||
        (!run->times && (st = grid_fill(times, &grid, run->steps, run->t0, run->t1, err))) ||
        (st = guidance_init(&guidance, predictor_of_mixture(oracle), w, run->how, err)))
        return st;
    request.times = run->times ? run->times : times;
    if (run->options)
        memcpy(request.values, run->options, sizeof(request.values));
    else
        choice_defaults(request.values, &run->sampler->is);
    st = sampling_run(x, &request, &run->report, err);
    guidance_release(&guidance);
    return st;
}

enum status oracle_solve(double *x, int64_t rows, struct oracle_run *run, struct error *err)
{
    struct mixture_oracle oracle = {.mixture = run->mixture, .path = run->path, .rows = rows};
    int32_t *label = NULL;
    double *w = NULL;
    enum status st;

    if (rows < 1)
        return fail(err, E_FORMAT, "a run without points");
    if ((st = mem_new((void **)&label, (uint64_t)rows, sizeof(*label), "labels", err)) ||
        (st = mem_new((void **)&w, (uint64_t)rows, sizeof(*w), "scales", err)))
        goto out;
    for (int64_t i = 0; i < rows; i++) {
        label[i] = run->y;
        w[i] = run->w;
    }
    oracle.label = label;
    st = solve_guided(x, run, &oracle, w, err);
out:
    free(label);
    free(w);
    return st;
}
