/*
 * loss.c - the data side of a training step: times, noise, noisy points and targets
 *
 * For a sample z the step draws t and eps, shows the network x = alpha z + beta eps, and asks for
 * dalpha z + dbeta eps (or eps, or z).  That target contains neither the label nor any division;
 * the label changes only which z are drawn, so permuting labels leaves x and target as they are.
 *
 * Time, noise and label drop come from three streams, each named by the seed and the number of the
 * sample since training began.  A batch can therefore be drawn in parallel, cut in another size, or
 * resumed in the middle, and every number is what it would have been.  theory.md 1.5, 3.6.
 */
#include "diffusion/loss.h"

#include "base/memory.h"
#include "base/rng.h"
#include "diffusion/label_drop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status flow_batch_init(struct flow_batch *b, int64_t rows, int64_t length, struct error *err)
{
    uint64_t n = (uint64_t)rows, m = (uint64_t)length * sizeof(float);
    enum status st;

    memset(b, 0, sizeof(*b));
    MUST(rows > 0 && length > 0, "a batch of %lld rows of %lld", (long long)rows,
         (long long)length);
    b->rows = rows;
    b->length = length;
    if ((st = mem_new((void **)&b->x, n, m, "noisy points of a batch", err)) ||
        (st = mem_new((void **)&b->target, n, m, "targets of a batch", err)) ||
        (st = mem_new((void **)&b->t, n, sizeof(*b->t), "times of a batch", err)))
        return st;
    return mem_new((void **)&b->label, n, sizeof(*b->label), "labels of a batch", err);
}

void flow_batch_release(struct flow_batch *b)
{
    free(b->x);
    free(b->target);
    free(b->t);
    free(b->label);
    memset(b, 0, sizeof(*b));
}

enum status flow_task_check(const struct flow_task *task, struct error *err)
{
    if (!(task->eta >= 0 && task->eta <= 1))
        return fail(err, E_ARG, "the share of dropped labels is %g, outside 0 .. 1", task->eta);
    return time_check(&task->time, err);
}

/* x holds the noise on entry. */
static void row_mix(float *restrict x, float *restrict target, const float *restrict z, int64_t n,
                    const struct path_coefs *c, double of_z, double of_eps)
{
    float alpha = (float)c->alpha, beta = (float)c->beta, tz = (float)of_z, te = (float)of_eps;

    for (int64_t i = 0; i < n; i++) {
        float eps = x[i];

        x[i] = alpha * z[i] + beta * eps;
        target[i] = tz * z[i] + te * eps;
    }
}

static enum status row_draw(struct flow_batch *b, int64_t row, const struct flow_task *task,
                            const float *z, int32_t label, uint64_t sample, struct error *err)
{
    double t = time_draw(&task->time, task->seed, sample), of_z, of_eps;
    struct path_coefs c = path_at(&task->path, t);
    struct rng noise = rng_stream(task->seed, RNG_NOISE, sample);
    float *x = b->x + row * b->length;
    enum status st;

    if ((st = path_target(&of_z, &of_eps, task->predicts, &c, err)))
        return st;
    rng_normals(&noise, x, b->length);
    row_mix(x, b->target + row * b->length, z + row * b->length, b->length, &c, of_z, of_eps);
    b->t[row] = (float)t;
    b->label[row] = label_drop(task->seed, sample, label, task->eta, task->null_label);
    return OK;
}

enum status flow_batch_draw(struct flow_batch *b, const struct flow_task *task, const float *z,
                            const int32_t *label, uint64_t first, struct error *err)
{
    enum status failed = OK;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < b->rows; i++) {
        struct error mine = {0};
        int32_t y = label && label[i] >= 0 ? label[i] : task->null_label;
        enum status st = row_draw(b, i, task, z, y, first + (uint64_t)i, &mine);

        if (st) {
#pragma omp critical(flow_batch_failed)
            {
                failed = st;
                if (err)
                    *err = mine;
            }
        }
    }
    return failed;
}
