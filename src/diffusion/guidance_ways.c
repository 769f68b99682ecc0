/*
 * guidance_ways.c - what guides beside the kinds, and what its papers report
 *
 * A kind of guidance says how two predictions become one.  Which two they are, when they are
 * combined and what is done to the result are questions of their own, each answered by a setting
 * and not by a kind, so that they go together with any.  They are listed here for people, by the
 * names of those settings, with the figures that their authors give; what those figures are worth
 * elsewhere is for the measures to say.
 */
#include "diffusion/guidance.h"

static const struct choice ways[] = {
    {.name = "interval",
     .summary = "guided where guidance.from < t <= guidance.to alone, as trained elsewhere",
     .paper = "Kynkaanniemi et al. 2024",
     .claim = "ImageNet 512, FID: EDM2-XXL 1.81 to 1.40, EDM2-S 2.23 to 1.68; evaluations saved, "
              "and larger scales stand"},
    {.name = "negative",
     .summary = "guidance.negative: away from a label that is not wanted, in the place of none",
     .paper = "Liu et al. 2022"},
    {.name = "rescale",
     .summary = "guidance.rescale: the result gets a share of the guided deviation",
     .paper = "Lin et al. 2024",
     .claim = "takes away the over-exposure of scales of 7 and more, with shares of 0.5 to 0.75"},
    {.name = "threshold",
     .summary = "guidance.threshold: the predicted picture clipped at a quantile of itself",
     .paper = "Saharia et al. 2022",
     .claim = "scales of 5 and more without saturation in models of pixels, at the quantile 0.995; "
              "not for latents"},
    {.name = "guide",
     .summary = "a second model, that knows no label, in the place of the unguided prediction",
     .paper = "Dhariwal and Nichol 2021"},
    {.name = "autoguidance",
     .summary = "a weaker version of the model as the guide, asked for the same label",
     .paper = "Karras et al. 2024",
     .claim =
         "ImageNet 512, FID: EDM2-S 2.23 to 1.34, EDM2-XXL 1.81 to 1.25, EDM2-S without labels "
         "11.7 to 3.86; variety is kept; the guide smaller, or trained for an eighth to a "
         "sixteenth as long"},
    {.name = "perturbed",
     .summary = "guidance.perturbed: away from the prediction with some attention the identity",
     .paper = "Ahn et al. 2024",
     .claim =
         "ADM on ImageNet 256, FID: without labels 26.2 to 16.2, with labels 10.9 to 6.3, at a "
         "scale of about 1; needs no training, no labels, and adds to plain guidance"},
    {.name = "skip",
     .summary = "guidance.skip: away from the prediction of the network without some of its blocks",
     .paper = "the released code of Stable Diffusion 3.5",
     .claim = "anatomy and composition of Stable Diffusion 3.5 medium, with blocks 7, 8 and 9 at a "
              "scale of 2.5 in the first fifth of the steps and a guidance scale of 4"},
    {.name = "classifier",
     .summary = "a classifier of noisy pictures pulls the prediction by its gradient",
     .paper = "Dhariwal and Nichol 2021",
     .claim = "ADM on ImageNet 256, FID: 10.94 to 4.59 at a scale of 1"},
};

const struct choice *guidance_way_at(int i)
{
    return i >= 0 && i < (int)(sizeof ways / sizeof *ways) ? &ways[i] : NULL;
}
