/*
 * latents_part.c - a part of a cache of latents: one file, some of the pictures
 *
 * A part is a safetensors file because that is mapped, and because any tool can look into it.
 *
 * A latent that was damaged on the disk trains as well as any other, and nobody sees it.  So every
 * byte of a part stands under a checksum: that of the numbers, and of everything that says what
 * they are (whose, of which pictures, from which on, of which shape), in a few lines of text before
 * them.  What came later, seeds, frames and captions, adds lines of its own and only where it is
 * there, so that the checksum of a part without them is what it always was.
 */
#include "data/latents_part.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/dataset.h"
#include "data/latents_file.h"
#include "data/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Formats. */
enum { PLAIN = 1, WITH_CAPTIONS = 2, TEXT_LIMIT = 1 << 16 };

static const char key[] = "imgen.latents", latents_name[] = "latents", labels_name[] = "labels";
static const char captions_name[] = "captions";

static uint64_t latent_bytes(const struct latents_part *p)
{
    int64_t frames = p->frames ? p->frames : 1;

    return (uint64_t)(frames * p->height * p->width * p->channels) * sizeof(float);
}

static int part_version(const struct latents_part *p)
{
    return p->captions ? WITH_CAPTIONS : PLAIN;
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

/* --- reading -------------------------------------------------------------------------------------
 */

static enum status read_description(struct latents_part *p, int64_t *version, const char *text,
                                    struct error *err)
{
    json_t *root;
    enum status st;

    if (!text)
        return fail(err, E_FORMAT, "no latents of imgen (no \"%s\" in its metadata)", key);
    if ((st = config_parse(&root, text, strlen(text), TEXT_LIMIT, key, err)))
        return st;
    if (!(st = config_need_int(version, root, "format", 1, WITH_CAPTIONS, err)) &&
        !(st = config_hash(p->autoencoder, root, "autoencoder", err)) &&
        !(st = config_hash(p->pictures, root, "pictures", err)) &&
        !(st = config_hash(p->checksum, root, "checksum", err)) &&
        !(st = config_seed(&p->seed, &p->sampled, root, "sampled", err)))
        st = config_need_int(&p->first, root, "first", 0, LATENTS_PICTURES, err);
    json_decref(root);
    return st;
}

static enum status read_tensors(struct latents_part *p, struct error *err)
{
    const struct file_tensor *z = safetensors_find(p->file, latents_name);
    const struct file_tensor *y = safetensors_find(p->file, labels_name);
    const int64_t *last = z ? z->dim + 1 + (z->rank == 5) : NULL; /* height, width, channels */

    if (!z || (z->rank != 4 && z->rank != 5) || z->dtype != FILE_F32 || z->dim[0] < 1 ||
        z->dim[0] > LATENTS_PICTURES || last[0] < 1 || last[0] > LATENTS_SIDE || last[1] < 1 ||
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

    if (version == PLAIN && !t)
        return OK;
    if (version == PLAIN || !t || t->rank != 1 || t->dtype != FILE_U8 || t->dim[0] < p->n)
        return fail(err, E_FORMAT,
                    "format %" PRId64 " %s a tensor \"%s\" of %" PRId64 " texts, and it is %s",
                    version, version == PLAIN ? "has not" : "has", captions_name, p->n,
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
        if (!(st = seal_compare(p->checksum, found, err)) && !(st = check_labels(p, err)))
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

/* --- writing ------------------------------------------------------------------------------------
 */

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
    if (!root || (p->sampled && config_set_seed(root, "sampled", p->seed)))
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
