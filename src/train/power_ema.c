/*
 * power_ema.c - averages that forget in proportion to the run's length
 *
 * An exponential average of fixed decay is too short late in a run and remembers the initial
 * weights early on.  Here the weight of step t after T steps is proportional to t^gamma, so that
 * the average always spans the same share of the run and needs no start of its own.  It is still
 * one running array: the decay depends on the step,
 *
 *     average(s) = b average(s-1) + (1 - b) theta(s),   b = (1 - 1/s)^(gamma + 1).
 *
 * How wide is best is seen only when the run is over, and depends on guidance.  But averages are
 * linear in the weights, and their profiles are known functions of t: what a profile of another
 * width would have given is very nearly a combination of snapshots of the averages that were kept.
 * Its coefficients are least squares: with inner products of profiles p_i on the line of steps,
 *
 *     sum_j <p_i, p_j> w_j = <p_i, p>,
 *     <p_a, p_b> = (a + 1) (b + 1) / (a + b + 1) * min(S, T)^(a + b + 1) / (S^(a + 1) T^(b + 1))
 *
 * for exponents a and b after S and T steps.  Karras et al. 2024, section 3.
 */
#include "train/power_ema.h"

#include "base/cholesky.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static double width_squared(double gamma)
{
    return (gamma + 1) / ((gamma + 2) * (gamma + 2) * (gamma + 3));
}

/* The width falls as the exponent grows; past 1e9 it is below 1e-9. */
double power_ema_exponent(double width)
{
    double lo = 0, hi = 1;

    MUST(width > 0 && width < POWER_EMA_WIDEST, "an average as wide as %g of the run", width);
    while (width_squared(hi) > width * width && hi < 1e12)
        hi *= 2;
    for (int i = 0; i < 200; i++) {
        double middle = lo + (hi - lo) / 2;

        if (width_squared(middle) > width * width)
            lo = middle;
        else
            hi = middle;
    }
    return hi;
}

double power_ema_decay(double gamma, int64_t s)
{
    return pow(1 - 1 / (double)s, gamma + 1);
}

/* Powers of the ratio of the steps, which stay in range where powers of steps do not. */
static double inner(struct power_ema p, struct power_ema q)
{
    double S = (double)p.step, T = (double)q.step, a = p.gamma, b = q.gamma;
    double shared = S < T ? pow(S / T, b) / T : pow(T / S, a) / S;

    return (a + 1) * (b + 1) / (a + b + 1) * shared;
}

static enum status check(struct power_ema p, struct error *err)
{
    if (p.step < 1 || !(p.gamma > 0) || isinf(p.gamma))
        return fail(err, E_ARG, "an average of exponent %g after %" PRId64 " steps", p.gamma,
                    p.step);
    return OK;
}

enum status power_ema_combine(double *weight, const struct power_ema *snapshot, int n,
                              struct power_ema want, struct error *err)
{
    double *a = NULL;
    enum status st;

    if ((st = check(want, err)))
        return st;
    for (int i = 0; i < n; i++)
        if ((st = check(snapshot[i], err)))
            return st;
    if ((st = mem_new((void **)&a, (uint64_t)n * (uint64_t)n, sizeof *a, "a system of averages",
                      err)))
        return st;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            a[i * n + j] = inner(snapshot[i], snapshot[j]);
        weight[i] = inner(snapshot[i], want);
    }
    if (cholesky_factor(a, n))
        cholesky_solve(weight, a, n);
    else
        st = fail(err, E_ARG, "two of %d averages are the same, or too much alike", n);
    free(a);
    return st;
}
