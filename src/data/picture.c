/*
 * picture.c - from decoded bytes to what a network is fed
 *
 * Files hold pictures of any size and 1 to 4 channels; a set hands out one size and 1 or 3.  A
 * border is kinder than a resize when only a few pixels are missing: 28 x 28 digits become 32 x 32
 * (a size that halves four times) with every stored value intact, while resizing by 8/7 would blur
 * them all. Past a quarter the border would be most of what a network learns, so larger pictures
 * are resized.
 */
#include "data/picture.h"

#include "data/listing.h"

#include <string.h>

bool picture_named(const char *name)
{
    return name_ends(name, ".png") || name_ends(name, ".jpg") || name_ends(name, ".jpeg") ||
           name_ends(name, ".webp");
}

bool picture_pads(int64_t h, int64_t w, int64_t height, int64_t width)
{
    return h <= height && w <= width && 4 * height < 5 * h && 4 * width < 5 * w;
}

/* The lightness of a colour, ITU-R BT.601: what grey pictures are padded with. */
static uint8_t luma(const uint8_t rgb[3])
{
    return (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
}

static enum status picture_pad(struct image *out, const struct image *in, int64_t height,
                               int64_t width, const uint8_t background[3], struct error *err)
{
    int64_t c = in->channels, top = (height - in->height) / 2, left = (width - in->width) / 2;
    uint8_t grey = luma(background);
    enum status st;

    if ((st = image_init(out, height, width, c, err)))
        return st;
    for (int64_t i = 0; i < height * width; i++)
        for (int64_t k = 0; k < c; k++)
            out->pixels[i * c + k] = c == 1 ? grey : background[k];
    for (int64_t i = 0; i < in->height; i++)
        memcpy(out->pixels + ((top + i) * width + left) * c, in->pixels + i * in->width * c,
               (size_t)(in->width * c));
    return OK;
}

enum status picture_shape(struct image *out, const struct image *in, int64_t height, int64_t width,
                          int64_t channels, const uint8_t background[3], bool pad,
                          struct error *err)
{
    struct image flat = {0};
    enum status st;

    *out = (struct image){0};
    if ((st = image_convert(&flat, in, channels, background, err)))
        goto out;
    if (flat.height == height && flat.width == width) {
        *out = flat;
        flat = (struct image){0};
    } else if (pad && picture_pads(flat.height, flat.width, height, width)) {
        st = picture_pad(out, &flat, height, width, background, err);
    } else {
        st = image_fit(out, &flat, height, width, err);
    }
out:
    image_release(&flat);
    return st;
}

void picture_floats(float *out, const uint8_t *in, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)in[i] / 127.5f - 1;
}
