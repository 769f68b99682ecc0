/*
 * text_data.c - what frozen encoders say of a run's captions
 *
 * An encoder that does not learn says the same of a caption in every epoch, and the largest of them
 * has more weights than the network that learns.  So every caption is encoded once, before the
 * first step, and the encoders are gone when the run begins; what they said is mapped, and the
 * system's page cache is the only one there is.
 *
 * Files are the parts of a cache of latents (data/latents_part.h): numbers under a checksum, whose
 * they are by hash, and a caption each, here the whole point.  A "latent" is what is said of one
 * caption:
 *
 *     rows 0 .. tokens - 1     the context, a row a token
 *     the rows behind          the pooled vector, filled up with zeros
 *
 * A cache of pictures is one set in one order; captions come and go with the pictures and repeat,
 * so this one has no order and no index: it is what its parts hold, found by the caption, and what
 * a run misses is written behind them.  Runs on other pictures share what they have in common; of
 * other encoders, or another vocabulary, the words lie in another folder, named by their hash.
 *
 * Captions are taken as they are: parentheses, which weigh words in a person's prompt, are letters
 * here, and what is longer than CLIP's 77 tokens is cut, as the networks were trained that read it.
 */
#include "train/text_data.h"

#include "base/memory.h"
#include "base/whole.h"
#include "data/latents_file.h"
#include "data/latents_part.h"
#include "data/listing.h"
#include "data/loader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CLIP_ROWS = 1, CALL = 32, FOLDER_DIGITS = 16, MISSING = -1 };

static const int64_t part_bytes = INT64_C(64) << 20;

/* A caption, and where it is: in row `row` of a part, or MISSING and then its text is heap. */
struct entry {
    const char *text;
    int64_t part, row;
};

struct text_data {
    struct text_data_request r;
    char hash[HASH_TEXT];
    char *folder; /* of these encoders */
    int64_t tokens, rows, width, pooled_width;
    struct latents_part *part;
    int64_t parts, parts_room, next; /* next: the number of the first row of a new part */
    struct entry *entry;
    int64_t entries, entries_room, missing; /* missing: entries from that one on are not there */
    int64_t *slot;                          /* [slots], a power of two: entry + 1, or 0        */
    int64_t slots;
};

/* --- by caption ---------------------------------------------------------------------------------
 */

/* FNV-1a, 64 bits. */
static uint64_t hash_text(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return h;
}

/* The slot of a caption, or the free one where it belongs. */
static int64_t *slot_of(const struct text_data *t, const char *text)
{
    uint64_t at = hash_text(text) & (uint64_t)(t->slots - 1);

    while (t->slot[at] && strcmp(t->entry[t->slot[at] - 1].text, text) != 0)
        at = (at + 1) & (uint64_t)(t->slots - 1);
    return &t->slot[at];
}

static enum status grow_slots(struct text_data *t, struct error *err)
{
    int64_t slots = t->slots ? 2 * t->slots : 256;
    int64_t *slot;
    enum status st;

    if ((st = mem_new((void **)&slot, (uint64_t)slots, sizeof *slot, "captions", err)))
        return st;
    free(t->slot);
    t->slot = slot;
    t->slots = slots;
    for (int64_t i = 0; i < t->entries; i++)
        *slot_of(t, t->entry[i].text) = i + 1;
    return OK;
}

/* An entry that is not there yet; its text stays the caller's. */
static enum status add_entry(struct text_data *t, const struct entry *e, struct error *err)
{
    enum status st;

    if (2 * (t->entries + 1) > t->slots && (st = grow_slots(t, err)))
        return st;
    if ((st =
             mem_grow((void **)&t->entry, &t->entries_room, t->entries + 1, sizeof *t->entry, err)))
        return st;
    *slot_of(t, e->text) = t->entries + 1;
    t->entry[t->entries++] = *e;
    return OK;
}

static const struct entry *find(const struct text_data *t, const char *text)
{
    int64_t i = t->slots ? *slot_of(t, text) : 0;

    return i ? &t->entry[i - 1] : NULL;
}

