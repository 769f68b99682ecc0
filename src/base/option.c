/*
 * option.c - reading, checking and printing the value of one row
 *
 * An option used to be five things that drift apart: a field, a default, a line of help, a parser
 * and a check.  Here it is one row, and whoever adds an option adds a line.  The row's default is a
 * text, not a number, for two reasons: one parser then serves defaults, files and flags, and the
 * help prints what a person would type.
 *
 * A member of the struct is found by its offset and its type, as in a small interpreter.  The
 * obvious other way, one setter function an option, is type-safe and twenty times as long.
 *
 * What must stay true: a value that is refused leaves the old one in place, so that a list or a
 * text is first made whole and then put in; and everything that options_set can store,
 * options_release frees.
 */
#include "base/option.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 128, TOKEN_MAX = 64, SHOWN_MAX = 60 };

/* ---- Finding ---- */

/* The letters of name begin text, '-' and '_' alike; returns what follows, or NULL. */
static const char *after_name(const char *text, const char *name)
{
    for (; *name; name++, text++)
        if (*text != *name && !(strchr("-_", *name) && (*text == '-' || *text == '_')))
            return NULL;
    return text;
}

static bool is_key(const char *key, const char *section, const char *name)
{
    if (*section) {
        key = after_name(key, section);
        if (!key || *key != '.')
            return false;
        key++;
    }
    key = after_name(key, name);
    return key && !*key;
}

const struct option *options_find(const struct option_set *set, const char *key,
                                  const struct option_group **group)
{
    for (int i = 0; i < set->n; i++)
        for (const struct option *row = set->groups[i].rows; row && row->name; row++)
            if (is_key(key, set->groups[i].section, row->name)) {
                if (group)
                    *group = &set->groups[i];
                return row;
            }
    return NULL;
}

/* "unknown key 'x'; did you mean 'y'?" with y the nearest in the whole set.  A slip in the section
 * alone or in the name alone is near in the whole key as well. */
static enum status unknown_key(const struct option_set *set, const char *key, struct error *err)
{
    char room[2][KEY_MAX];
    const char *best = NULL;
    int spare = 0;

    for (int i = 0; i < set->n; i++) {
        const struct option_group *g = &set->groups[i];

        for (const struct option *row = g->rows; row && row->name; row++) {
            const char *pair[2] = {best, room[spare]};
            struct text t;

            text_init(&t, room[spare], KEY_MAX);
            text_add(&t, "%s%s%s", g->section, *g->section ? "." : "", row->name);
            if (text_nearest(key, pair, 2) == room[spare]) {
                best = room[spare];
                spare = !spare;
            }
        }
    }
    if (best)
        return fail(err, E_ARG, "unknown key '%.*s'; did you mean '%s'?", SHOWN_MAX, key, best);
    return fail(err, E_ARG, "unknown key '%.*s'", SHOWN_MAX, key);
}

const char *option_choice(const struct option *row, int i)
{
    if (row->choice)
        return row->choice(i);
    return row->choices ? row->choices[i] : NULL;
}

/* ---- What a row accepts ---- */

static bool in_range(const struct option *row, double x)
{
    return row->lo == row->hi || (x >= row->lo && x <= row->hi);
}

void option_range(const struct option *row, struct text *out)
{
    char lo[TEXT_REAL], hi[TEXT_REAL];

    if (row->type == OPTION_CHOICE) {
        for (int i = 0; option_choice(row, i); i++)
            text_add(out, "%s%s", i ? " | " : "", option_choice(row, i));
        return;
    }
    if (row->lo == row->hi || row->type == OPTION_SEED || row->type == OPTION_BOOL)
        return;
    text_from_real(lo, row->lo);
    text_from_real(hi, row->hi);
    if (isinf(row->hi))
        text_add(out, "at least %s", lo);
    else if (isinf(row->lo))
        text_add(out, "at most %s", hi);
    else
        text_add(out, "%s..%s", lo, hi);
}

