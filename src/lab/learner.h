/*
 * learner.h - a small network that learns one prediction of a law's path
 */
#ifndef IMGEN_LAB_LEARNER_H
#define IMGEN_LAB_LEARNER_H

#include "diffusion/loss.h"
#include "lab/law.h"
#include "lab/mlp.h"

struct learner {
    const struct law *law;
    struct flow_task task; /* what is learned; labels are dropped to law->n_labels */
    struct mlp *net;       /* not owned */
    int64_t n;             /* rows of the arrays                      */
    double square;         /* mean square of a coordinate of the data */
    struct flow_batch batch;
    float *z, *scaled, *gain, *out; /* [n, 2] */
    int32_t *label;                 /* [n] of the points; as a predictor: what is asked for */
};

/* Learn a prediction on a path, with labels dropped at this share and times uniform up to t_max.
 * E_ARG. */
enum status learner_task(struct flow_task *task, const struct law *law, const struct path *path,
                         enum prediction predicts, double label_drop, double t_max, uint64_t seed,
                         struct error *err);
/* net: has the law's labels; several learners may share it.  rows: how many points each call below
 * is about.  E_MEMORY.  Release also after a failure. */
enum status learner_init(struct learner *l, const struct law *law, const struct flow_task *task,
                         struct mlp *net, int64_t rows, struct error *err);
void learner_release(struct learner *l);

/* One step on rows fresh points, the first being the point number `first`. */
enum status learner_step(struct learner *l, uint64_t first, double rate, double *loss,
                         struct error *err);
/* The loss of the network, and that of the exact field (the floor C*, theory.md 1.8), both over the
 * rows points from number `first` on. */
enum status learner_losses(struct learner *l, uint64_t first, double *loss, double *floor,
                           struct error *err);

/* out [n, 2] = the prediction at x [n, 2] and t, under label y[i] or, where y is NULL, none; n: the
 * learner's rows. */
enum status learner_predict(struct learner *l, double *out, const double *x, double t,
                            const int32_t *y, struct error *err);
/* As a predictor of its rows: row i is asked under l->label[i]; LAW_ANY: none. */
struct predictor predictor_of_learner(struct learner *l);

#endif
