/*
 * law.h - laws of labelled points in the plane, each with its exact fields
 */
#ifndef IMGEN_LAB_LAW_H
#define IMGEN_LAB_LAW_H

#include "diffusion/choice.h"
#include "diffusion/mixture.h"
#include "lab/board.h"

enum { LAW_LABELS = 16, LAW_ANY = MIXTURE_ANY };

struct law {
    char *name;
    int n_labels;
    double reach; /* all but a trace of it lies within this distance of 0, along each axis */
    bool is_board;
    struct mixture mixture; /* dim 2 */
    struct board board;
};

/* A law that is built in. */
struct law_kind {
    struct choice is;
    enum status (*make)(struct law *l, struct error *err);
};
const struct law_kind *law_kind_at(int i); /* NULL past the last */

/* word: the name of a law; a file of a mixture (.ini, .json: law_file.h); or a picture (.png, .jpg,
 * .jpeg, .webp), whose dark pixels become points.  E_ARG naming the nearest, and what reading the
 * file says.  Release also after a failure. */
enum status law_open(struct law *l, const char *word, struct error *err);
void law_release(struct law *l);

/* As mixture_at, for either kind. */
enum status law_at(struct mixture_value *v, const struct law *l, const struct path_coefs *c,
                   const double x[2], int32_t y, struct error *err);
double law_prior(const struct law *l, int32_t y);
/* E_ARG for a label that the law has not; LAW_ANY is fine. */
enum status law_check_label(const struct law *l, int64_t y, struct error *err);
int32_t law_sample(double z[2], const struct law *l, int32_t y, struct rng *r);
/* Mean and covariance of p_t(. | y). */
void law_moments(double mean[2], double cov[4], const struct law *l, const struct path_coefs *c,
                 int32_t y);

/* A law as a predictor: row i is asked under label[i].  Rows are shared among threads. */
struct law_oracle {
    const struct law *law;
    struct path path;
    enum prediction predicts;
    const int32_t *label; /* [rows] */
    int64_t rows;
    int threads;
};
struct predictor predictor_of_law(struct law_oracle *o);

/* ---- For whoever makes one ---- */

/* A mixture of the given parts, weights divided by their sum: as mixture_init. */
enum status law_of_mixture(struct law *l, int parts, const double *weight, const double *mean,
                           const double *cov, const int32_t *label, struct error *err);

#endif
