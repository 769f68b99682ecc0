/*
 * latent_decoder.h - the one place where latents become pictures, and pictures latents
 *
 * Whoever samples a latent model gets pictures and need not know: viewer.c asks here.
 */
#ifndef IMGEN_PIPELINE_LATENT_DECODER_H
#define IMGEN_PIPELINE_LATENT_DECODER_H

#include "pipeline/codec.h"
#include "pipeline/latent_space.h"

/* Find the autoencoder, and with it s->found and what follows there: `named`, or, where that is
 * NULL, s->file as seen from `folder` (NULL: the current one), that file's last name in the folder,
 * and whatever autoencoder stands there in a .safetensors file.  Only one of the hash counts.  E_IO
 * saying which hash was looked for, and where; E_FORMAT when a named one is none, or another, with
 * both hashes; E_MEMORY.  A failure leaves nothing found. */
enum status autoencoder_find(struct latent_space *s, const char *folder, const char *named,
                             struct error *err);

struct latent_decoder;

struct latent_decoder_how {
    int64_t height, width; /* of the latents                                              */
    int64_t frames;        /* of them, and of the clips they are of: 0 and 1 of pictures  */
    int64_t clip_frames;
    /* A tiny autoencoder of the same latents, as generators see them (scaled by the large one's own
     * numbers), for previews; NULL: those are linear. */
    const char *tiny;
    int threads;
};

/* s was found, and must outlive it.  E_ARG: the tiny one has latents or pictures of other channels;
 * what codec_open says. */
enum status latent_decoder_open(struct latent_decoder **out, const struct latent_space *s,
                                const struct latent_decoder_how *how, struct error *err);
void latent_decoder_close(struct latent_decoder *d); /* NULL is fine */

/* x, n latents as the model's solver left them, to pictures [n, factor height, factor width,
 * picture_channels], not clamped.  A picture's bits are a function of its own latent, the space and
 * the autoencoder.  watch: asked between the operations of the network, with the share of all
 * that is done; false stops with E_CANCELLED; may be NULL. */
enum status latent_decode(struct latent_decoder *d, float *pictures, const double *x, int64_t n,
                          graph_watch *watch, void *user, struct error *err);
/* What that takes besides x and pictures, in bytes. */
enum status latent_decoder_bytes(struct latent_decoder *d, int64_t *bytes, int64_t n,
                                 struct error *err);

/* The other way: x [height / factor, width / factor, channels] = the latent of one picture of -1 to
 * 1, as the model's solver knows it, by the posterior's mean; with frames, x [cells, ...] that of a
 * clip of so many (codec_frames); 0: a picture.  s was found, and its autoencoder has an encoder:
 * else what codec_open says.  watch: as above. */
enum status latent_encode(const struct latent_space *s, double *x, const float *pixels,
                          int64_t frames, int64_t height, int64_t width, int threads,
                          graph_watch *watch, void *user, struct error *err);

/* Rough pictures: by the tiny autoencoder, or by the large one's linear numbers, a pixel a latent.
 * The side of such a picture over the latent's; 0: there are no numbers, and no previews. */
int64_t latent_preview_factor(const struct latent_decoder *d);
enum status latent_preview(struct latent_decoder *d, float *pictures, const double *x, int64_t n,
                           struct error *err);

#endif
