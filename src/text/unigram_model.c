/*
 * unigram_model.c - a SentencePiece unigram model: its pieces and its map of characters
 *
 * The file is a protocol-buffers message.  Of that format only what stands here is read:
 *
 *     field = varint (number << 3 | type), then   0: varint   1: 8 bytes   2: varint n, n bytes 5:
 * 4 bytes
 *
 *     model    1: piece (repeated)   3: normaliser                   the rest is passed over
 *     piece    1: text               2: score (4 bytes)              3: kind
 *     normaliser    2: map           3, 4, 5: adds a prefix, squeezes spaces, escapes them
 *     map      uint32 n, n bytes of trie units, replacements each ended by a zero
 *
 * Every length is checked against what is left before it is used, and a message is one pass over
 * its bytes, so no file can make reading take longer than its size.
 *
 * Pieces are found in a text byte by byte along a trie.  Its edges lie in one hash table, keyed by
 * node and byte: 32,000 pieces are about 100,000 edges and come to stand in a few milliseconds,
 * where sorting the pieces would take three times that.
 *
 * Kudo 2018, "Subword Regularization"; Kudo and Richardson 2018, "SentencePiece".
 */
#include "text/unigram_model.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Protocol buffers ---- */

enum wire { WIRE_VARINT = 0, WIRE_EIGHT = 1, WIRE_BYTES = 2, WIRE_FOUR = 5 };

struct message {
    const uint8_t *p, *end;
    const uint8_t *file; /* where the file begins, for messages */
    const char *name;
};

struct field {
    uint32_t number;
    enum wire wire;
    uint64_t value;       /* of a varint or of four bytes */
    struct message bytes; /* of WIRE_BYTES                */
};

static enum status message_fail(const struct message *m, const char *why, struct error *err)
{
    return fail(err, E_FORMAT, "%s: %s at byte %td", m->name, why, m->p - m->file);
}

static enum status varint_read(uint64_t *out, struct message *m, struct error *err)
{
    *out = 0;
    for (int shift = 0; shift < 64 && m->p < m->end; shift += 7) {
        uint8_t b = *m->p++;

        *out |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return OK;
    }
    return message_fail(m, "a number without an end", err);
}

static uint32_t word_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The next field of a message that is not at its end. */
static enum status field_read(struct field *f, struct message *m, struct error *err)
{
    uint64_t tag, n = 0;
    enum status st;

    if ((st = varint_read(&tag, m, err)))
        return st;
    *f = (struct field){.number = (uint32_t)(tag >> 3), .wire = (enum wire)(tag & 7)};
    if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
        return message_fail(m, "a field with an impossible number", err);
    switch (f->wire) {
    case WIRE_VARINT:
        return varint_read(&f->value, m, err);
    case WIRE_BYTES:
        if ((st = varint_read(&n, m, err)))
            return st;
        break;
    case WIRE_EIGHT:
        n = 8;
        break;
    case WIRE_FOUR:
        n = 4;
        break;
    default:
        return message_fail(m, "a field of an unknown type", err);
    }
    if (n > (uint64_t)(m->end - m->p))
        return message_fail(m, "a field that goes on behind the end", err);
    if (f->wire == WIRE_FOUR)
        f->value = word_at(m->p);
    f->bytes = *m;
    f->bytes.end = m->p + n;
    m->p += n;
    return OK;
}

/* ---- The trie of pieces ---- */

static uint32_t *edge_place(struct unigram_model *m, uint32_t from_byte, bool *is_free)
{
    uint64_t h = from_byte * 0x9E3779B97F4A7C15u;
    uint32_t i = (uint32_t)(h >> 32 ^ h >> 50);

    while (m->edge[i & m->mask].node && m->edge[i & m->mask].from_byte != from_byte)
        i++;
    *is_free = !m->edge[i & m->mask].node;
    m->edge[i & m->mask].from_byte = from_byte;
    return &m->edge[i & m->mask].node;
}

uint32_t unigram_step(const struct unigram_model *m, uint32_t node, uint8_t byte)
{
    uint32_t from_byte = node << 8 | byte;
    uint64_t h = from_byte * 0x9E3779B97F4A7C15u;
    uint32_t i = (uint32_t)(h >> 32 ^ h >> 50);

    while (m->edge[i & m->mask].node && m->edge[i & m->mask].from_byte != from_byte)
        i++;
    return m->edge[i & m->mask].node;
}

/* Let piece `id` be found; false when it already is. */
static bool piece_enter(struct unigram_model *m, const uint8_t *text, size_t n, int32_t id)
{
    uint32_t node = 0;

    for (size_t i = 0; i < n; i++) {
        bool is_free;
        uint32_t *to = edge_place(m, node << 8 | text[i], &is_free);

        if (is_free) {
            m->ends[m->n_nodes] = -1;
            *to = m->n_nodes++;
        }
        node = *to;
    }
    if (m->ends[node] >= 0)
        return false;
    m->ends[node] = id;
    return true;
}

