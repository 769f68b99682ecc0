/*
 * latents.c - a cache of latents as a data set
 *
 * A latent model is trained for days on pictures that an autoencoder would encode again and again;
 * encoded once and mapped, a sample is a copy of a few kilobytes, and the file system's cache is
 * the only one there is.
 *
 * An autoencoder's channels have means and deviations of its own choice, and the noise of every
 * path is of deviation 1: each channel is brought to mean 0 and deviation 1 over the set, (z -
 * mean) / deviation, as theory.md (6.1) does with one number for all of them.  Whoever decodes must
 * know the numbers: latents_info tells them.
 *
 * All parts are read once at opening, for their checksums.  A cache that trains a wrong model for
 * days is worse than one that opens a few seconds later.
 */
#include "data/latents.h"

#include "base/memory.h"
#include "data/latents_file.h"
#include "data/latents_index.h"
#include "data/latents_part.h"
#include "data/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct latents {
    struct latents_index index;
    struct latents_part *parts; /* [index.n_parts] */
    struct latents_info info;
};

/* What the caller asked for and the cache is not. */
static enum status check_config(const struct latents_index *x, const struct dataset_config *c,
                                const char *path, struct error *err)
{
    if (c->autoencoder && strcmp(c->autoencoder, x->autoencoder) != 0)
        return fail(err, E_FORMAT, "%s: latents of the autoencoder %s, not of %s", path,
                    x->autoencoder, c->autoencoder);
    if (c->size && (c->size != x->height || c->size != x->width))
        return fail(err, E_ARG,
                    "%s: latents are not resized: they are %" PRId64 " x %" PRId64 ", not %" PRId64,
                    path, x->width, x->height, c->size);
    if (c->channels && c->channels != x->channels)
        return fail(err, E_ARG, "%s: latents of %" PRId64 " channels, not %" PRId64, path,
                    x->channels, c->channels);
    return OK;
}

/* The part is the one that the index means. */
static enum status check_part(const struct latents_part *p, const struct latents_entry *e,
                              const struct latents_index *x, struct error *err)
{
    if (strcmp(p->checksum, e->checksum) != 0)
        return fail(err, E_FORMAT, "not the part of the index: its checksum is %s, not %s",
                    p->checksum, e->checksum);
    if (strcmp(p->autoencoder, x->autoencoder) != 0)
        return fail(err, E_FORMAT, "latents of the autoencoder %s, not of %s", p->autoencoder,
                    x->autoencoder);
    if (p->frames != x->frames)
        return fail(err, E_FORMAT, "latents of %" PRId64 " frames, not of %" PRId64, p->frames,
                    x->frames);
    if (p->first != e->first || p->n != e->count || p->height != x->height ||
        p->width != x->width || p->channels != x->channels)
        return fail(err, E_FORMAT,
                    "%" PRId64 " latents of %" PRId64 " x %" PRId64 " x %" PRId64 " from %" PRId64
                    " on, not %" PRId64 " of %" PRId64 " x %" PRId64 " x %" PRId64 " from %" PRId64,
                    p->n, p->height, p->width, p->channels, p->first, e->count, x->height, x->width,
                    x->channels, e->first);
    for (int64_t i = 0; i < p->n; i++)
        if (latents_part_label(p, i) >= x->n_classes)
            return fail(err, E_FORMAT, "label %" PRId64 " is %d, and there are %" PRId64 " classes",
                        i, latents_part_label(p, i), x->n_classes);
    return OK;
}

static enum status open_part(struct latents *l, int64_t k, const char *folder, struct error *err)
{
    const struct latents_entry *e = &l->index.parts[k];
    char *path;
    enum status st;

    if ((st = latents_part_path(&path, folder, e->first, err)))
        return st;
    if (!(st = latents_part_open(&l->parts[k], path, err)) &&
        (st = check_part(&l->parts[k], e, &l->index, err)))
        fail_under(err, "%s", path);
    free(path);
    return st;
}

