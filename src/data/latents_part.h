/*
 * latents_part.h - a part of a cache of latents: one file, some of the pictures
 *
 * It holds "latents" [n, height, width, channels] float32, of clips [n, frames, height, width,
 * channels], and "labels" [n] int32, and in its metadata "imgen.latents", JSON: {format,
 * autoencoder, pictures, first, sampled, checksum}.  `pictures` is the SHA-256 of what its pictures
 * are (each one's SHA-256), `checksum` that of everything else; `sampled`, of latents drawn from
 * the posterior, by which seed.  Where any of its pictures has a caption of its own, other than the
 * name of its class, `format` is 2 and not 1, and there is "captions" [bytes] uint8: n texts of
 * UTF-8, each ended by a zero, empty for none.
 */
#ifndef IMGEN_DATA_LATENTS_PART_H
#define IMGEN_DATA_LATENTS_PART_H

#include "base/hash.h"
#include "io/safetensors.h"

#include <stdbool.h>
#include <stdint.h>

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

#endif
