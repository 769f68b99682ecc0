/*
 * solver.h - steps of solvers, to be written in solver.c
 *
 * A point moves in the plane.  field_velocity and field_score are the exact u_t(x) and s_t(x).
 */
#ifndef SOLVER_H
#define SOLVER_H

struct field;

void field_velocity(const struct field *f, double t, const double x[2], double u[2]);
void field_score(const struct field *f, double t, const double x[2], double s[2]);

/* Move x from t to t + h along dX = u dt.  Euler: one slope, at the start. */
void euler_step(const struct field *f, double t, double h, double x[2]);
/* Heun: go to where Euler lands, look at the slope there, and take the mean of both slopes. */
void heun_step(const struct field *f, double t, double h, double x[2]);
/* Move x from t to t + h along dX = [u + (sigma^2 / 2) s] dt + sigma dW by Euler and Maruyama; xi:
 * two standard normal numbers, fresh for this step. */
void euler_maruyama_step(const struct field *f, double t, double h, double sigma,
                         const double xi[2], double x[2]);

#endif
