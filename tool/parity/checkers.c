/*
 * checkers.c - which checker takes which fixture, and one run over all of them
 *
 * Four things must not look alike in the report: a fixture that was compared, one of a kind that
 * this version does not implement (listed as skipped, so that a folder of mixed contents can still
 * pass), one that cannot be used (a damaged file, a part missing), which is a failure because
 * silence there would read as agreement, and a list that lies among the fixtures and is none.  A
 * run in which nothing at all was compared is the caller's to refuse: see report_count.
 */
#include "parity.h"

#include <string.h>

#define DECLARE(name) extern const struct parity_checker parity_##name;
PARITY_CHECKERS(DECLARE)
#undef DECLARE

#define LIST(name) &parity_##name,
static const struct parity_checker *const checkers[] = {PARITY_CHECKERS(LIST)};
#undef LIST

enum { N_CHECKERS = sizeof(checkers) / sizeof(checkers[0]) };

const struct parity_checker *checker_find(const char *kind)
{
    for (int i = 0; i < N_CHECKERS; i++)
        if (strcmp(checkers[i]->kind, kind) == 0)
            return checkers[i];
    return NULL;
}

const struct parity_checker *checker_knowing(const json_t *root)
{
    for (int i = 0; i < N_CHECKERS; i++)
        if (checkers[i]->knows && checkers[i]->knows(root))
            return checkers[i];
    return NULL;
}

const struct parity_checker *checker_knowing_tensors(const struct weights *file)
{
    for (int i = 0; i < N_CHECKERS; i++)
        if (checkers[i]->knows_tensors && checkers[i]->knows_tensors(file))
            return checkers[i];
    return NULL;
}

const struct parity_checker *checker_owning(const char *folder)
{
    for (int i = 0; i < N_CHECKERS; i++)
        if (checkers[i]->owns && checkers[i]->owns(folder))
            return checkers[i];
    return NULL;
}

bool checker_has_part(const char *suffix)
{
    for (int i = 0; i < N_CHECKERS; i++)
        for (int k = 0; k < PARITY_PARTS && checkers[i]->parts[k]; k++)
            if (strcmp(checkers[i]->parts[k], suffix) == 0)
                return true;
    return false;
}

/* Whether the fixture has exactly the parts its checker works on. */
static enum status parts_agree(const struct parity_fixture *f, const struct parity_checker *c,
                               struct error *err)
{
    int n = 0;

    for (; n < PARITY_PARTS && c->parts[n]; n++)
        if (!fixture_part(f, c->parts[n]))
            return fail(err, E_FORMAT, "a fixture of kind %s has a part \"%s\", this one has not",
                        c->kind, c->parts[n]);
    if (f->n_parts > n)
        return fail(err, E_FORMAT, "a fixture of kind %s has %d parts, this one has %d", c->kind, n,
                    f->n_parts);
    return OK;
}

/* Fixtures in JSON are objects; a list is what some program had to say about them. */
static bool is_list(const struct parity_fixture *f)
{
    const struct parity_part *part = fixture_part(f, "");

    return part && json_is_array(part->json);
}

static void fixture_check(struct parity_report *r, struct parity_fixture *f,
                          const struct parity_options *options)
{
    const struct parity_checker *c;
    struct error err = {0};

    report_fixture(r, f->name);
    if (f->broken) {
        parity_claim(r, "readable", false, "%s", f->broken);
        return;
    }
    if (!f->kind && is_list(f)) {
        parity_note(r, "kind", "a list, no fixture: there is nothing in it to compare");
        return;
    }
    if (!f->kind) {
        parity_skip(r, "kind", "the file names no kind");
        return;
    }
    c = checker_find(f->kind);
    if (!c) {
        parity_skip(r, "kind",
                    strcmp(f->kind, "training_anchor") ? "kind %s is not implemented"
                                                       : "a %s: script/check-anchors trains it",
                    f->kind);
        return;
    }
    if (parts_agree(f, c, &err) || c->check(r, f, options, &err)) {
        report_group(r, "");
        parity_claim(r, "complete", false, "%s", err.text);
    }
}

enum status parity_run(struct parity_report *r, const char *const *paths, int n_paths,
                       const struct parity_options *options, struct error *err)
{
    struct parity_fixtures fixtures = {0};
    enum status st = OK;

    for (int i = 0; i < n_paths && !st; i++)
        st = fixture_scan(&fixtures, paths[i], err);
    for (int64_t i = 0; i < fixtures.n && !st; i++) {
        if ((st = fixture_open(&fixtures.list[i], err)))
            break;
        fixture_check(r, &fixtures.list[i], options);
        fixture_close(&fixtures.list[i]);
        if (r->status)
            st = fail(err, r->status, "no memory for the report");
    }
    fixtures_release(&fixtures);
    return st;
}
