/*
 * latents_index.c - the index of a cache of latents: the parts it has, and what holds for all of
 * them
 *
 * The index is a file of its own, written after the last part: where it stands, the cache is
 * complete.  What can be said only of the whole stands in it, means and deviations of channels
 * first.  It is small enough to be text, and carries its own checksum (data/seal.h).
 */
#include "data/latents_index.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/dataset.h"
#include "data/latents_file.h"
#include "data/seal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1 };

void latents_index_release(struct latents_index *x)
{
    for (int64_t i = 0; x->classes && i < x->n_classes; i++)
        free(x->classes[i]);
    free(x->classes);
    free(x->mean);
    free(x->deviation);
    free(x->parts);
    *x = (struct latents_index){0};
}

/* --- reading -------------------------------------------------------------------------------------
 */

static enum status read_numbers(struct latents_index *x, const json_t *root, struct error *err)
{
    int64_t version;
    enum status st;

    if ((st = config_need_int(&version, root, "format", 1, FORMAT_VERSION, err)) ||
        (st = config_hash(x->autoencoder, root, "autoencoder", err)) ||
        (st = config_hash(x->pictures, root, "pictures", err)) ||
        (st = config_need_int(&x->count, root, "count", 1, LATENTS_PICTURES, err)) ||
        (st = config_int(&x->frames, root, "frames", 0, 1, DATASET_FRAMES, err)) ||
        (st = config_int(&x->clip_frames, root, "clip_frames", 0, 1, DATASET_FRAMES, err)) ||
        (st = config_need_int(&x->height, root, "height", 1, LATENTS_SIDE, err)) ||
        (st = config_need_int(&x->width, root, "width", 1, LATENTS_SIDE, err)) ||
        (st = config_need_int(&x->channels, root, "channels", 1, LATENTS_CHANNELS, err)) ||
        (st = config_seed(&x->seed, &x->sampled, root, "sampled", err)) ||
        (st = config_need(root, "mirrored", err)))
        return st;
    return config_bool(&x->mirrored, root, "mirrored", false, err);
}

/* A number for each channel, finite and above `low`. */
static enum status read_channels(double **out, const json_t *root, const char *name, int64_t n,
                                 double low, struct error *err)
{
    json_t *array;
    enum status st;

    if ((st = config_array(&array, root, name, err)))
        return st;
    if (json_array_size(array) != (size_t)n)
        return fail(err, E_FORMAT, "\"%s\" has %zu numbers for %" PRId64 " channels", name,
                    json_array_size(array), n);
    if ((st = mem_new((void **)out, (uint64_t)n, sizeof **out, "statistics of channels", err)))
        return st;
    for (int64_t c = 0; c < n; c++) {
        const json_t *value = json_array_get(array, (size_t)c);

        (*out)[c] = json_number_value(value);
        if (!json_is_number(value) || !isfinite((*out)[c]) || !((*out)[c] > low))
            return fail(err, E_FORMAT, "\"%s\" of channel %" PRId64 " is no number that it can be",
                        name, c);
    }
    return OK;
}

static enum status read_classes(struct latents_index *x, const json_t *root, struct error *err)
{
    json_t *array;
    size_t n;
    enum status st;

    if ((st = config_array(&array, root, "classes", err)))
        return st;
    n = json_array_size(array);
    if (n > LATENTS_CLASSES)
        return fail(err, E_FORMAT, "%zu classes, at LATENTS_PICTURES %d are allowed", n,
                    LATENTS_CLASSES);
    if ((st = mem_new((void **)&x->classes, n, sizeof *x->classes, "class names", err)))
        return st;
    x->n_classes = (int64_t)n;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(array, i));

        if (!name)
            return fail(err, E_FORMAT, "the name of class %zu is no text", i);
        if ((st = mem_text(&x->classes[i], name, err)))
            return st;
    }
    return OK;
}

static enum status read_entry(struct latents_entry *e, const json_t *object, int64_t first,
                              int64_t count, struct error *err)
{
    enum status st;

    if (!json_is_object(object))
        return fail(err, E_FORMAT, "the part from %" PRId64 " on is no object", first);
    if ((st = config_need_int(&e->first, object, "first", first, first, err)) ||
        (st = config_need_int(&e->count, object, "count", 1, count - first, err)))
        return st;
    return config_hash(e->checksum, object, "checksum", err);
}

static enum status read_parts(struct latents_index *x, const json_t *root, struct error *err)
{
    int64_t first = 0;
    json_t *array;
    enum status st;

