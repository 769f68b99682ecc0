/*
 * grid.c - the times at which a fixed-step solver stops
 *
 * A solver's error is made where the curve bends; a grid decides where the steps are short.  Each
 * kind that speaks of time fills [0, 1] and is then stretched to the interval that is integrated;
 * one that speaks of noise levels says where they lie on the path.  The two ends are set exactly,
 * not computed: a path's coefficients at t = 1 are special values, and 1 - 1e-16 would miss them.
 * theory.md 1.6; sampling.md 4.
 */
#include "sampler/grid.h"

#include <math.h>
#include <string.h>

/* The list of grids: a new one is one descriptor and one name here. */
/* clang-format off */
#define GRIDS(X)        \
    X(uniform)          \
    X(shift)            \
    X(linear_quadratic) \
    X(cosine)           \
    X(sine)             \
    X(logit_normal)     \
    X(beta)             \
    X(karras)           \
    X(exponential)      \
    X(sd3)              \
    X(sd3_dynamic)
/* clang-format on */

#define DECLARE(name) extern const struct grid_kind grid_##name;
GRIDS(DECLARE)
#undef DECLARE

const struct grid_kind *grid_kind_at(int i)
{
#define ADDRESS(name) &grid_##name,
    static const struct grid_kind *const all[] = {GRIDS(ADDRESS)};
#undef ADDRESS

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
    struct path plain;
    enum status st;

    if (n < 1 || n > STEPS_MAX)
        return fail(err, E_ARG, "%d steps were asked for; 1 .. %d can be had", n, STEPS_MAX);
    if (!(t0 >= 0 && t0 < t1 && t1 <= 1))
        return fail(err, E_ARG, "times from %g to %g were asked for; they must rise within 0 .. 1",
                    t0, t1);
    if ((st = choice_check(g->values, &g->kind->is, err)) ||
        (g->kind->check && (st = g->kind->check(n, g->values, err))))
        return st;
    if (!g->path && (st = path_init(&plain, "condot", err)))
        return st;
    t[0] = t0;
    t[n] = t1;
    g->kind->fill(t, n, g->values, g->path ? g->path : &plain);
    for (int i = 1; i < n && !g->kind->of_noise; i++)
        t[i] = t0 + (t1 - t0) * t[i];
    t[0] = t0;
    t[n] = t1;
    return grid_check(t, n, err);
}

int grid_start(int n, double strength, enum grid_start rule)
{
    double kept = fmin(n * strength, n);

    return (int)(rule == START_REFERENCE ? n * (1 - strength) : fmax(n - kept, 0));
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
