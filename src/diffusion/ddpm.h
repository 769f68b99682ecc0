/*
 * ddpm.h - the steps of a discrete schedule, and of shorter ones picked from it
 */
#ifndef IMGEN_DIFFUSION_DDPM_H
#define IMGEN_DIFFUSION_DDPM_H

#include "diffusion/path.h"

/* alpha^2 after step k of 0 .. path_steps - 1, the product of 1 - b_j over j <= k; k = -1: 1. */
double ddpm_kept(const struct path *path, int k);

/* n indices of 0 .. T-1, rising.  evenly: spread from the first to the last and rounded; else every
 * (T / n)-th from 0, of which there may be more than n asked for, and the first n are taken.
 * 1 <= n <= T. */
void ddpm_respace(int *index, int n, int T, bool evenly);

/* One step from index[i] towards the data, to index[i - 1] or the data itself: x' given x and z is
 * normal with mean  mean_data z + mean_x x  and variance exp(log_small). */
struct ddpm_posterior {
    double rate; /* b = 1 - kept / kept' */
    double mean_data, mean_x;
    double log_large; /* log b                                                          */
    double log_small; /* log of b (1 - kept') / (1 - kept); at the first index, where that is 0,
                         that of the second                                             */
};
/* index NULL: all n = path_steps of them.  n >= 2. */
struct ddpm_posterior ddpm_posterior_at(const struct path *path, const int *index, int n, int i);

#endif
