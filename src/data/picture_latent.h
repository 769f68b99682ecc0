/*
 * picture_latent.h - the latent of one picture or clip in a file
 *
 *     NAME.safetensors
 *       tensor    "latent" [rows, columns, channels] float32, as the autoencoder made it; of a clip
 *                 [cells, rows, columns, channels]
 *       metadata  "imgen.latent", JSON: {format, autoencoder, picture, height, width, frames, rate,
 *                 sampled, tile, checksum}; frames and rate of a clip
 *
 * Files of others are read too, where they hold one tensor: [rows, columns, channels], or
 * [1, channels, rows, columns] and [channels, rows, columns] as PyTorch's programs write them.
 */
#ifndef IMGEN_DATA_PICTURE_LATENT_H
#define IMGEN_DATA_PICTURE_LATENT_H

#include "base/hash.h"
#include "io/safetensors.h"

#include <stdbool.h>
#include <stdint.h>

struct picture_latent {
    char autoencoder[HASH_TEXT]; /* that made it; "": a file of others, which does not say       */
    char picture[HASH_TEXT];     /* SHA-256 of the picture's file, or ""                         */
    int64_t height, width;       /* of the picture in pixels; 0: not said                        */
    bool sampled;                /* drawn from the posterior by the seed; else its mean          */
    uint64_t seed;
    int64_t tile_rows, tile_columns; /* of the tiles it was made in, in cells; 0: in one piece */
    int64_t frames;                  /* of the clip; 0: a picture's                            */
    double rate;                     /* of the clip, frames a second; 0: not said              */
    int64_t cells;                   /* frames of the clip's latent; 1 of a picture's          */
    int64_t rows, columns, channels;
    float *values; /* [rows, columns, channels], of a clip [cells, ...]; heap */
};

/* channels: of the autoencoder that is to read it; they also tell the layouts of files of others
 * apart.  Where both could be meant, four dimensions or the metadata "layout": "channels_first"
 * stand for the second, else it is the first.  E_FORMAT naming what is wrong, and both checksums of
 * damaged content; E_IO; E_MEMORY.  Release also after a failure. */
enum status picture_latent_read(struct picture_latent *z, const char *path, int64_t channels,
                                struct error *err);
/* The same for bytes in memory. */
enum status picture_latent_read_bytes(struct picture_latent *z, const uint8_t *bytes, uint64_t n,
                                      const char *name, int64_t channels, struct error *err);
void picture_latent_release(struct picture_latent *z); /* zeroes it; fine on a zeroed one */

/* Atomically.  All members are set, `picture` and tiles perhaps to nothing. */
enum status picture_latent_save(const char *path, const struct picture_latent *z,
                                struct error *err);

#endif
