/*
 * race.c - puts the steps of solver.c to the test on exact fields
 *
 *     race      prints, one a line: euler_order, heun_order, sde_distance, sde_floor, ode_distance
 *
 * Orders: points of the law "petals" are carried with 40 and 80 steps and compared with 1280 steps
 * of Heun's method as written here; the order is log2 of the ratio of the errors.  Distances: end
 * points of 250 steps of the SDE with sigma_t = 1.5 (1 - t), and of 250 steps of Euler, from fresh
 * points of the law; the floor is the distance between two sets of fresh points.
 */
#include "solver.h"

#include <imgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORDER_POINTS = 200, POINTS = 1500, SDE_STEPS = 250 };

struct field {
    struct imgen_law *law;
};

static void stop(const struct imgen_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static struct imgen_law_fields fields_at(const struct field *f, double t, const double x[2])
{
    struct imgen_law_fields v;
    struct imgen_error err;

    if (imgen_law_fields(f->law, t, x, -1, &v, &err))
        stop(&err);
    return v;
}

void field_velocity(const struct field *f, double t, const double x[2], double u[2])
{
    struct imgen_law_fields v = fields_at(f, t, x);

    memcpy(u, v.velocity, sizeof v.velocity);
}

void field_score(const struct field *f, double t, const double x[2], double s[2])
{
    struct imgen_law_fields v = fields_at(f, t, x);

    memcpy(s, v.score, sizeof v.score);
}

typedef void step(const struct field *f, double t, double h, double x[2]);

/* Heun's method, for the reference; yours may be wrong. */
static void reference_step(const struct field *f, double t, double h, double x[2])
{
    double a[2], b[2], y[2];

    field_velocity(f, t, x, a);
    y[0] = x[0] + h * a[0];
    y[1] = x[1] + h * a[1];
    field_velocity(f, t + h, y, b);
    x[0] += h * (a[0] + b[0]) / 2;
    x[1] += h * (a[1] + b[1]) / 2;
}

static void carry(const struct field *f, step *one, int steps, double *x, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < steps; k++)
            one(f, (double)k / steps, 1.0 / steps, x + 2 * i);
}

static void sample(const struct field *f, double t, uint64_t seed, double *x, int n)
{
    struct imgen_error err;

    if (imgen_law_sample(f->law, t, -1, seed, n, x, NULL, &err))
        stop(&err);
}

static double error_of(const struct field *f, step *one, int steps, const double *exact)
{
    double x[2 * ORDER_POINTS], sum = 0;

    sample(f, 0, 1, x, ORDER_POINTS);
    carry(f, one, steps, x, ORDER_POINTS);
    for (int i = 0; i < 2 * ORDER_POINTS; i++)
        sum += (x[i] - exact[i]) * (x[i] - exact[i]);
    return sqrt(sum / ORDER_POINTS);
}

static double order_of(const struct field *f, step *one, const double *exact)
{
    return log2(error_of(f, one, 40, exact) / error_of(f, one, 80, exact));
}

static double distance(const double *a, const double *b)
{
    struct imgen_error err;
    double d;

    if (imgen_cloud_distance(&d, a, b, POINTS, &err))
        stop(&err);
    return d;
}

static void stir(const struct field *f, double *x, double *noise)
{
    for (int k = 0; k < SDE_STEPS; k++) {
        double t = (double)k / SDE_STEPS;

        imgen_flow_noise(noise, POINTS, 2, (uint64_t)(k + 1) * 1000000);
        for (int i = 0; i < POINTS; i++)
            euler_maruyama_step(f, t, 1.0 / SDE_STEPS, 1.5 * (1 - t), noise + 2 * i, x + 2 * i);
    }
}

int main(void)
{
    static double exact[2 * ORDER_POINTS], x[2 * POINTS], fresh[2 * POINTS], noise[2 * POINTS];
    struct imgen_error err;
    struct field f;

    if (imgen_law_open(&f.law, "petals", "condot", &err))
        stop(&err);
    sample(&f, 0, 1, exact, ORDER_POINTS);
    carry(&f, reference_step, 1280, exact, ORDER_POINTS);
    printf("euler_order %.3f\n", order_of(&f, euler_step, exact));
    printf("heun_order %.3f\n", order_of(&f, heun_step, exact));
    sample(&f, 1, 11, fresh, POINTS);
    sample(&f, 0, 12, x, POINTS);
    stir(&f, x, noise);
    printf("sde_distance %.4f\n", distance(x, fresh));
    sample(&f, 1, 13, x, POINTS);
    printf("sde_floor %.4f\n", distance(x, fresh));
    sample(&f, 0, 12, x, POINTS);
    carry(&f, euler_step, SDE_STEPS, x, POINTS);
    printf("ode_distance %.4f\n", distance(x, fresh));
    imgen_law_close(f.law);
    return 0;
}
