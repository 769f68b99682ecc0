/*
 * adversary.c - training against a discriminator
 *
 * The discriminator's hinge loss wants answers above 1 for true pictures and below -1 for made ones
 * and is content beyond (Lim and Ye 2017); the decoder wants the answers to its pictures large.
 *
 * How much the decoder should listen depends on how loudly the two losses speak, and that changes
 * by orders of magnitude in training: sums over pixels shrink, a discriminator's slope does what it
 * likes.  So its part is scaled until both have the same say at one place, the weight of the
 * decoder's last layer L (Esser et al. 2021, "Taming transformers", (7); architectures.md 3.2):
 *
 *     ratio = min(|d nll / dL| / (|d gan / dL| + 1e-4), limit).
 *
 * The loss thus holds gradients of its own terms, and the straightforward way, a backward for each
 * gradient and another for their sum, walks through the discriminator and the perceptual network
 * twice.  Both losses see the decoder through its result y alone, though.  So each is walked back
 * once, to y; from there to L is one layer; and what the decoder needs is a gradient at y, the sum
 * a + weight ratio b of the two, which <y, a + weight ratio b> has.  The values that the losses
 * kept for their backward are free before the decoder's begins.
 */
#include "train/adversary.h"

#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/loss.h"

#include <inttypes.h>

static const double FLOOR = 1e-4; /* keeps the ratio finite where the discriminator says nothing */

enum status adversary_check(const struct adversary *how, struct error *err)
{
    if (!(how->weight > 0) || !(how->limit > 0))
        return fail(err, E_ARG, "an adversary of weight %g and limit %g: both must be above 0",
                    how->weight, how->limit);
    if (how->start < 0)
        return fail(err, E_ARG, "an adversary that starts at step %" PRId64, how->start);
    return OK;
}

bool adversary_begun(const struct adversary *how, int64_t step)
{
    return step >= how->start;
}

static struct tensor *mean_of(struct graph *g, struct tensor *x)
{
    return op_affine(g, op_sum(g, x), 1 / (double)shape_count(x->shape), 0);
}

/* mean max(0, 1 + sign x). */
static struct tensor *hinge(struct graph *g, struct tensor *x, double sign)
{
    return mean_of(g, op_leaky_relu(g, op_affine(g, x, sign, 1), 0));
}

struct tensor *hinge_discriminator(struct graph *g, struct tensor *real, struct tensor *fake)
{
    return op_mix(g, hinge(g, real, -1), hinge(g, fake, 1), 0.5, 0.5);
}

struct tensor *hinge_generator(struct graph *g, struct tensor *fake)
{
    return op_affine(g, mean_of(g, fake), -1, 0);
}

struct tensor *adversary_show(struct graph *g, struct tensor *y)
{
    struct tensor *shown = op_detach(g, y);

    graph_want_grad(shown);
    return shown;
}

/* A scalar whose gradient with respect to y is dy. */
static struct tensor *along(struct graph *g, struct tensor *y, struct tensor *dy)
{
    return op_sum(g, op_mul(g, y, op_detach(g, dy)));
}

static struct tensor *length_of(struct graph *g, struct tensor *x)
{
    return op_power(g, op_sum(g, op_mul(g, x, x)), 0.5);
}

struct tensor *adversary_join(struct graph *g, const struct adversary *how, struct tensor *y,
                              struct tensor *shown, struct tensor *last, struct tensor *nll,
                              struct tensor *gan, struct tensor **ratio)
{
    struct tensor *a = along(g, y, graph_gradient(g, nll, shown));
    struct tensor *b = along(g, y, graph_gradient(g, gan, shown)), *r;
    struct tensor *loud = length_of(g, graph_gradient(g, a, last));
    struct tensor *against = length_of(g, graph_gradient(g, b, last));

    r = op_mul(g, loud, op_power(g, op_affine(g, against, 1, FLOOR), -1));
    r = op_detach(g, op_clamp(g, r, 0, how->limit));
    if (ratio)
        *ratio = r;
    return op_add(g, a, op_mul(g, op_affine(g, r, how->weight, 0), b));
}
