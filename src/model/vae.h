/*
 * vae.h - configuration of the convolutional autoencoders (vae.c), and published files of them
 */
#ifndef IMGEN_MODEL_VAE_H
#define IMGEN_MODEL_VAE_H

#include "io/weights.h"
#include "model/autoencoder.h"

enum { VAE_BLOCKS_MAX = 16 }; /* residual blocks a level */

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

/* --- for kinds of the same layers: video_vae.c -------------------------------------------------
 */

/* Pictures, or videos: then halvings is how many of the changes of size, from the picture on,
 * change time as well, and log_variance what the posterior's begins with. */
struct vae_form {
    const struct vae_config *space;
    bool videos;
    int64_t halvings;
    double log_variance;
};

/* A kind's layers and functions, where its configuration begins with a struct vae_config. */
void *vae_declare_form(const struct vae_form *form, struct scope s);
void vae_io(const void *config, struct network_io *io);
enum status vae_check_form(const char *kind, const struct vae_config *c, struct error *err);
struct tensor *vae_encode(struct graph *g, const struct network *net, struct tensor *x);
struct tensor *vae_decode(struct graph *g, const struct network *net, struct tensor *z);
/* The weight of the convolution along time where there is one. */
const struct param *vae_last(const struct network *net);

/* Rows of options over such a configuration. */
/* clang-format off */
#define VAE_SIZE_OPTIONS                                                                          \
    {"size", "height and width of the pictures it is trained on", OPTION_INT,                     \
     offsetof(struct vae_config, size), "256", .lo = 1, .hi = 4096},                              \
    {"channels", "channels of the pictures", OPTION_INT, offsetof(struct vae_config, channels),   \
     "3", .lo = 1, .hi = 256},                                                                    \
    {"latent_channels", "channels of the latents", OPTION_INT,                                    \
     offsetof(struct vae_config, latent_channels), "4", .lo = 1, .hi = 1024},                     \
    {"inner_channels", "what the 1 x 1 convolutions make them of; 0: as many", OPTION_INT,        \
     offsetof(struct vae_config, inner_channels), "0", .lo = 0, .hi = 1024},                      \
    {"width", "channels of the first level", OPTION_INT, offsetof(struct vae_config, width),      \
     "128", .lo = 1, .hi = 4096},                                                                 \
    {"mult", "channels of each level over the width", OPTION_REALS,                               \
     offsetof(struct vae_config, mult), "1,2,4,4", .lo = 1e-4, .hi = 4096},                       \
    {"blocks", "residual blocks a level; the decoder has one more", OPTION_INT,                   \
     offsetof(struct vae_config, blocks), "2", .lo = 1, .hi = VAE_BLOCKS_MAX},                    \
    {"attention", "reductions (1, 2, 4, ...) at which to attend", OPTION_INTS,                    \
     offsetof(struct vae_config, attention), .lo = 1, .hi = 128},                                 \
    {"middle_attention", "attend in the middle", OPTION_BOOL,                                     \
     offsetof(struct vae_config, middle_attention), .fallback = "true"},                          \
    {"groups", "groups of the norms", OPTION_INT, offsetof(struct vae_config, groups), "32",      \
     .lo = 1, .hi = 1024},                                                                        \
    {"quant_conv", "a 1 x 1 convolution behind the encoder", OPTION_BOOL,                         \
     offsetof(struct vae_config, quant_conv), .fallback = "false"},                               \
    {"post_quant_conv", "a 1 x 1 convolution before the decoder", OPTION_BOOL,                    \
     offsetof(struct vae_config, post_quant_conv), .fallback = "false"}
#define VAE_LATENT_OPTIONS                                                                        \
    {"halves", "which half there is", OPTION_CHOICE, offsetof(struct vae_config, halves), "both", \
     .choices = autoencoder_halves_names},                                                        \
    {"scale", "of the latents a generator sees, (z - shift) scale; or one number a channel",      \
     OPTION_REALS, offsetof(struct vae_config, scale), "1", .lo = 1e-6, .hi = 1e6},               \
    {"shift", "of the same", OPTION_REALS, offsetof(struct vae_config, shift), "0", .lo = -1e6,   \
     .hi = 1e6},                                                                                  \
    {"preview",                                                                                   \
     "a linear decoder: each latent channel's weight in each picture channel, and offsets",       \
     OPTION_REALS, offsetof(struct vae_config, preview), .lo = -1e6, .hi = 1e6}
/* clang-format on */

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
