/*
 * scaling.c - pictures of any size, scaled as published measures scale them
 *
 * The distance that papers print as FID is taken on pictures of 299 x 299, and most pictures are
 * not: how they are scaled moves it by more than many papers' gains (Parmar, Zhang and Zhu 2022).
 * Three ways are in use, and none is wrong as long as it is named:
 *
 *     tensorflow  the graph of 2015 scales inside, bilinearly, pixel i of the result lying over
 *                 i from / to: corners meet at the top and on the left alone, and nothing is
 *                 averaged where a picture shrinks.  Figures in papers were mostly made so.
 *     pytorch     bilinear too, with the centres of pixels aligned, (i + 1/2) from / to - 1/2, as
 *                 pytorch-fid does.
 *     clean       bicubic, widened where a picture shrinks so that every pixel counts, and never
 *                 rounded in between, as clean-fid does.
 *
 * They differ in the range too: two take black to white as -1 .. 127/128, one as -1 .. 1.
 *
 * All are linear along each axis, so a way is one function that tells the weights, and one loop
 * serves them: rows are mixed into one row, then its pixels.  The result keeps fractions of grey
 * levels: rounding to 8 bits (io/resize.c) is what no one of them does.
 */
#include "eval/scaling.h"

#include "base/memory.h"
#include "base/simd.h"
#include "io/image.h"

#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3 };

/* --- the ways ---------------------------------------------------------------------------------
 */

/* Between the two pixels around `place`; past the last one there is no second. */
static int64_t between(double *out, int64_t *first, double place, int64_t from)
{
    int64_t lower = (int64_t)place;

    *first = lower < from ? lower : from - 1;
    if (*first + 1 >= from) {
        out[0] = 1;
        return 1;
    }
    out[1] = place - (double)lower;
    out[0] = 1 - out[1];
    return 2;
}

static int64_t corner_weights(double *out, int64_t *first, int64_t i, int64_t from, int64_t to)
{
    return between(out, first, (double)i * (double)from / (double)to, from);
}

static int64_t centre_weights(double *out, int64_t *first, int64_t i, int64_t from, int64_t to)
{
    double place = ((double)i + 0.5) * (double)from / (double)to - 0.5;

    return between(out, first, place > 0 ? place : 0, from);
}

static int64_t bilinear_room(int64_t from, int64_t to)
{
    (void)from;
    (void)to;
    return 2;
}

static int64_t bicubic_weights(double *out, int64_t *first, int64_t i, int64_t from, int64_t to)
{
    return resize_weights(out, first, i, from, to, RESIZE_BICUBIC);
}

static int64_t bicubic_room(int64_t from, int64_t to)
{
    return resize_room(from, to, RESIZE_BICUBIC);
}

static const struct scaling_way ways[] = {
    {"tensorflow",
     "bilinear from the top left corner, no antialiasing, (v - 128) / 128: as the graph of 2015",
     128, 128, corner_weights, bilinear_room},
    {"pytorch", "bilinear from centres, no antialiasing, v / 127.5 - 1: as pytorch-fid", 127.5,
     127.5, centre_weights, bilinear_room},
    {"clean", "bicubic, antialiased, unrounded, (v - 128) / 128: as clean-fid", 128, 128,
     bicubic_weights, bicubic_room},
};

const struct scaling_way *scaling_at(int i)
{
    return i >= 0 && i < (int)(sizeof ways / sizeof *ways) ? &ways[i] : NULL;
}

enum status scaling_find(const struct scaling_way **out, const char *name, struct error *err)
{
    for (int i = 0; scaling_at(i); i++)
        if (!strcmp(scaling_at(i)->name, name)) {
            *out = scaling_at(i);
            return OK;
        }
    return fail(err, E_ARG, "there is no resize '%s': tensorflow, pytorch or clean", name);
}

/* --- along one axis ---------------------------------------------------------------------------
 */

/* Result i is the sum over k < span[i].n of weight[i room + k] times pixel span[i].first + k. */
struct axis {
    struct span {
        int64_t first, n;
    } * span;
    float *weight; /* [results, room] */
    int64_t room;
};

