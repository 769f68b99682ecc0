/*
 * parameters.c - how a picture was made, as the text that programs of this field put into PNGs
 *
 * One program wrote under the PNG key "parameters" what its users had typed, others took it up, and
 * web sites read it.  Nobody wrote it down as a format; what all of them agree in is this:
 *
 *     a cat, sleeping                       the prompt, any number of lines
 *     Negative prompt: dog                  may be missing; goes on in further lines
 *     Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Lora: "a: 1, b: 2"
 *
 * A value with a comma, a colon or the end of a line in it is quoted as JSON quotes a text.
 *
 * Prompts are free text and may hold anything that looks like a setting, so the line of settings is
 * the last one that begins with "Steps:", which every writer puts first; what add-ons append below
 * is not ours to read.  Unquoted values with commas in them exist: what then is no "key: value" is
 * passed over, but for lists in brackets.
 */
#include "io/parameters.h"

#include "base/memory.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char negative_key[] = "Negative prompt:", settings_key[] = "Steps:";

/* Bytes from `at` to `end`, at most: a part of the text. */
struct part {
    const char *at, *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct part trim(struct part p)
{
    while (p.at < p.end && is_blank(*p.at))
        p.at++;
    while (p.at < p.end && is_blank(p.end[-1]))
        p.end--;
    return p;
}

static bool begins(struct part p, const char *word)
{
    size_t n = strlen(word);

    return (size_t)(p.end - p.at) >= n && !memcmp(p.at, word, n);
}

static enum status copy(char **out, struct part p, struct error *err)
{
    size_t n = (size_t)(p.end - p.at);
    enum status st = mem_new((void **)out, n + 1, 1, "a text of a picture", err);

    if (!st)
        memcpy(*out, p.at, n);
    return st;
}

/* The first such letter, or the end. */
static const char *find(struct part p, char letter)
{
    while (p.at < p.end && *p.at != letter)
        p.at++;
    return p.at;
}

/* Where the last line of settings and the first of the negative prompt begin; NULL: nowhere. */
static void find_lines(struct part text, const char **settings, const char **negative)
{
    *settings = *negative = NULL;
    for (struct part rest = text; rest.at < rest.end; rest.at = find(rest, '\n') + 1) {
        if (begins(rest, settings_key))
            *settings = rest.at;
        if (begins(rest, negative_key) && !*negative)
            *negative = rest.at;
        if (find(rest, '\n') == rest.end)
            break;
    }
    if (*settings && *negative && *negative > *settings)
        *negative = NULL;
}

static enum status add(struct parameters *p, struct part key, char *value, struct error *err)
{
    struct parameter one = {NULL, value};
    enum status st = mem_grow((void **)&p->at, &p->room, p->n + 1, sizeof one, err);

    if (!st && !(st = copy(&one.key, key, err)))
        p->at[p->n++] = one;
    else
        free(value);
    return st;
}

/* Behind the quote that ends the value which begins here; NULL: none does. */
static const char *quoted_end(struct part p)
{
    const char *end = p.at + 1;

    while (end < p.end && *end != '"')
        end += *end == '\\' && end + 1 < p.end ? 2 : 1;
    return end < p.end ? end + 1 : NULL;
}

/* A quoted value; p->at: behind it. */
static enum status read_quoted(char **out, struct part *p, struct error *err)
{
    const char *end = quoted_end(*p);
    int shown = (int)(p->end - p->at < 40 ? p->end - p->at : 40);
    json_error_t why;
    json_t *text;
    enum status st;

    if (!end)
        return fail(err, E_FORMAT, "a quoted value among the settings has no end: %.*s", shown,
                    p->at);
    text = json_loadb(p->at, (size_t)(end - p->at), JSON_DECODE_ANY, &why);
    if (!text && json_error_code(&why) == json_error_out_of_memory)
        return fail(err, E_MEMORY, "no memory for the settings of a picture");
    if (!text)
        return fail(err, E_FORMAT, "a quoted value among the settings is no text (%s): %.*s",
                    why.text, shown, p->at);
    st = mem_text(out, json_string_value(text), err);
    json_decref(text);
    p->at = end;
    return st;
}

/* The part before a letter, which is left; false: there is none before the next comma. */
static bool take_key(struct part *key, struct part *line)
{
    const char *at = line->at;

    while (at < line->end && *at != ':' && *at != ',')
        at++;
    *key = trim((struct part){line->at, at});
    line->at = at < line->end ? at + 1 : at;
    return at < line->end && *at == ':' && key->at < key->end;
}

/* The comma behind an unquoted value, or the end; a list in brackets has commas of its own. */
static const char *end_of_value(struct part line)
{
    const char *closed = begins(line, "[") ? find(line, ']') : line.at;

    return find(closed < line.end ? (struct part){closed, line.end} : line, ',');
}

static enum status read_settings(struct parameters *p, struct part line, struct error *err)
{
    enum status st = OK;

    while (line.at < line.end && !st) {
        const char *comma;
        struct part key;
        char *value = NULL;

        if (!take_key(&key, &line))
            continue;
        while (line.at < line.end && is_blank(*line.at))
            line.at++;
        if (line.at < line.end && *line.at == '"' && (st = read_quoted(&value, &line, err)))
            return st;
        comma = end_of_value(line);
        if (value || !(st = copy(&value, trim((struct part){line.at, comma}), err)))
            st = add(p, key, value, err);
        line.at = comma < line.end ? comma + 1 : comma;
    }
    return st;
}

enum status parameters_parse(struct parameters *out, const char *text, size_t n, struct error *err)
{
    struct part all = {text, text + n}, line;
    const char *settings, *negative;
    enum status st;

    *out = (struct parameters){0};
    if (memchr(text, '\0', n))
        return fail(err, E_FORMAT, "the parameters of a picture hold a zero byte");
    find_lines(all, &settings, &negative);
    if (!settings)
        return fail(err, E_FORMAT, "the parameters of a picture have no line 'Steps: ...'");
    line = (struct part){settings, all.end};
    line.end = find(line, '\n');
    all.end = settings;
    if (negative)
        all.end = negative;
    if ((st = copy(&out->prompt, trim(all), err)) ||
        (st = copy(&out->negative,
                   negative ? trim((struct part){negative + strlen(negative_key), settings})
                            : (struct part){text, text},
                   err)) ||
        (st = read_settings(out, line, err)))
        parameters_release(out);
    return st;
}

void parameters_release(struct parameters *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        free(p->at[i].key);
        free(p->at[i].value);
    }
    free(p->at);
    free(p->prompt);
    free(p->negative);
    *p = (struct parameters){0};
}

const char *parameters_find(const struct parameters *p, const char *key)
{
    for (int64_t i = 0; i < p->n; i++)
        if (!strcmp(p->at[i].key, key))
            return p->at[i].value;
    return NULL;
}

static void add_quoted(struct text *t, const char *value)
{
    text_add(t, "\"");
    for (; *value; value++)
        if (*value == '\n')
            text_add(t, "\\n");
        else if ((unsigned char)*value < 0x20)
            text_add(t, "\\u%04x", *value);
        else
            text_add(t, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    text_add(t, "\"");
}

void parameters_add(struct text *t, const char *key, const char *value)
{
    bool first = !t->used || t->data[t->used - 1] == '\n';

    text_add(t, "%s%s: ", first ? "" : ", ", key);
    if (strpbrk(value, ",:\"\\\t\r\n"))
        add_quoted(t, value);
    else
        text_add(t, "%s", value);
}
