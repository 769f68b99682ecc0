/*
 * vec.c - the little arithmetic that solvers do on their state
 *
 * States are small beside a network's work (a latent picture is a few thousand numbers), so these
 * are the obvious loops, and each element's sum has one order whatever the machine.
 */
#include "sampler/vec.h"

#include <math.h>
#include <string.h>

void vec_copy(double *out, const double *x, int64_t n)
{
    memmove(out, x, (size_t)n * sizeof(*out));
}

void vec_step(double *out, const double *x, double h, const double *d, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] + h * d[i];
}

void vec_step_sum(double *out, const double *x, double h, const double *c, double *const *d, int k,
                  int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;

        for (int j = 0; j < k; j++)
            sum += c[j] * d[j][i];
        out[i] = x[i] + h * sum;
    }
}

bool vec_finite(const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}
