/*
 * distance.h - how far two clouds of points in the plane lie apart
 *
 * All are 0 for equal laws, only estimated from points, so two clouds of one law give a small
 * positive number: the floor against which every other must be read.
 */
#ifndef IMGEN_LAB_DISTANCE_H
#define IMGEN_LAB_DISTANCE_H

#include "base/error.h"

#include <stdint.h>

struct distance {
    double sliced; /* sliced Wasserstein-2: root of the mean over directions of the mean squared
                      difference of sorted projections                                        */
    double energy; /* 2 E|X - Y| - E|X - X'| - E|Y - Y'|, >= 0                                */
    double mmd; /* root of E k(X, X') + E k(Y, Y') - 2 E k(X, Y), k(x, y) = exp(-|x - y|^2 / 2) */
};

/* a, b: [n, 2].  A pure function of them, on any number of threads.  E_MEMORY. */
enum status distance_between(struct distance *out, const double *a, const double *b, int64_t n,
                             int threads, struct error *err);

#endif
