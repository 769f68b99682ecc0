/*
 * exact.c - holds the targets and conversions of convert.c against exact fields
 *
 *     exact     prints, one a line and for each kind, NAME_target and NAME_conversion: largest
 * errors
 *
 * Targets: the field at x is the mean of the target over all pairs (z, eps) that lead through x
 * (1.5).  Points z of the law are weighed by N(x; alpha z, beta^2 I), eps follows from x and z, and
 * the weighted mean of the targets is compared with the exact field.  It is an estimate from 40000
 * points, hence good to a few parts in a hundred.  Conversions are compared exactly.
 */
#include "convert.h"

#include <imgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 40000, KINDS = 4, PLACES = 6 };

static const char *const names[KINDS] = {"velocity", "score", "noise", "data"};
static double cloud[2 * POINTS];

static void stop(const struct imgen_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static double exact_of(enum kind kind, const struct imgen_law_fields *v, int axis)
{
    const double *const fields[KINDS] = {v->velocity, v->score, v->noise, v->data};

    return fields[kind][axis];
}

/* The mean of the target at x over the posterior of z. */
static void mean_of_targets(double out[2], enum kind kind, const struct path *p, const double x[2])
{
    double sum = 0;

    out[0] = out[1] = 0;
    for (int i = 0; i < POINTS; i++) {
        double eps[2], weight, square = 0;

        for (int k = 0; k < 2; k++) {
            eps[k] = (x[k] - p->alpha * cloud[2 * i + k]) / p->beta;
            square += eps[k] * eps[k];
        }
        weight = exp(-0.5 * square);
        sum += weight;
        for (int k = 0; k < 2; k++)
            out[k] += weight * target(kind, p, cloud[2 * i + k], eps[k]);
    }
    out[0] /= sum;
    out[1] /= sum;
}

static double off(double got, double want)
{
    double d = fabs(got - want) / (1 + fabs(want));

    return isfinite(d) ? d : 1e9;
}

static void compare(const struct imgen_law *law, double t, double targets[KINDS],
                    double conversions[KINDS])
{
    static const double places[PLACES][2] = {{0, 0},    {0.5, 0.3}, {-0.8, 0.2},
                                             {1, -0.4}, {-0.3, -1}, {0.2, 0.9}};
    struct imgen_law_path c;
    struct imgen_error err;
    struct path p;

    imgen_law_path(law, t, &c);
    p = (struct path){c.alpha, c.beta, c.dalpha, c.dbeta};
    for (int i = 0; i < PLACES; i++) {
        struct imgen_law_fields v;

        if (imgen_law_fields(law, t, places[i], -1, &v, &err))
            stop(&err);
        for (enum kind kind = VELOCITY; kind <= DATA; kind++) {
            double mean[2];

            mean_of_targets(mean, kind, &p, places[i]);
            for (int k = 0; k < 2; k++) {
                double have = exact_of(kind, &v, k), x = places[i][k];

                targets[kind] = fmax(targets[kind], off(mean[k], have));
                conversions[kind] =
                    fmax(conversions[kind], off(velocity_from(kind, &p, x, have), v.velocity[k]));
                conversions[kind] =
                    fmax(conversions[kind], off(score_from(kind, &p, x, have), v.score[k]));
            }
        }
    }
}

int main(void)
{
    static const char *const paths[] = {"condot", "cosine", "vp_linear"};
    double targets[KINDS] = {0}, conversions[KINDS] = {0};
    struct imgen_error err;

    for (int k = 0; k < 3; k++) {
        struct imgen_law *law;

        if (imgen_law_open(&law, "moons", paths[k], &err) ||
            imgen_law_sample(law, 1, -1, 5, POINTS, cloud, NULL, &err))
            stop(&err);
        compare(law, 0.45, targets, conversions);
        compare(law, 0.6, targets, conversions);
        imgen_law_close(law);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        printf("%s_target %.4f\n", names[kind], targets[kind]);
        printf("%s_conversion %.2e\n", names[kind], conversions[kind]);
    }
    return 0;
}
