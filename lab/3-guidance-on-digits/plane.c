/*
 * plane.c - guidance by combine.c in the plane, against the library's
 *
 *     plane     prints the largest difference of the end points of the flow for several w
 *
 * The same noise is carried twice to label 0 of the law "petals": by the library's solver under its
 * own guidance, and by it under none, on a velocity that combine.c has put together.
 */
#include "combine.h"

#include <imgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 200, STEPS = 40 };

struct asked {
    struct imgen_law *law;
    double w; /* of combine; negative: the library combines */
};

static int fields(double *out, const double *x, double t, int label, const struct imgen_law *law)
{
    for (int i = 0; i < POINTS; i++) {
        struct imgen_law_fields v;

        if (imgen_law_fields(law, t, x + 2 * i, label, &v, NULL))
            return 1;
        out[2 * i] = v.velocity[0];
        out[2 * i + 1] = v.velocity[1];
    }
    return 0;
}

static int velocity(double *out, const double *x, double t, int guided, void *user)
{
    const struct asked *a = user;
    double none[2 * POINTS], with[2 * POINTS];

    if (a->w < 0)
        return fields(out, x, t, guided ? 0 : -1, a->law);
    if (fields(none, x, t, -1, a->law) || fields(with, x, t, 0, a->law))
        return 1;
    combine(out, none, with, a->w, 2 * POINTS);
    return 0;
}

static double difference(struct imgen_law *law, double w)
{
    struct asked library = {law, -1}, mine = {law, w};
    double a[2 * POINTS], b[2 * POINTS], worst = 0;

    imgen_flow_noise(a, POINTS, 2, 1);
    imgen_flow_noise(b, POINTS, 2, 1);
    if (imgen_flow_sample(a, POINTS, 2, "heun", STEPS, w, velocity, &library, NULL) ||
        imgen_flow_sample(b, POINTS, 2, "heun", STEPS, 1, velocity, &mine, NULL))
        return 1e9;
    for (int i = 0; i < 2 * POINTS; i++)
        worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

int main(void)
{
    struct imgen_error err;
    struct imgen_law *law;

    if (imgen_law_open(&law, "petals", "condot", &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (double w = 0; w < 8; w = 2 * w + 1)
        printf("difference %g %.2e\n", w, difference(law, w));
    imgen_law_close(law);
    return 0;
}
