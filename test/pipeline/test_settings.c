/*
 * test_settings.c - the numbers behind the names of a request
 */
#include "pipeline/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ALL = 10 };

static int number_of(const char *name, const struct choice *(*at)(int))
{
    for (int i = 0; at(i); i++)
        if (!strcmp(at(i)->name, name))
            return i;
    fail_msg("there is no '%s'", name);
    return -1;
}

static const struct choice *sampler_choice(int i)
{
    return sampler_at(i) ? &sampler_at(i)->is : NULL;
}

static const struct choice *grid_choice(int i)
{
    return grid_kind_at(i) ? &grid_kind_at(i)->is : NULL;
}

static const struct path *path(void)
{
    static struct path p;

    assert_int_equal(path_init(&p, "condot", NULL), OK);
    return &p;
}

static enum status read(struct settings *s, const char *sampler, const char *schedule,
                        const char *const *assignments, int n, struct error *err)
{
    settings_init(s, sampler_at(number_of(sampler, sampler_choice)),
                  grid_kind_at(number_of(schedule, grid_choice)), path());
    return settings_assign(s, NULL, assignments, n, err);
}

static double number(const struct choice *c, const double *values, const char *name)
{
    for (int k = 0; c->options[k].name; k++)
        if (!strcmp(c->options[k].name, name))
            return values[k];
    fail_msg("%s has no %s", c->name, name);
    return 0;
}

static void defaults(void **state)
{
    struct settings s;

    (void)state;
    assert_int_equal(read(&s, "heun", "shift", NULL, 0, NULL), OK);
    assert_string_equal(s.sampler->is.name, "heun");
    assert_true(number(&s.grid.kind->is, s.grid.values, "shift") == 3);
    assert_string_equal(s.negative, "");
    assert_ptr_equal(s.guidance.kind, guidance_kind_at(0));
    assert_true(s.guidance.from == -1 && s.guidance.to == 1);
    assert_true(s.guidance.rescale == 0 && s.guidance.threshold == 0);
    assert_true(s.guidance.perturbed == 0 && s.n_layers == 0);
    assert_ptr_equal(s.diffusion.kind, diffusion_kind_at(0));
    assert_true(s.diffusion.scale == 1);
}

static void check_all(const struct settings *s)
{
    assert_true(number(&s->sampler->is, s->sampler_values, "churn") == 40);
    assert_true(number(&s->grid.kind->is, s->grid.values, "rho") == 5);
    assert_string_equal(s->guidance.kind->is.name, "apg");
    assert_true(number(&s->guidance.kind->is, s->guidance.values, "eta") == 0.5);
    assert_true(s->guidance.to == 0.8 && s->guidance.from == -1);
    assert_true(s->guidance.rescale == 0.3 && s->guidance.threshold == 0.99);
    assert_string_equal(s->diffusion.kind->is.name, diffusion_kind_at(1)->is.name);
    assert_true(s->diffusion.scale == 0.25 && s->diffusion.last == LAST_FLOW);
}

/* What a kind decides may stand before the kind. */
static void any_order(void **state)
{
    char kind[64], last[64];
    const char *const forth[ALL] = {"sampler.churn=40",        "schedule.rho=5",
                                    " guidance.kind = apg",    "guidance.eta = 0.5",
                                    "guidance.to=0.8",         "guidance.rescale=0.3",
                                    "guidance.threshold=0.99", kind,
                                    "sde.scale=0.25",          last};
    const char *back[ALL];
    struct settings s;

    (void)state;
    snprintf(kind, sizeof kind, "sde.kind=%s", diffusion_kind_at(1)->is.name);
    snprintf(last, sizeof last, "sde.last=%s", last_step_at(LAST_FLOW)->name);
    for (int i = 0; i < ALL; i++)
        back[i] = forth[ALL - 1 - i];
    assert_int_equal(read(&s, "edm", "karras", forth, ALL, NULL), OK);
    check_all(&s);
    assert_int_equal(read(&s, "edm", "karras", back, ALL, NULL), OK);
    check_all(&s);
}

/* A caller's own options may stand among them. */
static void more(void **state)
{
    static const struct option rows[] = {{"red", "", OPTION_REAL, 0, "0", .lo = 0, .hi = 1}, {0}};
    double red = 0;
    const struct option_group colour = {"colour", rows, &red, NULL};
    const char *const assignments[] = {"colour.red=0.5", "guidance.negative=red star"};
    struct settings s;

    (void)state;
    settings_init(&s, sampler_at(0), grid_kind_at(0), path());
    assert_int_equal(settings_assign(&s, &colour, assignments, 2, NULL), OK);
    assert_true(red == 0.5);
    assert_string_equal(s.negative, "red star");
}

static void layers(void **state)
{
    const char *const assignments[] = {"guidance.perturbed=1.5", "guidance.layers=3, 0,12"};
    struct settings s;

    (void)state;
    assert_int_equal(read(&s, "heun", "uniform", assignments, 2, NULL), OK);
    assert_true(s.guidance.perturbed == 1.5);
    assert_int_equal(s.n_layers, 3);
    assert_true(s.layers[0] == 3 && s.layers[1] == 0 && s.layers[2] == 12);
}

static void refuse(const char *sampler, const char *assignment, const char *word)
{
    struct error err = {0};
    struct settings s;

    assert_int_equal(read(&s, sampler, "uniform", &assignment, 1, &err), E_ARG);
    if (!strstr(err.text, word))
        fail_msg("'%s' gives \"%s\", without '%s'", assignment, err.text, word);
}

static void refusals(void **state)
{
    (void)state;
    refuse("heun", "sampler.churn=1", "churn");
    refuse("edm", "sampler.chum=1", "churn");
    refuse("edm", "sampler.churn=-1", "-1");
    refuse("heun", "guidance.kind=magic", "magic");
    refuse("heun", "guidance.eta=1", "eta");
    refuse("heun", "guidance.rescale=2", "2");
    refuse("heun", "guidance.perturbed=-1", "-1");
    refuse("heun", "guidance.layers=-1", "-1");
    refuse("heun", "guidance.layers=1,two", "two");
    refuse(
        "heun",
        "guidance.layers=0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
        "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0",
        "65 layers are more than 64");
    refuse("heun", "sde.scale=-1", "-1");
    refuse("heun", "nonsense", "nonsense");
    refuse("heun", "colour.red=1", "colour");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults), cmocka_unit_test(any_order), cmocka_unit_test(more),
        cmocka_unit_test(layers),   cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
