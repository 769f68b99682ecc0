/*
 * condition_set.c - a set of what is told of the clips of another
 *
 * Whoever trains on latents encodes each clip once and never sees pixels again, so what the network
 * is told of them (condition.h) must be encoded once too.  As a set like any other it goes the way
 * of the clips: into a cache of its own, checked against pictures and captions, gone on with where
 * it was left.  Its i-th belongs to the i-th clip, mirrored ones included.
 */
#include "pipeline/condition_set.h"

#include "base/memory.h"
#include "base/whole.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct told {
    const struct dataset *of;
    struct condition_kind kind;
};

static enum status told_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                            char caption[CAPTION_TEXT], struct error *err)
{
    const struct told *t = d->impl;
    const struct view_shape shape = {d->height, d->width, d->channels, whole_max(d->frames, 1)};
    float *clip;
    enum status st;

    if ((st =
             mem_new((void **)&clip, (uint64_t)dataset_length(t->of), sizeof *clip, "a clip", err)))
        return st;
    if (!(st = dataset_get(t->of, i, clip, label, caption, err)) && t->kind.upscale)
        st = condition_blur(pixels, clip, &shape, t->kind.upscale, err);
    else if (!st)
        memcpy(pixels, clip, (size_t)dataset_length(d) * sizeof *clip);
    free(clip);
    return st;
}

static void told_close(struct dataset *d)
{
    free(d->impl);
}

static const struct dataset_format told_format = {
    .name = "condition", .get = told_get, .close = told_close};

enum status condition_set_check(const struct dataset *of, struct condition_kind k,
                                struct error *err)
{
    if (k.first_frame && k.upscale)
        return fail(err, E_ARG, "movie.first_frame, movie.upscale: these exclude each other");
    if (k.first_frame && of->frames < 2)
        return fail(err, E_ARG,
                    "movie.first_frame: the data are no clips, and have no first frame");
    if (k.upscale && (of->height % k.upscale || of->width % k.upscale))
        return fail(err, E_ARG,
                    "movie.upscale: pictures of %" PRId64 " x %" PRId64 " cannot be made %" PRId64
                    " times smaller",
                    of->width, of->height, k.upscale);
    return OK;
}

enum status condition_set_open(struct dataset **out, const struct dataset *of,
                               struct condition_kind k, struct error *err)
{
    struct dataset *d;
    struct told *t;
    enum status st;

    *out = NULL;
    MUST(condition_is_made(k), "a set of what nobody is told");
    if ((st = condition_set_check(of, k, err)) ||
        (st = mem_new((void **)&d, 1, sizeof *d, "a data set", err)))
        return st;
    *d = (struct dataset){.format = &told_format,
                          .count = of->count,
                          .height = of->height,
                          .width = of->width,
                          .channels = of->channels,
                          .frames = k.upscale ? of->frames : 1,
                          .flips = of->flips};
    if (!(st = mem_new((void **)&t, 1, sizeof *t, "a data set", err))) {
        *t = (struct told){of, k};
        d->impl = t;
        if (of->n_classes)
            st = dataset_name_classes(d, of->n_classes, (const char *const *)of->class_names, err);
    }
    if (st)
        dataset_close(d);
    else
        *out = d;
    return st;
}
