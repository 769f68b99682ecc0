/*
 * flow.c - the flow itself, for users who bring their own network
 *
 * The training numbers and the solver loop are those of the library's own networks; only the field
 * comes from outside, as a callback.
 */
#include "api/api.h"

#include "base/memory.h"
#include "base/rng.h"
#include "diffusion/loss.h"
#include "sampler/sampler.h"

#include <stdlib.h>
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

struct caller {
    imgen_velocity *velocity;
    void *user;
    int64_t n; /* rows * length */
};

static enum status ask(void *self, double *out, const double *x, double t, unsigned branches,
                       struct error *err)
{
    const struct caller *c = self;

    for (int guided = 0; guided < 2; guided++) {
        if (!(branches & (guided ? BRANCH_GUIDED : BRANCH_UNGUIDED)))
            continue;
        if (c->velocity(out, x, t, guided, c->user))
            return fail(err, E_CANCELLED, "the velocity stopped at t = %g", t);
        out += c->n;
    }
    return OK;
}

/* Row i's fresh noise is of seed i. */
static void draw_noise(void *self, double *out, int64_t step)
{
    const struct predictor *of = self;

    for (int64_t i = 0; i < of->rows; i++) {
        struct rng r = rng_stream((uint64_t)i, RNG_STEP, (uint64_t)step);

        for (int64_t k = 0; k < of->length; k++)
            out[i * of->length + k] = rng_normal(&r);
    }
}

static enum status run(double *x, struct field *field, const char *name, int steps,
                       struct error *err)
{
    struct sampling_request r = {.steps = steps, .field = field};
    struct grid grid;
    double times[STEPS_MAX + 1];
    enum status st;

    if ((st = sampler_find(&r.sampler, name, err)) || (st = grid_init(&grid, "uniform", err)) ||
        (st = grid_fill(times, &grid, steps, 0, 1, err)))
        return st;
    choice_defaults(r.values, &r.sampler->is);
    r.times = times;
    r.draw = draw_noise;
    r.draw_self = &field->guidance->of;
    return sampling_run(x, &r, NULL, err);
}

enum imgen_status imgen_flow_sample(double *x, int64_t rows, int64_t length, const char *sampler,
                                    int steps, double w, imgen_velocity *velocity, void *user,
                                    struct imgen_error *err)
{
    struct caller caller = {velocity, user, rows * length};
    struct predictor predictor = {ask, &caller, rows, length};
    struct guidance guidance = {0};
    struct field field = {.predicts = PREDICT_VELOCITY, .guidance = &guidance};
    struct error e = {0};
    double *scales = NULL;
    enum status st;

    if (!(st = path_init(&field.path, "condot", &e)) &&
        !(st = mem_new((void **)&scales, (uint64_t)rows, sizeof *scales, "guidance scales", &e))) {
        for (int64_t i = 0; i < rows; i++)
            scales[i] = w;
        if (!(st = guidance_init(&guidance, predictor, scales, NULL, &e)))
            st = run(x, &field, sampler, steps, &e);
    }
    guidance_release(&guidance);
    free(scales);
    return api_status(err, &e, st);
}

void imgen_flow_noise(double *x, int64_t rows, int64_t length, uint64_t seed)
{
    struct path path;

    MUST(!path_init(&path, "condot", NULL), "the table of paths has lost condot");
    for (int64_t i = 0; i < rows; i++)
        sampling_start(x + i * length, &path, seed + (uint64_t)i, 0, length);
}
