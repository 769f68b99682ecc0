/*
 * bicubic.c - what an upsampler is worth: its clips and bicubic interpolation, against the
 * originals
 *
 * Whoever makes small pictures large has bicubic interpolation for nothing, so that is what a
 * network has to beat, on pictures that it never saw, from the same small ones: the originals made
 * smaller by antialiased bicubic interpolation in 8 bits, as in the literature of super-resolution.
 * The gain is taken frame by frame, where both had the same to begin with.
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "base/whole.h"
#include "pipeline/condition.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* Equal pictures, whose ratio is infinite, count as if half a level of one pixel differed. */
static double ratio(const uint8_t *a, const uint8_t *b, int64_t n)
{
    return fmin(psnr(a, b, n), 10 * log10(4.0 * 255.0 * 255.0 * (double)n));
}

/* Ratio of one frame, `times` smaller and enlarged again, against itself. */
static enum status ratio_of_bicubic(double *out, const uint8_t *frame, const struct view_shape *s,
                                    int64_t times, struct error *err)
{
    int64_t n = view_length(s);
    struct image in = {s->height / times, s->width / times, s->channels, NULL}, made = {0};
    enum status st;

    if (!(st = mem_new((void **)&in.pixels, (uint64_t)(n / (times * times)), sizeof *in.pixels,
                       "a smaller picture", err)) &&
        !(st = condition_shrink(in.pixels, frame, s, times, err)) &&
        !(st = image_resize(&made, &in, s->height, s->width, RESIZE_BICUBIC, err)))
        *out = ratio(made.pixels, frame, n);
    image_release(&made);
    free(in.pixels);
    return st;
}

enum status bicubic_ratios(double *ours, double *bicubic, const uint8_t *pictures,
                           const uint8_t *originals, int64_t n, const struct picture_set *p,
                           int64_t times, struct error *err)
{
    const struct view_shape frame = {p->height, p->width, p->channels, 1};
    int64_t length = view_length(&frame);
    enum status failed = OK;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        struct error mine = {0};
        enum status st =
            ratio_of_bicubic(&bicubic[i], originals + i * length, &frame, times, &mine);

        ours[i] = ratio(pictures + i * length, originals + i * length, length);
        if (st) {
#pragma omp critical(bicubic_failed)
            {
                failed = st;
                if (err)
                    *err = mine;
            }
        }
    }
    return failed;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures;
    int64_t n = p->n * whole_max(p->frames, 1), times = t->options.upscale, better = 0;
    double *ours = NULL, *bicubic = NULL;
    enum status st;

    if (p->height % times || p->width % times)
        return fail(err, E_ARG,
                    "pictures of %" PRId64 " x %" PRId64 " made %" PRId64 " times smaller",
                    p->width, p->height, times);
    if ((st = mem_new((void **)&ours, (uint64_t)n, sizeof *ours, "ratios", err)) ||
        (st = mem_new((void **)&bicubic, (uint64_t)n, sizeof *bicubic, "ratios", err)) ||
        (st = bicubic_ratios(ours, bicubic, p->pixels, t->reference.pixels, n, p, times, err)))
        goto out;
    measure_add_mean(out, "psnr_upscaled", ours, n, "dB, of %" PRId64 " pictures or frames", n);
    measure_add_mean(out, "psnr_bicubic", bicubic, n,
                     "dB, the same by bicubic interpolation from %" PRId64 " x %" PRId64,
                     p->width / times, p->height / times);
    for (int64_t i = 0; i < n; i++) {
        better += ours[i] > bicubic[i];
        ours[i] -= bicubic[i];
    }
    measure_add_mean(out, "psnr_gain", ours, n,
                     "dB above that; %" PRId64 " of %" PRId64 " are better", better, n);
out:
    free(ours);
    free(bicubic);
    return st;
}

const struct measure measure_bicubic = {
    .name = "bicubic",
    .summary = "peak signal to noise of pictures made larger, beside bicubic interpolation",
    .needs = NEEDS_REFERENCE | NEEDS_PIXELS | NEEDS_PAIRS | NEEDS_SMALLER,
    .of_clips = true,
    .run = run,
};