/* --- parts --------------------------------------------------------------------------------------
 */

static enum status check_part(const struct text_data *t, const struct latents_part *p,
                              struct error *err)
{
    if (strcmp(p->autoencoder, t->hash) != 0)
        return fail(err, E_FORMAT, "words of the encoders %s, not of %s", p->autoencoder, t->hash);
    if (p->height == t->rows && p->width == 1 && p->channels == t->width && p->captions)
        return OK;
    return fail(err, E_FORMAT,
                "%" PRId64 " x %" PRId64 " x %" PRId64 " numbers a caption, not %" PRId64
                " x 1 x %" PRId64,
                p->height, p->width, p->channels, t->rows, t->width);
}

/* A part that is there: its captions are found from here on. */
static enum status take_part(struct text_data *t, const char *path, struct error *err)
{
    struct latents_part *p;
    enum status st;

    if ((st = mem_grow((void **)&t->part, &t->parts_room, t->parts + 1, sizeof *t->part, err)))
        return st;
    p = &t->part[t->parts];
    st = latents_part_open(p, path, err);
    t->parts++;
    if (st)
        return st;
    if ((st = check_part(t, p, err))) {
        fail_under(err, "%s", path);
        return st;
    }
    t->next = whole_max(t->next, p->first + p->n);
    for (int64_t i = 0; i < p->n && !st; i++) {
        struct entry e = {latents_part_caption(p, i), t->parts - 1, i};
        const struct entry *known = find(t, e.text);

        if (!known)
            st = add_entry(t, &e, err);
    }
    return st;
}

static enum status take_parts(struct text_data *t, struct error *err)
{
    struct listing l;
    enum status st;

    if (!path_is_folder(t->folder))
        return OK;
    if ((st = listing_read(&l, t->folder, err)))
        return st;
    for (int64_t i = 0; i < l.n && !st; i++) {
        char *path;

        if (latents_part_named(l.names[i]) < 0 ||
            (st = listing_path(&path, t->folder, l.names[i], err)))
            continue;
        st = take_part(t, path, err);
        free(path);
    }
    listing_release(&l);
    t->missing = t->entries;
    return st;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static enum status make_folder(const char *path, struct error *err)
{
    if (mkdir(path, 0777) && errno != EEXIST)
        return fail_errno(err, E_IO, "%s: the folder cannot be made", path);
    return OK;
}

static enum status name_folder(struct text_data *t, struct error *err)
{
    char name[FOLDER_DIGITS + 1] = {0};

    memcpy(name, t->hash, FOLDER_DIGITS);
    return listing_path(&t->folder, t->r.folder, name, err);
}

static enum status set_sizes(struct text_data *t, struct error *err)
{
    const struct network_io *io = t->r.io;

    t->tokens = text_encoders_tokens(t->r.encoders, CLIP_ROWS);
    t->width = io->context_width;
    t->pooled_width = io->pooled_width;
    t->rows = t->tokens + (t->pooled_width + t->width - 1) / t->width;
    if (t->rows <= LATENTS_SIDE && t->width <= LATENTS_CHANNELS)
        return OK;
    return fail(err, E_UNSUPPORTED,
                "text.cache: %" PRId64 " rows of %" PRId64
                " numbers a caption; at most %d of %d are kept",
                t->rows, t->width, LATENTS_SIDE, LATENTS_CHANNELS);
}

enum status text_data_open(struct text_data **out, const struct text_data_request *r,
                           struct error *err)
{
    struct text_data *t = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&t, 1, sizeof *t, "encoded captions", err)))
        return st;
    t->r = *r;
    if ((st = set_sizes(t, err)) || (st = text_encoders_hash(t->hash, r->encoders, r->io, err)) ||
        (st = name_folder(t, err)) || (st = take_parts(t, err))) {
        text_data_close(t);
        return st;
    }
    *out = t;
    return OK;
}

