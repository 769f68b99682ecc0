/*
 * stored.c - small pictures of one size held in memory: what IDX and CIFAR files become
 *
 * Bytes are kept as the file has them (47 MB for 60,000 digits; as floats of the asked size it
 * would be 245 MB) and brought to the asked shape one picture at a time.  Nothing changes after
 * opening, so any number of threads may read.
 */
#include "data/stored.h"

#include "data/picture.h"

#include <stdlib.h>

void stored_release(struct stored *s)
{
    free(s->pixels);
    free(s->labels);
    *s = (struct stored){0};
}

void stored_describe(struct dataset *d, const struct stored *s, const struct dataset_config *c)
{
    d->count = s->n;
    d->height = c->size ? c->size : s->height;
    d->width = c->size ? c->size : s->width;
    d->channels = c->channels ? c->channels : s->channels;
}

enum status stored_get(const struct dataset *d, const struct stored *s, int64_t i, float *pixels,
                       int32_t *label, struct error *err)
{
    int64_t bytes = s->height * s->width * s->channels;
    struct image in = {s->height, s->width, s->channels, s->pixels + i * bytes}, out = {0};
    enum status st;

    *label = s->labels ? s->labels[i] : -1;
    if (d->height == s->height && d->width == s->width && d->channels == s->channels) {
        picture_floats(pixels, in.pixels, bytes);
        return OK;
    }
    if ((st = picture_shape(&out, &in, d->height, d->width, d->channels, s->background, true, err)))
        return st;
    picture_floats(pixels, out.pixels, d->height * d->width * d->channels);
    image_release(&out);
    return OK;
}
