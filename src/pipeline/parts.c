/*
 * parts.c - what a model of several files is made of, and what each of them is
 *
 * A picture of a published model is a function of up to seven files, and its recipe has to tell
 * whether those at hand are the ones that made it.  A hash of all they hold would be the safe
 * answer, and takes a minute for the twenty gigabytes of a model with T5: longer than some of the
 * pictures.  Weights are no text, though, in which a single letter may differ.  Whatever is
 * trained, merged or converted differs nearly everywhere, and so does another file of the same
 * size.  So a few hundred pieces are read, spread over the file, with its beginning, where the
 * names and types of the tensors stand:
 *
 *      size  [####]........[####]........[####]........[####]
 *
 * What escapes is a change of a few tensors that falls between the pieces.  Files of a few
 * megabytes are read whole.
 */
#include "pipeline/parts.h"

#include "base/file.h"
#include "base/memory.h"
#include "data/listing.h"
#include "text/vocabulary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 15, PIECES = 512 };

/* --- by content ---------------------------------------------------------------------------------
 */

static enum status file_fingerprint(char out[HASH_TEXT], const char *path, struct error *err)
{
    struct file_map file = {0};
    char line[64];
    struct hash h;
    enum status st;

    if ((st = file_map(&file, path, err)))
        return st;
    snprintf(line, sizeof line, "imgen pieces 1 %" PRIu64 "\n", file.n);
    hash_begin(&h);
    hash_add(&h, line, strlen(line));
    if (file.n <= (uint64_t)PIECE * PIECES)
        hash_add(&h, file.bytes, file.n);
    for (uint64_t i = 0; i < PIECES && file.n > (uint64_t)PIECE * PIECES; i++) {
        const uint8_t *at = file.bytes + (file.n - PIECE) / (PIECES - 1) * i;

        hash_add(&h, i < PIECES - 1 ? at : file.bytes + file.n - PIECE, PIECE);
    }
    hash_end(&h, out);
    file_map_release(&file);
    return OK;
}

static bool counts(const char *name)
{
    return name_ends(name, ".safetensors") || name_ends(name, ".gguf") || name_ends(name, ".json");
}

static enum status add_named(struct hash *h, const char *folder, const char *name,
                             struct error *err)
{
    char of_file[HASH_TEXT], *path;
    enum status st;

    if ((st = listing_path(&path, folder, name, err)))
        return st;
    if (path_is_file(path) && !(st = file_fingerprint(of_file, path, err))) {
        hash_add(h, name, strlen(name) + 1);
        hash_add(h, of_file, HASH_TEXT);
    }
    free(path);
    return st;
}

enum status path_fingerprint(char out[HASH_TEXT], const char *path, struct error *err)
{
    struct listing l;
    struct hash h;
    enum status st;

    if (!path_is_folder(path))
        return file_fingerprint(out, path, err);
    if ((st = listing_read(&l, path, err)))
        return st;
    hash_begin(&h);
    for (int64_t i = 0; i < l.n && !st; i++)
        if (counts(l.names[i]))
            st = add_named(&h, path, l.names[i], err);
    hash_end(&h, out);
    listing_release(&l);
    return st;
}

enum status folder_fingerprint(char out[HASH_TEXT], const char *folder, struct error *err)
{
    static const char *const parts[] = {"transformer", "scheduler"};
    enum status st = OK;
    struct hash h;

    hash_begin(&h);
    for (int i = 0; i < 2 && !st; i++) {
        char one[HASH_TEXT] = "", *path;

        if ((st = listing_path(&path, folder, parts[i], err)))
            break;
        if (path_is_folder(path))
            st = path_fingerprint(one, path, err);
        hash_add(&h, one, HASH_TEXT);
        free(path);
    }
    hash_end(&h, out);
    return st;
}

/* --- what there is ------------------------------------------------------------------------------
 */

static enum status add(struct model_parts *p, const char *role, const char *path, struct error *err)
{
    struct model_part *to = &p->at[p->n++];

    to->role = role;
    return path ? mem_text(&to->path, path, err) : OK;
}

static enum status add_vocabulary(struct model_parts *p, const char *role, enum vocabulary which,
                                  const char *given, const char *folder, struct error *err)
{
    char *path = NULL;
    enum status st = vocabulary_find(&path, which, given, folder, err);

    st = st == E_MEMORY ? st : add(p, role, st ? NULL : path, err);
    free(path);
    return st;
}

enum status model_parts_find(struct model_parts *p, const struct model *m, struct error *err)
{
    const struct text_encoders *e = m->encoders;
    const char *t5 = e && e->t5_tokens ? e->t5 : NULL;
    enum status st;

    *p = (struct model_parts){0};
    if (m->space && m->space->published && (st = add(p, "autoencoder", m->space->found, err)))
        return st;
    if (!e)
        return OK;
    if ((st = add(p, "clip_l", e->clip_l, err)) || (st = add(p, "clip_g", e->clip_g, err)) ||
        (st = add(p, e->t5_tokens ? "t5xxl" : "no_t5", t5, err)))
        return st;
    if ((e->clip_l || e->clip_g) &&
        (st = add_vocabulary(p, "merges", VOCABULARY_CLIP, e->merges, e->folder, err)))
        return st;
    return t5 ? add_vocabulary(p, "spiece", VOCABULARY_T5, e->spiece, e->folder, err) : OK;
}

enum status model_parts_hash(struct model_parts *p, struct error *err)
{
    enum status st = OK;

    for (int i = 0; i < p->n && !st; i++) {
        struct model_part *to = &p->at[i];

        for (int k = 0; k < i && to->path; k++) /* several parts in one file */
            if (p->at[k].path && !strcmp(p->at[k].path, to->path))
                memcpy(to->hash, p->at[k].hash, HASH_TEXT);
        if (to->path && !to->hash[0])
            st = path_fingerprint(to->hash, to->path, err);
    }
    return st;
}

void model_parts_release(struct model_parts *p)
{
    for (int i = 0; i < p->n; i++)
        free(p->at[i].path);
    *p = (struct model_parts){0};
}
