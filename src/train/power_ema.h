/*
 * power_ema.h - averages of the weights that forget in proportion to the run's length, and averages
 * of any other width made of a few of them afterwards
 */
#ifndef IMGEN_TRAIN_POWER_EMA_H
#define IMGEN_TRAIN_POWER_EMA_H

#include "base/error.h"

#include <stdint.h>

/* The widest that an average can be, over the steps so far: sqrt(1 / 12), all steps alike. */
#define POWER_EMA_WIDEST 0.28867513459481288

/* The exponent gamma > 0 of a profile (t / T)^gamma whose deviation is `width` of T:
 *     width^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)),   0 < width < POWER_EMA_WIDEST. */
double power_ema_exponent(double width);

/* Decay of step s, from 1: (1 - 1/s)^(gamma + 1); 0 for the first, which is then the average. */
double power_ema_decay(double gamma, int64_t s);

/* An average as it stood after `step` steps. */
struct power_ema {
    int64_t step;
    double gamma;
};

/* weight[k] of snapshot k, k < n, in the combination that comes nearest (least squares over the
 * steps) to the average `want`.  E_ARG for steps below 1 or exponents not above 0, E_ARG when two
 * snapshots are the same, E_MEMORY. */
enum status power_ema_combine(double *weight, const struct power_ema *snapshot, int n,
                              struct power_ema want, struct error *err);

#endif
