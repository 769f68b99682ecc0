/*
 * option_json.c - a configuration as JSON, and the schema of it
 *
 * A model file carries its whole configuration, and whoever opens it must be able to trust that no
 * key was lost on the way: so the writer names every row, and the reader refuses what no row has.
 * The file may come from anywhere.  Rather than checking twice, the reader turns each JSON value
 * back into the text a person would type and hands it to options_set, which knows the ranges; only
 * the kind of the value (a number, a string, an array) is checked here, so that "4" is not 4.
 *
 * What must stay true: to JSON and back is the identity, to the last bit of every real.  jansson
 * prints reals with 17 digits for that.  Its integers are signed, so a seed past 2^63 travels as a
 * string.
 */
#include "base/option.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_ROOM = 128 };

/* ---- Writing ---- */

static json_t *seed_to_json(uint64_t seed)
{
    char digits[24];

    if (seed <= INT64_MAX)
        return json_integer((json_int_t)seed);
    snprintf(digits, sizeof digits, "%" PRIu64, seed);
    return json_string(digits);
}

/* Both steal the value, which may be NULL where memory ran out; true when it now stands there. */
static bool appended(json_t *array, json_t *value)
{
    return json_array_append_new(array, value) == 0;
}

static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *list_to_json(const struct option *row, const void *at)
{
    const struct int_list *ints = at;
    const struct real_list *reals = at;
    const struct text_list *texts = at;
    json_t *array = json_array();
    bool whole = array != NULL;

    if (row->type == OPTION_INTS)
        for (int i = 0; i < ints->n && whole; i++)
            whole = appended(array, json_integer(ints->at[i]));
    else if (row->type == OPTION_REALS)
        for (int i = 0; i < reals->n && whole; i++)
            whole = appended(array, json_real(reals->at[i]));
    else
        for (int i = 0; i < texts->n && whole; i++)
            whole = appended(array, json_string(texts->at[i]));
    if (whole)
        return array;
    json_decref(array);
    return NULL;
}

static json_t *row_to_json(const struct option *row, const void *config)
{
    const void *at = (const char *)config + row->offset;
    const char *text;

    switch (row->type) {
    case OPTION_INT:
        return json_integer(*(const int64_t *)at);
    case OPTION_SEED:
        return seed_to_json(*(const uint64_t *)at);
    case OPTION_REAL:
        return json_real(*(const double *)at);
    case OPTION_BOOL:
        return json_boolean(*(const bool *)at);
    case OPTION_TEXT:
        text = *(char *const *)at;
        return text ? json_string(text) : json_null();
    case OPTION_CHOICE:
        return json_string(option_choice(row, *(const int *)at));
    case OPTION_INTS:
    case OPTION_REALS:
    case OPTION_TEXTS:
        return list_to_json(row, at);
    }
    return NULL;
}

/* The object in which a section's keys stand: the root itself for "", a new member otherwise. */
static json_t *section_open(json_t *root, const char *section)
{
    json_t *object = *section ? json_object_get(root, section) : root;

    if (!object && put(root, section, json_object()))
        object = json_object_get(root, section);
    return object;
}

enum status options_to_json(const struct option_set *set, json_t **out, struct error *err)
{
    json_t *root = json_object();
    bool whole = root != NULL;

    *out = NULL;
    for (int i = 0; i < set->n && whole; i++) {
        const struct option_group *g = &set->groups[i];
        json_t *object = section_open(root, g->section);

        whole = object != NULL; /* a section without rows is written too */
        for (const struct option *row = g->rows; row && row->name && whole; row++)
            whole = put(object, row->name, row_to_json(row, g->config));
    }
    if (!whole) {
        json_decref(root);
        return fail(err, E_MEMORY, "the configuration as JSON: no memory, or a text is no UTF-8");
    }
    *out = root;
    return OK;
}

/* ---- Reading ---- */

static const char *kind_name(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a string", "a whole number",
                                        "a number",  "true",     "false",    "null"};

    return names[json_typeof(value)];
}

/* What the type of a row is called, and whether the value may be handed to it at all. */
static const char *kind_wanted(enum option_type type, const json_t *value, bool *fits)
{
    switch (type) {
    case OPTION_INT:
        *fits = json_is_integer(value);
        return "a whole number";
    case OPTION_SEED:
        *fits = json_is_integer(value) || json_is_string(value);
        return "a whole number";
    case OPTION_REAL:
        *fits = json_is_number(value);
        return "a number";
    case OPTION_BOOL:
        *fits = json_is_boolean(value);
        return "true or false";
    case OPTION_TEXT:
        *fits = json_is_string(value) || json_is_null(value);
        return "a string";
    case OPTION_CHOICE:
        *fits = json_is_string(value);
        return "a string";
    case OPTION_INTS:
    case OPTION_REALS:
    case OPTION_TEXTS:
        *fits = json_is_array(value);
        return "an array";
    }
    return "";
}

