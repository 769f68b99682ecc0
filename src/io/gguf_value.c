/*
 * gguf_value.c - reading the header of a GGUF file: numbers, texts, metadata
 *
 * Metadata have thirteen types, of which this program needs the value of two: texts
 * (configurations) and whole numbers (alignment, shapes).  The others are for people, and become
 * text.  An array may hold a vocabulary of a hundred thousand words; only its first elements are
 * kept, and the rest is walked over.
 */
#include "io/gguf_value.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "base/numbers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 64 }; /* elements of an array that are kept */

enum status gguf_take(void *out, struct gguf_cursor *c, size_t n, struct error *err)
{
    if (n > gguf_left(c))
        return fail(err, E_FORMAT,
                    "the file ends inside its header: %zu bytes wanted at %td, %" PRIu64
                    " are left",
                    n, c->at - c->begin, gguf_left(c));
    memcpy(out, c->at, n);
    c->at += n;
    return OK;
}

/* *out, *n = the next text where it lies. */
static enum status take_bytes(const char **out, uint64_t *n, struct gguf_cursor *c,
                              const char *what, struct error *err)
{
    enum status st;

    *n = 0;
    if ((st = gguf_take(n, c, sizeof *n, err)))
        return st;
    if (*n > gguf_left(c))
        return fail(err, E_FORMAT,
                    "%s claims %" PRIu64 " bytes at %td, the file has %" PRIu64 " left", what, *n,
                    c->at - c->begin, gguf_left(c));
    *out = (const char *)c->at;
    c->at += *n;
    return OK;
}

enum status gguf_take_text(char **out, struct gguf_cursor *c, const char *what, struct error *err)
{
    const char *text = NULL;
    uint64_t n = 0;
    enum status st;

    *out = NULL;
    if ((st = take_bytes(&text, &n, c, what, err)))
        return st;
    if (!utf8_valid(text, n) || memchr(text, 0, n))
        return fail(err, E_FORMAT, "%s at %td is not UTF-8", what,
                    (const uint8_t *)text - c->begin);
    if ((st = mem_new((void **)out, n + 1, 1, what, err)))
        return st;
    memcpy(*out, text, n);
    return OK;
}

/* --- numbers ------------------------------------------------------------------------------------
 */

/* Bytes of a number, 0 for what is none; and what they are. */
static const struct {
    size_t bytes;
    enum { UNSIGNED, SIGNED, REAL, TRUTH } kind;
} numbers[] = {
    [GGUF_U8] = {1, UNSIGNED}, [GGUF_I8] = {1, SIGNED},    [GGUF_U16] = {2, UNSIGNED},
    [GGUF_I16] = {2, SIGNED},  [GGUF_U32] = {4, UNSIGNED}, [GGUF_I32] = {4, SIGNED},
    [GGUF_F32] = {4, REAL},    [GGUF_BOOL] = {1, TRUTH},   [GGUF_U64] = {8, UNSIGNED},
    [GGUF_I64] = {8, SIGNED},  [GGUF_F64] = {8, REAL},
};
enum { N_NUMBERS = sizeof numbers / sizeof *numbers };

static bool is_number(uint32_t type)
{
    return type < N_NUMBERS && numbers[type].bytes;
}

/* The next number, its sign drawn out to 64 bits. */
static enum status take_number(uint64_t *out, struct gguf_cursor *c, uint32_t type,
                               struct error *err)
{
    int unused = 64 - 8 * (int)numbers[type].bytes;
    enum status st;

    *out = 0;
    st = gguf_take(out, c, numbers[type].bytes, err);
    if (numbers[type].kind == SIGNED)
        *out = (uint64_t)((int64_t)(*out << unused) >> unused);
    return st;
}

