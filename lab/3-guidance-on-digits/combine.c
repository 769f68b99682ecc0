/*
 * combine.c - classifier-free guidance: fill it in
 */
#include "combine.h"

void combine(double *out, const double *unguided, const double *guided, double w, int n)
{
    (void)guided, (void)w;
    for (int i = 0; i < n; i++)
        out[i] = unguided[i];
}
