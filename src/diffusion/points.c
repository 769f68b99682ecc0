/*
 * points.c - a finite data set under any noise on straight lines: the path that need not be
 * Gaussian
 *
 * Given z, the path carries the noise along straight lines, so u_t(x | z) = (z - x) / (1 - t) and
 * p_t(x | z) = f((x - t z) / (1 - t)) / (1 - t)^d for whatever density f the noise has.  The
 * marginal field is their mean under the posterior of z, a softmax.  Score and noise predictions do
 * not exist here in general; velocities do, and classifier-free guidance is defined by velocities
 * alone. theory.md 3.4, 4.1.
 */
#include "diffusion/points.h"

#include <float.h>
#include <math.h>
#include <string.h>

double points_normal(double x)
{
    return -0.5 * x * x - 0.91893853320467274178;
}

/* The density is even; taking |x| keeps exp from overflowing. */
double points_logistic(double x)
{
    double e = exp(-fabs(x));

    return -fabs(x) - 2 * log1p(e);
}

/* log of p_t(x | z_k). */
static double point_log_p(const struct points *p, int64_t k, double t, const double *x)
{
    double sum = 0;

    for (int64_t i = 0; i < p->dim; i++)
        sum += p->noise((x[i] - t * p->z[k * p->dim + i]) / (1 - t)) - log1p(-t);
    return sum;
}

enum status points_at(double *log_p, double *u, const struct points *p, double t, const double *x,
                      int32_t y, struct error *err)
{
    double top = -DBL_MAX, sum = 0, prior = 0;

    if (!(t >= 0 && t < 1))
        return fail(err, E_ARG, "a data set of points has no density at t = %g", t);
    memset(u, 0, (size_t)p->dim * sizeof(*u));
    for (int64_t k = 0; k < p->n; k++) {
        double l, r, keep = 1;

        if ((y != POINTS_ANY && p->label[k] != y) || p->weight[k] == 0)
            continue;
        l = log(p->weight[k]) + point_log_p(p, k, t, x);
        if (l > top) {
            keep = exp(top - l);
            top = l;
        }
        r = exp(l - top);
        sum = sum * keep + r;
        prior += p->weight[k];
        for (int64_t i = 0; i < p->dim; i++)
            u[i] = u[i] * keep + r * (p->z[k * p->dim + i] - x[i]) / (1 - t);
    }
    if (prior == 0)
        return fail(err, E_ARG, "no point has the label %d", (int)y);
    for (int64_t i = 0; i < p->dim; i++)
        u[i] /= sum;
    *log_p = top + log(sum) - log(prior);
    return OK;
}

static double points_prior(const struct points *p, int32_t y)
{
    double sum = 0;

    for (int64_t k = 0; k < p->n; k++)
        if (y == POINTS_ANY || p->label[k] == y)
            sum += p->weight[k];
    return sum;
}

enum status points_posterior(double *prob, const struct points *p, double t, const double *x,
                             int32_t y, struct error *err)
{
    enum { ROOM = 64 };
    double any, with, u[ROOM];
    enum status st;

    MUST(p->dim <= ROOM, "points in %lld dimensions", (long long)p->dim);
    if ((st = points_at(&any, u, p, t, x, POINTS_ANY, err)) ||
        (st = points_at(&with, u, p, t, x, y, err)))
        return st;
    *prob = points_prior(p, y) * exp(with - any);
    return OK;
}

static enum status oracle_predict(void *self, double *out, const double *x, double t,
                                  unsigned branches, struct error *err)
{
    const struct points_oracle *o = self;
    int64_t d = o->points->dim;
    enum status st;
    double log_p;

    for (unsigned branch = BRANCH_UNGUIDED; branch <= BRANCH_GUIDED; branch <<= 1) {
        if (!(branches & branch))
            continue;
        for (int64_t i = 0; i < o->rows; i++) {
            int32_t y = branch == BRANCH_GUIDED ? o->label[i] : POINTS_ANY;

            if ((st = points_at(&log_p, out + i * d, o->points, t, x + i * d, y, err)))
                return st;
        }
        out += o->rows * d;
    }
    return OK;
}

struct predictor predictor_of_points(struct points_oracle *o)
{
    return (struct predictor){oracle_predict, o, o->rows, o->points->dim};
}
