/*
 * first_frame.c - whether a clip begins with the frame that it was given
 *
 * A model that makes a given picture move draws it anew with all the others, and through an
 * autoencoder it never comes back exactly.  How near it is, in decibels, says whether it is that
 * picture which moves; whether it moves as asked, obedience says.
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "base/whole.h"
#include "pipeline/picture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures;
    int64_t frame = p->height * p->width * p->channels, clip = whole_max(p->frames, 1) * frame,
            kept = 0;
    double *value, lowest = HUGE_VAL;
    enum status st;

    if ((st = mem_new((void **)&value, (uint64_t)p->n, sizeof *value, "ratios", err)))
        return st;
    for (int64_t i = 0; i < p->n; i++) {
        double one = psnr(p->pixels + i * clip, t->reference.pixels + i * clip, frame);

        lowest = fmin(lowest, one);
        if (isfinite(one))
            value[kept++] = one;
    }
    if (kept)
        measure_add_mean(out, "psnr_first_frame", value, kept,
                         "dB, of %" PRId64 " clips (%" PRId64 " more are equal), lowest %.2f", kept,
                         p->n - kept, lowest);
    else
        measure_add(out, "psnr_first_frame", HUGE_VAL, -1, "all %" PRId64 " are equal", p->n);
    free(value);
    return OK;
}

const struct measure measure_first_frame = {
    .name = "first_frame",
    .summary = "peak signal to noise of the first frames of clips against those that were given",
    .needs = NEEDS_REFERENCE | NEEDS_PIXELS | NEEDS_PAIRS | NEEDS_FIRST_FRAME,
    .of_clips = true,
    .run = run,
};