/* Append a number, a string or a boolean as a person would type it; false for anything else. */
static bool typed(const json_t *value, struct text *out)
{
    char number[TEXT_REAL];

    if (json_is_integer(value))
        text_add(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        text_add(out, "%s", text_from_real(number, json_real_value(value)));
    else if (json_is_boolean(value))
        text_add(out, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value))
        text_add_bytes(out, json_string_value(value), json_string_length(value));
    else
        return false;
    return true;
}

/* An array of numbers as "1,2,4". */
static enum status numbers_from_json(const struct option_set *set, const char *key,
                                     const json_t *array, bool whole, struct error *err)
{
    struct text list;
    enum status st = OK;

    text_init(&list, NULL, 0);
    if (json_array_size(array) > OPTION_LIST_MAX)
        st = fail(err, E_FORMAT, "%s: %zu numbers; the limit is %d", key, json_array_size(array),
                  OPTION_LIST_MAX);
    for (size_t i = 0; i < json_array_size(array) && !st; i++) {
        const json_t *item = json_array_get(array, i);

        if (whole ? !json_is_integer(item) : !json_is_number(item)) {
            st = fail(err, E_FORMAT, "%s: number %zu of the list is %s", key, i, kind_name(item));
            break;
        }
        text_add(&list, "%s", i ? "," : "");
        typed(item, &list);
    }
    if (!st && list.cut)
        st = fail(err, E_MEMORY, "%s: no memory for its list", key);
    if (!st)
        st = options_set(set, key, list.data, err);
    text_release(&list);
    return st;
}

static enum status texts_from_json(const struct option_set *set, const char *key,
                                   const struct option *row, void *config, const json_t *array,
                                   struct error *err)
{
    const struct option_group alone = {"", (struct option[]){*row, {0}}, config, NULL};
    enum status st = OK;

    options_release(&(struct option_set){&alone, 1}); /* settings append: begin with none */
    for (size_t i = 0; i < json_array_size(array) && !st; i++) {
        const json_t *item = json_array_get(array, i);

        if (!json_is_string(item) || strlen(json_string_value(item)) != json_string_length(item))
            return fail(err, E_FORMAT, "%s: text %zu of the list is no plain string", key, i);
        st = options_set(set, key, json_string_value(item), err);
    }
    return st;
}

static enum status row_from_json(const struct option_set *set, const char *key, const json_t *value,
                                 struct error *err)
{
    const struct option_group *group;
    const struct option *row = options_find(set, key, &group);
    const char *wanted;
    struct text text;
    bool fits = true;
    enum status st;

    if (!row)
        return options_set(set, key, "", err); /* which says so, and what was meant */
    wanted = kind_wanted(row->type, value, &fits);
    if (!fits)
        return fail(err, E_FORMAT, "%s: %s where %s belongs", key, kind_name(value), wanted);
    if (row->type == OPTION_INTS || row->type == OPTION_REALS)
        return numbers_from_json(set, key, value, row->type == OPTION_INTS, err);
    if (row->type == OPTION_TEXTS)
        return texts_from_json(set, key, row, group->config, value, err);
    if (json_is_null(value)) {
        char **at = (void *)((char *)group->config + row->offset);

        free(*at);
        *at = NULL;
        return OK;
    }
    text_init(&text, NULL, 0);
    if (!typed(value, &text))
        st = fail(err, E_FORMAT, "%s: the string holds a zero byte", key);
    else if (text.cut)
        st = fail(err, E_MEMORY, "%s: no memory for its text", key);
    else
        st = options_set(set, key, text.data, err);
    text_release(&text);
    return st;
}

static bool has_section(const struct option_set *set, const char *section)
{
    for (int i = 0; i < set->n; i++)
        if (strcmp(set->groups[i].section, section) == 0)
            return true;
    return false;
}

static enum status section_from_json(const struct option_set *set, const char *section,
                                     json_t *object, struct error *err)
{
    char room[KEY_ROOM];
    const char *name;
    json_t *value;
    enum status st;

    json_object_foreach(object, name, value)
    {
        struct text key;

        text_init(&key, room, sizeof room);
        text_add(&key, "%s%s%s", section, *section ? "." : "", name);
        if (!*section && json_is_object(value) && has_section(set, name))
            st = section_from_json(set, name, value, err);
        else
            st = row_from_json(set, room, value, err);
        if (st)
            return st;
    }
    return OK;
}

