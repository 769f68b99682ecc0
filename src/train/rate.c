/*
 * rate.c - the learning rate over the steps of a run
 *
 * A function of the step alone, so that a resumed run needs no state for it.
 */
#include "train/rate.h"

#include <math.h>

const char *rate_name(int kind)
{
    static const char *const names[N_RATES + 1] = {"constant", "cosine", 0};

    return names[kind];
}

double rate_at(enum rate_kind kind, int64_t s, int64_t steps, int64_t warmup, double floor)
{
    double left;

    if (s < warmup)
        return (double)(s + 1) / (double)warmup;
    if (kind == RATE_CONSTANT || steps <= warmup + 1)
        return 1;
    left = (double)(s - warmup) / (double)(steps - warmup - 1);
    return floor + (1 - floor) * 0.5 * (1 + cos(3.14159265358979323846 * fmin(1, left)));
}
