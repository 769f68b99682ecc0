/*
 * condition_set.h - a set of what is told of the clips of another
 */
#ifndef IMGEN_PIPELINE_CONDITION_SET_H
#define IMGEN_PIPELINE_CONDITION_SET_H

#include "pipeline/condition.h"

#include "data/dataset.h"

/* Whether clips of this set can tell it: E_ARG where it is two things, where the set is of pictures
 * and first frames are wanted, and where its sides are no multiples of k.upscale. */
enum status condition_set_check(const struct dataset *of, struct condition_kind k,
                                struct error *err);

/* For each clip of a set of pixels, which must outlive it, its first frame, a picture; or the clip
 * made smaller and brought back to its size.  Labels and captions are the clip's.  Fails as
 * condition_set_check; E_MEMORY. */
enum status condition_set_open(struct dataset **out, const struct dataset *of,
                               struct condition_kind k, struct error *err);

#endif
