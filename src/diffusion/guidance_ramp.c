/*
 * guidance_ramp.c - a strength that grows, or fades, on the way
 *
 * At the noisy end strong guidance pulls every sample to the same few shapes; near the picture it
 * can only sharpen what is there.  A strength that grows with t spends the same mean where variety
 * is already settled; one that fades does the opposite, and leaves the last detail alone.
 *
 *     out = u + w_t (c - u),   w_t = 1 + (w - 1) (p + 1) t^p,   or with 1 - t for t
 *
 * The factor p + 1 makes w the mean of w_t over the unit interval.  sampling.md 5; Wang et al.
 * 2024, "Analysis of Classifier-Free Guidance Weight Schedulers".
 */
#include "diffusion/guidance.h"

#include <math.h>

enum { POWER, FADES };

static const struct option ramp_options[] = {
    {.name = "power",
     .help = "1: in proportion to t; above: later; 0: the same strength everywhere",
     .type = OPTION_REAL,
     .offset = POWER * sizeof(double),
     .fallback = "1",
     .lo = 0,
     .hi = 10},
    {.name = "fades",
     .help = "1: strong near noise and weak near the picture, 0: the other way",
     .type = OPTION_REAL,
     .offset = FADES * sizeof(double),
     .fallback = "0",
     .lo = 0,
     .hi = 1},
    {0},
};

static void ramp_combine(const struct guided_pair *p)
{
    double power = p->values[POWER], t = p->values[FADES] > 0.5 ? 1 - p->t : p->t;
    double w = 1 + (p->w - 1) * (power + 1) * pow(t, power);

    guidance_combine(p->out, p->unguided, p->guided, w, p->n);
}

const struct guidance_kind guidance_ramp = {
    .is = {.name = "ramp",
           .aliases = {"linear_ramp", "weight_schedule"},
           .summary = "classifier-free, stronger on the way to the picture; w is the mean",
           .paper = "Wang et al. 2024",
           .claim =
               "strengths that grow with t: better FID at equal CLIP score than a constant one, "
               "on CIFAR-10, ImageNet and text models, at no cost",
           .options = ramp_options},
    .on = N_PREDICTIONS,
    .combine = ramp_combine,
};
