/*
 * classifier_guidance.c - guidance by a classifier of noisy pictures
 *
 * By Bayes' rule the score of p(x | y) is the score of p(x) plus the gradient of log p(y | x), so a
 * model that knows no labels obeys one when a classifier's gradient is added to what it predicts,
 * in the units of what that is: Dhariwal and Nichol 2021, section 4; theory.md 3.2 and 3.3.  With a
 * scale above 1 the label is followed more strictly than the data say, and the result is empirical,
 * as with classifier-free guidance.
 *
 * It stands beside classifier-free guidance, not in its place: what is pulled is the predictor, so
 * solvers, conversions and any guidance of its branches go on as if the model had learned it.
 *
 * At t = 0 the formula is infinity times zero.  A trained classifier's gradient is only nearly zero
 * there, so the product would be noise: below CLASSIFIER_ALPHA nothing is added.
 */
#include "diffusion/classifier_guidance.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum status classifier_guidance_init(struct classifier_guidance *c, struct predictor of,
                                     struct label_gradient by, const struct path *path,
                                     enum prediction predicts, const double *scale,
                                     struct error *err)
{
    enum status st;

    *c = (struct classifier_guidance){.of = of, .by = by, .path = *path, .predicts = predicts};
    for (int64_t i = 0; i < of.rows; i++)
        if (!isfinite(scale[i]) || scale[i] < 0)
            return fail(err, E_ARG,
                        "the classifier's scale of picture %lld is %g; it must be 0 or more",
                        (long long)i, scale[i]);
    if ((st = mem_new((void **)&c->scale, (uint64_t)of.rows, sizeof *c->scale,
                      "scales of a classifier", err)))
        return st;
    memcpy(c->scale, scale, (size_t)of.rows * sizeof *scale);
    return mem_new((void **)&c->pull, (uint64_t)of.rows, (uint64_t)of.length * sizeof *c->pull,
                   "a classifier's gradient", err);
}

void classifier_guidance_release(struct classifier_guidance *c)
{
    free(c->scale);
    free(c->pull);
    memset(c, 0, sizeof *c);
}

static bool pulls(const struct classifier_guidance *c, const struct path_coefs *at)
{
    for (int64_t i = 0; i < c->of.rows; i++)
        if (c->scale[i] > 0)
            return at->alpha >= CLASSIFIER_ALPHA;
    return false;
}

/* Add the pull to one branch, [rows, length]. */
static void pull_branch(const struct classifier_guidance *c, double *out, double weight)
{
    int64_t n = c->of.length;

    for (int64_t i = 0; i < c->of.rows; i++) {
        double k = c->scale[i] * weight;

        for (int64_t j = 0; j < n && c->scale[i] > 0; j++)
            out[i * n + j] += k * c->pull[i * n + j];
    }
}

static enum status predict(void *self, double *out, const double *x, double t, unsigned branches,
                           struct error *err)
{
    struct classifier_guidance *c = self;
    struct path_coefs at = path_at(&c->path, t);
    double weight = guidance_gradient_weight(c->predicts, &at);
    enum status st;

    if ((st = c->of.predict(c->of.self, out, x, t, branches, err)) || !pulls(c, &at))
        return st;
    c->evaluations++;
    if ((st = c->by.gradient(c->by.self, c->pull, x, t, err)))
        return st;
    for (int b = 0; b < branch_count(branches); b++)
        pull_branch(c, out + b * c->of.rows * c->of.length, weight);
    return OK;
}

struct predictor predictor_of_classifier(struct classifier_guidance *c)
{
    return (struct predictor){predict, c, c->of.rows, c->of.length};
}
