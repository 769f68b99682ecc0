/*
 * solver.c - steps of solvers
 */
#include "solver.h"

#include <math.h>

void euler_step(const struct field *f, double t, double h, double x[2])
{
    double u[2];

    field_velocity(f, t, x, u);
    for (int i = 0; i < 2; i++)
        x[i] += h * u[i];
}

void heun_step(const struct field *f, double t, double h, double x[2])
{
    double u[2], landed[2], there[2];

    field_velocity(f, t, x, u);
    for (int i = 0; i < 2; i++)
        landed[i] = x[i] + h * u[i];
    field_velocity(f, t + h, landed, there);
    for (int i = 0; i < 2; i++)
        x[i] += 0.5 * h * (u[i] + there[i]);
}

/* The noise of a step has variance sigma^2 h: its deviation goes with the root of h. */
void euler_maruyama_step(const struct field *f, double t, double h, double sigma,
                         const double xi[2], double x[2])
{
    double u[2], s[2];

    field_velocity(f, t, x, u);
    field_score(f, t, x, s);
    for (int i = 0; i < 2; i++)
        x[i] += h * (u[i] + 0.5 * sigma * sigma * s[i]) + sigma * sqrt(h) * xi[i];
}
