/*
 * test_unicode.c - composing, small letters and white space, against the tables of Unicode itself
 *
 * The tables lie beside the project; without them the cases that are written out here remain.  They
 * are of one version of Unicode and the libraries may be of a later one: what a table says of a
 * character must hold, while characters that it does not know may have come since.
 */
#include "text/unicode.h"

#include "base/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include <cmocka.h>

enum { CODE_POINTS = 0x110000 };

static struct code_points points(const int32_t *c, int64_t n)
{
    struct code_points t = {.c = malloc((size_t)(n ? n : 1) * sizeof *c), .n = n, .room = n};

    assert_non_null(t.c);
    memcpy(t.c, c, (size_t)n * sizeof *c);
    return t;
}

static void assert_points(const struct code_points *t, const int32_t *want, int64_t n)
{
    assert_int_equal(t->n, n);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(t->c[i], want[i]);
}

/* ---- Written out ---- */

static void assert_becomes(enum status (*change)(struct code_points *, struct error *),
                           const char *from, const char *to)
{
    struct code_points t = {0};
    char *out = NULL;
    size_t n;

    assert_int_equal(code_points_read(&t, from, strlen(from), NULL), OK);
    assert_int_equal(change(&t, NULL), OK);
    assert_int_equal(code_points_write(&out, &n, &t, NULL), OK);
    assert_string_equal(out, to);
    assert_int_equal(n, strlen(to));
    free(out);
    code_points_release(&t);
}

