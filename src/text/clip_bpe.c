/*
 * clip_bpe.c - texts as the ids that CLIP reads
 *
 * A text is cut into pieces by a regular expression, and the bytes of a piece are merged, pair by
 * pair, in the order in which training has merged them:
 *
 *     "Lovers"  ->  l o v e r s</w>  ->  lo v er s</w>  ->  lo ver s</w>  ->  lo vers</w>  ->
 * lovers</w>
 *
 * As it is stated (find the best pair, merge it everywhere, begin again) that takes the square of a
 * piece's length, and nothing bounds a piece: a hundred thousand letters without a space are one.
 * So the pairs wait in a heap, lowest rank and then leftmost first.  All occurrences of the best
 * pair are taken out before the first is merged: what their merging makes possible competes only
 * afterwards, exactly as stated.  An occurrence that overlaps one merged before it is no longer
 * there and is passed over.
 *
 * PCRE2 knows which characters are letters and which are numerals.  Its match limits bound what one
 * call may take; the pattern never goes back, so they are never reached.
 *
 * Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision".
 */
#include "text/clip_bpe.h"

#include "base/file.h"
#include "text/clip_merges.h"
#include "text/unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The special names, contractions, a word, one numeral, a run of signs; spaces fit nothing. */
#define SPECIAL "<\\|startoftext\\|>|<\\|endoftext\\|>|"
#define PIECES  "'s|'t|'re|'ve|'m|'ll|'d|\\p{L}++|\\p{N}|[^ \\p{L}\\p{N}]++"

enum { MATCH_LIMIT = 100000, HEAP_LIMIT_KIB = 1024 };

struct clip_bpe {
    struct clip_merges merges;
    pcre2_code *pieces[2]; /* by enum clip_bpe_special */
    pcre2_match_context *limits;
};

/* ---- Opening ---- */

static enum status patterns_compile(struct clip_bpe *b, struct error *err)
{
    static const char *const patterns[] = {PIECES, SPECIAL PIECES};

    b->limits = pcre2_match_context_create(NULL);
    if (!b->limits)
        return fail(err, E_MEMORY, "no memory for a pattern");
    pcre2_set_match_limit(b->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(b->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(b->limits, HEAP_LIMIT_KIB);
    for (int i = 0; i < 2; i++) {
        PCRE2_SIZE where;
        int code;

        b->pieces[i] =
            pcre2_compile((PCRE2_SPTR)patterns[i], PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &where, NULL);
        if (!b->pieces[i] && code == PCRE2_ERROR_NOMEMORY)
            return fail(err, E_MEMORY, "no memory for a pattern");
        /* The only other reason: a library that was built without Unicode. */
        if (!b->pieces[i])
            return fail(err, E_UNSUPPORTED, "PCRE2 cannot compile '%s': error %d at %zu",
                        patterns[i], code, where);
    }
    return OK;
}

static enum status open_with(struct clip_bpe **out, const void *bytes, size_t n,
                             const void *vocabulary, size_t n_vocabulary, const char *name,
                             struct error *err)
{
    struct clip_bpe *b = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&b, 1, sizeof *b, name, err)) ||
        (st = clip_merges_read(&b->merges, bytes, n, vocabulary, n_vocabulary, name, err)) ||
        (st = patterns_compile(b, err))) {
        clip_bpe_close(b);
        return st;
    }
    *out = b;
    return OK;
}

enum status clip_bpe_open_bytes(struct clip_bpe **out, const void *bytes, size_t n,
                                const char *name, struct error *err)
{
    return open_with(out, bytes, n, NULL, 0, name, err);
}

