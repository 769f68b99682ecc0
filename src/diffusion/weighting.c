/*
 * weighting.c - how much an error counts at each noise level
 *
 * A positive weight of t leaves the minimiser where it is at every t (theory.md 1.4); with a
 * network of finite size it decides which noise levels are learned well at the cost of others.  By
 * (2.5) the squared errors of all predictions are each other's multiples, so "the loss on noise"
 * and "the loss on data times the signal-to-noise ratio" are one loss.  Papers state their weight
 * for the prediction they train; here each row says which one that is, and objective.c brings it to
 * the prediction of the network at hand.  A weight stated on data thus means the same for every
 * network.
 *
 * With SNR = alpha^2 / beta^2.  The plain SNR weights are not rows: SNR on data is the uniform
 * weight on noise, and SNR + 1 on data that on v.
 */
#include "diffusion/weighting.h"

#include <math.h>
#include <string.h>

#define NUMBER(INDEX, NAME, HELP, DEFAULT, LO, HI)                                           \
    {                                                                                        \
        .name = NAME, .help = HELP, .type = OPTION_REAL, .offset = (INDEX) * sizeof(double), \
        .fallback = DEFAULT, .lo = (LO), .hi = (HI)                                          \
    }

static double snr(const struct path_coefs *c)
{
    return c->alpha * c->alpha / (c->beta * c->beta);
}

static double uniform_weight(const double *values, const struct path_coefs *c)
{
    (void)values, (void)c;
    return 1;
}

static const struct option min_snr_options[] = {
    NUMBER(0, "gamma", "largest weight on data", "5", 1e-6, 1e6), {0}};

static double min_snr_weight(const double *values, const struct path_coefs *c)
{
    return fmin(snr(c), values[0]);
}

static double truncated_snr_weight(const double *values, const struct path_coefs *c)
{
    (void)values;
    return fmax(snr(c), 1);
}

static const struct option p2_options[] = {
    NUMBER(0, "k", "added to the SNR", "1", 1e-6, 1e6),
    NUMBER(1, "gamma", "power", "1", 0, 10),
    {0},
};

static double p2_weight(const double *values, const struct path_coefs *c)
{
    return pow(values[0] + snr(c), -values[1]);
}

static const struct option sigmoid_options[] = {
    NUMBER(0, "bias", "log SNR at which the weight is one half", "2", -20, 20), {0}};

/* sigmoid(bias - log SNR), without a logarithm of 0. */
static double sigmoid_weight(const double *values, const struct path_coefs *c)
{
    return 1 / (1 + exp(-values[0]) * snr(c));
}

static const struct option edm_options[] = {
    NUMBER(0, "data_std", "standard deviation of the data", "0.5", 1e-6, 1e6), {0}};

/* (k^2 + v) / (k^2 v) with k = beta / alpha, v = data_std^2. */
static double edm_weight(const double *values, const struct path_coefs *c)
{
    return 1 / (values[0] * values[0]) + snr(c);
}

static const struct weighting_kind kinds[] = {
    {{.name = "uniform", .summary = "every noise level alike"}, N_PREDICTIONS, uniform_weight},
    {{.name = "min_snr",
      .summary = "min(SNR, gamma) on data: levels of little noise are not learned at any price",
      .paper = "Hang et al. 2023",
      .options = min_snr_options},
     PREDICT_DATA,
     min_snr_weight},
    {{.name = "truncated_snr",
      .summary = "max(SNR, 1) on data: as on noise, and as on data where noise prevails",
      .paper = "Salimans and Ho 2022"},
     PREDICT_DATA,
     truncated_snr_weight},
    {{.name = "p2",
      .summary = "(k + SNR)^-gamma on noise: less for what the eye does not see",
      .paper = "Choi et al. 2022",
      .options = p2_options},
     PREDICT_NOISE,
     p2_weight},
    {{.name = "sigmoid",
      .summary = "sigmoid(bias - log SNR) on noise: never more for less noise",
      .paper = "Kingma and Gao 2023",
      .options = sigmoid_options},
     PREDICT_NOISE,
     sigmoid_weight},
    {{.name = "edm",
      .summary = "1 / data_std^2 + SNR on data: unit size at every level under edm preconditioning",
      .paper = "Karras et al. 2022",
      .options = edm_options},
     PREDICT_DATA,
     edm_weight},
};

const struct weighting_kind *weighting_kind_at(int i)
{
    return i >= 0 && i < (int)(sizeof kinds / sizeof *kinds) ? &kinds[i] : NULL;
}

static const struct choice *weighting_choice_at(int i)
{
    return weighting_kind_at(i) ? &weighting_kind_at(i)->is : NULL;
}

enum status weighting_init(struct weighting *w, const char *name, struct error *err)
{
    enum status st;
    int i;

    memset(w, 0, sizeof(*w));
    if ((st = choice_find(&i, "weight", name, weighting_choice_at, err)))
        return st;
    w->kind = weighting_kind_at(i);
    choice_defaults(w->values, &w->kind->is);
    return OK;
}

enum status weighting_set(struct weighting *w, const char *param, double value, struct error *err)
{
    return choice_set(w->values, &w->kind->is, param, value, err);
}

enum prediction weighting_on(const struct weighting *w)
{
    return w->kind ? w->kind->on : N_PREDICTIONS;
}

bool weighting_is_uniform(const struct weighting *w)
{
    return !w->kind || w->kind == &kinds[0];
}

double weighting_at(const struct weighting *w, const struct path_coefs *c)
{
    return w->kind ? w->kind->weight(w->values, c) : 1;
}
