/*
 * time.c - the law of the time t that a training sample is shown at
 *
 * Any law with mass everywhere trains the same minimiser; the law decides where the network spends
 * its effort.  Uniform is the plain loss.  The logit-normal law gives most samples to the middle of
 * the path, where noise and data are hardest to tell apart, and few to the ends; mode and cosmap do
 * so and keep some at the ends.  The log-normal law is one of the noise level beta / alpha, and the
 * path says at which time that is.  Discrete is the uniform law on the indices of a schedule.
 *
 * Each sample has its own time, from its own stream: a time shared by a batch would have the right
 * mean gradient and several times its variance.  theory.md 1.4, 1.5; Esser et al. 2024.
 */
#include "diffusion/time.h"

#include <math.h>
#include <string.h>

static const double half_pi = 1.57079632679489661923;

enum { UNIFORM_T0, UNIFORM_T1 };
static const struct option uniform_options[] = {
    {.name = "t0",
     .help = "earliest time",
     .type = OPTION_REAL,
     .offset = UNIFORM_T0 * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1},
    {.name = "t1",
     .help = "latest time",
     .type = OPTION_REAL,
     .offset = UNIFORM_T1 * sizeof(double),
     .fallback = "1",
     .lo = 0,
     .hi = 1},
    {0},
};

static double uniform_quantile(const double *values, const struct path *path, double u)
{
    (void)path;
    return values[UNIFORM_T0] + (values[UNIFORM_T1] - values[UNIFORM_T0]) * u;
}

static double uniform_density(const double *values, double t)
{
    return t < values[UNIFORM_T0] || t > values[UNIFORM_T1]
               ? 0
               : 1 / (values[UNIFORM_T1] - values[UNIFORM_T0]);
}

static enum status uniform_check(const double *values, const struct path *path, struct error *err)
{
    (void)path;
    if (values[UNIFORM_T0] >= values[UNIFORM_T1])
        return fail(err, E_ARG, "training times run from %g to %g: the first must be the smaller",
                    values[UNIFORM_T0], values[UNIFORM_T1]);
    return OK;
}

static void uniform_ends(const double *values, const struct path *path, double ends[2])
{
    (void)path;
    ends[0] = values[UNIFORM_T0];
    ends[1] = values[UNIFORM_T1];
}

static const struct time_kind time_uniform = {
    .is = {.name = "uniform",
           .summary = "all times alike, from t0 to t1",
           .options = uniform_options},
    .quantile = uniform_quantile,
    .density = uniform_density,
    .check = uniform_check,
    .ends = uniform_ends,
};

/* Rows of a law whose logarithm is normal: what it is the mean of, and the two values. */
#define LOG_NORMAL_ROWS(of, usual_mean, usual_std) \
    {                                              \
        {.name = "mean",                           \
         .help = of,                               \
         .type = OPTION_REAL,                      \
         .offset = LOGIT_MEAN * sizeof(double),    \
         .fallback = usual_mean,                   \
         .lo = -10,                                \
         .hi = 10},                                \
            {.name = "std",                        \
             .help = "its standard deviation",     \
             .type = OPTION_REAL,                  \
             .offset = LOGIT_STD * sizeof(double), \
             .fallback = usual_std,                \
             .lo = 0.01,                           \
             .hi = 10},                            \
            {0},                                   \
    }

const struct option logit_normal_options[] =
    LOG_NORMAL_ROWS("mean of log(t / (1 - t)); below 0 favours noise", "0", "1");

/* The z below which a standard normal number falls with probability p, by halving: erfc is exact to
 * the last bits, and this is asked for a few dozen times a run. */
