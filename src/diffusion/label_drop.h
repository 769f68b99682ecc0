/*
 * label_drop.h - forgetting the label of some training samples, so that one network learns both
 * fields
 */
#ifndef IMGEN_DIFFUSION_LABEL_DROP_H
#define IMGEN_DIFFUSION_LABEL_DROP_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the sample-th training sample ever drawn is shown without its label: true with
 * probability eta in [0, 1], never at 0 and always at 1, a function of (seed, sample) alone. */
bool label_dropped(uint64_t seed, uint64_t sample, double eta);

/* The label to train with: null_label when dropped, else `label`. */
int32_t label_drop(uint64_t seed, uint64_t sample, int32_t label, double eta, int32_t null_label);

#endif
