/*
 * picture.h - from decoded bytes to what a network is fed
 */
#ifndef IMGEN_DATA_PICTURE_H
#define IMGEN_DATA_PICTURE_H

#include "data/dataset.h"
#include "io/image.h"

/* Whether a file's name ends as those of the formats that are read: .png .jpg .jpeg .webp. */
bool picture_named(const char *name);

/* True when a picture of h x w is brought to height x width by a border alone: it fits, and by less
 * than a quarter. */
bool picture_pads(int64_t h, int64_t w, int64_t height, int64_t width);

/* *out (released by the caller): `in` as 8-bit [height, width, channels], channels 1 or 3.  Alpha
 * lies over `background`.  Where picture_pads says so and `pad` is true the background is put
 * around it, an odd pixel to the right and below; otherwise image_fit.  E_MEMORY, naming nothing.
 */
enum status picture_shape(struct image *out, const struct image *in, int64_t height, int64_t width,
                          int64_t channels, const uint8_t background[3], bool pad,
                          struct error *err);

/* out[i] = in[i] / 127.5 - 1: 0..255 to -1..1. */
void picture_floats(float *out, const uint8_t *in, int64_t n);

#endif
