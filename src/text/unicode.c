/*
 * unicode.c - texts as code points: composed, in small letters, free of broken bytes
 *
 * A person's text has many spellings: an accent may be part of its letter or stand behind it, marks
 * may come in any order, a capital may be meant or not.  A vocabulary knows one of them.  utf8proc
 * knows the characters; three things it leaves to its caller are done here.
 *
 * Its own way of ordering marks exchanges neighbours, which takes the square of the length for a
 * letter under a heap of marks: a text of a hundred thousand of them would take minutes.  Marks
 * have one of 255 classes, so a run of them is sorted by counting, which also keeps equals in
 * place.
 *
 * Its small letters are the simple ones, one for one.  The full mapping differs in two places: the
 * dotted capital I, which leaves its dot behind, and the capital sigma, whose form depends on where
 * it stands: final when a cased letter stands before it and none behind, not counting marks and
 * apostrophes (The Unicode Standard, section 3.13, Final_Sigma).
 *
 * That rule asks for two properties which utf8proc does not offer, and which follow from what it
 * does: Case_Ignorable are the marks, formats, modifiers and a few signs inside words; Cased and
 * not Case_Ignorable are the letters with case and a few numerals and circled letters.
 */
#include "text/unicode.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum {
    CAPITAL_SIGMA = 0x3A3,
    FINAL_SIGMA = 0x3C2,
    CAPITAL_DOTTED_I = 0x130,
    DOT_ABOVE = 0x307,
    DECOMPOSED_MAX = 32, /* code points that one decomposes into; four in Unicode 15 */
};

void code_points_release(struct code_points *t)
{
    free(t->c);
    *t = (struct code_points){0};
}

static enum status code_points_reserve(struct code_points *t, int64_t n, struct error *err)
{
    return mem_grow((void **)&t->c, &t->room, n, sizeof *t->c, err);
}

enum status code_points_read(struct code_points *t, const char *text, size_t n, struct error *err)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n;
    enum status st;

    t->n = 0;
    if (n > UNICODE_TEXT_BYTES)
        return fail(err, E_ARG, "a text of %zu bytes is too long; up to %d are taken", n,
                    UNICODE_TEXT_BYTES);
    if ((st = code_points_reserve(t, (int64_t)n, err)))
        return st;
    while (p < end) {
        int32_t c = utf8_next(&p, end);

        t->c[t->n++] = c < 0 ? UNICODE_REPLACEMENT : c;
    }
    return OK;
}

/* ---- Normalisation form C ---- */

static enum status decompose(struct code_points *out, const struct code_points *t,
                             struct error *err)
{
    enum status st;
    int boundary = 0;

    for (int64_t i = 0; i < t->n; i++) {
        utf8proc_ssize_t got;

        if ((st = code_points_reserve(out, out->n + DECOMPOSED_MAX, err)))
            return st;
        got = utf8proc_decompose_char(t->c[i], out->c + out->n, DECOMPOSED_MAX, UTF8PROC_DECOMPOSE,
                                      &boundary);
        MUST(got >= 0 && got <= DECOMPOSED_MAX, "U+%04X decomposes into %td", (unsigned)t->c[i],
             got);
        out->n += got;
    }
    return OK;
}

static int mark_class(int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

/* Sort n marks by class, equals in their order; scratch has room for n. */
static void sort_marks(int32_t *c, int64_t n, int32_t *scratch)
{
    int64_t start[257] = {0};

    for (int64_t i = 0; i < n; i++)
        start[(mark_class(c[i]) & 255) + 1]++;
    for (int k = 1; k < 257; k++)
        start[k] += start[k - 1];
    for (int64_t i = 0; i < n; i++)
        scratch[start[mark_class(c[i]) & 255]++] = c[i];
    memcpy(c, scratch, (size_t)n * sizeof *c);
}

static void order_marks(struct code_points *t, int32_t *scratch)
{
    int64_t begin = 0;
    bool sorted = true;
    int before = 0;

    for (int64_t i = 0; i <= t->n; i++) {
        int class = i < t->n ? mark_class(t->c[i]) : 0;

        if (class) {
            sorted = sorted && class >= before;
        } else {
            if (!sorted)
                sort_marks(t->c + begin, i - begin, scratch);
            begin = i + 1;
            sorted = true;
        }
        before = class;
    }
}

enum status code_points_compose(struct code_points *t, struct error *err)
{
    struct code_points apart = {0};
    utf8proc_ssize_t left;
    int32_t *scratch = NULL;
    enum status st;

    if ((st = decompose(&apart, t, err)) ||
        (st = mem_new((void **)&scratch, (uint64_t)apart.n, sizeof *scratch, "a text", err)))
        goto out;
    order_marks(&apart, scratch);
    left = utf8proc_normalize_utf32(apart.c, apart.n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    MUST(left >= 0 && left <= apart.n, "%td code points of %td", left, (ptrdiff_t)apart.n);
    apart.n = left;
    code_points_release(t);
    *t = apart;
    apart = (struct code_points){0};
out:
    free(scratch);
    code_points_release(&apart);
    return st;
}

/* ---- Small letters ---- */

/* Signs that may stand inside a word: Word_Break MidLetter, MidNumLet and Single_Quote. */
static bool is_inside_words(int32_t c)
{
    static const int32_t signs[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,
                                    0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                    0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (c == signs[i])
            return true;
    return false;
}

static bool is_case_ignorable(int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return is_inside_words(c);
    }
}

/* Of a character that is not case-ignorable. */
static bool is_cased(int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
        return true;
    default: /* ordinal indicators, Roman numerals, letters in circles and squares */
        return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) ||
               (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
               (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
    }
}

/* Whether a cased letter stands behind place i. */
static bool goes_on(const struct code_points *t, int64_t i)
{
    do
        i++;
    while (i < t->n && is_case_ignorable(t->c[i]));
    return i < t->n && is_cased(t->c[i]);
}

enum status code_points_lower(struct code_points *t, struct error *err)
{
    struct code_points small = {0};
    bool in_word = false; /* the last character that is not ignorable is a cased letter */
    enum status st;

    if ((st = code_points_reserve(&small, 2 * t->n, err)))
        return st;
    for (int64_t i = 0; i < t->n; i++) {
        int32_t c = t->c[i];

        if (c == CAPITAL_SIGMA && in_word && !goes_on(t, i)) {
            small.c[small.n++] = FINAL_SIGMA;
        } else if (c == CAPITAL_DOTTED_I) {
            small.c[small.n++] = 'i';
            small.c[small.n++] = DOT_ABOVE;
        } else {
            small.c[small.n++] = utf8proc_tolower(c);
        }
        if (!is_case_ignorable(c))
            in_word = is_cased(c);
    }
    code_points_release(t);
    *t = small;
    return OK;
}

/* ---- White space and bytes ---- */

bool unicode_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

void code_points_squeeze(struct code_points *t)
{
    int64_t n = 0;

    for (int64_t i = 0; i < t->n; i++) {
        if (!unicode_is_space(t->c[i]))
            t->c[n++] = t->c[i];
        else if (n && t->c[n - 1] != ' ')
            t->c[n++] = ' ';
    }
    t->n = n && t->c[n - 1] == ' ' ? n - 1 : n;
}

enum status code_points_write(char **out, size_t *n, const struct code_points *t, struct error *err)
{
    enum status st = mem_new((void **)out, 4 * (uint64_t)t->n + 1, 1, "a text", err);

    *n = 0;
    for (int64_t i = 0; i < t->n && !st; i++)
        *n += utf8_put((uint8_t *)*out + *n, t->c[i]);
    return st;
}
