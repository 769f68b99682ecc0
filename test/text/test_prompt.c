/*
 * test_prompt.c - weights in parentheses, and rows of ids
 *
 * The vocabulary has no merges that fit, so that a word of n letters is n ids.
 */
#include "text/prompt.h"

#include "support/temp.h"
#include "text/clip_bpe.h"
#include "text/unicode.h"
#include "text/unigram.h"
#include "text/vocabulary.h"

#include "base/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Weights ---- */

/* Segments as "text|weight;" one after the other. */
static void assert_segments(const char *text, const char *want)
{
    char got[1024] = "";
    struct prompt p;

    assert_int_equal(prompt_parse(&p, text, strlen(text), NULL), OK);
    for (int64_t i = 0; i < p.n; i++) {
        size_t n = strlen(got);

        snprintf(got + n, sizeof got - n, "%.*s|%.5g;", (int)p.segment[i].n, p.segment[i].text,
                 p.segment[i].weight);
    }
    assert_string_equal(got, want);
    prompt_release(&p);
}

static void parentheses_weigh(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a cat", "a cat|1;"},
        {"((a))b", "a|1.21;b|1;"},
        {"(a:1.3)", "a|1.3;"},
        {"((a:2) b:0.5)", "a|2; b|0.5;"},
        {"((a) b:0.5)", "a|0.55; b|0.5;"},
        {"(a (b:2) c)", "a |1.1;b|2; c|1.1;"},
        {"(a : 1.5 )", "a |1.5;"},
        {"(a:\t-2.5e1\n)", "a|-25;"},
        {"(a:b:1.5)", "a:b|1.5;"},
        {"(a:1.5:b)", "a:1.5:b|1.1;"},
        {"(:1.5)", ":1.5|1.1;"},
        {"( :1.5)", " |1.5;"},
        {"(a:)", "a:|1.1;"},
        {"(a:inf)", "a:inf|1.1;"},
        {"(a:0x10)", "a:0x10|1.1;"},
        {"(a:1,5)", "a:1,5|1.1;"},
        {"(a:1.5 (b))", "a:1.5 |1.1;b|1.21;"},
        {"(a(:2)b)", "a|1.1;:2|1.21;b|1.1;"},
        {"a:2", "a:2|1;"},
        {"(a", "(a|1;"},
        {"a)", "a)|1;"},
        {")a(", ")a(|1;"},
        {"((a)", "(|1;a|1.1;"},
        {"(a))", "a|1.1;)|1;"},
        {"\\(a\\)", "(a)|1;"},
        {"(a\\):2)", "a)|2;"},
        {"(a:2\\))", "a:2)|1.1;"},
        {"a\\b\\\\(c)", "a\\b\\(c)|1;"},
        {"\\", "\\|1;"},
        {"()()", ""},
        {"(:)", ":|1.1;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_segments(cases[i][0], cases[i][1]);
}

static void a_plain_prompt_is_one_segment(void **state)
{
    struct prompt p;

    (void)state;
    assert_int_equal(prompt_plain(&p, "(a:2)", 5, NULL), OK);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.segment[0].n, 5);
    assert_memory_equal(p.segment[0].text, "(a:2)", 5);
    assert_true(p.segment[0].weight == 1);
    prompt_release(&p);
    assert_int_equal(prompt_plain(&p, "", 0, NULL), OK);
    assert_int_equal(p.n, 0);
    prompt_release(&p);
}

static void much_is_refused_or_done(void **state)
{
    enum { DEEP = 50000 };
    char *text = malloc(UNICODE_TEXT_BYTES + 1);
    struct error err = {0};
    struct prompt p;

    (void)state;
    assert_non_null(text);
    memset(text, '(', DEEP);
    text[DEEP] = 'a';
    memset(text + DEEP + 1, ')', DEEP);
    assert_int_equal(prompt_parse(&p, text, 2 * DEEP + 1, &err), E_ARG); /* 1.1^50000 */
    assert_non_null(strstr(err.text, "inf"));
    assert_int_equal(prompt_parse(&p, text, DEEP, NULL), OK);
    assert_int_equal(p.n, 1);
    prompt_release(&p);
    assert_int_equal(prompt_parse(&p, "(a:1e39)", 8, &err), E_ARG);
    memset(text, ':', UNICODE_TEXT_BYTES + 1);
    assert_int_equal(prompt_parse(&p, text, UNICODE_TEXT_BYTES + 1, &err), E_ARG);
    assert_int_equal(prompt_plain(&p, text, UNICODE_TEXT_BYTES + 1, &err), E_ARG);
    assert_int_equal(prompt_parse(&p, text, UNICODE_TEXT_BYTES, NULL), OK);
    prompt_release(&p);
    free(text);
}

/* ---- Rows of CLIP ---- */

enum { BEGIN = 513, END = 514, PAD = 7 };

static struct clip_bpe *letters(void)
{
    struct clip_bpe *b;

    assert_int_equal(clip_bpe_open_bytes(&b, "~ ~\n", 4, "test", NULL), OK);
    assert_int_equal(clip_bpe_begin(b), BEGIN);
    return b;
}

