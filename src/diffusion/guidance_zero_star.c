/*
 * guidance_zero_star.c - the unguided velocity brought to size first
 *
 * Early in training, or early on the path, the network's unguided velocity may be of the wrong
 * size, and extrapolating from it overshoots.  The factor s that brings it closest to the guided
 * one, s = <c, u> / |u|^2, is put before it; and while t is small nothing is moved at all, since
 * what a network says about pure noise is little more than the mean of the data.
 *
 *     out = s u + w (c - s u),   0 while t <= wait
 *
 * sampling.md 5; Fan et al. 2025, "CFG-Zero*".
 */
#include "diffusion/guidance.h"

enum { WAIT };
static const struct option zero_star_options[] = {
    {.name = "wait",
     .help = "time until which the state is left alone",
     .type = OPTION_REAL,
     .offset = WAIT * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1},
    {0},
};

static void zero_star_combine(const struct guided_pair *p)
{
    double product = 0, square = 1e-8, s;

    for (int64_t i = 0; i < p->n; i++) {
        product += p->guided[i] * p->unguided[i];
        square += p->unguided[i] * p->unguided[i];
    }
    s = product / square;
    for (int64_t i = 0; i < p->n; i++)
        p->out[i] = s * p->unguided[i] + p->w * (p->guided[i] - s * p->unguided[i]);
}

static bool zero_star_waits(const struct guided_pair *p)
{
    return p->t < p->values[WAIT];
}

const struct guidance_kind guidance_zero_star = {
    .is = {.name = "cfg_zero_star",
           .aliases = {"cfg_zero", "zero_star"},
           .summary = "classifier-free, the unguided velocity scaled to the guided one first",
           .paper = "Fan et al. 2025",
           .claim =
               "helps flow models that are not trained to the end; zero velocity for the first "
               "1 to 4 % of the steps",
           .options = zero_star_options},
    .on = PREDICT_VELOCITY,
    .combine = zero_star_combine,
    .waits = zero_star_waits,
};
