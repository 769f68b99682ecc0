/*
 * test_captions.c - one form for captions, whatever they were written in; and lists of them
 */
#include "data/captions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void one_form(void **state)
{
    static const char *const cases[][2] = {
        {"a red bird", "a red bird"},
        {" \t a red bird\r\n", "a red bird"},
        {"two\nlines", "two lines"},
        {"two\r\n\r\nlines,  spaced", "two lines, spaced"},
        {"\xEF\xBB\xBFmarked", "marked"},
        {"a \x1B[31mcommand\x7F", "a [31mcommand"},
        {"caf\xC3\xA9\xC2\xA0noir\xE2\x80\xA8", "caf\xC3\xA9 noir"},
        {"", ""},
        {"\n", ""},
    };
    char caption[CAPTION_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(
            caption_from_text(caption, cases[i][0], strlen(cases[i][0]), "a.txt", NULL), OK);
        assert_string_equal(caption, cases[i][1]);
    }
}

/* At every offset of a character of three bytes from the end of the room. */
static void cut_at_a_whole_character(void **state)
{
    char text[CAPTION_TEXT + 64], caption[CAPTION_TEXT];

    (void)state;
    for (size_t before = CAPTION_TEXT - 6; before < CAPTION_TEXT + 2; before++) {
        size_t want = before < CAPTION_TEXT - 3   ? before + 3
                      : before < CAPTION_TEXT - 1 ? before
                                                  : CAPTION_TEXT - 1;

        memset(text, 'a', before);
        strcpy(text + before, "\xE2\x82\xAC");
        assert_int_equal(caption_from_text(caption, text, before + 3, "a.txt", NULL), OK);
        assert_int_equal(strlen(caption), want);
        assert_memory_equal(caption, text, want);
        strcpy(text + before, " b"); /* no space is left at the end */
        assert_int_equal(caption_from_text(caption, text, before + 2, "a.txt", NULL), OK);
        assert_true(caption[strlen(caption) - 1] != ' ');
    }
}

static void not_utf8(void **state)
{
    char caption[CAPTION_TEXT];
    struct error err = {0};

    (void)state;
    assert_int_equal(caption_from_text(caption, "fine\nbad \xFF", 10, "b.txt", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "b.txt: line 2 is not UTF-8"));
    assert_int_equal(caption_from_text(caption, "a\0b", 3, "b.txt", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "line 1"));
}

/* --- lists --------------------------------------------------------------------------------------
 */

enum { MOST = 8 };

struct taken {
    struct {
        char file[64], caption[64], group[64];
        int64_t line;
    } at[MOST];
    int n, fail_at;
};

static enum status take(const struct caption_record *r, int64_t line, void *user, struct error *err)
{
    struct taken *t = user;

    assert_true(t->n < MOST);
    snprintf(t->at[t->n].file, 64, "%s", r->file ? r->file : "(none)");
    snprintf(t->at[t->n].caption, 64, "%.63s", r->caption);
    snprintf(t->at[t->n].group, 64, "%s", r->group ? r->group : "(none)");
    t->at[t->n++].line = line;
    return t->n == t->fail_at ? (fail)(err, E_IO, "not wanted") : OK;
}

static void is(const struct taken *t, int i, int64_t line, const char *file, const char *caption,
               const char *group)
{
    assert_true(i < t->n);
    assert_int_equal(t->at[i].line, line);
    assert_string_equal(t->at[i].file, file);
    assert_string_equal(t->at[i].caption, caption);
    assert_string_equal(t->at[i].group, group);
}

