/*
 * sde.c - steps of the SDE that has the marginals of the flow
 *
 *     dX = [u + w_t s] dt + sqrt(2 w_t) dW            theory.md (2.6), (3.15)
 *
 * Euler and Maruyama take the drift at the start and add noise of variance 2 w h: weak order one.
 * Stochastic Heun adds the noise first and then makes one Heun step of the drift from there, with
 * the noise's strength taken at the start, which leaves a smaller constant for a second evaluation.
 *
 * The score that stirs must be the score of the very density that the velocity transports: a guided
 * velocity with an unguided score would give a result that depends on w_t even where none should
 * (theory.md 3.7).  From a model of one prediction both are read off that one; a model that learned
 * the two separately gives each its own, both under the same guidance.
 *
 * The last step is special: its noise would stay in the picture.  What it does instead is a choice
 * (enum last_step), and by default the drift alone.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

#include <math.h>

enum { SCORE = 3 }; /* the work array of a second prediction */

static double strength_at(const struct sampling *s, const struct path_coefs *c)
{
    const struct diffusion *d = &s->request->diffusion;
    const struct diffusion_kind *kind = d->kind ? d->kind : diffusion_kind_at(0);

    return kind->strength(c, d->scale);
}

/* out = u + w s, each as the model of two predictions has it. */
static enum status drift_of_two(struct sampling *s, double *out, const double *x, double t,
                                double strength, struct error *err)
{
    double *score = s->work[SCORE];
    enum status st;

    if ((st = sampling_slope(s, out, x, t, err)) || !(strength > 0) ||
        (st = field_predict(s->request->field, PREDICT_SCORE, score, x, t, err)))
        return st;
    vec_step(out, out, strength, score, s->n);
    return OK;
}

/* out = u + w s at (x, t), with s from u: one number for x and one for u. */
static enum status drift(struct sampling *s, double *out, const double *x, double t, double *w,
                         struct error *err)
{
    struct path_coefs c = sampling_path(s, t);
    double of_x = 0, of_u = 0, strength = strength_at(s, &c);
    enum status st;

    if (!isfinite(strength))
        return fail(err, E_ARG,
                    "the diffusion '%s' is infinite at t = %g, where alpha = %g: start later, or "
                    "choose another",
                    s->request->diffusion.kind->is.name, t, c.alpha);
    if (w)
        *w = strength;
    if (s->request->field->second)
        return drift_of_two(s, out, x, t, strength, err);
    if ((strength > 0 &&
         (st = prediction_coefs(&of_x, &of_u, PREDICT_SCORE, PREDICT_VELOCITY, &c, err))) ||
        (st = sampling_slope(s, out, x, t, err)))
        return st;
    for (int64_t i = 0; i < s->n; i++)
        out[i] += strength * (of_x * x[i] + of_u * out[i]);
    return OK;
}

/* The step to the last time, unless it is one like all others. */
static enum status last_step(struct sampling *s, double t, double next, struct error *err)
{
    double *d = s->work[0];
    enum status st;

    switch (s->request->diffusion.last) {
    case LAST_DATA:
        if ((st = sampling_data_noise(s, d, NULL, s->x, t, err)))
            return st;
        vec_copy(s->x, d, s->n);
        return OK;
    case LAST_FLOW:
        if ((st = sampling_slope(s, d, s->x, t, err)))
            return st;
        break;
    default:
        if ((st = drift(s, d, s->x, t, NULL, err)))
            return st;
    }
    vec_step(s->x, s->x, next - t, d, s->n);
    return OK;
}

static bool is_special(const struct sampling *s)
{
    return sampling_left(s) == 1 && s->request->diffusion.last != LAST_NOISY;
}

static enum status euler_maruyama_step(struct sampling *s, double t, double next, struct error *err)
{
    double h = next - t, w;
    enum status st;

    if (is_special(s))
        return last_step(s, t, next, err);
    if ((st = drift(s, s->work[0], s->x, t, &w, err)))
        return st;
    sampling_noise(s, s->work[1]);
    vec_step(s->x, s->x, h, s->work[0], s->n);
    vec_step(s->x, s->x, sqrt(2 * w * h), s->work[1], s->n);
    return OK;
}

const struct sampler sampler_euler_maruyama = {
    .is = {.name = "euler_maruyama",
           .aliases = {"sde", "em"},
           .summary = "the SDE: first order, noise of a chosen strength at every step",
           .paper = "Maruyama 1955; Ma et al. 2024"},
    .order = 1,
    .evaluations = 1,
    .stochastic = true,
    .work = SCORE + 1,
    .step = euler_maruyama_step,
};

static enum status stochastic_heun_step(struct sampling *s, double t, double next,
                                        struct error *err)
{
    static const double halves[] = {0.5, 0.5};
    double h = next - t, *y = s->work[2], w;
    struct path_coefs c = sampling_path(s, t);
    enum status st;

    if (is_special(s))
        return last_step(s, t, next, err);
    if (!isfinite(w = strength_at(s, &c)))
        return drift(s, y, s->x, t, NULL, err);
    sampling_noise(s, y);
    vec_step(s->x, s->x, sqrt(2 * w * h), y, s->n);
    if ((st = drift(s, s->work[0], s->x, t, NULL, err)))
        return st;
    vec_step(y, s->x, h, s->work[0], s->n);
    if ((st = drift(s, s->work[1], y, next, NULL, err)))
        return st;
    vec_step_sum(s->x, s->x, h, halves, s->work, 2, s->n);
    return OK;
}

const struct sampler sampler_stochastic_heun = {
    .is = {.name = "stochastic_heun",
           .aliases = {"sde_heun"},
           .summary = "the SDE: noise first, then a Heun step of its drift",
           .paper = "Karras et al. 2022; Ma et al. 2024"},
    .order = 1,
    .evaluations = 2,
    .stochastic = true,
    .work = SCORE + 1,
    .step = stochastic_heun_step,
};
