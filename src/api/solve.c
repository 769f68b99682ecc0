/*
 * solve.c - the solvers, for users who bring their own network
 *
 * A network from elsewhere differs from ours in the path it was trained on and in what it predicts,
 * and in nothing that a solver sees: theory.md 2.4.  So a stranger names the two and answers one
 * question, and every sampler, grid and guidance scale of the library serves him.  What is named is
 * looked up in the tables that our own models use, and its numbers are read by their own option
 * rows, so that a new solver or path is here without a line.
 *
 * A failure inside the callback is the caller's own business: it returns non-zero, and the run ends
 * as a cancelled one.
 */
#include "api/api.h"

#include "base/memory.h"
#include "base/rng.h"
#include "pipeline/settings.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- What was named ---- */

struct named {
    struct path path;
    enum prediction predicts;
    struct settings settings;
};

/* n must stay where it is: the grid looks at the path. */
static enum status look_up(struct named *n, const struct imgen_solving *s, struct error *err)
{
    const struct sampler *sampler;
    struct option_group of_path;
    struct grid grid;
    enum status st;

    if ((st = path_init(&n->path, s->path, err)) ||
        (st = prediction_find(&n->predicts, s->prediction, err)) ||
        (st = sampler_find(&sampler, s->sampler, err)) || (st = grid_init(&grid, s->schedule, err)))
        return st;
    settings_init(&n->settings, sampler, grid.kind, &n->path);
    of_path = choice_options(&n->path.kind->is, "path", n->path.values);
    if ((st = settings_assign(&n->settings, &of_path, s->numbers, s->n_numbers, err)))
        return st;
    if (n->settings.negative[0])
        return fail(err, E_ARG, "guidance.negative = %.40s: a predictor has no labels by name",
                    n->settings.negative);
    if (n->settings.guidance.perturbed > 0)
        return fail(err, E_ARG,
                    "guidance.perturbed = %g: a predictor has no attention to be perturbed",
                    n->settings.guidance.perturbed);
    return OK;
}

void imgen_solving_init(struct imgen_solving *s, int64_t rows, int64_t length,
                        imgen_predictor *predict, void *user)
{
    *s = (struct imgen_solving){
        .rows = rows,
        .length = length,
        .path = "condot",
        .prediction = "velocity",
        .sampler = "heun",
        .schedule = "uniform",
        .steps = 50,
        .w = 1,
        .predict = predict,
        .user = user,
    };
}

enum imgen_status imgen_path_at(const struct imgen_solving *s, double t, double *alpha,
                                double *beta, struct imgen_error *err)
{
    struct error e = {0};
    struct named n = {0};
    struct path_coefs c;
    enum status st;

    if (!(t >= 0 && t <= 1)) {
        st = fail(&e, E_ARG, "a path has no time %g: they go from 0 to 1", t);
    } else if (!(st = look_up(&n, s, &e))) {
        c = path_at(&n.path, t);
        *alpha = c.alpha;
        *beta = c.beta;
    }
    return api_status(err, &e, st);
}

/* ---- The caller's predictor as ours ---- */

static enum status ask(void *self, double *out, const double *x, double t, unsigned branches,
                       struct error *err)
{
    const struct imgen_solving *s = self;

    for (int guided = 0; guided < 2; guided++) {
        if (!(branches & (guided ? BRANCH_GUIDED : BRANCH_UNGUIDED)))
            continue;
        if (s->predict(out, x, t, guided, s->user))
            return fail(err, E_CANCELLED, "the predictor stopped at t = %g", t);
        out += s->rows * s->length;
    }
    return OK;
}

static void draw_noise(void *self, double *out, int64_t step)
{
    const struct imgen_solving *s = self;

    for (int64_t i = 0; i < s->rows; i++) {
        uint64_t seed = s->seeds ? s->seeds[i] : (uint64_t)i;
        struct rng r = rng_stream(seed, RNG_STEP, (uint64_t)step);

        for (int64_t k = 0; k < s->length; k++)
            out[i * s->length + k] = rng_normal(&r);
    }
}

/* ---- The run ---- */

static enum status fill_times(double times[STEPS_MAX + 1], int *steps, const struct named *n,
                              const struct imgen_solving *s, struct error *err)
{
    if (!s->times) {
        *steps = s->steps;
        return grid_fill(times, &n->settings.grid, s->steps, 0, 1, err);
    }
    if (s->n_times < 2 || s->n_times > STEPS_MAX + 1)
        return fail(err, E_ARG, "%d times are not 2 to %d", s->n_times, STEPS_MAX + 1);
    for (int i = 0; i < s->n_times; i++)
        times[i] = s->times[i];
    *steps = s->n_times - 1;
    return OK;
}

static enum status run(double *x, const struct named *n, struct guidance *guidance,
                       const struct imgen_solving *s, struct error *err)
{
    struct field field = {.path = n->path, .predicts = n->predicts, .guidance = guidance};
    struct sampling_request r = {
        .sampler = n->settings.sampler,
        .field = &field,
        .diffusion = n->settings.diffusion,
        .draw = draw_noise,
        .draw_self = (void *)(uintptr_t)s,
    };
    double times[STEPS_MAX + 1];
    enum status st;

    for (int k = 0; k < CHOICE_VALUES; k++)
        r.values[k] = n->settings.sampler_values[k];
    if ((st = fill_times(times, &r.steps, n, s, err)))
        return st;
    r.times = times;
    return sampling_run(x, &r, NULL, err);
}

enum imgen_status imgen_solve(double *x, const struct imgen_solving *s, struct imgen_error *err)
{
    struct predictor predictor = {ask, (void *)(uintptr_t)s, s->rows, s->length};
    struct guidance guidance = {0};
    struct named n = {0};
    struct error e = {0};
    double *scales = NULL;
    enum status st;

    MUST(s->rows > 0 && s->length > 0 && s->predict,
         "nothing to solve: %" PRId64 " rows of %" PRId64, s->rows, s->length);
    if (!(st = look_up(&n, s, &e)) && !(st = mem_new((void **)&scales, (uint64_t)s->rows,
                                                     sizeof *scales, "guidance scales", &e))) {
        for (int64_t i = 0; i < s->rows; i++)
            scales[i] = s->w;
        if (!(st = guidance_init(&guidance, predictor, scales, &n.settings.guidance, &e)))
            st = run(x, &n, &guidance, s, &e);
    }
    guidance_release(&guidance);
    free(scales);
    return api_status(err, &e, st);
}
