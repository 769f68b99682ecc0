/*
 * grid_time.c - grids that are spaced in time
 *
 * Each is a map of [0, 1] onto itself, applied to equal steps.  Where the map is flat the steps are
 * short: shift and the logit-normal law put them where large pictures decide their layout, the two
 * cosines near one of the ends.  theory.md 1.6; sampling.md 4.
 */
#include "sampler/grid.h"

#include "diffusion/time.h"

#include <math.h>
#include <string.h>

static const double half_pi = 1.57079632679489661923;

static void uniform_fill(double *t, int n, const double *values, const struct path *path)
{
    (void)values, (void)path;
    for (int i = 0; i <= n; i++)
        t[i] = (double)i / n;
}

const struct grid_kind grid_uniform = {
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
static void shift_fill(double *t, int n, const double *values, const struct path *path)
{
    double k = values[SHIFT_FACTOR];

    (void)path;
    for (int i = 0; i <= n; i++)
        t[i] = i / (k * (n - i) + i);
}

const struct grid_kind grid_shift = {
    .is = {.name = "shift",
           .aliases = {"shifted", "discrete_flow"},
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

/* As many steps as the long grid has, or more, are equal ones: there is nothing to emulate. */
static void linear_quadratic_fill(double *t, int n, const double *values, const struct path *path)
{
    int linear = n / 2, rest = n - linear;
    double slope = 1 / fmax(values[LINEAR_QUADRATIC_OF], n), end = slope * linear;
    double bend = (1 - end - slope * rest) / ((double)rest * rest);

    (void)path;
    for (int i = 0; i <= n; i++) {
        double j = i - linear;

        t[i] = i <= linear ? slope * i : end + slope * j + bend * j * j;
    }
}

const struct grid_kind grid_linear_quadratic = {
    .is = {.name = "linear_quadratic",
           .aliases = {"movie_gen"},
           .summary = "the small first steps of a long uniform grid, then growing ones",
           .paper = "Polyak et al. 2024",
           .options = linear_quadratic_options},
    .fill = linear_quadratic_fill,
};

/* ---- Dense at one end ---- */

static void cosine_fill(double *t, int n, const double *values, const struct path *path)
{
    (void)values, (void)path;
    for (int i = 0; i <= n; i++)
        t[i] = 1 - cos(half_pi * i / n);
}

const struct grid_kind grid_cosine = {
    .is = {.name = "cosine", .summary = "short steps near noise, 1 - cos(pi i / 2n)"},
    .fill = cosine_fill,
};

static void sine_fill(double *t, int n, const double *values, const struct path *path)
{
    (void)values, (void)path;
    for (int i = 0; i <= n; i++)
        t[i] = sin(half_pi * i / n);
}

const struct grid_kind grid_sine = {
    .is = {.name = "sine",
           .aliases = {"cosine_mirror"},
           .summary = "short steps near the data, sin(pi i / 2n)"},
    .fill = sine_fill,
};

/* ---- Where the training times were ---- */

static void logit_normal_fill(double *t, int n, const double *values, const struct path *path)
{
    struct time_density law;

    MUST(!time_init(&law, "logit_normal", NULL), "no law of that name");
    memcpy(law.values, values, sizeof law.values);
    for (int i = 1; i < n; i++)
        t[i] = time_quantile(&law, path, (i + 0.5) / (n + 1));
}

const struct grid_kind grid_logit_normal = {
    .is = {.name = "logit_normal",
           .summary = "quantiles of the logit-normal law of training times",
           .paper = "Esser et al. 2024",
           .options = logit_normal_options},
    .fill = logit_normal_fill,
};
