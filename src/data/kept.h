/*
 * kept.h - pictures of files brought to one size, and kept once they are decoded
 */
#ifndef IMGEN_DATA_KEPT_H
#define IMGEN_DATA_KEPT_H

#include "data/dataset.h"
#include "io/image.h"

#include <stdatomic.h>

/* Picture i as its file has it, of any size and channels; *out is released by the caller.  Failures
 * name the file. */
typedef enum status kept_read(struct image *out, int64_t i, const void *user, struct error *err);

struct kept {
    int64_t n, height, width, channels;
    uint8_t background[3];
    _Atomic(uint8_t *) *at; /* [n], heap; NULL when they are too many to keep */
    kept_read *read;
    const void *user;
};

/* For the d->count pictures of a set, which `read` gets from their files: d's height, width and
 * channels are those handed out.  E_MEMORY.  Release also after a failure. */
enum status kept_init(struct kept *k, const struct dataset *d, const uint8_t background[3],
                      kept_read *read, const void *user, struct error *err);
void kept_release(struct kept *k); /* zeroes it; fine on a zeroed one */

/* Picture i as float [height, width, channels] in [-1, 1] (picture_shape without a border).  Fails
 * as `read` does; E_MEMORY.  Safe from several threads at once. */
enum status kept_get(const struct kept *k, float *pixels, int64_t i, struct error *err);

#endif