/* Words of these lengths, "aaa bb", as rows; the number of ids in each. */
static void assert_rows(const struct clip_bpe *b, const int *words, int n, int64_t most,
                        const int *want, int rows, int64_t left_out)
{
    const struct prompt_clip_how how = {.pad = PAD, .most = most};
    struct prompt_rows r;
    struct prompt p;
    char text[4096] = "";
    size_t used = 0;

    for (int i = 0; i < n; i++) {
        memset(text + used, 'a' + i % 26, (size_t)words[i]);
        used += (size_t)words[i];
        text[used++] = i % 2 ? '\n' : ' ';
    }
    assert_int_equal(prompt_parse(&p, text, used, NULL), OK);
    assert_int_equal(prompt_clip(&r, b, &p, &how, NULL), OK);
    assert_int_equal(r.rows, rows);
    assert_int_equal(r.length, CLIP_ROW);
    assert_int_equal(r.left_out, left_out);
    for (int row = 0; row < rows; row++) {
        const int32_t *id = r.id + row * CLIP_ROW;

        assert_int_equal(id[0], BEGIN);
        for (int i = 1; i <= want[row]; i++)
            assert_true(id[i] < 512);
        assert_int_equal(id[want[row] + 1], END);
        for (int i = want[row] + 2; i < CLIP_ROW; i++)
            assert_int_equal(id[i], PAD);
    }
    prompt_rows_release(&r);
    prompt_release(&p);
}

#define INTS(...) (const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int)

static void words_go_to_rows(void **state)
{
    struct clip_bpe *b = letters();

    (void)state;
    assert_rows(b, NULL, 0, 4, INTS(0), 0);
    assert_rows(b, INTS(75), 4, INTS(75), 0);
    assert_rows(b, INTS(40, 35), 4, INTS(75), 0);
    assert_rows(b, INTS(40, 30, 7), 4, INTS(70, 7), 0); /* a short word moves whole  */
    assert_rows(b, INTS(40, 30, 8), 4, INTS(75, 3), 0); /* a long one is cut         */
    assert_rows(b, INTS(70, 5, 7), 4, INTS(75, 7), 0);  /* the end falls between     */
    assert_rows(b, INTS(76), 4, INTS(75, 1), 0);
    assert_rows(b, INTS(200), 4, INTS(75, 75, 50), 0);
    assert_rows(b, INTS(200), 2, INTS(75, 75), 50);
    assert_rows(b, INTS(200), 1, INTS(75), 125);
    assert_rows(b, INTS(72, 7), 1, INTS(75), 4); /* one row is cut where it ends */
    assert_rows(b, INTS(72, 7), 2, INTS(72, 7), 0);
    assert_rows(b, INTS(72, 7, 68, 7), 3, INTS(72, 75, 7), 0);
    clip_bpe_close(b);
}

static void rows_keep_weights_and_fill_up(void **state)
{
    static const struct prompt_clip_how how = {.pad = CLIP_G_PAD, .least = 3, .most = 3};
    static const double want[] = {1, 1, 2, 2, 1, 1, 1};
    struct clip_bpe *b = letters();
    struct prompt_rows r;
    struct error err = {0};
    struct prompt p;

    (void)state;
    assert_int_equal(prompt_parse(&p, "a (bc:2) d", 10, NULL), OK);
    assert_int_equal(prompt_clip(&r, b, &p, &how, NULL), OK);
    assert_int_equal(r.rows, 3);
    for (int i = 0; i < 7; i++)
        assert_true(r.weight[i] == want[i]);
    for (int row = 1; row < 3; row++) {
        assert_int_equal(r.id[row * CLIP_ROW], BEGIN);
        assert_int_equal(r.id[row * CLIP_ROW + 1], END);
        for (int i = 2; i < CLIP_ROW; i++)
            assert_int_equal(r.id[row * CLIP_ROW + i], 0);
    }
    for (int i = 7; i < 3 * CLIP_ROW; i++)
        assert_true(r.weight[i] == 1);
    prompt_rows_release(&r);
    for (int i = 0; i < 3; i++) {
        const struct prompt_clip_how bad[] = {
            {.most = 0}, {.least = 3, .most = 2}, {.most = PROMPT_ROWS_MAX + 1}};

        assert_int_equal(prompt_clip(&r, b, &p, &bad[i], &err), E_ARG);
        assert_null(r.id);
    }
    prompt_release(&p);
    clip_bpe_close(b);
}

static void special_names_are_a_choice(void **state)
{
    struct prompt_clip_how how = {.pad = PAD, .most = 1};
    struct clip_bpe *b = letters();
    struct prompt_rows r;
    struct prompt p;

    (void)state;
    assert_int_equal(prompt_parse(&p, "<|endoftext|>", 13, NULL), OK);
    assert_int_equal(prompt_clip(&r, b, &p, &how, NULL), OK);
    assert_true(r.id[1] < 512);
    prompt_rows_release(&r);
    how.special = true;
    assert_int_equal(prompt_clip(&r, b, &p, &how, NULL), OK);
    assert_int_equal(r.id[1], END);
    assert_int_equal(r.id[2], END);
    assert_int_equal(r.id[3], PAD);
    prompt_rows_release(&r);
    prompt_release(&p);
    clip_bpe_close(b);
}

