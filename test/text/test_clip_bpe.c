/*
 * test_clip_bpe.c - byte pairs: merged as stated, whatever the vocabulary; files of every kind
 */
#include "text/clip_bpe.h"

#include "base/file.h"
#include "base/text.h"
#include "support/says.h"
#include "support/temp.h"
#include "text/clip_merges.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

/* A vocabulary of its own: "he", "hel", "lo</w>", "hello</w>". */
static const char SMALL[] = "#version: 0.2\nh e\nhe l\nl o</w>\nhel lo</w>\n";

static struct clip_bpe *opened(const char *merges)
{
    struct clip_bpe *b;
    struct error err = {0};

    if (clip_bpe_open_bytes(&b, merges, strlen(merges), "test", &err))
        fail_msg("%s", err.text);
    return b;
}

static void assert_ids(const struct clip_bpe *b, const char *text, enum clip_bpe_special special,
                       const int32_t *want, int64_t n)
{
    struct ids ids = {0};

    assert_int_equal(clip_bpe_encode(b, &ids, text, strlen(text), special, NULL), OK);
    assert_int_equal(ids.n, n);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(ids.id[i], want[i]);
    ids_release(&ids);
}

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)

static void bytes_are_numbered_as_published(void **state)
{
    bool seen[CLIP_BYTES] = {false};

    (void)state;
    for (int byte = 0; byte < CLIP_BYTES; byte++) {
        int32_t symbol = clip_byte_symbol((uint8_t)byte);

        assert_in_range(symbol, 0, CLIP_BYTES - 1);
        assert_false(seen[symbol]);
        seen[symbol] = true;
    }
    assert_int_equal(clip_byte_symbol('!'), 0);
    assert_int_equal(clip_byte_symbol('~'), 93);
    assert_int_equal(clip_byte_symbol(0xA1), 94);
    assert_int_equal(clip_byte_symbol(0xAE), 106);
    assert_int_equal(clip_byte_symbol(0xFF), 187);
    assert_int_equal(clip_byte_symbol(0), 188);
    assert_int_equal(clip_byte_symbol(' '), 220);
    assert_int_equal(clip_byte_symbol(0x7F), 221);
    assert_int_equal(clip_byte_symbol(0xAD), 255);
}

static void words_are_cut_and_merged(void **state)
{
    enum { H = 'h' - 33, E = 'e' - 33, L = 'l' - 33, O = 'o' - 33, END = 256 };
    struct clip_bpe *b = opened(SMALL);

    (void)state;
    assert_int_equal(clip_bpe_begin(b), 516);
    assert_int_equal(clip_bpe_end(b), 517);
    assert_ids(b, "hello", CLIP_PLAIN, IDS(515));
    assert_ids(b, "  HELLO\n", CLIP_PLAIN, IDS(515));
    assert_ids(b, "hell", CLIP_PLAIN, IDS(513, L + END));
    assert_ids(b, "he", CLIP_PLAIN, IDS(H, E + END)); /* the e at an end is another one */
    assert_ids(b, "lo lo", CLIP_PLAIN, IDS(514, 514));
    assert_ids(b, "hello1hello", CLIP_PLAIN, IDS(515, 16 + END, 515));
    assert_ids(b, "\xFF", CLIP_PLAIN,
               IDS(0xEF - 174 + 106, 0xBF - 174 + 106, 0xBD - 174 + 106 + END));
    assert_ids(b, "", CLIP_PLAIN, NULL, 0);
    assert_ids(b, "<|endoftext|>", CLIP_SPECIAL, IDS(517));
    assert_ids(b, "lo<|STARTOFTEXT|>lo", CLIP_SPECIAL, IDS(514, 516, 514));
    assert_ids(b, "<|endoftext|>", CLIP_PLAIN,
               IDS('<' - 33, '|' - 33 + END, E, 'n' - 33, 'd' - 33, O, 'f' - 33, 't' - 33, E,
                   'x' - 33, 't' - 33 + END, '|' - 33, '>' - 33 + END));
    clip_bpe_close(b);
    clip_bpe_close(NULL);
}

/* "xyz" can be made in two ways, and the rule that extends it stands between them: all x yz of a
 * word are merged before any xyz x, although that has the better rank. */
