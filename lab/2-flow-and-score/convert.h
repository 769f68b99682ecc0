/*
 * convert.h - training targets and conversions, to be written in convert.c
 *
 * Everything is one coordinate at one time; x = alpha z + beta eps throughout.
 */
#ifndef CONVERT_H
#define CONVERT_H

enum kind { VELOCITY, SCORE, NOISE, DATA };

/* The path at one time, and its derivatives; alpha, beta > 0. */
struct path {
    double alpha, beta, dalpha, dbeta;
};

/* What a network that predicts `kind` is trained on, for the pair (z, eps). */
double target(enum kind kind, const struct path *p, double z, double eps);

/* The velocity u and the score s at x, from a prediction of `kind` at x. */
double velocity_from(enum kind kind, const struct path *p, double x, double prediction);
double score_from(enum kind kind, const struct path *p, double x, double prediction);

#endif
