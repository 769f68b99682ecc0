/*
 * dataset.c - the list of formats, and what is the same for all of them
 *
 * A format fills in a struct dataset and leaves what only it understands in `impl`.  Here are the
 * checks every set shares: a known name, sane numbers, a picture that exists, and a limit on how
 * many are used.  When a format's open fails half-way, its close is called on what it left, so a
 * format cleans up in one place; `impl` NULL means there is nothing.
 */
#include "data/dataset.h"

#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 16384 };

#define FORMATS(X) \
    X(idx)         \
    X(cifar10)     \
    X(folder)      \
    X(captioned) X(shapes) X(relations) X(moving) X(anchor_gauss) X(anchor_shapes) X(latents)

#define DECLARE(name) extern const struct dataset_format dataset_##name;
FORMATS(DECLARE)

#define ENTRY(name) &dataset_##name,
static const struct dataset_format *const formats[] = {FORMATS(ENTRY)};

enum { N_FORMATS = sizeof formats / sizeof formats[0] };

const struct dataset_format *dataset_format_at(int i)
{
    return i >= 0 && i < N_FORMATS ? formats[i] : NULL;
}

static enum status unknown_format(const char *word, struct error *err)
{
    const char *names[N_FORMATS], *nearest;
    char list[256];
    struct text text;

    text_init(&text, list, sizeof list);
    for (int i = 0; i < N_FORMATS; i++) {
        names[i] = formats[i]->name;
        text_add(&text, "%s%s", i ? ", " : "", names[i]);
    }
    if (!word || !*word)
        return fail(err, E_ARG, "no data format is given; there are: %s", list);
    nearest = text_nearest(word, names, N_FORMATS);
    if (nearest)
        return fail(err, E_ARG, "unknown data format '%s'; did you mean '%s'?", word, nearest);
    return fail(err, E_ARG, "unknown data format '%s'; there are: %s", word, list);
}

static enum status format_find(const struct dataset_format **out, const char *name,
                               struct error *err)
{
    for (int i = 0; name && i < N_FORMATS; i++)
        if (!strcmp(name, formats[i]->name)) {
            *out = formats[i];
            return OK;
        }
    return unknown_format(name, err);
}

static enum status config_check(const struct dataset_config *c, struct error *err)
{
    if (c->size < 0 || c->size > SIDE)
        return fail(err, E_ARG, "%s: size %" PRId64 " is outside 0..%d", c->format, c->size, SIDE);
    if (c->channels != 0 && c->channels != 1 && c->channels != 3)
        return fail(err, E_ARG, "%s: channels are 1 or 3, not %" PRId64, c->format, c->channels);
    if (c->frames < 0 || c->frames > DATASET_FRAMES)
        return fail(err, E_ARG, "%s: %" PRId64 " frames asked, and clips have 1 to %d", c->format,
                    c->frames, DATASET_FRAMES);
    if (c->limit < 0)
        return fail(err, E_ARG, "%s: limit %" PRId64 " is negative", c->format, c->limit);
    return OK;
}

enum status dataset_open(struct dataset **out, const struct dataset_config *c, struct error *err)
{
    const struct dataset_format *format = NULL;
    struct dataset *d = NULL;
    enum status st;

    *out = NULL;
    if ((st = format_find(&format, c->format, err)) || (st = config_check(c, err)))
        return st;
    if ((st = mem_new((void **)&d, 1, sizeof *d, "a data set", err)))
        return st;
    d->format = format;
    if ((st = format->open(d, c, err)))
        goto out;
    if (c->frames > 1 && d->frames != c->frames) {
        st = d->frames > 1
                 ? fail(err, E_ARG,
                        "%s: %" PRId64 " frames asked, and the set has clips of %" PRId64,
                        c->format, c->frames, d->frames)
                 : fail(err, E_ARG, "%s: %" PRId64 " frames asked, and the set holds pictures",
                        c->format, c->frames);
        goto out;
    }
    if (d->count == 0) {
        st = fail(err, E_FORMAT, "%s: no pictures", c->path ? c->path : c->format);
        goto out;
    }
    if (c->limit && c->limit < d->count)
        d->count = c->limit;
    *out = d;
    return OK;
out:
    dataset_close(d);
    return st;
}

void dataset_close(struct dataset *d)
{
    if (!d)
        return;
    if (d->impl)
        d->format->close(d);
    for (int64_t i = 0; d->class_names && i < d->n_classes; i++)
        free(d->class_names[i]);
    free(d->class_names);
    free(d);
}

int64_t dataset_length(const struct dataset *d)
{
    return (d->frames ? d->frames : 1) * d->height * d->width * d->channels;
}

enum status dataset_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                        char caption[CAPTION_TEXT], struct error *err)
{
    char words[CAPTION_TEXT];
    int32_t number = -1;
    enum status st;

    if (i < 0 || i >= d->count)
        return fail(err, E_ARG, "picture %" PRId64 " of a set of %" PRId64, i, d->count);
    if (!caption)
        caption = words;
    caption[0] = 0;
    st = d->format->get(d, i, pixels, &number, caption, err);
    if (!st && !caption[0] && number >= 0 && number < d->n_classes)
        snprintf(caption, CAPTION_TEXT, "%s", d->class_names[number]);
    if (label)
        *label = number;
    return st;
}

const char *dataset_name(const struct dataset *d, int64_t i)
{
    MUST(i >= 0 && i < d->count, "picture %" PRId64 " of %" PRId64, i, d->count);
    return d->format->name_of ? d->format->name_of(d, i) : NULL;
}

enum status dataset_name_classes(struct dataset *d, int64_t n, const char *const *names,
                                 struct error *err)
{
    char numbered[32];
    enum status st;

    if ((st = mem_new((void **)&d->class_names, (uint64_t)n, sizeof *d->class_names,
                      "the class names", err)))
        return st;
    d->n_classes = n; /* names not yet there are NULL, which closing takes */
    for (int64_t i = 0; i < n; i++) {
        snprintf(numbered, sizeof numbered, "class %" PRId64, i);
        if ((st = mem_text(&d->class_names[i], names ? names[i] : numbered, err)))
            return st;
    }
    return OK;
}
