/*
 * image.h - pictures in files: PNG, JPEG and WebP in, PNG, JPEG and WebP out, text inside PNG
 */
#ifndef IMGEN_IO_IMAGE_H
#define IMGEN_IO_IMAGE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* 8 bits a channel, rows from the top: pixels [height, width, channels], channels 1 (grey), 2 (grey
 * and alpha), 3 (RGB) or 4 (RGBA). */
struct image {
    int64_t height, width, channels;
    uint8_t *pixels; /* heap, freed by image_release */
};

enum {
    IMAGE_SIDE = 16384,     /* larger pictures are refused ...           */
    IMAGE_PIXELS = 1 << 27, /* ... and so are those of more pixels       */
};

enum status image_init(struct image *im, int64_t height, int64_t width, int64_t channels,
                       struct error *err);
void image_release(struct image *im); /* zeroes it; fine on a zeroed one */

/* Format by content, not by name.  16-bit PNG is brought to 8, palettes are expanded, CMYK JPEG is
 * converted, EXIF orientation is applied.  E_IO, E_FORMAT (truncated, too large, hostile),
 * E_MEMORY. */
enum status image_read(struct image *out, const char *path, struct error *err);
enum status image_decode(struct image *out, const uint8_t *bytes, size_t n, const char *name,
                         struct error *err);

/* A text chunk of a PNG: tEXt when Latin-1, iTXt otherwise (UTF-8). */
struct image_text {
    const char *key, *value;
};

/* Atomically, as safetensors_save.  Deterministic bytes for equal pictures and texts. */
enum status png_write(const char *path, const struct image *im, const struct image_text *texts,
                      int64_t n_texts, struct error *err);
/* quality 1..100. */
enum status jpeg_write(const char *path, const struct image *im, int quality, struct error *err);
enum status webp_write(const char *path, const struct image *im, int quality, struct error *err);
/* Format by the name's ending (.png .jpg .jpeg .webp); texts are kept in PNG only. */
enum status image_write(const char *path, const struct image *im, const struct image_text *texts,
                        int64_t n_texts, struct error *err);

/* The value of a PNG text key, as UTF-8, of at most IMAGE_TEXT bytes: *out is heap (freed by the
 * caller) or NULL when there is none. */
enum { IMAGE_TEXT = 16 << 20 };
enum status png_read_text(char **out, const char *path, const char *key, struct error *err);
enum status png_find_text(char **out, const uint8_t *bytes, size_t n, const char *key,
                          struct error *err);

/* In place or new: alpha over a background (0..255 a channel of the result), grey <-> RGB. The
 * result has `channels` 1 or 3. */
enum status image_convert(struct image *out, const struct image *in, int64_t channels,
                          const uint8_t background[3], struct error *err);

enum resize_filter {
    RESIZE_BOX,
    RESIZE_BILINEAR,
    RESIZE_BICUBIC, /* a = -0.5 */
    RESIZE_LANCZOS, /* 3 lobes  */
};

/* Along an axis of `from` stored pixels that becomes one of `to`: the weights of result i, which
 * sum to one, for the stored pixels *first .. *first + n - 1; returns n, at most resize_room. */
int64_t resize_weights(double *out, int64_t *first, int64_t i, int64_t from, int64_t to,
                       enum resize_filter filter);
int64_t resize_room(int64_t from, int64_t to, enum resize_filter filter);

/* Antialiased, separable; equal to Pillow's resize to one grey level. */
enum status image_resize(struct image *out, const struct image *in, int64_t height, int64_t width,
                         enum resize_filter filter, struct error *err);
/* Scale the shorter side to `side` (bicubic), then cut the centre square. */
enum status image_fit(struct image *out, const struct image *in, int64_t height, int64_t width,
                      struct error *err);

#endif
