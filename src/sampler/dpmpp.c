/*
 * dpmpp.c - DPM-Solver++: the linear part exactly, the network as a polynomial
 *
 * In lambda = log(alpha / beta) the flow is a linear equation with the data prediction as its only
 * unknown:  x' = (beta' / beta) x + alpha' int e^{-(lambda' - l)} z(l) dl.  The first factor is
 * exact however long the step; z changes slowly and is extrapolated from the predictions of earlier
 * steps, so a step costs one evaluation at any order.  With the first term of the series alone this
 * is DDIM.  A share eta of the SDE's noise makes e^{-h} into e^{-(1 + eta) h} and adds what was
 * lost.
 *
 * Ends.  Where alpha = 0, lambda is minus infinity: e^{-h} is 0, the step is exact, and the
 * prediction made there may not enter a difference.  Where beta = 0 the step ends on z itself.
 * Public programs step on a straight path as if alpha were 1, in lambda = -log(beta): a step on the
 * same z, exact too as long as z stays, with other weights of the earlier predictions.  Pictures
 * that people know were made so, and `on_sigma` does it.
 *
 * With few steps the order falls towards the end, where extrapolating does harm.
 * sampling.md 2.3; Lu et al. 2022, "DPM-Solver++".
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

#include <math.h>

enum { LOWER, ETA, SECOND };
enum { ON_SIGMA = ETA }; /* of the flow, which has no noise */
enum { FEW = 15 };

struct dpmpp {
    double lambda[2]; /* of the last prediction and the one before */
    int have;         /* how many of them                          */
};

/* What a step needs beside predictions.  decay: e^{-(1 + eta) h}. */
struct interval {
    double h, H, decay, keep, noise, alpha;
};

static struct interval interval_of(const struct path_coefs *c, const struct path_coefs *d,
                                   double eta)
{
    struct interval v = {.h = d->half_log_snr - c->half_log_snr, .alpha = d->alpha};
    double lost = eta > 0 ? exp(-eta * v.h) : 1;

    v.H = (1 + eta) * v.h;
    v.decay = c->alpha * d->beta / (c->beta * d->alpha) * lost;
    v.keep = d->beta / c->beta * lost;
    v.noise = eta > 0 ? d->beta * sqrt(1 - lost * lost) : 0;
    return v;
}

/* In lambda = -log(beta), alpha taken for 1. */
static struct interval interval_on_sigma(const struct path_coefs *c, const struct path_coefs *d)
{
    double left = d->beta / c->beta;

    return (struct interval){
        .h = -log(left), .H = -log(left), .decay = left, .keep = left, .alpha = 1};
}

/* x += alpha' times the terms of second and third order. */
static void correct(struct sampling *s, const struct dpmpp *mine, double lambda,
                    const struct interval *v, int order, bool midpoint)
{
    const double *z0 = s->work[0], *z1 = s->work[1], *z2 = s->work[2];
    double r0 = (lambda - mine->lambda[0]) / v->h, phi2 = (v->decay - 1) / v->H + 1;
    double r1 = order > 2 ? (mine->lambda[0] - mine->lambda[1]) / v->h : 1,
           phi3 = phi2 / v->H - 0.5;

    if (order == 2 && midpoint)
        phi2 = 0.5 * (1 - v->decay);
    for (int64_t i = 0; i < s->n; i++) {
        double a0 = (z0[i] - z1[i]) / r0, a1, bend;

        if (order == 2) {
            s->x[i] += v->alpha * phi2 * a0;
            continue;
        }
        a1 = (z1[i] - z2[i]) / r1;
        bend = (a0 - a1) / (r0 + r1);
        s->x[i] += v->alpha * (phi2 * (a0 + bend * r0) - phi3 * bend);
    }
}

static int order_now(const struct sampling *s, int order, int have)
{
    int left = sampling_left(s);

    if (order > have + 1)
        order = have + 1;
    if (s->values[LOWER] != 0 && s->request->steps < FEW && order > left)
        order = left;
    return order;
}

/* The newest prediction goes to the front; the oldest array will take the next. */
static void shift_history(struct sampling *s, struct dpmpp *mine, double lambda)
{
    double *oldest = s->work[2];

    s->work[2] = s->work[1];
    s->work[1] = s->work[0];
    s->work[0] = oldest;
    mine->lambda[1] = mine->lambda[0];
    mine->lambda[0] = lambda;
    mine->have += mine->have < 2;
}

