/*
 * oracle.h - paths, mixtures and numbers out of JSON fixtures, and solver runs on closed-form
 * fields
 *
 * What the checkers of theory and sampler fixtures share.
 */
#ifndef IMGEN_PARITY_ORACLE_H
#define IMGEN_PARITY_ORACLE_H

#include "diffusion/mixture.h"
#include "parity.h"
#include "sampler/sampler.h"

/* The fixtures know the first four predictions: velocity, score, noise, data. */
enum { KNOWN_PREDICTIONS = PREDICT_DATA + 1 };

/* All numbers in a value (a number, or arrays of arrays of them), in order, in the fixture's
 * memory; null becomes NaN.  E_FORMAT, naming `what`, for anything else and when their count is not
 * `want` (want < 0: any).  n may be NULL. */
enum status numbers_read(double **out, int64_t *n, struct parity_fixture *f, const json_t *value,
                         int64_t want, const char *what, struct error *err);
/* The same of a member of an object; E_FORMAT when it is missing. */
enum status member_read(double **out, int64_t *n, struct parity_fixture *f, const json_t *object,
                        const char *key, int64_t want, struct error *err);
/* One finite number of an object. */
enum status real_read(double *out, const json_t *object, const char *key, struct error *err);
/* A label: an integer >= 0, or MIXTURE_ANY for null. */
enum status label_read(int32_t *out, const json_t *object, const char *key, struct error *err);

/* A path by name, its numbers from `params` (an object, or NULL for the defaults). */
enum status path_read(struct path *out, const char *name, const json_t *params, struct error *err);
/* The path that a row of a theory fixture names, with the numbers the file repeats. */
enum status path_of_row(struct path *out, const json_t *root, const json_t *row, struct error *err);

/* { dim, weights, means, covariances, labels } as in theory fixtures, or { w, m, S } as in sampler
 * fixtures (all labels 0).  To be released also after a failure. */
enum status mixture_read(struct mixture *out, struct parity_fixture *f, const json_t *value,
                         struct error *err);

/* Numbers found and wanted, gathered until one comparison is made of them. */
struct pairs {
    double *got, *want;
    int64_t n, room_got, room_want;
};
enum status pairs_add(struct pairs *p, const double *got, const double *want, int64_t n,
                      struct error *err);
/* Adds nothing to the report when there are no pairs; empties them. */
void pairs_compare(struct pairs *p, struct parity_report *r, const char *name,
                   struct parity_limit limit);
void pairs_release(struct pairs *p);

/* |got - want| <= e (1 + |want|). */
struct parity_limit limit_rel(double e);

/* A run of one solver on the guided velocity of a mixture. */
struct oracle_run {
    const struct mixture *mixture;
    struct path path;
    int32_t y;
    double w;
    const struct sampler *sampler;
    const double *options; /* [CHOICE_VALUES] or NULL for the defaults */
    double t0, t1;
    int steps;                      /* of a uniform grid, unless there are times  */
    const double *times;            /* [steps + 1] or NULL                        */
    const double *noise;            /* [draws, rows, dim] for stochastic solvers  */
    int64_t draws;                  /* steps beyond them draw zeros               */
    struct diffusion diffusion;     /* of an SDE                                  */
    const struct guidance_how *how; /* NULL: classifier-free                  */
    struct sampling_report report;
};
/* x: [rows, dim], from t0 to t1. */
enum status oracle_solve(double *x, int64_t rows, struct oracle_run *run, struct error *err);

#endif
