/*
 * clip_merges.c - the vocabulary of CLIP's byte pairs
 *
 * The published file is a list of pairs, and everything follows from the order of its lines: the
 * rank by which pairs merge, and the ids.  Two tables are built from it.  While the file is read,
 * the text of each symbol -> the symbol, to know what a line speaks of; what stays is the pair of
 * two symbols -> what they make.
 *
 * A line may only speak of bytes and of what lines before it have made, as all lines of a trained
 * vocabulary do; anything else can never be made, and is a damaged file.  Two lines may make the
 * same text: it is one symbol, and the later line gives the id, as in the published tokenizers.
 *
 * Letters in the file stand for bytes: those that print stand for themselves, the 68 others for
 * U+0100 and on.  They are not translated: names are compared as they are spelled.
 *
 * Radford et al. 2021; Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword
 * Units".
 */
#include "text/clip_merges.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "io/packed.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOKUP_SLACK = 2,      /* places of a table for each thing in it, at least     */
    UNPACK_BYTES = 1 << 18 /* of a packed file at a time                            */
};

static const char WORD_END[] = "</w>";

/* ---- Bytes ---- */

int32_t clip_byte_symbol(uint8_t byte)
{
    if (byte >= 33 && byte <= 126)
        return byte - 33;
    if (byte >= 161 && byte <= 172)
        return 94 + byte - 161;
    if (byte >= 174)
        return 106 + byte - 174;
    return byte < 33 ? 188 + byte : byte == 173 ? 255 : 221 + byte - 127;
}

/* The code point that stands in files for the byte of a symbol. */
static int32_t symbol_letter(int32_t symbol)
{
    return symbol < 94 ? 33 + symbol : symbol < 106 ? 67 + symbol : 68 + symbol;
}

/* ---- Tables ---- */

static uint32_t table_size(int64_t n)
{
    uint32_t size = 1024;

    while (size < LOOKUP_SLACK * n)
        size *= 2;
    return size;
}

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9E3779B97F4A7C15u;
    x ^= x >> 29;
    x *= 0xBF58476D1CE4E5B9u;
    return x ^ x >> 32;
}

/* The place of a pair: its own, or the free one it would take. */
static struct clip_merge *merge_place(const struct clip_merges *m, int32_t left, int32_t right)
{
    uint64_t i = mixed((uint64_t)(uint32_t)left << 32 | (uint32_t)right);

    for (;; i++) {
        struct clip_merge *p = &m->table[i & m->mask];

        if (!p->made || (p->left == left && p->right == right))
            return p;
    }
}

const struct clip_merge *clip_merges_find(const struct clip_merges *m, int32_t left, int32_t right)
{
    const struct clip_merge *p = merge_place(m, left, right);

    return p->made ? p : NULL;
}

/* The names of symbols, while the file is read. */
struct names {
    char *bytes; /* one after the other, each with a zero behind it         */
    uint32_t *start;
    uint32_t n, used;
    uint32_t *table, mask; /* symbol + 1, by name; 0 is free                */
};

static uint64_t name_hash(const char *name, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)name[i]) * 0x100000001B3u;
    return mixed(h);
}

static uint32_t *name_place(const struct names *s, const char *name, size_t n)
{
    uint64_t i = name_hash(name, n);

    for (;; i++) {
        uint32_t *p = &s->table[i & s->mask];
        const char *own = *p ? s->bytes + s->start[*p - 1] : NULL;

        if (!own || (strncmp(own, name, n) == 0 && !own[n]))
            return p;
    }
}

/* The symbol of the n bytes at the end of `bytes` (s->used), a new one unless it is there. */
static int32_t name_keep(struct names *s, size_t n)
{
    uint32_t *p = name_place(s, s->bytes + s->used, n);

    if (!*p) {
        s->start[s->n++] = s->used;
        s->bytes[s->used + n] = 0;
        s->used += (uint32_t)n + 1;
        *p = s->n;
    }
    return (int32_t)*p - 1;
}

static void names_release(struct names *s)
{
    free(s->bytes);
    free(s->start);
    free(s->table);
    *s = (struct names){0};
}

/* Room for the names of a file of n bytes and `lines` lines: bytes, their ends, and what lines make
 * is never longer than the line. */
static enum status names_init(struct names *s, size_t n, int64_t lines, const char *file,
                              struct error *err)
{
    uint32_t size = table_size(CLIP_FIRST_MERGE + lines);
    enum status st;