static double real_of(uint64_t bits, uint32_t type)
{
    double x;

    if (numbers[type].bytes == sizeof(float))
        return (double)number_of_bits((uint32_t)bits);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void say_number(struct text *out, uint64_t bits, uint32_t type)
{
    char real[TEXT_REAL];

    if (numbers[type].kind == REAL)
        text_add(out, "%s", text_from_real(real, real_of(bits, type)));
    else if (numbers[type].kind == TRUTH)
        text_add(out, "%s", bits ? "true" : "false");
    else if (numbers[type].kind == SIGNED)
        text_add(out, "%" PRId64, (int64_t)bits);
    else
        text_add(out, "%" PRIu64, bits);
}

/* A number that may be part of a shape: one that is not, or is too large, ends the hope for one. */
static void keep_number(struct gguf_entry *e, uint64_t bits, uint32_t type)
{
    bool whole = numbers[type].kind == SIGNED || numbers[type].kind == UNSIGNED;

    if (e->n_shape < 0)
        return;
    if (!whole || (int64_t)bits < 0 || e->n_shape == FILE_RANK)
        e->n_shape = -1;
    else
        e->shape[e->n_shape++] = (int64_t)bits;
}

/* --- entries ------------------------------------------------------------------------------------
 */

/* A text inside a list, in quotes and with what JSON wants escaped. */
static enum status say_text(struct text *out, const char *text, uint64_t n, struct error *err)
{
    json_t *array = json_array();
    char *line = NULL;
    enum status st = OK;

    /* jansson writes arrays: one of a single text, whose brackets are left out. */
    if (!array || json_array_append_new(array, json_stringn(text, n)))
        st = fail(err, E_MEMORY, "no memory for a text");
    else if (!(st = config_dump(&line, array, err)))
        text_add_bytes(out, line + 1, strlen(line) - 2);
    json_decref(array);
    free(line);
    return st;
}

/* Element i of an array of texts. */
static enum status take_word(struct text *out, struct gguf_cursor *c, uint64_t i, struct error *err)
{
    const char *text = NULL;
    uint64_t n = 0;
    enum status st;

    if ((st = take_bytes(&text, &n, c, "a text in an array", err)) || i >= SHOWN)
        return st;
    if (!utf8_valid(text, n))
        return fail(err, E_FORMAT, "a text in an array is not UTF-8");
    return say_text(out, text, n, err);
}

static enum status take_element(struct gguf_entry *e, struct text *out, struct gguf_cursor *c,
                                uint32_t type, uint64_t i, struct error *err)
{
    uint64_t bits = 0;
    enum status st;

    text_add(out, "%s", i == 0 || i > SHOWN ? "" : i == SHOWN ? ", ..." : ", ");
    if (type == GGUF_TEXT)
        return take_word(out, c, i, err);
    if ((st = take_number(&bits, c, type, err)))
        return st;
    keep_number(e, bits, type);
    if (i < SHOWN)
        say_number(out, bits, type);
    return OK;
}

static enum status take_array(struct gguf_entry *e, struct text *out, struct gguf_cursor *c,
                              struct error *err)
{
    uint32_t type = 0;
    uint64_t n = 0;
    enum status st;

    if ((st = gguf_take(&type, c, sizeof type, err)) || (st = gguf_take(&n, c, sizeof n, err)))
        return st;
    if (type == GGUF_ARRAY)
        return fail(err, E_UNSUPPORTED, "arrays of arrays are not supported");
    if (type != GGUF_TEXT && !is_number(type))
        return fail(err, E_FORMAT, "an array of type %" PRIu32 ", which there is not", type);
    if (n > gguf_left(c) / (type == GGUF_TEXT ? sizeof n : numbers[type].bytes))
        return fail(err, E_FORMAT,
                    "an array claims %" PRIu64 " elements, the file has %" PRIu64 " bytes left", n,
                    gguf_left(c));
    text_add(out, "[");
    for (uint64_t i = 0; i < n; i++)
        if ((st = take_element(e, out, c, type, i, err)))
            return st;
    text_add(out, "]");
    if (type == GGUF_TEXT)
        e->n_shape = -1;
    return OK;
}

static enum status take_value(struct gguf_entry *e, struct text *out, struct gguf_cursor *c,
                              uint32_t type, struct error *err)
{
    uint64_t bits = 0;
    enum status st;

    if (type == GGUF_ARRAY)
        return take_array(e, out, c, err);
    if (!is_number(type))
        return fail(err, E_FORMAT, "a value of type %" PRIu32 ", which there is not", type);
    if ((st = take_number(&bits, c, type, err)))
        return st;
    say_number(out, bits, type);
    keep_number(e, bits, type);
    return OK;
}

/* Everything after the key. */
static enum status read_value(struct gguf_entry *e, struct gguf_cursor *c, struct error *err)
{
    uint32_t type = 0;
    struct text text;
    enum status st;

    if ((st = gguf_take(&type, c, sizeof type, err)))
        return st;
    e->type = (enum gguf_value)type;
    if (type == GGUF_TEXT) {
        e->n_shape = -1;
        return gguf_take_text(&e->value, c, "its text", err);
    }
    text_init(&text, NULL, 0);
    if (!(st = take_value(e, &text, c, type, err)) && !(e->value = text_take(&text)))
        st = fail(err, E_MEMORY, "no memory for its text");
    text_release(&text);
    return st;
}

enum status gguf_entry_read(struct gguf_entry *out, struct gguf_cursor *c, struct error *err)
{
    char shown[UTF8_SHOWN];
    enum status st;

    *out = (struct gguf_entry){0};
    if ((st = gguf_take_text(&out->key, c, "a key of the metadata", err)))
        return st;
    if (!*out->key)
        return fail(err, E_FORMAT, "an empty key in the metadata");
    if ((st = read_value(out, c, err)))
        fail_under(err, "metadata %s", utf8_shown(shown, out->key));
    return st;
}

void gguf_entry_release(struct gguf_entry *e)
{
    free(e->key);
    free(e->value);
    *e = (struct gguf_entry){0};
}
