/*
 * condition.h - what a network is told of a clip beforehand: its first frame, or all of it, smaller
 *
 * A network whose io.first_frame or io.upscale is set has a condition that is made of pixels:
 *
 *     io.first_frame   [first frame | 1] at the first frame, 0 at all others; all 0: it is not told
 *     io.upscale       the clip, made smaller by that factor and brought back to its size
 *
 * in the model's own numbers, so that of a model of latents it is latents: of a first frame those
 * of a picture, which know nothing of what comes next.
 */
#ifndef IMGEN_PIPELINE_CONDITION_H
#define IMGEN_PIPELINE_CONDITION_H

#include "pipeline/viewer.h"

struct condition_kind {
    bool first_frame;
    int64_t upscale; /* or 0 */
};
struct condition_kind condition_kind_of(const struct network_io *io);
bool condition_is_made(struct condition_kind k);
/* For messages and names of folders: "first-frame", "upscale-2". */
enum { CONDITION_NAME = 32 };
const char *condition_name(char out[CONDITION_NAME], struct condition_kind k);

/* Numbers of the condition of one clip of the network, and of what it is made of: a first frame
 * [height, width, channels] or a whole clip [frames, height, width, channels] of io's. */
int64_t condition_length(const struct network *net);
int64_t condition_source(const struct network *net);
/* out [condition_length] from source [condition_source], the model's numbers; NULL: not told. */
void condition_fill(float *out, const struct network *net, const float *source);

/* What a request gives, in 8 bits: a first frame [height, width, channels] of the model's pictures,
 * or a clip [frames, height / upscale, width / upscale, channels]. */
int64_t condition_given(const struct model *m);
/* out [condition_length] of that.  A model of latents needs its autoencoder's encoder: what
 * codec_open says; E_CANCELLED; E_MEMORY.  watch: latent_encode's. */
enum status condition_read(float *out, const struct model *m, const uint8_t *given, int threads,
                           graph_watch *watch, void *user, struct error *err);

/* A clip of this shape in 8 bits, `times` smaller, which its sides are multiples of: by antialiased
 * bicubic interpolation.  E_MEMORY. */
enum status condition_shrink(uint8_t *small, const uint8_t *clip, const struct view_shape *shape,
                             int64_t times, struct error *err);
/* A clip of this shape from one so many times smaller, by bilinear interpolation. */
enum status condition_enlarge(float *clip, const uint8_t *small, const struct view_shape *shape,
                              int64_t times, struct error *err);
/* What training shows of a clip, -1 to 1: smaller, and brought back.  out may be clip.
 * E_NOT_FINITE; E_MEMORY. */
enum status condition_blur(float *out, const float *clip, const struct view_shape *shape,
                           int64_t times, struct error *err);

#endif
