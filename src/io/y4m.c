/*
 * y4m.c - YUV4MPEG2: frames of raw video behind a line of text
 *
 *     YUV4MPEG2 W32 H32 F8:1 Ip C444\n        sizes, frames a second, progressive, colour sampling
 *     FRAME\n  Y plane  Cb plane  Cr plane    of each frame; the two of 420 and 422 are smaller
 *
 * Every video program reads and writes it, nothing is compressed and nothing is to be guessed but
 * the colours, which the header leaves open: BT.601, of limited range unless XCOLORRANGE=FULL says
 * otherwise, as the mjpegtools that invented the format have it.  Small colour planes are
 * interpolated linearly, from where their samples lie: in the middle of the pixels they stand for,
 * but at the left one of 422, 420mpeg2 and 420paldv.  Written is 4:4:4, since half the colours of
 * 32 pixels a side is too few.
 */
#include "io/clip_codec.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 1024, RATE_UNITS = 1000 };

static const char magic[] = "YUV4MPEG2";

/* How the planes of colour are sampled: one for so many pixels across and down. */
static const struct sampling {
    const char *name;
    int across, down; /* 0: there are none */
    bool left;
} samplings[] = {
    {"420jpeg", 2, 2, false}, {"420mpeg2", 2, 2, true}, {"420paldv", 2, 2, true},
    {"420", 2, 2, false},     {"422", 2, 1, true},      {"444", 1, 1, false},
    {"mono", 0, 0, false},
};

struct y4m {
    int64_t width, height;
    double rate;
    const struct sampling *colours;
    bool full;
    const uint8_t *at, *end;
};

bool y4m_is(const uint8_t *bytes, size_t n)
{
    return n >= sizeof magic && !memcmp(bytes, magic, sizeof magic - 1) &&
           (bytes[sizeof magic - 1] == ' ' || bytes[sizeof magic - 1] == '\n');
}

/* ---- The header ---- */

static enum status read_number(int64_t *out, const char *word, struct error *err)
{
    char *end;
    long long value = strtoll(word + 1, &end, 10);

    if (end == word + 1 || *end || value < 1 || value > IMAGE_SIDE)
        return fail(err, E_FORMAT, "\"%.40s\" is no size of 1 to %d pixels", word, IMAGE_SIDE);
    *out = value;
    return OK;
}

static enum status read_rate(double *out, const char *word, struct error *err)
{
    char *colon, *end;
    long long top = strtoll(word + 1, &colon, 10), bottom;

    if (colon == word + 1 || *colon != ':')
        return fail(err, E_FORMAT, "\"%.40s\" is no rate, as F8:1 is", word);
    bottom = strtoll(colon + 1, &end, 10);
    if (end == colon + 1 || *end || top < 0 || bottom < 0 || top > INT32_MAX || bottom > INT32_MAX)
        return fail(err, E_FORMAT, "\"%.40s\" is no rate, as F8:1 is", word);
    *out = top && bottom ? (double)top / (double)bottom : 0;
    return OK;
}

static enum status read_sampling(const struct sampling **out, const char *word, struct error *err)
{
    for (size_t i = 0; i < sizeof samplings / sizeof *samplings; i++)
        if (!strcmp(word + 1, samplings[i].name)) {
            *out = &samplings[i];
            return OK;
        }
    return fail(err, E_UNSUPPORTED,
                "colours of \"%.40s\"; 420, 420jpeg, 420mpeg2, 420paldv, 422, 444 and mono of 8 "
                "bits can be read",
                word);
}

static enum status read_word(struct y4m *y, const char *word, struct error *err)
{
    switch (word[0]) {
    case 'W':
        return read_number(&y->width, word, err);
    case 'H':
        return read_number(&y->height, word, err);
    case 'F':
        return read_rate(&y->rate, word, err);
    case 'C':
        return read_sampling(&y->colours, word, err);
    case 'I':
        if (strcmp(word, "Ip") != 0 && strcmp(word, "I?") != 0)
            return fail(err, E_UNSUPPORTED, "interlaced frames (%.40s)", word);
        return OK;
    case 'X':
        y->full = y->full || !strcmp(word, "XCOLORRANGE=FULL");
        return OK;
    default:
        return OK; /* the aspect of a pixel, and what others may have added */
    }
}

