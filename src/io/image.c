/*
 * image.c - pictures: memory, files by content, orientation, channels
 *
 * The formats differ and this file knows none of them: a table names each with its signature, its
 * endings and its two functions, and the content of a file, not its name, says which it is, since
 * names on the internet lie.  Whole files are read and then decoded from memory, which keeps every
 * decoder free of input errors and lets the fuzzers call it.
 *
 * Cameras store pictures as the sensor lay and note how to turn them (EXIF orientation); a picture
 * here is always upright.
 */
#include "io/codec.h"

#include "base/file.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FILE_BYTES = 1 << 30, JPEG_QUALITY = 95, WEBP_QUALITY = 95 };

enum status byte_buffer_put(struct byte_buffer *b, const void *bytes, size_t n, struct error *err)
{
    enum status st;

    if (n > (size_t)(INT64_MAX - b->n))
        return fail(err, E_MEMORY, "no memory for %zu bytes more", n);
    if ((st = mem_grow((void **)&b->bytes, &b->room, b->n + (int64_t)n, 1, err)))
        return st;
    if (n)
        memcpy(b->bytes + b->n, bytes, n);
    b->n += (int64_t)n;
    return OK;
}

enum status image_check_size(int64_t height, int64_t width, struct error *err)
{
    if (height < 1 || width < 1 || height > IMAGE_SIDE || width > IMAGE_SIDE ||
        height * width > IMAGE_PIXELS)
        return fail(err, E_FORMAT,
                    "a picture of %" PRId64 " x %" PRId64 " pixels; sides of 1 to %d and %d pixels "
                    "in all are allowed",
                    width, height, IMAGE_SIDE, IMAGE_PIXELS);
    return OK;
}

enum status image_init(struct image *im, int64_t height, int64_t width, int64_t channels,
                       struct error *err)
{
    enum status st;

    *im = (struct image){0};
    MUST(channels >= 1 && channels <= 4, "%" PRId64 " channels", channels);
    if ((st = image_check_size(height, width, err)) ||
        (st = mem_new((void **)&im->pixels, (uint64_t)(height * width), (uint64_t)channels,
                      "the pixels of a picture", err)))
        return st;
    im->height = height;
    im->width = width;
    im->channels = channels;
    return OK;
}

void image_release(struct image *im)
{
    free(im->pixels);
    *im = (struct image){0};
}

/* Put `made` where `out` is, which may be the picture it was made from. */
static void image_replace(struct image *out, const struct image *in, const struct image *made)
{
    if (out == in)
        image_release(out);
    *out = *made;
}

/* ---------------------------------------------------------------------------- orientation */

/* Turn a picture upright.  The stored pixel that belongs at (y, x) of the result:
 *
 *     1 as is    2 mirrored    3 turned by 180    4 flipped
 *     5 transposed    6 turned right    7 transposed across    8 turned left
 */
static enum status image_orient(struct image *im, int orientation, struct error *err)
{
    bool swapped = orientation >= 5;
    bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int64_t c = im->channels;
    struct image made;
    enum status st;

    if (orientation == 1)
        return OK;
    if ((st = image_init(&made, swapped ? im->width : im->height, swapped ? im->height : im->width,
                         c, err)))
        return st;
    for (int64_t y = 0; y < made.height; y++) {
        for (int64_t x = 0; x < made.width; x++) {
            int64_t from_y = swapped ? x : y, from_x = swapped ? y : x;

            if (mirror_y)
                from_y = im->height - 1 - from_y;
            if (mirror_x)
                from_x = im->width - 1 - from_x;
            memcpy(made.pixels + (y * made.width + x) * c,
                   im->pixels + (from_y * im->width + from_x) * c, (size_t)c);
        }
    }
    image_release(im);
    *im = made;
    return OK;
}

/* ---------------------------------------------------------------------------------- files */

enum { ENDINGS = 2 };

static const struct picture_format {
    const char *name, *ending[ENDINGS];
    bool (*is)(const uint8_t *bytes, size_t n);
    enum status (*decode)(struct image *out, int *orientation, const uint8_t *bytes, size_t n,
                          struct error *err);
} formats[] = {
    {"PNG", {".png"}, png_is, png_decode},
    {"JPEG", {".jpg", ".jpeg"}, jpeg_is, jpeg_decode},
    {"WebP", {".webp"}, webp_is, webp_decode},
};

enum { PNG, JPEG, WEBP, N_FORMATS };

enum status image_decode(struct image *out, const uint8_t *bytes, size_t n, const char *name,
                         struct error *err)
{
    enum status st = E_FORMAT;
    int orientation = 1, i = 0;