    s->mask = size - 1;
    if ((st = mem_new((void **)&s->bytes, (uint64_t)n + CLIP_FIRST_MERGE * 8 + 16, 1, file, err)) ||
        (st = mem_new((void **)&s->start, (uint64_t)lines + CLIP_FIRST_MERGE, sizeof *s->start,
                      file, err)) ||
        (st = mem_new((void **)&s->table, size, sizeof *s->table, file, err)))
        return st;
    for (int symbol = 0; symbol < CLIP_FIRST_MERGE; symbol++) {
        uint8_t *name = (uint8_t *)s->bytes + s->used;
        size_t length = utf8_put(name, symbol_letter(symbol % CLIP_BYTES));

        if (symbol >= CLIP_BYTES) {
            memcpy(name + length, WORD_END, sizeof WORD_END - 1);
            length += sizeof WORD_END - 1;
        }
        name_keep(s, length);
    }
    return OK;
}

/* ---- The lines ---- */

struct merges_file {
    const char *name;
    const char *text; /* the lines that are in use */
    size_t n;
    int64_t lines, header; /* header: lines before the first merge, 0 or 1 */
};

/* The line from `at` on without what ends it; *at moves behind it. */
static size_t line_at(const struct merges_file *f, size_t *at)
{
    size_t from = *at, n;
    const char *end = memchr(f->text + from, '\n', f->n - from);

    n = end ? (size_t)(end - f->text) - from : f->n - from;
    *at = from + n + (end != NULL);
    return n && f->text[from + n - 1] == '\r' ? n - 1 : n;
}

static bool holds(const char *line, size_t n, const char *word)
{
    size_t m = strlen(word);

    for (size_t i = 0; i + m <= n; i++)
        if (!memcmp(line + i, word, m))
            return true;
    return false;
}

/* What of the text are merges, and how many. */
static enum status lines_count(struct merges_file *f, struct error *err)
{
    int64_t most = CLIP_MERGES_MAX + 1;
    size_t at = 0, n = line_at(f, &at);

    if (holds(f->text, n, "#version")) {
        if (holds(f->text, n, "bpe_simple_vocab"))
            most = CLIP_MERGES_PUBLISHED;
        f->text += at;
        f->n -= at;
        f->header = 1;
    }
    for (at = 0; at < f->n && f->lines < most; f->lines++)
        line_at(f, &at);
    f->n = at;
    if (f->lines > CLIP_MERGES_MAX)
        return fail(err, E_FORMAT, "%s has more than %d merges", f->name, CLIP_MERGES_MAX);
    if (!f->lines)
        return fail(err, E_FORMAT, "%s holds no merges", f->name);
    return OK;
}

static enum status line_fail(const struct merges_file *f, int64_t line, const char *why,
                             struct error *err)
{
    return fail(err, E_FORMAT, "%s, line %" PRId64 ": %s", f->name, line + f->header + 1, why);
}

/* The symbols of the two parts of a line, which are n bytes. */
static enum status parts_find(int32_t part[2], const struct names *s, const struct merges_file *f,
                              int64_t line, const char *text, size_t n, struct error *err)
{
    const char *space = memchr(text, ' ', n);
    size_t first;

    if (!space || memchr(text, 0, n))
        return line_fail(f, line, "not two symbols with a space between them", err);
    first = (size_t)(space - text);
    part[0] = (int32_t)*name_place(s, text, first) - 1;
    part[1] = (int32_t)*name_place(s, space + 1, n - first - 1) - 1;
    if (part[0] < 0 || part[1] < 0)
        return line_fail(f, line, "a symbol that no line before it makes", err);
    return OK;
}

static enum status lines_read(struct clip_merges *m, struct names *s, const struct merges_file *f,
                              struct error *err)
{
    size_t at = 0;

    for (int64_t line = 0; line < f->lines; line++) {
        const char *text = f->text + at;
        size_t n = line_at(f, &at), first;
        struct clip_merge *p;
        int32_t part[2] = {0, 0};
        enum status st;

        if ((st = parts_find(part, s, f, line, text, n, err)))
            return st;
        first = strlen(s->bytes + s->start[part[0]]);
        memcpy(s->bytes + s->used, text, first);
        memcpy(s->bytes + s->used + first, text + first + 1, n - first - 1);
        p = merge_place(m, part[0], part[1]);
        *p = (struct clip_merge){part[0], part[1], name_keep(s, n - 1), (int32_t)line};
        m->id[p->made] = CLIP_FIRST_MERGE + (int32_t)line;
    }
    m->n_symbols = (int32_t)s->n;
    return OK;
}

