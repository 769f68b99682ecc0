/*
 * codec_clip.h - clips as files hold them, to latents as files hold them, and back
 */
#ifndef IMGEN_PIPELINE_CODEC_CLIP_H
#define IMGEN_PIPELINE_CODEC_CLIP_H

#include "data/picture_latent.h"
#include "io/clip.h"
#include "pipeline/codec.h"

/* The latent of a clip of any size and any number of frames, as codec_encode_picture of pictures:
 * of an autoencoder of pictures every frame has one.  z->picture is the caller's to fill in.
 * Release z also after a failure.  Fails as codec_encode_videos; E_NOT_FINITE. */
enum status codec_encode_clip(struct picture_latent *z, struct codec *c, const struct clip *clip,
                              const struct codec_limits *l, struct error *err);

/* The clip of a latent, z->frames > 0, in the size and with as many frames as it had.  E_FORMAT
 * when its cells are not those of such a clip; E_NOT_FINITE; fails as codec_decode_videos. Released
 * by the caller. */
enum status codec_decode_clip(struct clip *out, struct codec *c, const struct picture_latent *z,
                              const struct codec_limits *l, struct error *err);

#endif
