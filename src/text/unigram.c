/*
 * unigram.c - texts as the ids that T5 reads
 *
 * Pieces of the vocabulary have scores, logarithms of how likely they are, and a text is cut so
 * that their sum is largest.  The best cut up to a byte is the best cut up to where its last piece
 * begins, and that piece; so one pass from left to right finds it (Viterbi 1967), with the pieces
 * that begin at each character found along a trie.
 *
 * Cuts can be of equal worth, and then rounding decides.  So it is done as published: the best sum
 * up to a byte is kept in float32, a candidate is computed in double and must be strictly larger.
 *
 * Before that a text is brought into one spelling by the model's own map: the longest key at each
 * place gives way to its replacement.  The map comes from a file, so its trie may lead anywhere: a
 * place outside it ends a key, keys are bounded, and so is what a text may grow to.  The longest
 * growth in Unicode's compatibility forms is elevenfold.
 *
 * Kudo 2018, "Subword Regularization"; Kudo and Richardson 2018, "SentencePiece".
 */
#include "text/unigram.h"

#include "base/file.h"
#include "base/text.h"
#include "base/utf8.h"
#include "text/unicode.h"
#include "text/unigram_model.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    KEY_BYTES = 256,        /* of a key of the map, at most        */
    GROWN_BYTES = 16 << 20, /* of a text in the pieces' spelling   */
    UNKNOWN_PENALTY = 10,
};

static const char SPACE_SIGN[] = "\xE2\x96\x81"; /* U+2581 */

struct unigram {
    struct unigram_model model;
};

/* ---- Opening ---- */

enum status unigram_open_bytes(struct unigram **out, const void *bytes, size_t n, const char *name,
                               struct error *err)
{
    enum status st = mem_new((void **)out, 1, sizeof **out, name, err);

    if (!st && (st = unigram_model_read(&(*out)->model, bytes, n, name, err))) {
        free(*out);
        *out = NULL;
    }
    return st;
}

enum status unigram_open(struct unigram **out, const char *path, struct error *err)
{
    struct text leaf;
    uint8_t *bytes = NULL;
    struct stat info;
    enum status st;
    uint64_t n;

    *out = NULL;
    text_init(&leaf, NULL, 0);
    text_add(&leaf, "%s%s", path,
             !stat(path, &info) && S_ISDIR(info.st_mode) ? "/spiece.model" : "");
    st = leaf.cut ? fail(err, E_MEMORY, "no memory for a path")
                  : file_read(&bytes, &n, leaf.data, UNIGRAM_FILE_BYTES, err);
    if (!st)
        st = unigram_open_bytes(out, bytes, n, leaf.data, err);
    free(bytes);
    text_release(&leaf);
    return st;
}

void unigram_close(struct unigram *u)
{
    if (!u)
        return;
    unigram_model_release(&u->model);
    free(u);
}

/* ---- One spelling ---- */

static uint32_t unit_offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & 0x200) >> 6);
}

/* The replacement of the longest key at the beginning of the text; *length = the key's, 0 when
 * there is none. */
static const char *map_find(const struct piece_map *map, size_t *length, const uint8_t *text,
                            size_t n)
{
    const char *found = NULL;
    uint32_t at;

    *length = 0;
    if (!map->n_units)
        return NULL;
    at = unit_offset(map->unit[0]);
    for (size_t i = 0; i < n && i < KEY_BYTES; i++) {
        uint32_t unit, value;

        at ^= text[i];
        if (at >= map->n_units || (map->unit[at] & 0x800000FF) != text[i])
            break;
        unit = map->unit[at];
        at ^= unit_offset(unit);
        if (!(unit & 0x100))
            continue;
        value = at < map->n_units ? map->unit[at] & 0x7FFFFFFF : UINT32_MAX;
        if (value < map->n_out) {
            found = map->out + value;
            *length = i + 1;
        }
    }
    return found;
}

/* Append n bytes; spaces are single and none is first where the model squeezes. */
static void spelled_add(struct text *out, const struct piece_map *map, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        const char *space = memchr(bytes + i, ' ', n - i);
        size_t plain = (space ? (size_t)(space - bytes) : n) - i;

        text_add_bytes(out, bytes + i, plain);
        i += plain;
        if (i == n)
            break;
        if (!map->squeezes || (out->used && out->data[out->used - 1] != ' '))
            text_add_bytes(out, " ", 1);
        i++;
    }
}

/* The text with its characters mapped and its spaces still spaces. */
static enum status map_apply(struct text *out, const struct piece_map *map, const char *text,
                             size_t n, struct error *err)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n;

    while (p < end) {
        size_t length;
        const char *instead = map_find(map, &length, p, (size_t)(end - p));

        if (instead) {
            spelled_add(out, map, instead, strlen(instead));
            p += length;
        } else {
            const uint8_t *start = p;
            int32_t c = utf8_next(&p, end);

            if (c < 0)
                spelled_add(out, map, "\xEF\xBF\xBD", 3);
            else
                spelled_add(out, map, (const char *)start, (size_t)(p - start));
        }
        if (out->used > GROWN_BYTES)
            return fail(err, E_FORMAT,
                        "a text of %zu bytes grows beyond %d by the vocabulary's map of characters",
                        n, GROWN_BYTES);
    }
    if (map->squeezes && out->used && out->data[out->used - 1] == ' ')
        out->data[--out->used] = 0;
    return OK;
}

