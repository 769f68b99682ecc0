/*
 * heun.c - Heun's second-order step for the flow ODE
 *
 * Take Euler's step, look at the slope where it landed, and go back to use the mean of the two: two
 * evaluations, error O(h^3) a step.  Where the field has no value at the end of the step (noise and
 * data prediction at t = 1), the step stays Euler's; that costs the last step its order and,
 * because it is one step of many, little else.  A person may ask for that last Euler step also
 * where the field does have a value, to compare with programs that always take it.  theory.md 1.6;
 * Karras et al. 2022, algorithm 1.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

enum { EULER_LAST };
static const struct option heun_options[] = {
    {.name = "euler_last",
     .help = "1: the step that reaches t = 1 is always Euler's",
     .type = OPTION_REAL,
     .offset = EULER_LAST * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1},
    {0},
};

static enum status heun_step(struct sampling *s, double t, double next, struct error *err)
{
    static const double halves[] = {0.5, 0.5};
    double *slope[2] = {s->work[0], s->work[1]}, *y = s->work[2], h = next - t;
    enum status st;

    if ((st = sampling_slope(s, slope[0], s->x, t, err)))
        return st;
    vec_step(y, s->x, h, slope[0], s->n);
    if ((next == 1 && s->values[EULER_LAST] != 0) || !sampling_has_slope(s, next)) {
        vec_copy(s->x, y, s->n);
        return OK;
    }
    if ((st = sampling_slope(s, slope[1], y, next, err)))
        return st;
    vec_step_sum(s->x, s->x, h, halves, slope, 2, s->n);
    return OK;
}

const struct sampler sampler_heun = {
    .is = {.name = "heun",
           .aliases = {"heun2", "k_heun"},
           .summary = "second order, two evaluations a step",
           .paper = "Karras et al. 2022",
           .options = heun_options},
    .order = 2,
    .evaluations = 2,
    .work = 3,
    .step = heun_step,
};