static enum status dpmpp_step(struct sampling *s, double t, double next, int order, double eta,
                              bool midpoint, bool on_sigma, struct error *err)
{
    struct path_coefs c = sampling_path(s, t), d = sampling_path(s, next);
    double lambda = on_sigma ? -log(c.beta) : c.half_log_snr;
    struct dpmpp *mine = s->memory;
    struct interval v;
    enum status st;

    if ((st = sampling_data_noise(s, s->work[0], NULL, s->x, t, err)))
        return st;
    if (d.beta == 0) {
        vec_copy(s->x, s->work[0], s->n);
        return OK;
    }
    v = on_sigma ? interval_on_sigma(&c, &d) : interval_of(&c, &d, eta);
    order = order_now(s, order, mine->have);
    for (int64_t i = 0; i < s->n; i++)
        s->x[i] = v.keep * s->x[i] + v.alpha * (1 - v.decay) * s->work[0][i];
    if (order > 1)
        correct(s, mine, lambda, &v, order, midpoint);
    if (v.noise > 0) {
        sampling_noise(s, s->work[3]);
        vec_step(s->x, s->x, v.noise, s->work[3], s->n);
    }
    if (c.alpha > 0 || on_sigma)
        shift_history(s, mine, lambda);
    return OK;
}

static enum status step_2m(struct sampling *s, double t, double next, struct error *err)
{
    return dpmpp_step(s, t, next, 2, 0, true, s->values[ON_SIGMA] != 0, err);
}

static enum status step_3m(struct sampling *s, double t, double next, struct error *err)
{
    return dpmpp_step(s, t, next, 3, 0, false, false, err);
}

static enum status step_2m_sde(struct sampling *s, double t, double next, struct error *err)
{
    return dpmpp_step(s, t, next, 2, s->values[ETA], s->values[SECOND] == 0, false, err);
}

static enum status step_3m_sde(struct sampling *s, double t, double next, struct error *err)
{
    return dpmpp_step(s, t, next, 3, s->values[ETA], false, false, err);
}

#define ROW_LOWER                                                                                \
    {                                                                                            \
        .name = "lower", .help = "1: with fewer than 15 steps the last ones have less order",    \
        .type = OPTION_REAL, .offset = LOWER * sizeof(double), .fallback = "1", .lo = 0, .hi = 1 \
    }
#define ROW_ETA                                                                                 \
    {                                                                                           \
        .name = "eta", .help = "share of the SDE's noise: 0 the flow, 1 the SDE",               \
        .type = OPTION_REAL, .offset = ETA * sizeof(double), .fallback = "1", .lo = 0, .hi = 10 \
    }

static const struct option flow_options[] = {ROW_LOWER, {0}};
static const struct option flow_2m_options[] = {
    ROW_LOWER,
    {.name = "on_sigma",
     .help =
         "1: in the logarithm of the noise alone, as public programs on flow models; the default "
         "for Stable Diffusion 3",
     .type = OPTION_REAL,
     .offset = ON_SIGMA * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1},
    {0},
};
static const struct option sde_options[] = {ROW_LOWER, ROW_ETA, {0}};
static const struct option sde_2m_options[] = {
    ROW_LOWER,
    ROW_ETA,
    {.name = "heun",
     .help = "second order term: 0 by the midpoint, 1 as Heun",
     .type = OPTION_REAL,
     .offset = SECOND * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1},
    {0},
};

const struct sampler sampler_dpmpp_2m = {
    .is = {.name = "dpmpp_2m",
           .aliases = {"dpm++2m", "dpmpp2", "k_dpmpp_2m"},
           .summary = "second order from the last two predictions, one evaluation a step",
           .paper = "Lu et al. 2022",
           .options = flow_2m_options},
    .order = 2,
    .evaluations = 1,
    .on_data = true,
    .work = 3,
    .memory = sizeof(struct dpmpp),
    .step = step_2m,
};

const struct sampler sampler_dpmpp_3m = {
    .is = {.name = "dpmpp_3m",
           .aliases = {"dpm++3m", "dpmpp3"},
           .summary = "third order from the last three predictions, for little guidance",
           .paper = "Lu et al. 2022",
           .options = flow_options},
    .order = 2, /* its first step, of first order, is never made good */
    .evaluations = 1,
    .on_data = true,
    .work = 3,
    .memory = sizeof(struct dpmpp),
    .step = step_3m,
};

const struct sampler sampler_dpmpp_2m_sde = {
    .is = {.name = "dpmpp_2m_sde",
           .aliases = {"dpm++2m_sde"},
           .summary = "as dpmpp_2m, on the SDE",
           .paper = "Lu et al. 2022",
           .options = sde_2m_options},
    .order = 1,
    .evaluations = 1,
    .on_data = true,
    .stochastic = true,
    .work = 4,
    .memory = sizeof(struct dpmpp),
    .step = step_2m_sde,
};

const struct sampler sampler_dpmpp_3m_sde = {
    .is = {.name = "dpmpp_3m_sde",
           .aliases = {"dpm++3m_sde"},
           .summary = "as dpmpp_3m, on the SDE",
           .paper = "Lu et al. 2022",
           .options = sde_options},
    .order = 1,
    .evaluations = 1,
    .on_data = true,
    .stochastic = true,
    .work = 4,
    .memory = sizeof(struct dpmpp),
    .step = step_3m_sde,
};