/* "train.batch: 0 is not in 1..65536" */
static enum status out_of_range(const struct option *row, const char *key, const char *text,
                                struct error *err)
{
    bool between = isfinite(row->lo) && isfinite(row->hi);
    char room[2 * TEXT_REAL + 16];
    struct text range;

    text_init(&range, room, sizeof room);
    option_range(row, &range);
    return fail(err, E_ARG, "%s: %.*s is not %s%s", key, SHOWN_MAX, text, between ? "in " : "",
                room);
}

static enum status not_a(const char *what, const char *key, const char *text, struct error *err)
{
    return fail(err, E_ARG, "%s: '%.*s' is not %s", key, SHOWN_MAX, text, what);
}

/* ---- One value from a text ---- */

static enum status int_from(int64_t *out, const struct option *row, const char *key,
                            const char *text, struct error *err)
{
    int64_t x;

    if (!text_to_int(text, &x))
        return not_a("a whole number", key, text, err);
    if (!in_range(row, (double)x))
        return out_of_range(row, key, text, err);
    *out = x;
    return OK;
}

static enum status real_from(double *out, const struct option *row, const char *key,
                             const char *text, struct error *err)
{
    double x;

    if (!text_to_real(text, &x))
        return not_a("a finite number", key, text, err);
    if (!in_range(row, x))
        return out_of_range(row, key, text, err);
    *out = x;
    return OK;
}

static enum status bool_from(bool *out, const char *key, const char *text, struct error *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (int i = 0; i < 8; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i & 1;
            return OK;
        }
    return not_a("true or false", key, text, err);
}

static enum status choice_from(int *out, const struct option *row, const char *key,
                               const char *text, struct error *err)
{
    const char *nearest = NULL;
    char room[ERROR_TEXT / 2];
    struct text all;

    for (int i = 0; option_choice(row, i); i++) {
        const char *pair[2] = {nearest, option_choice(row, i)};
        const char *rest = after_name(text, pair[1]);

        if (rest && !*rest) {
            *out = i;
            return OK;
        }
        nearest = text_nearest(text, pair, 2);
    }
    if (nearest)
        return fail(err, E_ARG, "%s: unknown value '%.*s'; did you mean '%s'?", key, SHOWN_MAX,
                    text, nearest);
    text_init(&all, room, sizeof room);
    option_range(row, &all);
    return fail(err, E_ARG, "%s: '%.*s' is none of %s", key, SHOWN_MAX, text, room);
}

static enum status text_from(char **out, const struct option *row, const char *key,
                             const char *text, struct error *err)
{
    size_t length = strlen(text);
    char *copy;
    enum status st;

    if (length > OPTION_TEXT_MAX)
        return fail(err, E_ARG, "%s: a text of %zu bytes; the limit is %d", key, length,
                    OPTION_TEXT_MAX);
    if (!in_range(row, (double)length))
        return fail(err, E_ARG, "%s: a text of %zu bytes; from %.0f to %.0f are allowed", key,
                    length, row->lo, row->hi);
    if ((st = mem_text(&copy, text, err)))
        return st;
    free(*out);
    *out = copy;
    return OK;
}

/* Cut the next element from *list into token; false at the end.  Elements stand between commas,
 * blanks, or both; an element that is missing or too long comes out as an empty one, which no
 * number is. */
static bool next_token(const char **list, char token[TOKEN_MAX], bool first)
{
    const char *at = *list + strspn(*list, " \t");
    size_t n;

    if (!*at)
        return false;
    if (!first && *at == ',') {
        at++;
        at += strspn(at, " \t");
    }
    n = strcspn(at, ", \t");
    token[0] = '\0';
    if (n < TOKEN_MAX) {
        memcpy(token, at, n);
        token[n] = '\0';
    }
    /* Nothing before a comma is an empty element; the comma itself must then be passed. */
    *list = at + n + (n == 0 && *at == ',');
    return true;
}

