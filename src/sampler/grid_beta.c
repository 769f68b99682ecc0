/*
 * grid_beta.c - times at equal shares of a beta distribution
 *
 *     I(t_k; a, b) = k / N,    I(t; a, b) = integral of s^(a-1) (1-s)^(b-1) over [0, t] / B(a, b)
 *
 * With a, b below 1 the density is high at both ends: steps are short where the large shapes are
 * settled and where the last detail is, and long between, where little happens.  a alone moves
 * steps to noise, b to data; a = b = 1 is uniform.
 *
 * The incomplete beta function is its continued fraction, on the side where that converges fast
 * (Press et al., "Numerical Recipes", 6.4), inverted by halving.
 * Lee et al. 2024, "Beta Sampling is All You Need".
 */
#include "sampler/grid.h"

#include <math.h>

enum { NOISE_END, DATA_END };
enum { TERMS_MAX = 200, HALVINGS = 60 };

static const double TINY = 1e-300;

static double away_from_zero(double x)
{
    return fabs(x) < TINY ? TINY : x;
}

/* The continued fraction by Lentz's method. */
static double fraction(double t, double a, double b)
{
    double c = 1, d = 1 / away_from_zero(1 - (a + b) * t / (a + 1)), h = d;

    for (int m = 1; m < TERMS_MAX; m++) {
        double even = m * (b - m) * t / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * t / ((a + 2 * m) * (a + 2 * m + 1));
        double before;

        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        h *= c * d;
        before = h;
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        h *= c * d;
        if (h == before)
            break;
    }
    return h;
}

static double share(double t, double a, double b)
{
    double density = pow(t, a) * pow(1 - t, b) * tgamma(a + b) / (tgamma(a) * tgamma(b));

    if (t < (a + 1) / (a + b + 2))
        return density * fraction(t, a, b) / a;
    return 1 - density * fraction(1 - t, b, a) / b;
}

static double quantile(double p, double a, double b)
{
    double lo = 0, hi = 1;

    for (int i = 0; i < HALVINGS; i++) {
        double t = 0.5 * (lo + hi);

        if (share(t, a, b) < p)
            lo = t;
        else
            hi = t;
    }
    return 0.5 * (lo + hi);
}

static void beta_fill(double *t, int n, const double *values, const struct path *path)
{
    (void)path;
    for (int k = 1; k < n; k++)
        t[k] = quantile((double)k / n, values[NOISE_END], values[DATA_END]);
}

static const struct option beta_options[] = {
    {.name = "a",
     .help = "smaller: more steps near noise",
     .type = OPTION_REAL,
     .offset = NOISE_END * sizeof(double),
     .fallback = "0.6",
     .lo = 0.3,
     .hi = 10},
    {.name = "b",
     .help = "smaller: more steps near the picture",
     .type = OPTION_REAL,
     .offset = DATA_END * sizeof(double),
     .fallback = "0.6",
     .lo = 0.3,
     .hi = 10},
    {0},
};

const struct grid_kind grid_beta = {
    .is = {.name = "beta",
           .summary = "equal shares of a beta distribution: short steps at both ends",
           .paper = "Lee et al. 2024",
           .options = beta_options},
    .fill = beta_fill,
};
