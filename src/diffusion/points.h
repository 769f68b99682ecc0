/*
 * points.h - a finite data set under any noise on straight lines: the path that need not be
 * Gaussian
 *
 * x_t = t z + (1 - t) x_0 with x_0 of any density.  The second oracle, which shows that guidance
 * (3.8) and the law of total expectation (3.9) know nothing of Gaussians.  theory.md 3.4, 4.1.
 */
#ifndef IMGEN_DIFFUSION_POINTS_H
#define IMGEN_DIFFUSION_POINTS_H

#include "diffusion/guidance.h"

/* log f of one coordinate of the noise; coordinates are independent. */
typedef double points_noise(double x);

double points_normal(double x);
double points_logistic(double x); /* f = e^-x / (1 + e^-x)^2 */

enum { POINTS_ANY = -1 };

/* The arrays are the caller's. */
struct points {
    int64_t n, dim;
    const double *z;      /* [n, dim]                   */
    const double *weight; /* [n], >= 0, sums to 1       */
    const int32_t *label; /* [n]                        */
    points_noise *noise;
};

/* log p_t(x | y) and the velocity u_t(x | y), [dim], over the points labelled y or all
 * (POINTS_ANY). t in [0, 1).  E_ARG for another t and for a label with no weight. */
enum status points_at(double *log_p, double *u, const struct points *p, double t, const double *x,
                      int32_t y, struct error *err);
/* p_t(y | x). */
enum status points_posterior(double *prob, const struct points *p, double t, const double *x,
                             int32_t y, struct error *err);

/* As a predictor of the velocity: row i is asked under label[i]. */
struct points_oracle {
    const struct points *points;
    const int32_t *label;
    int64_t rows;
};
struct predictor predictor_of_points(struct points_oracle *o);

#endif