enum status unigram_normalise(const struct unigram *u, char **out, size_t *n, const char *text,
                              size_t bytes, struct error *err)
{
    const struct piece_map *map = &u->model.map;
    const char *space = map->escapes ? SPACE_SIGN : " ";
    struct text plain, spelled;
    enum status st;

    *out = NULL;
    *n = 0;
    if (bytes > UNICODE_TEXT_BYTES)
        return fail(err, E_ARG, "a text of %zu bytes is too long; up to %d are taken", bytes,
                    UNICODE_TEXT_BYTES);
    text_init(&plain, NULL, 0);
    text_init(&spelled, NULL, 0);
    if ((st = map_apply(&plain, map, text, bytes, err)))
        goto out;
    if (plain.used && map->adds_prefix)
        text_add(&spelled, "%s", space);
    for (size_t i = 0; i < plain.used;) {
        const char *next = memchr(plain.data + i, ' ', plain.used - i);
        size_t word = next ? (size_t)(next - plain.data) - i : plain.used - i;

        text_add_bytes(&spelled, plain.data + i, word);
        i += word;
        if (i < plain.used)
            text_add(&spelled, "%s", space);
        i++;
    }
    *n = spelled.used;
    if (!plain.cut)
        *out = text_take(&spelled);
    if (!*out)
        st = fail(err, E_MEMORY, "no memory for a text of %zu bytes", bytes);
out:
    text_release(&plain);
    text_release(&spelled);
    return st;
}

/* ---- The best cut ---- */

/* The best way to the end of a byte: where its last piece begins, and which that is. */
struct cut {
    float score;
    int32_t from; /* -1: no way yet */
    int32_t piece;
};

static double score_of(const struct unigram_model *m, int32_t id, size_t length)
{
    const struct piece *p = &m->piece[id];

    return p->kind == PIECE_USER ? (double)((float)length * m->highest) - 0.1 : (double)p->score;
}

static void cut_offer(struct cut *best, int32_t from, size_t to, int32_t piece, double score)
{
    double candidate = (double)best[from].score + score;

    if (best[to].from < 0 || candidate > (double)best[to].score)
        best[to] = (struct cut){(float)candidate, from, piece};
}

/* Every piece that begins at byte `from`, and the unknown one where none is the character there, of
 * `character` bytes: some way leads behind each character. */
static void pieces_offer(const struct unigram_model *m, struct cut *best, const uint8_t *text,
                         size_t n, int32_t from, size_t character)
{
    bool is_known = false;
    uint32_t node = 0;

    for (size_t to = (size_t)from; to < n;) {
        int32_t piece;

        node = unigram_step(m, node, text[to++]);
        if (!node)
            break;
        piece = m->ends[node];
        if (piece < 0)
            continue;
        cut_offer(best, from, to, piece, score_of(m, piece, to - (size_t)from));
        is_known = is_known || to - (size_t)from == character;
    }
    if (!is_known)
        cut_offer(best, from, (size_t)from + character, m->unknown,
                  (double)(m->lowest - UNKNOWN_PENALTY));
}

/* The cuts of the best way, from the last to the first, into ids from the first to the last. */
static enum status cuts_collect(const struct unigram_model *m, struct ids *out, struct cut *best,
                                const uint8_t *text, size_t n, struct error *err)
{
    int64_t first = out->n;
    enum status st;

    for (int32_t to = (int32_t)n; to > 0; to = best[to].from) {
        int32_t id = best[to].piece;
        bool is_unknown = id == m->unknown;

        if (is_unknown && m->has_bytes) {
            for (int32_t i = to; i-- > best[to].from;)
                if ((st = ids_add(out, m->byte[text[i]], err)))
                    return st;
            continue;
        }
        if (is_unknown && out->n > first && out->id[out->n - 1] == id)
            continue;
        if ((st = ids_add(out, id, err)))
            return st;
    }
    for (int64_t i = first, k = out->n - 1; i < k; i++, k--) {
        int32_t id = out->id[i];

        out->id[i] = out->id[k];
        out->id[k] = id;
    }
    return OK;
}

enum status unigram_encode(const struct unigram *u, struct ids *out, const char *text, size_t n,
                           struct error *err)
{
    const struct unigram_model *m = &u->model;
    struct cut *best = NULL;
    const uint8_t *p, *end;
    char *spelled = NULL;
    enum status st;
    size_t bytes;

    if ((st = unigram_normalise(u, &spelled, &bytes, text, n, err)) ||
        (st = mem_new((void **)&best, bytes + 1, sizeof *best, "a text", err)))
        goto out;
    for (size_t i = 1; i <= bytes; i++)
        best[i].from = -1;
    p = (const uint8_t *)spelled;
    end = p + bytes;
    while (p < end) {
        const uint8_t *start = p;
        int32_t from = (int32_t)(start - (const uint8_t *)spelled);

        utf8_next(&p, end);
        pieces_offer(m, best, (const uint8_t *)spelled, bytes, from, (size_t)(p - start));
    }
    st = cuts_collect(m, out, best, (const uint8_t *)spelled, bytes, err);
out:
    free(spelled);
    free(best);
    return st;
}
