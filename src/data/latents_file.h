/*
 * latents_file.h - the files of a cache of latents
 *
 *     FOLDER/latents-000000000000.safetensors      a part: pictures 0 ..
 *            latents-000000001024.safetensors      the next: pictures 1024 ..
 *            latents.json                          the index, written last
 *
 * A part holds "latents" [n, height, width, channels] float32, of clips [n, frames, height, width,
 * channels], and "labels" [n] int32, and in its
 * metadata "imgen.latents", JSON: {format, autoencoder, pictures, first, sampled, checksum}.
 * `pictures` is the SHA-256 of what its pictures are (each one's SHA-256), `checksum` that of
 * everything else; `sampled`, of latents drawn from the posterior, by which seed.  Where any of its
 * pictures has a caption of its own, other than the name of its class, `format` is 2 and not 1, and
 * there is "captions" [bytes] uint8: n texts of UTF-8, each ended by a zero, empty for none.
 *
 * The index, JSON: {format, autoencoder, pictures, count, frames and clip_frames (of clips: those
 * of a latent, and of what it is of), height, width, channels, mirrored, sampled, classes, mean,
 * deviation, parts: [{first, count, checksum}], checksum}, the last over the others.
 */
#ifndef IMGEN_DATA_LATENTS_FILE_H
#define IMGEN_DATA_LATENTS_FILE_H

#include "base/hash.h"
#include "io/safetensors.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LATENTS_SIDE = 16384,
    LATENTS_CHANNELS = 4096,
    LATENTS_CLASSES = 1000000,
};

struct latents_part {
    char autoencoder[HASH_TEXT], pictures[HASH_TEXT], checksum[HASH_TEXT];
    int64_t first, n, height, width, channels;
    int64_t frames; /* 0: of pictures */
    bool sampled;   /* from the posterior, by the seed; else its means */
    uint64_t seed;
    const uint8_t *latents, *labels; /* float32 and int32 as in the file, of any alignment */
    const char *captions;            /* NULL: there are none                                */
    int64_t caption_bytes;
    int64_t *caption_at; /* [n], heap, of an open part: where in captions each begins */
    struct safetensors *file;
};

/* Opened, and all of it read once for the checksum.  E_IO; E_FORMAT naming the file and, for
 * damaged content, both checksums; E_MEMORY.  Close also after a failure. */
enum status latents_part_open(struct latents_part *p, const char *path, struct error *err);
/* The same for bytes in memory, which must outlive the part. */
enum status latents_part_open_bytes(struct latents_part *p, const uint8_t *bytes, uint64_t n,
                                    const char *name, struct error *err);
void latents_part_close(struct latents_part *p); /* zeroes it */

int32_t latents_part_label(const struct latents_part *p, int64_t i);
/* The caption of picture i, "" when it has none of its own; the part's. */
const char *latents_part_caption(const struct latents_part *p, int64_t i);
/* Latent i of the part into out [height, width, channels]. */
void latents_part_read(const struct latents_part *p, int64_t i, float *out);

/* Written atomically; checksum is filled in, caption_at and file are not looked at. */
enum status latents_part_save(const char *path, struct latents_part *p, struct error *err);

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

/* "<folder>/latents-<first>.safetensors", and the index's; heap, freed by the caller. */
enum status latents_part_path(char **out, const char *folder, int64_t first, struct error *err);
/* The first picture of a part by the name of its file, or -1: no part's name. */
int64_t latents_part_named(const char *name);
enum status latents_index_path(char **out, const char *folder, struct error *err);

#endif