static enum status ints_from(struct int_list *out, const struct option *row, const char *key,
                             const char *text, struct error *err)
{
    struct int_list list = {0};
    char token[TOKEN_MAX];
    int64_t room = 0;
    enum status st = OK;

    for (const char *at = text; next_token(&at, token, list.n == 0); list.n++) {
        if (list.n == OPTION_LIST_MAX)
            st = fail(err, E_ARG, "%s: more than %d numbers", key, OPTION_LIST_MAX);
        else if (!token[0])
            st = not_a("a list of whole numbers such as 1,2,4", key, text, err);
        if (st || (st = mem_grow((void **)&list.at, &room, list.n + 1, sizeof *list.at, err)) ||
            (st = int_from(&list.at[list.n], row, key, token, err)))
            goto out;
    }
    free(out->at);
    *out = list;
    list.at = NULL;
out:
    free(list.at);
    return st;
}

static enum status reals_from(struct real_list *out, const struct option *row, const char *key,
                              const char *text, struct error *err)
{
    struct real_list list = {0};
    char token[TOKEN_MAX];
    int64_t room = 0;
    enum status st = OK;

    for (const char *at = text; next_token(&at, token, list.n == 0); list.n++) {
        if (list.n == OPTION_LIST_MAX)
            st = fail(err, E_ARG, "%s: more than %d numbers", key, OPTION_LIST_MAX);
        else if (!token[0])
            st = not_a("a list of numbers such as 0,0.5,1", key, text, err);
        if (st || (st = mem_grow((void **)&list.at, &room, list.n + 1, sizeof *list.at, err)) ||
            (st = real_from(&list.at[list.n], row, key, token, err)))
            goto out;
    }
    free(out->at);
    *out = list;
    list.at = NULL;
out:
    free(list.at);
    return st;
}

static enum status texts_add(struct text_list *out, const struct option *row, const char *key,
                             const char *text, struct error *err)
{
    int64_t room = out->n; /* grown by one each time: such lists are typed by hand */
    enum status st;

    if (out->n == OPTION_LIST_MAX)
        return fail(err, E_ARG, "%s: given more than %d times", key, OPTION_LIST_MAX);
    if ((st = mem_grow((void **)&out->at, &room, out->n + 1, sizeof *out->at, err)))
        return st;
    out->at[out->n] = NULL;
    if ((st = text_from(&out->at[out->n], row, key, text, err)))
        return st;
    out->n++;
    return OK;
}

/* ---- The member of a row ---- */

static void *member(const struct option *row, void *config)
{
    return (char *)config + row->offset;
}

static enum status row_set(const struct option *row, void *config, const char *key,
                           const char *text, struct error *err)
{
    void *at = member(row, config);

    switch (row->type) {
    case OPTION_INT:
        return int_from(at, row, key, text, err);
    case OPTION_SEED:
        return text_to_seed(text, at) ? OK
                                      : not_a("a whole number from 0 to 2^64 - 1", key, text, err);
    case OPTION_REAL:
        return real_from(at, row, key, text, err);
    case OPTION_BOOL:
        return bool_from(at, key, text, err);
    case OPTION_TEXT:
        return text_from(at, row, key, text, err);
    case OPTION_CHOICE:
        return choice_from(at, row, key, text, err);
    case OPTION_INTS:
        return ints_from(at, row, key, text, err);
    case OPTION_REALS:
        return reals_from(at, row, key, text, err);
    case OPTION_TEXTS:
        return texts_add(at, row, key, text, err);
    }
    MUST(0, "option %s has no type %d", row->name, (int)row->type);
    return E_ARG;
}

static void row_release(const struct option *row, void *config)
{
    void *at = member(row, config);

    if (row->type == OPTION_TEXT) {
        char **text = at;

        free(*text);
        *text = NULL;
    } else if (row->type == OPTION_INTS) {
        struct int_list *list = at;

        free(list->at);
        *list = (struct int_list){0};
    } else if (row->type == OPTION_REALS) {
        struct real_list *list = at;

        free(list->at);
        *list = (struct real_list){0};
    } else if (row->type == OPTION_TEXTS) {
        struct text_list *list = at;

        for (int i = 0; i < list->n; i++)
            free(list->at[i]);
        free(list->at);
        *list = (struct text_list){0};
    }
}

