/*
 * mixture.c - labelled Gaussian mixtures, whose fields are known in closed form
 *
 * If the data are a mixture of Gaussians, so is every p_t, and all that a network could learn
 * (velocity, score, posterior means of noise and data, the ideal classifier) is a weighted sum over
 * the parts. Solvers, guidance and losses can then be tested against exact numbers instead of
 * against a trained network of unknown quality.
 *
 * One pass over the parts suffices.  The weights r_k = exp(l_k - log p) are softmax weights; the
 * sums are kept relative to the largest l_k met so far and rescaled when a larger one comes, so a
 * point sixty widths from the data still has finite fields.  With S = alpha^2 C + beta^2 I and its
 * Cholesky factor no formula divides by alpha, beta or D: the closed interval [0, 1] is served
 * wherever S > 0, also where dbeta is infinite, because only beta dbeta enters.  theory.md 4.1.
 */
#include "diffusion/mixture.h"

#include "base/memory.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const double log_2_pi = 1.83787706640934548356;

/* ---- Small symmetric matrices, row-major, d <= MIXTURE_DIM ---- */

/* a = L L^T into its lower triangle; false when a pivot is not positive.  With `semi`, pivots that
 * are zero up to rounding give a zero column (a covariance may be flat). */
static bool cholesky(double *a, int d, bool semi)
{
    double largest = 0;

    for (int i = 0; i < d; i++)
        largest = fmax(largest, a[i * d + i]);
    for (int j = 0; j < d; j++) {
        double pivot = a[j * d + j];

        for (int k = 0; k < j; k++)
            pivot -= a[j * d + k] * a[j * d + k];
        if (!(pivot > 0) && !(semi && pivot >= -1e-12 * largest))
            return false;
        a[j * d + j] = pivot > 0 ? sqrt(pivot) : 0;
        for (int i = j + 1; i < d; i++) {
            double v = a[i * d + j];

            for (int k = 0; k < j; k++)
                v -= a[i * d + k] * a[j * d + k];
            if (a[j * d + j] > 0)
                a[i * d + j] = v / a[j * d + j];
            else if (fabs(v) <= 1e-9 * largest)
                a[i * d + j] = 0;
            else
                return false;
        }
    }
    return true;
}

/* out = (L L^T)^-1 v. */
static void cholesky_solve(double *out, const double *chol, const double *v, int d)
{
    for (int i = 0; i < d; i++) {
        out[i] = v[i];
        for (int k = 0; k < i; k++)
            out[i] -= chol[i * d + k] * out[k];
        out[i] /= chol[i * d + i];
    }
    for (int i = d - 1; i >= 0; i--) {
        for (int k = i + 1; k < d; k++)
            out[i] -= chol[k * d + i] * out[k];
        out[i] /= chol[i * d + i];
    }
}

static double dot(const double *a, const double *b, int d)
{
    double sum = 0;

    for (int i = 0; i < d; i++)
        sum += a[i] * b[i];
    return sum;
}

/* ---- Making one ---- */

static enum status weights_check(struct mixture *m, const double *weight, const int32_t *label,
                                 struct error *err)
{
    double sum = 0;

    for (int k = 0; k < m->parts; k++) {
        if (!isfinite(weight[k]) || weight[k] < 0)
            return fail(err, E_ARG, "the weight of part %d of a mixture is %g", k, weight[k]);
        if (label[k] < 0)
            return fail(err, E_ARG, "the label of part %d of a mixture is %d", k, (int)label[k]);
        sum += weight[k];
    }
    if (!(fabs(sum - 1) <= 1e-9))
        return fail(err, E_ARG, "the weights of a mixture sum to %.12g, not to 1", sum);
    for (int k = 0; k < m->parts; k++)
        m->weight[k] = weight[k] / sum;
    return OK;
}

static enum status covariances_check(struct mixture *m, struct error *err)
{
    int d = m->dim;

    for (int k = 0; k < m->parts; k++) {
        const double *c = m->cov + k * d * d;

        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++)
                if (!(fabs(c[i * d + j] - c[j * d + i]) <= 1e-12 * (fabs(c[i * d + j]) + 1)))
                    return fail(err, E_ARG,
                                "the covariance of part %d of a mixture is not symmetric", k);
        if (!cholesky(m->chol + k * d * d, d, true))
            return fail(err, E_ARG,
                        "the covariance of part %d of a mixture is not positive semi-definite", k);
    }
    return OK;
}

enum status mixture_init(struct mixture *m, int dim, int parts, const double *weight,
                         const double *mean, const double *cov, const int32_t *label,
                         struct error *err)
{
    enum status st;
    size_t n, square;