void text_data_close(struct text_data *t)
{
    if (!t)
        return;
    for (int64_t i = t->missing; i < t->entries; i++)
        free((void *)(uintptr_t)t->entry[i].text);
    for (int64_t i = 0; i < t->parts; i++)
        latents_part_close(&t->part[i]);
    free(t->part);
    free(t->entry);
    free(t->slot);
    free(t->folder);
    free(t);
}

/* --- encoding -----------------------------------------------------------------------------------
 */

static enum status want(struct text_data *t, const char *caption, struct error *err)
{
    struct entry e = {.part = MISSING};
    char *text;
    enum status st;

    if (find(t, caption))
        return OK;
    if ((st = mem_text(&text, caption, err)))
        return st;
    e.text = text;
    if ((st = add_entry(t, &e, err)))
        free(text);
    return st;
}

/* The captions of entries [first, first + n) as numbers [n, rows, width]. */
static enum status encode_some(const struct text_data *t, float *out, int64_t first, int64_t n,
                               struct error *err)
{
    const struct encoding_how how = {
        .threads = t->r.threads, .plain = true, .clip_rows = CLIP_ROWS};
    const char *text[CALL];
    struct prompts p;
    enum status st;

    for (int64_t i = 0; i < n; i++)
        text[i] = t->entry[first + i].text;
    if (!(st = prompts_encode(&p, t->r.encoders, t->r.io, text, n, &how, err)))
        for (int64_t i = 0; i < n; i++) {
            float *to = out + i * t->rows * t->width;
            int64_t length = t->tokens * t->width;

            memcpy(to, p.context + i * length, (size_t)length * sizeof *to);
            if (t->pooled_width)
                memcpy(to + length, p.pooled + i * t->pooled_width,
                       (size_t)t->pooled_width * sizeof *to);
        }
    prompts_release(&p);
    return st;
}

/* A part as it is written. */
struct writing {
    float *numbers;  /* [room, rows, width] */
    int32_t *labels; /* [room], -1: none    */
    struct text captions;
};

static enum status save_part(const struct text_data *t, const char *path, struct writing *w,
                             int64_t n, struct error *err)
{
    struct latents_part p = {.first = t->next,
                             .n = n,
                             .height = t->rows,
                             .width = 1,
                             .channels = t->width,
                             .latents = (const uint8_t *)w->numbers,
                             .labels = (const uint8_t *)w->labels,
                             .captions = w->captions.data,
                             .caption_bytes = (int64_t)w->captions.used};
    struct hash h;

    if (w->captions.cut)
        return fail(err, E_MEMORY, "no memory for captions");
    memcpy(p.autoencoder, t->hash, HASH_TEXT);
    hash_begin(&h);
    hash_add(&h, w->captions.data, w->captions.used);
    hash_end(&h, p.pictures);
    return latents_part_save(path, &p, err);
}

/* Entries [t->missing, t->missing + n) into a part of their own. */
static enum status write_part(struct text_data *t, struct writing *w, int64_t n, int64_t begun,
                              struct error *err)
{
    char *path = NULL;
    enum status st = OK;

    w->captions.used = 0;
    for (int64_t i = 0; i < n && !st; i += CALL) {
        int64_t some = whole_min(CALL, n - i), done = t->missing + i - begun;

        if (t->r.progress && !t->r.progress(done, t->entries - begun, t->r.user))
            return fail(err, E_CANCELLED, "stopped after %" PRId64 " of %" PRId64 " captions", done,
                        t->entries - begun);
        for (int64_t k = 0; k < some; k++) {
            const char *text = t->entry[t->missing + i + k].text;

            w->labels[i + k] = -1;
            text_add_bytes(&w->captions, text, strlen(text) + 1);
        }
        st = encode_some(t, w->numbers + i * t->rows * t->width, t->missing + i, some, err);
    }
    if (!st && !(st = latents_part_path(&path, t->folder, t->next, err)) &&
        !(st = save_part(t, path, w, n, err)) &&
        !(st = mem_grow((void **)&t->part, &t->parts_room, t->parts + 1, sizeof *t->part, err)) &&
        !(st = latents_part_open(&t->part[t->parts++], path, err))) {
        for (int64_t k = 0; k < n; k++) {
            struct entry *e = &t->entry[t->missing + k];

            free((void *)(uintptr_t)e->text);
            *e = (struct entry){latents_part_caption(&t->part[t->parts - 1], k), t->parts - 1, k};
        }
        t->next += n;
        t->missing += n;
    }
    free(path);
    return st;
}

