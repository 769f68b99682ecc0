/*
 * option_flags.c - flags of a command line
 *
 * The words and the meaning are those of getopt_long, which every user knows; its code is not used.
 * It keeps its place in global variables and prints its own sentences, so it can serve neither a
 * library nor a "did you mean".  The table already knows everything it would have to be told.
 *
 * A number may be negative (`--cfg-scale -1`), so a flag that wants a value takes the next word
 * whatever it looks like.  Only a bool takes none: `-v`, `--verbose`, `--no-verbose`,
 * `--verbose=false`.
 */
#include "base/option.h"

#include <string.h>

enum { NAME_ROOM = 128, SHOWN_MAX = 60 };

/* A walk along argv. */
struct walk {
    const struct option_set *set;
    char **argv;
    int argc, at; /* argv[at] is the word being read */
};

static const struct option *find_letter(const struct option_set *set, char letter,
                                        const struct option_group **group)
{
    for (int i = 0; i < set->n; i++)
        for (const struct option *row = set->groups[i].rows; row && row->name; row++)
            if (row->letter && row->letter == letter) {
                *group = &set->groups[i];
                return row;
            }
    return NULL;
}

/* Set it; a sentence about it begins with the key, which the user typed with two dashes. */
static enum status flag_set(const struct option_set *set, const char *key, const char *text,
                            struct error *err)
{
    enum status st = options_set(set, key, text, err);

    char said[ERROR_TEXT];

    if (st == E_ARG && err) {
        memcpy(said, err->text, sizeof said);
        fail(err, st, "--%.*s", ERROR_TEXT - 3, said);
    }
    return st;
}

/* A row's name as a flag is typed: "batch-count". */
static char *dashed(char *name)
{
    for (char *c = name; *c; c++)
        if (*c == '_')
            *c = '-';
    return name;
}

/* "unknown flag --stpes; did you mean --steps?" */
static enum status unknown_flag(const struct option_set *set, const char *name, struct error *err)
{
    const char *nearest = NULL;
    char room[NAME_ROOM];
    struct text shown;

    for (int i = 0; i < set->n; i++)
        for (const struct option *row = set->groups[i].rows; row && row->name; row++)
            if (!*set->groups[i].section)
                nearest = text_nearest(name, (const char *[]){nearest, row->name}, 2);
    if (nearest) {
        text_init(&shown, room, sizeof room);
        text_add(&shown, "%s", nearest);
        return fail(err, E_ARG, "unknown flag --%.*s; did you mean --%s?", SHOWN_MAX, name,
                    dashed(room));
    }
    return fail(err, E_ARG, "unknown flag --%.*s", SHOWN_MAX, name);
}

/* argv[at] is "--name", "--name=value" or "--no-name". */
static enum status long_flag(struct walk *w, struct error *err)
{
    const char *name = w->argv[w->at] + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *row;
    char key[NAME_ROOM];

    if (length >= sizeof key)
        return fail(err, E_ARG, "unknown flag --%.*s...", SHOWN_MAX, name);
    memcpy(key, name, length);
    key[length] = '\0';
    row = options_find(w->set, key, NULL);
    if (!row && !equals && strncmp(key, "no-", 3) == 0) {
        row = options_find(w->set, key + 3, NULL);
        if (row && row->type == OPTION_BOOL)
            return flag_set(w->set, key + 3, "false", err);
        row = NULL;
    }
    if (!row)
        return unknown_flag(w->set, key, err);
    if (equals)
        return flag_set(w->set, key, equals + 1, err);
    if (row->type == OPTION_BOOL)
        return flag_set(w->set, key, "true", err);
    if (w->at + 1 == w->argc)
        return fail(err, E_ARG, "--%s wants a value", key);
    return flag_set(w->set, key, w->argv[++w->at], err);
}

/* argv[at] is "-n", "-nvalue", or letters of bools of which the last may want a value. */
static enum status short_flags(struct walk *w, struct error *err)
{
    for (const char *c = w->argv[w->at] + 1; *c; c++) {
        const struct option_group *group;
        const struct option *row = find_letter(w->set, *c, &group);
        char key[NAME_ROOM];
        struct text t;
        enum status st;

        if (!row)
            return fail(err, E_ARG, "unknown flag -%c", *c);
        text_init(&t, key, sizeof key);
        text_add(&t, "%s%s%s", group->section, *group->section ? "." : "", row->name);
        dashed(key);
        if (row->type != OPTION_BOOL) {
            if (c[1])
                return flag_set(w->set, key, c + 1, err);
            if (w->at + 1 == w->argc)
                return fail(err, E_ARG, "-%c (--%s) wants a value", *c, key);
            return flag_set(w->set, key, w->argv[++w->at], err);
        }
        if ((st = flag_set(w->set, key, "true", err)))
            return st;
    }
    return OK;
}

enum status options_flags(const struct option_set *set, int argc, char **argv, int *n_words,
                          struct error *err)
{
    struct walk w = {set, argv, argc, 1};
    bool flags = true;
    enum status st;

    *n_words = 0;
    for (; w.at < argc; w.at++) {
        char *word = argv[w.at];

        if (!flags || word[0] != '-' || !word[1]) {
            argv[++*n_words] = word; /* never past w.at: words only move forward */
        } else if (strcmp(word, "--") == 0) {
            flags = false;
        } else {
            st = word[1] == '-' ? long_flag(&w, err) : short_flags(&w, err);
            if (st)
                return st;
        }
    }
    return OK;
}