static void occurrences_go_together(void **state)
{
    struct clip_bpe *b = opened("y z\nx y\nxy z\nxyz x\nx yz\n");

    (void)state;
    assert_ids(b, "xyzxyzq", CLIP_PLAIN, IDS(516, 516, 256 + 'q' - 33));
    clip_bpe_close(b);
}

/* ---- The heap against the statement ---- */

enum { SYMBOL = 64, RULES = 40, PARTS = 64 };

struct rule {
    char left[SYMBOL], right[SYMBOL];
};

/* Among adjacent pairs find the lowest rank, merge every occurrence left to right, until none. */
static int merge_plainly(char part[PARTS][SYMBOL], int n, const struct rule *rule, int n_rules)
{
    for (;;) {
        int best = n_rules, kept = 0;

        for (int i = 0; i + 1 < n; i++)
            for (int k = 0; k < best; k++)
                if (!strcmp(part[i], rule[k].left) && !strcmp(part[i + 1], rule[k].right))
                    best = k;
        if (best == n_rules)
            return n;
        for (int i = 0; i < n; i++) {
            bool here = i + 1 < n && !strcmp(part[i], rule[best].left) &&
                        !strcmp(part[i + 1], rule[best].right);

            memmove(part[kept], part[i], SYMBOL);
            if (here)
                strcat(part[kept], part[++i]);
            kept++;
        }
        n = kept;
    }
}

static uint32_t draw(uint32_t *r, uint32_t n)
{
    *r = *r * 1664525u + 1013904223u;
    return (*r >> 8) % n;
}

/* Rules over two letters, of parts that earlier rules make, in no sensible order. */
static int rules_make(struct rule *rule, char names[][SYMBOL], uint32_t *r)
{
    static const char *const letters[] = {"a", "b", "a</w>", "b</w>"};
    int n_names = 4, n = 0;

    for (int i = 0; i < 4; i++)
        strcpy(names[i], letters[i]);
    while (n < RULES) {
        const char *left = names[draw(r, (uint32_t)n_names)];
        const char *right = names[draw(r, (uint32_t)n_names)];
        bool again = false;

        if (strstr(left, "</w>") || strlen(left) + strlen(right) > 20)
            continue;
        for (int k = 0; k < n; k++)
            again = again || (!strcmp(rule[k].left, left) && !strcmp(rule[k].right, right));
        if (again)
            continue;
        strcpy(rule[n].left, left);
        strcpy(rule[n].right, right);
        snprintf(names[n_names++], SYMBOL, "%s%s", rule[n].left, rule[n].right);
        n++;
    }
    return n;
}

/* The id of a name: of the last rule that makes it, or of its byte. */
static int32_t id_of(const char *name, const struct rule *rule, int n)
{
    char made[2 * SYMBOL];

    for (int k = n; k-- > 0;) {
        snprintf(made, sizeof made, "%s%s", rule[k].left, rule[k].right);
        if (!strcmp(made, name))
            return 512 + k;
    }
    return name[0] - 33 + (name[1] ? 256 : 0);
}

static void merging_is_as_stated(void **state)
{
    static struct rule rule[RULES];
    static char names[RULES + 4][SYMBOL], part[PARTS][SYMBOL];
    uint32_t r = 7;

    (void)state;
    for (int trial = 0; trial < 400; trial++) {
        int n_rules = rules_make(rule, names, &r), n = 1 + (int)draw(&r, 40);
        char array[RULES * 2 * SYMBOL], word[PARTS] = "";
        struct text text;
        int32_t want[PARTS];
        struct clip_bpe *b;

        text_init(&text, array, sizeof array);
        for (int k = 0; k < n_rules; k++)
            text_add(&text, "%s %s\n", rule[k].left, rule[k].right);
        for (int i = 0; i < n; i++) {
            word[i] = draw(&r, 2) ? 'a' : 'b';
            snprintf(part[i], SYMBOL, "%c%s", word[i], i + 1 < n ? "" : "</w>");
        }
        n = merge_plainly(part, n, rule, n_rules);
        for (int i = 0; i < n; i++)
            want[i] = id_of(part[i], rule, n_rules);
        b = opened(text.data);
        assert_ids(b, word, CLIP_PLAIN, want, n);
        clip_bpe_close(b);
    }
}