static double normal_quantile(double p)
{
    double lo = -40, hi = 40;

    for (double mid = 0; mid > lo && mid < hi; mid = 0.5 * (lo + hi)) {
        if (0.5 * erfc(-mid / sqrt(2.0)) < p)
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

static double logit_normal_of(const double *values, double z)
{
    return 1 / (1 + exp(-(values[LOGIT_MEAN] + values[LOGIT_STD] * z)));
}

static double logit_normal_quantile(const double *values, const struct path *path, double u)
{
    (void)path;
    return logit_normal_of(values, normal_quantile(u));
}

static double logit_normal_draw(const double *values, const struct path *path, struct rng *r)
{
    (void)path;
    return logit_normal_of(values, rng_normal(r));
}

static double logit_normal_density(const double *values, double t)
{
    double z = (log(t / (1 - t)) - values[LOGIT_MEAN]) / values[LOGIT_STD];

    return exp(-0.5 * z * z) / (values[LOGIT_STD] * sqrt(4 * half_pi) * t * (1 - t));
}

static const struct time_kind time_logit_normal = {
    .is = {.name = "logit_normal",
           .aliases = {"lognorm", "logistic_normal"},
           .summary = "most times in the middle of the path",
           .paper = "Esser et al. 2024",
           .options = logit_normal_options},
    .quantile = logit_normal_quantile,
    .draw = logit_normal_draw,
    .density = logit_normal_density,
};

static void whole_ends(const double *values, const struct path *path, double ends[2])
{
    (void)values, (void)path;
    ends[0] = 0;
    ends[1] = 1;
}

enum { MODE_S };
static const struct option mode_options[] = {
    {.name = "s",
     .help = "0 uniform, above 0 more in the middle, below 0 more at the ends",
     .type = OPTION_REAL,
     .offset = MODE_S * sizeof(double),
     .fallback = "1.29",
     .lo = -1,
     .hi = 1.75},
    {0},
};

/* Odd about t = 1/2, so it is the same law whichever end is noise. */
static double mode_quantile(const double *values, const struct path *path, double u)
{
    double root = cos(half_pi * u);

    (void)path;
    return u + values[MODE_S] * (root * root - 1 + u);
}

static const struct time_kind time_mode = {
    .is = {.name = "mode",
           .summary = "most times in the middle, with heavy tails",
           .paper = "Esser et al. 2024",
           .options = mode_options},
    .quantile = mode_quantile,
    .ends = whole_ends,
};

/* log SNR then has the law that a uniform time gives it on the cosine path. */
static double cosmap_quantile(const double *values, const struct path *path, double u)
{
    (void)values, (void)path;
    return 1 - 1 / (1 + tan(half_pi * u));
}

static double cosmap_density(const double *values, double t)
{
    (void)values;
    return 1 / (half_pi * (1 - 2 * t + 2 * t * t));
}

static const struct time_kind time_cosmap = {
    .is = {.name = "cosmap",
           .summary = "density 2 / (pi - 2 pi t + 2 pi t^2): on condot, the noise levels of cosine",
           .paper = "Esser et al. 2024"},
    .quantile = cosmap_quantile,
    .density = cosmap_density,
    .ends = whole_ends,
};

static const struct option log_normal_options[] =
    LOG_NORMAL_ROWS("mean of log(beta / alpha); above 0 favours noise", "-1.2", "1.2");

static double log_normal_of(const double *values, const struct path *path, double z)
{
    return path_time_of_noise(path, exp(values[LOGIT_MEAN] + values[LOGIT_STD] * z));
}

/* The more noise, the earlier. */
static double log_normal_quantile(const double *values, const struct path *path, double u)
{
    return log_normal_of(values, path, -normal_quantile(u));
}

static double log_normal_draw(const double *values, const struct path *path, struct rng *r)
{
    return log_normal_of(values, path, rng_normal(r));
}

static const struct time_kind time_log_normal = {
    .is = {.name = "log_normal",
           .aliases = {"edm"},
           .summary = "the noise level beta / alpha log-normal, whatever the path",
           .paper = "Karras et al. 2022",
           .options = log_normal_options},
    .quantile = log_normal_quantile,
    .draw = log_normal_draw,
};

static double discrete_draw(const double *values, const struct path *path, struct rng *r)
{
    int T = path_steps(path), k = (int)(rng_uniform(r) * T);

    (void)values;
    return path_time_of_index(path, k < T ? k : T - 1);
}

/* The last index is the first time. */
static double discrete_quantile(const double *values, const struct path *path, double u)
{
    int T = path_steps(path), k = T - 1 - (int)(u * T);

    (void)values;
    return path_time_of_index(path, k > 0 ? k : 0);
}

static enum status discrete_check(const double *values, const struct path *path, struct error *err)
{
    (void)values;
    if (path_steps(path))
        return OK;
    return fail(err, E_ARG,
                "the path '%s' is continuous: times at the indices of a schedule need a path of "
                "discrete steps such as ddpm_linear",
                path->kind->is.name);
}

static void discrete_ends(const double *values, const struct path *path, double ends[2])
{
    (void)values;
    ends[0] = 0;
    ends[1] = path_time_of_index(path, 0);
}

static const struct time_kind time_discrete = {
    .is = {.name = "discrete",
           .aliases = {"ddpm"},
           .summary = "the indices of a discrete schedule, all alike",
           .paper = "Ho et al. 2020"},
    .quantile = discrete_quantile,
    .draw = discrete_draw,
    .check = discrete_check,
    .ends = discrete_ends,
};

const struct time_kind *time_kind_at(int i)
{
    static const struct time_kind *const all[] = {&time_uniform,    &time_logit_normal,
                                                  &time_mode,       &time_cosmap,
                                                  &time_log_normal, &time_discrete};

    return i >= 0 && i < (int)(sizeof(all) / sizeof(*all)) ? all[i] : NULL;
}

static const struct choice *time_choice_at(int i)
{
    const struct time_kind *kind = time_kind_at(i);

    return kind ? &kind->is : NULL;
}

enum status time_init(struct time_density *d, const char *name, struct error *err)
{
    enum status st;
    int i;

    memset(d, 0, sizeof(*d));
    if ((st = choice_find(&i, "time density", name, time_choice_at, err)))
        return st;
    d->kind = time_kind_at(i);
    choice_defaults(d->values, &d->kind->is);
    return OK;
}

enum status time_set(struct time_density *d, const char *param, double value, struct error *err)
{
    return choice_set(d->values, &d->kind->is, param, value, err);
}

enum status time_check(const struct time_density *d, const struct path *path, struct error *err)
{
    enum status st = choice_check(d->values, &d->kind->is, err);

    return st || !d->kind->check ? st : d->kind->check(d->values, path, err);
}

bool time_ends(const struct time_density *d, const struct path *path, double ends[2])
{
    if (d->kind->ends)
        d->kind->ends(d->values, path, ends);
    return d->kind->ends != NULL;
}

double time_draw(const struct time_density *d, const struct path *path, uint64_t seed,
                 uint64_t sample)
{
    struct rng r = rng_stream(seed, RNG_TIME, sample);
    double t = d->kind->draw ? d->kind->draw(d->values, path, &r)
                             : d->kind->quantile(d->values, path, rng_uniform(&r));

    /* Rounding may reach 1, where some targets are infinite. */
    return t < 1 ? t : 1 - 0x1p-53;
}

double time_quantile(const struct time_density *d, const struct path *path, double u)
{
    return d->kind->quantile(d->values, path, u);
}

double time_density_at(const struct time_density *d, double t)
{
    MUST(d->kind->density, "the law '%s' has no density in closed form", d->kind->is.name);
    return d->kind->density(d->values, t);
}

double sigma_shifted(double sigma, double a)
{
    return a * sigma / (1 + (a - 1) * sigma);
}
