/*
 * latents_file.c - the files of a cache of latents
 *
 * A latent that was damaged on the disk trains as well as any other, and nobody sees it.  So every
 * byte of a part stands under a checksum: that of the numbers, and of everything that says what
 * they are (whose, of which pictures, from which on, of which shape), in one line of text before
 * them. The index is small enough to be its own text without the checksum: written by the same
 * rules from what was read, it must give the same letters.
 *
 * Parts are safetensors files because they are mapped, and because any tool can look into them. The
 * index is a file of its own, written after the last part: where it stands, the cache is complete.
 */
#include "data/latents_file.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/dataset.h"
#include "data/listing.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1, WITH_CAPTIONS = 2, TEXT_LIMIT = 1 << 16 };

static const char key[] = "imgen.latents", latents_name[] = "latents", labels_name[] = "labels";
static const char captions_name[] = "captions";

static const int64_t most = INT64_C(1) << 50;

/* --- paths --------------------------------------------------------------------------------------
 */

enum { NAME = 64 };

static void part_name(char out[NAME], int64_t first)
{
    snprintf(out, NAME, "latents-%012" PRId64 ".safetensors", first);
}

enum status latents_part_path(char **out, const char *folder, int64_t first, struct error *err)
{
    char name[NAME];

    part_name(name, first);
    return listing_path(out, folder, name, err);
}

int64_t latents_part_named(const char *name)
{
    char same[NAME];
    int64_t first;

    if (sscanf(name, "latents-%" SCNd64, &first) != 1 || first < 0 || first > most)
        return -1;
    part_name(same, first);
    return strcmp(name, same) ? -1 : first;
}

enum status latents_index_path(char **out, const char *folder, struct error *err)
{
    return listing_path(out, folder, "latents.json", err);
}

/* --- what both have -----------------------------------------------------------------------------
 */

static enum status read_int(int64_t *out, const json_t *root, const char *name, int64_t lo,
                            int64_t hi, struct error *err)
{
    enum status st;

    if ((st = config_need(root, name, err)))
        return st;
    return config_int(out, root, name, lo, lo, hi, err);
}

static enum status damaged(const char *claimed, const char *found, struct error *err)
{
    return fail(err, E_FORMAT, "damaged: its checksum is %s, that of its content %s", claimed,
                found);
}

/* Latents drawn from the posterior say by which seed. */
static int add_sampled(json_t *root, bool sampled, uint64_t seed)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, seed);
    return sampled ? json_object_set_new(root, "sampled", json_string(text)) : 0;
}

/* --- parts --------------------------------------------------------------------------------------
 */

static uint64_t latent_bytes(const struct latents_part *p)
{
    int64_t frames = p->frames ? p->frames : 1;

    return (uint64_t)(frames * p->height * p->width * p->channels) * sizeof(float);
}

static int part_version(const struct latents_part *p)
{
    return p->captions ? WITH_CAPTIONS : FORMAT_VERSION;
}

static void part_checksum(char out[HASH_TEXT], const struct latents_part *p)
{
    struct hash h;
    char line[512];
    int n = snprintf(line, sizeof line,
                     "imgen latents %d %s %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                     " %" PRId64 "\n",
                     part_version(p), p->autoencoder, p->pictures, p->first, p->n, p->height,
                     p->width, p->channels);

    hash_begin(&h);
    hash_add(&h, line, (uint64_t)n);
    n = snprintf(line, sizeof line, "sampled %" PRIu64 "\n", p->seed);
    hash_add(&h, line, p->sampled ? (uint64_t)n : 0);
    n = snprintf(line, sizeof line, "frames %" PRId64 "\n", p->frames);
    hash_add(&h, line, p->frames ? (uint64_t)n : 0);
    hash_add(&h, p->captions, (uint64_t)p->caption_bytes);
    hash_add(&h, p->labels, (uint64_t)p->n * sizeof(int32_t));
    hash_add(&h, p->latents, (uint64_t)p->n * latent_bytes(p));
    hash_end(&h, out);
}

static enum status read_description(struct latents_part *p, int64_t *version, const char *text,
                                    struct error *err)
{
    json_t *root;
    enum status st;

    if (!text)
        return fail(err, E_FORMAT, "no latents of imgen (no \"%s\" in its metadata)", key);
    if ((st = config_parse(&root, text, strlen(text), TEXT_LIMIT, key, err)))
        return st;
    if (!(st = read_int(version, root, "format", 1, WITH_CAPTIONS, err)) &&
        !(st = config_hash(p->autoencoder, root, "autoencoder", err)) &&
        !(st = config_hash(p->pictures, root, "pictures", err)) &&
        !(st = config_hash(p->checksum, root, "checksum", err)) &&
        !(st = config_seed(&p->seed, &p->sampled, root, "sampled", err)))
        st = read_int(&p->first, root, "first", 0, most, err);
    json_decref(root);
    return st;
}

static enum status read_tensors(struct latents_part *p, struct error *err)
{
    const struct file_tensor *z = safetensors_find(p->file, latents_name);
    const struct file_tensor *y = safetensors_find(p->file, labels_name);
    const int64_t *last = z ? z->dim + 1 + (z->rank == 5) : NULL; /* height, width, channels */

