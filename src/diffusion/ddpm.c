/*
 * ddpm.c - the steps of a discrete schedule, and of shorter ones picked from it
 *
 * A schedule of rates b_k says how one step adds noise, x_k = sqrt(1 - b_k) x_{k-1} + sqrt(b_k) xi.
 * Given the picture too, the way back is normal, with the mean and variance of Bayes.  A shorter
 * schedule keeps some of the indices; what counts is how much of the picture is kept at each, so
 * its rates follow from quotients of the products and every formula stays as it is.
 *
 * Ho et al. 2020, (6), (7); Nichol and Dhariwal 2021; sampling.md 2.4.
 */
#include "diffusion/ddpm.h"

#include <math.h>

double ddpm_kept(const struct path *path, int k)
{
    double log_kept = 0;

    MUST(path_steps(path) > k, "index %d of a schedule of %d steps", k, path_steps(path));
    for (int j = 0; j <= k; j++)
        log_kept += log1p(-path->kind->rate(j, path->values));
    return exp(log_kept);
}

void ddpm_respace(int *index, int n, int T, bool evenly)
{
    MUST(n >= 1 && n <= T, "%d of %d indices", n, T);
    for (int i = 0; i < n; i++)
        index[i] =
            evenly ? (n > 1 ? (int)nearbyint((double)i * (T - 1) / (n - 1)) : 0) : i * (T / n);
}

static double posterior_variance(double kept, double next)
{
    return (1 - kept / next) * (1 - next) / (1 - kept);
}

struct ddpm_posterior ddpm_posterior_at(const struct path *path, const int *index, int n, int i)
{
    double here = ddpm_kept(path, index ? index[i] : i);
    double next = i ? ddpm_kept(path, index ? index[i - 1] : i - 1) : 1;
    double rate = 1 - here / next, variance = posterior_variance(here, next);

    MUST(n >= 2 && i >= 0 && i < n, "step %d of %d", i, n);
    if (i == 0)
        variance = posterior_variance(ddpm_kept(path, index ? index[1] : 1), here);
    return (struct ddpm_posterior){
        .rate = rate,
        .mean_data = rate * sqrt(next) / (1 - here),
        .mean_x = (1 - next) * sqrt(1 - rate) / (1 - here),
        .log_large = log(rate),
        .log_small = log(variance),
    };
}
