/*
 * video_vae.h - configuration of the temporal autoencoder (video_vae.c), and its beginning from a
 * picture's
 */
#ifndef IMGEN_MODEL_VIDEO_VAE_H
#define IMGEN_MODEL_VIDEO_VAE_H

#include "model/vae.h"

struct video_vae_config {
    struct vae_config space; /* of each frame; no codebook                                */
    int64_t frames;          /* of the videos as trained on; others do as well            */
    int64_t halvings;        /* of time, by the first changes of size                     */
    double log_variance;     /* what the posterior's begins with                          */
};

extern const struct network_kind network_video_vae;

/* Give net what an autoencoder of pictures (of kind "vae") knows: its weights for all that sees a
 * single frame, its scale and shift and preview.  What looks along time stays as it is, which after
 * params_init is as if it were not there.  Parameters may lie in a file.  E_ARG, naming the first
 * parameter that does not fit: the two are of other sizes. */
enum status video_vae_inflate(struct network *net, const struct network *image, struct error *err);

#endif
