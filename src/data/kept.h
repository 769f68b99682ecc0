/*
 * kept.h - pictures and clips of files brought to one size, and kept once they are decoded
 */
#ifndef IMGEN_DATA_KEPT_H
#define IMGEN_DATA_KEPT_H

#include "data/dataset.h"
#include "io/clip.h"

#include <stdatomic.h>

/* Picture or clip i as its files have it, of any size and channels and of as many frames as the set
 * hands out (a picture: one); *out is released by the caller.  Failures name the file. */
typedef enum status kept_read(struct clip *out, int64_t i, const void *user, struct error *err);

struct kept_clip {
    double rate; /* frames a second; 0: its files do not say */
    uint8_t pixels[];
};

struct kept {
    int64_t n, frames, height, width, channels;
    uint8_t background[3];
    _Atomic(struct kept_clip *) *at; /* [n], heap; NULL when they are too many to keep */
    kept_read *read;
    const void *user;
};

/* For the d->count pictures of a set, which `read` gets from their files: d's frames, height,
 * width and channels are those handed out.  E_MEMORY.  Release also after a failure. */
enum status kept_init(struct kept *k, const struct dataset *d, const uint8_t background[3],
                      kept_read *read, const void *user, struct error *err);
void kept_release(struct kept *k); /* zeroes it; fine on a zeroed one */

/* Picture i as float [height, width, channels] in [-1, 1] (picture_shape without a border), or all
 * frames of clip i; *rate, which may be NULL: its frames a second, 0 unknown.  Fails as `read`
 * does; E_MEMORY.  Safe from several threads at once. */
enum status kept_get(const struct kept *k, float *pixels, double *rate, int64_t i,
                     struct error *err);

#endif
