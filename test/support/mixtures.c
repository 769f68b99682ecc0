/*
 * mixtures.c - the closed-form data that tests of paths, guidance and solvers share
 */
#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

void mixture_line(struct mixture *m)
{
    static const double weight[] = {0.5, 0.2, 0.3}, mean[] = {-1.5, 0.75, 2.0};
    static const double cov[] = {0.16, 0.04, 0.36};
    static const int32_t label[] = {0, 0, 1};

    assert_int_equal(mixture_init(m, 1, 3, weight, mean, cov, label, NULL), OK);
}

void mixture_plane(struct mixture *m)
{
    static const double weight[] = {0.1, 0.3, 0.25, 0.15, 0.2};
    static const double mean[] = {-1.5, 0.3, 0.8, 1.1, 0.2, -1.4, 1.6, -0.5, -0.7, 1.9};
    static const double cov[] = {0.2, 0.05, 0.05, 0.1,  0.1,  -0.06, -0.06, 0.3,  0.15, 0,
                                 0,   0.15, 0.4,  0.12, 0.12, 0.06,  0.08,  0.03, 0.03, 0.25};
    static const int32_t label[] = {0, 1, 2, 0, 1};

    assert_int_equal(mixture_init(m, 2, 5, weight, mean, cov, label, NULL), OK);
}

void mixture_single(struct mixture *m, double mean, double var)
{
    static const double weight = 1;
    static const int32_t label;

    assert_int_equal(mixture_init(m, 1, 1, &weight, &mean, &var, &label, NULL), OK);
}

struct path path_number(int i)
{
    return path_named(path_kind_at(i)->is.name);
}

struct path path_named(const char *name)
{
    struct path p;

    assert_int_equal(path_init(&p, name, NULL), OK);
    return p;
}

void near(double got, double want, double e, const char *what)
{
    if (!(fabs(got - want) <= e * (1 + fabs(want))))
        fail_msg("%s: %.17g, should be %.17g, off by %.3g of %.3g", what, got, want,
                 fabs(got - want) / (1 + fabs(want)), e);
}

void noise_draw(void *self, double *out, int64_t step)
{
    const struct noise_of *of = self;

    for (int64_t i = 0; i < of->rows; i++) {
        struct rng r = rng_stream(of->seed + (uint64_t)i, RNG_STEP, (uint64_t)step);

        for (int64_t k = 0; k < of->length; k++)
            out[i * of->length + k] = rng_normal(&r);
    }
}

struct sampling_report solve_how(double *x, int64_t rows, const struct mixture *m,
                                 const struct path *path, int32_t y, double w,
                                 const struct solve_how *how)
{
    struct mixture_oracle oracle = {.mixture = m, .path = *path, .rows = rows};
    struct noise_of noise = {how->seed, rows, m->dim};
    struct guidance guidance;
    struct field field = {.path = *path, .guidance = &guidance};
    struct sampling_request request = {.steps = how->steps,
                                       .field = &field,
                                       .diffusion = how->diffusion,
                                       .draw = noise_draw,
                                       .draw_self = &noise};
    double *scale = calloc((size_t)rows, sizeof(*scale)), times[STEPS_MAX + 1];
    int32_t *label = calloc((size_t)rows, sizeof(*label));
    struct sampling_report report = {0};
    struct error err = {0};
    struct grid grid;

    assert_true(scale && label);
    for (int64_t i = 0; i < rows; i++) {
        scale[i] = w;
        label[i] = y;
    }
    oracle.label = label;
    request.times = how->times ? how->times : times;
    if (grid_init(&grid, "uniform", &err) ||
        (!how->times && grid_fill(times, &grid, how->steps, how->t0, how->t1, &err)) ||
        guidance_init(&guidance, predictor_of_mixture(&oracle), scale, NULL, &err) ||
        sampler_find(&request.sampler, how->solver, &err))
        fail_msg("%s", err.text);
    choice_defaults(request.values, &request.sampler->is);
    if ((how->set &&
         choice_set(request.values, &request.sampler->is, how->set, how->value, &err)) ||
        sampling_run(x, &request, &report, &err))
        fail_msg("%s", err.text);
    guidance_release(&guidance);
    free(scale);
    free(label);
    return report;
}

struct sampling_report solve(double *x, int64_t rows, const struct mixture *m,
                             const struct path *path, int32_t y, double w, const char *solver,
                             int steps, double t0, double t1)
{
    const struct solve_how how = {.solver = solver, .steps = steps, .t0 = t0, .t1 = t1};

    return solve_how(x, rows, m, path, y, w, &how);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double ks_distance(double *x, int64_t n, const struct mixture *m, const struct path_coefs *c,
                   int32_t y)
{
    double worst = 0;

    qsort(x, (size_t)n, sizeof(*x), ascending);
    for (int64_t i = 0; i < n; i++) {
        double f = mixture_cdf(m, c, x[i], y);

        worst = fmax(worst, fmax(f - (double)i / (double)n, (double)(i + 1) / (double)n - f));
    }
    return worst;
}
