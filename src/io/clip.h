/*
 * clip.h - clips in files: animated WebP, APNG, GIF and Y4M in, WebP, APNG, Y4M and single frames
 * out; MP4 and WebM in and out where the plugin for video is installed
 *
 * A clip is pictures of one size, one after the other, evenly in time.  A picture is a clip of one
 * frame.
 */
#ifndef IMGEN_IO_CLIP_H
#define IMGEN_IO_CLIP_H

#include "io/image.h"

#include <stdbool.h>

enum {
    CLIP_FRAMES = 1 << 16,      /* clips of more frames are refused ...                    */
    CLIP_PIXELS = IMAGE_PIXELS, /* ... and so are those of more pixels in all their frames */
    CLIP_RATE = 8,              /* frames a second, when nobody says                       */
    CLIP_LOSSLESS = 100,
};

/* pixels [frames, height, width, channels], 8 bits, channels as those of struct image. */
struct clip {
    int64_t frames, height, width, channels;
    double rate; /* frames a second; the mean where some stay longer; 0: the file does not say */
    uint8_t *pixels; /* heap, freed by clip_release */
    int64_t room;    /* bytes of pixels */
    const struct image_text
        *texts;      /* to be written where the format holds any: APNG, single frames */
    int64_t n_texts; /* ... the caller's, and none of a clip that was read           */
};

/* An empty clip.  E_FORMAT for sizes that image_init refuses. */
enum status clip_begin(struct clip *c, int64_t height, int64_t width, int64_t channels,
                       struct error *err);
/* Append a frame, pixels [height, width, channels].  E_FORMAT past the limits above; E_MEMORY. */
enum status clip_add(struct clip *c, const uint8_t *pixels, struct error *err);
void clip_release(struct clip *c); /* zeroes it; fine on a zeroed one */

/* Frame t as a picture; its pixels stay the clip's. */
struct image clip_frame(const struct clip *c, int64_t t);
/* The picture's pixels become a clip of one frame; the picture is zeroed. */
struct clip clip_of_image(struct image *im);

/* The first `most` frames, 0: all; fewer when the file has fewer, and never none.  Format by
 * content: animated WebP, APNG, GIF, Y4M (8 bits, progressive), MP4 and WebM (by a plugin), else a
 * picture, which is one frame.
 * Parts of frames are laid over what stood before as the formats say; alpha is kept where there is
 * any.  E_IO, E_FORMAT (truncated, too large, hostile, no frames), E_UNSUPPORTED, E_MEMORY. */
enum status clip_read(struct clip *out, const char *path, int64_t most, struct error *err);
enum status clip_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                        const char *name, struct error *err);
/* Whether a file's name ends as those of the formats of clips: .webp .png .apng .gif .y4m
 * .mp4 .m4v .webm. */
bool clip_named(const char *name);
/* The same of those that are written. */
bool clip_writable(const char *name);
/* Whether clip_write could write a file of this name here: E_ARG for the name of none;
 * E_UNSUPPORTED where what writes the format is not installed, saying what it is. */
enum status clip_check_name(const char *path, struct error *err);

/* Format by the name's ending: .webp (quality 1 .. CLIP_LOSSLESS), .png or .apng (exact), .y4m
 * (4:4:4, to one or two grey levels; no alpha), .mp4, .m4v or .webm (compressed; no alpha).  They
 * repeat without end, where the format can say so.  Atomically; equal clips give equal bytes.
 * E_ARG; E_IO; E_MEMORY. */
enum status clip_write(const char *path, const struct clip *c, int quality, struct error *err);
/* Every frame as a PNG of its own: "<folder>/00000.png", ...; the folder is made when it is
 * missing.
 */
enum status clip_write_frames(const char *folder, const struct clip *c, struct error *err);

#endif