    if (!z || (z->rank != 4 && z->rank != 5) || z->dtype != FILE_F32 || z->dim[0] < 1 ||
        z->dim[0] > most || last[0] < 1 || last[0] > LATENTS_SIDE || last[1] < 1 ||
        last[1] > LATENTS_SIDE || last[2] < 1 || last[2] > LATENTS_CHANNELS)
        return fail(err, E_FORMAT,
                    "there is no tensor \"%s\" of float32 in four dimensions, or in five of clips",
                    latents_name);
    if (z->rank == 5 && (z->dim[1] < 1 || z->dim[1] > DATASET_FRAMES))
        return fail(err, E_FORMAT, "latents of %" PRId64 " frames, not of 1 to %d", z->dim[1],
                    DATASET_FRAMES);
    p->n = z->dim[0];
    p->frames = z->rank == 5 ? z->dim[1] : 0;
    p->height = last[0];
    p->width = last[1];
    p->channels = last[2];
    p->latents = z->bytes;
    if (!y || y->rank != 1 || y->dtype != FILE_I32 || y->dim[0] != p->n)
        return fail(err, E_FORMAT, "there is no tensor \"%s\" of %" PRId64 " numbers of int32",
                    labels_name, p->n);
    p->labels = y->bytes;
    return OK;
}

static enum status read_captions(struct latents_part *p, int64_t version, struct error *err)
{
    const struct file_tensor *t = safetensors_find(p->file, captions_name);

    if (version == FORMAT_VERSION && !t)
        return OK;
    if (version == FORMAT_VERSION || !t || t->rank != 1 || t->dtype != FILE_U8 || t->dim[0] < p->n)
        return fail(err, E_FORMAT,
                    "format %" PRId64 " %s a tensor \"%s\" of %" PRId64 " texts, and it is %s",
                    version, version == FORMAT_VERSION ? "has not" : "has", captions_name, p->n,
                    t ? "another" : "not there");
    p->captions = (const char *)t->bytes;
    p->caption_bytes = t->dim[0];
    return OK;
}

/* Finds where each caption begins. */
static enum status split_captions(struct latents_part *p, struct error *err)
{
    int64_t at = 0;
    enum status st;

    if (!p->captions)
        return OK;
    if ((st = mem_new((void **)&p->caption_at, (uint64_t)p->n, sizeof *p->caption_at, "captions",
                      err)))
        return st;
    for (int64_t i = 0; i < p->n; i++) {
        const char *text = p->captions + at;
        const char *end = memchr(text, 0, (size_t)(p->caption_bytes - at));

        if (!end || end - text >= CAPTION_TEXT || !utf8_valid(text, (size_t)(end - text)))
            return fail(err, E_FORMAT,
                        "caption %" PRId64 " is no text of UTF-8 of at most %d bytes", i,
                        CAPTION_TEXT - 1);
        p->caption_at[i] = at;
        at += end - text + 1;
    }
    if (at != p->caption_bytes)
        return fail(err, E_FORMAT, "%" PRId64 " bytes behind %" PRId64 " captions",
                    p->caption_bytes - at, p->n);
    return OK;
}

static enum status check_labels(const struct latents_part *p, struct error *err)
{
    for (int64_t i = 0; i < p->n; i++)
        if (latents_part_label(p, i) < -1 || latents_part_label(p, i) >= LATENTS_CLASSES)
            return fail(err, E_FORMAT, "label %" PRId64 " is %d, not -1 to %d", i,
                        latents_part_label(p, i), LATENTS_CLASSES - 1);
    return OK;
}

static enum status part_take(struct latents_part *p, const char *name, struct error *err)
{
    char found[HASH_TEXT];
    int64_t version;
    enum status st;

    if (!(st = read_description(p, &version, safetensors_metadata(p->file, key), err)) &&
        !(st = read_tensors(p, err)) && !(st = read_captions(p, version, err))) {
        part_checksum(found, p);
        if (strcmp(found, p->checksum) != 0)
            st = damaged(p->checksum, found, err);
        else if (!(st = check_labels(p, err)))
            st = split_captions(p, err);
    }
    if (st)
        fail_under(err, "%s", name);
    return st;
}

enum status latents_part_open(struct latents_part *p, const char *path, struct error *err)
{
    enum status st;

    *p = (struct latents_part){0};
    if ((st = safetensors_open(&p->file, path, err)))
        return st;
    return part_take(p, path, err);
}

enum status latents_part_open_bytes(struct latents_part *p, const uint8_t *bytes, uint64_t n,
                                    const char *name, struct error *err)
{
    enum status st;

    *p = (struct latents_part){0};
    if ((st = safetensors_open_bytes(&p->file, bytes, n, name, err)))
        return st;
    return part_take(p, name, err);
}

void latents_part_close(struct latents_part *p)
{
    safetensors_close(p->file);
    free(p->caption_at);
    *p = (struct latents_part){0};
}

int32_t latents_part_label(const struct latents_part *p, int64_t i)
{
    int32_t label;

    memcpy(&label, p->labels + (uint64_t)i * sizeof label, sizeof label);
    return label;
}