/* ---- Pieces ---- */

struct piece_text {
    const uint8_t *bytes;
    size_t n;
};

static enum status piece_read(struct piece *out, struct piece_text *text, struct message m,
                              struct error *err)
{
    struct field f;
    enum status st;

    *out = (struct piece){.kind = PIECE_NORMAL};
    *text = (struct piece_text){0};
    while (m.p < m.end) {
        if ((st = field_read(&f, &m, err)))
            return st;
        if (f.number == 1 && f.wire == WIRE_BYTES)
            *text = (struct piece_text){f.bytes.p, (size_t)(f.bytes.end - f.bytes.p)};
        else if (f.number == 2 && f.wire == WIRE_FOUR)
            memcpy(&out->score, &(uint32_t){(uint32_t)f.value}, sizeof out->score);
        else if (f.number == 3 && f.wire == WIRE_VARINT)
            out->kind = f.value < PIECE_NORMAL || f.value > PIECE_BYTE ? 0 : (uint8_t)f.value;
    }
    if (!text->n)
        return message_fail(&m, "a piece without a text ends", err);
    if (!isfinite(out->score))
        return message_fail(&m, "a piece whose score is not finite ends", err);
    if (!out->kind)
        return message_fail(&m, "a piece of an unknown kind ends", err);
    if (text->n > UNIGRAM_PIECE_BYTES)
        return fail(err, E_UNSUPPORTED, "%s: a piece has %zu bytes; up to %d are read", m.name,
                    text->n, UNIGRAM_PIECE_BYTES);
    return OK;
}

/* "<0x41>" is the piece of byte 0x41; -1 for anything else. */
static int byte_of(struct piece_text text)
{
    char spelled[8] = "";

    for (int byte = 0; text.n == 6 && byte < 256; byte++) {
        static const char digits[] = "0123456789ABCDEF";

        memcpy(spelled, "<0x  >", 7);
        spelled[3] = digits[byte >> 4];
        spelled[4] = digits[byte & 15];
        if (!memcmp(spelled, text.bytes, 6))
            return byte;
    }
    return -1;
}

/* Enter piece `id`, whatever its kind asks for. */
static enum status piece_take(struct unigram_model *m, int32_t id, struct piece_text text,
                              const struct message *at, struct error *err)
{
    const struct piece *piece = &m->piece[id];
    int byte;

    switch (piece->kind) {
    case PIECE_NORMAL:
        m->lowest = fminf(m->lowest, piece->score);
        m->highest = fmaxf(m->highest, piece->score);
        /* fall through */
    case PIECE_USER:
        if (!piece_enter(m, text.bytes, text.n, id))
            return fail(err, E_FORMAT, "%s: piece %" PRId32 " is there twice", at->name, id);
        return OK;
    case PIECE_UNKNOWN:
        if (m->unknown >= 0)
            return fail(err, E_FORMAT, "%s: pieces %" PRId32 " and %" PRId32 " are both unknown",
                        at->name, m->unknown, id);
        m->unknown = id;
        return OK;
    case PIECE_BYTE:
        byte = byte_of(text);
        if (byte < 0)
            return fail(err, E_FORMAT, "%s: piece %" PRId32 " is of a byte and does not say which",
                        at->name, id);
        m->byte[byte] = id;
        return OK;
    default:
        return OK;
    }
}

/* How many pieces a model has, and bytes in all of them. */
static enum status pieces_count(int64_t *n, uint64_t *bytes, struct message m, struct error *err)
{
    struct field f;
    enum status st;

    *n = 0;
    *bytes = 0;
    while (m.p < m.end) {
        if ((st = field_read(&f, &m, err)))
            return st;
        if (f.number == 1 && f.wire == WIRE_BYTES) {
            ++*n;
            *bytes += (uint64_t)(f.bytes.end - f.bytes.p);
        }
    }
    return OK;
}

static enum status trie_init(struct unigram_model *m, uint64_t bytes, const char *name,
                             struct error *err)
{
    uint64_t size = 1024;
    enum status st;

    /* An edge's key is a node and a byte in 32 bits. */
    if (bytes >= 1 << 24)
        return fail(err, E_UNSUPPORTED, "%s: pieces of %" PRIu64 " bytes in all are too many", name,
                    bytes);
    while (size < bytes + bytes / 2)
        size *= 2;
    m->mask = (uint32_t)size - 1;
    if ((st = mem_new((void **)&m->edge, size, sizeof *m->edge, name, err)) ||
        (st = mem_new((void **)&m->ends, bytes + 1, sizeof *m->ends, name, err)))
        return st;
    m->ends[0] = -1;
    m->n_nodes = 1;
    return OK;
}