static enum status encode_missing(struct text_data *t, struct error *err)
{
    int64_t each = t->rows * t->width * (int64_t)sizeof(float), begun = t->missing;
    int64_t room = whole_clamp(part_bytes / each, 1, t->entries - t->missing);
    struct writing w = {0};
    enum status st;

    text_init(&w.captions, NULL, 0);
    if (!(st = make_folder(t->r.folder, err)) && !(st = make_folder(t->folder, err)) &&
        !(st = mem_new((void **)&w.labels, (uint64_t)room, sizeof *w.labels, "captions", err)))
        st = mem_new((void **)&w.numbers, (uint64_t)room, (uint64_t)each, "encoded captions", err);
    while (!st && t->missing < t->entries)
        st = write_part(t, &w, whole_min(room, t->entries - t->missing), begun, err);
    if (!st && t->r.progress && !t->r.progress(t->entries - begun, t->entries - begun, t->r.user))
        st = fail(err, E_CANCELLED, "stopped after the captions were encoded");
    free(w.numbers);
    free(w.labels);
    text_release(&w.captions);
    return st;
}

/* After captions were wanted. */
static enum status settle(struct text_data *t, enum status st, struct error *err)
{
    if (!st)
        st = want(t, "", err);
    if (!st && t->r.writes && t->missing < t->entries)
        st = encode_missing(t, err);
    if (st)
        fail_under(err, "captions");
    return st;
}

enum status text_data_need(struct text_data *t, const char *const *caption, int64_t n,
                           struct error *err)
{
    enum status st = OK;

    for (int64_t i = 0; i < n && !st; i++)
        st = want(t, caption[i], err);
    return settle(t, st, err);
}

enum status text_data_need_set(struct text_data *t, const struct dataset *d, uint64_t seed,
                               int64_t n, struct error *err)
{
    bool all = n < 0;
    char caption[CAPTION_TEXT];
    float *pixels = NULL;
    enum status st;

    if (all && d->count == INT64_MAX)
        return fail(err, E_ARG,
                    "text.cache: the captions of an endless set cannot be encoded before: give it "
                    "a data.limit");
    if ((st = mem_new((void **)&pixels, (uint64_t)dataset_length(d), sizeof *pixels, "a picture",
                      err)))
        return st;
    n = all ? d->count : n;
    for (int64_t i = 0; i < n && !st; i++) {
        int64_t at = all ? i : loader_index(seed, d->count, i);

        if (!(st = dataset_get(d, at, pixels, NULL, caption, err)))
            st = want(t, caption, err);
    }
    free(pixels);
    return settle(t, st, err);
}

/* --- reading ------------------------------------------------------------------------------------
 */

int64_t text_data_count(const struct text_data *t)
{
    return t->missing;
}

int64_t text_data_tokens(const struct text_data *t)
{
    return t->tokens;
}

void text_data_read(const struct text_data *t, const char *caption, float *context, float *pooled)
{
    const struct entry *e = find(t, caption ? caption : "");
    size_t length = (size_t)(t->tokens * t->width) * sizeof *context;
    size_t of_whole = (size_t)t->pooled_width * sizeof *pooled;
    const uint8_t *from;

    MUST(e, "the caption '%.60s' was not asked for before", caption ? caption : "");
    if (e->part == MISSING) {
        memset(context, 0, length);
        if (of_whole)
            memset(pooled, 0, of_whole);
        return;
    }
    from = t->part[e->part].latents + (size_t)(e->row * t->rows * t->width) * sizeof *context;
    memcpy(context, from, length);
    if (of_whole)
        memcpy(pooled, from + length, of_whole);
}
