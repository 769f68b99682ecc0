/*
 * objective.c - what a network is asked for, and how its answer is graded
 *
 * Three things are easily confused.  What the network predicts (p) decides which numbers it must
 * produce; whose error is squared (q) and the weight w of the noise level decide what an error
 * costs.  By table 2.4, q = of_x x + of_p p, so the error of q is of_p times the error of p, and a
 * loss on q is a loss on p with another weight:
 *
 *     w |q^ - q|^2 = |s p^ - s p|^2,   s = of_p sqrt(w)
 *
 * With a wrapper, p^ = skip x + out F, the network's own F is multiplied by s out and the rest goes
 * into the target, which is linear in z and eps like everything else.  So training never divides on
 * the tape, EDM's loss needs no code of its own, and a data prediction graded by its velocity (JiT)
 * is one number a sample.
 *
 * Losses may be infinite at an end: the score at beta = 0, a velocity made of a noise prediction at
 * alpha = 0.  Training would not fail there, it would be thrown about by the samples that come
 * near; so the check looks at what happens next to the ends of the time law and refuses what grows
 * without bound.  Slow growth is let through: the velocity on variance preserving paths has an
 * expected loss that diverges only as a logarithm (theory.md 1.5).
 *
 * Karras et al. 2022; Salimans and Ho 2022; Li and He 2025, "Back to basics" (JiT).
 */
#include "diffusion/objective.h"

#include <math.h>

/* Next to an end, and what is too much there: 1 / beta on straight lines is a billion, the
 * derivative of a square root five thousand. */
static const double next_to = 1e-9, too_much = 1e4;

const struct choice *graded_as_at(int i)
{
    static const struct choice own = {
        .name = "own", .summary = "what the network predicts, or what the weight is stated on"};

    return i ? prediction_at(i - 1) : &own;
}

enum prediction objective_space(const struct objective *o)
{
    if (o->graded_as)
        return (enum prediction)(o->graded_as - 1);
    return weighting_on(&o->weighting) == N_PREDICTIONS ? o->predicts : weighting_on(&o->weighting);
}

static struct grading grade(const struct objective *o, const struct precondition *wrap,
                            const struct path *path, const struct path_coefs *c)
{
    struct reading r = precondition_at(wrap, path, c);
    double of_x, of_p, of_z, of_eps, s;

    /* What is infinite stays so in the result. */
    prediction_coefs(&of_x, &of_p, objective_space(o), o->predicts, c, NULL);
    prediction_target(&of_z, &of_eps, o->predicts, c, NULL);
    s = of_p * sqrt(weighting_at(&o->weighting, c)) * (c->beta < o->floor ? c->beta / o->floor : 1);
    return (struct grading){
        .gain = s * r.out,
        .of_z = s * (of_z - r.skip * c->alpha),
        .of_eps = s * (of_eps - r.skip * c->beta),
    };
}

static bool is_below(const struct grading *g, double limit)
{
    return fabs(g->gain) < limit && fabs(g->of_z) < limit && fabs(g->of_eps) < limit;
}

/* At the very ends the pieces may be infinite and their product finite: then the time beside it. */
enum status objective_at(struct grading *out, const struct objective *o,
                         const struct precondition *wrap, const struct path *path,
                         const struct path_coefs *c, struct error *err)
{
    struct path_coefs beside;

    *out = grade(o, wrap, path, c);
    if (is_below(out, HUGE_VAL))
        return OK;
    beside = path_at(path, fmax(next_to, fmin(1 - next_to, c->t)));
    *out = grade(o, wrap, path, &beside);
    if (is_below(out, too_much))
        return OK;
    return fail(err, E_ARG,
                "the loss of the %s prediction on the %s is infinite at t = %g, where alpha = %g "
                "and beta = %g: keep the training times away from that end",
                prediction_at((int)o->predicts)->name, prediction_at((int)objective_space(o))->name,
                c->t, c->alpha, c->beta);
}

static enum status end_check(const struct objective *o, const struct precondition *wrap,
                             const struct path *path, double t, struct error *err)
{
    struct path_coefs c = path_at(path, fmax(next_to, fmin(1 - next_to, t)));
    struct grading g = grade(o, wrap, path, &c);

    if (is_below(&g, too_much))
        return OK;
    return fail(err, E_ARG,
                "the loss of a %s prediction on the %s grows without bound towards t = %g on the "
                "path '%s': keep the training times away from there (time.t0, time.t1), or grade "
                "it as something else (train.loss = noise, say)",
                prediction_at((int)o->predicts)->name, prediction_at((int)objective_space(o))->name,
                t, path->kind->is.name);
}

enum status objective_check(const struct objective *o, const struct precondition *wrap,
                            const struct path *path, const double *ends, struct error *err)
{
    enum prediction on = weighting_on(&o->weighting);
    enum status st;

    if (!(o->floor >= 0 && o->floor < 1))
        return fail(err, E_ARG, "the floor of beta in the loss is %g, outside 0 .. 1", o->floor);
    if (o->weighting.kind && (st = choice_check(o->weighting.values, &o->weighting.kind->is, err)))
        return st;
    if (o->graded_as && on != N_PREDICTIONS && on != objective_space(o))
        return fail(err, E_ARG,
                    "the weight '%s' is stated on the error of the %s, and the loss is to be that "
                    "of the %s: take train.loss = own",
                    o->weighting.kind->is.name, prediction_at((int)on)->name,
                    prediction_at((int)objective_space(o))->name);
    for (int i = 0; ends && i < 2; i++)
        if ((st = end_check(o, wrap, path, ends[i], err)))
            return st;
    return OK;
}

bool objective_is_plain(const struct objective *o, const struct precondition *wrap)
{
    return objective_space(o) == o->predicts && weighting_is_uniform(&o->weighting) &&
           !(o->floor > 0) && precondition_is_plain(wrap);
}
