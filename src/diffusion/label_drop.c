/*
 * label_drop.c - forgetting the label of some training samples, so that one network learns both
 * fields
 *
 * Shown a share eta of its samples without their label, a network learns u(x, t | none) = u(x, t)
 * beside u(x, t | y).  The drop is drawn per sample and from a stream of its own: were it to depend
 * on the label or the picture, the unguided branch would learn a reweighted data set; were it one
 * draw a batch, the gradient would be noisier.  theory.md 3.6; Ho and Salimans 2022.
 */
#include "diffusion/label_drop.h"

#include "base/rng.h"

/* rng_uniform lies in [0, 1): below 0 never, below 1 always. */
bool label_dropped(uint64_t seed, uint64_t sample, double eta)
{
    struct rng r = rng_stream(seed, RNG_DROP, sample);

    return rng_uniform(&r) < eta;
}

int32_t label_drop(uint64_t seed, uint64_t sample, int32_t label, double eta, int32_t null_label)
{
    return label_dropped(seed, sample, eta) ? null_label : label;
}
