/*
 * sampler.h - from noise to data: one loop for every solver
 *
 * A solver is a file with a step and a descriptor; the loop owns the state, the time, the counters,
 * the callback and the failure.  The state lives on the host in double: beside a network it costs
 * nothing, and solvers then differ from their formulas by rounding alone.
 */
#ifndef IMGEN_SAMPLER_SAMPLER_H
#define IMGEN_SAMPLER_SAMPLER_H

#include "diffusion/field.h"
#include "sampler/diffusion.h"
#include "sampler/grid.h"

#include <stddef.h>

enum { SAMPLER_WORK = 8 };

struct sampling;

struct sampler {
    struct choice is;
    int order;        /* of the global error                                                 */
    int evaluations;  /* slopes a step costs (adaptive: a step that is tried)                */
    bool on_data;     /* asks for E[z | x]; otherwise for the velocity                        */
    bool stochastic;  /* draws noise at every step                                            */
    bool of_variance; /* asks the network how uncertain a step is: field.variance            */
    bool adaptive;    /* chooses its own times, one size for the whole state: run one picture
                         at a time, for a picture must not depend on its batch mates         */
    int work;         /* arrays of the state's size, at most SAMPLER_WORK                    */
    size_t memory;    /* bytes kept from step to step, zeroed at the start                   */
    /* Advance s->x from t to `next`.  An adaptive solver goes as far as it sees fit, at most to
     * next, and writes where it came to into s->t (the loop has put `next` there). */
    enum status (*step)(struct sampling *s, double t, double next, struct error *err);
};

/* What the callback sees, after each step.  Valid during the call. */
struct sampling_progress {
    int step;            /* steps done, from 1                     */
    int steps;           /* steps in all; 0 when adaptive          */
    double t;            /* time reached                           */
    double done;         /* share of [t0, t1] passed, in (0, 1]    */
    int64_t evaluations; /* slopes so far                          */
    const double *x;     /* [rows, length]: the state at t         */
    const double *data;  /* [rows, length]: E[z | x] at the start of this step, the preview; NULL
                            unless asked for; costs no evaluation  */
};

/* Return false to stop: sampling_run then fails with E_CANCELLED. */
typedef bool sampling_callback(void *self, const struct sampling_progress *p);

/* The noise of an SDE: out [rows, length] standard normal, a function of the step's number (from 0)
 * and of whose picture a row is, and of nothing else. */
typedef void sampling_draw(void *self, double *out, int64_t step);

/* Called after each step, before the callback, with the state at t: what is known of it may be put
 * in its place. */
typedef void sampling_hold(void *self, double *x, int64_t rows, double t);

/* What to run.  Belongs to the caller. */
struct sampling_request {
    const struct sampler *sampler;
    double values[CHOICE_VALUES]; /* the sampler's numbers: choice_defaults, then choice_set  */
    const double *times;          /* [steps + 1], increasing; adaptive: the two ends are used */
    int steps;
    struct field *field;
    struct diffusion diffusion; /* for solvers of the SDE                                     */
    sampling_draw *draw;        /* for stochastic solvers, else may be NULL                   */
    void *draw_self;
    sampling_hold *hold; /* may be NULL */
    void *hold_self;
    sampling_callback *progress; /* may be NULL */
    void *self;
    bool wants_preview; /* fill sampling_progress.data */
};

struct sampling_report {
    int64_t evaluations; /* slopes asked for                    */
    int64_t accepted;    /* steps taken                         */
    int64_t rejected;    /* steps tried in vain (adaptive only) */
};

/* A run, as solvers see it. */
struct sampling {
    const double *values; /* of the request                                          */
    double *x;            /* [n], the state                                          */
    double *work[SAMPLER_WORK];
    void *memory;
    int64_t n; /* rows * length                                           */
    int64_t rows;
    double t; /* where the step ends; see sampler.step                   */
    struct sampling_report count;
    const struct sampling_request *request;
    double *seen_x,
        *seen; /* [n]: the first thing predicted in this step, for the preview, and where */
    double seen_t;
    enum prediction seen_is;
    bool has_seen;
};

const struct sampler *sampler_at(int i); /* NULL past the last */
/* By name or alias; E_ARG naming the nearest. */
enum status sampler_find(const struct sampler **out, const char *name, struct error *err);

/* E_ARG, with the reason, where the solver asks for what a model cannot give: the variance of its
 * steps, on a path that has any.  sampling_run asks too. */
enum status sampler_check(const struct sampler *s, const struct path *path, bool has_variance,
                          struct error *err);

/* x[0..length-1] = X_0 of one picture from stream (seed, RNG_START, picture): N(0, I), and on
 * variance exploding paths N(0, beta_0^2 I).  The label, w, solver and batch change nothing. */
void sampling_start(double *x, const struct path *path, uint64_t seed, uint64_t picture,
                    int64_t length);

/* x: [rows, length] of the field's predictor, at times[0] before and at times[steps] after.  report
 * may be NULL.  Fails with E_ARG (steps, times, a solver that cannot serve), E_MEMORY, E_CANCELLED,
 * E_NOT_FINITE naming the step, and what the predictor says; x is then where the run stood. */
enum status sampling_run(double *x, const struct sampling_request *request,
                         struct sampling_report *report, struct error *err);

/* For solvers.  out = u(x, t), counted. */
enum status sampling_slope(struct sampling *s, double *out, const double *x, double t,
                           struct error *err);
/* Whether the velocity can be had at t. */
bool sampling_has_slope(const struct sampling *s, double t);
/* data = E[z | x], noise = E[eps | x] (or NULL) at t, counted as one. */
enum status sampling_data_noise(struct sampling *s, double *data, double *noise, const double *x,
                                double t, struct error *err);
/* v of the steps from (x, t), [n]: field_variance.  Right after sampling_data_noise of the same x
 * and t it costs nothing, and it is not counted. */
enum status sampling_variance(struct sampling *s, double *v, const double *x, double t,
                              struct error *err);
/* xi of this step, [n]; the same numbers each time it is called within a step. */
void sampling_noise(struct sampling *s, double *out);
/* The path at t. */
struct path_coefs sampling_path(const struct sampling *s, double t);
/* Steps of the grid that are left, the present one included. */
int sampling_left(const struct sampling *s);

#endif
