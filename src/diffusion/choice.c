/*
 * choice.c - things chosen by name, each with a few numbers that may be changed
 *
 * A word typed by a person is looked for among the names and aliases of a table.  What is not there
 * is answered with the nearest name that is, because a list of twenty solvers helps less than the
 * one that was meant; when nothing is near, the list is all that helps.
 *
 * The numbers are rows of struct option over an array of doubles, so ranges, defaults and sentences
 * are those of every other option of the program.  All are reals: a few that count something
 * (the emulated steps of a grid) lose nothing by it, and values stay a flat array to copy and
 * compare.
 */
#include "diffusion/choice.h"

#include "base/text.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static bool same_word(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        int ca = *a == '-' ? '_' : tolower((unsigned char)*a);
        int cb = *b == '-' ? '_' : tolower((unsigned char)*b);

        if (ca != cb)
            return false;
    }
    return *a == *b;
}

static bool choice_is(const struct choice *c, const char *word)
{
    if (same_word(c->name, word))
        return true;
    for (int i = 0; i < CHOICE_ALIASES && c->aliases[i]; i++)
        if (same_word(c->aliases[i], word))
            return true;
    return false;
}

/* The name to suggest for a word nobody has: a name first, then an alias. */
static const char *choice_nearest(const char *word, choice_at *at)
{
    enum { ROOM = 256 };
    const char *names[ROOM] = {0};
    const struct choice *c;
    int n = 0;

    for (int i = 0; (c = at(i)) && n < ROOM; i++)
        names[n++] = c->name;
    for (int i = 0; (c = at(i)); i++)
        for (int j = 0; j < CHOICE_ALIASES && c->aliases[j] && n < ROOM; j++)
            names[n++] = c->aliases[j];
    return text_nearest(word, names, n);
}

enum status choice_find(int *index, const char *what, const char *word, choice_at *at,
                        struct error *err)
{
    char all[ERROR_TEXT / 2];
    struct text list;
    const struct choice *c;
    const char *near;

    for (int i = 0; (c = at(i)); i++)
        if (choice_is(c, word)) {
            *index = i;
            return OK;
        }
    near = choice_nearest(word, at);
    if (near)
        return fail(err, E_ARG, "no %s is called \"%s\": did you mean \"%s\"?", what, word, near);
    text_init(&list, all, sizeof(all));
    for (int i = 0; (c = at(i)); i++)
        text_add(&list, "%s%s", i ? ", " : "", c->name);
    return fail(err, E_ARG, "no %s is called \"%s\"; there are %s", what, word, all);
}

struct option_group choice_options(const struct choice *c, const char *section, double *values)
{
    static const struct option none[] = {{0}};

    return (struct option_group){section, c->options ? c->options : none, values, NULL};
}

void choice_defaults(double *values, const struct choice *c)
{
    struct option_group group = choice_options(c, "", values);
    struct option_set set = {&group, 1};
    enum status st;

    memset(values, 0, CHOICE_VALUES * sizeof(*values));
    st = options_default(&set, NULL);
    MUST(!st, "the defaults of %s are not valid", c->name);
}

enum status choice_set(double *values, const struct choice *c, const char *name, double value,
                       struct error *err)
{
    struct option_group group = choice_options(c, "", values);
    struct option_set set = {&group, 1};
    char text[TEXT_REAL];
    enum status st;

    if (!isfinite(value))
        return fail(err, E_ARG, "%s: %s is %g, not a finite number", c->name, name, value);
    if ((st = options_set(&set, name, text_from_real(text, value), err)))
        fail_under(err, "%s", c->name);
    return st;
}

enum status choice_check(const double *values, const struct choice *c, struct error *err)
{
    for (int i = 0; c->options && c->options[i].name; i++) {
        const struct option *o = &c->options[i];

        if (!isfinite(values[i]) || (o->lo < o->hi && (values[i] < o->lo || values[i] > o->hi)))
            return fail(err, E_ARG, "%s: %s is %g, outside %g .. %g", c->name, o->name, values[i],
                        o->lo, o->hi);
    }
    return OK;
}
