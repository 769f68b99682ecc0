/*
 * sampler.c - from noise to data: one loop for every solver
 *
 * Solvers differ in how they make a step; nothing else about sampling is theirs.  So the loop here
 * owns what every run needs (the state, its work arrays, the times, counting, the callback that may
 * stop it, the test for numbers that are no numbers), and a solver is a function from t to the next
 * time.  An adaptive solver fits the same shape: it is offered the end of the interval and says how
 * far it came.
 *
 * The preview shown to the callback is the data prediction that the first slope of the step
 * implied; it is a by-product, never another evaluation.  theory.md 1.6.
 */
#include "sampler/sampler.h"

#include "base/memory.h"
#include "base/rng.h"
#include "sampler/vec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The list of solvers: a new one is one file and one name here. */
/* clang-format off */
#define SAMPLERS(X)     \
    X(euler)            \
    X(midpoint)         \
    X(heun)             \
    X(rk4)              \
    X(lms)              \
    X(dopri5)           \
    X(ddim)             \
    X(euler_ancestral)  \
    X(ddpm_learned)     \
    X(edm)              \
    X(dpmpp_2m)         \
    X(dpmpp_2m_sde)     \
    X(dpmpp_3m)         \
    X(dpmpp_3m_sde)     \
    X(unipc)            \
    X(euler_maruyama)   \
    X(stochastic_heun)
/* clang-format on */

#define DECLARE(name) extern const struct sampler sampler_##name;
SAMPLERS(DECLARE)
#undef DECLARE

/* An adaptive solver that needs more steps than this is not converging. */
enum { ADAPTIVE_STEPS_MAX = 100000 };

const struct sampler *sampler_at(int i)
{
#define ADDRESS(name) &sampler_##name,
    static const struct sampler *const all[] = {SAMPLERS(ADDRESS)};
#undef ADDRESS

    return i >= 0 && i < (int)(sizeof(all) / sizeof(*all)) ? all[i] : NULL;
}

static const struct choice *sampler_choice_at(int i)
{
    const struct sampler *s = sampler_at(i);

    return s ? &s->is : NULL;
}

enum status sampler_find(const struct sampler **out, const char *name, struct error *err)
{
    enum status st;
    int i;

    if ((st = choice_find(&i, "sampling method", name, sampler_choice_at, err)))
        return st;
    *out = sampler_at(i);
    return OK;
}

enum status sampler_check(const struct sampler *s, const struct path *path, bool has_variance,
                          struct error *err)
{
    if (!s->of_variance)
        return OK;
    if (!has_variance)
        return fail(err, E_ARG,
                    "the solver '%s' takes the variance of its steps from the network, and this "
                    "one says none (twice the channels do, trained with train.variance)",
                    s->is.name);
    if (path_steps(path) < 2)
        return fail(err, E_ARG,
                    "the solver '%s' takes the variance of its steps from the network, and the "
                    "path '%s' is continuous: it has no steps whose variance was learned",
                    s->is.name, path->kind->is.name);
    return OK;
}

void sampling_start(double *x, const struct path *path, uint64_t seed, uint64_t picture,
                    int64_t length)
{
    struct rng r = rng_stream(seed, RNG_START, picture);
    double scale = path->kind->variance_exploding ? path_at(path, 0).beta : 1;

    for (int64_t i = 0; i < length; i++)
        x[i] = scale * rng_normal(&r);
}

/* ---- For solvers ---- */

static void remember(struct sampling *s, const double *x, const double *what, enum prediction is,
                     double t)
{
    if (!s->seen_x || s->has_seen)
        return;
    vec_copy(s->seen_x, x, s->n);
    vec_copy(s->seen, what, s->n);
    s->seen_is = is;
    s->seen_t = t;
    s->has_seen = true;
}

enum status sampling_slope(struct sampling *s, double *out, const double *x, double t,
                           struct error *err)
{
    enum status st;

    s->count.evaluations++;
    if ((st = field_predict(s->request->field, PREDICT_VELOCITY, out, x, t, err)))
        return st;
    remember(s, x, out, PREDICT_VELOCITY, t);
    return OK;
}

enum status sampling_data_noise(struct sampling *s, double *data, double *noise, const double *x,
                                double t, struct error *err)
{
    enum status st;

    s->count.evaluations++;
    if ((st = field_data_noise(s->request->field, data, noise, x, t, err)))
        return st;
    remember(s, x, data, PREDICT_DATA, t);
    return OK;
}

enum status sampling_variance(struct sampling *s, double *v, const double *x, double t,
                              struct error *err)
{
    return field_variance(s->request->field, v, x, t, err);
}

bool sampling_has_slope(const struct sampling *s, double t)
{
    return field_has(s->request->field, PREDICT_VELOCITY, t);
}

void sampling_noise(struct sampling *s, double *out)
{
    s->request->draw(s->request->draw_self, out, s->count.accepted);
}

struct path_coefs sampling_path(const struct sampling *s, double t)
{
    return path_at(&s->request->field->path, t);
}

int sampling_left(const struct sampling *s)
{
    return s->request->steps - (int)s->count.accepted;
}

/* ---- The loop ---- */