static void row_print(const struct option *row, void *config, struct text *out)
{
    void *at = member(row, config);
    char number[TEXT_REAL];

    switch (row->type) {
    case OPTION_INT:
        text_add(out, "%" PRId64, *(int64_t *)at);
        break;
    case OPTION_SEED:
        text_add(out, "%" PRIu64, *(uint64_t *)at);
        break;
    case OPTION_REAL:
        text_add(out, "%s", text_from_real(number, *(double *)at));
        break;
    case OPTION_BOOL:
        text_add(out, "%s", *(bool *)at ? "true" : "false");
        break;
    case OPTION_TEXT:
        text_add(out, "%s", *(char **)at ? *(char **)at : "");
        break;
    case OPTION_CHOICE:
        text_add(out, "%s", option_choice(row, *(int *)at));
        break;
    case OPTION_INTS:
        for (int i = 0; i < ((struct int_list *)at)->n; i++)
            text_add(out, "%s%" PRId64, i ? "," : "", ((struct int_list *)at)->at[i]);
        break;
    case OPTION_REALS:
        for (int i = 0; i < ((struct real_list *)at)->n; i++)
            text_add(out, "%s%s", i ? "," : "",
                     text_from_real(number, ((struct real_list *)at)->at[i]));
        break;
    case OPTION_TEXTS:
        for (int i = 0; i < ((struct text_list *)at)->n; i++)
            text_add(out, "%s%s", i ? "\n" : "", ((struct text_list *)at)->at[i]);
        break;
    }
}

/* ---- The whole set ---- */

enum status options_default(const struct option_set *set, struct error *err)
{
    struct error why = {0};

    for (int i = 0; i < set->n; i++) {
        const struct option_group *g = &set->groups[i];

        for (const struct option *row = g->rows; row && row->name; row++) {
            enum status st = OK;

            if (row->fallback)
                st = row_set(row, g->config, row->name, row->fallback, &why);
            MUST(st != E_ARG, "the default of its own row: %s", why.text);
            if (st)
                return fail(err, st, "%s", why.text);
        }
    }
    return OK;
}

void options_release(const struct option_set *set)
{
    for (int i = 0; i < set->n; i++)
        for (const struct option *row = set->groups[i].rows; row && row->name; row++)
            row_release(row, set->groups[i].config);
}

enum status options_set(const struct option_set *set, const char *key, const char *text,
                        struct error *err)
{
    const struct option_group *group;
    const struct option *row = options_find(set, key, &group);
    enum status st;

    if (!row)
        return unknown_key(set, key, err);
    st = row_set(row, group->config, key, text, err);
    if (!st && group->given)
        group->given[row - group->rows] = true;
    return st;
}

enum status options_assign(const struct option_set *set, const char *assignment, struct error *err)
{
    const char *equals = strchr(assignment, '=');
    const char *begin = assignment + strspn(assignment, " \t"), *end = equals;
    char key[KEY_MAX], *value;
    enum status st;

    if (!equals)
        return fail(err, E_ARG, "'%.*s' is no assignment; write section.key=value", SHOWN_MAX,
                    assignment);
    while (end > begin && strchr(" \t", end[-1]))
        end--;
    if (end - begin >= KEY_MAX)
        return fail(err, E_ARG, "unknown key '%.*s...'", SHOWN_MAX, begin);
    memcpy(key, begin, (size_t)(end - begin));
    key[end - begin] = '\0';
    equals += 1 + strspn(equals + 1, " \t");
    if ((st = mem_text(&value, equals, err)))
        return st;
    for (size_t n = strlen(value); n && strchr(" \t", value[n - 1]); n--)
        value[n - 1] = '\0';
    st = options_set(set, key, value, err);
    free(value);
    return st;
}

bool options_get(const struct option_set *set, const char *key, struct text *out)
{
    const struct option_group *group;
    const struct option *row = options_find(set, key, &group);

    if (!row)
        return false;
    row_print(row, group->config, out);
    return true;
}
