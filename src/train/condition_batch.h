/*
 * condition_batch.h - what the clips of a training batch tell beforehand (pipeline/condition.h)
 */
#ifndef IMGEN_TRAIN_CONDITION_BATCH_H
#define IMGEN_TRAIN_CONDITION_BATCH_H

#include "data/dataset.h"
#include "graph/graph.h"
#include "model/network.h"

/* out [condition_length] of clip `index` of a set: from known, a set of what its clips tell in the
 * model's numbers, or, where that is NULL, from the clip itself, pixels as io has them. */
enum status condition_of_clip(float *out, const struct network *net, const struct dataset *known,
                              int64_t index, const float *pixels, struct error *err);

/* *out [rows, condition_length], heap: of the first `rows` clips drawn from the set by the seed. */
enum status condition_of_set(float **out, const struct network *net, const struct dataset *d,
                             const struct dataset *known, uint64_t seed, int64_t rows,
                             struct error *err);

struct condition_batch;

/* Referred to.  known: as above, of the clips and of the pictures beside them; NULL: pixels tell.
 */
struct condition_setting {
    const struct network *net;
    const struct dataset *known, *pictures;
    int64_t count, pictures_count; /* of those that are drawn from */
    int64_t rows;
    uint64_t seed; /* of the run: which sample is which clip */
};
/* E_MEMORY.  net has its largest number of frames. */
enum status condition_batch_new(struct condition_batch **out, const struct condition_setting *s,
                                struct error *err);
void condition_batch_free(struct condition_batch *c); /* NULL is fine */

/* Fill in for samples first, first + 1, ... of a run, whose pixels these are; pictures: the network
 * has one frame now, and a first frame, being all of it, is not told.  Whether a clip is told its
 * first frame is a function of the seed and its number. */
enum status condition_batch_draw(struct condition_batch *c, const float *pixels, int64_t first,
                                 bool pictures, struct error *err);
/* On a tape, for the network as it is; valid until the next drawing. */
struct tensor *condition_batch_record(const struct condition_batch *c, struct graph *g);

#endif
