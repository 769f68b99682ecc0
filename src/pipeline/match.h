/*
 * match.h - whether two models speak of the same pictures, noise and labels
 */
#ifndef IMGEN_PIPELINE_MATCH_H
#define IMGEN_PIPELINE_MATCH_H

#include "pipeline/model.h"

/* Height, width, channels and path are those of the generator, and where both know labels they are
 * the same labels.  E_ARG naming what differs, with the numbers of both; who: what `other` is to
 * the generator, "classifier" say. */
enum status models_match(const struct model *other, const char *who, const struct model *generator,
                         struct error *err);

#endif
