/*
 * test_kinds.c - kinds of guidance where their results are known by hand
 *
 * Each is classifier-free guidance for some setting of its numbers or some pair of predictions;
 * away from there a few numbers are worked out here.
 */
#include "diffusion/guidance.h"

#include "support/mixtures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4 };

static const double unguided[N] = {1, -2, 0.5, 3}, guided[N] = {2, -1, 1.5, -1};

/* One answer of a kind with its default numbers but `set`. */
static void combined(double *out, const char *name, const char *set, double value, double w,
                     double t, const double *c)
{
    double values[CHOICE_VALUES], running[N] = {0};
    const struct guidance_kind *kind;
    struct guided_pair p = {.unguided = unguided,
                            .guided = c,
                            .out = out,
                            .running = running,
                            .w = w,
                            .t = t,
                            .values = values,
                            .n = N};

    assert_int_equal(guidance_kind_find(&kind, name, NULL), OK);
    choice_defaults(values, &kind->is);
    if (set)
        assert_int_equal(choice_set(values, &kind->is, set, value, NULL), OK);
    kind->combine(&p);
}

static void expect(const double *got, const double *want, const char *what)
{
    for (int i = 0; i < N; i++)
        near(got[i], want[i], 1e-14, what);
}

static void classifier_free(void **state)
{
    static const double want[N] = {3, 0, 2.5, -5};
    double got[N];

    (void)state;
    combined(got, "cfg", NULL, 0, 2, 0.3, guided);
    expect(got, want, "cfg");
}

/* The part along the prediction kept whole, and nothing bounded. */
static void projection_kept_is_classifier_free(void **state)
{
    double want[N], got[N], along = 0, square = 0;

    (void)state;
    combined(want, "cfg", NULL, 0, 3, 0.3, guided);
    combined(got, "apg", "eta", 1, 3, 0.3, guided);
    expect(got, want, "apg, eta 1");

    combined(got, "apg", "eta", 0, 3, 0.3, guided);
    for (int i = 0; i < N; i++) {
        along += (got[i] - guided[i]) * guided[i];
        square += pow(got[i] - guided[i], 2);
    }
    near(along, 0, 1e-13, "apg moves across the prediction");
    assert_true(square > 1);
}

/* Where the branches differ in size alone, the scaled one is the guided one, whatever w is. */
static void zero_star_forgives_a_wrong_size(void **state)
{
    double got[N], c[N];

    (void)state;
    for (int i = 0; i < N; i++)
        c[i] = 2.5 * unguided[i];
    combined(got, "cfg_zero_star", NULL, 0, 7, 0.3, c);
    for (int i = 0; i < N; i++)
        near(got[i], c[i], 1e-8, "cfg_zero_star");
}

/* A flat ramp is classifier-free guidance; a steep one has w as its mean over the way, and grows or
 * fades. */
static void ramp_has_its_scale_as_mean(void **state)
{
    enum { TIMES = 1000 };
    double want[N], got[N], mean[N] = {0}, first[N], last[N];

    (void)state;
    combined(want, "cfg", NULL, 0, 3, 0, guided);
    combined(got, "ramp", "power", 0, 3, 0.7, guided);
    expect(got, want, "a flat ramp");
    for (int k = 0; k < TIMES; k++) {
        combined(got, "ramp", NULL, 0, 3, (k + 0.5) / TIMES, guided);
        for (int i = 0; i < N; i++)
            mean[i] += got[i] / TIMES;
    }
    for (int i = 0; i < N; i++)
        near(mean[i], want[i], 1e-12, "mean");
    combined(first, "ramp", NULL, 0, 3, 0, guided);
    expect(first, guided, "as trained at the start");
    combined(last, "ramp", "fades", 1, 3, 1, guided);
    expect(last, guided, "as trained at the end");
    combined(got, "ramp", NULL, 0, 3, 0.25, guided);
    combined(last, "ramp", "fades", 1, 3, 0.75, guided);
    expect(got, last, "the other way round");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classifier_free),
        cmocka_unit_test(projection_kept_is_classifier_free),
        cmocka_unit_test(zero_star_forgives_a_wrong_size),
        cmocka_unit_test(ramp_has_its_scale_as_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