static bool is_folder(const char *path)
{
    struct stat info;

    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

/* *merges = the merges file that path means, *vocabulary = the vocab.json that goes with it, which
 * need not exist; both on the heap, or the second NULL. */
static enum status paths_of(char **merges, char **vocabulary, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/'), *leaf = slash ? slash + 1 : path;
    size_t room = strlen(path) + 32;
    int folder = (int)(leaf - path); /* letters before the leaf */
    enum status st;

    if ((st = mem_new((void **)merges, room, 1, path, err)) ||
        (st = mem_new((void **)vocabulary, room, 1, path, err)))
        return st;
    if (is_folder(path)) {
        snprintf(*merges, room, "%s/merges.txt", path);
        snprintf(*vocabulary, room, "%s/vocab.json", path);
    } else {
        snprintf(*merges, room, "%s", path);
        if (!strcmp(leaf, "merges.txt"))
            snprintf(*vocabulary, room, "%.*svocab.json", folder, path);
    }
    return OK;
}

enum status clip_bpe_open(struct clip_bpe **out, const char *path, struct error *err)
{
    char *merges = NULL, *vocabulary = NULL;
    uint8_t *text = NULL, *json = NULL;
    uint64_t n = 0, n_json = 0;
    struct stat info;
    enum status st;

    *out = NULL;
    if ((st = paths_of(&merges, &vocabulary, path, err)) ||
        (st = file_read(&text, &n, merges, CLIP_FILE_BYTES, err)))
        goto out;
    if (*vocabulary && !stat(vocabulary, &info) &&
        (st = file_read(&json, &n_json, vocabulary, CLIP_FILE_BYTES, err)))
        goto out;
    st = open_with(out, text, n, json, n_json, merges, err);
out:
    free(merges);
    free(vocabulary);
    free(text);
    free(json);
    return st;
}

void clip_bpe_close(struct clip_bpe *b)
{
    if (!b)
        return;
    clip_merges_release(&b->merges);
    pcre2_code_free(b->pieces[CLIP_PLAIN]);
    pcre2_code_free(b->pieces[CLIP_SPECIAL]);
    pcre2_match_context_free(b->limits);
    free(b);
}

int32_t clip_bpe_begin(const struct clip_bpe *b)
{
    return b->merges.begin;
}

int32_t clip_bpe_end(const struct clip_bpe *b)
{
    return b->merges.end;
}

/* ---- Merging the bytes of one piece ---- */

/* Symbols in a row, each knowing its neighbours; -1 beyond the ends. */
struct link {
    int32_t symbol, before, after, rank; /* rank: of the pair with the one after, or -1 */
};

/* Room for one piece, kept from piece to piece. */
struct merging {
    const struct clip_merges *merges;
    struct link *link;
    uint64_t *heap; /* rank << 32 | place of the left one; a symbol begins with one, a merge
                       brings two                                       */
    int32_t *due;   /* places of the occurrences that are merged now    */
    int64_t n_heap;
};

static void heap_push(struct merging *m, uint64_t key)
{
    int64_t i = m->n_heap++;

    for (; i > 0 && m->heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = key;
}

static uint64_t heap_pop(struct merging *m)
{
    uint64_t top = m->heap[0], last = m->heap[--m->n_heap];
    int64_t i = 0, child;

    while ((child = 2 * i + 1) < m->n_heap) {
        if (child + 1 < m->n_heap && m->heap[child + 1] < m->heap[child])
            child++;
        if (m->heap[child] >= last)
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = last;
    return top;
}

/* Let the pair of place i and the one after it wait for its turn. */
static void pair_push(struct merging *m, int32_t i)
{
    struct link *l = &m->link[i];
    const struct clip_merge *found;

    l->rank = -1;
    if (l->after < 0)
        return;
    found = clip_merges_find(m->merges, l->symbol, m->link[l->after].symbol);
    if (found) {
        l->rank = found->rank;
        heap_push(m, (uint64_t)found->rank << 32 | (uint32_t)i);
    }
}

static void pair_merge(struct merging *m, int32_t i)
{
    struct link *l = &m->link[i], *r = &m->link[l->after];

    l->symbol = clip_merges_find(m->merges, l->symbol, r->symbol)->made;
    l->after = r->after;
    r->rank = -1;
    if (l->after >= 0)
        m->link[l->after].before = i;
    pair_push(m, i);
    if (l->before >= 0)
        pair_push(m, l->before);
}

/* All occurrences of the best pair, left to right. */
static void best_merge(struct merging *m)
{
    int32_t rank = (int32_t)(m->heap[0] >> 32);
    int64_t n = 0;

    while (m->n_heap && (int32_t)(m->heap[0] >> 32) == rank)
        m->due[n++] = (int32_t)(uint32_t)heap_pop(m);
    /* A pair that is no more has another rank by now, or none. */
    for (int64_t k = 0; k < n; k++)
        if (m->link[m->due[k]].rank == rank)
            pair_merge(m, m->due[k]);
}

static enum status piece_merge(struct merging *m, struct ids *out, const char *bytes, int32_t n,
                               struct error *err)
{
    enum status st = OK;

    m->n_heap = 0;
    for (int32_t i = 0; i < n; i++)
        m->link[i] =
            (struct link){clip_byte_symbol((uint8_t)bytes[i]), i - 1, i + 1 < n ? i + 1 : -1, -1};
    m->link[n - 1].symbol += CLIP_BYTES;
    for (int32_t i = 0; i < n; i++)
        pair_push(m, i);
    while (m->n_heap)
        best_merge(m);
    for (int32_t i = 0; i >= 0 && !st; i = m->link[i].after)
        st = ids_add(out, m->merges->id[m->link[i].symbol], err);
    return st;
}

static enum status merging_init(struct merging *m, const struct clip_merges *merges, size_t longest,
                                struct error *err)
{
    enum status st;

    *m = (struct merging){.merges = merges};
    if ((st = mem_new((void **)&m->link, longest, sizeof *m->link, "a text", err)) ||
        (st = mem_new((void **)&m->heap, 3 * (uint64_t)longest, sizeof *m->heap, "a text", err)))
        return st;
    return mem_new((void **)&m->due, longest, sizeof *m->due, "a text", err);
}

static void merging_release(struct merging *m)
{
    free(m->link);
    free(m->heap);
    free(m->due);
}

/* ---- From a text to pieces ---- */

/* The text in the one spelling that the vocabulary knows. */
static enum status text_prepare(char **out, size_t *n, const char *text, size_t bytes,
                                struct error *err)
{
    struct code_points t = {0};
    enum status st;

    if ((st = code_points_read(&t, text, bytes, err)) || (st = code_points_compose(&t, err)))
        goto out;
    code_points_squeeze(&t);
    if (!(st = code_points_lower(&t, err)))
        st = code_points_write(out, n, &t, err);
out:
    code_points_release(&t);
    return st;
}

/* The id of a special name, or -1. */
static int32_t special_id(const struct clip_bpe *b, const char *piece, size_t n)
{
    static const char begin[] = "<|startoftext|>", end[] = "<|endoftext|>";

    if (n == sizeof begin - 1 && !memcmp(piece, begin, n))
        return b->merges.begin;
    return n == sizeof end - 1 && !memcmp(piece, end, n) ? b->merges.end : -1;
}

static enum status pieces_encode(const struct clip_bpe *b, struct ids *out, const char *text,
                                 size_t n, enum clip_bpe_special special, pcre2_match_data *match,
                                 struct error *err)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(match);
    struct merging m;
    enum status st = merging_init(&m, &b->merges, n, err);
    int code;

    /* The text is sound: asking PCRE2 to check that each time would take the square of n. */
    for (size_t at = 0; !st && at < n; at = found[1]) {
        int32_t id;

        code = pcre2_match(b->pieces[special], (PCRE2_SPTR)text, n, at, PCRE2_NO_UTF_CHECK, match,
                           b->limits);
        if (code == PCRE2_ERROR_NOMATCH)
            break;
        if (code < 0) {
            st = fail(err, code == PCRE2_ERROR_NOMEMORY ? E_MEMORY : E_UNSUPPORTED,
                      "a text of %zu bytes cannot be cut into words: PCRE2 says %d", n, code);
            break;
        }
        id = special == CLIP_SPECIAL ? special_id(b, text + found[0], found[1] - found[0]) : -1;
        st = id >= 0 ? ids_add(out, id, err)
                     : piece_merge(&m, out, text + found[0], (int32_t)(found[1] - found[0]), err);
    }
    merging_release(&m);
    return st;
}

enum status clip_bpe_encode(const struct clip_bpe *b, struct ids *out, const char *text, size_t n,
                            enum clip_bpe_special special, struct error *err)
{
    pcre2_match_data *match = NULL;
    char *prepared = NULL;
    enum status st;
    size_t bytes;

    if ((st = text_prepare(&prepared, &bytes, text, n, err)))
        goto out;
    match = pcre2_match_data_create(1, NULL);
    if (!match) {
        st = fail(err, E_MEMORY, "no memory to cut a text into words");
        goto out;
    }
    st = pieces_encode(b, out, prepared, bytes, special, match, err);
out:
    pcre2_match_data_free(match);
    free(prepared);
    return st;
}