const char *latents_part_caption(const struct latents_part *p, int64_t i)
{
    return p->captions ? p->captions + p->caption_at[i] : "";
}

void latents_part_read(const struct latents_part *p, int64_t i, float *out)
{
    memcpy(out, p->latents + (uint64_t)i * latent_bytes(p), latent_bytes(p));
}

enum status latents_part_save(const char *path, struct latents_part *p, struct error *err)
{
    struct save_tensor tensors[] = {
        {.name = latents_name, .dtype = FILE_F32, .rank = p->frames ? 5 : 4, .bytes = p->latents},
        {.name = labels_name, .dtype = FILE_I32, .rank = 1, .dim = {p->n}, .bytes = p->labels},
        {.name = captions_name,
         .dtype = FILE_U8,
         .rank = 1,
         .dim = {p->caption_bytes},
         .bytes = p->captions},
    };
    int64_t shape[] = {p->n, p->frames, p->height, p->width, p->channels};
    struct save_text text = {key, NULL};
    json_t *root;
    char *words = NULL;
    int rank = 0;
    enum status st;

    for (int k = 0; k < 5; k++)
        if (k != 1 || p->frames)
            tensors[0].dim[rank++] = shape[k];
    part_checksum(p->checksum, p);
    root = json_pack("{s:i, s:s, s:s, s:I, s:s}", "format", part_version(p), "autoencoder",
                     p->autoencoder, "pictures", p->pictures, "first", (json_int_t)p->first,
                     "checksum", p->checksum);
    if (!root || add_sampled(root, p->sampled, p->seed))
        st = fail(err, E_MEMORY, "no memory to describe %s", path);
    else
        st = config_dump(&words, root, err);
    json_decref(root);
    if (st)
        return st;
    text.value = words;
    st = safetensors_save(path, tensors, p->captions ? 3 : 2, &text, 1, err);
    free(words);
    return st;
}

/* --- the index ----------------------------------------------------------------------------------
 */

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

/* Takes the checksum out of root, whose text without it must have that checksum. */
static enum status check_index(json_t *root, struct error *err)
{
    char claimed[HASH_TEXT], found[HASH_TEXT], *text;
    struct hash h;
    enum status st;

    if ((st = config_hash(claimed, root, "checksum", err)))
        return st;
    json_object_del(root, "checksum");
    if ((st = config_dump(&text, root, err)))
        return st;
    hash_begin(&h);
    hash_add(&h, text, strlen(text));
    hash_end(&h, found);
    free(text);
    return strcmp(claimed, found) ? damaged(claimed, found, err) : OK;
}

static enum status read_numbers(struct latents_index *x, const json_t *root, struct error *err)
{
    int64_t version;
    enum status st;

    if ((st = read_int(&version, root, "format", 1, FORMAT_VERSION, err)) ||
        (st = config_hash(x->autoencoder, root, "autoencoder", err)) ||
        (st = config_hash(x->pictures, root, "pictures", err)) ||
        (st = read_int(&x->count, root, "count", 1, most, err)) ||
        (st = config_int(&x->frames, root, "frames", 0, 1, DATASET_FRAMES, err)) ||
        (st = config_int(&x->clip_frames, root, "clip_frames", 0, 1, DATASET_FRAMES, err)) ||
        (st = read_int(&x->height, root, "height", 1, LATENTS_SIDE, err)) ||
        (st = read_int(&x->width, root, "width", 1, LATENTS_SIDE, err)) ||
        (st = read_int(&x->channels, root, "channels", 1, LATENTS_CHANNELS, err)) ||
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
        return fail(err, E_FORMAT, "%zu classes, at most %d are allowed", n, LATENTS_CLASSES);
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
    if ((st = read_int(&e->first, object, "first", first, first, err)) ||
        (st = read_int(&e->count, object, "count", 1, count - first, err)))
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
    if (!st && !(st = check_index(root, err)) && !(st = read_numbers(x, root, err)) &&
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

/* --- writing the index --------------------------------------------------------------------------
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
                 add_sampled(root, x->sampled, x->seed) ||
                 json_object_set_new(root, "classes", class_array(x)) ||
                 json_object_set_new(root, "mean", real_array(x->mean, x->channels)) ||
                 json_object_set_new(root, "deviation", real_array(x->deviation, x->channels)) ||
                 json_object_set_new(root, "parts", part_array(x)))) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

static enum status add_checksum(json_t *root, struct error *err)
{
    char checksum[HASH_TEXT], *text;
    struct hash h;
    enum status st;

    if ((st = config_dump(&text, root, err)))
        return st;
    hash_begin(&h);
    hash_add(&h, text, strlen(text));
    hash_end(&h, checksum);
    free(text);
    if (json_object_set_new(root, "checksum", json_string(checksum)))
        return fail(err, E_MEMORY, "no memory for a checksum");
    return OK;
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
    if (!(st = add_checksum(root, err)) && !(st = config_dump(&text, root, err)))
        st = file_write(path, text, strlen(text), err);
    free(text);
    json_decref(root);
    return st;
}
