/*
 * learner.c - a small network that learns one prediction of a law's path
 *
 * Velocity, score, noise, data and v are learned by the same loop: the batch, with its times,
 * noise, targets, gains and dropped labels, is that of the library's own training (loss.c), drawn
 * from a law that never ends.  Two things are said here.  The network sees x_t divided by its
 * deviation at t, so that a path which starts at beta = 80 looks like one that starts at 1.  And
 * the score is graded by the error of the noise it implies, a weight of beta^2, without which the
 * few points near the data, where the score grows as 1 / beta, would drown all others
 * (theory.md 2.2); the others are graded by their own error.
 */
#include "lab/learner.h"

#include "base/memory.h"
#include "lab/cloud.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status learner_task(struct flow_task *task, const struct law *law, const struct path *path,
                         enum prediction predicts, double label_drop, double t_max, uint64_t seed,
                         struct error *err)
{
    enum status st;

    *task = (struct flow_task){.path = *path,
                               .head = {{.predicts = predicts}},
                               .eta = label_drop,
                               .null_label = law->n_labels,
                               .seed = seed};
    if (predicts == PREDICT_SCORE)
        task->head[0].graded_as = 1 + PREDICT_NOISE;
    if ((st = time_init(&task->time, "uniform", err)) ||
        (st = time_set(&task->time, "t1", t_max, err)))
        return st;
    return flow_task_check(task, err);
}

enum status learner_init(struct learner *l, const struct law *law, const struct flow_task *task,
                         struct mlp *net, int64_t rows, struct error *err)
{
    const struct path_coefs data = {.alpha = 1};
    uint64_t n = 2 * (uint64_t)rows;
    double mean[2], cov[4];
    enum status st;

    *l = (struct learner){.law = law, .task = *task, .net = net, .n = rows};
    law_moments(mean, cov, law, &data, LAW_ANY);
    l->square = 0.5 * (cov[0] + cov[3] + mean[0] * mean[0] + mean[1] * mean[1]);
    if ((st = flow_batch_init(&l->batch, rows, 2, err)) ||
        (st = mem_new((void **)&l->z, n, sizeof(float), "points", err)) ||
        (st = mem_new((void **)&l->scaled, n, sizeof(float), "points", err)) ||
        (st = mem_new((void **)&l->gain, n, sizeof(float), "gains", err)) ||
        (st = mem_new((void **)&l->out, n, sizeof(float), "predictions", err)))
        return st;
    return mem_new((void **)&l->label, n, sizeof(int32_t), "labels", err);
}

void learner_release(struct learner *l)
{
    flow_batch_release(&l->batch);
    free(l->z);
    free(l->scaled);
    free(l->gain);
    free(l->out);
    free(l->label);
    memset(l, 0, sizeof(*l));
}

/* One over the root of the mean square of a coordinate of x_t. */
static double input_scale(const struct learner *l, const struct path_coefs *c)
{
    return 1 / sqrt(c->alpha * c->alpha * l->square + c->beta * c->beta);
}

static enum status draw(struct learner *l, uint64_t first, struct error *err)
{
    enum status st;

    for (int64_t i = 0; i < l->n; i++) {
        double z[2];

        cloud_draw(z, &l->label[i], 1, l->law, LAW_ANY, l->task.seed, CLOUD_TRAIN,
                   (int64_t)first + i);
        l->z[2 * i] = (float)z[0];
        l->z[2 * i + 1] = (float)z[1];
    }
    if ((st = flow_batch_draw(&l->batch, &l->task, l->z, l->label, first, err)))
        return st;
    for (int64_t i = 0; i < l->n; i++) {
        struct path_coefs c = path_at(&l->task.path, (double)l->batch.t[i]);
        double scale = input_scale(l, &c);

        for (int64_t k = 2 * i; k < 2 * i + 2; k++) {
            l->scaled[k] = (float)(scale * (double)l->batch.x[k]);
            l->gain[k] = l->batch.gain[i];
        }
    }
    return OK;
}

static struct mlp_rows rows_of(const struct learner *l)
{
    return (struct mlp_rows){l->n, l->scaled, l->batch.t, l->batch.label};
}

enum status learner_step(struct learner *l, uint64_t first, double rate, double *loss,
                         struct error *err)
{
    struct mlp_rows rows;
    enum status st;

    if ((st = draw(l, first, err)))
        return st;
    rows = rows_of(l);
    return mlp_step(l->net, &rows, l->batch.target, l->gain, rate, loss, err);
}

static double graded(double f, float target, float gain)
{
    double off = (double)gain * f - (double)target;

    return off * off;
}

enum status learner_losses(struct learner *l, uint64_t first, double *loss, double *floor,
                           struct error *err)
{
    struct mlp_rows rows;
    struct mixture_value v;
    enum status st;

    *loss = *floor = 0;
    if ((st = draw(l, first, err)))
        return st;
    rows = rows_of(l);
    if ((st = mlp_predict(l->net, l->out, &rows, err)))
        return st;
    for (int64_t i = 0; i < l->n; i++) {
        struct path_coefs c = path_at(&l->task.path, (double)l->batch.t[i]);
        const double x[2] = {(double)l->batch.x[2 * i], (double)l->batch.x[2 * i + 1]};
        int32_t y = l->batch.label[i] == l->law->n_labels ? LAW_ANY : l->batch.label[i];

        if ((st = law_at(&v, l->law, &c, x, y, err)))
            return st;
        for (int64_t k = 2 * i; k < 2 * i + 2; k++) {
            *loss += graded((double)l->out[k], l->batch.target[k], l->gain[k]) / (double)(2 * l->n);
            *floor +=
                graded(v.field[l->task.head[0].predicts][k % 2], l->batch.target[k], l->gain[k]) /
                (double)(2 * l->n);
        }
    }
    return OK;
}

enum status learner_predict(struct learner *l, double *out, const double *x, double t,
                            const int32_t *y, struct error *err)
{
    struct path_coefs c = path_at(&l->task.path, t);
    double scale = input_scale(l, &c);
    struct mlp_rows rows;
    enum status st;

    for (int64_t i = 0; i < l->n; i++) {
        l->scaled[2 * i] = (float)(scale * x[2 * i]);
        l->scaled[2 * i + 1] = (float)(scale * x[2 * i + 1]);
        l->batch.t[i] = (float)t;
        l->batch.label[i] = y && y[i] != LAW_ANY ? y[i] : l->law->n_labels;
    }
    rows = rows_of(l);
    if ((st = mlp_predict(l->net, l->out, &rows, err)))
        return st;
    for (int64_t i = 0; i < 2 * l->n; i++)
        out[i] = (double)l->out[i];
    return OK;
}

static enum status predict(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err)
{
    struct learner *l = self;
    enum status st = OK;

    if (branches & BRANCH_UNGUIDED) {
        st = learner_predict(l, out, x, t, NULL, err);
        out += 2 * l->n;
    }
    if (!st && branches & BRANCH_GUIDED)
        st = learner_predict(l, out, x, t, l->label, err);
    return st;
}

struct predictor predictor_of_learner(struct learner *l)
{
    return (struct predictor){predict, l, l->n, 2};
}
