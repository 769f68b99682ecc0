/*
 * edm.c - Heun's step in the noise level, with churn
 *
 * In the variables X = x / alpha and kappa = beta / alpha every Gaussian path is the same flow,
 * dX / dkappa = E[eps | x], whose slope changes slowly; Heun's step there needs few evaluations.
 * Churn first adds noise to reach a slightly earlier time and then steps over the longer way,
 * which corrects what earlier steps did wrong, at the price of what it does wrong itself:
 *
 *     gamma = min(churn / N, sqrt 2 - 1) where churn_min <= kappa <= churn_max, else 0
 *     kappa^ = kappa (1 + gamma),   X^ = X + sqrt(kappa^^2 - kappa^2) noise xi
 *     d = eps(X^, kappa^),  X' = X^ + (kappa' - kappa^) d,  then the mean of d and the slope there
 *
 * Where alpha = 0 the noise level is infinite: that first step is taken as DDIM takes it, which is
 * exact in the limit.  Where beta = 0 at the end there is no slope to average with.
 * sampling.md 2.2; Karras et al. 2022, algorithm 2.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

#include <math.h>

enum { CHURN, CHURN_MIN, CHURN_MAX, NOISE };
static const struct option edm_options[] = {
    {.name = "churn",
     .help = "noise added and taken away again in all steps together; 0: none",
     .type = OPTION_REAL,
     .offset = CHURN * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1000},
    {.name = "churn_min",
     .help = "lowest noise level beta / alpha that is churned",
     .type = OPTION_REAL,
     .offset = CHURN_MIN * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1e9},
    {.name = "churn_max",
     .help = "highest noise level that is churned",
     .type = OPTION_REAL,
     .offset = CHURN_MAX * sizeof(double),
     .fallback = "1e9",
     .lo = 0,
     .hi = 1e9},
    {.name = "noise",
     .help = "size of the added noise; a little above 1 makes up for smoothing",
     .type = OPTION_REAL,
     .offset = NOISE * sizeof(double),
     .fallback = "1",
     .lo = 0,
     .hi = 10},
    {0},
};

/* From alpha = 0: x' = alpha' E[z] + beta' eps. */
static enum status from_pure_noise(struct sampling *s, double t, const struct path_coefs *d,
                                   struct error *err)
{
    double *data = s->work[0], *noise = s->work[1];
    enum status st;

    if ((st = sampling_data_noise(s, data, noise, s->x, t, err)))
        return st;
    for (int64_t i = 0; i < s->n; i++)
        s->x[i] = d->alpha * data[i] + d->beta * noise[i];
    return OK;
}

/* Add noise until kappa (1 + gamma); *c becomes the path there, s->x the point. */
static void churn(struct sampling *s, struct path_coefs *c)
{
    const double *v = s->values;
    double kappa = c->beta / c->alpha, gamma = fmin(v[CHURN] / s->request->steps, sqrt(2.0) - 1);
    double *xi = s->work[0], added, back = 1 / c->alpha;

    if (!(gamma > 0) || kappa < v[CHURN_MIN] || kappa > v[CHURN_MAX])
        return;
    *c = sampling_path(s, path_time_of_noise(&s->request->field->path, kappa * (1 + gamma)));
    added = c->beta / c->alpha;
    added = v[NOISE] * sqrt(fmax(0, added * added - kappa * kappa));
    sampling_noise(s, xi);
    for (int64_t i = 0; i < s->n; i++)
        s->x[i] = c->alpha * (back * s->x[i] + added * xi[i]);
}

static enum status edm_step(struct sampling *s, double t, double next, struct error *err)
{
    struct path_coefs c = sampling_path(s, t), d = sampling_path(s, next);
    double *data = s->work[0], *d0 = s->work[1], *d1 = s->work[2], *y = s->work[3], h;
    enum status st;

    if (c.alpha == 0)
        return from_pure_noise(s, t, &d, err);
    churn(s, &c);
    h = d.beta / d.alpha - c.beta / c.alpha;
    if ((st = sampling_data_noise(s, data, d0, s->x, c.t, err)))
        return st;
    for (int64_t i = 0; i < s->n; i++)
        y[i] = d.alpha * (s->x[i] / c.alpha + h * d0[i]);
    if (d.beta == 0 || !field_has(s->request->field, PREDICT_NOISE, next)) {
        vec_copy(s->x, y, s->n);
        return OK;
    }
    if ((st = sampling_data_noise(s, data, d1, y, next, err)))
        return st;
    for (int64_t i = 0; i < s->n; i++)
        s->x[i] = d.alpha * (s->x[i] / c.alpha + 0.5 * h * (d0[i] + d1[i]));
    return OK;
}

const struct sampler sampler_edm = {
    .is = {.name = "edm",
           .aliases = {"edm_heun", "heun_churn"},
           .summary = "second order in the noise level, with optional churn",
           .paper = "Karras et al. 2022",
           .options = edm_options},
    .order = 2,
    .evaluations = 2,
    .on_data = true,
    .stochastic = true,
    .work = 4,
    .step = edm_step,
};
