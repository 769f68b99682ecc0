/*
 * kept.c - pictures of files brought to one size, and kept once they are decoded
 *
 * A picture is decoded when it is asked for, laid over the background where it is transparent, its
 * shorter side scaled to the asked size, and the centre cut out.  When the whole set at that size
 * fits in 512 MiB, each result is kept as bytes: the second epoch then costs a copy instead of a
 * JPEG.  The place of a kept picture is an atomic pointer that goes once from NULL to its bytes, so
 * readers need no lock; two threads that decode the same picture at once both get it, and one of
 * the results is dropped.
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
    int64_t bytes = d->height * d->width * d->channels;

    *k = (struct kept){.n = d->count,
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

static enum status shaped(struct image *out, const struct kept *k, int64_t i, struct error *err)
{
    struct image whole = {0};
    enum status st;

    if ((st = k->read(&whole, i, k->user, err)))
        return st;
    st = picture_shape(out, &whole, k->height, k->width, k->channels, k->background, false, err);
    if (st)
        fail_under(err, "picture %" PRId64, i);
    image_release(&whole);
    return st;
}

enum status kept_get(const struct kept *k, float *pixels, int64_t i, struct error *err)
{
    int64_t n = k->height * k->width * k->channels;
    const uint8_t *there = k->at ? atomic_load(&k->at[i]) : NULL;
    uint8_t *none = NULL;
    struct image im = {0};
    enum status st;

    if (there) {
        picture_floats(pixels, there, n);
        return OK;
    }
    if ((st = shaped(&im, k, i, err)))
        return st;
    picture_floats(pixels, im.pixels, n);
    if (k->at && atomic_compare_exchange_strong(&k->at[i], &none, im.pixels))
        im.pixels = NULL; /* it is kept from here on */
    image_release(&im);
    return OK;
}
