/*
 * grid.h - the times at which a fixed-step solver stops
 */
#ifndef IMGEN_SAMPLER_GRID_H
#define IMGEN_SAMPLER_GRID_H

#include "diffusion/path.h"

enum { STEPS_MAX = 1000 };

struct grid_kind {
    struct choice is;
    bool of_noise; /* fills times of the path itself, not a map of [0, 1] to be stretched */
    /* t[1..n-1], increasing, inside (0, 1), or of noise levels inside (t[0], t[n]).  The ends are
     * grid_fill's. */
    void (*fill)(double *t, int n, const double *values, const struct path *path);
    /* E_ARG when the numbers do not suit n steps; may be NULL. */
    enum status (*check)(int n, const double *values, struct error *err);
};

struct grid {
    const struct grid_kind *kind;
    double values[CHOICE_VALUES];
    const struct path *path; /* whose noise levels are meant; NULL: condot's */
};

const struct grid_kind *grid_kind_at(int i); /* NULL past the last */

/* A grid by name, with its default numbers and no path.  E_ARG when unknown. */
enum status grid_init(struct grid *g, const char *name, struct error *err);
enum status grid_set(struct grid *g, const char *param, double value, struct error *err);

/* t[0..n] from t0 to t1, the unit grid stretched, or the times of the noise levels between.  1 <= n
 * <= STEPS_MAX, 0 <= t0 < t1 <= 1 (E_ARG).
 */
enum status grid_fill(double *t, const struct grid *g, int n, double t0, double t1,
                      struct error *err);

/* Where pictures made of others begin: how many of n steps are left out, so that a share
 * strength in [0, 1] of them is left; n means none.  Programs round the product differently where
 * it is not exact: 20 steps at 0.8 begin at 3 or at 4. */
enum grid_start {
    START_REFERENCE, /* trunc(n (1 - strength)): the published inference code              */
    START_FOLDER,    /* trunc(n - min(n strength, n)): pipelines of the folder layout       */
};
int grid_start(int n, double strength, enum grid_start rule);

/* A grid given by a person: at least two times, increasing, inside [0, 1] (E_ARG naming the entry).
 */
enum status grid_check(const double *t, int n, struct error *err);

#endif
