/*
 * mixture.h - labelled Gaussian mixtures, whose fields are known in closed form
 *
 * The oracle of the theory: everything a network could learn, exactly, for data that are a mixture
 * of Gaussians with full covariances.  Not for speed; dimensions up to MIXTURE_DIM.  theory.md 4.1.
 */
#ifndef IMGEN_DIFFUSION_MIXTURE_H
#define IMGEN_DIFFUSION_MIXTURE_H

#include "base/rng.h"
#include "diffusion/guidance.h"
#include "diffusion/prediction.h"

enum {
    MIXTURE_DIM = 16,
    MIXTURE_ANY = -1, /* the label of "no label": unguided */
};

struct mixture {
    int dim, parts;
    double *weight; /* [parts], sums to 1                         */
    double *mean;   /* [parts, dim]                               */
    double *cov;    /* [parts, dim, dim], symmetric               */
    double *chol;   /* [parts, dim, dim], lower, for sampling     */
    int32_t *label; /* [parts], >= 0                              */
};

/* Copies the arrays.  E_ARG for a dimension outside 1 .. MIXTURE_DIM, for parts < 1, weights that
 * are negative or do not sum to 1 within 1e-9 (they are then divided by their sum), labels below 0,
 * a covariance that is not symmetric or not positive semi-definite.  Release also after a failure.
 */
enum status mixture_init(struct mixture *m, int dim, int parts, const double *weight,
                         const double *mean, const double *cov, const int32_t *label,
                         struct error *err);
void mixture_release(struct mixture *m);

/* The fields at one point; all vectors [dim]. */
struct mixture_value {
    double log_p; /* log p_t(x) or log p_t(x | y) */
    union {
        struct {
            double u[MIXTURE_DIM];   /* velocity         */
            double s[MIXTURE_DIM];   /* score            */
            double eps[MIXTURE_DIM]; /* E[eps | x_t = x] */
            double z[MIXTURE_DIM];   /* E[z | x_t = x]   */
        };
        double field[N_PREDICTIONS][MIXTURE_DIM]; /* by enum prediction, these four first */
    };
};

/* The fields after the first four, from data and noise. */
void mixture_value_complete(struct mixture_value *v, const struct path_coefs *c, int dim);

/* The fields of the parts labelled y, or of all with MIXTURE_ANY.  Valid on the closed interval
 * wherever alpha^2 C + beta^2 I is positive definite for every part, else E_ARG.  E_ARG for a label
 * no part has. */
enum status mixture_at(struct mixture_value *v, const struct mixture *m, const struct path_coefs *c,
                       const double *x, int32_t y, struct error *err);

/* p(y), 0 for a label no part has. */
double mixture_prior(const struct mixture *m, int32_t y);
/* log p_t(y | x), and with grad != NULL its gradient in x. */
enum status mixture_posterior(double *log_p, double *grad, const struct mixture *m,
                              const struct path_coefs *c, const double *x, int32_t y,
                              struct error *err);

/* Mean and covariance of p_t(. | y): mean [dim], cov [dim, dim]. */
enum status mixture_moments(double *mean, double *cov, const struct mixture *m,
                            const struct path_coefs *c, int32_t y, struct error *err);
/* P(x_t <= x | y) of a 1-D mixture. */
double mixture_cdf(const struct mixture *m, const struct path_coefs *c, double x, int32_t y);

/* z ~ p_data(. | y), [dim]; returns the label of the part drawn. */
int32_t mixture_sample(double *z, const struct mixture *m, int32_t y, struct rng *r);

/* A mixture as a predictor: row i is asked under label[i]. */
struct mixture_oracle {
    const struct mixture *mixture;
    struct path path;
    enum prediction predicts;
    const int32_t *label; /* [rows]; MIXTURE_ANY: both branches are unguided */
    int64_t rows;
    int64_t calls; /* of predict, so far */
};
struct predictor predictor_of_mixture(struct mixture_oracle *o);

#endif
