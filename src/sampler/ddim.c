/*
 * ddim.c - remove the predicted noise, put back a little less
 *
 * From t to t' with E[z | x] and E[eps | x] at hand, x' = alpha' z + beta' eps: the point of the
 * same straight line at the next noise level.  Replacing part of the predicted noise by fresh noise
 * of the same size,
 *
 *     x' = alpha' z + sqrt(beta'^2 - s^2) eps + s xi,   s = zeta beta' sqrt(1 - (kappa' / kappa)^2)
 *
 * with kappa = beta / alpha, gives a family: zeta = 0 is DDIM, zeta = 1 has the posterior variance
 * of DDPM.  Ancestral Euler in the variable kappa (step down to sqrt(kappa'^2 - up^2), add `up`) is
 * this very formula divided by alpha', so it is here under its own name with zeta = 1.
 *
 * No step divides by alpha or beta: it starts where alpha = 0 and ends where beta = 0.
 * theory.md (2.11), (2.12); Song et al. 2021; Ho et al. 2020.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

#include <math.h>

enum { ZETA };

static enum status ddim_step(struct sampling *s, double t, double next, struct error *err)
{
    struct path_coefs c = sampling_path(s, t), d = sampling_path(s, next);
    double *data = s->work[0], *noise = s->work[1], *xi = s->work[2];
    double ratio = c.beta > 0 && d.alpha > 0 ? c.alpha * d.beta / (c.beta * d.alpha) : 0;
    double fresh = s->values[ZETA] * d.beta * sqrt(fmax(0, 1 - ratio * ratio));
    double kept = sqrt(fmax(0, d.beta * d.beta - fresh * fresh));
    enum status st;

    if ((st = sampling_data_noise(s, data, noise, s->x, t, err)))
        return st;
    for (int64_t i = 0; i < s->n; i++)
        s->x[i] = d.alpha * data[i] + kept * noise[i];
    if (fresh > 0) {
        sampling_noise(s, xi);
        vec_step(s->x, s->x, fresh, xi, s->n);
    }
    return OK;
}

static const struct option ddim_options[] = {
    {.name = "zeta",
     .help = "share of fresh noise: 0 none, 1 as DDPM (called eta elsewhere)",
     .type = OPTION_REAL,
     .offset = ZETA * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1},
    {0},
};

const struct sampler sampler_ddim = {
    .is = {.name = "ddim",
           .summary = "first order on predicted data and noise; on condot the same as euler",
           .paper = "Song et al. 2021",
           .options = ddim_options},
    .order = 1,
    .evaluations = 1,
    .on_data = true,
    .stochastic = true,
    .work = 3,
    .step = ddim_step,
};

static const struct option ancestral_options[] = {
    {.name = "zeta",
     .help = "share of fresh noise: 0 none, 1 as DDPM (called eta elsewhere)",
     .type = OPTION_REAL,
     .offset = ZETA * sizeof(double),
     .fallback = "1",
     .lo = 0,
     .hi = 1},
    {0},
};

const struct sampler sampler_euler_ancestral = {
    .is = {.name = "euler_ancestral",
           .aliases = {"euler_a", "k_euler_a", "ancestral", "ddpm"},
           .summary = "as ddim, with all noise that the posterior allows made afresh",
           .paper = "Ho et al. 2020",
           .options = ancestral_options},
    .order = 1,
    .evaluations = 1,
    .on_data = true,
    .stochastic = true,
    .work = 3,
    .step = ddim_step,
};