static void axis_release(struct axis *a)
{
    free(a->span);
    free(a->weight);
}

/* half: what a level is divided by, or 1. */
static enum status axis_init(struct axis *a, const struct scaling_way *way, int64_t from,
                             int64_t to, double half, struct error *err)
{
    double *w = NULL;
    enum status st;

    a->room = way->room(from, to);
    if ((st = mem_new((void **)&a->span, (uint64_t)to, sizeof *a->span, "scaling", err)) ||
        (st = mem_new((void **)&a->weight, (uint64_t)(to * a->room), sizeof *a->weight, "scaling",
                      err)) ||
        (st = mem_new((void **)&w, (uint64_t)a->room, sizeof *w, "scaling", err)))
        return st;
    for (int64_t i = 0; i < to; i++) {
        a->span[i].n = way->weights(w, &a->span[i].first, i, from, to);
        for (int64_t k = 0; k < a->span[i].n; k++)
            a->weight[i * a->room + k] = (float)(w[k] / half);
    }
    free(w);
    return OK;
}

/* --- both -------------------------------------------------------------------------------------
 */

struct scaling {
    int64_t height, width, channels, side;
    float black; /* what level 0 becomes */
    struct axis down, across;
};

enum status scaling_new(struct scaling **out, const struct scaling_way *way, int64_t height,
                        int64_t width, int64_t channels, int64_t side, struct error *err)
{
    struct scaling *s = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&s, 1, sizeof *s, "scaling", err)))
        return st;
    s->height = height;
    s->width = width;
    s->channels = channels;
    s->side = side;
    s->black = (float)(-way->middle / way->half);
    if ((st = axis_init(&s->down, way, height, side, way->half, err)) ||
        (st = axis_init(&s->across, way, width, side, 1, err))) {
        scaling_free(s);
        return st;
    }
    *out = s;
    return OK;
}

void scaling_free(struct scaling *s)
{
    if (!s)
        return;
    axis_release(&s->down);
    axis_release(&s->across);
    free(s);
}

IMGEN_CLONES static void add_row(float *restrict row, const uint8_t *restrict from, float weight,
                                 int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        row[i] += weight * (float)from[i];
}

/* row: [width, channels], what is left of the picture at one height; out: [side, 3]. */
static void across(float *out, const struct scaling *s, const float *row)
{
    const struct axis *a = &s->across;
    int64_t C = s->channels;

    for (int64_t x = 0; x < s->side; x++)
        for (int64_t c = 0; c < CHANNELS; c++) {
            const float *w = a->weight + x * a->room;
            const float *from = row + a->span[x].first * C + (C == CHANNELS ? c : 0);
            float sum = 0;

            for (int64_t k = 0; k < a->span[x].n; k++)
                sum += w[k] * from[k * C];
            out[x * CHANNELS + c] = sum + s->black;
        }
}

/* Row y of the scaled picture; row: scratch [width, channels]. */
static void scale_row(float *out, const struct scaling *s, const uint8_t *pixels, int64_t y,
                      float *row)
{
    int64_t n = s->width * s->channels;
    const struct span at = s->down.span[y];

    memset(row, 0, (size_t)n * sizeof *row);
    for (int64_t k = 0; k < at.n; k++)
        add_row(row, pixels + (at.first + k) * n, s->down.weight[y * s->down.room + k], n);
    across(out, s, row);
}

enum status scaling_run(const struct scaling *s, float *out, const uint8_t *pixels, int64_t n,
                        int threads, struct error *err)
{
    int64_t row = s->width * s->channels, rows = n * s->side;
    float *scratch;
    enum status st;

    if ((st = mem_new((void **)&scratch, (uint64_t)threads, (uint64_t)row * sizeof *scratch,
                      "scaling", err)))
        return st;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = 0; r < rows; r++)
        scale_row(out + r * s->side * CHANNELS, s, pixels + r / s->side * s->height * row,
                  r % s->side, scratch + omp_get_thread_num() * row);
    free(scratch);
    return OK;
}
