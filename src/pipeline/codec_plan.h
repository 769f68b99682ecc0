/*
 * codec_plan.h - how pictures go through an autoencoder within a limit of memory
 *
 * For the files of a codec alone; who uses one includes codec.h.
 */
#ifndef IMGEN_PIPELINE_CODEC_PLAN_H
#define IMGEN_PIPELINE_CODEC_PLAN_H

#include "pipeline/codec_half.h"

/* As codec_plan.  code: what an encoder leaves, see struct codec_half.  A search may make
 * primitives several times, and who encodes a picture has often asked what it will take: the last
 * answer is remembered. */
enum status codec_plan_for(struct codec_plan *out, struct codec *c, enum autoencoder_halves half,
                           bool code, int64_t n, int64_t height, int64_t width,
                           const struct codec_limits *l, struct error *err);

/* Whether pictures cut like this go through whole, several at a time. */
bool codec_plan_is_whole(const struct tiling *t);
/* The same work, as strips.h is told of it: half, code, height and width of the question. */
struct strips_task codec_strips(const struct codec *c, const struct codec_question *q);

#endif
