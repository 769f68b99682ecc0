/*
 * solver_case.h - one mixture fixture of solvers, and what its checkers share
 */
#ifndef IMGEN_PARITY_SOLVER_CASE_H
#define IMGEN_PARITY_SOLVER_CASE_H

#include "oracle.h"

struct sampler_case {
    struct parity_report *r;
    struct parity_fixture *f;
    struct mixture m;
    struct path path;
    const double *start; /* [rows, dim] */
    int64_t rows;
};

/* Run from the start points; *out has the size of the state. */
enum status case_solve(double **out, struct sampler_case *s, struct oracle_run *run,
                       struct error *err);

/* Members "dpmpp", "interior" and "unipc_full" of a path. */
enum status case_multistep(struct sampler_case *s, const json_t *path, struct error *err);
/* Members "sde", "ddim" and "dpmpp2_sde" of a path. */
enum status case_stochastic(struct sampler_case *s, const json_t *path, struct error *err);
/* Member "sigma_space" of the file: alpha = 1, time is the noise level. */
enum status case_noise_levels(struct sampler_case *s, const json_t *root, struct error *err);

#endif
