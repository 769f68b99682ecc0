/*
 * grid.c - the times at which a fixed-step solver stops
 *
 * A solver's error is made where the curve bends; a grid decides where the steps are short.  Each
 * kind fills [0, 1] and is then stretched to the interval that is integrated, so kinds and
 * intervals are independent.  The two ends are set exactly, not computed: a path's coefficients at
 * t = 1 are special values, and 1 - 1e-16 would miss them.  theory.md 1.6; sampling.md 4.
 */
#include "sampler/grid.h"

#include <math.h>
#include <string.h>

static void uniform_fill(double *t, int n, const double *values)
{
    (void)values;
    for (int i = 0; i <= n; i++)
        t[i] = (double)i / n;
}

static const struct grid_kind grid_uniform = {
    .is = {.name = "uniform",
           .aliases = {"linear", "simple", "normal"},
           .summary = "equal steps in time"},
    .fill = uniform_fill,
};

enum { SHIFT_FACTOR };
static const struct option shift_options[] = {
    {.name = "shift",
     .help = "how many times noisier the middle of the grid is; above 1 more steps near noise",
     .type = OPTION_REAL,
     .offset = SHIFT_FACTOR * sizeof(double),
     .fallback = "3",
     .lo = 0.01,
     .hi = 100},
    {0},
};

/* On condot beta / alpha is multiplied by the factor at every point of the grid. */
static void shift_fill(double *t, int n, const double *values)
{
    double k = values[SHIFT_FACTOR];

    for (int i = 0; i <= n; i++)
        t[i] = i / (k * (n - i) + i);
}

static const struct grid_kind grid_shift = {
    .is = {.name = "shift",
           .aliases = {"shifted", "sd3", "discrete_flow"},
           .summary = "equal steps bent towards noise, as large pictures need",
           .paper = "Esser et al. 2024",
           .options = shift_options},
    .fill = shift_fill,
};

enum { LINEAR_QUADRATIC_OF };
static const struct option linear_quadratic_options[] = {
    {.name = "emulated",
     .help = "steps of the uniform grid whose beginning the first half follows",
     .type = OPTION_REAL,
     .offset = LINEAR_QUADRATIC_OF * sizeof(double),
     .fallback = "250",
     .lo = 1,
     .hi = 100000},
    {0},
};

static void linear_quadratic_fill(double *t, int n, const double *values)
{
    int linear = n / 2, rest = n - linear;
    double slope = 1 / values[LINEAR_QUADRATIC_OF], end = slope * linear;
    double bend = (1 - end - slope * rest) / ((double)rest * rest);

    for (int i = 0; i <= n; i++) {
        double j = i - linear;

        t[i] = i <= linear ? slope * i : end + slope * j + bend * j * j;
    }
}

/* A negative bend could turn the grid back before it ends. */
static enum status linear_quadratic_check(int n, const double *values, struct error *err)
{
    if (values[LINEAR_QUADRATIC_OF] < n)
        return fail(err, E_ARG,
                    "a linear_quadratic grid of %d steps cannot emulate %g; it must be %d or more",
                    n, values[LINEAR_QUADRATIC_OF], n);
    return OK;
}

static const struct grid_kind grid_linear_quadratic = {
    .is = {.name = "linear_quadratic",
           .aliases = {"movie_gen"},
           .summary = "the small first steps of a long uniform grid, then growing ones",
           .paper = "Polyak et al. 2024",
           .options = linear_quadratic_options},
    .fill = linear_quadratic_fill,
    .check = linear_quadratic_check,
};

const struct grid_kind *grid_kind_at(int i)
{
    static const struct grid_kind *const all[] = {&grid_uniform, &grid_shift,
                                                  &grid_linear_quadratic};

    return i >= 0 && i < (int)(sizeof(all) / sizeof(*all)) ? all[i] : NULL;
}

static const struct choice *grid_choice_at(int i)
{
    const struct grid_kind *kind = grid_kind_at(i);

    return kind ? &kind->is : NULL;
}

enum status grid_init(struct grid *g, const char *name, struct error *err)
{
    enum status st;
    int i;

    memset(g, 0, sizeof(*g));
    if ((st = choice_find(&i, "time grid", name, grid_choice_at, err)))
        return st;
    g->kind = grid_kind_at(i);
    choice_defaults(g->values, &g->kind->is);
    return OK;
}

enum status grid_set(struct grid *g, const char *param, double value, struct error *err)
{
    return choice_set(g->values, &g->kind->is, param, value, err);
}

enum status grid_fill(double *t, const struct grid *g, int n, double t0, double t1,
                      struct error *err)
{
    enum status st;

    if (n < 1 || n > STEPS_MAX)
        return fail(err, E_ARG, "%d steps were asked for; 1 .. %d can be had", n, STEPS_MAX);
    if (!(t0 >= 0 && t0 < t1 && t1 <= 1))
        return fail(err, E_ARG, "times from %g to %g were asked for; they must rise within 0 .. 1",
                    t0, t1);
    if ((st = choice_check(g->values, &g->kind->is, err)) ||
        (g->kind->check && (st = g->kind->check(n, g->values, err))))
        return st;
    g->kind->fill(t, n, g->values);
    for (int i = 1; i < n; i++)
        t[i] = t0 + (t1 - t0) * t[i];
    t[0] = t0;
    t[n] = t1;
    return grid_check(t, n, err);
}

enum status grid_check(const double *t, int n, struct error *err)
{
    if (n < 1 || n > STEPS_MAX)
        return fail(err, E_ARG, "%d steps were given; 1 .. %d can be had", n, STEPS_MAX);
    for (int i = 0; i <= n; i++) {
        if (!(t[i] >= 0 && t[i] <= 1))
            return fail(err, E_ARG, "time %d of the grid is %g, outside 0 .. 1", i, t[i]);
        if (i && !(t[i] > t[i - 1]))
            return fail(err, E_ARG, "time %d of the grid is %g, not after %g", i, t[i], t[i - 1]);
    }
    return OK;
}
