/*
 * captions.c - captions as files have them: a text, an object of JSON, or a list of such objects
 *
 * Captions are written by people and by programs of every system, and end in one line of a log, one
 * cell of a table and one row of a network's input: so they are brought to one form here, once, and
 * nobody behind has to think of newlines, byte order marks or characters that command a terminal.
 *
 * Lists are read a line at a time, each line an object of its own.  A list of a million pictures is
 * then a million small texts that are forgotten at once, and what is wrong has the number of a
 * line.  Three names for each key are taken, because that many are in use; a list that names a file
 * outside its folder is refused, whoever wrote it.
 */
#include "data/captions.h"

#include "base/json.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const file_keys[] = {"file", "file_name", "image", NULL};
static const char *const caption_keys[] = {"caption", "text", "prompt", NULL};
static const char *const group_keys[] = {"group", "label", NULL};

enum { LINE_NAME = 1024 };

static bool is_blank(int32_t c)
{
    return c <= ' ' || (c >= 0x7F && c <= 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF;
}

/* text: UTF-8. */
static void caption_form(char out[CAPTION_TEXT], const char *text, size_t bytes)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + bytes;
    bool gap = false;
    size_t n = 0;

    while (p < end) {
        const uint8_t *from = p;
        int32_t c = utf8_next(&p, end);
        size_t more = (size_t)(p - from), before = gap && n;

        if (is_blank(c)) {
            gap = true;
            continue;
        }
        if (n + before + more >= CAPTION_TEXT)
            break;
        if (before)
            out[n++] = ' ';
        memcpy(out + n, from, more);
        n += more;
        gap = false;
    }
    out[n] = 0;
}

enum status caption_from_text(char out[CAPTION_TEXT], const char *text, size_t n, const char *name,
                              struct error *err)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n;
    int64_t line = 1;

    while (p < end) {
        int32_t c = utf8_next(&p, end);

        if (c <= 0)
            return fail(err, E_FORMAT, "%s: line %" PRId64 " is not UTF-8 text (byte %td of %zu)",
                        name, line, p - (const uint8_t *)text, n);
        line += c == '\n';
    }
    caption_form(out, text, n);
    return OK;
}

/* The value of the first of these keys that is there. */
static const json_t *find(const json_t *object, const char *const *keys, const char **key)
{
    for (*key = keys[0]; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);

        if (value) {
            *key = *keys;
            return value;
        }
    }
    return NULL;
}

static enum status find_text(const char **out, const json_t *object, const char *const *keys,
                             struct error *err)
{
    const char *key;

    if (!find(object, keys, &key))
        return fail(err, E_FORMAT, "there is no \"%s\" (nor \"%s\", nor \"%s\")", keys[0], keys[1],
                    keys[2]);
    return config_text(out, object, key, NULL, err);
}

static enum status check_file(const char **file, struct error *err)
{
    char shown[UTF8_SHOWN];
    const char *f = *file;

    while (f[0] == '.' && f[1] == '/')
        f += 2;
    if (!*f || *f == '/')
        return fail(err, E_FORMAT, "the file \"%s\" is not one of the set's folder",
                    utf8_shown(shown, *file));
    for (const char *part = f; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (part[0] == '.' && part[1] == '.' && (!part[2] || part[2] == '/'))
            return fail(err, E_FORMAT, "the file \"%s\" leads out of the set's folder",
                        utf8_shown(shown, *file));
    }
    *file = f;
    return OK;
}

static enum status read_record(struct caption_record *r, const json_t *object, bool listed,
                               struct error *err)
{
    const char *caption = NULL, *key;
    enum status st;

    r->file = NULL;
    if (!json_is_object(object))
        return fail(err, E_FORMAT, "not an object of JSON");
    if (listed &&
        ((st = find_text(&r->file, object, file_keys, err)) || (st = check_file(&r->file, err))))
        return st;
    if ((st = find_text(&caption, object, caption_keys, err)))
        return st;
    caption_form(r->caption, caption, strlen(caption));
    r->group = json_string_value(find(object, group_keys, &key));
    if (r->group && !*r->group)
        r->group = NULL;
    return OK;
}

/* One object, told to whoever takes it. */
static enum status take_object(const char *text, size_t n, const char *name, int64_t line,
                               bool listed, caption_taker *take, void *user, struct error *err)
{
    struct caption_record r;
    json_t *object;
    enum status st;

    if ((st = config_parse(&object, text, n, CAPTION_RECORD_BYTES, name, err)))
        return st;
    if ((st = read_record(&r, object, listed, err)) || (st = take(&r, line, user, err)))
        fail_under(err, "%s", name);
    json_decref(object);
    return st;
}

/* Programs of Windows put a byte order mark before everything. */
static void skip_mark(const char **text, size_t *n)
{
    if (*n >= 3 && !memcmp(*text, "\xEF\xBB\xBF", 3)) {
        *text += 3;
        *n -= 3;
    }
}

enum status caption_from_json(const char *text, size_t n, const char *name, caption_taker *take,
                              void *user, struct error *err)
{
    skip_mark(&text, &n);
    return take_object(text, n, name, 1, false, take, user, err);
}

static bool is_empty(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r", line[i]) || !line[i])
            return false;
    return true;
}

enum status captions_from_list(const char *text, size_t n, const char *name, caption_taker *take,
                               void *user, struct error *err)
{
    char where[LINE_NAME];
    const char *end;
    enum status st;

    skip_mark(&text, &n);
    end = text + n;
    for (int64_t line = 1; text < end; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((stop ? stop : end) - text);

        snprintf(where, sizeof where, "%.900s: line %" PRId64, name, line);
        if (!is_empty(text, length) &&
            (st = take_object(text, length, where, line, true, take, user, err)))
            return st;
        text += length + (stop != NULL);
    }
    return OK;
}