static enum status read_head(struct y4m *y, const uint8_t *bytes, size_t n, struct error *err)
{
    const uint8_t *stop = memchr(bytes, '\n', n < HEAD ? n : HEAD);
    char line[HEAD + 1], *word, *rest = NULL;
    enum status st;

    *y = (struct y4m){.colours = &samplings[0], .end = bytes + n};
    if (!stop)
        return fail(err, E_FORMAT, "the first line does not end within %d bytes", HEAD);
    memcpy(line, bytes, (size_t)(stop - bytes));
    line[stop - bytes] = 0;
    y->at = stop + 1;
    for (word = strtok_r(line + sizeof magic - 1, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest))
        if ((st = read_word(y, word, err)))
            return st;
    if (!y->width || !y->height)
        return fail(err, E_FORMAT, "the first line names no size (W and H)");
    return image_check_size(y->height, y->width, err);
}

/* ---- Colours ---- */

static uint8_t clamp(double v)
{
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)lrint(v);
}

/* y, cb and cr as they are stored. */
static void to_rgb(uint8_t rgb[3], double y, double cb, double cr, bool full)
{
    double l = full ? y : (y - 16) * 255 / 219, scale = full ? 1 : 255.0 / 224;
    double b = (cb - 128) * scale, r = (cr - 128) * scale;

    rgb[0] = clamp(l + 1.402 * r);
    rgb[1] = clamp(l - 0.344136 * b - 0.714136 * r);
    rgb[2] = clamp(l + 1.772 * b);
}

/* Of limited range. */
static void from_rgb(uint8_t out[3], const uint8_t rgb[3])
{
    double r = rgb[0], g = rgb[1], b = rgb[2], y = 0.299 * r + 0.587 * g + 0.114 * b;

    out[0] = clamp(16 + y * 219 / 255);
    out[1] = clamp(128 + (b - y) / 1.772 * 224 / 255);
    out[2] = clamp(128 + (r - y) / 1.402 * 224 / 255);
}

/* Between which two of n samples, one for `each` pixels, pixel i lies, and how far towards the
 * second. */
struct between {
    int64_t a, b;
    double share;
};

static struct between sample_at(int64_t i, int64_t n, int each, bool left)
{
    double at = left ? (double)i / each : ((double)i + 0.5) / each - 0.5;
    struct between s = {(int64_t)floor(at), 0, at - floor(at)};

    s.b = s.a + 1 > n - 1 ? n - 1 : s.a + 1;
    s.a = s.a < 0 ? 0 : s.a;
    return s;
}

static double sample(const uint8_t *plane, int64_t width, struct between v, struct between h)
{
    const uint8_t *top = plane + v.a * width, *bottom = plane + v.b * width;
    double upper = top[h.a] + h.share * (top[h.b] - top[h.a]);
    double lower = bottom[h.a] + h.share * (bottom[h.b] - bottom[h.a]);

    return upper + v.share * (lower - upper);
}

static void colour_frame(uint8_t *out, const struct y4m *y, const uint8_t *planes, int64_t across,
                         int64_t down)
{
    const uint8_t *cb = planes + y->width * y->height, *cr = cb + across * down;

    for (int64_t i = 0; i < y->height; i++)
        for (int64_t j = 0; j < y->width; j++) {
            struct between v = sample_at(i, down, y->colours->down, false);
            struct between h = sample_at(j, across, y->colours->across, y->colours->left);

            to_rgb(out + (i * y->width + j) * 3, planes[i * y->width + j], sample(cb, across, v, h),
                   sample(cr, across, v, h), y->full);
        }
}

static void grey_frame(uint8_t *out, const struct y4m *y, const uint8_t *plane)
{
    for (int64_t i = 0; i < y->height * y->width; i++) {
        uint8_t rgb[3];

        to_rgb(rgb, plane[i], 128, 128, y->full);
        out[i] = rgb[0];
    }
}

