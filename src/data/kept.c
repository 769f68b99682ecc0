/*
 * kept.c - pictures and clips of files brought to one size, and kept once they are decoded
 *
 * A picture is decoded when it is asked for, laid over the background where it is transparent, its
 * shorter side scaled to the asked size, and the centre cut out.  When the whole set at that size
 * fits in 512 MiB, each result is kept as bytes: the second epoch then costs a copy instead of a
 * JPEG.  The place of a kept picture is an atomic pointer that goes once from NULL to its bytes, so
 * readers need no lock; two threads that decode the same picture at once both get it, and one of
 * the results is dropped.  A picture
 * is a clip of one frame, so there is one case.
 */
#include "data/kept.h"

#include "base/memory.h"
#include "data/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const int64_t most_kept = INT64_C(512) << 20;

enum status kept_init(struct kept *k, const struct dataset *d, const uint8_t background[3],
                      kept_read *read, const void *user, struct error *err)
{
    int64_t bytes = dataset_length(d);

    *k = (struct kept){.n = d->count,
                       .frames = d->frames ? d->frames : 1,
                       .height = d->height,
                       .width = d->width,
                       .channels = d->channels,
                       .read = read,
                       .user = user};
    memcpy(k->background, background, sizeof k->background);
    if (k->n > most_kept / bytes)
        return OK;
    return mem_new((void **)&k->at, (uint64_t)k->n, sizeof *k->at, "a list of pictures", err);
}

void kept_release(struct kept *k)
{
    for (int64_t i = 0; k->at && i < k->n; i++)
        free(atomic_load(&k->at[i]));
    free((void *)k->at);
    *k = (struct kept){0};
}

static int64_t frame_bytes(const struct kept *k)
{
    return k->height * k->width * k->channels;
}

static enum status shape_frames(struct kept_clip *out, const struct kept *k,
                                const struct clip *whole, struct error *err)
{
    enum status st;

    MUST(whole->frames == k->frames, "%" PRId64 " frames for %" PRId64, whole->frames, k->frames);
    out->rate = whole->rate;
    for (int64_t t = 0; t < k->frames; t++) {
        struct image frame = clip_frame(whole, t), im = {0};

        if ((st = picture_shape(&im, &frame, k->height, k->width, k->channels, k->background, false,
                                err)))
            return st;
        memcpy(out->pixels + t * frame_bytes(k), im.pixels, (size_t)frame_bytes(k));
        image_release(&im);
    }
    return OK;
}

/* *out is freed by the caller, after a failure too. */
static enum status shaped(struct kept_clip **out, const struct kept *k, int64_t i,
                          struct error *err)
{
    uint64_t bytes = sizeof **out + (uint64_t)(k->frames * frame_bytes(k));
    struct clip whole = {0};
    enum status st;

    if ((st = k->read(&whole, i, k->user, err)))
        return st;
    if ((st = mem_new((void **)out, bytes, 1, "the pixels of a picture", err)) ||
        (st = shape_frames(*out, k, &whole, err)))
        fail_under(err, "picture %" PRId64, i);
    clip_release(&whole);
    return st;
}

enum status kept_get(const struct kept *k, float *pixels, double *rate, int64_t i,
                     struct error *err)
{
    struct kept_clip *there = k->at ? atomic_load(&k->at[i]) : NULL, *made = NULL, *none = NULL;
    enum status st = OK;

    if (!there) {
        st = shaped(&made, k, i, err);
        there = made;
    }
    if (!st) {
        picture_floats(pixels, there->pixels, k->frames * frame_bytes(k));
        if (rate)
            *rate = there->rate;
        if (made && k->at && atomic_compare_exchange_strong(&k->at[i], &none, made))
            made = NULL; /* it is kept from here on */
    }
    free(made);
    return st;
}