    if ((st = config_array(&array, root, "parts", err)) ||
        (st = mem_new((void **)&x->parts, json_array_size(array), sizeof *x->parts, "parts", err)))
        return st;
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (first == x->count)
            return fail(err, E_FORMAT, "parts beyond the %" PRId64 " pictures", first);
        if ((st = read_entry(&x->parts[i], json_array_get(array, i), first, x->count, err)))
            return st;
        first += x->parts[i].count;
        x->n_parts++;
    }
    return first == x->count
               ? OK
               : fail(err, E_FORMAT, "the parts hold %" PRId64 " pictures of %" PRId64, first,
                      x->count);
}

enum status latents_index_parse(struct latents_index *x, const char *text, size_t n,
                                const char *name, struct error *err)
{
    json_t *root = NULL;
    enum status st;

    *x = (struct latents_index){0};
    if ((st = config_parse(&root, text, n, CONFIG_BYTES, name, err)))
        return st;
    if (!json_is_object(root))
        st = fail(err, E_FORMAT, "not one object of JSON");
    if (!st && !(st = seal_open(root, NULL, 0, err)) && !(st = read_numbers(x, root, err)) &&
        !(st = read_channels(&x->mean, root, "mean", x->channels, -HUGE_VAL, err)) &&
        !(st = read_channels(&x->deviation, root, "deviation", x->channels, 0, err)) &&
        !(st = read_classes(x, root, err)))
        st = read_parts(x, root, err);
    if (st)
        fail_under(err, "%s", name);
    json_decref(root);
    return st;
}

enum status latents_index_read(struct latents_index *x, const char *path, struct error *err)
{
    uint8_t *text;
    uint64_t n;
    enum status st;

    *x = (struct latents_index){0};
    if ((st = file_read(&text, &n, path, CONFIG_BYTES, err)))
        return st;
    st = latents_index_parse(x, (const char *)text, n, path, err);
    free(text);
    return st;
}

/* --- writing ------------------------------------------------------------------------------------
 */

static json_t *real_array(const double *x, int64_t n)
{
    json_t *array = json_array();

    for (int64_t i = 0; i < n && array; i++)
        if (json_array_append_new(array, json_real(x[i]))) {
            json_decref(array);
            array = NULL;
        }
    return array;
}

static json_t *class_array(const struct latents_index *x)
{
    json_t *array = json_array();

    for (int64_t i = 0; i < x->n_classes && array; i++)
        if (json_array_append_new(array, json_string(x->classes[i]))) {
            json_decref(array);
            array = NULL;
        }
    return array;
}

static json_t *part_array(const struct latents_index *x)
{
    json_t *array = json_array();

    for (int64_t i = 0; i < x->n_parts && array; i++) {
        const struct latents_entry *e = &x->parts[i];

        if (json_array_append_new(array, json_pack("{s:I, s:I, s:s}", "first", (json_int_t)e->first,
                                                   "count", (json_int_t)e->count, "checksum",
                                                   e->checksum))) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

/* Members in the order of the header's picture; NULL for want of memory. */
static json_t *index_object(const struct latents_index *x)
{
    json_t *root = json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:b}", "format", FORMAT_VERSION,
                             "autoencoder", x->autoencoder, "pictures", x->pictures, "count",
                             (json_int_t)x->count, "height", (json_int_t)x->height, "width",
                             (json_int_t)x->width, "channels", (json_int_t)x->channels, "mirrored",
                             (int)x->mirrored);

    if (root && ((x->frames && json_object_set_new(root, "frames", json_integer(x->frames))) ||
                 (x->clip_frames &&
                  json_object_set_new(root, "clip_frames", json_integer(x->clip_frames))) ||
                 (x->sampled && config_set_seed(root, "sampled", x->seed)) ||
                 json_object_set_new(root, "classes", class_array(x)) ||
                 json_object_set_new(root, "mean", real_array(x->mean, x->channels)) ||
                 json_object_set_new(root, "deviation", real_array(x->deviation, x->channels)) ||
                 json_object_set_new(root, "parts", part_array(x)))) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

enum status latents_index_save(const char *path, const struct latents_index *x, struct error *err)
{
    char *text = NULL;
    json_t *root;
    enum status st;

    for (int64_t i = 0; i < x->n_classes; i++)
        if (!utf8_valid(x->classes[i], strlen(x->classes[i])))
            return fail(err, E_ARG, "%s: the name of class %" PRId64 " is not UTF-8", path, i);
    if (!(root = index_object(x)))
        return fail(err, E_MEMORY, "no memory for %s", path);
    if (!(st = seal_close(&text, root, NULL, 0, err)))
        st = file_write(path, text, strlen(text), err);
    free(text);
    json_decref(root);
    return st;
}