    memset(m, 0, sizeof(*m));
    if (dim < 1 || dim > MIXTURE_DIM || parts < 1)
        return fail(err, E_ARG, "a mixture of %d parts in %d dimensions; served are 1 .. %d", parts,
                    dim, MIXTURE_DIM);
    m->dim = dim;
    m->parts = parts;
    n = (size_t)parts;
    square = n * (size_t)dim * (size_t)dim;
    if ((st = mem_new((void **)&m->weight, n, sizeof(double), "mixture", err)) ||
        (st = mem_new((void **)&m->mean, n * (size_t)dim, sizeof(double), "mixture", err)) ||
        (st = mem_new((void **)&m->cov, square, sizeof(double), "mixture", err)) ||
        (st = mem_new((void **)&m->chol, square, sizeof(double), "mixture", err)) ||
        (st = mem_new((void **)&m->label, n, sizeof(*label), "mixture", err)))
        return st;
    memcpy(m->mean, mean, n * (size_t)dim * sizeof(*mean));
    memcpy(m->cov, cov, square * sizeof(*cov));
    memcpy(m->chol, cov, square * sizeof(*cov));
    memcpy(m->label, label, n * sizeof(*label));
    st = weights_check(m, weight, label, err);
    return st ? st : covariances_check(m, err);
}

void mixture_release(struct mixture *m)
{
    free(m->weight);
    free(m->mean);
    free(m->cov);
    free(m->chol);
    free(m->label);
    memset(m, 0, sizeof(*m));
}

double mixture_prior(const struct mixture *m, int32_t y)
{
    double sum = 0;

    for (int k = 0; k < m->parts; k++)
        if (y == MIXTURE_ANY || m->label[k] == y)
            sum += m->weight[k];
    return sum;
}

/* ---- Fields ---- */

/* What one part contributes at a point: log pi_k p_k(x), S^-1 (x - mu), C S^-1 (x - mu). */
struct part {
    double log_p, q[MIXTURE_DIM], cq[MIXTURE_DIM];
};

static enum status part_at(struct part *p, const struct mixture *m, int k,
                           const struct path_coefs *c, const double *x, struct error *err)
{
    int d = m->dim;
    const double *cov = m->cov + k * d * d, *mean = m->mean + k * d;
    double s[MIXTURE_DIM * MIXTURE_DIM], off[MIXTURE_DIM], half_log_det = 0;

    for (int i = 0; i < d; i++) {
        off[i] = x[i] - c->alpha * mean[i];
        for (int j = 0; j < d; j++)
            s[i * d + j] = c->alpha * c->alpha * cov[i * d + j] + (i == j ? c->beta * c->beta : 0);
    }
    if (!cholesky(s, d, false))
        return fail(err, E_ARG, "part %d of a mixture has no density at t = %g: it is flat", k,
                    c->t);
    cholesky_solve(p->q, s, off, d);
    for (int i = 0; i < d; i++) {
        half_log_det += log(s[i * d + i]);
        p->cq[i] = dot(cov + i * d, p->q, d);
    }
    p->log_p = log(m->weight[k]) - 0.5 * dot(off, p->q, d) - half_log_det - 0.5 * d * log_2_pi;
    return OK;
}

/* Add a part to sums kept relative to exp(*top). */
static void part_add(struct mixture_value *v, double *top, double *sum, const struct part *p,
                     const double *mean, const struct path_coefs *c, int d)
{
    double r, keep = 1;

    if (p->log_p > *top) {
        keep = exp(*top - p->log_p);
        *top = p->log_p;
    }
    r = exp(p->log_p - *top);
    *sum = *sum * keep + r;
    for (int i = 0; i < d; i++) {
        double u = c->dalpha * mean[i] + c->alpha * c->dalpha * p->cq[i] + c->beta_dbeta * p->q[i];

        v->u[i] = v->u[i] * keep + r * u;
        v->s[i] = v->s[i] * keep - r * p->q[i];
        v->z[i] = v->z[i] * keep + r * (mean[i] + c->alpha * p->cq[i]);
    }
}

static_assert(offsetof(struct mixture_value, z) ==
                  offsetof(struct mixture_value, field[PREDICT_DATA]),
              "the first four fields have the numbers of their predictions");

void mixture_value_complete(struct mixture_value *v, const struct path_coefs *c, int dim)
{
    for (int p = PREDICT_DATA + 1; p < N_PREDICTIONS; p++) {
        double of_z = 0, of_eps = 0;

        /* Infinite coefficients, at an end of the path, leave no value to tell. */
        if (prediction_target(&of_z, &of_eps, (enum prediction)p, c, NULL))
            of_z = of_eps = (double)NAN;
        for (int i = 0; i < dim; i++)
            v->field[p][i] = of_z * v->z[i] + of_eps * v->eps[i];
    }
}

enum status mixture_at(struct mixture_value *v, const struct mixture *m, const struct path_coefs *c,
                       const double *x, int32_t y, struct error *err)
{
    double top = -DBL_MAX, sum = 0, prior = mixture_prior(m, y);
    enum status st;

    memset(v, 0, sizeof(*v));
    if (!(prior > 0))
        return fail(err, E_ARG, "no part of the mixture has the label %d", (int)y);
    for (int k = 0; k < m->parts; k++) {
        struct part p = {0};

        if ((y != MIXTURE_ANY && m->label[k] != y) || m->weight[k] == 0)
            continue;
        if ((st = part_at(&p, m, k, c, x, err)))
            return st;
        part_add(v, &top, &sum, &p, m->mean + k * m->dim, c, m->dim);
    }
    v->log_p = top + log(sum) - log(prior);
    for (int i = 0; i < m->dim; i++) {
        v->u[i] /= sum;
        v->s[i] /= sum;
        v->z[i] /= sum;
        v->eps[i] = -c->beta * v->s[i];
    }
    mixture_value_complete(v, c, m->dim);
    return OK;
}

