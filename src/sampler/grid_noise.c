/*
 * grid_noise.c - grids that are spaced in the noise level beta / alpha
 *
 * On every Gaussian path the same picture stands at the same noise level, so a list of levels that
 * suits one path suits all, once each level is found on the path.  N steps have N levels and end on
 * none; the first level gives way to the start of the path, from which X_0 is drawn.
 * sampling.md 4; Karras et al. 2022, equation 5.
 */
#include "sampler/grid.h"

#include <math.h>

enum { LEVEL_MIN, LEVEL_MAX, RHO };

#define ROW_LEVELS                                                                    \
    {.name = "sigma_min",                                                             \
     .help = "lowest noise level beta / alpha before none",                           \
     .type = OPTION_REAL,                                                             \
     .offset = LEVEL_MIN * sizeof(double),                                            \
     .fallback = "0.002",                                                             \
     .lo = 1e-8,                                                                      \
     .hi = 1e6},                                                                      \
    {                                                                                 \
        .name = "sigma_max", .help = "highest noise level", .type = OPTION_REAL,      \
        .offset = LEVEL_MAX * sizeof(double), .fallback = "80", .lo = 1e-6, .hi = 1e8 \
    }

static enum status levels_check(int n, const double *values, struct error *err)
{
    (void)n;
    if (values[LEVEL_MIN] >= values[LEVEL_MAX])
        return fail(err, E_ARG, "noise levels from %g to %g: the first must be the smaller",
                    values[LEVEL_MIN], values[LEVEL_MAX]);
    return OK;
}

/* The levels that a grid of n steps runs through, no further than its two ends.  A grid that ends
 * on some noise ends on the last level; others go on from there to none. */
struct levels {
    double lo, hi;
    int n;
};

static struct levels levels_of(const double *t, int n, const double *values,
                               const struct path *path)
{
    struct path_coefs start = path_at(path, t[0]), end = path_at(path, t[n]);
    struct levels v = {.lo = values[LEVEL_MIN], .hi = values[LEVEL_MAX], .n = n};

    if (v.hi * start.alpha > start.beta)
        v.hi = start.beta / start.alpha;
    if (end.beta > 0) {
        v.lo = fmax(v.lo, end.beta / end.alpha);
        v.n = n + 1;
    }
    return v;
}

/* Level i of values that fall evenly from hi to lo. */
static double even(double hi, double lo, int i, int n)
{
    return hi + (lo - hi) * i / (n > 1 ? n - 1 : 1);
}

static void karras_fill(double *t, int n, const double *values, const struct path *path)
{
    struct levels v = levels_of(t, n, values, path);
    double root = 1 / values[RHO], hi = pow(v.hi, root), lo = pow(v.lo, root);

    for (int i = 1; i < n; i++)
        t[i] = path_time_of_noise(path, pow(even(hi, lo, i, v.n), values[RHO]));
}

static const struct option karras_options[] = {
    ROW_LEVELS,
    {.name = "rho",
     .help = "7: levels as Karras et al.; larger: more of them near none",
     .type = OPTION_REAL,
     .offset = RHO * sizeof(double),
     .fallback = "7",
     .lo = 0.1,
     .hi = 100},
    {0},
};

const struct grid_kind grid_karras = {
    .is = {.name = "karras",
           .aliases = {"edm"},
           .summary = "equal steps in the seventh root of the noise level",
           .paper = "Karras et al. 2022",
           .options = karras_options},
    .of_noise = true,
    .fill = karras_fill,
    .check = levels_check,
};

static void exponential_fill(double *t, int n, const double *values, const struct path *path)
{
    struct levels v = levels_of(t, n, values, path);

    for (int i = 1; i < n; i++)
        t[i] = path_time_of_noise(path, exp(even(log(v.hi), log(v.lo), i, v.n)));
}

static const struct option exponential_options[] = {ROW_LEVELS, {0}};

const struct grid_kind grid_exponential = {
    .is = {.name = "exponential",
           .aliases = {"log_snr", "lambda", "polyexponential"},
           .summary = "equal steps in log(alpha / beta)",
           .paper = "Lu et al. 2022",
           .options = exponential_options},
    .of_noise = true,
    .fill = exponential_fill,
    .check = levels_check,
};