enum status options_from_json(const struct option_set *set, json_t *root, struct error *err)
{
    enum status st;

    if (!json_is_object(root))
        return fail(err, E_FORMAT, "the configuration is no JSON object");
    st = section_from_json(set, "", root, err);
    if (st != E_ARG)
        return st;
    if (err)
        err->status = E_FORMAT;
    return E_FORMAT;
}

/* ---- The schema ---- */

static json_t *bound_to_json(const struct option *row, double x)
{
    bool whole = row->type == OPTION_INT || row->type == OPTION_INTS;

    return whole && fabs(x) < 9e15 ? json_integer((json_int_t)x) : json_real(x);
}

/* The type of one element, with its bounds. */
static bool put_type(json_t *schema, const struct option *row)
{
    static const char *const names[] = {
        [OPTION_INT] = "integer",  [OPTION_SEED] = "integer", [OPTION_REAL] = "number",
        [OPTION_BOOL] = "boolean", [OPTION_TEXT] = "string",  [OPTION_CHOICE] = "string",
        [OPTION_INTS] = "integer", [OPTION_REALS] = "number", [OPTION_TEXTS] = "string",
    };
    bool text = row->type == OPTION_TEXT || row->type == OPTION_TEXTS;
    bool bounded = row->lo != row->hi && row->type != OPTION_SEED && row->type != OPTION_BOOL;
    bool good = put(schema, "type", json_string(names[row->type]));

    if (row->type == OPTION_SEED)
        good = good && put(schema, "minimum", json_integer(0));
    if (bounded && isfinite(row->lo))
        good = good && put(schema, text ? "minLength" : "minimum", bound_to_json(row, row->lo));
    if (bounded && isfinite(row->hi))
        good = good && put(schema, text ? "maxLength" : "maximum", bound_to_json(row, row->hi));
    if (row->type == OPTION_CHOICE) {
        json_t *names_of = json_array();

        for (int i = 0; option_choice(row, i) && good; i++)
            good = appended(names_of, json_string(option_choice(row, i)));
        good = put(schema, "enum", names_of) && good;
    }
    return good;
}

static json_t *row_schema(const struct option *row, const void *defaults)
{
    bool list = row->type == OPTION_INTS || row->type == OPTION_REALS || row->type == OPTION_TEXTS;
    json_t *schema = json_object(), *items;
    bool good = put(schema, "description", json_string(row->help));

    if (list) {
        items = json_object();
        good = good && put_type(items, row);
        good = put(schema, "items", items) && good && put(schema, "type", json_string("array"));
    } else {
        good = good && put_type(schema, row);
    }
    if (good && (row->type != OPTION_TEXT || row->fallback))
        good = put(schema, "default", row_to_json(row, defaults));
    if (good)
        return schema;
    json_decref(schema);
    return NULL;
}

/* {"type": "object", "additionalProperties": false, "properties": {}} with its properties lent. */
static json_t *object_schema(json_t **properties)
{
    json_t *schema = json_object();

    *properties = json_object();
    if (put(schema, "type", json_string("object")) &&
        put(schema, "additionalProperties", json_false()) &&
        put(schema, "properties", json_incref(*properties))) {
        json_decref(*properties); /* the schema keeps it */
        return schema;
    }
    json_decref(*properties);
    json_decref(schema);
    return NULL;
}

/* The properties of a section: those of the root for "", of a new object schema otherwise. */
static json_t *section_schema(json_t *root, const char *section)
{
    json_t *known = *section ? json_object_get(root, section) : NULL, *properties, *schema;

    if (!*section)
        return root;
    if (known)
        return json_object_get(known, "properties");
    schema = object_schema(&properties);
    return schema && put(root, section, schema) ? properties : NULL;
}

enum status options_schema(const struct option_set *set, json_t **out, struct error *err)
{
    json_t *properties, *root = object_schema(&properties);
    bool whole = root != NULL;

    *out = NULL;
    whole =
        whole && put(root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    for (int i = 0; i < set->n && whole; i++) {
        const struct option_group *g = &set->groups[i];
        json_t *section = section_schema(properties, g->section);

        for (const struct option *row = g->rows; row && row->name && whole; row++)
            whole = put(section, row->name, row_schema(row, g->config));
    }
    if (!whole) {
        json_decref(root);
        return fail(err, E_MEMORY, "no memory for a JSON schema");
    }
    *out = root;
    return OK;
}
