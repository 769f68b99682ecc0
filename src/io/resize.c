/*
 * resize.c - scaling pictures with antialiasing
 *
 * Each result pixel is a weighted mean of the stored pixels under a filter centred on it.  When a
 * picture shrinks, the filter is widened by the same factor, so that every stored pixel counts and
 * fine patterns become grey, not moire: data sets scaled without this carry artefacts that networks
 * learn and metrics measure.  The filters are separable: a horizontal pass, then a vertical one.
 *
 * The metrics of the literature are computed on pictures scaled by Pillow, so its arithmetic is
 * kept: weights normalised in double, rounded to 22 bits after the point, sums in int32, and each
 * pass rounded and cut to 0..255.  The cut matters: bicubic and Lanczos overshoot at edges, and a
 * float between the passes would keep what Pillow loses.  Colours are weighted by alpha, since a
 * transparent pixel's colour means nothing.
 *
 *     in [H, W, C]  ->  horizontal  ->  [H, width, C]  ->  vertical  ->  [height, width, C]
 */
#include "io/codec.h"

#include "base/memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FRACTION = 22 };

static const double PI = 3.14159265358979323846;

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys 1981 with a = -1/2, the value that reproduces parabolas. */
static double bicubic(double x)
{
    x = fabs(x);
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2)
        return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
}

