/*
 * codec_picture.h - pictures as files hold them, to latents as files hold them, and back
 */
#ifndef IMGEN_PIPELINE_CODEC_PICTURE_H
#define IMGEN_PIPELINE_CODEC_PICTURE_H

#include "data/picture_latent.h"
#include "io/image.h"
#include "pipeline/codec.h"

/* The latent of a picture of any size, alpha laid over white, grey and colour as the autoencoder
 * wants them.  Where l asks for a sample it is drawn by its seed and the picture's pixels, whatever
 * l->first: the same picture gives the same latent in every folder.  z->picture is the caller's to
 * fill in.  Release z also after a failure.  Fails as codec_encode; E_NOT_FINITE. */
enum status codec_encode_picture(struct picture_latent *z, struct codec *c, const struct image *im,
                                 const struct codec_limits *l, struct error *err);

/* E_NOT_FINITE, with its number, for the first of n that is none. */
enum status codec_check_finite(const float *z, int64_t n, struct error *err);

/* E_FORMAT, with both hashes, when the latent says that another autoencoder made it. */
enum status codec_check_latent(const struct codec *c, const struct picture_latent *z,
                               struct error *err);

/* The picture of a latent, in the size that it had, or as large as the latent where that is not
 * said.  Whose latent it is, is not asked.  E_FORMAT when its cells are not those of a picture of
 * that size; E_NOT_FINITE; fails as codec_decode. */
enum status codec_decode_picture(struct image *out, struct codec *c, const struct picture_latent *z,
                                 const struct codec_limits *l, struct error *err);

#endif
