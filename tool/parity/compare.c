/*
 * compare.c - how far two lists of numbers lie apart, and the list of all that was found
 *
 * One deviation can be allowed in three ways: in proportion to the largest reference value
 * (tensors, whose small elements are sums of large ones and carry their rounding), in proportion to
 * each value (tables of single numbers), or absolutely (gradients that vanish in exact arithmetic).
 * A limit holds all three and they add up, so that one comparison serves every table of tolerances.
 *
 * What is reported is the worst element's share of what it was allowed, times the limit's leading
 * part: for a limit of 5e-5 of the maximum, "1.2e-6 of 5e-5" reads as a relative error.  A value
 * that is not finite fails whatever the limit, because comparisons with NaN are false and would
 * pass.
 *
 * Entries are kept, not printed: the same checks run in the command, in JSON and in the tests.
 */
#include "parity.h"

#include "base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void report_release(struct parity_report *r)
{
    for (int64_t i = 0; i < r->n_entries; i++) {
        struct parity_entry *e = &r->entries[i];

        free(e->fixture);
        free(e->group);
        free(e->name);
        free(e->note);
    }
    free(r->entries);
    memset(r, 0, sizeof(*r));
}

void report_fixture(struct parity_report *r, const char *name)
{
    snprintf(r->fixture, sizeof(r->fixture), "%s", name);
    r->group[0] = '\0';
}

void report_group(struct parity_report *r, const char *group)
{
    snprintf(r->group, sizeof(r->group), "%s", group);
}

/* A new entry at the end, or NULL with the report's status set. */
static struct parity_entry *entry_add(struct parity_report *r, const char *name, const char *note)
{
    struct parity_entry *e;

    if (mem_grow((void **)&r->entries, &r->room, r->n_entries + 1, sizeof(*r->entries), NULL)) {
        r->status = E_MEMORY;
        return NULL;
    }
    e = &r->entries[r->n_entries];
    memset(e, 0, sizeof(*e));
    if (mem_text(&e->fixture, r->fixture, NULL) || mem_text(&e->group, r->group, NULL) ||
        mem_text(&e->name, name, NULL) || (note && mem_text(&e->note, note, NULL))) {
        free(e->fixture);
        free(e->group);
        free(e->name);
        r->status = E_MEMORY;
        return NULL;
    }
    r->n_entries++;
    return e;
}

/* The limit's leading part, which is what reports show. */
static double limit_head(struct parity_limit limit)
{
    if (limit.of_max > 0)
        return limit.of_max;
    return limit.of_each > 0 ? limit.of_each : limit.absolute;
}

/* |got - want| as a share of what is allowed; infinite when nothing is. */
static double share(double got, double want, double largest, struct parity_limit limit)
{
    double allowed, off;

    if (got == want)
        return 0;
    if (!isfinite(got) || !isfinite(want))
        return (double)INFINITY;
    off = fabs(got - want);
    allowed = limit.of_max * largest + limit.of_each * fabs(want) + limit.absolute;
    return allowed > 0 ? off / allowed : (double)INFINITY;
}

static bool numbers_add(struct parity_report *r, const char *name, int64_t n, double worst,
                        int64_t where, double got, double want, struct parity_limit limit)
{
    struct parity_entry *e;
    char note[160] = "";
    bool passed = worst <= 1;

    if (!passed)
        snprintf(note, sizeof(note), "element %lld is %.9g, the reference says %.9g",
                 (long long)where, got, want);
    e = entry_add(r, name, passed ? NULL : note);
    if (!e)
        return false;
    e->verdict = passed ? PARITY_PASS : PARITY_FAIL;
    e->count = n;
    e->limit = limit_head(limit);
    e->worst = isinf(worst) ? worst : worst * e->limit;
    return passed;
}

bool parity_compare_f32(struct parity_report *r, const char *name, const float *got,
                        const float *want, int64_t n, struct parity_limit limit)
{
    double largest = 0, worst = 0, s;
    int64_t where = 0;

    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)want[i]));
    for (int64_t i = 0; i < n; i++) {
        s = share((double)got[i], (double)want[i], largest, limit);
        if (s > worst) {
            worst = s;
            where = i;
        }
    }
    return numbers_add(r, name, n, worst, where, n > 0 ? (double)got[where] : 0,
                       n > 0 ? (double)want[where] : 0, limit);
}

bool parity_compare_f64(struct parity_report *r, const char *name, const double *got,
                        const double *want, int64_t n, struct parity_limit limit)
{
    double largest = 0, worst = 0, s;
    int64_t where = 0;

    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (int64_t i = 0; i < n; i++) {
        s = share(got[i], want[i], largest, limit);
        if (s > worst) {
            worst = s;
            where = i;
        }
    }
    return numbers_add(r, name, n, worst, where, n > 0 ? got[where] : 0, n > 0 ? want[where] : 0,
                       limit);
}

bool parity_claim(struct parity_report *r, const char *name, bool holds, const char *fmt, ...)
{
    struct parity_entry *e;
    char note[ERROR_TEXT];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(note, sizeof(note), fmt, ap);
    va_end(ap);
    e = entry_add(r, name, holds ? NULL : note);
    if (!e)
        return false;
    e->verdict = holds ? PARITY_PASS : PARITY_FAIL;
    return holds;
}

/* An entry that says why there are no numbers. */
static void sentence_add(struct parity_report *r, const char *name, enum parity_verdict verdict,
                         const char *note)
{
    struct parity_entry *e = entry_add(r, name, note);

    if (e)
        e->verdict = verdict;
}

void parity_skip(struct parity_report *r, const char *name, const char *fmt, ...)
{
    char note[ERROR_TEXT];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(note, sizeof(note), fmt, ap);
    va_end(ap);
    sentence_add(r, name, PARITY_SKIP, note);
}

void parity_note(struct parity_report *r, const char *name, const char *fmt, ...)
{
    char note[ERROR_TEXT];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(note, sizeof(note), fmt, ap);
    va_end(ap);
    sentence_add(r, name, PARITY_NOTE, note);
}

struct parity_counts report_count(const struct parity_report *r)
{
    struct parity_counts c = {0};
    const char *last = NULL;

    for (int64_t i = 0; i < r->n_entries; i++) {
        const struct parity_entry *e = &r->entries[i];

        c.skipped += e->verdict == PARITY_SKIP;
        if (e->verdict == PARITY_SKIP || e->verdict == PARITY_NOTE)
            continue;
        if (e->verdict == PARITY_PASS)
            c.passed++;
        else
            c.failed++;
        if (!last || strcmp(last, e->fixture) != 0)
            c.fixtures++;
        last = e->fixture;
    }
    c.compared = c.passed + c.failed;
    return c;
}
