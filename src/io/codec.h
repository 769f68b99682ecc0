/*
 * codec.h - what the picture formats give to image.c, and what they share
 */
#ifndef IMGEN_IO_CODEC_H
#define IMGEN_IO_CODEC_H

#include "io/image.h"

#include <stdbool.h>

/* Bytes being gathered in memory; zeroed to begin, freed with free(bytes). */
struct byte_buffer {
    uint8_t *bytes;
    int64_t n, room;
};
enum status byte_buffer_put(struct byte_buffer *b, const void *bytes, size_t n, struct error *err);

/* Refuse sizes outside 1 .. IMAGE_SIDE or of more than IMAGE_PIXELS pixels: E_FORMAT. */
enum status image_check_size(int64_t height, int64_t width, struct error *err);

bool png_is(const uint8_t *bytes, size_t n);
bool jpeg_is(const uint8_t *bytes, size_t n);
bool webp_is(const uint8_t *bytes, size_t n);

/* bytes are of the format.  *out is zeroed by the caller, and stays so on failure; *orientation is
 * the EXIF value 1..8. */
enum status png_decode(struct image *out, int *orientation, const uint8_t *bytes, size_t n,
                       struct error *err);
enum status jpeg_decode(struct image *out, int *orientation, const uint8_t *bytes, size_t n,
                        struct error *err);
enum status webp_decode(struct image *out, int *orientation, const uint8_t *bytes, size_t n,
                        struct error *err);

enum status png_encode(struct byte_buffer *out, const struct image *im,
                       const struct image_text *texts, int64_t n_texts, struct error *err);
enum status jpeg_encode(struct byte_buffer *out, const struct image *im, int quality,
                        struct error *err);
enum status webp_encode(struct byte_buffer *out, const struct image *im, int quality,
                        struct error *err);

/* A part of a PNG file, checked against its CRC. */
struct png_chunk {
    char type[5]; /* with a zero at the end */
    const uint8_t *bytes;
    size_t n;
};
/* Walk the chunks: *at is the offset of the next, 8 to begin with.  E_FORMAT for one that is cut
 * short or whose CRC is wrong, and for a file that ends without IEND.  After IEND *at is 0. */
enum status png_chunk_next(struct png_chunk *out, size_t *at, const uint8_t *bytes, size_t n,
                           struct error *err);

/* The orientation 1..8 in an EXIF block (which begins with its byte order, "II" or "MM"); 1 when
 * there is none or the block is broken, since a broken note is no reason to refuse a picture. */
int exif_orientation(const uint8_t *bytes, size_t n);

#endif