static enum status open_index(struct latents *l, const struct dataset_config *c, struct error *err)
{
    char *path;
    enum status st;

    if ((st = latents_index_path(&path, c->path, err)))
        return st;
    if (!path_is_file(path))
        st = fail(err, E_IO,
                  "%s is not there: no latents, or their encoding was not finished and can go on",
                  path);
    else if (!(st = latents_index_read(&l->index, path, err)))
        st = check_config(&l->index, c, path, err);
    free(path);
    return st;
}

static enum status latents_open(struct dataset *d, const struct dataset_config *c,
                                struct error *err)
{
    struct latents *l;
    struct latents_index *x;
    enum status st;

    if (!c->path || !*c->path)
        return fail(err, E_ARG, "latents: no path is given");
    if ((st = mem_new(&d->impl, 1, sizeof *l, "a cache of latents", err)))
        return st;
    l = d->impl;
    x = &l->index;
    if ((st = open_index(l, c, err)) ||
        (st = mem_new((void **)&l->parts, (uint64_t)x->n_parts, sizeof *l->parts, "parts", err)))
        return st;
    for (int64_t k = 0; k < x->n_parts; k++)
        if ((st = open_part(l, k, c->path, err)))
            return st;
    l->info = (struct latents_info){.autoencoder = x->autoencoder,
                                    .pictures = x->pictures,
                                    .mean = x->mean,
                                    .deviation = x->deviation,
                                    .clip_frames = x->clip_frames,
                                    .mirrored = x->mirrored,
                                    .sampled = x->sampled};
    d->count = x->count;
    d->frames = x->frames;
    d->height = x->height;
    d->width = x->width;
    d->channels = x->channels;
    return x->n_classes
               ? dataset_name_classes(d, x->n_classes, (const char *const *)x->classes, err)
               : OK;
}

static void latents_close(struct dataset *d)
{
    struct latents *l = d->impl;

    for (int64_t k = 0; l->parts && k < l->index.n_parts; k++)
        latents_part_close(&l->parts[k]);
    free(l->parts);
    latents_index_release(&l->index);
    free(l);
}

/* The part that holds picture i. */
static const struct latents_part *part_of(const struct latents *l, int64_t i)
{
    int64_t low = 0, high = l->index.n_parts;

    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;

        if (l->parts[middle].first <= i)
            low = middle;
        else
            high = middle;
    }
    return &l->parts[low];
}

static enum status latents_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                               char caption[CAPTION_TEXT], struct error *err)
{
    const struct latents *l = d->impl;
    const struct latents_part *p = part_of(l, i);
    const double *mean = l->index.mean, *deviation = l->index.deviation;
    int64_t C = d->channels;

    (void)err;
    *label = latents_part_label(p, i - p->first);
    snprintf(caption, CAPTION_TEXT, "%s", latents_part_caption(p, i - p->first));
    latents_part_read(p, i - p->first, pixels);
    for (int64_t k = 0; k < dataset_length(d) / C; k++)
        for (int64_t c = 0; c < C; c++)
            pixels[k * C + c] = (float)(((double)pixels[k * C + c] - mean[c]) / deviation[c]);
    return OK;
}

const struct dataset_format dataset_latents = {
    .name = "latents",
    .summary = "pictures as an autoencoder encoded them, kept in a folder",
    .open = latents_open,
    .close = latents_close,
    .get = latents_get,
};

const struct latents_info *latents_info(const struct dataset *d)
{
    return d->format == &dataset_latents ? &((const struct latents *)d->impl)->info : NULL;
}

void latents_normalise_as(struct dataset *d, const double *mean, const double *deviation)
{
    struct latents *l = d->impl;
    size_t bytes = (size_t)d->channels * sizeof *mean;

    MUST(d->format == &dataset_latents, "a set of format %s holds no latents", d->format->name);
    memcpy(l->index.mean, mean, bytes);
    memcpy(l->index.deviation, deviation, bytes);
}
