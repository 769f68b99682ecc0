/*
 * time.c - the law of the time t that a training sample is shown at
 *
 * Any law with mass everywhere trains the same minimiser; the law decides where the network spends
 * its effort.  Uniform is the plain loss.  The logit-normal law gives most samples to the middle of
 * the path, where noise and data are hardest to tell apart, and few to the ends.  Each sample has
 * its own time, from its own stream: a time shared by a batch would have the right mean gradient
 * and several times its variance.  theory.md 1.4, 1.5; Esser et al. 2024.
 */
#include "diffusion/time.h"

#include <math.h>
#include <string.h>

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

static double uniform_draw(const double *values, struct rng *r)
{
    return values[UNIFORM_T0] + (values[UNIFORM_T1] - values[UNIFORM_T0]) * rng_uniform(r);
}

static enum status uniform_check(const double *values, struct error *err)
{
    if (values[UNIFORM_T0] >= values[UNIFORM_T1])
        return fail(err, E_ARG, "training times run from %g to %g: the first must be the smaller",
                    values[UNIFORM_T0], values[UNIFORM_T1]);
    return OK;
}

static const struct time_kind time_uniform = {
    .is = {.name = "uniform",
           .summary = "all times alike, from t0 to t1",
           .options = uniform_options},
    .draw = uniform_draw,
    .check = uniform_check,
};

enum { LOGIT_MEAN, LOGIT_STD };
static const struct option logit_normal_options[] = {
    {.name = "mean",
     .help = "mean of log(t / (1 - t)); below 0 favours noise",
     .type = OPTION_REAL,
     .offset = LOGIT_MEAN * sizeof(double),
     .fallback = "0",
     .lo = -10,
     .hi = 10},
    {.name = "std",
     .help = "its standard deviation",
     .type = OPTION_REAL,
     .offset = LOGIT_STD * sizeof(double),
     .fallback = "1",
     .lo = 0.01,
     .hi = 10},
    {0},
};

static double logit_normal_draw(const double *values, struct rng *r)
{
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

const struct time_kind *time_kind_at(int i)
{
    static const struct time_kind *const all[] = {&time_uniform, &time_logit_normal};

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

enum status time_check(const struct time_density *d, struct error *err)
{
    enum status st = choice_check(d->values, &d->kind->is, err);

    return st || !d->kind->check ? st : d->kind->check(d->values, err);
}

double time_draw(const struct time_density *d, uint64_t seed, uint64_t sample)
{
    struct rng r = rng_stream(seed, RNG_TIME, sample);
    double t = d->kind->draw(d->values, &r);

    /* Rounding may reach 1, where some targets are infinite. */
    return t < 1 ? t : 1 - 0x1p-53;
}
