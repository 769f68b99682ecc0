/*
 * midpoint.c - the midpoint step for the flow ODE
 *
 * Walk half a step with the slope at t, look at the slope there, and take the whole step with that
 * one. Two evaluations, error O(h^3) a step, as Heun; but it never evaluates at the end of the
 * step, so it keeps its order where the field has no value at t = 1.  theory.md 1.6.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

static enum status midpoint_step(struct sampling *s, double t, double next, struct error *err)
{
    double *slope = s->work[0], *y = s->work[1], h = next - t;
    enum status st;

    if ((st = sampling_slope(s, slope, s->x, t, err)))
        return st;
    vec_step(y, s->x, 0.5 * h, slope, s->n);
    if ((st = sampling_slope(s, slope, y, t + 0.5 * h, err)))
        return st;
    vec_step(s->x, s->x, h, slope, s->n);
    return OK;
}

const struct sampler sampler_midpoint = {
    .is = {.name = "midpoint",
           .aliases = {"rk2", "dpm2"},
           .summary = "second order, two evaluations a step, none at its end"},
    .order = 2,
    .evaluations = 2,
    .work = 2,
    .step = midpoint_step,
};
