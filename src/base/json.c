/*
 * json.c - JSON from outside: parsed within limits, read with its type and range checked
 *
 * jansson is strict about the grammar, but it builds the whole tree before anyone can look: 100 MB
 * of "[[[[" or of "0,0,0," would become gigabytes.  So one pass over the text counts depth and
 * values first, outside strings, and refuses before anything is allocated; a text that fools the
 * count is not JSON, and jansson then stops at the place that fooled it.
 *
 * Its reader does not notice when a string it collects cannot grow (jansson 2.14): letters go
 * missing or the program stops.  So what it may need must be at hand before it begins.
 *
 * The getters exist so that a model's code names a key, its fallback and its range once, and every
 * wrong file gets the same kind of sentence.
 */
#include "base/json.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* At most so much does jansson take for a text: of strings, what it has read, has had room for and
 * keeps; of each value, itself and its place in an object that has just grown. */
enum { TEXT_COPIES = 6, VALUE_BYTES = 512 };

/* Refuse what would take much memory to refuse later. */
static enum status check_size(const char *text, size_t n, const char *name, int64_t *count,
                              struct error *err)
{
    int64_t depth = 0, values = 1;
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            continue;
        }
        quoted = c == '"';
        values += c == ',' || c == '[' || c == '{';
        depth += (c == '[' || c == '{') - (c == ']' || c == '}');
        if (depth > CONFIG_DEPTH)
            return fail(err, E_FORMAT, "%s: JSON nested deeper than %d at byte %zu", name,
                        CONFIG_DEPTH, i);
        if (values > CONFIG_VALUES)
            return fail(err, E_FORMAT, "%s: JSON of more than %d values", name, CONFIG_VALUES);
    }
    *count = values;
    return OK;
}

enum status config_parse(json_t **out, const char *text, size_t n, size_t limit, const char *name,
                         struct error *err)
{
    char shown[UTF8_SHOWN];
    json_error_t where;
    int64_t values = 0;
    enum status st;

    *out = NULL;
    if (n > limit)
        return fail(err, E_FORMAT, "%s: %zu bytes of JSON, at most %zu are allowed", name, n,
                    limit);
    if ((st = check_size(text, n, name, &values, err)) ||
        (st = mem_at_hand(TEXT_COPIES * n + VALUE_BYTES * (uint64_t)values, name, err)))
        return st;
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    if (*out)
        return OK;
    /* jansson says what is wrong with a text, and mostly nothing when memory was missing.  Mostly:
     * a string without memory looks to its grammar like a string out of place. */
    if (!where.text[0] || json_error_code(&where) == json_error_out_of_memory)
        return fail(err, E_MEMORY, "%s: no memory for %zu bytes of JSON", name, n);
    return fail(err, E_FORMAT, "%s: JSON line %d, column %d: %s", name, where.line, where.column,
                utf8_shown(shown, where.text));
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static enum status wrong_type(const json_t *value, const char *key, const char *wanted,
                              struct error *err)
{
    return fail(err, E_FORMAT, "\"%s\" is %s, must be %s", key, type_name(value), wanted);
}

static enum status check_int(int64_t *out, const json_t *value, const char *key, int64_t lo,
                             int64_t hi, struct error *err)
{
    int64_t x;

    if (!json_is_integer(value))
        return wrong_type(value, key, "an integer", err);
    x = json_integer_value(value);
    if (x < lo || x > hi)
        return fail(err, E_FORMAT, "\"%s\" is %" PRId64 ", must be within %" PRId64 " and %" PRId64,
                    key, x, lo, hi);
    *out = x;
    return OK;
}

enum status config_int(int64_t *out, const json_t *object, const char *key, int64_t fallback,
                       int64_t lo, int64_t hi, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value)
        return check_int(out, value, key, lo, hi, err);
    *out = fallback;
    return OK;
}

enum status config_double(double *out, const json_t *object, const char *key, double fallback,
                          double lo, double hi, struct error *err)
{
    const json_t *value = json_object_get(object, key);
    double x;

    if (!value) {
        *out = fallback;
        return OK;
    }
    if (!json_is_number(value))
        return wrong_type(value, key, "a number", err);
    x = json_number_value(value);
    if (!isfinite(x) || x < lo || x > hi)
        return fail(err, E_FORMAT, "\"%s\" is %g, must be within %g and %g", key, x, lo, hi);
    *out = x;
    return OK;
}

