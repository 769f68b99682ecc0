/*
 * latent_space.h - what the numbers of a latent model mean
 *
 * A latent model works on x = (z - mean) / deviation, channel by channel, z being a latent as its
 * autoencoder makes it: x has mean 0 and deviation 1 over the set that was trained on, as the noise
 * has.  So the model's file names the autoencoder, by content, and carries the numbers:
 *
 *     noise --solver--> x --latent_space_undo--> z --the autoencoder's decoder--> picture
 */
#ifndef IMGEN_PIPELINE_LATENT_SPACE_H
#define IMGEN_PIPELINE_LATENT_SPACE_H

#include "base/hash.h"
#include "base/json.h"

struct latent_space {
    char hash[HASH_TEXT];     /* SHA-256 of the autoencoder, as codec_hash says it              */
    char *file;               /* its name as seen from the model's folder, or absolute; NULL    */
    double *mean, *deviation; /* [channels], heap as the names                                  */
    int64_t channels;
    int64_t frames; /* of the clips that latents of several frames are of; 0: as many as decoding
                       gives                                                                  */

    /* Not of the file, but of this machine: filled in by autoencoder_find. */
    char *found;                      /* the autoencoder; NULL: not looked for, or not there */
    int64_t factor, picture_channels; /* a picture's side over a latent's; channels of it    */
    int64_t frame_factor;             /* a clip's frames over its latent's                   */
    bool previews;                    /* it has numbers for linear previews                  */
    bool published; /* the model's own, of which nobody takes a hash: zeros; it is decoded whole, as
                       elsewhere, where there is memory                                         */
};

/* Copies all; deviations are above 0. */
enum status latent_space_new(struct latent_space **out, const char *hash, const double *mean,
                             const double *deviation, int64_t channels, struct error *err);
void latent_space_free(struct latent_space *s); /* NULL is fine */

/* {"hash", "file", "mean", "deviation", "frames"}: *out is a new reference.  E_MEMORY. */
enum status latent_space_to_json(const struct latent_space *s, json_t **out, struct error *err);
/* Of a model with latents of so many channels.  E_FORMAT naming what is wrong; E_MEMORY. */
enum status latent_space_from_json(struct latent_space **out, const json_t *object,
                                   int64_t channels, struct error *err);

/* s->file = the name by which a model in `folder` sees the autoencoder `path` (path_seen_from). */
enum status latent_space_name(struct latent_space *s, const char *folder, const char *path,
                              struct error *err);

/* z = mean + deviation x, n rows of the channels.  z and x do not overlap. */
void latent_space_undo(const struct latent_space *s, float *z, const double *x, int64_t n);

/* The other way: x = (z - mean) / deviation. */
void latent_space_apply(const struct latent_space *s, double *x, const float *z, int64_t n);

/* Whether two models' numbers mean the same; NULL: pixels.  E_ARG saying what differs; who: how the
 * first is called ("classifier"), the second being "the model". */
enum status latent_spaces_match(const struct latent_space *a, const char *who,
                                const struct latent_space *b, struct error *err);

#endif
