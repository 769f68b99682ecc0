/*
 * diffusion.c - how strongly an SDE stirs while it transports
 *
 * Noise pushes the points apart and the score pulls them back; the two cancel in the density, so
 * the strength w_t is free.  It matters all the same: stirring forgets the errors of earlier steps
 * and makes new ones with its own longer steps, so strong noise wants many steps and repairs a
 * field that was learned badly, and no noise at all is best when steps are few.
 *
 * One strength is special: w_t = kappa_t = beta D / alpha makes the SDE the exact reversal of the
 * process that added the noise.  It is infinite where alpha = 0.  The others come from SiT, which
 * chose them after training, for the same network.  theory.md 2.3; Ma et al. 2024, "SiT".
 */
#include "sampler/diffusion.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double zero(const struct path_coefs *c, double scale)
{
    (void)c, (void)scale;
    return 0;
}

static double constant(const struct path_coefs *c, double scale)
{
    (void)c;
    return scale;
}

static double proportional(const struct path_coefs *c, double scale)
{
    return 0.5 * scale * scale * c->beta * c->beta;
}

static double beta(const struct path_coefs *c, double scale)
{
    return scale * c->beta;
}

static double reversal(const struct path_coefs *c, double scale)
{
    return scale > 0 ? scale * c->b : 0;
}

static double linear(const struct path_coefs *c, double scale)
{
    return scale * (1 - c->t);
}

static double decreasing(const struct path_coefs *c, double scale)
{
    double root = scale * cos(pi * c->t) + 1;

    return 0.25 * root * root;
}

static double bump(const struct path_coefs *c, double scale)
{
    double root = sin(pi * c->t);

    return scale * root * root;
}

static const struct diffusion_kind kinds[] = {
    {{.name = "sigma", .aliases = {"beta"}, .summary = "w = c beta"}, beta},
    {{.name = "zero", .aliases = {"none", "ode"}, .summary = "no noise: the flow"}, zero},
    {{.name = "constant", .summary = "w = c"}, constant},
    {{.name = "proportional", .summary = "sigma_t = c beta, that is w = (c beta)^2 / 2"},
     proportional},
    {{.name = "reversal",
      .aliases = {"sbdm", "matched", "time_reversal"},
      .summary = "w = c beta D / alpha; c = 1 reverses the noising exactly, infinite at alpha = 0",
      .paper = "Anderson 1982; Song et al. 2020"},
     reversal},
    {{.name = "linear", .summary = "w = c (1 - t)"}, linear},
    {{.name = "decreasing", .summary = "w = (c cos(pi t) + 1)^2 / 4"}, decreasing},
    {{.name = "bump",
      .aliases = {"increasing_decreasing"},
      .summary = "w = c sin^2(pi t): most in the middle"},
     bump},
};

static const struct choice last_steps[N_LAST_STEPS] = {
    [LAST_MEAN] = {.name = "mean", .summary = "the drift of the SDE without its noise"},
    [LAST_DATA] = {.name = "data",
                   .aliases = {"tweedie"},
                   .summary = "the data prediction, E[z | x]"},
    [LAST_FLOW] = {.name = "flow", .aliases = {"euler"}, .summary = "a step of the flow"},
    [LAST_NOISY] = {.name = "noisy", .summary = "with noise, like every other step"},
};

const struct diffusion_kind *diffusion_kind_at(int i)
{
    return i >= 0 && i < (int)(sizeof kinds / sizeof *kinds) ? &kinds[i] : NULL;
}

static const struct choice *kind_choice_at(int i)
{
    return diffusion_kind_at(i) ? &diffusion_kind_at(i)->is : NULL;
}

const struct choice *last_step_at(int i)
{
    return i >= 0 && i < N_LAST_STEPS ? &last_steps[i] : NULL;
}

enum status diffusion_find(const struct diffusion_kind **out, const char *name, struct error *err)
{
    enum status st;
    int i;

    if ((st = choice_find(&i, "diffusion", name, kind_choice_at, err)))
        return st;
    *out = diffusion_kind_at(i);
    return OK;
}

enum status last_step_find(enum last_step *out, const char *name, struct error *err)
{
    enum status st;
    int i;

    if ((st = choice_find(&i, "last step", name, last_step_at, err)))
        return st;
    *out = (enum last_step)i;
    return OK;
}
