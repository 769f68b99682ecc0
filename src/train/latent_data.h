/*
 * latent_data.h - what a run learns from: pictures, or latents of them
 */
#ifndef IMGEN_TRAIN_LATENT_DATA_H
#define IMGEN_TRAIN_LATENT_DATA_H

#include "pipeline/condition.h"
#include "train/experiment.h"

/* Of n pictures `done` are encoded; false stops, and what is done is kept. */
typedef bool encoding_progress(int64_t done, int64_t n, void *user);

struct training_data_request {
    const struct experiment *experiment;
    const char
        *autoencoder; /* in the place of data.autoencoder, of a model that has its own; NULL */
    struct condition_kind told; /* what the network is told of each clip, if anything */
    int threads;
    bool writes; /* latents that are not there yet are made; else noise of their shape stands in */
    encoding_progress *progress; /* may be NULL */
    void *user;
};

/* All owned. */
struct training_data {
    struct dataset *set;
    struct dataset *pictures; /* beside clips, of train.image_every; or NULL */
    /* Of latents, those that clips and pictures are told of beforehand, one each; or NULL. */
    struct dataset *known, *pictures_known;
    struct latent_space *space; /* NULL: the set's numbers are pixels */
    bool encoded;               /* of pictures, which the configuration names */
    bool stands_in;             /* the set is noise                           */
};

/* Open what the [data] section names:
 *
 *     format            autoencoder  cache     learned from
 *     of pictures       -            -         the pictures
 *     of pictures       FILE         FOLDER    their latents, in FOLDER, made where they are not
 *     latents           FILE         -         the latents in data.path; FILE must have made them
 *     latents           -            -         the same; nothing can show them
 *
 * Pictures beside clips are those of the same kind (experiment_pictures), and their latents stand
 * in the folder "pictures" of that of the clips'.  What clips are told of beforehand has its
 * latents in a folder of a cache likewise, "first-frame" or "upscale-2" (condition_name).
 *
 * A cache of pictures that may be mirrored holds both, where train.flip is on: a mirrored latent is
 * no latent of the mirrored picture.  E_ARG for other combinations, and pictures of a size that the
 * autoencoder does not take; else what latents_write, dataset_open and codec_open say. */
enum status training_data_open(struct training_data *out, const struct training_data_request *r,
                               struct error *err);
/* From here on the data's numbers are those of a model that is there already: of this space, or,
 * NULL, pixels.  E_ARG where the one are latents and the other pixels; E_FORMAT for latents of
 * another autoencoder.  d->space is gone. */
enum status training_data_as(struct training_data *d, const struct latent_space *s,
                             struct error *err);
void training_data_release(struct training_data *d); /* zeroes it */

/* The set that is never trained on (evaluation_data), in the numbers of the training's space:
 * latents of it stand in the cache's folder "held-out".  *known: what its clips are told, as
 * training_data.known; NULL: nobody asks. */
enum status training_data_held_out(struct dataset **out, struct dataset **known,
                                   const struct latent_space *space, const struct training_data *of,
                                   const struct training_data_request *r, struct error *err);

#endif
