/*
 * cloud.c - many points at once: drawn from a law, and carried by a solver
 *
 * Each point draws from a stream of its own, named by seed, set and number, so a cloud of twice the
 * size begins with the same points, and the number of threads changes nothing.
 *
 * A run may start exactly: x_0 = alpha_0 z + beta_0 eps with z from the law.  On most paths alpha_0
 * is 0 and that is plain noise; where it is not (ddpm, VE), starting from N(0, beta_0^2 I) is
 * itself an error, which a comparison of solvers or laws must not contain.  theory.md 2.5.
 */
#include "lab/cloud.h"

#include "base/memory.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

static struct rng stream_of(uint64_t seed, enum rng_purpose purpose, enum cloud_set set,
                            int64_t number)
{
    return rng_stream(seed, purpose, (uint64_t)set << 40 | (uint64_t)number);
}

void cloud_draw(double *x, int32_t *label, int64_t n, const struct law *l, int32_t y, uint64_t seed,
                enum cloud_set set, int64_t first)
{
    for (int64_t i = 0; i < n; i++) {
        struct rng r = stream_of(seed, RNG_DATA, set, first + i);
        int32_t drawn = law_sample(x + 2 * i, l, y, &r);

        if (label)
            label[i] = drawn;
    }
}

void cloud_noisy(double *x, double *z, double *eps, int32_t *label, int64_t n, const struct law *l,
                 const struct path_coefs *c, int32_t y, uint64_t seed, enum cloud_set set)
{
    for (int64_t i = 0; i < n; i++) {
        struct rng data = stream_of(seed, RNG_DATA, set, i);
        struct rng noise = stream_of(seed, RNG_START, set, i);
        double point[2];
        int32_t drawn = law_sample(point, l, y, &data);

        if (label)
            label[i] = drawn;
        for (int k = 0; k < 2; k++) {
            double e = rng_normal(&noise);

            x[2 * i + k] = c->alpha * point[k] + c->beta * e;
            if (z)
                z[2 * i + k] = point[k];
            if (eps)
                eps[2 * i + k] = e;
        }
    }
}

enum status cloud_pair_new(struct cloud_pair *p, int64_t n, struct error *err)
{
    enum status st;

    p->n = n;
    if ((st = mem_new((void **)&p->fresh, 2 * (uint64_t)n, sizeof(double), "points", err)))
        return st;
    return mem_new((void **)&p->again, 2 * (uint64_t)n, sizeof(double), "points", err);
}

void cloud_pair_draw(struct cloud_pair *p, const struct law *l, int32_t y, uint64_t seed)
{
    cloud_draw(p->fresh, NULL, p->n, l, y, seed, CLOUD_EXACT, 0);
    cloud_draw(p->again, NULL, p->n, l, y, seed, CLOUD_AGAIN, 0);
}

void cloud_pair_release(struct cloud_pair *p)
{
    free(p->fresh);
    free(p->again);
}

struct cloud_run cloud_run_plain(const struct path *path, const char *sampler, int steps)
{
    struct cloud_run run = {.path = *path, .steps = steps, .t1 = 1, .w = 1};

    MUST(!sampler_find(&run.sampler, sampler, NULL), "there is no sampler %s", sampler);
    return run;
}

/* ---- Carrying ---- */

struct carrying {
    const struct cloud_run *run;
    struct lab *lab;
    int64_t n;
};

static void draw_noise(void *self, double *out, int64_t step)
{
    const struct carrying *c = self;

    for (int64_t i = 0; i < c->n; i++) {
        struct rng r = rng_stream(c->run->seed, RNG_STEP, (uint64_t)i << 16 | (uint64_t)step);

        out[2 * i] = rng_normal(&r);
        out[2 * i + 1] = rng_normal(&r);
    }
}

static bool on_step(void *self, const struct sampling_progress *p)
{
    const struct carrying *c = self;

    if (c->run->trace && p->step <= c->run->steps)
        memcpy(c->run->trace + 2 * c->n * p->step, p->x, 2 * (size_t)c->n * sizeof(*p->x));
    return lab_goes_on(c->lab);
}

static enum status carry(double *x, struct carrying *c, struct field *field, struct error *err)
{
    const struct cloud_run *run = c->run;
    struct sampling_request r = {
        .sampler = run->sampler,
        .steps = run->steps,
        .field = field,
        .diffusion = run->diffusion,
        .draw = draw_noise,
        .draw_self = c,
        .progress = on_step,
        .self = c,
    };
    struct grid grid;
    double times[STEPS_MAX + 1];
    enum status st;

    if ((st = grid_init(&grid, "uniform", err)) ||
        (st = grid_fill(times, &grid, run->steps, run->t0, run->t1, err)))
        return st;
    if (run->trace)
        memcpy(run->trace, x, 2 * (size_t)c->n * sizeof(*x));
    choice_defaults(r.values, &run->sampler->is);
    r.times = times;
    return sampling_run(x, &r, NULL, err);
}

enum status cloud_carry(double *x, const struct cloud_run *run, struct predictor of,
                        enum prediction predicts, struct lab *lab, struct error *err)
{
    struct carrying c = {run, lab, of.rows};
    struct guidance guidance = {0};
    struct field field = {.path = run->path, .predicts = predicts, .guidance = &guidance};
    double *w = NULL;
    enum status st;

    if ((st = mem_new((void **)&w, (uint64_t)of.rows, sizeof(*w), "guidance scales", err)))
        return st;
    for (int64_t i = 0; i < of.rows; i++)
        w[i] = run->w;
    if (!(st = guidance_init(&guidance, of, w, NULL, err)))
        st = carry(x, &c, &field, err);
    guidance_release(&guidance);
    free(w);
    return st;
}

enum status cloud_carry_exactly(double *x, int64_t n, const struct cloud_run *run,
                                const struct law *l, int32_t y, struct lab *lab, struct error *err)
{
    struct law_oracle oracle = {
        .law = l,
        .path = run->path,
        .predicts = run->sampler->on_data ? PREDICT_DATA : PREDICT_VELOCITY,
        .rows = n,
        .threads = lab->threads,
    };
    int32_t *label = NULL;
    enum status st;

    if ((st = mem_new((void **)&label, (uint64_t)n, sizeof(*label), "labels", err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        label[i] = y;
    oracle.label = label;
    st = cloud_carry(x, run, predictor_of_law(&oracle), oracle.predicts, lab, err);
    free(label);
    return st;
}
