/*
 * dopri5.c - Dormand and Prince's adaptive 5(4) pair for the flow ODE
 *
 * Seven slopes give two answers, of fifth and of fourth order; their difference estimates the
 * error, and the step is as long as the tolerance allows.  The seventh slope stands at the new
 * point and is the first of the next step, so a step costs six.  One asks for an accuracy instead
 * of a number of steps.
 *
 * The error is the root mean square over the whole state, measured against atol + rtol |x|, and one
 * step size serves all of it: pictures run together would change each other, so they are run one by
 * one. After a rejected step the size may not grow at once, which keeps the controller from
 * bouncing.
 *
 * The last stage stands at the end itself, where a data prediction has no velocity: the pair then
 * stops a thousandth before it and hands over to Euler.  Dormand and Prince 1980; Hairer, Norsett
 * and Wanner 1993, section II.4.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

#include <math.h>

enum { RTOL, ATOL, H0 };
static const struct option dopri5_options[] = {
    {.name = "rtol",
     .help = "error allowed in proportion to the state",
     .type = OPTION_REAL,
     .offset = RTOL * sizeof(double),
     .fallback = "1e-3",
     .lo = 1e-13,
     .hi = 1},
    {.name = "atol",
     .help = "error allowed whatever the state",
     .type = OPTION_REAL,
     .offset = ATOL * sizeof(double),
     .fallback = "1e-6",
     .lo = 1e-15,
     .hi = 1},
    {.name = "h0",
     .help = "first step tried",
     .type = OPTION_REAL,
     .offset = H0 * sizeof(double),
     .fallback = "0.01",
     .lo = 1e-6,
     .hi = 1},
    {0},
};

enum { STAGES = 7 };

static const double nodes[STAGES] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};

/* Row i makes the point of slope i; the last row is also the answer of fifth order. */
static const double tableau[STAGES][STAGES - 1] = {
    {0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
};

/* Fifth-order weights less fourth-order ones. */
static const double error_weights[STAGES] = {
    71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40,
};

/* How near to an end without a slope the steps go. */
static const double finish = 1e-3;

struct dopri5 {
    double h;            /* the size to try next; 0 before the first step        */
    bool has_slope;      /* work[0] is the slope at the state                    */
    bool after_rejected; /* the last attempt failed: do not grow                 */
};

/* Fill slopes 1 .. 6 from slope 0; y = the new point. */
static enum status dopri5_try(struct sampling *s, double *y, double t, double h, struct error *err)
{
    enum status st;

    for (int i = 1; i < STAGES; i++) {
        vec_step_sum(y, s->x, h, tableau[i], s->work, i, s->n);
        /* The sum t + h may miss the end of the interval by a rounding, and leave [0, 1]. */
        if ((st = sampling_slope(s, s->work[i], y, fmin(t + nodes[i] * h, s->t), err)))
            return st;
    }
    return OK;
}

static double dopri5_error(const struct sampling *s, const double *y, double h)
{
    double sum = 0;

    for (int64_t i = 0; i < s->n; i++) {
        double e = 0, scale = s->values[ATOL] + s->values[RTOL] * fmax(fabs(s->x[i]), fabs(y[i]));

        for (int j = 0; j < STAGES; j++)
            e += error_weights[j] * s->work[j][i];
        sum += (h * e / scale) * (h * e / scale);
    }
    return sqrt(sum / (double)s->n);
}

/* The last stretch of a field that has no slope at the end: Euler, which lands on the data
 * prediction. */
static enum status dopri5_finish(struct sampling *s, double t, double next, struct error *err)
{
    enum status st;

    if ((st = sampling_slope(s, s->work[0], s->x, t, err)))
        return st;
    vec_step(s->x, s->x, next - t, s->work[0], s->n);
    return OK;
}

static enum status dopri5_step(struct sampling *s, double t, double next, struct error *err)
{
    struct dopri5 *mine = s->memory;
    double *y = s->work[STAGES], error = 0;
    enum status st;

    if (!sampling_has_slope(s, next)) {
        if (t >= next - finish)
            return dopri5_finish(s, t, next, err);
        next -= finish;
    }

    if (mine->h == 0)
        mine->h = s->values[H0];
    if (!mine->has_slope && (st = sampling_slope(s, s->work[0], s->x, t, err)))
        return st;
    mine->has_slope = true;
    for (;;) {
        double h = fmin(mine->h, next - t), grow;

        s->t = h < next - t ? t + h : next;
        if (!(s->t > t))
            return fail(err, E_NOT_FINITE,
                        "the step shrank to %g at t = %g: the field is not smooth", h, t);
        if ((st = dopri5_try(s, y, t, h, err)))
            return st;
        error = dopri5_error(s, y, h);
        /* fmax takes the number of a number and a NaN, so a field that gave nonsense shrinks too.
         */
        grow = fmin(fmax(0.9 * pow(error, -0.2), 0.2), mine->after_rejected ? 1 : 10);
        mine->after_rejected = !(error <= 1);
        mine->h = h * grow;
        if (!mine->after_rejected)
            break;
        s->count.rejected++;
    }
    vec_copy(s->x, y, s->n);
    vec_copy(s->work[0], s->work[STAGES - 1], s->n);
    return OK;
}

const struct sampler sampler_dopri5 = {
    .is = {.name = "dopri5",
           .aliases = {"rk45", "dormand_prince", "ode45"},
           .summary = "fifth order, as many steps as the tolerance needs, one picture at a time",
           .paper = "Dormand and Prince 1980",
           .options = dopri5_options},
    .order = 5,
    .evaluations = 6,
    .adaptive = true,
    .work = STAGES + 1,
    .memory = sizeof(struct dopri5),
    .step = dopri5_step,
};
