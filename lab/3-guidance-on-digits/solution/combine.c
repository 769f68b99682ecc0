/*
 * combine.c - classifier-free guidance
 *
 * The weights 1 - w and w sum to 1, so the same line serves velocity, score, noise and data.
 */
#include "combine.h"

void combine(double *out, const double *unguided, const double *guided, double w, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = (1 - w) * unguided[i] + w * guided[i];
}
