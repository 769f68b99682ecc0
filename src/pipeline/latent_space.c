/*
 * latent_space.c - what the numbers of a latent model mean
 *
 * A generator of latents is worth nothing without the decoder that it was trained before: another
 * one of the same shape turns its latents into noise, and nothing in the numbers would tell.  So
 * the model names its autoencoder by the hash of its bytes; the name of a file is only where to
 * look first.
 *
 * The autoencoder's own scale and shift are not used: they are what its makers measured on their
 * pictures, and what this model was trained on was brought to mean 0 and deviation 1 channel by
 * channel over its own (architectures.md 3.3; Peebles and Xie 2023 use one number, Karras et al.
 * 2024 one a channel).
 */
#include "pipeline/latent_space.h"

#include "base/memory.h"
#include "data/listing.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS_MAX = 65536, FRAMES_MAX = 1 << 20 };

static enum status space_room(struct latent_space **out, const char *hash, int64_t channels,
                              struct error *err)
{
    struct latent_space *s;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&s, 1, sizeof *s, "a latent space", err)))
        return st;
    memcpy(s->hash, hash, HASH_TEXT);
    s->channels = channels;
    if ((st = mem_new((void **)&s->mean, (uint64_t)channels, sizeof *s->mean, "means", err)) ||
        (st = mem_new((void **)&s->deviation, (uint64_t)channels, sizeof *s->deviation,
                      "deviations", err))) {
        latent_space_free(s);
        return st;
    }
    *out = s;
    return OK;
}

enum status latent_space_new(struct latent_space **out, const char *hash, const double *mean,
                             const double *deviation, int64_t channels, struct error *err)
{
    enum status st;

    MUST(hash_is(hash), "'%s' is no SHA-256", hash);
    if ((st = space_room(out, hash, channels, err)))
        return st;
    memcpy((*out)->mean, mean, (size_t)channels * sizeof *mean);
    memcpy((*out)->deviation, deviation, (size_t)channels * sizeof *deviation);
    return OK;
}

void latent_space_free(struct latent_space *s)
{
    if (!s)
        return;
    free(s->file);
    free(s->found);
    free(s->mean);
    free(s->deviation);
    free(s);
}

/* --- in a model's file --------------------------------------------------------------------------
 */

/* NULL without memory, which json_pack then refuses. */
static json_t *list_of(const double *x, int64_t n)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < n; i++) {
        if (json_array_append_new(list, json_real(x[i]))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

enum status latent_space_to_json(const struct latent_space *s, json_t **out, struct error *err)
{
    json_t *root = json_pack("{ss so so}", "hash", s->hash, "mean", list_of(s->mean, s->channels),
                             "deviation", list_of(s->deviation, s->channels));

    *out = NULL;
    if (!root || (s->file && json_object_set_new(root, "file", json_string(s->file))) ||
        (s->frames && json_object_set_new(root, "frames", json_integer(s->frames)))) {
        json_decref(root);
        return fail(err, E_MEMORY, "no memory to describe a latent space");
    }
    *out = root;
    return OK;
}

static enum status read_list(double *out, const json_t *object, const char *key, int64_t n,
                             double above, struct error *err)
{
    json_t *list;
    enum status st;

    if ((st = config_need(object, key, err)) || (st = config_array(&list, object, key, err)))
        return st;
    if ((int64_t)json_array_size(list) != n)
        return fail(err, E_FORMAT, "%s: %zu numbers for latents of %" PRId64 " channels", key,
                    json_array_size(list), n);
    for (int64_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, (size_t)i);

        out[i] = json_number_value(one);
        if (!json_is_number(one) || !isfinite(out[i]) || !(out[i] > above))
            return fail(err, E_FORMAT, "%s: number %" PRId64 " is none above %g", key, i, above);
    }
    return OK;
}

enum status latent_space_from_json(struct latent_space **out, const json_t *object,
                                   int64_t channels, struct error *err)
{
    const char *hash, *file;
    struct latent_space *s;
    int64_t frames;
    enum status st;

    *out = NULL;
    if ((st = config_text(&hash, object, "hash", "", err)) ||
        (st = config_int(&frames, object, "frames", 0, 0, FRAMES_MAX, err)) ||
        (st = config_text(&file, object, "file", NULL, err)))
        return st;
    if (!hash_is(hash))
        return fail(err, E_FORMAT, "hash: '%.80s' is no SHA-256", hash);
    if (channels > CHANNELS_MAX)
        return fail(err, E_FORMAT, "latents of %" PRId64 " channels", channels);
    if ((st = space_room(&s, hash, channels, err)))
        return st;
    s->frames = frames;
    if ((st = read_list(s->mean, object, "mean", channels, -HUGE_VAL, err)) ||
        (st = read_list(s->deviation, object, "deviation", channels, 0, err)) ||
        (file && (st = mem_text(&s->file, file, err)))) {
        latent_space_free(s);
        return st;
    }
    *out = s;
    return OK;
}

/* --- its name -----------------------------------------------------------------------------------
 */

enum status latent_space_name(struct latent_space *s, const char *folder, const char *path,
                              struct error *err)
{
    char *name;
    enum status st = path_seen_from(&name, folder, path, err);

    if (st)
        return st;
    free(s->file);
    s->file = name;
    return OK;
}

/* --- what the numbers mean ----------------------------------------------------------------------
 */

void latent_space_undo(const struct latent_space *s, float *z, const double *x, int64_t n)
{
    int64_t C = s->channels;

    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < C; c++)
            z[i * C + c] = (float)(s->mean[c] + s->deviation[c] * x[i * C + c]);
}

void latent_space_apply(const struct latent_space *s, double *x, const float *z, int64_t n)
{
    int64_t C = s->channels;

    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < C; c++)
            x[i * C + c] = ((double)z[i * C + c] - s->mean[c]) / s->deviation[c];
}

enum status latent_spaces_match(const struct latent_space *a, const char *who,
                                const struct latent_space *b, struct error *err)
{
    if (!a && !b)
        return OK;
    if (!a || !b)
        return fail(err, E_ARG,
                    "the %s works on %s, and the model on %s: they never see the same numbers", who,
                    a ? "latents of an autoencoder" : "pixels",
                    b ? "latents of an autoencoder" : "pixels");
    if (strcmp(a->hash, b->hash) != 0)
        return fail(err, E_ARG,
                    "the %s works on latents of the autoencoder %.12s..., and the model on those "
                    "of %.12s...",
                    who, a->hash, b->hash);
    for (int64_t c = 0; c < a->channels && c < b->channels; c++)
        if (a->mean[c] != b->mean[c] || a->deviation[c] != b->deviation[c])
            return fail(err, E_ARG,
                        "channel %" PRId64 " of the latents has mean %g and deviation %g to the "
                        "%s, and %g and %g to the model: they were trained on different sets",
                        c, a->mean[c], a->deviation[c], who, b->mean[c], b->deviation[c]);
    return OK;
}
