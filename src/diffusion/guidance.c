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
 */
#include "diffusion/guidance.h"

#include "base/memory.h"

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

/* Which branches the scales need together. */
static unsigned branches_needed(const double *w, int64_t rows)
{
    unsigned branches = 0;

    for (int64_t i = 0; i < rows; i++)
        branches |= w[i] == 0 ? BRANCH_UNGUIDED : w[i] == 1 ? BRANCH_GUIDED : BRANCH_BOTH;
    return branches;
}

enum status guidance_init(struct guidance *g, struct predictor of, const double *w,
                          struct error *err)
{
    enum status st;

    memset(g, 0, sizeof(*g));
    MUST(of.rows > 0 && of.length > 0, "a predictor of %lld rows of %lld", (long long)of.rows,
         (long long)of.length);
    for (int64_t i = 0; i < of.rows; i++)
        if (!isfinite(w[i]) || w[i] < 0)
            return fail(err, E_ARG,
                        "the guidance scale of picture %lld is %g; it must be 0 or more",
                        (long long)i, w[i]);
    g->of = of;
    g->branches = branches_needed(w, of.rows);
    if ((st = mem_new((void **)&g->w, (uint64_t)of.rows, sizeof(*g->w), "guidance scales", err)))
        return st;
    memcpy(g->w, w, (size_t)of.rows * sizeof(*w));
    if (g->branches == BRANCH_BOTH)
        st = mem_new((void **)&g->both, (uint64_t)of.rows, 2 * (uint64_t)of.length * sizeof(double),
                     "both branches of guidance", err);
    if (st)
        guidance_release(g);
    return st;
}

void guidance_release(struct guidance *g)
{
    free(g->w);
    free(g->both);
    memset(g, 0, sizeof(*g));
}

enum status guidance_predict(struct guidance *g, double *out, const double *x, double t,
                             struct error *err)
{
    int64_t n = g->of.length, all = g->of.rows * n;
    enum status st;

    g->evaluations += g->branches == BRANCH_BOTH ? 2 : 1;
    if (g->branches != BRANCH_BOTH)
        return g->of.predict(g->of.self, out, x, t, g->branches, err);
    if ((st = g->of.predict(g->of.self, g->both, x, t, BRANCH_BOTH, err)))
        return st;
    for (int64_t i = 0; i < g->of.rows; i++)
        guidance_combine(out + i * n, g->both + i * n, g->both + all + i * n, g->w[i], n);
    return OK;
}

static enum status pair_predict(void *self, double *out, const double *x, double t,
                                unsigned branches, struct error *err)
{
    struct predictor_pair *pair = self;
    struct predictor *u = &pair->unguided, *g = &pair->guided;
    enum status st = OK;

    if (branches & BRANCH_UNGUIDED) {
        st = u->predict(u->self, out, x, t, BRANCH_GUIDED, err);
        out += u->rows * u->length;
    }
    if (!st && branches & BRANCH_GUIDED)
        st = g->predict(g->self, out, x, t, BRANCH_GUIDED, err);
    return st;
}

struct predictor predictor_of_pair(struct predictor_pair *pair)
{
    MUST(pair->unguided.rows == pair->guided.rows && pair->unguided.length == pair->guided.length,
         "two predictors of different sizes");
    return (struct predictor){pair_predict, pair, pair->guided.rows, pair->guided.length};
}
