/*
 * tae.h - configuration of the tiny autoencoder (tae.c), and published files of it
 */
#ifndef IMGEN_MODEL_TAE_H
#define IMGEN_MODEL_TAE_H

#include "io/weights.h"
#include "model/autoencoder.h"

struct tae_config {
    int64_t size, channels;  /* pictures [size, size, channels] as trained on; others do as well */
    int64_t latent_channels; /* of a latent                                                      */
    int64_t width;           /* channels of everything between                                   */
    int64_t levels;          /* halvings                                                         */
    int64_t blocks;          /* a level                                                          */
    bool pool;               /* blocks at the coarsest level see the whole picture               */
    int halves;              /* enum autoencoder_halves                                          */
    struct real_list scale, shift;
    struct real_list preview; /* a linear decoder, or none: latents_preview                       */
};

extern const struct network_kind network_tae;

/* Build the network of published files, one for each half, and load them; NULL for the half that
 * is not wanted, not for both.  Sizes come from the shapes of their tensors; the latents are those
 * of the autoencoder it was distilled from, and how a generator sees them is that one's affair.
 * E_FORMAT, E_ARG: not such files, or halves that do not fit; E_MEMORY. */
enum status tae_open_published(struct network **out, const struct weights *encoder,
                               const struct weights *decoder, struct error *err);

#endif
