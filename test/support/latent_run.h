/*
 * latent_run.h - a folder with a run in it that trained a latent model, and what it takes to look
 * at it
 *
 *     ae/vae.safetensors      an autoencoder of random weights, with a linear preview
 *        other.safetensors    the same network, other weights
 *        blind.safetensors    one without a preview
 *        tae.safetensors      a tiny one, for previews
 *     cache/                  the latents of drawn pictures
 *     run/model.safetensors   a small transformer trained on them for three steps
 */
#ifndef IMGEN_TEST_SUPPORT_LATENT_RUN_H
#define IMGEN_TEST_SUPPORT_LATENT_RUN_H

#include "imgen.h"
#include "pipeline/codec.h"

/* Pictures of 16 x 16 x 3, latents of 8 x 8 x 4. */
enum {
    PICTURE_SIDE = 16,
    PICTURE_LENGTH = PICTURE_SIDE * PICTURE_SIDE * 3,
    LATENT_SIDE = 8,
    LATENT_CHANNELS = 4,
    LATENT_LENGTH = LATENT_SIDE * LATENT_SIDE * LATENT_CHANNELS,
    PICTURES = 80
};

/* The description of the autoencoder, and the weights of its preview: a row for each latent
 * channel, and offsets. */
extern const char latent_run_vae[];
extern const double latent_run_preview[(LATENT_CHANNELS + 1) * 3];
/* The configuration of the run, whose paths are of the folder. */
extern const char latent_run_config[];

/* Set-up and tear-down of a group of tests that run inside the folder. */
int latent_run_set_up(void **state);
int latent_run_tear_down(void **state);

/* An autoencoder of the folder, both halves, one thread; codec_free. */
struct codec *latent_run_codec(const char *path);
/* A model as a stranger's program sees it, of latents of that shape; imgen_model_close.  And one
 * picture of it, which nobody looks at. */
struct imgen_model *latent_run_open(const char *path, struct imgen_model_info *info);
enum imgen_status latent_run_sample(struct imgen_model *m, struct imgen_error *err);

#endif
