/*
 * clip_codec.h - what the formats of clips give to clip.c, and what they share
 */
#ifndef IMGEN_IO_CLIP_CODEC_H
#define IMGEN_IO_CLIP_CODEC_H

#include "io/clip.h"
#include "io/codec.h"

bool webp_is_clip(const uint8_t *bytes, size_t n);
bool apng_is(const uint8_t *bytes, size_t n);
bool gif_is(const uint8_t *bytes, size_t n);
bool y4m_is(const uint8_t *bytes, size_t n);
bool mp4_is(const uint8_t *bytes, size_t n);
bool webm_is(const uint8_t *bytes, size_t n);

/* bytes are of the format; at most `most` frames, which is positive.  *out is zeroed by the caller,
 * who releases it after a failure too. */
enum status webp_clip_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                             struct error *err);
enum status apng_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                        struct error *err);
enum status gif_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                       struct error *err);
enum status y4m_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                       struct error *err);

/* E_UNSUPPORTED where the plugin for video is not there: video.c. */
enum status mp4_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                       struct error *err);
enum status webm_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                        struct error *err);

/* c has frames and a rate; quality is within its range. */
enum status webp_clip_encode(struct byte_buffer *out, const struct clip *c, int quality,
                             struct error *err);
enum status apng_encode(struct byte_buffer *out, const struct clip *c, int quality,
                        struct error *err);
enum status y4m_encode(struct byte_buffer *out, const struct clip *c, int quality,
                       struct error *err);
enum status mp4_encode(struct byte_buffer *out, const struct clip *c, int quality,
                       struct error *err);
enum status webm_encode(struct byte_buffer *out, const struct clip *c, int quality,
                        struct error *err);
/* Whether the plugin is there; E_UNSUPPORTED says what to install. */
enum status video_check(struct error *err);

/* When frame t begins, in units of which there are `units` a second, counted from the first. */
int64_t clip_time(const struct clip *c, int64_t t, int64_t units);

/* ---- Frames that are drawn over one another: canvas.c ---- */

struct canvas {
    int64_t height, width;
    uint8_t *pixels; /* [height, width, 4], transparent to begin with; heap */
    uint8_t *before; /* what to go back to; heap                            */
};

enum canvas_after { CANVAS_KEEP, CANVAS_CLEAR, CANVAS_RESTORE };

/* The part of the canvas that a frame changes, and what becomes of it afterwards. */
struct canvas_area {
    int64_t x, y, height, width;
    bool over; /* by its alpha over what is there; else in its place */
    enum canvas_after after;
};

enum status canvas_init(struct canvas *c, int64_t height, int64_t width, struct error *err);
void canvas_release(struct canvas *c);
/* E_FORMAT for an area that is empty or not within the canvas. */
enum status canvas_check(const struct canvas *c, const struct canvas_area *a, struct error *err);
/* Draw the pixels, [a->height, a->width, 4], append the whole canvas to the clip, and do what comes
 * after. */
enum status canvas_show(struct canvas *c, struct clip *to, const uint8_t *pixels,
                        const struct canvas_area *a, struct error *err);

#endif
