/*
 * encode_set.h - a set of pictures through an autoencoder, into a cache of latents
 */
#ifndef IMGEN_PIPELINE_ENCODE_SET_H
#define IMGEN_PIPELINE_ENCODE_SET_H

#include "data/dataset.h"
#include "pipeline/codec.h"

struct encode_set {
    struct codec *codec;
    const struct dataset *pictures;
    const char *folder;
    bool mirrored; /* every picture twice, as it is and left to right */
    /* first and progress are not looked at: a sample is drawn by the seed and the number of the
     * latent in the cache. */
    struct codec_limits limits;
    bool (*progress)(int64_t done, int64_t n, void *user); /* latents, also between; false stops */
    void *user;
};

/* Frames of the latents of this set; 0: they have none.  By an autoencoder of videos a picture's
 * latent has one. */
int64_t encode_set_frames(const struct codec *c, const struct dataset *d);

/* latents_write by this autoencoder; *encoded: latents that it made, the others were there.  Fails
 * as that and codec_encode do; E_ARG when the pictures have other channels than the autoencoder's.
 */
enum status encode_set(const struct encode_set *s, int64_t *encoded, struct error *err);

#endif
