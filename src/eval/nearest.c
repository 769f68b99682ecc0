/*
 * nearest.c - was a picture made, or remembered?
 *
 * A model that returns its training pictures has a perfect Frechet distance.  The nearest training
 * picture to each made one, in plain pixels, shows it: a copy lies at distance 0, and a memory with
 * a little noise on it lies much nearer to one training picture than to any other, while a new
 * picture has several companions about equally far.  Hence the distance to the second neighbour:
 * the ratio needs no idea of what is near.  Below 1/3 is commonly called memorised (Yoon et al.
 * 2023); copies that were moved or mirrored escape it, as they do every measure in pixels.
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { QUERIES = 16 };

struct best {
    int64_t which, first, second;
};

static void consider(struct best *best, int64_t which, int64_t d)
{
    if (d < best->first) {
        *best = (struct best){which, d, best->first};
    } else if (d < best->second) {
        best->second = d;
    }
}

/* A few pictures of a at a time, so that each picture of b is read from memory once for all of
 * them. */
static void find_few(struct neighbour *out, const uint8_t *a, int64_t n, struct pixel_set b,
                     int64_t length)
{
    double whole = 255.0 * 255.0 * (double)length;
    struct best best[QUERIES];

    for (int64_t i = 0; i < n; i++)
        best[i] = (struct best){0, INT64_MAX, INT64_MAX};
    for (int64_t j = 0; j < b.n; j++)
        for (int64_t i = 0; i < n; i++)
            consider(&best[i], j, pixel_square(a + i * length, b.pixels + j * length, length));
    for (int64_t i = 0; i < n; i++)
        out[i] = (struct neighbour){best[i].which, sqrt((double)best[i].first / whole),
                                    sqrt((double)best[i].second / whole)};
}

enum status nearest_find(struct neighbour *out, struct pixel_set a, struct pixel_set b,
                         int64_t length, struct error *err)
{
    if (b.n < 2)
        return fail(err, E_ARG,
                    "%" PRId64 " pictures have no second neighbour among them: 2 or more", b.n);
#pragma omp parallel for schedule(dynamic)
    for (int64_t first = 0; first < a.n; first += QUERIES)
        find_few(out + first, a.pixels + first * length,
                 a.n - first < QUERIES ? a.n - first : QUERIES, b, length);
    return OK;
}

/* Of the distance to the second neighbour: below it, a picture counts as remembered. */
static const double memory_ratio = 1.0 / 3;

static void summarise(struct measure_result *out, const struct neighbour *at, int64_t n)
{
    double distance = 0, ratio = 0;
    int64_t remembered = 0, copies = 0;

    for (int64_t i = 0; i < n; i++) {
        double r = at[i].second > 0 ? at[i].distance / at[i].second : 1;

        distance += at[i].distance / (double)n;
        ratio += r / (double)n;
        remembered += r < memory_ratio;
        copies += !(at[i].distance > 0);
    }
    measure_add(out, "nearest", distance, -1,
                "mean difference of a pixel to the nearest, of 0 to 1");
    measure_add(out, "nearest_ratio", ratio, -1, "mean, to the second nearest");
    measure_add(out, "remembered", (double)remembered / (double)n, -1,
                "%" PRId64 " of %" PRId64 " with a ratio below 1/3, %" PRId64 " copies", remembered,
                n, copies);
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures;
    struct neighbour *own = NULL, *at = t->nearest;
    enum status st;

    if (!at && (st = mem_new((void **)&own, (uint64_t)p->n, sizeof *own, "neighbours", err)))
        return st;
    at = at ? at : own;
    if (!(st = nearest_find(at, (struct pixel_set){p->pixels, p->n},
                            (struct pixel_set){t->reference.pixels, t->reference.n}, set_length(p),
                            err)))
        summarise(out, at, p->n);
    free(own);
    return st;
}

const struct measure measure_nearest = {
    .name = "nearest",
    .summary = "nearest picture of the reference, in pixels: made, or remembered?",
    .paper = "Yoon et al. 2023",
    .needs = NEEDS_REFERENCE | NEEDS_PIXELS,
    .of_clips = true,
    .run = run,
};
