/*
 * euler.c - Euler's step for the flow ODE
 *
 * Follow the slope at t all the way to the next time.  One evaluation a step, error O(h^2) a step.
 * On straight paths with little guidance the curves are nearly straight and this is all that is
 * needed; on condot it is also exactly DDIM.  It never looks at the end of the step, so fields
 * without a value at t = 1 need nothing special.  theory.md 1.6.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

static enum status euler_step(struct sampling *s, double t, double next, struct error *err)
{
    enum status st;

    if ((st = sampling_slope(s, s->work[0], s->x, t, err)))
        return st;
    vec_step(s->x, s->x, next - t, s->work[0], s->n);
    return OK;
}

const struct sampler sampler_euler = {
    .is = {.name = "euler",
           .aliases = {"k_euler", "flow_euler"},
           .summary = "first order, one evaluation a step"},
    .order = 1,
    .evaluations = 1,
    .work = 1,
    .step = euler_step,
};
