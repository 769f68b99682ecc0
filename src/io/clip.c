/*
 * clip.c - clips: memory, files by content, single frames
 *
 * As image.c of pictures, this file knows no format: a table names each with its signature, its
 * endings and its functions.  What no format of clips claims is tried as a picture, so that one
 * frame needs no case of its own anywhere else.
 *
 * Frames of files may stay for different times, and networks see frames that are evenly apart.  The
 * frames are taken as they come and the rate is their mean: no frame is made up or lost.
 *
 * A few bytes can claim many large frames.  Memory grows with the frames that were truly decoded,
 * and the limit is on the pixels of all.
 */
#include "io/clip_codec.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { FILE_BYTES = 1 << 30, ENDINGS = 2 };

static const struct clip_format {
    const char *name, *ending[ENDINGS];
    bool (*is)(const uint8_t *bytes, size_t n);
    enum status (*decode)(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                          struct error *err);
    /* NULL: read only. */
    enum status (*encode)(struct byte_buffer *out, const struct clip *c, int quality,
                          struct error *err);
    /* Whether it can be read and written here; NULL: it can. */
    enum status (*check)(struct error *err);
} formats[] = {
    {"animated WebP", {".webp"}, webp_is_clip, webp_clip_decode, webp_clip_encode, NULL},
    {"APNG", {".png", ".apng"}, apng_is, apng_decode, apng_encode, NULL},
    {"Y4M", {".y4m"}, y4m_is, y4m_decode, y4m_encode, NULL},
    {"GIF", {".gif"}, gif_is, gif_decode, NULL, NULL},
    {"MP4", {".mp4", ".m4v"}, mp4_is, mp4_decode, mp4_encode, video_check},
    {"WebM", {".webm"}, webm_is, webm_decode, webm_encode, video_check},
};

enum { N_FORMATS = sizeof formats / sizeof *formats };

/* ---- Memory ---- */

enum status clip_begin(struct clip *c, int64_t height, int64_t width, int64_t channels,
                       struct error *err)
{
    *c = (struct clip){.height = height, .width = width, .channels = channels};
    MUST(channels >= 1 && channels <= 4, "%" PRId64 " channels", channels);
    return image_check_size(height, width, err);
}

static int64_t frame_bytes(const struct clip *c)
{
    return c->height * c->width * c->channels;
}

enum status clip_add(struct clip *c, const uint8_t *pixels, struct error *err)
{
    int64_t each = frame_bytes(c);
    enum status st;

    if (c->frames >= CLIP_FRAMES || (c->frames + 1) * c->height * c->width > CLIP_PIXELS)
        return fail(err, E_FORMAT,
                    "more than %" PRId64 " frames of %" PRId64 " x %" PRId64 " pixels; %d frames "
                    "and %d pixels in all are allowed",
                    c->frames, c->width, c->height, CLIP_FRAMES, CLIP_PIXELS);
    if ((st = mem_grow((void **)&c->pixels, &c->room, (c->frames + 1) * each, 1, err)))
        return st;
    memcpy(c->pixels + c->frames * each, pixels, (size_t)each);
    c->frames++;
    return OK;
}

void clip_release(struct clip *c)
{
    free(c->pixels);
    *c = (struct clip){0};
}

struct image clip_frame(const struct clip *c, int64_t t)
{
    MUST(t >= 0 && t < c->frames, "frame %" PRId64 " of %" PRId64, t, c->frames);
    return (struct image){c->height, c->width, c->channels, c->pixels + t * frame_bytes(c)};
}

struct clip clip_of_image(struct image *im)
{
    struct clip c = {.frames = 1,
                     .height = im->height,
                     .width = im->width,
                     .channels = im->channels,
                     .pixels = im->pixels};

    c.room = frame_bytes(&c);
    *im = (struct image){0};
    return c;
}

int64_t clip_time(const struct clip *c, int64_t t, int64_t units)
{
    return llrint((double)(t * units) / c->rate);
}

/* ---- Reading ---- */

