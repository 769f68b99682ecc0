/*
 * vae.h - configuration of the convolutional autoencoders (vae.c), and published files of them
 */
#ifndef IMGEN_MODEL_VAE_H
#define IMGEN_MODEL_VAE_H

#include "io/weights.h"
#include "model/autoencoder.h"

struct vae_config {
    int64_t size, channels;  /* pictures [size, size, channels] as trained on; others do as well */
    int64_t latent_channels; /* of a latent                                                      */
    int64_t inner_channels;  /* between network and 1 x 1 convolutions; 0: latent_channels       */
    int64_t width;           /* channels of the first level                                      */
    struct real_list mult;   /* channels of each level over the width                            */
    int64_t blocks;          /* residual blocks a level of the encoder; the decoder has one more */
    struct int_list attention; /* factors of reduction at which to attend */
    bool middle_attention; /* attend in the middle                                             */
    int64_t groups;        /* of group norm                                                    */
    bool quant_conv;       /* a 1 x 1 convolution behind the encoder ...                       */
    bool post_quant_conv;  /* ... and one before the decoder                                   */
    int64_t codes;         /* 0: Gaussian latents; else a codebook of so many vectors          */
    double beta;           /* weight of the encoder's part of the codebook's loss              */
    int halves;            /* enum autoencoder_halves                                          */
    struct real_list scale, shift;
    struct real_list preview; /* a linear decoder, or none: latents_preview                       */
};

extern const struct network_kind network_vae;

/* The codebook [codes, latent_channels] on this tape; the network has one. */
struct tensor *vae_codebook(struct graph *g, const struct network *net);

/* Build the network of a published file and load it: sizes come from the shapes of its tensors;
 * groups, scale and shift from `config`, the JSON object of the folder layout (vae/config.json) or
 * of the file's metadata "config", or NULL: 32 groups, and the numbers of Stable Diffusion 1 for 4
 * channels and 3 for 16.  Original names, with or without the prefix of single files, and those of
 * the folder layout, both spellings of its attention.  halves: what is wanted of it.
 * E_FORMAT, E_ARG: not such a file, or sizes that cannot be; E_MEMORY. */
enum status vae_open_published(struct network **out, const struct weights *f, const json_t *config,
                               enum autoencoder_halves halves, struct error *err);

#endif
