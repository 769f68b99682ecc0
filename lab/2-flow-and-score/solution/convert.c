/*
 * convert.c - training targets and conversions
 *
 * x = alpha z + beta eps and u = dalpha z + dbeta eps are two equations; any one more number gives
 * z and eps, hence everything.
 */
#include "convert.h"

double target(enum kind kind, const struct path *p, double z, double eps)
{
    switch (kind) {
    case VELOCITY:
        return p->dalpha * z + p->dbeta * eps;
    case SCORE:
        return -eps / p->beta;
    case NOISE:
        return eps;
    default:
        return z;
    }
}

/* E[eps | x] from a prediction. */
static double noise_from(enum kind kind, const struct path *p, double x, double prediction)
{
    switch (kind) {
    case VELOCITY:
        return (p->dalpha * x - p->alpha * prediction) /
               (p->dalpha * p->beta - p->alpha * p->dbeta);
    case SCORE:
        return -p->beta * prediction;
    case NOISE:
        return prediction;
    default:
        return (x - p->alpha * prediction) / p->beta;
    }
}

double velocity_from(enum kind kind, const struct path *p, double x, double prediction)
{
    double eps = noise_from(kind, p, x, prediction);

    return p->dalpha * (x - p->beta * eps) / p->alpha + p->dbeta * eps;
}

double score_from(enum kind kind, const struct path *p, double x, double prediction)
{
    return -noise_from(kind, p, x, prediction) / p->beta;
}
