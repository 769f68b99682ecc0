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

static double uniform_draw(const double *values, const struct path *path, struct rng *r)
{
    (void)path;
    return values[UNIFORM_T0] + (values[UNIFORM_T1] - values[UNIFORM_T0]) * rng_uniform(r);
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
    .draw = uniform_draw,
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

static double logit_normal_draw(const double *values, const struct path *path, struct rng *r)
{
    (void)path;
    return 1 / (1 + exp(-(values[LOGIT_MEAN] + values[LOGIT_STD] * rng_normal(r))));
}

static const struct time_kind time_logit_normal = {
    .is = {.name = "logit_normal",
           .aliases = {"lognorm", "logistic_normal"},
           .summary = "most times in the middle of the path",
           .paper = "Esser et al. 2024",
           .options = logit_normal_options},
    .draw = logit_normal_draw,
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
static double mode_draw(const double *values, const struct path *path, struct rng *r)
{
    double u = rng_uniform(r), root = cos(half_pi * u);

    (void)path;
    return u + values[MODE_S] * (root * root - 1 + u);
}

static const struct time_kind time_mode = {
    .is = {.name = "mode",
           .summary = "most times in the middle, with heavy tails",
           .paper = "Esser et al. 2024",
           .options = mode_options},
    .draw = mode_draw,
    .ends = whole_ends,
};

/* log SNR then has the law that a uniform time gives it on the cosine path. */
static double cosmap_draw(const double *values, const struct path *path, struct rng *r)
{
    (void)values, (void)path;
    return 1 - 1 / (1 + tan(half_pi * rng_uniform(r)));
}

static const struct time_kind time_cosmap = {
    .is = {.name = "cosmap",
           .summary = "density 2 / (pi - 2 pi t + 2 pi t^2): on condot, the noise levels of cosine",
           .paper = "Esser et al. 2024"},
    .draw = cosmap_draw,
    .ends = whole_ends,
};

static const struct option log_normal_options[] =
    LOG_NORMAL_ROWS("mean of log(beta / alpha); above 0 favours noise", "-1.2", "1.2");

static double log_normal_draw(const double *values, const struct path *path, struct rng *r)
{
    double level = exp(values[LOGIT_MEAN] + values[LOGIT_STD] * rng_normal(r));

    return path_time_of_noise(path, level);
}

static const struct time_kind time_log_normal = {
    .is = {.name = "log_normal",
           .aliases = {"edm"},
           .summary = "the noise level beta / alpha log-normal, whatever the path",
           .paper = "Karras et al. 2022",
           .options = log_normal_options},
    .draw = log_normal_draw,
};

static double discrete_draw(const double *values, const struct path *path, struct rng *r)
{
    int T = path_steps(path), k = (int)(rng_uniform(r) * T);

    (void)values;
    return path_time_of_index(path, k < T ? k : T - 1);
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
    double t = d->kind->draw(d->values, path, &r);

    /* Rounding may reach 1, where some targets are infinite. */
    return t < 1 ? t : 1 - 0x1p-53;
}
