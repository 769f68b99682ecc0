/*
 * guidance.c - classifier-free guidance, for any path and any prediction
 *
 * u(x | y) - u(x) is how much the expected velocity changes on learning y; guidance extrapolates
 * that change by a factor w.  The formula knows neither the path nor what is predicted: its weights
 * sum to one, so it commutes with every conversion of theory.md 2.4, and on paths that are not
 * Gaussian it still holds.  Hence one combiner, fed by anything that can predict.
 *
 * Exact only for w = 0 and w = 1; above 1 no density is transported and the result is empirical
 * (theory.md 3.8).  Those two cases are copied rather than computed: a picture with w = 1 must have
 * the same bits alone, where one branch is evaluated, and beside pictures that need both.
 *
 * A third branch may stand beside the two: the same network with the maps of some attention layers
 * replaced by the identity, or with some blocks left out.  It has lost what those layers know of
 * structure, and the prediction is led away from it, g + s (guided - perturbed): Ahn et al. 2024,
 * equation 18.  The weights still sum to one, so all that is said above holds of the three.
 */
#include "diffusion/guidance.h"

#include "base/memory.h"
#include "diffusion/threshold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void guidance_combine(double *out, const double *unguided, const double *guided, double w,
                      int64_t n)
{
    if (w == 0 || w == 1) {
        memmove(out, w == 0 ? unguided : guided, (size_t)n * sizeof(*out));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = (1 - w) * unguided[i] + w * guided[i];
}

static void plain_combine(const struct guided_pair *p)
{
    guidance_combine(p->out, p->unguided, p->guided, p->w, p->n);
}

static const struct guidance_kind guidance_cfg = {
    .is = {.name = "cfg",
           .aliases = {"classifier_free"},
           .summary = "classifier-free: (1 - w) f(x | none) + w f(x | y)",
           .paper = "Ho and Salimans 2022",
           .claim = "ImageNet 256, FID: DiT-XL/2 9.62 to 2.27 at w = 1.5 of three channels in four "
                    "(Peebles and Xie 2023), "
                    "SiT-XL/2 8.3 to 2.06 (Ma et al. 2024); precision up, recall down"},
    .on = N_PREDICTIONS,
    .combine = plain_combine,
};

/* The list of the others: a new one is one file and one name here. */
/* clang-format off */
#define KINDS(X)   \
    X(apg)         \
    X(zero_star)   \
    X(plus_plus)   \
    X(ramp)
/* clang-format on */

#define DECLARE(name) extern const struct guidance_kind guidance_##name;
KINDS(DECLARE)
#undef DECLARE

const struct guidance_kind *guidance_kind_at(int i)
{
#define ADDRESS(name) &guidance_##name,
    static const struct guidance_kind *const all[] = {&guidance_cfg, KINDS(ADDRESS)};
#undef ADDRESS

    return i >= 0 && i < (int)(sizeof(all) / sizeof(*all)) ? all[i] : NULL;
}

static const struct choice *kind_choice_at(int i)
{
    return guidance_kind_at(i) ? &guidance_kind_at(i)->is : NULL;
}

enum status guidance_kind_find(const struct guidance_kind **out, const char *name,
                               struct error *err)
{
    enum status st;
    int i;

    if ((st = choice_find(&i, "guidance", name, kind_choice_at, err)))
        return st;
    *out = guidance_kind_at(i);
    return OK;
}

struct guidance_how guidance_plain(void)
{
    return (struct guidance_how){
        .kind = &guidance_cfg, .from = -1, .to = 1, .perturbed_from = -1, .perturbed_to = 1};
}

/* ---- Setting up ---- */

static enum status how_check(const struct guidance_how *how, struct error *err)
{
    if (!(how->from < how->to))
        return fail(err, E_ARG, "guidance from t = %g to %g: the first must be the smaller",
                    how->from, how->to);
    if (!isfinite(how->perturbed) || how->perturbed < 0)
        return fail(err, E_ARG, "a perturbed branch with a scale of %g; it must be 0 or more",
                    how->perturbed);
    if (!(how->rescale >= 0 && how->rescale <= 1))
        return fail(err, E_ARG, "guidance is rescaled by %g; it must lie in 0 .. 1", how->rescale);
    if (!(how->threshold >= 0 && how->threshold <= 1))
        return fail(err, E_ARG, "the threshold's quantile is %g; it must lie in 0 .. 1",
                    how->threshold);
    if (!(how->clip >= 0) || isinf(how->clip))
        return fail(err, E_ARG, "the picture is clipped at %g; it must be 0 or more", how->clip);
    return choice_check(how->values, &how->kind->is, err);
}

static enum status scale_check(const struct guidance_kind *kind, double w, int64_t row,
                               struct error *err)
{
    if (!isfinite(w) || w < 0)
        return fail(err, E_ARG, "the guidance scale of picture %lld is %g; it must be 0 or more",
                    (long long)row, w);
    if (kind->from_zero && w > 1)
        return fail(err, E_ARG, "the guidance scale of picture %lld is %g; %s takes 0 to 1",
                    (long long)row, w, kind->is.name);
    return OK;
}

/* Which branches the scales need together. */
static unsigned branches_needed(const struct guidance *g, const double *w)
{
    unsigned branches = 0;

    for (int64_t i = 0; i < g->of.rows; i++)
        branches |= w[i] == 0 ? BRANCH_UNGUIDED : w[i] == 1 ? BRANCH_GUIDED : BRANCH_BOTH;
    if (g->how.kind->renoises && branches != BRANCH_UNGUIDED)
        branches = BRANCH_BOTH;
    return branches | (g->how.perturbed > 0 ? BRANCH_GUIDED | BRANCH_PERTURBED : 0);
}

static enum status make_arrays(struct guidance *g, const double *w, struct error *err)
{
    uint64_t rows = (uint64_t)g->of.rows, length = (uint64_t)g->of.length * sizeof(double);
    uint64_t n = (uint64_t)branch_count(g->branches);
    enum status st;

    if ((st = mem_new((void **)&g->w, rows, sizeof(*g->w), "guidance scales", err)))
        return st;
    memcpy(g->w, w, (size_t)rows * sizeof(*w));
    if (n > 1 && (st = mem_new((void **)&g->all, rows, n * length, "branches of guidance", err)))
        return st;
    return (g->branches & BRANCH_BOTH) == BRANCH_BOTH && g->how.kind->remembers
               ? mem_new((void **)&g->running, rows, length, "guidance that remembers", err)
               : OK;
}

enum status guidance_init(struct guidance *g, struct predictor of, const double *w,
                          const struct guidance_how *how, struct error *err)
{
    enum status st;

    memset(g, 0, sizeof(*g));
    MUST(of.rows > 0 && of.length > 0, "a predictor of %lld rows of %lld", (long long)of.rows,
         (long long)of.length);
    g->of = of;
    g->how = how ? *how : guidance_plain();
    if (!g->how.kind)
        g->how.kind = &guidance_cfg;
    if ((st = how_check(&g->how, err)))
        return st;
    for (int64_t i = 0; i < of.rows; i++)
        if ((st = scale_check(g->how.kind, w[i], i, err)))
            return st;
    g->branches = branches_needed(g, w);
    if ((st = make_arrays(g, w, err)))
        guidance_release(g);
    return st;
}

void guidance_release(struct guidance *g)
{
    free(g->w);
    free(g->all);
    free(g->running);
    memset(g, 0, sizeof(*g));
}

/* ---- One prediction ---- */

static double deviation(const double *x, int64_t n)
{
    double mean = 0, square = 0;

    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    return sqrt(square / (double)(n > 1 ? n - 1 : 1));
}

/* Lin et al. 2024: strong guidance also makes the prediction larger, which shows as contrast. */
static void rescale(double *out, const double *guided, double share, int64_t n)
{
    double have = deviation(out, n), ratio = have > 0 ? deviation(guided, n) / have : 1;

    for (int64_t i = 0; i < n; i++)
        out[i] *= share * ratio + (1 - share);
}

static bool is_inside(const struct guidance *g, double t)
{
    return t > g->how.from && t <= g->how.to;
}

/* The branch whose numbers a row takes as they are, or BRANCH_BOTH. */
static unsigned row_branch(const struct guidance *g, double w, double t)
{
    if (w == 0)
        return BRANCH_UNGUIDED;
    return w == 1 || !is_inside(g, t) ? BRANCH_GUIDED : BRANCH_BOTH;
}

/* The three branches of one call, each NULL where it was not asked. */
struct answers {
    double *unguided, *guided, *perturbed; /* [rows, length] */
};

static void combine_row(struct guidance *g, int64_t row, double *out, const struct answers *a,
                        double t)
{
    int64_t n = g->of.length, at = row * n;
    const struct guided_pair pair = {
        .unguided = a->unguided ? a->unguided + at : NULL,
        .guided = a->guided ? a->guided + at : NULL,
        .out = out,
        .running = g->running ? g->running + at : NULL,
        .w = g->w[row],
        .t = t,
        .values = g->how.values,
        .n = n,
    };
    const struct guidance_kind *kind = g->how.kind;
    unsigned branch = row_branch(g, g->w[row], t);

    if (branch == BRANCH_BOTH && kind->waits && kind->waits(&pair)) {
        memset(out, 0, (size_t)n * sizeof(*out));
        return;
    }
    if (branch == BRANCH_BOTH)
        kind->combine(&pair);
    else
        memcpy(out, branch == BRANCH_GUIDED ? pair.guided : pair.unguided,
               (size_t)n * sizeof(*out));
    for (int64_t i = 0; a->perturbed && i < n; i++)
        out[i] += g->how.perturbed * (pair.guided[i] - a->perturbed[at + i]);
    if ((branch == BRANCH_BOTH || a->perturbed) && g->how.rescale > 0)
        rescale(out, pair.guided, g->how.rescale, n);
}

static bool is_perturbed(const struct guidance *g, double t)
{
    return g->how.perturbed > 0 && is_inside(g, t) && t >= g->how.perturbed_from &&
           t <= g->how.perturbed_to;
}

/* The branches that any row needs at t. */
static unsigned branches_at(const struct guidance *g, double t)
{
    unsigned branches = 0;

    if (is_perturbed(g, t))
        return g->branches;
    if (g->how.kind->renoises)
        return g->branches & ~(unsigned)BRANCH_PERTURBED;
    for (int64_t i = 0; i < g->of.rows; i++)
        branches |= row_branch(g, g->w[i], t);
    return branches;
}

static enum status many_branches(struct guidance *g, double *out, unsigned branches,
                                 enum prediction on, double *renoise, bool *has_renoise,
                                 const double *x, const struct path_coefs *c, enum prediction is,
                                 struct error *err)
{
    int64_t n = g->of.length, all = g->of.rows * n;
    struct answers a = {0};
    double *next = g->all;
    enum status st;

    if ((st = g->of.predict(g->of.self, g->all, x, c->t, branches, err)))
        return st;
    if (branches & BRANCH_UNGUIDED)
        a.unguided = next, next += all;
    if (branches & BRANCH_GUIDED)
        a.guided = next, next += all;
    if (branches & BRANCH_PERTURBED)
        a.perturbed = next;
    if (renoise && g->how.kind->renoises && a.unguided) {
        if ((st = prediction_convert(renoise, PREDICT_NOISE, a.unguided, is, x, c, all, err)))
            return st;
        *has_renoise = true;
    }
    for (int b = 0; b < branch_count(branches); b++)
        if ((st = prediction_convert(g->all + b * all, on, g->all + b * all, is, x, c, all, err)))
            return st;
    for (int64_t i = 0; i < g->of.rows; i++)
        combine_row(g, i, out + i * n, &a, c->t);
    return OK;
}

/* Whether the picture is told at all, and whether what is done to it would tell anything: where
 * beta = 0 it is x, and no velocity follows from it. */
static bool can_clip(enum prediction on, const struct path_coefs *c)
{
    double of_x, of_have;

    return c->beta > 0 && !prediction_coefs(&of_x, &of_have, PREDICT_DATA, on, c, NULL);
}

enum status guidance_predict(struct guidance *g, double *out, enum prediction *out_is,
                             double *renoise, bool *has_renoise, const double *x,
                             const struct path_coefs *c, enum prediction is, struct error *err)
{
    enum prediction on = g->how.kind->on == N_PREDICTIONS ? is : g->how.kind->on;
    unsigned branches = branches_at(g, c->t);
    int64_t all = g->of.rows * g->of.length;
    enum status st;

    *out_is = on;
    if (has_renoise)
        *has_renoise = false;
    g->evaluations += branch_count(branches);
    if (branch_count(branches) > 1)
        st = many_branches(g, out, branches, on, renoise, has_renoise, x, c, is, err);
    else if (!(st = g->of.predict(g->of.self, out, x, c->t, branches, err)))
        st = prediction_convert(out, on, out, is, x, c, all, err);
    if (st || !(g->how.threshold > 0 || g->how.clip > 0) || !can_clip(on, c))
        return st;
    if ((st = prediction_convert(out, PREDICT_DATA, out, on, x, c, all, err)))
        return st;
    *out_is = PREDICT_DATA;
    for (int64_t i = 0; g->how.clip > 0 && i < all; i++)
        out[i] = fmax(-g->how.clip, fmin(g->how.clip, out[i]));
    return g->how.threshold > 0
               ? threshold_clip(out, g->of.rows, g->of.length, g->how.threshold, err)
               : OK;
}

enum status guidance_ask(struct guidance *g, struct predictor of, double *out, const double *x,
                         double t, struct error *err)
{
    unsigned branches = branches_at(g, t) & BRANCH_BOTH;
    int64_t n = g->of.length, all = g->of.rows * n;
    enum status st;

    MUST(of.rows == g->of.rows && of.length == n, "two predictors of different sizes");
    if (branches != BRANCH_BOTH)
        return of.predict(of.self, out, x, t, branches, err);
    if ((st = of.predict(of.self, g->all, x, t, BRANCH_BOTH, err)))
        return st;
    for (int64_t i = 0; i < g->of.rows; i++)
        memcpy(out + i * n, g->all + (g->w[i] == 0 ? 0 : all) + i * n, (size_t)n * sizeof(*out));
    return OK;
}

/* A gradient is added to the score, and whatever else is predicted follows the score. */
double guidance_gradient_weight(enum prediction p, const struct path_coefs *c)
{
    double of_x, of_score;

    prediction_coefs(&of_x, &of_score, p, PREDICT_SCORE, c, NULL);
    return of_score;
}