/* ---- Rows of T5 ---- */

/* Pieces: pad, end, unknown, U+2581, a, b. */
static struct unigram *pieces(void)
{
    static const uint8_t model[] = "\x0A\x09\x0A\x05<pad>\x18\x03"
                                   "\x0A\x08\x0A\x04</s>\x18\x03"
                                   "\x0A\x09\x0A\x05<unk>\x18\x02"
                                   "\x0A\x05\x0A\x03\xE2\x96\x81"
                                   "\x0A\x03\x0A\x01"
                                   "a"
                                   "\x0A\x03\x0A\x01"
                                   "b";
    struct unigram *u;
    struct error err = {0};

    if (unigram_open_bytes(&u, model, sizeof model - 1, "test", &err))
        fail_msg("%s", err.text);
    return u;
}

static void assert_t5(const struct unigram *u, const char *text, int64_t least, int64_t most,
                      const int32_t *want, const double *weight, int64_t n, int64_t left_out)
{
    struct prompt_rows r;
    struct prompt p;

    assert_int_equal(prompt_parse(&p, text, strlen(text), NULL), OK);
    assert_int_equal(prompt_t5(&r, u, &p, least, most, NULL), OK);
    assert_int_equal(r.rows, 1);
    assert_int_equal(r.length, n);
    assert_int_equal(r.left_out, left_out);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(r.id[i], want[i]);
        assert_true(r.weight[i] == (weight ? weight[i] : 1));
    }
    prompt_rows_release(&r);
    prompt_release(&p);
}

static void pieces_go_to_one_row(void **state)
{
    static const int32_t ab[] = {3, 4, 3, 5, 1, 0, 0}, empty[] = {1, 0, 0};
    static const int32_t cut[] = {3, 4, 1}, joined[] = {3, 4, 3, 5, 3, 4, 1};
    static const double weight[] = {2, 2, 1, 1, 1.1, 1.1, 1};
    struct unigram *u = pieces();
    struct error err = {0};
    struct prompt_rows r;
    struct prompt p = {0};

    (void)state;
    assert_t5(u, "a b", 7, 16, ab, NULL, 7, 0);
    assert_t5(u, "a b", 1, 16, ab, NULL, 5, 0);
    assert_t5(u, "", 3, 3, empty, NULL, 3, 0);
    assert_t5(u, "", 1, 1, empty, NULL, 1, 0);
    assert_t5(u, "a b", 3, 3, cut, NULL, 3, 2);
    assert_t5(u, "(a:2)b(a)", 1, 16, joined, weight, 7, 0); /* each a word of its own */
    assert_int_equal(prompt_t5(&r, u, &p, 1, 0, &err), E_ARG);
    assert_int_equal(prompt_t5(&r, u, &p, 3, 2, &err), E_ARG);
    unigram_close(u);
}

/* ---- Finding vocabularies ---- */

static void vocabularies_are_found(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH], *found;
    struct error err = {0};

    (void)state;
    assert_int_equal(vocabulary_find(&found, VOCABULARY_T5, "given", "x", NULL), OK);
    assert_string_equal(found, "given");
    free(found);
    temp_dir_new(dir);
    assert_int_equal(vocabulary_find(&found, VOCABULARY_T5, NULL, dir, &err), E_IO);
    assert_null(found);
    assert_non_null(strstr(err.text, "tokenizer_3/spiece.model"));
    assert_non_null(strstr(err.text, "share/imgen/t5/spiece.model"));
    assert_int_equal(file_write(temp_path(path, dir, "spiece.model"), "x", 1, NULL), OK);
    assert_int_equal(vocabulary_find(&found, VOCABULARY_T5, NULL, dir, NULL), OK);
    assert_string_equal(found, path);
    free(found);
    assert_int_equal(vocabulary_find(&found, VOCABULARY_CLIP, NULL, dir, NULL), OK);
    assert_non_null(strstr(found, "share/imgen/clip/merges.txt")); /* this build's own */
    free(found);
    assert_int_equal(file_write(temp_path(path, dir, "merges.txt"), "x", 1, NULL), OK);
    assert_int_equal(vocabulary_find(&found, VOCABULARY_CLIP, NULL, dir, NULL), OK);
    assert_string_equal(found, path);
    free(found);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parentheses_weigh),
        cmocka_unit_test(a_plain_prompt_is_one_segment),
        cmocka_unit_test(much_is_refused_or_done),
        cmocka_unit_test(words_go_to_rows),
        cmocka_unit_test(rows_keep_weights_and_fill_up),
        cmocka_unit_test(special_names_are_a_choice),
        cmocka_unit_test(pieces_go_to_one_row),
        cmocka_unit_test(vocabularies_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
