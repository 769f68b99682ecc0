/*
 * plane.c - values at the places of a picture, kept in half the memory or in the caller's
 *
 * Between two layers of an autoencoder a large picture has hundreds of numbers a pixel, which as
 * floats fill the memory.  Sixteen bits are enough for what the eye is to see, but neither of the
 * usual halves of a float serves: bfloat16 keeps 8 digits, so that dozens of layers would leave
 * grain in smooth skies, and half precision ends at 65504, which the residual streams of some
 * published decoders pass.  The channels of one place are of one size, so they share a scale and
 * spend all bits on digits:
 *
 *     unit [place] = max_c |x[c]| / 32767,    number [place, c] = round(x[c] / unit),
 *
 * off by at most 1.5e-5 of the place's largest value.  A place with a value that is not finite has
 * a unit that is not, and is not a number when read.
 */
#include "pipeline/plane.h"

#include "base/memory.h"
#include "base/simd.h"
#include "base/whole.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float LARGEST = 32767;
/* Where a place is nothing: the inverse of a smaller unit overflows. */
static const float NOTHING = 1e-30F;

int64_t plane_bytes(int64_t rows, int64_t columns, int64_t channels)
{
    return rows * columns * (channels * (int64_t)sizeof(int16_t) + (int64_t)sizeof(float));
}

enum status plane_init(struct plane *p, int64_t rows, int64_t columns, int64_t channels,
                       struct error *err)
{
    uint64_t places = (uint64_t)rows * (uint64_t)columns;
    enum status st;

    *p = (struct plane){.rows = rows, .columns = columns, .channels = channels};
    if ((st = mem_block_new((void **)&p->numbers, places, (uint64_t)channels * sizeof *p->numbers,
                            "values between layers", err)))
        return st;
    return mem_block_new((void **)&p->unit, places, sizeof *p->unit, "values between layers", err);
}

void plane_release(struct plane *p)
{
    uint64_t places = (uint64_t)p->rows * (uint64_t)p->columns;

    mem_block_free(p->numbers, places, (uint64_t)p->channels * sizeof *p->numbers);
    mem_block_free(p->unit, places, sizeof *p->unit);
    *p = (struct plane){0};
}

/* Numbers of x [n]; returns their unit. */
IMGEN_CLONES static float pack(int16_t *restrict out, const float *restrict x, int64_t n)
{
    float largest = 0, per;
    int odd = 0;

    for (int64_t c = 0; c < n; c++) {
        float size = fabsf(x[c]);

        largest = size > largest ? size : largest;
        odd |= !(size <= FLT_MAX);
    }
    per = odd || largest < NOTHING ? 0 : LARGEST / largest;
    for (int64_t c = 0; c < n; c++)
        out[c] = odd ? 1 : (int16_t)(x[c] * per + (x[c] < 0 ? -0.5F : 0.5F));
    return odd ? NAN : largest / LARGEST;
}

IMGEN_CLONES static void unpack(float *restrict out, const int16_t *restrict in, float unit,
                                int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        out[c] = (float)in[c] * unit;
}

/* A row of the caller's, its last place repeated up to the plane's width. */
static void read_row(const struct plane *p, float *out, int64_t row)
{
    int64_t C = p->channels;
    const float *in = p->from + whole_min(row, p->height - 1) * p->width * C;

    memcpy(out, in, (size_t)(p->width * C) * sizeof *out);
    for (int64_t x = p->width; x < p->columns; x++)
        memcpy(out + x * C, in + (p->width - 1) * C, (size_t)C * sizeof *out);
}

void plane_read(const struct plane *p, float *out, int64_t first, int64_t last, int threads)
{
    int64_t row = p->columns * p->channels;

#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = first; r < last; r++) {
        float *to = out + (r - first) * row;

        if (p->from)
            read_row(p, to, r);
        for (int64_t x = r * p->columns; !p->from && x < (r + 1) * p->columns; x++)
            unpack(to + (x - r * p->columns) * p->channels, p->numbers + x * p->channels,
                   p->unit[x], p->channels);
    }
}

void plane_write(struct plane *p, const float *in, int64_t first, int64_t last, int threads)
{
    int64_t row = p->columns * p->channels;

#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = first; r < last; r++) {
        const float *from = in + (r - first) * row;

        if (p->to && r < p->height)
            memcpy(p->to + r * p->width * p->channels, from,
                   (size_t)(p->width * p->channels) * sizeof *from);
        for (int64_t x = r * p->columns; !p->to && x < (r + 1) * p->columns; x++)
            p->unit[x] = pack(p->numbers + x * p->channels,
                              from + (x - r * p->columns) * p->channels, p->channels);
    }
}
