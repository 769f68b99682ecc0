/*
 * tuning.h - training an adapter of a model that stays as it is
 */
#ifndef IMGEN_TRAIN_TUNING_H
#define IMGEN_TRAIN_TUNING_H

#include "train/experiment.h"

/* Whether the configuration names a base model. */
bool tuning_wanted(const struct experiment *e);

/* Open the base, its weights mapped: a model of ours, or Stable Diffusion 3 as published with the
 * encoders of section "text" where those are named.  Its sampling defaults are those of section
 * "sample" as far as they were set.  E_ARG: keys that the base answers itself, and networks that
 * make no pictures; what the readers say, naming lora.base. */
enum status tuning_open(struct model **out, const struct experiment *e, struct error *err);

/* Give it an adapter that learns, for pictures of this set, whose numbers are the model's already.
 * E_ARG: a size, channels or labels that are not the network's, unknown targets. */
enum status tuning_begin(struct model *m, const struct experiment *e, const struct dataset *d,
                         struct error *err);

/* Write the adapter, with `values` for its own, and beside it in metadata, "imgen.lora": {base,
 * rank, alpha, targets, step}. */
enum status tuning_save(const struct model *m, const struct experiment *e, const char *path,
                        const float *values, struct error *err);

#endif