/* ---- Long texts ---- */

static void long_words_come_through(void **state)
{
    enum { LETTERS = 100000 };
    struct clip_bpe *b = opened("a a\naa aa\naaaa aaaa\n");
    char *text = malloc(LETTERS), *much;
    struct ids ids = {0};
    struct error err = {0};

    (void)state;
    assert_non_null(text);
    memset(text, 'a', LETTERS);
    assert_int_equal(clip_bpe_encode(b, &ids, text, LETTERS, CLIP_PLAIN, NULL), OK);
    assert_int_equal(ids.n, LETTERS / 8 - 1 + 4); /* the last 8: aaaa aa a a</w> */
    for (int64_t i = 0; i < ids.n - 4; i++)
        assert_int_equal(ids.id[i], 514);
    ids.n = 0;
    memset(text, '7', LETTERS);
    assert_int_equal(clip_bpe_encode(b, &ids, text, LETTERS, CLIP_PLAIN, NULL), OK);
    assert_int_equal(ids.n, LETTERS);
    ids.n = 0;
    memset(text, 0xFF, LETTERS);
    assert_int_equal(clip_bpe_encode(b, &ids, text, LETTERS, CLIP_PLAIN, NULL), OK);
    assert_int_equal(ids.n, 3 * LETTERS);
    much = calloc(UNICODE_TEXT_BYTES + 1, 1);
    assert_int_equal(clip_bpe_encode(b, &ids, much, UNICODE_TEXT_BYTES + 1, CLIP_PLAIN, &err),
                     E_ARG);
    ids_release(&ids);
    free(text);
    free(much);
    clip_bpe_close(b);
}

/* ---- Files ---- */

static void damaged_files_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "no merges"},
        {"#version: 0.2\n", "no merges"},
        {"#version: 0.2\nh e\nhe\n", "line 3: not two symbols"},
        {"h e\n\nl l\n", "line 2: not two symbols"},
        {"h e\nhx e\n", "line 2: a symbol that no line"},
        {"h e\nh e x\n", "line 2: a symbol that no line"},
        {" h e\n", "line 1: a symbol"},
        {"h \n", "line 1: a symbol"},
        {"h e\nhe \xC3\n", "line 2: a symbol"},
        {"\x1f\x8b", "cut short"},
    };
    struct clip_bpe *b;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};

        assert_int_equal(
            clip_bpe_open_bytes(&b, cases[i].text, strlen(cases[i].text), "test", &err), E_FORMAT);
        assert_null(b);
        assert_says(err.text, cases[i].says);
    }
    assert_int_equal(clip_bpe_open_bytes(&b, "h\0e\n", 4, "test", NULL), E_FORMAT);
    assert_int_equal(clip_bpe_open_bytes(&b, "h e\0\n", 5, "test", NULL), E_FORMAT);
    assert_int_equal(clip_bpe_open(&b, "/nonexistent/merges.txt", NULL), E_IO);
}

static void lines_have_a_limit(void **state)
{
    enum { LINES = CLIP_MERGES_MAX + 1 };
    struct error err = {0};
    struct clip_bpe *b;
    char *text = malloc(4 * LINES);

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < LINES; i++)
        memcpy(text + 4 * i, "h e\n", 4);
    assert_int_equal(clip_bpe_open_bytes(&b, text, 4 * LINES, "test", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "131072"));
    assert_int_equal(clip_bpe_open_bytes(&b, text, 4 * (LINES - 1), "test", NULL), OK);
    assert_int_equal(clip_bpe_begin(b), 512 + LINES - 1);
    clip_bpe_close(b);
    free(text);
}

static void lines_may_end_as_on_windows(void **state)
{
    struct clip_bpe *b = opened("#version: 0.2\r\nh e\r\nl o</w>");

    (void)state;
    assert_int_equal(clip_bpe_begin(b), 514);
    assert_ids(b, "lo", CLIP_PLAIN, IDS(513));
    clip_bpe_close(b);
}

