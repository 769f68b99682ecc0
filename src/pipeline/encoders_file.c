/*
 * encoders_file.c - which text encoders a model was trained with
 *
 * A network that was trained on what encoders say of captions can be asked in their words only.  So
 * the model's file says where they lie, as its folder sees them, and whoever keeps what they have
 * said says whose words it is, by content: of the files, of the vocabularies that cut texts for
 * them, and of what decides where their shares stand.
 */
#include "pipeline/text_encoders.h"

#include "base/memory.h"
#include "data/listing.h"
#include "text/vocabulary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATHS = 5, T5_TOKENS_MOST = 1 << 16 };

/* The paths of a struct, by the names that descriptions have for them. */
static const char *const keys[PATHS] = {"clip_l", "clip_g", "t5", "merges", "spiece"};

static void paths_of(struct text_encoders *e, char **path[PATHS])
{
    path[0] = &e->clip_l;
    path[1] = &e->clip_g;
    path[2] = &e->t5;
    path[3] = &e->merges;
    path[4] = &e->spiece;
}

/* --- by content ---------------------------------------------------------------------------------
 */

/* Weights and configurations in a folder, in the order of their names. */
static enum status hash_folder(char out[HASH_TEXT], const char *folder, struct error *err)
{
    struct listing l;
    struct hash h;
    enum status st;

    if ((st = listing_read(&l, folder, err)))
        return st;
    hash_begin(&h);
    for (int64_t i = 0; i < l.n && !st; i++) {
        char of_file[HASH_TEXT], *path;

        if ((st = listing_path(&path, folder, l.names[i], err)))
            break;
        if (path_is_file(path) && !(st = hash_file(of_file, path, err))) {
            hash_add(&h, l.names[i], strlen(l.names[i]) + 1);
            hash_add(&h, of_file, HASH_TEXT);
        }
        free(path);
    }
    hash_end(&h, out);
    listing_release(&l);
    return st;
}

/* One file may hold several of them, and is read once. */
struct known {
    const char *path;
    char hash[HASH_TEXT];
};

static enum status add_part(struct hash *h, struct known *last, const char *key, const char *path,
                            struct error *err)
{
    enum status st = OK;

    if (!path)
        return OK;
    if (!last->path || strcmp(last->path, path) != 0) {
        st = path_is_folder(path) ? hash_folder(last->hash, path, err)
                                  : hash_file(last->hash, path, err);
        last->path = path;
    }
    hash_add(h, key, strlen(key) + 1);
    hash_add(h, last->hash, HASH_TEXT);
    return st;
}

static enum status add_vocabulary(struct hash *h, const char *key, enum vocabulary which,
                                  const char *given, const char *folder, struct error *err)
{
    struct known none = {0};
    char *path;
    enum status st;

    if ((st = vocabulary_find(&path, which, given, folder, err)))
        return st;
    st = add_part(h, &none, key, path, err);
    free(path);
    return st;
}

enum status text_encoders_hash(char out[HASH_TEXT], const struct text_encoders *e,
                               const struct network_io *io, struct error *err)
{
    struct known last = {0};
    struct hash h;
    char line[128];
    enum status st;

    hash_begin(&h);
    snprintf(line, sizeof line, "imgen texts 1 %" PRId64 " %" PRId64 " %" PRId64 "\n",
             io->context_width, io->pooled_width, e->t5_tokens);
    hash_add(&h, line, strlen(line));
    if ((st = add_part(&h, &last, keys[0], e->clip_l, err)) ||
        (st = add_part(&h, &last, keys[1], e->clip_g, err)))
        return st;
    if ((e->clip_l || e->clip_g) &&
        (st = add_vocabulary(&h, keys[3], VOCABULARY_CLIP, e->merges, e->folder, err)))
        return st;
    if (e->t5_tokens && e->t5 &&
        ((st = add_part(&h, &last, keys[2], e->t5, err)) ||
         (st = add_vocabulary(&h, keys[4], VOCABULARY_T5, e->spiece, e->folder, err))))
        return st;
    hash_end(&h, out);
    return OK;
}

/* --- in a description ---------------------------------------------------------------------------
 */

enum status text_encoders_to_json(const struct text_encoders *e, json_t **out, struct error *err)
{
    struct text_encoders copy = *e;
    char **path[PATHS];
    int bad;

    paths_of(&copy, path);
    *out = json_object();
    bad = json_object_set_new(*out, "t5_tokens", json_integer(e->t5_tokens));
    for (int i = 0; i < PATHS; i++)
        if (*path[i])
            bad |= json_object_set_new(*out, keys[i], json_string(*path[i]));
    if (!bad)
        return OK;
    json_decref(*out);
    *out = NULL;
    return fail(err, E_MEMORY, "no memory to describe text encoders");
}

enum status text_encoders_from_json(struct text_encoders *e, const json_t *object, const char *path,
                                    struct error *err)
{
    char **to[PATHS];
    enum status st;

    *e = (struct text_encoders){0};
    paths_of(e, to);
    st = config_int(&e->t5_tokens, object, "t5_tokens", 0, 0, T5_TOKENS_MOST, err);
    for (int i = 0; i < PATHS && !st; i++) {
        const char *name;

        if (!(st = config_text(&name, object, keys[i], NULL, err)) && name)
            st = path_from(to[i], path, name, err);
    }
    return st;
}

enum status text_encoders_name(struct text_encoders *e, const char *folder, struct error *err)
{
    char **path[PATHS];
    enum status st = OK;

    paths_of(e, path);
    for (int i = 0; i < PATHS && !st; i++) {
        char *name;

        if (!*path[i] || (st = path_seen_from(&name, folder, *path[i], err)))
            continue;
        free(*path[i]);
        *path[i] = name;
    }
    return st;
}
