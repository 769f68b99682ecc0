/*
 * vae_parts.h - what convolutional autoencoders are made of: sizes, and halves as chains of steps
 *
 * For vae.c.  Without layers along time (vae_time.h) a half maps pictures [N, H, W, C], with them
 * videos [N, T, H, W, C].
 */
#ifndef IMGEN_MODEL_VAE_PARTS_H
#define IMGEN_MODEL_VAE_PARTS_H

#include "model/vae.h"
#include "model/vae_time.h"

enum { VAE_LEVELS_MAX = 8 };

/* --- sizes --------------------------------------------------------------------------------------
 */

int64_t vae_inner_channels(const struct vae_config *c);
int64_t vae_moments(const struct vae_config *c); /* channels of the code for each of the latent */
bool vae_has_encoder(const struct vae_config *c);
bool vae_has_decoder(const struct vae_config *c);
/* May be asked before the configuration is checked. */
int64_t vae_factor(const struct vae_config *c);

/* Refuse what cannot be built (E_ARG); `kind` names the network in the message. */
enum status vae_check_sizes(const char *kind, const struct vae_config *c, struct error *err);

/* --- layers -------------------------------------------------------------------------------------
 */

/* A convolution of each picture, and along time behind it where there is time. */
struct vae_conv {
    struct conv space;
    struct time_conv time;
};

struct vae_block {
    struct group_norm norm1, norm2;
    struct vae_conv conv1, conv2, skip;
    bool has_skip;
};

struct vae_attention {
    struct group_norm norm;
    struct linear q, k, v, out;
    struct time_attention time; /* of videos */
};

/* One step of a half: a module of public files. */
struct vae_step {
    char name[40]; /* "encoder.down.0.block.1" */
    enum { VAE_BLOCK, VAE_ATTENTION, VAE_DOWN, VAE_UP } kind;
    union {
        struct vae_block block;
        struct vae_attention attention;
        struct vae_conv conv;
    };
};

struct vae_half {
    const char *name; /* "encoder" or "decoder" */
    struct vae_conv first, last;
    struct group_norm norm;
    struct vae_step *step; /* [n] */
    int n;
};

/* A linear layer over pixels, a 1 x 1 convolution in files. */
void vae_pixels_declare(struct linear *l, struct scope s, int64_t in, int64_t out);

/* How many steps a half has at most: room that its declaration wants at h->step. */
size_t vae_steps_most(const struct vae_config *c);
/* "encoder", "decoder" under s. */
void vae_encoder_declare(struct vae_half *h, const struct vae_form *form, struct scope s);
void vae_decoder_declare(struct vae_half *h, const struct vae_form *form, struct scope s);

/* Step 0 .. n + 1, where the first convolution is 0 and the last norm and convolution are n + 1.
 * norms: as of struct autoencoder_steps, of pictures; NULL for videos. */
struct tensor *vae_half_step(struct graph *g, const struct network *net, const struct vae_half *h,
                             int i, struct tensor *x, struct norm_parts *norms);
int64_t vae_half_reach(const struct vae_half *h, int i);

#endif
