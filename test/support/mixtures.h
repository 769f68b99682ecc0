/*
 * mixtures.h - the closed-form data that tests of paths, guidance and solvers share
 */
#ifndef IMGEN_TEST_SUPPORT_MIXTURES_H
#define IMGEN_TEST_SUPPORT_MIXTURES_H

#include "diffusion/mixture.h"
#include "sampler/sampler.h"

/* Three parts, labels 0 0 1, well separated. */
void mixture_line(struct mixture *m);
/* Five parts in the plane, labels 0 1 2 0 1, full covariances. */
void mixture_plane(struct mixture *m);
/* One Gaussian N(mean, var), label 0. */
void mixture_single(struct mixture *m, double mean, double var);

enum { N_PATHS = 10 };
/* All paths with their default numbers, in the order of the table. */
struct path path_number(int i);
struct path path_named(const char *name);

/* Fails the test, naming `what`, unless |got - want| <= e (1 + |want|). */
void near(double got, double want, double e, const char *what);

/* Integrate rows points from t0 to t1 under label y and scale w with a named solver and equal
 * steps; returns what the run counted.  Fails the test when the run does. */
struct sampling_report solve(double *x, int64_t rows, const struct mixture *m,
                             const struct path *path, int32_t y, double w, const char *solver,
                             int steps, double t0, double t1);

/* The same with more said: times [steps + 1] in place of equal steps, one number of the solver, an
 * SDE's strength and the seed of its noise. */
struct solve_how {
    const char *solver;
    int steps;
    double t0, t1;
    const double *times;
    const char *set;
    double value;
    struct diffusion diffusion;
    uint64_t seed;
};
struct sampling_report solve_how(double *x, int64_t rows, const struct mixture *m,
                                 const struct path *path, int32_t y, double w,
                                 const struct solve_how *how);

/* Noise for tests of solvers: row i from stream (seed + i, RNG_STEP, step); self: a struct
 * noise_of.
 */
struct noise_of {
    uint64_t seed;
    int64_t rows, length;
};
void noise_draw(void *self, double *out, int64_t step);

/* The largest distance between the empirical distribution function of x (sorted in place) and that
 * of p_t(. | y). */
double ks_distance(double *x, int64_t n, const struct mixture *m, const struct path_coefs *c,
                   int32_t y);

#endif
