/*
 * rk4.c - the classical fourth-order step for the flow ODE
 *
 * Four slopes, at the start, twice in the middle and at the end, weighted 1 2 2 1: error O(h^5) a
 * step. Worth its evaluations when the end point itself is wanted to many digits; a picture seldom
 * needs it. The last slope stands at the end of the step; where the field has no value there, or
 * when asked to, the last step is Euler's.  theory.md 1.6.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

enum { EULER_LAST };
static const struct option rk4_options[] = {
    {.name = "euler_last",
     .help = "1: the step that reaches t = 1 is always Euler's",
     .type = OPTION_REAL,
     .offset = EULER_LAST * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1},
    {0},
};

static enum status rk4_step(struct sampling *s, double t, double next, struct error *err)
{
    static const double weights[] = {1.0 / 6, 2.0 / 6, 2.0 / 6, 1.0 / 6};
    double **k = s->work, *y = s->work[4], h = next - t;
    enum status st;

    if ((st = sampling_slope(s, k[0], s->x, t, err)))
        return st;
    if ((next == 1 && s->values[EULER_LAST] != 0) || !sampling_has_slope(s, next)) {
        vec_step(s->x, s->x, h, k[0], s->n);
        return OK;
    }
    vec_step(y, s->x, 0.5 * h, k[0], s->n);
    if ((st = sampling_slope(s, k[1], y, t + 0.5 * h, err)))
        return st;
    vec_step(y, s->x, 0.5 * h, k[1], s->n);
    if ((st = sampling_slope(s, k[2], y, t + 0.5 * h, err)))
        return st;
    vec_step(y, s->x, h, k[2], s->n);
    if ((st = sampling_slope(s, k[3], y, next, err)))
        return st;
    vec_step_sum(s->x, s->x, h, weights, k, 4, s->n);
    return OK;
}

const struct sampler sampler_rk4 = {
    .is = {.name = "rk4",
           .aliases = {"runge_kutta", "runge_kutta_4"},
           .summary = "fourth order, four evaluations a step",
           .options = rk4_options},
    .order = 4,
    .evaluations = 4,
    .work = 5,
    .step = rk4_step,
};