static void lists(void **state)
{
    static const char list[] =
        "\xEF\xBB\xBF{\"file\": \"a.png\", \"caption\": \"first\", \"other\": [1, {}]}\n"
        "\n"
        "{\"file_name\": \"./b/c.png\", \"text\": \" two\\nlines \", \"group\": \"g\"}\r\n"
        "  \t\n"
        "{\"image\": \"..d/e..png\", \"prompt\": \"\", \"label\": \"l\"}\n"
        "{\"image\": \"x\", \"file\": \"y\", \"prompt\": \"p\", \"caption\": \"q\", \"label\": 3}";
    static struct taken t;

    (void)state;
    assert_int_equal(captions_from_list(list, sizeof list - 1, "list", take, &t, NULL), OK);
    assert_int_equal(t.n, 4);
    is(&t, 0, 1, "a.png", "first", "(none)");
    is(&t, 1, 3, "b/c.png", "two lines", "g");
    is(&t, 2, 5, "..d/e..png", "", "l");
    is(&t, 3, 6, "y", "q", "(none)");
    t.n = 0;
    t.fail_at = 2;
    assert_int_equal(captions_from_list(list, sizeof list - 1, "list", take, &t, NULL), E_IO);
    assert_int_equal(t.n, 2);
}

static void one_object(void **state)
{
    static const char object[] = "{\n \"caption\": \"alone\",\n \"label\": \"l\"\n}\n";
    static struct taken t;
    struct error err = {0};

    (void)state;
    assert_int_equal(caption_from_json(object, sizeof object - 1, "a.json", take, &t, NULL), OK);
    is(&t, 0, 1, "(none)", "alone", "l");
    assert_int_equal(caption_from_json("{}", 2, "a.json", take, &t, &err), E_FORMAT);
    assert_string_equal(err.text, "a.json: there is no \"caption\" (nor \"text\", nor \"prompt\")");
}

/* The second line is wrong. */
static void bad_lines(void **state)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
        {"{\"caption\": \"c\"}", "no \"file\""},
        {"{\"file\": \"a.png\"}", "no \"caption\""},
        {"{\"file\": 3, \"caption\": \"c\"}", "\"file\""},
        {"{\"file\": \"a.png\", \"caption\": [\"c\"]}", "\"caption\""},
        {"{\"file\": \"/etc/passwd\", \"caption\": \"c\"}", "/etc/passwd"},
        {"{\"file\": \"\", \"caption\": \"c\"}", "not one of"},
        {"{\"file\": \"./\", \"caption\": \"c\"}", "not one of"},
        {"{\"file\": \"..\", \"caption\": \"c\"}", "leads out"},
        {"{\"file\": \"../a.png\", \"caption\": \"c\"}", "leads out"},
        {"{\"file\": \"./../a.png\", \"caption\": \"c\"}", "leads out"},
        {"{\"file\": \"b/../a.png\", \"caption\": \"c\"}", "leads out"},
        {"{\"file\": \"b/..\", \"caption\": \"c\"}", "leads out"},
        {"[\"a.png\", \"c\"]", "not an object"},
        {"{\"file\": \"a.png\", \"caption\": \"c\"", "JSON"},
        {"{\"file\": \"a.png\", \"caption\": \"\xFF\"}", "JSON"},
        {"{\"file\": \"a.png\", \"caption\": \"a\\u0000b\"}", "JSON"},
        {"{\"file\": \"a.png\", \"caption\": \"c\", \"caption\": \"d\"}", "JSON"},
        {"{\"file\": \"a.png\", \"caption\": \"c\"} more", "JSON"},
        {"a.png\tc", "JSON"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct taken t;
        struct error err = {0};
        char list[256];
        int n =
            snprintf(list, sizeof list, "{\"file\": \"0\", \"text\": \"\"}\n%s\n{}", cases[i].line);

        t.n = 0;
        assert_int_equal(captions_from_list(list, (size_t)n, "set/list.jsonl", take, &t, &err),
                         E_FORMAT);
        assert_int_equal(t.n, 1);
        if (!strstr(err.text, "set/list.jsonl: line 2: ") || !strstr(err.text, cases[i].said))
            fail_msg("'%s' of %s", err.text, cases[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_form),   cmocka_unit_test(cut_at_a_whole_character),
        cmocka_unit_test(not_utf8),   cmocka_unit_test(lists),
        cmocka_unit_test(one_object), cmocka_unit_test(bad_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
