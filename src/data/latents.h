/*
 * latents.h - a data set of latents on disk: encoded once, then read without a picture
 *
 * A cache is a folder of parts and, once it is complete, an index (src/data/latents_file.h).  It
 * belongs to one set of pictures and one autoencoder, both by content.  As a data set (format
 * "latents") it hands out [height, width, channels] of latents, or of clips [frames, height, width,
 * channels], each channel with mean 0 and deviation 1 over the set, with the labels and captions of
 * the pictures.
 */
#ifndef IMGEN_DATA_LATENTS_H
#define IMGEN_DATA_LATENTS_H

#include "base/hash.h"
#include "data/dataset.h"

#include <stdbool.h>
#include <stdint.h>

/* pictures [n, H, W, C] in [-1, 1] to latents [n, height, width, channels], as they are; clips
 * [n, T, H, W, C] to [n, frames, height, width, channels]. */
typedef enum status latents_encode(float *latents, const float *pictures, int64_t n, void *user,
                                   struct error *err);

struct latents_job {
    const struct dataset *pictures;
    const char *folder;              /* of the cache; made when it is missing    */
    const char *autoencoder;         /* SHA-256 of its file                      */
    int64_t frames;                  /* of a clip's latent; 0: of pictures       */
    int64_t height, width, channels; /* of a latent                              */
    int64_t batch;                   /* pictures a call of encode, at most       */
    int64_t part;                    /* pictures a file; 0: as many as make 64 MiB */
    /* Every picture twice, as it is and left to right: a latent that is mirrored is not the latent
     * of the mirrored picture. */
    bool mirrored;
    bool sampled; /* what encode gives is drawn by this seed, and not the same for another */
    uint64_t seed;
    latents_encode *encode;
    bool (*progress)(int64_t done, int64_t n, void *user); /* after each call; false stops */
    void *user;                                            /* of both                      */
};

/* Encode all pictures and write the cache, or go on where it was left: parts that are there are
 * checked, against their own checksum and against the pictures, and kept.  When the work is stopped
 * or fails, what was encoded is written down first; killed, it loses at most the part it was at.
 *
 * E_FORMAT when a file there is damaged, or was made by another autoencoder, of other pictures or
 * with other captions (those of a version that kept none): the file and both hashes, or both
 * captions, are named, and nothing is overwritten.  E_NOT_FINITE, naming the
 * picture; E_CANCELLED; E_ARG for an endless set; E_IO; E_MEMORY; and what encode and the pictures
 * say. */
enum status latents_write(const struct latents_job *job, struct error *err);

/* What an open set of format "latents" is. */
struct latents_info {
    const char *autoencoder, *pictures; /* SHA-256                                            */
    const double *mean, *deviation;     /* [channels]: a latent is mean + deviation * value    */
    bool mirrored, sampled;
    int64_t clip_frames; /* of the clips that the latents are of; 0: of pictures */
};
/* NULL for sets of other formats.  The set's. */
const struct latents_info *latents_info(const struct dataset *d);

/* From here on hand out (z - mean) / deviation with these numbers, [channels], in the place of the
 * set's own: of latents held out, those of the training set.  d is of format "latents" and nobody
 * reads it yet. */
void latents_normalise_as(struct dataset *d, const double *mean, const double *deviation);

#endif
