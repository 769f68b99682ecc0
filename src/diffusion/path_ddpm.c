/*
 * path_ddpm.c - the discrete schedules of DDPM as paths in continuous time
 *
 * DDPM adds noise in T steps with rates b_0 .. b_{T-1}; after step k, alpha^2 = prod_{j <= k}
 * (1 - b_j).  Index k stands at t = 1 - (k + 1) / T, so that t = 0 is the last index and t = 1 no
 * noise at all.  Between two indices log(beta / alpha) is linear in the index, as continuous
 * solvers of such networks interpolate; between the first index and the data the noise level itself
 * falls to zero.  A network trained so is fed the index, T (1 - t) - 1.
 *
 * The product is formed anew at every call.  A thousand multiplications are nothing beside a
 * network, and a path stays a few numbers that can be copied and compared.
 *
 * Ho et al. 2020; Rombach et al. 2022; Nichol and Dhariwal 2021; sampling.md 1.
 */
#include "diffusion/path.h"

#include <math.h>

enum { STEPS, FIRST, LAST };

#define ROW_STEPS                                                                      \
    {                                                                                  \
        .name = "steps", .help = "steps of the discrete process", .type = OPTION_REAL, \
        .offset = STEPS * sizeof(double), .fallback = "1000", .lo = 2, .hi = 100000    \
    }
#define ROWS_RATES(A, B)                                                                    \
    {.name = "first",                                                                       \
     .help = "rate of the step next to the data",                                           \
     .type = OPTION_REAL,                                                                   \
     .offset = FIRST * sizeof(double),                                                      \
     .fallback = A,                                                                         \
     .lo = 1e-9,                                                                            \
     .hi = 0.5},                                                                            \
    {                                                                                       \
        .name = "last", .help = "rate of the step next to pure noise", .type = OPTION_REAL, \
        .offset = LAST * sizeof(double), .fallback = B, .lo = 1e-9, .hi = 0.9               \
    }

typedef double rate_of(int k, const double *values);

static double linear_rate(int k, const double *values)
{
    return values[FIRST] + (values[LAST] - values[FIRST]) * k / (floor(values[STEPS]) - 1);
}

/* Linear in the root of the rate. */
static double scaled_rate(int k, const double *values)
{
    double a = sqrt(values[FIRST]), b = sqrt(values[LAST]);
    double root = a + (b - a) * k / (floor(values[STEPS]) - 1);

    return root * root;
}

static double cosine_level(double u)
{
    const double pi = 3.14159265358979323846, s = 0.008;
    double root = cos((u + s) / (1 + s) * pi / 2);

    return root * root;
}

static double cosine_rate(int k, const double *values)
{
    double T = floor(values[STEPS]);

    return fmin(1 - cosine_level((k + 1) / T) / cosine_level(k / T), 0.999);
}

/* log(beta / alpha) at index k and at the one after, of 0 .. T-1. */
static void log_levels(double out[2], int k, const double *values, rate_of *rate)
{
    int last = (int)floor(values[STEPS]) - 1;
    double log_kept = 0; /* log alpha^2 */

    for (int j = 0; j <= k; j++)
        log_kept += log1p(-rate(j, values));
    out[0] = 0.5 * (log(-expm1(log_kept)) - log_kept);
    out[1] = out[0];
    if (k == last)
        return;
    log_kept += log1p(-rate(k + 1, values));
    out[1] = 0.5 * (log(-expm1(log_kept)) - log_kept);
}

static void fill(struct path_coefs *c, const double *values, double t, rate_of *rate)
{
    double T = floor(values[STEPS]), index = T * (1 - t) - 1, level, slope, ends[2];
    int k = index > 0 ? (int)fmin(floor(index), T - 2) : 0;

    log_levels(ends, k, values, rate);
    if (index >= 0) {
        level = exp(ends[0] + (ends[1] - ends[0]) * (index - k));
        slope = -T * (ends[1] - ends[0]) * level;
    } else {
        slope = -T * exp(ends[0]);
        level = -slope * (1 - t);
    }
    c->alpha = 1 / sqrt(1 + level * level);
    c->beta = level * c->alpha;
    c->dbeta = c->alpha * c->alpha * c->alpha * slope;
    c->dalpha = -level * c->dbeta;
    c->beta_dbeta = c->beta * c->dbeta;
}

static void linear_fill(struct path_coefs *c, const double *values, double t)
{
    fill(c, values, t, linear_rate);
}

static void scaled_fill(struct path_coefs *c, const double *values, double t)
{
    fill(c, values, t, scaled_rate);
}

static void cosine_fill(struct path_coefs *c, const double *values, double t)
{
    fill(c, values, t, cosine_rate);
}

static int steps_of(const double *values)
{
    return (int)floor(values[STEPS]);
}

static const struct option linear_options[] = {ROW_STEPS, ROWS_RATES("1e-4", "0.02"), {0}};
static const struct option scaled_options[] = {ROW_STEPS, ROWS_RATES("0.00085", "0.012"), {0}};
static const struct option cosine_options[] = {ROW_STEPS, {0}};

const struct path_kind path_ddpm_linear = {
    .is = {.name = "ddpm_linear",
           .aliases = {"discrete_ddpm"},
           .summary = "the discrete schedule of DDPM, rates linear in the step",
           .paper = "Ho et al. 2020",
           .options = linear_options},
    .variance_preserving = true,
    .fill = linear_fill,
    .steps = steps_of,
    .rate = linear_rate,
};

const struct path_kind path_ddpm_scaled = {
    .is = {.name = "ddpm_scaled",
           .aliases = {"scaled_linear", "stable_diffusion"},
           .summary =
               "the discrete schedule of Stable Diffusion, roots of rates linear in the step",
           .paper = "Rombach et al. 2022",
           .options = scaled_options},
    .variance_preserving = true,
    .fill = scaled_fill,
    .steps = steps_of,
    .rate = scaled_rate,
};

const struct path_kind path_ddpm_cosine = {
    .is = {.name = "ddpm_cosine",
           .aliases = {"squaredcos_cap_v2"},
           .summary = "the discrete cosine schedule of improved DDPM",
           .paper = "Nichol and Dhariwal 2021",
           .options = cosine_options},
    .variance_preserving = true,
    .fill = cosine_fill,
    .steps = steps_of,
    .rate = cosine_rate,
};