enum status config_bool(bool *out, const json_t *object, const char *key, bool fallback,
                        struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value && !json_is_boolean(value))
        return wrong_type(value, key, "true or false", err);
    *out = value ? json_is_true(value) : fallback;
    return OK;
}

enum status config_text(const char **out, const json_t *object, const char *key,
                        const char *fallback, struct error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value && !json_is_string(value))
        return wrong_type(value, key, "a text", err);
    *out = value ? json_string_value(value) : fallback;
    return OK;
}

enum status config_seed(uint64_t *out, bool *there, const json_t *object, const char *key,
                        struct error *err)
{
    const char *text = NULL;
    char shown[UTF8_SHOWN];
    enum status st;

    if ((st = config_text(&text, object, key, NULL, err)))
        return st;
    *there = text != NULL;
    if (!text || text_to_seed(text, out))
        return OK;
    return fail(err, E_FORMAT, "\"%s\" is \"%s\", not a seed", key, utf8_shown(shown, text));
}

int config_set_seed(json_t *object, const char *key, uint64_t seed)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, seed);
    return json_object_set_new(object, key, json_string(text));
}

enum status config_hash(char out[HASH_TEXT], const json_t *object, const char *key,
                        struct error *err)
{
    const char *text = NULL;
    char shown[UTF8_SHOWN];
    enum status st;

    if ((st = config_need(object, key, err)) || (st = config_text(&text, object, key, "", err)))
        return st;
    if (!hash_is(text))
        return fail(err, E_FORMAT, "\"%s\" is \"%s\", not a SHA-256 in small letters", key,
                    utf8_shown(shown, text));
    memcpy(out, text, HASH_TEXT);
    return OK;
}

enum status config_array(json_t **out, const json_t *object, const char *key, struct error *err)
{
    json_t *value = json_object_get(object, key);

    if (value && !json_is_array(value))
        return wrong_type(value, key, "an array", err);
    *out = value;
    return OK;
}

enum status config_object(json_t **out, const json_t *object, const char *key, struct error *err)
{
    json_t *value = json_object_get(object, key);

    if (value && !json_is_object(value))
        return wrong_type(value, key, "an object", err);
    *out = value;
    return OK;
}

enum status config_ints(int64_t *out, int64_t *n, int64_t room, const json_t *object,
                        const char *key, int64_t lo, int64_t hi, struct error *err)
{
    json_t *array = NULL;
    enum status st;
    size_t count;

    *n = 0;
    if ((st = config_array(&array, object, key, err)))
        return st;
    count = json_array_size(array);
    if (count > (uint64_t)room)
        return fail(err, E_FORMAT, "\"%s\" has %zu numbers, at most %" PRId64 " are allowed", key,
                    count, room);
    for (size_t i = 0; i < count; i++)
        if ((st = check_int(&out[i], json_array_get(array, i), key, lo, hi, err)))
            return st;
    *n = (int64_t)count;
    return OK;
}

enum status config_need(const json_t *object, const char *key, struct error *err)
{
    if (!json_object_get(object, key))
        return fail(err, E_FORMAT, "\"%s\" is missing", key);
    return OK;
}

enum status config_need_int(int64_t *out, const json_t *object, const char *key, int64_t lo,
                            int64_t hi, struct error *err)
{
    enum status st = config_need(object, key, err);

    return st ? st : config_int(out, object, key, lo, lo, hi, err);
}

/* Measured first, then written into memory of that size: json_dumps grows its text as it writes,
 * and where it cannot (jansson 2.14) it may leave out the rest of a key and go on. */
enum status config_dump(char **out, const json_t *value, struct error *err)
{
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(17);
    size_t n = json_dumpb(value, NULL, 0, flags);
    enum status st;

    *out = NULL;
    if (!n)
        return fail(err, E_MEMORY, "no memory for a text of JSON");
    if ((st = mem_new((void **)out, n + 1, 1, "a text of JSON", err)))
        return st;
    if (json_dumpb(value, *out, n, flags) == n)
        return OK;
    free(*out);
    *out = NULL;
    return fail(err, E_MEMORY, "no memory for a text of JSON of %zu bytes", n);
}
