/*
 * flow.c - the flow itself, for users who bring their own network
 *
 * The training numbers and the noise are those of the library's own networks; only the field comes
 * from outside.  Sampling is imgen_solve (solve.c) on the straight path.
 */
#include "api/api.h"

#include "diffusion/loss.h"
#include "sampler/sampler.h"

#include <string.h>

static enum status draw(struct flow_batch *b, const float *z, const int32_t *label,
                        const struct flow_task *task, uint64_t first, struct error *err)
{
    enum status st;

    if ((st = flow_task_check(task, err)))
        return st;
    return flow_batch_draw(b, task, z, label, first, err);
}

enum imgen_status imgen_flow_batch(const float *z, int32_t *label, int64_t n, int64_t length,
                                   uint64_t seed, uint64_t first, double drop, int32_t null_label,
                                   float *x, float *t, float *target, struct imgen_error *err)
{
    struct flow_task task = {.eta = drop, .null_label = null_label, .seed = seed};
    struct flow_batch b = {0};
    struct error e = {0};
    enum status st;

    if ((st = path_init(&task.path, "condot", &e)) || (st = time_init(&task.time, "uniform", &e)) ||
        (st = flow_batch_init(&b, n, length, &e)) || (st = draw(&b, z, label, &task, first, &e)))
        goto out;
    memcpy(x, b.x, (size_t)(n * length) * sizeof *x);
    memcpy(target, b.target, (size_t)(n * length) * sizeof *target);
    memcpy(t, b.t, (size_t)n * sizeof *t);
    if (label)
        memcpy(label, b.label, (size_t)n * sizeof *label);
out:
    flow_batch_release(&b);
    return api_status(err, &e, st);
}

enum imgen_status imgen_flow_sample(double *x, int64_t rows, int64_t length, const char *sampler,
                                    int steps, double w, imgen_velocity *velocity, void *user,
                                    struct imgen_error *err)
{
    struct imgen_solving s;

    imgen_solving_init(&s, rows, length, velocity, user);
    s.sampler = sampler;
    s.steps = steps;
    s.w = w;
    return imgen_solve(x, &s, err);
}

void imgen_flow_noise(double *x, int64_t rows, int64_t length, uint64_t seed)
{
    struct path path;

    MUST(!path_init(&path, "condot", NULL), "the table of paths has lost condot");
    for (int64_t i = 0; i < rows; i++)
        sampling_start(x + i * length, &path, seed + (uint64_t)i, 0, length);
}
