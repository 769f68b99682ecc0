/*
 * picture.h - numbers of a network to pictures for people
 */
#ifndef IMGEN_PIPELINE_PICTURE_H
#define IMGEN_PIPELINE_PICTURE_H

#include "io/image.h"

/* x [height, width, channels], -1 black to 1 white, clipped, rounded to 8 bits.  channels 1 or 3.
 * E_UNSUPPORTED for other channels (latents are no pictures), E_NOT_FINITE when a number is no
 * number. */
enum status picture_from_floats(struct image *out, const float *x, int64_t height, int64_t width,
                                int64_t channels, struct error *err);

/* The same for n numbers in a row. */
enum status picture_levels(uint8_t *out, const float *x, int64_t n, struct error *err);

/* x [rows * columns, height, width, channels] as a sheet with `gap` pixels of `ground` (0..255)
 * around each, every pixel drawn `zoom` times.  Fails as picture_from_floats. */
struct sheet {
    int64_t rows, columns, height, width, channels;
    int64_t gap, zoom;
    uint8_t ground;
};
enum status picture_sheet(struct image *out, const float *x, const struct sheet *s,
                          struct error *err);

/* Of a clip those frames that a sheet shows: `shown` of `frames`, the first, the last, and between
 * them as evenly as whole frames can be; of one, the first.  Each has `length` numbers. */
enum { SHEET_FRAMES = 16 };
int64_t picture_frame_shown(int64_t k, int64_t frames, int64_t shown); /* the k-th of them */
void picture_frames(float *out, const float *clip, int64_t frames, int64_t shown, int64_t length);

/* The sum of squared differences of n grey levels, exact. */
int64_t pixel_square(const uint8_t *a, const uint8_t *b, int64_t n);
/* 10 log10(255^2 / mean squared difference of n grey levels), in dB; infinite for equal ones. */
double psnr(const uint8_t *a, const uint8_t *b, int64_t n);

#endif
