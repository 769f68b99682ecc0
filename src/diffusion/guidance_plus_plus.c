/*
 * guidance_plus_plus.c - the guided picture, the unguided noise
 *
 * A step predicts the picture and puts noise back.  Guidance belongs to the picture; putting back
 * guided noise as well leads away from where noisy pictures lie.  So E[z | x] is taken between the
 * branches, with w in [0, 1], and the noise is the unguided branch's:
 *
 *     x' = alpha' z_w + beta' eps(x | none)
 *
 * sampling.md 5; Chung et al. 2024, "CFG++".
 */
#include "diffusion/guidance.h"

static void plus_plus_combine(const struct guided_pair *p)
{
    guidance_combine(p->out, p->unguided, p->guided, p->w, p->n);
}

const struct guidance_kind guidance_plus_plus = {
    .is = {.name = "cfgpp",
           .aliases = {"cfg++", "cfg_plus_plus"},
           .summary = "the guided picture with the unguided noise; scales 0 to 1",
           .paper = "Chung et al. 2024",
           .claim =
               "Stable Diffusion 1.5 and XL: better FID and CLIP scores at every matched scale, "
               "by little; less saturation, and it can be run backwards"},
    .on = N_PREDICTIONS,
    .renoises = true,
    .from_zero = true,
    .combine = plus_plus_combine,
};
