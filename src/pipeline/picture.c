/*
 * picture.c - numbers of a network to pictures for people
 *
 * -1 is black, 1 is white, and what lies outside is clipped: the one place where a picture loses
 * anything.  Rounding is to the nearest level, half up, the same on every machine.
 *
 * Sums of squared differences of 8-bit numbers are whole numbers and exact: no order of summing
 * matters, and a copy is at 0.
 */
#include "pipeline/picture.h"

#include "base/simd.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { CHUNK = 32768 /* squares that surely fit an int32: 255^2 of each */ };

static uint8_t level(float x)
{
    float v = (x + 1) * 127.5f + 0.5f;

    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)v;
}

static enum status check_finite(const float *x, int64_t n, struct error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return fail(err, E_NOT_FINITE, "number %" PRId64 " of a picture is not finite", i);
    return OK;
}

enum status picture_levels(uint8_t *out, const float *x, int64_t n, struct error *err)
{
    enum status st = check_finite(x, n, err);

    for (int64_t i = 0; i < n && !st; i++)
        out[i] = level(x[i]);
    return st;
}

enum status picture_from_floats(struct image *out, const float *x, int64_t height, int64_t width,
                                int64_t channels, struct error *err)
{
    struct sheet one = {1, 1, height, width, channels, 0, 1, 0};

    return picture_sheet(out, x, &one, err);
}

static void draw(struct image *out, const struct sheet *s, const float *x, int64_t top,
                 int64_t left)
{
    int64_t C = s->channels;

    for (int64_t y = 0; y < s->height * s->zoom; y++)
        for (int64_t k = 0; k < s->width * s->zoom; k++) {
            const float *from = x + (y / s->zoom * s->width + k / s->zoom) * C;
            uint8_t *to = out->pixels + ((top + y) * out->width + left + k) * C;

            for (int64_t c = 0; c < C; c++)
                to[c] = level(from[c]);
        }
}

enum status picture_sheet(struct image *out, const float *x, const struct sheet *s,
                          struct error *err)
{
    int64_t high = s->height * s->zoom + s->gap, wide = s->width * s->zoom + s->gap;
    int64_t length = s->height * s->width * s->channels;
    enum status st;

    if (s->channels != 1 && s->channels != 3)
        return fail(err, E_UNSUPPORTED, "a picture with %" PRId64 " channels: not 1 or 3",
                    s->channels);
    if ((st = check_finite(x, s->rows * s->columns * length, err)) ||
        (st = image_init(out, s->rows * high + s->gap, s->columns * wide + s->gap, s->channels,
                         err)))
        return st;
    memset(out->pixels, s->ground, (size_t)(out->height * out->width * out->channels));
    for (int64_t i = 0; i < s->rows * s->columns; i++)
        draw(out, s, x + i * length, s->gap + i / s->columns * high,
             s->gap + i % s->columns * wide);
    return OK;
}

int64_t picture_frame_shown(int64_t k, int64_t frames, int64_t shown)
{
    return shown > 1 ? (k * (frames - 1) + (shown - 1) / 2) / (shown - 1) : 0;
}

void picture_frames(float *out, const float *clip, int64_t frames, int64_t shown, int64_t length)
{
    for (int64_t k = 0; k < shown; k++)
        memcpy(out + k * length, clip + picture_frame_shown(k, frames, shown) * length,
               (size_t)length * sizeof *out);
}

IMGEN_CLONES static int32_t chunk_square(const uint8_t *a, const uint8_t *b, int64_t n)
{
    int32_t sum = 0;

    for (int64_t i = 0; i < n; i++) {
        int16_t d = (int16_t)(a[i] - b[i]);

        sum += (int32_t)d * d;
    }
    return sum;
}

int64_t pixel_square(const uint8_t *a, const uint8_t *b, int64_t n)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < n; i += CHUNK)
        sum += chunk_square(a + i, b + i, n - i < CHUNK ? n - i : CHUNK);
    return sum;
}

double psnr(const uint8_t *a, const uint8_t *b, int64_t n)
{
    int64_t square = pixel_square(a, b, n);

    return square ? 10 * log10(255.0 * 255.0 / ((double)square / (double)n)) : HUGE_VAL;
}