static void small_letters(void **state)
{
    static const char *const cases[][2] = {
        {"HeLLo", "hello"},
        {"\xC4\xB0", "i\xCC\x87"},                                  /* dotted I                */
        {"\xCE\xA3", "\xCF\x83"},                                   /* alone                   */
        {"\xCE\x91\xCE\xA3", "\xCE\xB1\xCF\x82"},                   /* at the end              */
        {"\xCE\x91\xCE\xA3\xCE\x91", "\xCE\xB1\xCF\x83\xCE\xB1"},   /* inside                  */
        {"\xCE\x91\xCE\xA3 \xCE\x91", "\xCE\xB1\xCF\x82 \xCE\xB1"}, /* a space ends a word     */
        {"\xCE\x91\xCE\xA3'\xCE\x91", "\xCE\xB1\xCF\x83'\xCE\xB1"}, /* an apostrophe does not  */
        {"\xCE\x91.\xCE\xA3.", "\xCE\xB1.\xCF\x82."},               /* nor does a full stop    */
        {"\xE2\x85\xA0\xCE\xA3", "\xE2\x85\xB0\xCF\x82"},           /* behind a Roman numeral  */
        {"1\xCE\xA3", "1\xCF\x83"},                                 /* behind another numeral  */
        {"\xCE\xA3\xCE\xA3\xCE\xA3", "\xCF\x83\xCF\x83\xCF\x82"},   /* behind themselves       */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_becomes(code_points_lower, cases[i][0], cases[i][1]);
}

static void composed_letters(void **state)
{
    static const char *const cases[][2] = {
        {"e\xCC\x81", "\xC3\xA9"},
        {"q\xCC\x87\xCC\xA3", "q\xCC\xA3\xCC\x87"},               /* order                     */
        {"a\xCC\xA3\xCC\x82", "\xE1\xBA\xAD"},                    /* two marks, in order       */
        {"a\xCC\x82\xCC\xA3", "\xE1\xBA\xAD"},                    /* two marks, out of order   */
        {"a\xCC\xB2\xCC\x81", "\xC3\xA1\xCC\xB2"},                /* past a mark of another class */
        {"a\xCC\x81\xCC\x81", "\xC3\xA1\xCC\x81"},                /* the second is kept off    */
        {"\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81"}, /* Hangul               */
        {"\xEA\xB0\x80\xE1\x86\xA8", "\xEA\xB0\x81"},
        {"\xE2\x84\xAB", "\xC3\x85"},                 /* the angstrom sign         */
        {"\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC"}, /* never composed            */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_becomes(code_points_compose, cases[i][0], cases[i][1]);
}

static void spaces_and_broken_bytes(void **state)
{
    static const char text[] = " \t a\xC2\xA0\xE3\x80\x80\nb\xFF\xE2\x82 \xE2\x80\x8B";
    static const int32_t want[] = {'a', ' ', 'b', 0xFFFD, 0xFFFD, 0xFFFD, ' ', 0x200B};
    struct code_points t = {0};
    struct error err = {0};
    char *much = calloc(UNICODE_TEXT_BYTES + 1, 1);

    (void)state;
    assert_non_null(much);
    assert_int_equal(code_points_read(&t, text, sizeof text - 1, NULL), OK);
    code_points_squeeze(&t);
    assert_points(&t, want, 8);
    assert_int_equal(code_points_read(&t, much, UNICODE_TEXT_BYTES + 1, &err), E_ARG);
    assert_non_null(strstr(err.text, "1048577"));
    assert_int_equal(code_points_read(&t, "", 0, NULL), OK);
    assert_int_equal(code_points_compose(&t, NULL), OK);
    assert_int_equal(code_points_lower(&t, NULL), OK);
    code_points_squeeze(&t);
    assert_int_equal(t.n, 0);
    code_points_release(&t);
    free(much);
}

/* ---- Against the tables ---- */

/* One table as numbers for each code point. */
struct tables {
    int32_t lower[CODE_POINTS][3], nfd[CODE_POINTS][4];
    uint8_t ccc[CODE_POINTS], letter[CODE_POINTS], number[CODE_POINTS];
    uint8_t cased[CODE_POINTS], ignorable[CODE_POINTS];
    int32_t compose[4096][3];
    int n_compose;
};

static FILE *table_open(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/data/tokenizers/unicode/%s", SHARED_DIR, name);
    return fopen(path, "r");
}

/* The hexadecimal numbers of the next line, at most 8; the second decimal when `decimal`. */
static int line_read(FILE *f, long out[8], int decimal)
{
    char line[256], *at = line, *end;
    int n = 0;

    if (!fgets(line, sizeof line, f))
        return 0;
    for (; n < 8; n++, at = end) {
        out[n] = strtol(at, &end, n == 1 && decimal ? 10 : 16);
        if (end == at)
            break;
    }
    return n;
}

static void ranges_read(uint8_t *out, const char *name)
{
    FILE *f = table_open(name);
    long x[8];

    assert_non_null(f);
    while (line_read(f, x, 0) == 2)
        memset(out + x[0], 1, (size_t)(x[1] - x[0] + 1));
    fclose(f);
}

static struct tables *tables_read(void)
{
    struct tables *t;
    FILE *f = table_open("lower.txt");
    long x[8];
    int n;

    if (!f) {
        print_message("no tables in %s/data/tokenizers/unicode\n", SHARED_DIR);
        skip();
    }
    t = calloc(1, sizeof *t);
    assert_non_null(t);
    while ((n = line_read(f, x, 0)))
        for (int i = 1; i < n; i++)
            t->lower[x[0]][i - 1] = (int32_t)x[i];
    fclose(f);
    f = table_open("nfd.txt");
    while ((n = line_read(f, x, 0)))
        for (int i = 1; i < n; i++)
            t->nfd[x[0]][i - 1] = (int32_t)x[i];
    fclose(f);
    f = table_open("ccc.txt");
    while (line_read(f, x, 1))
        t->ccc[x[0]] = (uint8_t)x[1];
    fclose(f);
    f = table_open("compose.txt");
    for (; line_read(f, x, 0); t->n_compose++)
        for (int i = 0; i < 3; i++)
            t->compose[t->n_compose][i] = (int32_t)x[i];
    fclose(f);
    ranges_read(t->letter, "letters.txt");
    ranges_read(t->number, "numbers.txt");
    ranges_read(t->cased, "cased.txt");
    ranges_read(t->ignorable, "case_ignorable.txt");
    return t;
}

static bool is_surrogate(int32_t c)
{
    return c >= 0xD800 && c < 0xE000;
}

static void lower_is_the_tables(void **state)
{
    struct tables *t = tables_read();

    (void)state;
    for (int32_t c = 0; c < CODE_POINTS; c++) {
        struct code_points p = points(&c, 1);

        assert_int_equal(code_points_lower(&p, NULL), OK);
        if (t->lower[c][0])
            assert_points(&p, t->lower[c], t->lower[c][1] ? 2 : 1);
        else if (utf8proc_category(c) != UTF8PROC_CATEGORY_LU)
            assert_points(&p, &c, 1);
        code_points_release(&p);
    }
    free(t);
}

/* Of c between a letter, a sigma and a letter: what the sigma becomes tells its two properties. */
static void final_sigma_is_the_tables(void **state)
{
    struct tables *t = tables_read();
    int unlike = 0;

    (void)state;
    for (int32_t c = 1; c < CODE_POINTS; c++) {
        const int32_t before[] = {c, 0x3A3}, between[] = {'a', c, 0x3A3};
        bool cased = t->cased[c] && !t->ignorable[c];
        struct code_points p = points(before, 2), q = points(between, 3);

        assert_int_equal(code_points_lower(&p, NULL), OK);
        assert_int_equal(code_points_lower(&q, NULL), OK);
        assert_true(p.c[p.n - 1] == 0x3C2 || !cased);
        assert_true(q.c[q.n - 1] == 0x3C2 || !(cased || t->ignorable[c]));
        unlike += p.c[p.n - 1] == 0x3C2 && !cased;
        unlike += q.c[q.n - 1] == 0x3C2 && !cased && !t->ignorable[c];
        code_points_release(&p);
        code_points_release(&q);
    }
    print_message("%d cased or ignorable characters came after the tables\n", unlike);
    assert_true(unlike < 800);
    free(t);
}

/* The definition, with the tables, in the plainest way. */
static int64_t compose_plainly(int32_t *out, const int32_t *c, int64_t n, const struct tables *t)
{
    int32_t d[256];
    int64_t m = 0, starter = -1, kept = 0;

    for (int64_t i = 0; i < n; i++) {
        if (c[i] >= 0xAC00 && c[i] <= 0xD7A3) {
            int32_t k = c[i] - 0xAC00;

            d[m++] = 0x1100 + k / 588;
            d[m++] = 0x1161 + k % 588 / 28;
            if (k % 28)
                d[m++] = 0x11A7 + k % 28;
        } else if (t->nfd[c[i]][0]) {
            for (int j = 0; j < 4 && t->nfd[c[i]][j]; j++)
                d[m++] = t->nfd[c[i]][j];
        } else {
            d[m++] = c[i];
        }
    }
    for (int64_t pass = 0; pass < m; pass++)
        for (int64_t i = 1; i < m; i++)
            if (t->ccc[d[i]] && t->ccc[d[i - 1]] > t->ccc[d[i]]) {
                int32_t x = d[i];

                d[i] = d[i - 1];
                d[i - 1] = x;
            }
    for (int64_t i = 0; i < m; i++) {
        int32_t made = 0, s = starter >= 0 ? out[starter] : 0;
        int last = kept ? t->ccc[out[kept - 1]] : 0;
        bool near = starter >= 0 && (starter == kept - 1 || (last && last < t->ccc[d[i]]));

        for (int k = 0; near && k < t->n_compose; k++)
            if (t->compose[k][0] == s && t->compose[k][1] == d[i])
                made = t->compose[k][2];
        if (near && s >= 0x1100 && s < 0x1113 && d[i] >= 0x1161 && d[i] < 0x1176)
            made = 0xAC00 + ((s - 0x1100) * 21 + d[i] - 0x1161) * 28;
        if (near && s >= 0xAC00 && s <= 0xD7A3 && (s - 0xAC00) % 28 == 0 && d[i] > 0x11A7 &&
            d[i] <= 0x11C2)
            made = s + d[i] - 0x11A7;
        if (made) {
            out[starter] = made;
            continue;
        }
        if (!t->ccc[d[i]])
            starter = kept;
        out[kept++] = d[i];
    }
    return kept;
}

static void assert_composes(const int32_t *c, int64_t n, const struct tables *t)
{
    struct code_points p = points(c, n);
    int32_t want[256];
    int64_t m = compose_plainly(want, c, n, t);

    assert_int_equal(code_points_compose(&p, NULL), OK);
    assert_points(&p, want, m);
    code_points_release(&p);
}

static void compose_is_the_definition(void **state)
{
    struct tables *t = tables_read();
    int32_t marks[1024], text[24];
    int n_marks = 0;
    uint32_t r = 1;

    (void)state;
    for (int32_t c = 0; c < CODE_POINTS; c++) {
        if (t->ccc[c] && n_marks < 1024)
            marks[n_marks++] = c;
        /* A class the table does not have: the character came later. */
        if (!is_surrogate(c) && (t->ccc[c] || !utf8proc_get_property(c)->combining_class))
            assert_composes(&c, 1, t);
    }
    for (int trial = 0; trial < 4000; trial++) {
        int n = 1 + trial % 24;

        for (int i = 0; i < n; i++) {
            r = r * 1664525u + 1013904223u;
            text[i] = r >> 30 ? marks[(r >> 8) % (uint32_t)n_marks]
                              : t->compose[(r >> 8) % (uint32_t)t->n_compose][r >> 7 & 1];
        }
        assert_composes(text, n, t);
    }
    free(t);
}

/* The patterns of clip_bpe.c ask PCRE2. */
static void pcre2_knows_letters_and_numbers(void **state)
{
    struct tables *t = tables_read();
    int unlike = 0;

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        int code;
        PCRE2_SIZE where;
        pcre2_code *p =
            pcre2_compile((PCRE2_SPTR)(kind ? "\\p{N}" : "\\p{L}"), PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_UCP, &code, &where, NULL);
        pcre2_match_data *m = pcre2_match_data_create(1, NULL);

        assert_non_null(p);
        for (int32_t c = 0; c < CODE_POINTS; c++) {
            const uint8_t *table = kind ? t->number : t->letter;
            uint8_t bytes[4];
            bool is;

            if (is_surrogate(c))
                continue;
            is = pcre2_match(p, bytes, utf8_put(bytes, c), 0, PCRE2_NO_UTF_CHECK, m, NULL) >= 0;
            assert_true(is || !table[c]);
            unlike += is && !table[c];
        }
        pcre2_match_data_free(m);
        pcre2_code_free(p);
    }
    print_message("%d letters and numerals came after the tables\n", unlike);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_letters),
        cmocka_unit_test(composed_letters),
        cmocka_unit_test(spaces_and_broken_bytes),
        cmocka_unit_test(lower_is_the_tables),
        cmocka_unit_test(final_sigma_is_the_tables),
        cmocka_unit_test(compose_is_the_definition),
        cmocka_unit_test(pcre2_knows_letters_and_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
