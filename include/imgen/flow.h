/*
 * imgen/flow.h - flows of your own: training numbers and solvers around any network
 */
#ifndef IMGEN_FLOW_H
#define IMGEN_FLOW_H

#include "imgen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- the flow itself -------------------------------------------------------------------------- */

/* Numbers for a training step of guided flow matching on the path x_t = t z + (1 - t) eps, from the
 * seed and the number of the first sample: t uniform, eps normal, labels replaced by null_label
 * with probability drop.  z, x, target [n, length]; t [n]; label [n], changed in place, or NULL. */
IMGEN_API enum imgen_status imgen_flow_batch(const float *z, int32_t *label, int64_t n,
                                             int64_t length, uint64_t seed, uint64_t first,
                                             double drop, int32_t null_label, float *x, float *t,
                                             float *target, struct imgen_error *err);

/* A velocity: out = u(x, t) for x [rows, length].  guided 0: without the request.  Non-zero stops.
 */
typedef int imgen_velocity(double *out, const double *x, double t, int guided, void *user);
/* Integrate dx/dt = (1 - w) u(x, t | none) + w u(x, t | y) from t = 0 to 1, x [rows, length] in
 * place; w = 0 and w = 1 ask for one branch only. */
IMGEN_API enum imgen_status imgen_flow_sample(double *x, int64_t rows, int64_t length,
                                              const char *sampler, int steps, double w,
                                              imgen_velocity *velocity, void *user,
                                              struct imgen_error *err);
/* x [rows, length] = the standard normal numbers that pictures with seeds seed, seed + 1, ... start
 * from. */
IMGEN_API void imgen_flow_noise(double *x, int64_t rows, int64_t length, uint64_t seed);

/* --- sampling with a predictor of your own ---
 *
 * Any network, trained anywhere, on any of the library's paths, with any of its solvers: say which
 * path x_t = alpha z + beta noise it was trained on and what it predicts, and answer with its
 * predictions.  example/foreign_model.c does it with a public DDPM. */

/* out = the prediction at x and t, for x [rows, length] and t in [0, 1], 1 being the data; guided
 * 0: without the request.  Non-zero stops. */
typedef int imgen_predictor(double *out, const double *x, double t, int guided, void *user);

/* Texts and arrays belong to the caller. */
struct imgen_solving {
    int64_t rows, length;
    const char *path;       /* see imgen_list                                                */
    const char *prediction; /* what comes out: "velocity", "score", "noise", "data", "v"        */
    const char *sampler, *schedule; /* see imgen_list                                        */
    int steps;                      /* 1 .. 1000                                             */
    const double
        *times; /* [n_times] increasing in 0 .. 1, instead of schedule and steps, or NULL */
    int n_times;
    const char *const *numbers; /* [n_numbers] of the above, as in struct imgen_request, and of
                                   the path: "path.last=0.012", "sampler.zeta=1"           */
    int n_numbers;
    double w;              /* guidance scale >= 0: 0 and 1 ask for one branch only           */
    const uint64_t *seeds; /* [rows] of the noise that a solver adds, or NULL: 0, 1, 2, ...  */
    imgen_predictor *predict;
    void *user;
};

/* A velocity on the path condot, Heun's method with 50 equal steps, w = 1. */
IMGEN_API void imgen_solving_init(struct imgen_solving *s, int64_t rows, int64_t length,
                                  imgen_predictor *predict, void *user);
/* x [rows, length] in place, from the first time to the last.  At t = 0 it is noise: normal numbers
 * times the path's beta (1 on most paths).  E_ARG for what is unknown, out of range, or has no
 * value there; E_CANCELLED when the predictor stopped; E_NOT_FINITE names the step. */
IMGEN_API enum imgen_status imgen_solve(double *x, const struct imgen_solving *s,
                                        struct imgen_error *err);
/* Signal and noise at time t of the path that is named and set: x_t = alpha z + beta noise.  For
 * networks that are told the noise level, and for starting between the ends.  E_ARG. */
IMGEN_API enum imgen_status imgen_path_at(const struct imgen_solving *s, double t, double *alpha,
                                          double *beta, struct imgen_error *err);

#ifdef __cplusplus
}
#endif

#endif
