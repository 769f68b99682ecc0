/*
 * ddpm_learned.c - the ancestral step with the variance that the network says
 *
 * Between two times of a discrete schedule the step back is nearly normal, and its mean follows
 * from the predicted picture.  How uncertain it is, no prediction of the mean tells: theory knows
 * two bounds, with kappa = beta / alpha,
 *
 *     b~ = beta'^2 (1 - (kappa' / kappa)^2)      were the data one point
 *     b  = beta^2  (1 - (kappa' / kappa)^2)      were they as wide as the noise
 *
 * which are the rate and the posterior variance of the schedule that consists of these two times.
 * With a thousand steps they hardly differ; with fifty they do, and the right value depends on the
 * picture and the place.  A network of twice the channels (learn_sigma of a DiT, out_channels of a
 * U-Net) was trained to say it (ops/variational.c), as v in log s^2 = f log b + (1 - f) log b~,
 * f = (v + 1) / 2:
 *
 *     x' = alpha' z + sqrt(beta'^2 - b~) eps + s xi
 *
 * The mean is that of the posterior whatever v is, so v = -1 everywhere is euler_ancestral.  Under
 * guidance the mean is the guided one and v that of the guided branch: extrapolating a variance has
 * no meaning.  The step to the data has b~ = 0 and adds no noise.
 *
 * Nichol and Dhariwal 2021, (15); sampling.md 2.4.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

#include <math.h>

static enum status ddpm_learned_step(struct sampling *s, double t, double next, struct error *err)
{
    struct path_coefs c = sampling_path(s, t), d = sampling_path(s, next);
    double *data = s->work[0], *noise = s->work[1], *v = s->work[2], *xi = s->work[3];
    double ratio = c.beta > 0 && d.alpha > 0 ? c.alpha * d.beta / (c.beta * d.alpha) : 0;
    double lost = fmax(0, 1 - ratio * ratio), kept = d.beta * ratio;
    double log_large = log(c.beta * c.beta * lost), log_small = log(d.beta * d.beta * lost);
    enum status st;

    if ((st = sampling_data_noise(s, data, noise, s->x, t, err)) ||
        (st = sampling_variance(s, v, s->x, t, err)))
        return st;
    for (int64_t i = 0; i < s->n; i++)
        s->x[i] = d.alpha * data[i] + kept * noise[i];
    if (!(d.beta > 0 && lost > 0))
        return OK;
    sampling_noise(s, xi);
    for (int64_t i = 0; i < s->n; i++) {
        double f = 0.5 * (v[i] + 1);

        s->x[i] += exp(0.5 * (f * log_large + (1 - f) * log_small)) * xi[i];
    }
    return OK;
}

const struct sampler sampler_ddpm_learned = {
    .is = {.name = "ddpm_learned",
           .aliases = {"iddpm", "improved_ddpm", "learned_range"},
           .summary = "as euler_ancestral, with the variance that the network learned",
           .paper = "Nichol and Dhariwal 2021"},
    .order = 1,
    .evaluations = 1,
    .on_data = true,
    .stochastic = true,
    .of_variance = true,
    .work = 4,
    .step = ddpm_learned_step,
};
