/*
 * flicker.c - do clips shimmer?
 *
 * What an autoencoder or a generator makes frame by frame may be fine in each frame and restless
 * from one to the next: surfaces that should stand still change their grey a little, edges tremble.
 * No measure of single frames sees that.  The first difference in time cannot tell it from motion,
 * which true clips have as well; the second is zero for all that changes steadily, and what is left
 * of motion (an edge comes, and is gone) true clips have alike.  So the figure stands beside that
 * of the reference, and their ratio is 1 where nothing shimmers more than it should.
 *
 * Where the true clip is known the question can be asked directly: what changes, where nothing
 * should?  movie-gen.md 8.
 *
 * Sums are whole numbers: they have no order.
 */
#include "eval/measure.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

double flicker_second(const uint8_t *x, int64_t frames, int64_t length)
{
    int64_t sum = 0;

    MUST(frames >= 3 && length > 0, "%" PRId64 " frames of %" PRId64, frames, length);
    for (int64_t i = length; i < (frames - 1) * length; i++)
        sum += abs(x[i + length] - 2 * x[i] + x[i - length]);
    return (double)sum / (double)((frames - 2) * length) / 255;
}

double flicker_still(const uint8_t *x, const uint8_t *y, int64_t frames, int64_t length)
{
    int64_t sum = 0, still = 0;

    for (int64_t i = length; i < frames * length; i++)
        if (abs(y[i] - y[i - length]) <= FLICKER_STILL) {
            sum += abs(x[i] - x[i - length]);
            still++;
        }
    return still ? (double)sum / (double)still / 255 : -1;
}

/* The second differences of n clips, one a clip. */
static void second_of_all(double *out, const struct picture_set *p)
{
    int64_t frames = set_frames(p), length = set_frame(p);

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++)
        out[i] = flicker_second(p->pixels + i * frames * length, frames, length);
}

static double mean_of(const double *value, int64_t n)
{
    double mean = 0;

    for (int64_t i = 0; i < n; i++)
        mean += value[i] / (double)n;
    return mean;
}

/* Beside the reference's. */
static void add_ratio(struct measure_result *out, double own, double *value,
                      const struct picture_set *r)
{
    second_of_all(value, r);
    measure_add_mean(out, "flicker_reference", value, r->n, "the same of the reference");
    if (mean_of(value, r->n) > 0)
        measure_add(out, "flicker_ratio", own / mean_of(value, r->n), -1,
                    "1: as restless as the reference");
}

/* Of pairs, where the true clip stands still. */
static void add_still(struct measure_result *out, double *value, const struct measure_task *t)
{
    const struct picture_set *p = &t->pictures, *r = &t->reference;
    int64_t frames = set_frames(p), length = set_frame(p), n = 0;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < p->n; i++)
        value[i] = flicker_still(p->pixels + i * frames * length, r->pixels + i * frames * length,
                                 frames, length);
    for (int64_t i = 0; i < p->n; i++)
        if (value[i] >= 0)
            value[n++] = value[i];
    if (n)
        measure_add_mean(out, "flicker_still", value, n,
                         "mean change from frame to frame where the true clip has none");
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures, *r = &t->reference;
    int64_t most = p->n > r->n ? p->n : r->n;
    double *value, own;
    enum status st;

    if ((st = mem_new((void **)&value, (uint64_t)most, sizeof *value, "differences", err)))
        return st;
    second_of_all(value, p);
    own = mean_of(value, p->n);
    measure_add_mean(out, "flicker", value, p->n,
                     "mean second difference in time, black to white being 1");
    if (r->n && r->pixels && set_frames(r) >= 3)
        add_ratio(out, own, value, r);
    if (r->n && r->pixels && t->paired)
        add_still(out, value, t);
    free(value);
    return OK;
}

const struct measure measure_flicker = {
    .name = "flicker",
    .summary = "what trembles from frame to frame of clips, beside that of true ones",
    .needs = NEEDS_MOTION,
    .of_clips = true,
    .run = run,
};