/* Canvases are transparent to begin with; what ended up opaque everywhere has no use for alpha. */
static void drop_alpha(struct clip *c)
{
    int64_t n = c->frames * c->height * c->width;

    if (c->channels != 4)
        return;
    for (int64_t i = 0; i < n; i++)
        if (c->pixels[i * 4 + 3] != 255)
            return;
    for (int64_t i = 0; i < n; i++)
        memmove(c->pixels + i * 3, c->pixels + i * 4, 3);
    c->channels = 3;
}

enum status clip_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                        const char *name, struct error *err)
{
    struct image im;
    enum status st;
    int i = 0;

    *out = (struct clip){0};
    while (i < N_FORMATS && !formats[i].is(bytes, n))
        i++;
    if (i == N_FORMATS) {
        if (!(st = image_decode(&im, bytes, n, name, err)))
            *out = clip_of_image(&im);
        return st;
    }
    st = formats[i].decode(out, bytes, n, most > 0 ? most : INT64_MAX, err);
    if (!st && !out->frames)
        st = fail(err, E_FORMAT, "no frames");
    if (st) {
        clip_release(out);
        fail_under(err, "%s: %s", name, formats[i].name);
    } else {
        drop_alpha(out);
    }
    return st;
}

enum status clip_read(struct clip *out, const char *path, int64_t most, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n;
    enum status st;

    *out = (struct clip){0};
    if ((st = file_read(&bytes, &n, path, FILE_BYTES, err)))
        return st;
    st = clip_decode(out, bytes, n, most, path, err);
    free(bytes);
    return st;
}

/* ---- Writing ---- */

static const struct clip_format *format_of_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

    for (int i = 0; dot && i < N_FORMATS; i++)
        for (int k = 0; k < ENDINGS && formats[i].ending[k]; k++)
            if (!strcasecmp(dot, formats[i].ending[k]))
                return &formats[i];
    return NULL;
}

bool clip_named(const char *name)
{
    return format_of_name(name) != NULL;
}

bool clip_writable(const char *name)
{
    const struct clip_format *format = format_of_name(name);

    return format && format->encode;
}

enum status clip_check_name(const char *path, struct error *err)
{
    const struct clip_format *format = format_of_name(path);
    enum status st = OK;

    if (!format || !format->encode)
        st = fail(err, E_ARG, "the name of a clip ends in .webp, .png, .apng, .y4m, .mp4 or .webm");
    else if (format->check)
        st = format->check(err);
    if (st)
        fail_under(err, "%s", path);
    return st;
}

static enum status check_clip(const struct clip *c, struct error *err)
{
    if (c->frames < 1)
        return fail(err, E_ARG, "a clip without frames");
    if (!isfinite(c->rate) || c->rate < 0 || (c->rate > 0 && c->rate < 0.01) || c->rate > 1000)
        return fail(err, E_ARG, "%g frames a second; 0.01 to 1000 can be written", c->rate);
    return OK;
}

enum status clip_write(const char *path, const struct clip *c, int quality, struct error *err)
{
    const struct clip_format *format = format_of_name(path);
    struct byte_buffer encoded = {0};
    struct clip even = *c;
    enum status st;

    if ((st = clip_check_name(path, err)))
        return st;
    if (quality < 1 || quality > CLIP_LOSSLESS)
        return fail(err, E_ARG, "%s: quality %d is outside 1..%d", path, quality, CLIP_LOSSLESS);
    if (even.rate == 0)
        even.rate = CLIP_RATE;
    if (!(st = check_clip(c, err)))
        st = format->encode(&encoded, &even, quality, err);
    if (st)
        fail_under(err, "writing %s", path);
    else
        st = file_write(path, encoded.bytes, (uint64_t)encoded.n, err);
    free(encoded.bytes);
    return st;
}

enum status clip_write_frames(const char *folder, const struct clip *c, struct error *err)
{
    size_t room = strlen(folder) + 16;
    char *path = NULL;
    enum status st;

    if (mkdir(folder, 0777) && errno != EEXIST)
        return fail_errno(err, E_IO, "%s: cannot make the folder", folder);
    st = mem_new((void **)&path, room, 1, "a path", err);
    for (int64_t t = 0; t < c->frames && !st; t++) {
        struct image frame = clip_frame(c, t);

        snprintf(path, room, "%s/%05" PRId64 ".png", folder, t);
        st = png_write(path, &frame, c->texts, c->n_texts, err);
    }
    free(path);
    return st;
}