/* ---- Frames ---- */

/* The line before a frame; its words say nothing that is needed. */
static enum status skip_line(struct y4m *y, int64_t t, struct error *err)
{
    size_t left = (size_t)(y->end - y->at);
    const uint8_t *stop = memchr(y->at, '\n', left < HEAD ? left : HEAD);

    if (!stop || stop - y->at < 5 || memcmp(y->at, "FRAME", 5) != 0 ||
        (y->at[5] != '\n' && y->at[5] != ' '))
        return fail(err, E_FORMAT, "frame %" PRId64 " does not begin with a line FRAME", t);
    y->at = stop + 1;
    return OK;
}

static enum status read_frame(struct clip *out, struct y4m *y, uint8_t *pixels, struct error *err)
{
    const struct sampling *s = y->colours;
    int64_t across = s->across ? (y->width + s->across - 1) / s->across : 0;
    int64_t down = s->down ? (y->height + s->down - 1) / s->down : 0;
    int64_t bytes = y->width * y->height + 2 * across * down;
    enum status st;

    if ((st = skip_line(y, out->frames, err)))
        return st;
    if (y->end - y->at < bytes)
        return fail(err, E_FORMAT,
                    "frame %" PRId64 " is cut short: %td bytes of %" PRId64 " are there",
                    out->frames, y->end - y->at, bytes);
    if (s->across)
        colour_frame(pixels, y, y->at, across, down);
    else
        grey_frame(pixels, y, y->at);
    y->at += bytes;
    return clip_add(out, pixels, err);
}

enum status y4m_decode(struct clip *out, const uint8_t *bytes, size_t n, int64_t most,
                       struct error *err)
{
    uint8_t *pixels = NULL;
    struct y4m y;
    enum status st;

    if ((st = read_head(&y, bytes, n, err)) ||
        (st = clip_begin(out, y.height, y.width, y.colours->across ? 3 : 1, err)))
        return st;
    if (y.end - y.at < y.width * y.height)
        return fail(err, E_FORMAT, "not one frame of %" PRId64 " x %" PRId64 " is there", y.width,
                    y.height);
    out->rate = y.rate;
    st = mem_new((void **)&pixels, (uint64_t)(y.height * y.width), 3, "a frame", err);
    while (!st && y.at < y.end && out->frames < most)
        st = read_frame(out, &y, pixels, err);
    free(pixels);
    return st;
}

static enum status put_frame(struct byte_buffer *out, uint8_t *planes, const struct image *im,
                             struct error *err)
{
    int64_t n = im->height * im->width;
    enum status st;

    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = im->pixels + i * im->channels;
        uint8_t yuv[3], grey[3] = {p[0], p[0], p[0]};

        from_rgb(yuv, im->channels == 3 ? p : grey);
        for (int64_t k = 0; k < im->channels; k++)
            planes[k * n + i] = yuv[k];
    }
    if ((st = byte_buffer_put(out, "FRAME\n", 6, err)))
        return st;
    return byte_buffer_put(out, planes, (size_t)(n * im->channels), err);
}

enum status y4m_encode(struct byte_buffer *out, const struct clip *c, int quality,
                       struct error *err)
{
    uint8_t *planes = NULL;
    char line[128];
    int n;
    enum status st;

    (void)quality;
    if (c->channels != 1 && c->channels != 3)
        return fail(err, E_ARG, "Y4M has no alpha");
    n = snprintf(line, sizeof line, "%s W%" PRId64 " H%" PRId64 " F%lld:%d Ip A1:1 C%s\n", magic,
                 c->width, c->height, llrint(c->rate * RATE_UNITS), RATE_UNITS,
                 c->channels == 3 ? "444" : "mono");
    if (!(st = byte_buffer_put(out, line, (size_t)n, err)))
        st = mem_new((void **)&planes, (uint64_t)(c->height * c->width), 3, "a frame", err);
    for (int64_t t = 0; t < c->frames && !st; t++) {
        struct image frame = clip_frame(c, t);

        st = put_frame(out, planes, &frame, err);
    }
    free(planes);
    return st;
}