enum status mixture_posterior(double *log_p, double *grad, const struct mixture *m,
                              const struct path_coefs *c, const double *x, int32_t y,
                              struct error *err)
{
    struct mixture_value any, with;
    enum status st;

    if ((st = mixture_at(&any, m, c, x, MIXTURE_ANY, err)) ||
        (st = mixture_at(&with, m, c, x, y, err)))
        return st;
    *log_p = log(mixture_prior(m, y)) + with.log_p - any.log_p;
    for (int i = 0; grad && i < m->dim; i++)
        grad[i] = with.s[i] - any.s[i];
    return OK;
}

/* ---- Laws ---- */

enum status mixture_moments(double *mean, double *cov, const struct mixture *m,
                            const struct path_coefs *c, int32_t y, struct error *err)
{
    double prior = mixture_prior(m, y);
    int d = m->dim;

    if (!(prior > 0))
        return fail(err, E_ARG, "no part of the mixture has the label %d", (int)y);
    memset(mean, 0, (size_t)d * sizeof(*mean));
    memset(cov, 0, (size_t)(d * d) * sizeof(*cov));
    for (int k = 0; k < m->parts; k++)
        if (y == MIXTURE_ANY || m->label[k] == y)
            for (int i = 0; i < d; i++)
                mean[i] += m->weight[k] / prior * c->alpha * m->mean[k * d + i];
    for (int k = 0; k < m->parts; k++) {
        double w = m->weight[k] / prior;
        const double *mk = m->mean + k * d, *ck = m->cov + k * d * d;

        if (y != MIXTURE_ANY && m->label[k] != y)
            continue;
        for (int i = 0; i < d; i++)
            for (int j = 0; j < d; j++)
                cov[i * d + j] +=
                    w * (c->alpha * c->alpha * ck[i * d + j] + (i == j ? c->beta * c->beta : 0) +
                         (c->alpha * mk[i] - mean[i]) * (c->alpha * mk[j] - mean[j]));
    }
    return OK;
}

double mixture_cdf(const struct mixture *m, const struct path_coefs *c, double x, int32_t y)
{
    double sum = 0, prior = mixture_prior(m, y);

    MUST(m->dim == 1 && prior > 0, "a distribution function in %d dimensions", m->dim);
    for (int k = 0; k < m->parts; k++)
        if (y == MIXTURE_ANY || m->label[k] == y) {
            double s = c->alpha * c->alpha * m->cov[k] + c->beta * c->beta;

            sum += m->weight[k] / prior * 0.5 * erfc((c->alpha * m->mean[k] - x) / sqrt(2 * s));
        }
    return sum;
}

int32_t mixture_sample(double *z, const struct mixture *m, int32_t y, struct rng *r)
{
    double left = rng_uniform(r) * mixture_prior(m, y), xi[MIXTURE_DIM];
    int d = m->dim, part = -1;

    for (int k = 0; k < m->parts; k++)
        if ((y == MIXTURE_ANY || m->label[k] == y) && m->weight[k] > 0) {
            part = k; /* the last one stands when rounding leaves a rest */
            if (left < m->weight[k])
                break;
            left -= m->weight[k];
        }
    MUST(part >= 0, "no part of the mixture has the label %d", (int)y);
    for (int i = 0; i < d; i++)
        xi[i] = rng_normal(r);
    for (int i = 0; i < d; i++)
        z[i] = m->mean[part * d + i] + dot(m->chol + part * d * d + i * d, xi, i + 1);
    return m->label[part];
}

/* ---- As a predictor ---- */

static enum status oracle_branch(const struct mixture_oracle *o, double *out, const double *x,
                                 const struct path_coefs *c, bool guided, struct error *err)
{
    int64_t d = o->mixture->dim;
    struct mixture_value v;
    enum status st;

    for (int64_t i = 0; i < o->rows; i++) {
        int32_t y = guided ? o->label[i] : MIXTURE_ANY;

        if ((st = mixture_at(&v, o->mixture, c, x + i * d, y, err)))
            return st;
        memcpy(out + i * d, v.field[o->predicts], (size_t)d * sizeof(*out));
    }
    return OK;
}

static enum status oracle_predict(void *self, double *out, const double *x, double t,
                                  unsigned branches, struct error *err)
{
    struct mixture_oracle *o = self;
    struct path_coefs c = path_at(&o->path, t);
    enum status st = OK;

    o->calls++;
    if (branches & BRANCH_UNGUIDED) {
        st = oracle_branch(o, out, x, &c, false, err);
        out += o->rows * o->mixture->dim;
    }
    if (!st && branches & BRANCH_GUIDED)
        st = oracle_branch(o, out, x, &c, true, err);
    return st;
}

struct predictor predictor_of_mixture(struct mixture_oracle *o)
{
    return (struct predictor){oracle_predict, o, o->rows, o->mixture->dim};
}
