/*
 * api.h - what the files behind include/imgen.h share
 */
#ifndef IMGEN_API_API_H
#define IMGEN_API_API_H

#include "base/error.h"
#include "imgen.h"
#include "io/clip.h"
#include "pipeline/model.h"
#include "pipeline/parts.h"
#include "pipeline/repaint.h"
#include "train/experiment.h"

/* An adapter that was applied. */
struct api_lora {
    char *path;
    char hash[65];
    double weight;
};

/* Seconds between two calls of a callback while a network runs. */
#define API_CALLBACK_SECONDS 0.1

struct imgen_model {
    struct model *model;
    struct api_lora lora[IMGEN_LORAS];
    int n_loras;
    struct model_parts parts; /* found when it is opened, hashed when that is asked for */
    char *path;
    char hash[65];        /* empty until asked for                          */
    struct error missing; /* of latents: why their autoencoder was not found */
};

struct imgen_data {
    struct dataset *set;
};

/* Pictures of the two worlds; pixels stay where they are. */
struct image api_image(const struct imgen_image *im);
void api_image_out(struct imgen_image *out, const struct image *im);

/* E_ARG, naming `what`, for what is no picture. */
enum status api_image_check(const struct imgen_image *im, const char *what, struct error *err);

/* Clips likewise. */
struct clip api_clip(const struct imgen_clip *c);
void api_clip_out(struct imgen_clip *out, const struct clip *c);

/* The picture and the mask of a request as the model wants them. */
struct api_repaint {
    struct repaint_request request; /* of the arrays below */
    float *picture, *mask;
};
/* Nothing where the request has no picture, or the model is told of it beforehand.  E_ARG: a mask
 * of another size, or without a picture, or pictures that are none; E_MEMORY.  Release also after a
 * failure. */
enum status api_repaint_init(struct api_repaint *p, const struct imgen_request *r,
                             const struct model *m, struct error *err);
void api_repaint_release(struct api_repaint *p);

/* *out (heap): what a model is told beforehand, as condition_given has it; NULL where that is
 * nothing.  E_ARG: a mask beside it, a clip for a model that is told of none, one that is no
 * picture or of another size than the model makes larger, with the numbers; E_MEMORY. */
enum status api_given_init(uint8_t **out, const struct imgen_request *r, const struct model *m,
                           struct error *err);

/* Hand an inner failure out: copies status and sentence; err may be NULL. Returns st. */
enum imgen_status api_status(struct imgen_error *err, const struct error *e, enum status st);

/* threads, or one per processor when 0. */
int api_threads(int threads);

/* Read the configuration that a training or data request names. Release e also after a failure. */
enum status api_experiment(struct experiment *e, const struct imgen_training *t, struct error *err);

#endif
