/*
 * test_fail_text.c - opening vocabularies and encoding prompts with everything failing once
 */
#include "base/file.h"
#include "support/failing.h"
#include "support/temp.h"
#include "text/clip_bpe.h"
#include "text/prompt.h"
#include "text/unigram.h"
#include "text/vocabulary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char PROMPT[] = "A ((cat\xCC\xA3\xCC\x82:1.5) on) the \xCE\xA3 mat";

static char dir[TEMP_PATH];

/* Everything, from looking for the files to the rows of both encoders. */
static enum status whole_run(struct error *err)
{
    struct prompt_clip_how how = {.least = 2, .most = 4};
    struct prompt_rows clip = {0}, t5 = {0};
    char *merges = NULL, *spiece = NULL;
    struct prompt p = {0};
    struct clip_bpe *b = NULL;
    struct unigram *u = NULL;
    enum status st;

    if ((st = vocabulary_find(&merges, VOCABULARY_CLIP, NULL, dir, err)) ||
        (st = vocabulary_find(&spiece, VOCABULARY_T5, NULL, dir, err)) ||
        (st = clip_bpe_open(&b, merges, err)) || (st = unigram_open(&u, spiece, err)) ||
        (st = prompt_parse(&p, PROMPT, strlen(PROMPT), err)) ||
        (st = prompt_clip(&clip, b, &p, &how, err)) || (st = prompt_t5(&t5, u, &p, 1, 512, err)))
        goto out;
out:
    prompt_rows_release(&clip);
    prompt_rows_release(&t5);
    prompt_release(&p);
    unigram_close(u);
    clip_bpe_close(b);
    free(merges);
    free(spiece);
    return st;
}

static void files_write(void)
{
    static const char merges[] = "#version: 0.2\nc a\nca t</w>\n";
    static const char json[] = "{\"<|startoftext|>\": 5, \"<|endoftext|>\": 9, \"cat</w>\": 3}";
    static const char spiece[] = "\x0A\x09\x0A\x05<unk>\x18\x02"
                                 "\x0A\x05\x0A\x03\xE2\x96\x81"
                                 "\x0A\x03\x0A\x01"
                                 "a"
                                 "\x1A\x0E\x12\x0C\x08\0\0\0"
                                 "\0\0\0\0\0\0\0\0";
    char path[TEMP_PATH];

    assert_int_equal(
        file_write(temp_path(path, dir, "merges.txt"), merges, sizeof merges - 1, NULL), OK);
    assert_int_equal(file_write(temp_path(path, dir, "vocab.json"), json, sizeof json - 1, NULL),
                     OK);
    assert_int_equal(
        file_write(temp_path(path, dir, "spiece.model"), spiece, sizeof spiece - 1, NULL), OK);
}

static void fail_each(int kinds, enum status want)
{
    for (int64_t k = 0;; k++) {
        struct error err = {0};
        enum status st;

        failing_arm(kinds, k);
        st = whole_run(&err);
        if (!failing_disarm()) {
            assert_int_equal(st, OK);
            assert_true(k > 3);
            break;
        }
        assert_int_equal(st, want);
        assert_true(strlen(err.text) > 10);
    }
}

static void texts_without_memory(void **state)
{
    (void)state;
    temp_dir_new(dir);
    files_write();
    fail_each(FAILING_MEMORY, E_MEMORY);
    fail_each(FAILING_OPEN | FAILING_READ, E_IO);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts_without_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