/* ---- Ids that a file gives ---- */

static enum status vocabulary_id(int32_t *id, const json_t *vocabulary, const char *symbol,
                                 int32_t fallback, struct error *err)
{
    int64_t value;
    enum status st = config_int(&value, vocabulary, symbol, fallback, 0, INT32_MAX, err);

    if (!st)
        *id = (int32_t)value;
    return st;
}

static enum status vocabulary_read(struct clip_merges *m, const struct names *s, const char *text,
                                   size_t n, const char *name, struct error *err)
{
    json_t *root;
    enum status st;

    if ((st = config_parse(&root, text, n, CLIP_FILE_BYTES, "vocab.json", err)))
        goto out;
    if ((st = config_need(root, "<|startoftext|>", err)) ||
        (st = config_need(root, "<|endoftext|>", err)) ||
        (st = vocabulary_id(&m->begin, root, "<|startoftext|>", 0, err)) ||
        (st = vocabulary_id(&m->end, root, "<|endoftext|>", 0, err)))
        goto out;
    for (int32_t i = 0; i < m->n_symbols && !st; i++)
        st = vocabulary_id(&m->id[i], root, s->bytes + s->start[i], m->end, err);
out:
    json_decref(root);
    if (st)
        fail_under(err, "the vocabulary of %s", name);
    return st;
}

/* ---- The whole ---- */

static enum status merges_build(struct clip_merges *m, struct merges_file *f,
                                const char *vocabulary, size_t n_vocabulary, struct error *err)
{
    struct names names = {0};
    uint32_t size;
    enum status st;

    if ((st = lines_count(f, err)))
        return st;
    size = table_size(f->lines);
    m->mask = size - 1;
    if ((st = mem_new((void **)&m->table, size, sizeof *m->table, f->name, err)) ||
        (st = mem_new((void **)&m->id, (uint64_t)f->lines + CLIP_FIRST_MERGE, sizeof *m->id,
                      f->name, err)) ||
        (st = names_init(&names, f->n, f->lines, f->name, err)))
        goto out;
    for (int32_t i = 0; i < CLIP_FIRST_MERGE; i++)
        m->id[i] = i;
    m->begin = CLIP_FIRST_MERGE + (int32_t)f->lines;
    m->end = m->begin + 1;
    if (!(st = lines_read(m, &names, f, err)) && vocabulary)
        st = vocabulary_read(m, &names, vocabulary, n_vocabulary, f->name, err);
out:
    names_release(&names);
    return st;
}

/* What a packed file unpacks to, up to its end or more lines than are ever used. */
static enum status unpack(char **out, size_t *n, struct packed *p, struct error *err)
{
    int64_t room = 0, lines = 0;
    uint64_t got = 1;
    enum status st;

    while (got && lines <= CLIP_MERGES_PUBLISHED) {
        if ((st = mem_grow((void **)out, &room, (int64_t)*n + UNPACK_BYTES, 1, err)) ||
            (st = packed_take(p, (uint8_t *)*out + *n, UNPACK_BYTES, &got, err)))
            return st;
        for (uint64_t i = 0; i < got; i++)
            lines += (*out)[*n + i] == '\n';
        *n += got;
        if (*n > CLIP_FILE_BYTES)
            return fail(err, E_FORMAT, "%s unpacks to more than %d bytes", p->name,
                        CLIP_FILE_BYTES);
    }
    return OK;
}

enum status clip_merges_read(struct clip_merges *out, const void *bytes, size_t n,
                             const char *vocabulary, size_t n_vocabulary, const char *name,
                             struct error *err)
{
    struct merges_file f = {.name = name, .text = bytes, .n = n};
    struct packed packed = {0};
    char *unpacked = NULL;
    enum status st;

    *out = (struct clip_merges){0};
    if (n > CLIP_FILE_BYTES)
        return fail(err, E_FORMAT, "%s has %zu bytes; at most %d are read", name, n,
                    CLIP_FILE_BYTES);
    if ((st = packed_open(&packed, bytes, n, name, err)))
        goto out;
    if (packed.gzip) {
        f.n = 0;
        if ((st = unpack(&unpacked, &f.n, &packed, err)))
            goto out;
        f.text = unpacked;
    }
    st = merges_build(out, &f, vocabulary, n_vocabulary, err);
out:
    packed_close(&packed);
    free(unpacked);
    if (st)
        clip_merges_release(out);
    return st;
}

void clip_merges_release(struct clip_merges *m)
{
    free(m->table);
    free(m->id);
    *m = (struct clip_merges){0};
}
