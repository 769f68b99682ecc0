/*
 * grid_sigma.c - grids of the published latent flow models
 *
 * Their schedules count the share of noise sigma = 1 - t of a straight path, down from 1, and never
 * evaluate at 0: N steps have N levels, the last of them small, and end on none.
 *
 *     S(u) = a u / (1 + (a - 1) u)        moves equal steps towards noise, a times
 *
 * In the static form the N levels are equally spaced between S(1) = 1 and S(1/1000), the ends of
 * the thousand levels of training, and then S is applied to each.  So the small end is shifted
 * twice; every public implementation does it, and the pictures people know were made with it.
 *
 * In the dynamic form the levels are equally spaced from 1 to 1/1000 and shifted once, by an amount
 * that follows from the number of tokens, for a large picture keeps its layout under more noise:
 * mu is a straight line through two sizes, and a = e^mu, or mu itself.
 *
 * Esser et al. 2024, section 5.3.2.
 */
#include "sampler/grid.h"

#include "diffusion/time.h"

#include <math.h>

static const double smallest = 1e-3; /* the last level before the shift */

/* t of the N levels between 1 and `last`, equally spaced and then shifted. */
static void levels_fill(double *t, int n, double last, double a)
{
    for (int i = 1; i < n; i++)
        t[i] = 1 - sigma_shifted(1 + (last - 1) * i / (n - 1), a);
}

enum { SD3_SHIFT };
static const struct option sd3_options[] = {
    {.name = "shift",
     .help = "how many times noisier the middle of the grid is; the published models have 3",
     .type = OPTION_REAL,
     .offset = SD3_SHIFT * sizeof(double),
     .fallback = "3",
     .lo = 0.01,
     .hi = 100},
    {0},
};

static void sd3_fill(double *t, int n, const double *values, const struct path *path)
{
    (void)path;
    levels_fill(t, n, sigma_shifted(smallest, values[SD3_SHIFT]), values[SD3_SHIFT]);
}

const struct grid_kind grid_sd3 = {
    .is = {.name = "sd3",
           .aliases = {"flow_match_euler", "sd3_static"},
           .summary = "the levels of Stable Diffusion 3: shifted, the small end twice",
           .paper = "Esser et al. 2024",
           .options = sd3_options},
    .fill = sd3_fill,
};

enum { TOKENS, BASE_SHIFT, MAX_SHIFT, BASE_TOKENS, MAX_TOKENS, LINEAR };

/* A row of the dynamic grid. */
#define ROW(where, named, about, usual, least, most)                                         \
    {                                                                                        \
        .name = named, .help = about, .type = OPTION_REAL, .offset = where * sizeof(double), \
        .fallback = usual, .lo = least, .hi = most                                           \
    }

static const struct option dynamic_options[] = {
    ROW(TOKENS, "tokens", "of the picture: a quarter of its latents", "4096", 1, 1e9),
    ROW(BASE_SHIFT, "base_shift", "mu at base_tokens", "0.5", -10, 10),
    ROW(MAX_SHIFT, "max_shift", "mu at max_tokens", "1.15", -10, 10),
    ROW(BASE_TOKENS, "base_tokens", "of the smaller of two sizes", "256", 1, 1e9),
    ROW(MAX_TOKENS, "max_tokens", "of the larger", "4096", 1, 1e9),
    ROW(LINEAR, "linear", "1: the shift is mu; 0: e^mu", "0", 0, 1),
    {0},
};

static double dynamic_shift(const double *values)
{
    double slope =
        (values[MAX_SHIFT] - values[BASE_SHIFT]) / (values[MAX_TOKENS] - values[BASE_TOKENS]);
    double mu = values[BASE_SHIFT] + slope * (values[TOKENS] - values[BASE_TOKENS]);

    return values[LINEAR] > 0.5 ? mu : exp(mu);
}

static enum status dynamic_check(int n, const double *values, struct error *err)
{
    double a;

    (void)n;
    if (values[MAX_TOKENS] <= values[BASE_TOKENS])
        return fail(err, E_ARG, "max_tokens = %g is not above base_tokens = %g", values[MAX_TOKENS],
                    values[BASE_TOKENS]);
    a = dynamic_shift(values);
    if (!(a >= 1e-6 && a <= 1e6))
        return fail(err, E_ARG, "%g tokens make a shift of %g; 1e-6 .. 1e6 can be had",
                    values[TOKENS], a);
    return OK;
}

static void dynamic_fill(double *t, int n, const double *values, const struct path *path)
{
    (void)path;
    levels_fill(t, n, smallest, dynamic_shift(values));
}

const struct grid_kind grid_sd3_dynamic = {
    .is = {.name = "sd3_dynamic",
           .aliases = {"flow_match_dynamic"},
           .summary = "levels shifted by as much as the picture's size asks for",
           .paper = "Esser et al. 2024",
           .options = dynamic_options},
    .fill = dynamic_fill,
    .check = dynamic_check,
};