    *out = (struct image){0};
    while (i < N_FORMATS && !formats[i].is(bytes, n))
        i++;
    if (i == N_FORMATS)
        fail(err, st, "neither PNG nor JPEG nor WebP");
    else if (!(st = formats[i].decode(out, &orientation, bytes, n, err)))
        st = image_orient(out, orientation, err);
    if (st) {
        image_release(out);
        fail_under(err, "%s", name);
    }
    return st;
}

enum status image_read(struct image *out, const char *path, struct error *err)
{
    uint8_t *bytes = NULL;
    uint64_t n;
    enum status st;

    *out = (struct image){0};
    if ((st = file_read(&bytes, &n, path, FILE_BYTES, err)))
        return st;
    st = image_decode(out, bytes, n, path, err);
    free(bytes);
    return st;
}

/* The encoded bytes, if encoding went well, become the file. */
static enum status write_encoded(const char *path, struct byte_buffer *encoded, enum status st,
                                 struct error *err)
{
    if (st)
        fail_under(err, "writing %s", path);
    else
        st = file_write(path, encoded->bytes, (uint64_t)encoded->n, err);
    free(encoded->bytes);
    return st;
}

enum status png_write(const char *path, const struct image *im, const struct image_text *texts,
                      int64_t n_texts, struct error *err)
{
    struct byte_buffer encoded = {0};

    return write_encoded(path, &encoded, png_encode(&encoded, im, texts, n_texts, err), err);
}

enum status jpeg_write(const char *path, const struct image *im, int quality, struct error *err)
{
    struct byte_buffer encoded = {0};

    return write_encoded(path, &encoded, jpeg_encode(&encoded, im, quality, err), err);
}

enum status webp_write(const char *path, const struct image *im, int quality, struct error *err)
{
    struct byte_buffer encoded = {0};

    return write_encoded(path, &encoded, webp_encode(&encoded, im, quality, err), err);
}

/* The format a name's ending stands for, N_FORMATS when none. */
static int format_of_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

    for (int i = 0; dot && i < N_FORMATS; i++)
        for (int k = 0; k < ENDINGS && formats[i].ending[k]; k++)
            if (!strcasecmp(dot, formats[i].ending[k]))
                return i;
    return N_FORMATS;
}

enum status image_write(const char *path, const struct image *im, const struct image_text *texts,
                        int64_t n_texts, struct error *err)
{
    switch (format_of_name(path)) {
    case PNG:
        return png_write(path, im, texts, n_texts, err);
    case JPEG:
        return jpeg_write(path, im, JPEG_QUALITY, err);
    case WEBP:
        return webp_write(path, im, WEBP_QUALITY, err);
    default:
        return fail(err, E_ARG, "%s: a picture's name ends in .png, .jpg, .jpeg or .webp", path);
    }
}

/* ------------------------------------------------------------------------------- channels */

/* x / 255, rounded, for x in 0 .. 255^2. */
static uint8_t div_255(uint32_t x)
{
    return (uint8_t)((x + 127) / 255);
}

/* One pixel as RGB over the background; in has 1 to 4 channels, the last of 2 or 4 is alpha. */
static void composite(uint8_t rgb[3], const uint8_t *in, int64_t channels,
                      const uint8_t background[3])
{
    uint32_t alpha = channels == 2 ? in[1] : channels == 4 ? in[3] : 255;

    for (int k = 0; k < 3; k++) {
        uint32_t v = in[channels >= 3 ? k : 0];

        rgb[k] = div_255(v * alpha + background[k] * (255 - alpha));
    }
}

/* ITU-R BT.601 luma in 16-bit fixed point, the weights adding up to 65536. */
static uint8_t luma(const uint8_t rgb[3])
{
    return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

enum status image_convert(struct image *out, const struct image *in, int64_t channels,
                          const uint8_t background[3], struct error *err)
{
    int64_t n = in->height * in->width;
    struct image made;
    enum status st;

    MUST(channels == 1 || channels == 3, "%" PRId64 " channels", channels);
    if (out == in && in->channels == channels)
        return OK;
    if ((st = image_init(&made, in->height, in->width, channels, err))) {
        if (out != in)
            *out = made;
        return st;
    }
    for (int64_t i = 0; i < n; i++) {
        uint8_t rgb[3], *to = made.pixels + i * channels;

        composite(rgb, in->pixels + i * in->channels, in->channels, background);
        if (channels == 3)
            memcpy(to, rgb, 3);
        else
            to[0] = luma(rgb); /* of grey: the weights add up, so it stays what it was */
    }
    image_replace(out, in, &made);
    return OK;
}
