/*
 * codec_video.h - clips to latents and back, a tile of frames at a time
 *
 * Clips are [n, frames, height, width, channels], their latents [n, cells, rows, columns,
 * latent_channels] with cells = frames / io.frame_factor, rounded up; by an autoencoder of pictures
 * each frame has a latent of its own.  Sides are multiples of the factor.
 */
#ifndef IMGEN_PIPELINE_CODEC_VIDEO_H
#define IMGEN_PIPELINE_CODEC_VIDEO_H

#include "pipeline/codec.h"

struct video_size {
    int64_t frames, height, width;
};

/* Frames of the latent of a clip. */
int64_t codec_frames(const struct codec *c, int64_t frames);

/* As codec_encode and codec_decode.  Tiles have VIDEO_TILE frames, or limits.frames, at least two
 * cells: a clip's bits depend on nothing else but itself.  Neither limits.memory nor limits.tile is
 * looked at: a tile's frames are never cut.  decode gives all frames of a size whose cells the
 * latents have. */
enum { VIDEO_TILE = 32 };
enum status codec_encode_videos(struct codec *c, float *latents, const float *videos, int64_t n,
                                const struct video_size *size, const struct codec_limits *l,
                                struct error *err);
enum status codec_decode_videos(struct codec *c, float *videos, const float *latents, int64_t n,
                                const struct video_size *size, const struct codec_limits *l,
                                struct error *err);
/* The joints of a decoded clip (frame_tiles_joints): joint [frames].  E_ARG as codec_decode_videos.
 */
enum status codec_video_joints(int64_t *joint, int64_t *n, struct codec *c,
                               const struct video_size *size, const struct codec_limits *l,
                               struct error *err);
/* The most that either takes besides its arrays, in bytes. */
enum status codec_videos_bytes(struct codec *c, enum autoencoder_halves half, int64_t *bytes,
                               int64_t n, const struct video_size *size, struct error *err);

#endif
