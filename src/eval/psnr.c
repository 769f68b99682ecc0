/*
 * psnr.c - how much noise a picture has against the one it should be
 *
 * The peak signal over the mean squared difference, in decibels: 6 more are half the error.  It is
 * what an autoencoder's reconstructions are told by.  It sees every pixel alone, so that a picture
 * moved by one pixel is as bad as a blurred one; ssim.c looks at neighbourhoods.
 *
 * Equal pictures have no noise, and no mean can hold their infinity: they are counted, and the mean
 * and its spread are those of the others.  The figure over all pictures together, from the mean of
 * all squares, counts every picture; it is the lower of the two, by Jensen's inequality.
 *
 * Of clips every frame is a picture of its own.
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* The finite values of value [n] moved to its front; returns how many they are. */
static int64_t drop_equal(double *value, int64_t n, double *lowest)
{
    int64_t kept = 0;

    *lowest = HUGE_VAL;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(value[i])) {
            *lowest = fmin(*lowest, value[i]);
            value[kept++] = value[i];
        }
    return kept;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures, *r = &t->reference;
    int64_t length = set_frame(p), n = p->n * set_frames(p), differ;
    const char *of = set_frames(p) > 1 ? "pairs of frames" : "pairs";
    double *value, lowest, square = 0;
    enum status st;

    if ((st = mem_new((void **)&value, (uint64_t)n, sizeof *value, "ratios", err)))
        return st;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        value[i] = psnr(p->pixels + i * length, r->pixels + i * length, length);
    for (int64_t i = 0; i < n; i++)
        square += 255.0 * 255.0 * pow(10, -value[i] / 10) / (double)n;
    if ((differ = drop_equal(value, n, &lowest))) {
        measure_add_mean(out, "psnr", value, differ,
                         "dB, of %" PRId64 " %s (%" PRId64 " more are equal), lowest %.2f", differ,
                         of, n - differ, lowest);
        measure_add(out, "psnr_overall", 10 * log10(255.0 * 255.0 / square), -1,
                    "dB, of all squares together");
    } else {
        measure_add(out, "psnr", HUGE_VAL, -1, "all %" PRId64 " %s are equal", n, of);
    }
    free(value);
    return OK;
}

const struct measure measure_psnr = {
    .name = "psnr",
    .summary = "peak signal to noise of pictures against their originals",
    .needs = NEEDS_REFERENCE | NEEDS_PIXELS | NEEDS_PAIRS,
    .of_clips = true,
    .run = run,
};
