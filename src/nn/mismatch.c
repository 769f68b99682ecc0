/*
 * mismatch.c - how the tensors of a file and the parameters of a network differ, in one sentence
 *
 * Whoever opens a checkpoint of another size, or another version of a model, has hundreds of names
 * missing and hundreds too many.  The first eight of them tell little; all of them are no sentence.
 * But networks are made of blocks: names that differ in their numbers alone are one fault, so they
 * are told as one, with '*' for the numbers and how many there are.  Five hundred names of a deep
 * transformer are a dozen patterns.
 *
 * Each kind of difference has its own share of the sentence, so that a long list of one does not
 * push the others out.
 */
#include "nn/mismatch.h"

#include "base/text.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SHARE = 270 }; /* letters for the names of one kind */

/* The name with '*' for every part between its dots that is a number. */
static void make_pattern(char out[MISMATCH_NAME], const char *name)
{
    bool begins = true;

    while (*name) {
        size_t digits = begins ? strspn(name, "0123456789") : 0;
        bool number = digits && (name[digits] == '.' || !name[digits]);

        begins = *name == '.';
        *out++ = number ? '*' : *name;
        name += number ? digits : 1;
    }
    *out = 0;
}

void mismatch_add(struct mismatch *m, enum mismatch_kind kind, const char *name, const char *detail)
{
    char shown[UTF8_SHOWN], pattern[MISMATCH_NAME];
    struct mismatch_group *g = m->kind[kind].group, *end = g + m->kind[kind].n_groups;

    make_pattern(pattern, utf8_shown(shown, name));
    m->kind[kind].n++;
    while (g < end && (strcmp(g->pattern, pattern) != 0 || strcmp(g->detail, detail) != 0))
        g++;
    if (g == end && m->kind[kind].n_groups == MISMATCH_GROUPS)
        return;
    if (g == end) {
        m->kind[kind].n_groups++;
        snprintf(g->name, sizeof g->name, "%s", shown);
        snprintf(g->pattern, sizeof g->pattern, "%s", pattern);
        snprintf(g->detail, sizeof g->detail, "%s", detail);
    }
    g->n++;
}

/* The groups of one kind, as many as find room, and how many names are not among them. */
static void say_kind(struct text *out, const struct mismatch *m, int kind)
{
    static const char *const word[] = {"missing ", "", "unexpected "};
    int64_t left = m->kind[kind].n;
    size_t first = out->used;

    for (int i = 0; i < m->kind[kind].n_groups; i++) {
        const struct mismatch_group *g = &m->kind[kind].group[i];

        if (i && out->used - first + strlen(g->pattern) + strlen(g->detail) > SHARE)
            break;
        text_add(out, "%s%s%s%s",
                 !out->used ? ""
                 : i        ? ", "
                            : "; ",
                 i ? "" : word[kind], g->n > 1 ? g->pattern : g->name, g->detail);
        if (g->n > 1)
            text_add(out, " (%" PRId64 ")", g->n);
        left -= g->n;
    }
    if (left)
        text_add(out, ", %" PRId64 " more", left);
}

enum status mismatch_status(const struct mismatch *m, struct error *err)
{
    char names[ERROR_TEXT];
    struct text t;

    text_init(&t, names, sizeof names);
    for (int k = 0; k < MISMATCH_KINDS; k++)
        say_kind(&t, m, k);
    if (!t.used)
        return OK;
    return fail(err, E_FORMAT,
                "the tensors do not fit the network: %" PRId64 " missing, %" PRId64
                " of another shape, %" PRId64 " unexpected: %s",
                m->kind[MISMATCH_MISSING].n, m->kind[MISMATCH_SHAPE].n,
                m->kind[MISMATCH_UNEXPECTED].n, names);
}
