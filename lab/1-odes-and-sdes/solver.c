/*
 * solver.c - steps of solvers: fill them in
 */
#include "solver.h"

#include <math.h>

void euler_step(const struct field *f, double t, double h, double x[2])
{
    double u[2];

    field_velocity(f, t, x, u);
    (void)h; /* x stays where it is: that is no step yet */
}

void heun_step(const struct field *f, double t, double h, double x[2])
{
    euler_step(f, t, h, x); /* a first order step: the second slope is missing */
}

void euler_maruyama_step(const struct field *f, double t, double h, double sigma,
                         const double xi[2], double x[2])
{
    (void)sigma, (void)xi;
    euler_step(f, t, h, x); /* without noise and score */
}
