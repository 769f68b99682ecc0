/*
 * models.h - models with random weights, for tests of what surrounds a network
 */
#ifndef IMGEN_TEST_SUPPORT_MODELS_H
#define IMGEN_TEST_SUPPORT_MODELS_H

#include "pipeline/model.h"

/* The model that a description (as in a model file) says, "format" left out, every weight moved by
 * 0.05 times a normal number, also those where training starts from zero: so that every layer
 * counts.  Another seed, other weights.  Fails the test where the description is refused. */
struct model *model_random(const char *description, uint64_t seed);
/* The same, as a file besides. */
struct model *model_saved(const char *path, const char *description, uint64_t seed);
/* As a file alone. */
void model_save_random(const char *path, const char *description, uint64_t seed);

/* A model by the "name=value" rows of its network's section, up to NULL, as training begins it:
 * four steps and scale 2 unless told otherwise.  path: NULL for the default one; gradients: with
 * memory for them. */
struct model *model_of(const char *kind, const char *path, const char *const *settings,
                       bool gradients);
/* Move every trained number by `deviation` times a normal one. */
void model_disturb(struct model *m, uint64_t seed, double deviation);

#endif
