/*
 * lms.c - the linear multistep rule of Adams and Bashforth for the flow ODE
 *
 * The slopes of the last steps lie on a curve already; a polynomial through them, integrated over
 * the step ahead, needs no other evaluation than the one at t.  As cheap as Euler and of higher
 * order, so long as the steps are short beside what bends the field: it looks back where Heun looks
 * ahead, and grows unstable sooner.
 *
 *     x' = x + sum over j of  v_j  integral over [t, t'] of l_j(s) ds
 *
 * l_j are Lagrange's polynomials on the last times, whatever their distances; their integral by
 * Gauss's rule of three points is exact up to order 6.  The first steps have fewer slopes to look
 * back on, which leaves the whole run at second order however high the rule.
 *
 * Hairer, Norsett and Wanner 1993, "Solving Ordinary Differential Equations I", III.1.
 */
#include "sampler/sampler.h"
#include "sampler/vec.h"

#include <math.h>
#include <string.h>

enum { ORDER };
enum { ORDER_MAX = 4 };

static const struct option lms_options[] = {
    {.name = "order",
     .help = "slopes that a step looks back on, 1 to 4",
     .type = OPTION_REAL,
     .offset = ORDER * sizeof(double),
     .fallback = "3",
     .lo = 1,
     .hi = ORDER_MAX},
    {0},
};

struct lms {
    double at[ORDER_MAX]; /* times of the slopes in work[0], work[1], ...: the newest first */
    int have;
};

/* l_j on n times, at s. */
static double lagrange(const double *at, int n, int j, double s)
{
    double l = 1;

    for (int k = 0; k < n; k++)
        l *= k == j ? 1 : (s - at[k]) / (at[j] - at[k]);
    return l;
}

/* The mean of l_j over [t, next]. */
static double weight(const double *at, int n, int j, double t, double next)
{
    const double half = 0.5 * (next - t), off = sqrt(0.6) * half;
    double sides = lagrange(at, n, j, t + half - off) + lagrange(at, n, j, t + half + off);

    return (5 * sides + 8 * lagrange(at, n, j, t + half)) / 18;
}

/* Room for the newest slope in the place of the oldest. */
static void make_room(struct sampling *s, struct lms *mine, double t)
{
    double *oldest = s->work[ORDER_MAX - 1];

    memmove(&s->work[1], &s->work[0], (ORDER_MAX - 1) * sizeof s->work[0]);
    memmove(&mine->at[1], &mine->at[0], (ORDER_MAX - 1) * sizeof mine->at[0]);
    s->work[0] = oldest;
    mine->at[0] = t;
    mine->have += mine->have < ORDER_MAX;
}

static enum status lms_step(struct sampling *s, double t, double next, struct error *err)
{
    struct lms *mine = s->memory;
    double c[ORDER_MAX];
    enum status st;
    int order = (int)lround(s->values[ORDER]);

    make_room(s, mine, t);
    if ((st = sampling_slope(s, s->work[0], s->x, t, err)))
        return st;
    order = order < mine->have ? order : mine->have;
    for (int j = 0; j < order; j++)
        c[j] = weight(mine->at, order, j, t, next);
    vec_step_sum(s->x, s->x, next - t, c, s->work, order, s->n);
    return OK;
}

const struct sampler sampler_lms = {
    .is = {.name = "lms",
           .aliases = {"k_lms", "adams_bashforth", "ab2"},
           .summary = "a polynomial through the last slopes, one evaluation a step",
           .paper = "Adams and Bashforth 1883",
           .options = lms_options},
    .order = 2,
    .evaluations = 1,
    .work = ORDER_MAX,
    .memory = sizeof(struct lms),
    .step = lms_step,
};