static enum status request_check(const struct sampling_request *r, struct error *err)
{
    const struct sampler *kind = r->sampler;
    enum prediction wants = kind->on_data ? PREDICT_DATA : PREDICT_VELOCITY;
    enum status st;

    MUST(!kind->stochastic || r->draw, "%s draws noise, and nobody gives it", kind->is.name);
    if ((st = grid_check(r->times, r->steps, err)) ||
        (st = choice_check(r->values, &kind->is, err)) ||
        (st = sampler_check(kind, &r->field->path, r->field->variance.predict, err)))
        return st;
    if (!field_has(r->field, wants, r->times[0]))
        return fail(err, E_ARG,
                    "the %s has no value at t = %g, where sampling is to start: a network that "
                    "predicts %s on the path %s needs a later start",
                    prediction_at((int)wants)->name, r->times[0],
                    prediction_at((int)r->field->predicts)->name, r->field->path.kind->is.name);
    return OK;
}

static enum status sampling_init(struct sampling *s, double *x, const struct sampling_request *r,
                                 struct error *err)
{
    const struct sampler *kind = r->sampler;
    enum status st;

    s->values = r->values;
    s->request = r;
    s->x = x;
    s->rows = r->field->guidance->of.rows;
    s->n = s->rows * r->field->guidance->of.length;
    MUST(kind->work <= SAMPLER_WORK, "%s wants %d arrays", kind->is.name, kind->work);
    for (int i = 0; i < kind->work; i++)
        if ((st =
                 mem_new((void **)&s->work[i], (uint64_t)s->n, sizeof(double), kind->is.name, err)))
            return st;
    if (kind->memory && (st = mem_new(&s->memory, 1, kind->memory, kind->is.name, err)))
        return st;
    if (r->progress && r->wants_preview &&
        ((st = mem_new((void **)&s->seen_x, (uint64_t)s->n, sizeof(double), "preview", err)) ||
         (st = mem_new((void **)&s->seen, (uint64_t)s->n, sizeof(double), "preview", err))))
        return st;
    return OK;
}

static void sampling_release(struct sampling *s)
{
    for (int i = 0; i < SAMPLER_WORK; i++)
        free(s->work[i]);
    free(s->memory);
    free(s->seen_x);
    free(s->seen);
}

/* E[z | x] where the step began, written over what told it; NULL when nothing was seen or the path
 * cannot tell. */
static const double *preview(struct sampling *s)
{
    struct path_coefs c;

    if (!s->has_seen)
        return NULL;
    c = sampling_path(s, s->seen_t);
    if (prediction_convert(s->seen, PREDICT_DATA, s->seen, s->seen_is, s->seen_x, &c, s->n, NULL))
        return NULL;
    return s->seen;
}

static enum status report_step(struct sampling *s, struct error *err)
{
    const struct sampling_request *r = s->request;
    double begin = r->times[0], end = r->times[r->steps];
    struct sampling_progress p = {
        .step = (int)s->count.accepted,
        .steps = r->sampler->adaptive ? 0 : r->steps,
        .t = s->t,
        .done = (s->t - begin) / (end - begin),
        .evaluations = s->count.evaluations,
        .x = s->x,
        .data = preview(s),
    };

    if (r->progress && !r->progress(r->self, &p))
        return fail(err, E_CANCELLED, "sampling was stopped after step %d, at t = %g", p.step, p.t);
    return OK;
}

/* One step from t, reported; s->t is where it came to. */
static enum status loop_step(struct sampling *s, double t, double next, struct error *err)
{
    enum status st;

    s->has_seen = false;
    s->t = next;
    if ((st = s->request->sampler->step(s, t, next, err))) {
        fail_under(err, "step %lld, t = %g", (long long)s->count.accepted + 1, t);
        return st;
    }
    s->count.accepted++;
    if (!vec_finite(s->x, s->n))
        return fail(err, E_NOT_FINITE, "step %lld of %s from t = %g to %g gave a value not finite",
                    (long long)s->count.accepted, s->request->sampler->is.name, t, s->t);
    if (s->request->hold)
        s->request->hold(s->request->hold_self, s->x, s->rows, s->t);
    return report_step(s, err);
}

static enum status loop(struct sampling *s, struct error *err)
{
    const struct sampling_request *r = s->request;
    double t = r->times[0], end = r->times[r->steps];
    enum status st;

    for (int64_t i = 0; t < end; i++) {
        if (i == ADAPTIVE_STEPS_MAX)
            return fail(err, E_NOT_FINITE, "%s took %d steps and is only at t = %g",
                        r->sampler->is.name, ADAPTIVE_STEPS_MAX, t);
        if ((st = loop_step(s, t, r->sampler->adaptive ? end : r->times[i + 1], err)))
            return st;
        t = s->t;
    }
    return OK;
}

enum status sampling_run(double *x, const struct sampling_request *request,
                         struct sampling_report *report, struct error *err)
{
    struct sampling s = {0};
    enum status st;

    if ((st = request_check(request, err)))
        return st;
    if (!(st = sampling_init(&s, x, request, err)))
        st = loop(&s, err);
    if (report)
        *report = s.count;
    sampling_release(&s);
    return st;
}
