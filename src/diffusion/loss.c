/*
 * loss.c - the data side of a training step: times, noise, noisy points and targets
 *
 * For a sample z the step draws t and eps, shows the network x = alpha z + beta eps, and asks for
 * dalpha z + dbeta eps (or eps, or z, or whatever else is linear in the two: objective.c).  That
 * target contains no label; the label changes only which z are drawn, so permuting labels leaves x
 * and target as they are.
 *
 * Time, noise and label drop come from three streams, each named by the seed and the number of the
 * sample since training began.  A batch can therefore be drawn in parallel, cut in another size, or
 * resumed in the middle, and every number is what it would have been.  theory.md 1.5, 3.6.
 */
#include "diffusion/loss.h"

#include "base/memory.h"
#include "base/rng.h"
#include "diffusion/label_drop.h"
#include "ops/dropout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum status batch_init(struct flow_batch *b, int heads, int64_t rows, int64_t length,
                              struct error *err)
{
    uint64_t n = (uint64_t)rows, m = (uint64_t)length * sizeof(float), k = (uint64_t)heads;
    enum status st;

    memset(b, 0, sizeof(*b));
    MUST(rows > 0 && length > 0, "a batch of %lld rows of %lld", (long long)rows,
         (long long)length);
    b->rows = rows;
    b->length = length;
    b->heads = heads;
    if ((st = mem_new((void **)&b->x, n, m, "noisy points of a batch", err)) ||
        (st = mem_new((void **)&b->target, n, k * m, "targets of a batch", err)) ||
        (st = mem_new((void **)&b->gain, n, k * sizeof(*b->gain), "gains of a batch", err)) ||
        (st = mem_new((void **)&b->t, n, sizeof(*b->t), "times of a batch", err)) ||
        (st = mem_new((void **)&b->drop, n, DROP_WORDS * sizeof(*b->drop), "samples of a batch",
                      err)) ||
        (st = mem_new((void **)&b->time, n, sizeof(*b->time), "times of a batch", err)))
        return st;
    return mem_new((void **)&b->label, n, sizeof(*b->label), "labels of a batch", err);
}

enum status flow_batch_init(struct flow_batch *b, int64_t rows, int64_t length, struct error *err)
{
    return batch_init(b, 1, rows, length, err);
}

enum status flow_batch_init_for(struct flow_batch *b, const struct flow_task *task, int64_t rows,
                                int64_t length, struct error *err)
{
    return batch_init(b, task->has_second ? 2 : 1, rows, length, err);
}

void flow_batch_release(struct flow_batch *b)
{
    free(b->x);
    free(b->target);
    free(b->gain);
    free(b->t);
    free(b->time);
    free(b->label);
    free(b->drop);
    memset(b, 0, sizeof(*b));
}

enum status flow_task_check(const struct flow_task *task, struct error *err)
{
    double ends[2];
    bool has_ends;
    enum status st;

    if (!(task->eta >= 0 && task->eta <= 1))
        return fail(err, E_ARG, "the share of dropped labels is %g, outside 0 .. 1", task->eta);
    if (task->has_second && !precondition_is_plain(&task->precondition))
        return fail(err, E_ARG,
                    "the precondition '%s' makes one prediction, and the network is to make two",
                    task->precondition.kind->is.name);
    if ((st = time_check(&task->time, &task->path, err)) ||
        (st = precondition_check(&task->precondition, &task->path, task->head[0].predicts, err)))
        return st;
    has_ends = time_ends(&task->time, &task->path, ends);
    for (int h = 0; h < (task->has_second ? 2 : 1); h++)
        if ((st = objective_check(&task->head[h], &task->precondition, &task->path,
                                  has_ends ? ends : NULL, err)))
            return st;
    return OK;
}

static void row_mix(float *restrict target, const float *restrict z, const float *restrict eps,
                    int64_t n, const struct grading *g)
{
    float tz = (float)g->of_z, te = (float)g->of_eps;

    for (int64_t i = 0; i < n; i++)
        target[i] = tz * z[i] + te * eps[i];
}

/* x holds the noise on entry. */
static void row_point(float *restrict x, const float *restrict z, int64_t n,
                      const struct path_coefs *c, double in)
{
    float alpha = (float)(in * c->alpha), beta = (float)(in * c->beta);

    for (int64_t i = 0; i < n; i++)
        x[i] = alpha * z[i] + beta * x[i];
}

static enum status row_draw(struct flow_batch *b, int64_t row, const struct flow_task *task,
                            const float *z, int32_t label, uint64_t sample, struct error *err)
{
    double t = time_draw(&task->time, &task->path, task->seed, sample);
    struct path_coefs c = path_at(&task->path, t);
    struct reading reading = precondition_at(&task->precondition, &task->path, &c);
    struct rng noise = rng_stream(task->seed, RNG_NOISE, sample);
    float *x = b->x + row * b->length;
    enum status st;

    rng_normals(&noise, x, b->length);
    z += row * b->length;
    for (int h = 0; h < b->heads; h++) {
        struct grading g;

        if ((st = objective_at(&g, &task->head[h], &task->precondition, &task->path, &c, err)))
            return st;
        row_mix(b->target + (h * b->rows + row) * b->length, z, x, b->length, &g);
        b->gain[h * b->rows + row] = (float)g.gain;
    }
    row_point(x, z, b->length, &c, reading.in);
    b->t[row] = (float)t;
    b->time[row] = (float)reading.time;
    b->label[row] = label_drop(task->seed, sample, label, task->eta, task->null_label);
    return OK;
}

static enum status row_show(struct flow_batch *b, int64_t row, const float *z, int32_t label)
{
    memcpy(b->x + row * b->length, z + row * b->length, (size_t)b->length * sizeof *z);
    b->t[row] = b->time[row] = 1;
    b->label[row] = label;
    return OK;
}

/* In whole words, low before high, since a tape's inputs are int32. */
static void row_name(struct flow_batch *b, int64_t row, uint64_t seed, uint64_t sample)
{
    const uint32_t words[DROP_WORDS] = {(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)sample,
                                        (uint32_t)(sample >> 32)};

    memcpy(b->drop + DROP_WORDS * row, words, sizeof words);
}

enum status flow_batch_draw(struct flow_batch *b, const struct flow_task *task, const float *z,
                            const int32_t *label, uint64_t first, struct error *err)
{
    enum status failed = OK;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < b->rows; i++) {
        struct error mine = {0};
        int32_t y = label && label[i] >= 0 ? label[i] : task->null_label;
        enum status st = task->clean ? row_show(b, i, z, y)
                                     : row_draw(b, i, task, z, y, first + (uint64_t)i, &mine);

        row_name(b, i, task->seed, first + (uint64_t)i);
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
