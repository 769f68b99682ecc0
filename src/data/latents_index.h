/*
 * latents_index.h - the index of a cache of latents: the parts it has, and what holds for all of
 * them
 *
 * JSON: {format, autoencoder, pictures, count, frames and clip_frames (of clips: those of a latent,
 * and of what it is of), height, width, channels, mirrored, sampled, classes, mean, deviation,
 * parts: [{first, count, checksum}], checksum}, the last over the others.
 */
#ifndef IMGEN_DATA_LATENTS_INDEX_H
#define IMGEN_DATA_LATENTS_INDEX_H

#include "base/error.h"
#include "base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct latents_entry {
    int64_t first, count;
    char checksum[HASH_TEXT];
};

struct latents_index {
    char autoencoder[HASH_TEXT], pictures[HASH_TEXT];
    int64_t count, height, width, channels;
    int64_t frames;      /* 0: of pictures */
    int64_t clip_frames; /* of the clips; 0: not said */
    bool mirrored, sampled;
    uint64_t seed;            /* of what is sampled */
    double *mean, *deviation; /* [channels], heap, as all that follows */
    char **classes;           /* [n_classes] */
    int64_t n_classes;
    struct latents_entry *parts; /* [n_parts], one after the other from 0 to count */
    int64_t n_parts;
};

/* E_FORMAT naming what is wrong, and both checksums of a damaged text; E_MEMORY.  Release also
 * after a failure. */
enum status latents_index_parse(struct latents_index *x, const char *text, size_t n,
                                const char *name, struct error *err);
enum status latents_index_read(struct latents_index *x, const char *path, struct error *err);
void latents_index_release(struct latents_index *x); /* zeroes it */

/* Written atomically.  E_ARG when a class has no UTF-8 name. */
enum status latents_index_save(const char *path, const struct latents_index *x, struct error *err);

#endif