static enum status pieces_read(struct unigram_model *m, struct message file, struct error *err)
{
    struct field f;
    uint64_t bytes;
    int64_t n;
    enum status st;

    if ((st = pieces_count(&n, &bytes, file, err)) ||
        (st = mem_new((void **)&m->piece, (uint64_t)n, sizeof *m->piece, file.name, err)) ||
        (st = trie_init(m, bytes, file.name, err)))
        return st;
    m->unknown = -1;
    m->lowest = INFINITY;
    m->highest = -INFINITY;
    memset(m->byte, -1, sizeof m->byte);
    while (file.p < file.end) {
        struct piece_text text;

        if ((st = field_read(&f, &file, err)))
            return st;
        if (f.number != 1 || f.wire != WIRE_BYTES)
            continue;
        if ((st = piece_read(&m->piece[m->n_pieces], &text, f.bytes, err)) ||
            (st = piece_take(m, m->n_pieces, text, &file, err)))
            return st;
        m->n_pieces++;
    }
    if (m->lowest > m->highest)
        return fail(err, E_FORMAT, "%s holds no pieces of text", file.name);
    if (m->unknown < 0)
        return fail(err, E_FORMAT, "%s has no piece for what is unknown", file.name);
    m->has_bytes = true;
    for (int i = 0; i < 256; i++)
        m->has_bytes = m->has_bytes && m->byte[i] >= 0;
    return OK;
}

/* ---- The map of characters ---- */

static enum status map_read(struct piece_map *map, struct message m, struct error *err)
{
    uint64_t left = (uint64_t)(m.end - m.p), n;
    enum status st;

    if (!left)
        return OK;
    if (map->unit)
        return message_fail(&m, "a second map of characters", err);
    n = left < 4 ? 0 : word_at(m.p);
    if (n < 4 || n % 4 || n > left - 4)
        return message_fail(&m, "a map of characters that does not fit its length", err);
    map->n_units = (uint32_t)(n / 4);
    map->n_out = (uint32_t)(left - 4 - n);
    if (map->n_out && m.end[-1])
        return message_fail(&m, "a map of characters whose last replacement has no end", err);
    if ((st = mem_new((void **)&map->unit, map->n_units, sizeof *map->unit, m.name, err)) ||
        (st = mem_new((void **)&map->out, map->n_out, 1, m.name, err)))
        return st;
    for (uint32_t i = 0; i < map->n_units; i++)
        map->unit[i] = word_at(m.p + 4 + 4 * (uint64_t)i);
    memcpy(map->out, m.p + 4 + n, map->n_out);
    return OK;
}

static enum status normaliser_read(struct piece_map *map, struct message m, struct error *err)
{
    enum status st;
    struct field f;

    while (m.p < m.end) {
        if ((st = field_read(&f, &m, err)) ||
            (f.number == 2 && f.wire == WIRE_BYTES && (st = map_read(map, f.bytes, err))))
            return st;
        if (f.wire == WIRE_VARINT && f.number == 3)
            map->adds_prefix = f.value;
        else if (f.wire == WIRE_VARINT && f.number == 4)
            map->squeezes = f.value;
        else if (f.wire == WIRE_VARINT && f.number == 5)
            map->escapes = f.value;
    }
    return OK;
}

static enum status normalisers_read(struct unigram_model *m, struct message file, struct error *err)
{
    struct field f;
    enum status st;

    m->map.adds_prefix = m->map.squeezes = m->map.escapes = true;
    while (file.p < file.end)
        if ((st = field_read(&f, &file, err)) || (f.number == 3 && f.wire == WIRE_BYTES &&
                                                  (st = normaliser_read(&m->map, f.bytes, err))))
            return st;
    return OK;
}

/* ---- The whole ---- */

enum status unigram_model_read(struct unigram_model *out, const void *bytes, size_t n,
                               const char *name, struct error *err)
{
    struct message file = {bytes, (const uint8_t *)bytes + n, bytes, name};
    enum status st;

    *out = (struct unigram_model){0};
    if (n > UNIGRAM_FILE_BYTES)
        return fail(err, E_FORMAT, "%s has %zu bytes; at most %d are read", name, n,
                    UNIGRAM_FILE_BYTES);
    if ((st = pieces_read(out, file, err)) || (st = normalisers_read(out, file, err)))
        unigram_model_release(out);
    return st;
}

void unigram_model_release(struct unigram_model *m)
{
    free(m->piece);
    free(m->edge);
    free(m->ends);
    free(m->map.unit);
    free(m->map.out);
    *m = (struct unigram_model){0};
}