static double sinc(double x)
{
    return x == 0 ? 1 : sin(PI * x) / (PI * x);
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct {
    double (*weight)(double x);
    double support; /* weight is 0 beyond it */
} filters[] = {
    [RESIZE_BOX] = {box, 0.5},
    [RESIZE_BILINEAR] = {bilinear, 1},
    [RESIZE_BICUBIC] = {bicubic, 2},
    [RESIZE_LANCZOS] = {lanczos, 3},
};

/* Along one axis: result i is the sum over k < n of weight[i * room + k] * stored[first + k]. */
struct taps {
    struct span {
        int64_t first, n;
    } * span;
    int32_t *weight; /* [results, room] */
    int64_t room;
};

static void taps_release(struct taps *t)
{
    free(t->span);
    free(t->weight);
}

static double widening(int64_t from, int64_t to)
{
    return from > to ? (double)from / (double)to : 1;
}

int64_t resize_room(int64_t from, int64_t to, enum resize_filter filter)
{
    return (int64_t)ceil(filters[filter].support * widening(from, to)) * 2 + 1;
}

int64_t resize_weights(double *out, int64_t *first, int64_t i, int64_t from, int64_t to,
                       enum resize_filter filter)
{
    double widen = widening(from, to), support = filters[filter].support * widen;
    double centre = ((double)i + 0.5) * ((double)from / (double)to), sum = 0;
    int64_t start = (int64_t)(centre - support + 0.5), end = (int64_t)(centre + support + 0.5), n;

    *first = start > 0 ? start : 0;
    n = (end < from ? end : from) - *first;
    for (int64_t k = 0; k < n; k++) {
        out[k] = filters[filter].weight(((double)(k + *first) - centre + 0.5) / widen);
        sum += out[k];
    }
    for (int64_t k = 0; k < n && sum != 0; k++)
        out[k] /= sum;
    return n;
}

static enum status taps_init(struct taps *t, int64_t from, int64_t to, enum resize_filter filter,
                             struct error *err)
{
    double *w = NULL;
    enum status st;

    t->room = resize_room(from, to, filter);
    if ((st = mem_new((void **)&t->span, (uint64_t)to, sizeof *t->span, "resizing", err)) ||
        (st = mem_new((void **)&t->weight, (uint64_t)(to * t->room), sizeof *t->weight, "resizing",
                      err)) ||
        (st = mem_new((void **)&w, (uint64_t)t->room, sizeof *w, "resizing", err)))
        return st;
    for (int64_t i = 0; i < to; i++) {
        t->span[i].n = resize_weights(w, &t->span[i].first, i, from, to, filter);
        for (int64_t k = 0; k < t->span[i].n; k++)
            t->weight[i * t->room + k] = (int32_t)lround(w[k] * (1 << FRACTION));
    }
    free(w);
    return OK;
}

static uint8_t round_sum(int32_t sum)
{
    int32_t x = (sum + (1 << (FRACTION - 1))) >> FRACTION;

    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

static void horizontal(struct image *out, const struct image *in, const struct taps *t)
{
    int64_t c = in->channels;

    for (int64_t y = 0; y < out->height; y++) {
        const uint8_t *row = in->pixels + y * in->width * c;
        uint8_t *to = out->pixels + y * out->width * c;

        for (int64_t x = 0; x < out->width; x++) {
            const uint8_t *from = row + t->span[x].first * c;
            const int32_t *w = t->weight + x * t->room;
            int32_t sum[4] = {0};

            for (int64_t k = 0; k < t->span[x].n; k++)
                for (int64_t j = 0; j < c; j++)
                    sum[j] += w[k] * from[k * c + j];
            for (int64_t j = 0; j < c; j++)
                to[x * c + j] = round_sum(sum[j]);
        }
    }
}

/* Rows of sums, so that the inner loop runs along memory; sum: [width * channels]. */
static void vertical(struct image *out, const struct image *in, const struct taps *t, int32_t *sum)
{
    int64_t n = in->width * in->channels;

    for (int64_t y = 0; y < out->height; y++) {
        const uint8_t *from = in->pixels + t->span[y].first * n;
        const int32_t *w = t->weight + y * t->room;

        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int64_t k = 0; k < t->span[y].n; k++)
            for (int64_t i = 0; i < n; i++)
                sum[i] += w[k] * from[k * n + i];
        for (int64_t i = 0; i < n; i++)
            out->pixels[y * n + i] = round_sum(sum[i]);
    }
}

/* Colours times alpha, in place: c a / 255 rounded. */
static void premultiply(struct image *im)
{
    int64_t n = im->height * im->width, c = im->channels;

    for (int64_t i = 0; i < n; i++) {
        uint8_t *p = im->pixels + i * c;

        for (int64_t j = 0; j + 1 < c; j++)
            p[j] = (uint8_t)((p[j] * p[c - 1] + 127) / 255);
    }
}

/* And back; rounding may have left a colour above its alpha. */
static void unmultiply(struct image *im)
{
    int64_t n = im->height * im->width, c = im->channels;

    for (int64_t i = 0; i < n; i++) {
        uint8_t *p = im->pixels + i * c, alpha = p[c - 1];

        for (int64_t j = 0; alpha && j + 1 < c; j++) {
            int v = 255 * p[j] / alpha;

            p[j] = (uint8_t)(v < 255 ? v : 255);
        }
    }
}

static enum status image_copy(struct image *out, const struct image *in, struct error *err)
{
    enum status st = image_init(out, in->height, in->width, in->channels, err);

    if (!st)
        memcpy(out->pixels, in->pixels, (size_t)(in->height * in->width * in->channels));
    return st;
}

/* *im becomes `width` wide; its pixels are freed. */
static enum status resize_width(struct image *im, int64_t width, enum resize_filter filter,
                                struct error *err)
{
    struct image made = {0};
    struct taps taps = {0};
    enum status st;

    if (width == im->width)
        return OK;
    if ((st = taps_init(&taps, im->width, width, filter, err)) ||
        (st = image_init(&made, im->height, width, im->channels, err)))
        goto out;
    horizontal(&made, im, &taps);
    image_release(im);
    *im = made;
out:
    taps_release(&taps);
    return st;
}

static enum status resize_height(struct image *im, int64_t height, enum resize_filter filter,
                                 struct error *err)
{
    struct image made = {0};
    struct taps taps = {0};
    int32_t *sum = NULL;
    enum status st;

    if (height == im->height)
        return OK;
    if ((st = taps_init(&taps, im->height, height, filter, err)) ||
        (st = mem_new((void **)&sum, (uint64_t)(im->width * im->channels), sizeof *sum, "resizing",
                      err)) ||
        (st = image_init(&made, height, im->width, im->channels, err)))
        goto out;
    vertical(&made, im, &taps, sum);
    image_release(im);
    *im = made;
out:
    free(sum);
    taps_release(&taps);
    return st;
}

enum status image_resize(struct image *out, const struct image *in, int64_t height, int64_t width,
                         enum resize_filter filter, struct error *err)
{
    bool alpha = in->channels == 2 || in->channels == 4;
    struct image made = {0};
    enum status st;

    if ((st = image_check_size(height, width, err)) || (st = image_copy(&made, in, err)))
        goto out;
    if (alpha)
        premultiply(&made);
    if ((st = resize_width(&made, width, filter, err)) ||
        (st = resize_height(&made, height, filter, err)))
        goto out;
    if (alpha)
        unmultiply(&made);
out:
    if (st)
        image_release(&made);
    else if (out == in)
        image_release(out);
    if (!st || out != in)
        *out = made;
    return st;
}

/* Cut the centre out of *im, in place. */
static void cut_centre(struct image *im, int64_t height, int64_t width)
{
    int64_t top = (im->height - height) / 2, left = (im->width - width) / 2, c = im->channels;

    /* Rows move towards the front, so none is overwritten before it is read. */
    for (int64_t y = 0; y < height; y++)
        memmove(im->pixels + y * width * c, im->pixels + ((top + y) * im->width + left) * c,
                (size_t)(width * c));
    im->height = height;
    im->width = width;
}

enum status image_fit(struct image *out, const struct image *in, int64_t height, int64_t width,
                      struct error *err)
{
    double tall = (double)height / (double)in->height, wide = (double)width / (double)in->width;
    double scale = tall > wide ? tall : wide;
    int64_t to_height = llround((double)in->height * scale);
    int64_t to_width = llround((double)in->width * scale);
    enum status st;

    /* Rounding must not leave the result a pixel short. */
    to_height = to_height > height ? to_height : height;
    to_width = to_width > width ? to_width : width;
    if ((st = image_resize(out, in, to_height, to_width, RESIZE_BICUBIC, err)))
        return st;
    cut_centre(out, height, width);
    return OK;
}
