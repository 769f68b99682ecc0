/*
 * print.c - a report for people and for machines
 *
 * A folder of fixtures gives thousands of comparisons.  What a reader wants first is one line for
 * each quantity of each file: how many were compared, which came closest to its limit, and whether
 * any went past it.  Entries of one fixture and group stand together because checkers file them so;
 * the lines are cut where either changes.  Failures are always spelled out below their line, with
 * the element and both numbers, since that is what the next hour will be spent on.
 */
#include "parity.h"

#include <math.h>
#include <string.h>

static const char *verdict_name(enum parity_verdict v)
{
    static const char *const names[] = {"pass", "FAIL", "skip", "note"};

    return names[v];
}

/* One past the last entry of the group that starts at `first`. */
static int64_t group_end(const struct parity_report *r, int64_t first)
{
    const struct parity_entry *a = &r->entries[first];
    int64_t i = first + 1;

    while (i < r->n_entries && strcmp(r->entries[i].fixture, a->fixture) == 0 &&
           strcmp(r->entries[i].group, a->group) == 0)
        i++;
    return i;
}

static void entry_print(const struct parity_entry *e, FILE *out)
{
    fprintf(out, "    %s  %s", verdict_name(e->verdict), e->name);
    if (e->count > 0)
        fprintf(out, "  %.2e of %.0e", e->worst, e->limit);
    if (e->note)
        fprintf(out, ": %s", e->note);
    fputc('\n', out);
}

/* The line of entries first..end-1, which share fixture and group. */
static void group_print(const struct parity_report *r, int64_t first, int64_t end, bool verbose,
                        FILE *out)
{
    const struct parity_entry *worst = NULL, *a = &r->entries[first];
    int64_t compared = 0, failed = 0, skipped = 0;

    for (int64_t i = first; i < end; i++) {
        const struct parity_entry *e = &r->entries[i];

        skipped += e->verdict == PARITY_SKIP;
        failed += e->verdict == PARITY_FAIL;
        compared += e->verdict == PARITY_PASS || e->verdict == PARITY_FAIL;
        if (e->count > 0 && (!worst || e->worst * worst->limit > worst->worst * e->limit))
            worst = e;
    }
    fprintf(out, "%s  %s",
            compared > 0 ? verdict_name(failed > 0 ? PARITY_FAIL : PARITY_PASS)
                         : verdict_name(skipped > 0 ? PARITY_SKIP : PARITY_NOTE),
            a->fixture);
    if (a->group[0])
        fprintf(out, "  %s", a->group);
    if (end == first + 1 && !worst && a->note) { /* one sentence says it all */
        fprintf(out, ": %s\n", a->note);
        return;
    }
    if (compared > 0)
        fprintf(out, ": %lld compared", (long long)compared);
    if (worst)
        fprintf(out, ", worst %.2e of %.0e (%s)", worst->worst, worst->limit, worst->name);
    if (failed > 0)
        fprintf(out, ", %lld FAILED", (long long)failed);
    if (skipped > 0)
        fprintf(out, "%s %lld skipped", compared > 0 ? "," : ":", (long long)skipped);
    fputc('\n', out);
    for (int64_t i = first; i < end; i++)
        if (verbose || r->entries[i].verdict != PARITY_PASS)
            entry_print(&r->entries[i], out);
}

void report_print(const struct parity_report *r, bool verbose, FILE *out)
{
    struct parity_counts c = report_count(r);

    for (int64_t first = 0, end; first < r->n_entries; first = end) {
        end = group_end(r, first);
        group_print(r, first, end, verbose, out);
    }
    fprintf(out, "%lld fixtures, %lld comparisons: %lld passed, %lld failed, %lld skipped\n",
            (long long)c.fixtures, (long long)c.compared, (long long)c.passed, (long long)c.failed,
            (long long)c.skipped);
}

static json_t *entry_json(const struct parity_entry *e)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:I}", "fixture", e->fixture, "group", e->group, "name",
                  e->name, "verdict", verdict_name(e->verdict), "count", (json_int_t)e->count);

    if (!o)
        return NULL;
    /* JSON has no infinity: null says that no finite deviation describes the failure. */
    if (e->count > 0 &&
        (json_object_set_new(o, "worst", isfinite(e->worst) ? json_real(e->worst) : json_null()) ||
         json_object_set_new(o, "limit", json_real(e->limit))))
        goto fail;
    if (e->note && json_object_set_new(o, "note", json_string(e->note)))
        goto fail;
    return o;
fail:
    json_decref(o);
    return NULL;
}

enum status report_json(const struct parity_report *r, FILE *out, struct error *err)
{
    struct parity_counts c = report_count(r);
    enum status st = OK;
    json_t *root, *list;

    root = json_pack("{s:I, s:I, s:I, s:I, s:I, s:[]}", "fixtures", (json_int_t)c.fixtures,
                     "compared", (json_int_t)c.compared, "passed", (json_int_t)c.passed, "failed",
                     (json_int_t)c.failed, "skipped", (json_int_t)c.skipped, "entries");
    if (!root)
        return fail(err, E_MEMORY, "no memory for the report as JSON");
    list = json_object_get(root, "entries");
    for (int64_t i = 0; i < r->n_entries && !st; i++)
        if (json_array_append_new(list, entry_json(&r->entries[i])))
            st = fail(err, E_MEMORY, "no memory for the report as JSON");
    if (!st && (json_dumpf(root, out, JSON_INDENT(1)) || fputc('\n', out) == EOF))
        st = fail(err, E_IO, "cannot write the report");
    json_decref(root);
    return st;
}