static void a_folder_gives_ids(void **state)
{
    static const char json[] = "{\"<|startoftext|>\": 5, \"<|endoftext|>\": 9, \"hello</w>\": 3, "
                               "\"he\": 2, \"\\u0120\": 1}";
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct error err = {0};
    struct clip_bpe *b;

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(clip_bpe_open(&b, dir, NULL), E_IO);
    assert_int_equal(file_write(temp_path(path, dir, "merges.txt"), SMALL, sizeof SMALL - 1, NULL),
                     OK);
    assert_int_equal(clip_bpe_open(&b, dir, NULL), OK);
    assert_int_equal(clip_bpe_begin(b), 516);
    clip_bpe_close(b);
    assert_int_equal(file_write(temp_path(path, dir, "vocab.json"), json, sizeof json - 1, NULL),
                     OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clip_bpe_open(&b, i ? temp_path(path, dir, "merges.txt") : dir, NULL), OK);
        assert_int_equal(clip_bpe_begin(b), 5);
        assert_int_equal(clip_bpe_end(b), 9);
        assert_ids(b, "hello hex", CLIP_PLAIN, IDS(3, 2, 9)); /* what has no id is the end */
        clip_bpe_close(b);
    }
    assert_int_equal(file_write(temp_path(path, dir, "vocab.json"), "{\"a\": 1}", 8, NULL), OK);
    assert_int_equal(clip_bpe_open(&b, dir, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "startoftext"));
    assert_int_equal(file_write(path, "{\"<|startoftext|>\": 1, \"<|endoftext|>\": -1}", 43, NULL),
                     OK);
    assert_int_equal(clip_bpe_open(&b, dir, &err), E_FORMAT);
    temp_dir_remove(dir);
}

/* SMALL as gzip, whole and cut. */
static void packed_files_are_read(void **state)
{
    uint8_t packed[512];
    struct clip_bpe *b;
    z_stream z = {0};
    size_t n;

    (void)state;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)(uintptr_t)SMALL;
    z.avail_in = sizeof SMALL - 1;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    n = z.total_out;
    deflateEnd(&z);
    assert_int_equal(clip_bpe_open_bytes(&b, packed, n, "test", NULL), OK);
    assert_ids(b, "hello", CLIP_PLAIN, IDS(515));
    clip_bpe_close(b);
    for (size_t cut = 2; cut < n; cut++)
        assert_int_equal(clip_bpe_open_bytes(&b, packed, cut, "test", NULL), E_FORMAT);
}

static void the_original_is_the_installed_one(void **state)
{
    struct clip_bpe *original, *installed;
    struct ids a = {0}, b = {0};
    struct error err = {0};
    char *path;

    (void)state;
    assert_int_equal(vocabulary_find(&path, VOCABULARY_CLIP, NULL, NULL, NULL), OK);
    if (clip_bpe_open(&installed, path, &err))
        fail_msg("%s", err.text);
    free(path);
    assert_int_equal(clip_bpe_begin(installed), 49406);
    if (clip_bpe_open(&original, SHARED_DIR "/data/tokenizers/bpe_simple_vocab_16e6.txt.gz",
                      &err)) {
        print_message("%s\n", err.text);
        clip_bpe_close(installed);
        skip();
    }
    assert_int_equal(clip_bpe_end(original), 49407);
    for (int32_t c = 'a'; c < 0x3000; c += 7) {
        char text[64];

        snprintf(text, sizeof text, "%c it's the %d%c", c % 96 + 32, c, c % 26 + 'a');
        assert_int_equal(clip_bpe_encode(original, &a, text, strlen(text), CLIP_PLAIN, NULL), OK);
        assert_int_equal(clip_bpe_encode(installed, &b, text, strlen(text), CLIP_PLAIN, NULL), OK);
    }
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.id, b.id, (size_t)a.n * sizeof *a.id);
    ids_release(&a);
    ids_release(&b);
    clip_bpe_close(original);
    clip_bpe_close(installed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_numbered_as_published),
        cmocka_unit_test(words_are_cut_and_merged),
        cmocka_unit_test(occurrences_go_together),
        cmocka_unit_test(merging_is_as_stated),
        cmocka_unit_test(long_words_come_through),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(lines_have_a_limit),
        cmocka_unit_test(lines_may_end_as_on_windows),
        cmocka_unit_test(a_folder_gives_ids),
        cmocka_unit_test(packed_files_are_read),
        cmocka_unit_test(the_original_is_the_installed_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
