/*
 * test_tar.c - archives of every spelling, and every way in which one can lie
 */
#include "base/file.h"
#include "io/tar.h"
#include "support/tarball.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct tarball ball;
static uint8_t
    *copy; /* of its own length, so that the address sanitizer sees what is read behind */

static int begin(void **state)
{
    (void)state;
    memset(&ball, 0, sizeof ball);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    free(copy);
    copy = NULL;
    return 0;
}

static enum status open_ball(struct tar **t, struct error *err)
{
    finish(NULL);
    copy = malloc(ball.n + 1);
    assert_non_null(copy);
    memcpy(copy, ball.bytes, ball.n);
    return tar_open_bytes(t, copy, ball.n, "ball.tar", err);
}

static struct tar *must_open(void)
{
    struct error err = {0};
    struct tar *t;

    if (open_ball(&t, &err))
        fail_msg("%s", err.text);
    return t;
}

static void holds(const struct tar *t, int64_t i, const char *name, const char *text)
{
    const struct tar_file *f = tar_at(t, i);

    assert_string_equal(f->name, name);
    assert_int_equal(f->n, strlen(text));
    assert_memory_equal(f->bytes, text, f->n);
}

static void refused(enum status want, const char *a, const char *b)
{
    struct error err = {0};
    struct tar *t;

    assert_int_equal(open_ball(&t, &err), want);
    assert_null(t);
    if (!strstr(err.text, "ball.tar") || !strstr(err.text, a) || !strstr(err.text, b))
        fail_msg("'%s' names not ball.tar, '%s' and '%s'", err.text, a, b);
}

/* --- what is read -------------------------------------------------------------------------------
 */

/* Files alone, in their order; what is no file is passed over, with its content. */
static void plain_archive(void **state)
{
    char block[TARBALL_BLOCK];
    struct tar *t;

    (void)state;
    memset(block, 'x', sizeof block);
    tarball_header(&ball, "folder/", '5', 0);
    tarball_text(&ball, "./folder/b.txt", "second name, first file");
    tarball_header(&ball, "link", '2', 77); /* a size without content */
    tarball_header(&ball, "hard", '1', 0);
    tarball_header(&ball, "device", '3', 0);
    tarball_special(&ball, 'V', "a volume's label");
    tarball_text(&ball, "empty", "");
    tarball_file(&ball, "whole", block, sizeof block);
    tarball_header(&ball, "old/", 0, 0); /* a folder, before there were types */
    tarball_header(&ball, "old/a", 0, 2);
    tarball_content(&ball, "ab", 2);
    tarball_text(&ball, "empty", "not any more");
    tarball_end(&ball);
    t = must_open();
    assert_int_equal(tar_count(t), 5);
    holds(t, 0, "folder/b.txt", "second name, first file");
    holds(t, 1, "empty", "");
    assert_string_equal(tar_at(t, 2)->name, "whole");
    assert_memory_equal(tar_at(t, 2)->bytes, block, sizeof block);
    holds(t, 3, "old/a", "ab");
    holds(t, 4, "empty", "not any more");
    tar_close(t);
}

static void long_names(void **state)
{
    char name[160], record[200];
    uint8_t *h;
    struct tar *t;

    (void)state;
    memset(name, 'n', sizeof name);
    name[150] = 0;
    h = tarball_header(&ball, "a/b.txt", '0', 1); /* POSIX: a prefix */
    memcpy(h + 345, name, 150);
    tarball_seal(h);
    tarball_content(&ball, "p", 1);
    tarball_header(&ball, "././@LongLink", 'L', 151); /* GNU, its zero counted */
    tarball_content(&ball, name, 151);
    tarball_header(&ball, "././@LongLink", 'K', 3);
    tarball_content(&ball, "to", 3);
    tarball_text(&ball, "short", "gnu");
    snprintf(record, sizeof record, "%d path=%s\n", 150 + 6 + 4, name);
    tarball_special(&ball, 'x', record);
    tarball_text(&ball, "short", "pax");
    tarball_text(&ball, "next", "its own name again");
    tarball_special(&ball, 'g', "18 comment=a sort\n"); /* of all files */
    h = tarball_header(&ball, "gnu.txt", '0', 0);       /* GNU's magic: no prefix there */
    memcpy(h + 257, "ustar  ", 8);
    memcpy(h + 345, "12345670", 8);
    tarball_seal(h);
    tarball_end(&ball);
    t = must_open();
    assert_int_equal(tar_count(t), 5);
    holds(t, 1, name, "gnu");
    holds(t, 2, name, "pax");
    holds(t, 3, "next", "its own name again");
    holds(t, 4, "gnu.txt", "");
    strcat(name, "/a/b.txt");
    holds(t, 0, name, "p");
    tar_close(t);
}

static void sizes_of_all_kinds(void **state)
{
    uint8_t *h;
    struct tar *t;

    (void)state;
    h = tarball_header(&ball, "base256", '0', 0);
    memset(h + 124, 0, 12);
    h[124] = 0x80;
    h[135] = 3;
    tarball_seal(h);
    tarball_content(&ball, "two", 3);
    h = tarball_header(&ball, "blanks", '0', 0);
    memcpy(h + 124, "         4 ", 12);
    tarball_seal(h);
    tarball_content(&ball, "four", 4);
    tarball_special(&ball, 'x', "9 size=5\n17 path=renamed!\n");
    tarball_header(&ball, "pax", '0', 0);
    tarball_content(&ball, "fives", 5);
    tarball_text(&ball, "own", "own size");
    tarball_end(&ball);
    t = must_open();
    assert_int_equal(tar_count(t), 4);
    holds(t, 0, "base256", "two");
    holds(t, 1, "blanks", "four");
    holds(t, 2, "renamed!", "fives");
    holds(t, 3, "own", "own size");
    tar_close(t);
}

/* Old programs added signed bytes. */
static void signed_checksum(void **state)
{
    uint8_t *h;
    int sum = 0;
    struct tar *t;

    (void)state;
    h = tarball_header(&ball, "caf\xC3\xA9", '0', 0);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < TARBALL_BLOCK; i++)
        sum += (int8_t)h[i];
    snprintf((char *)h + 148, 8, "%06o", (unsigned)sum);
    tarball_end(&ball);
    t = must_open();
    holds(t, 0, "caf\xC3\xA9", "");
    tar_close(t);
}

/* As GNU tar writes them, in both of its formats. */
static void archives_of_the_system(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH], command[2 * TEMP_PATH], name[256];
    const char *const formats[] = {"gnu", "pax", "ustar", "v7"};

    (void)state;
    temp_dir_new(dir);
    snprintf(command, sizeof command, "tar --version 2>/dev/null | grep -q GNU");
    if (system(command)) {
        temp_dir_remove(dir);
        skip();
    }
    memset(name, 0, sizeof name);
    memset(name, 'd', 60);
    assert_int_equal(mkdir(temp_path(path, dir, name), 0700), 0);
    memset(name + 60, 'f', 90);
    name[60] = '/';
    assert_int_equal(file_write(temp_path(path, dir, name), "deep", 4, NULL), OK);
    assert_int_equal(file_write(temp_path(path, dir, "a"), "flat", 4, NULL), OK);
    for (int i = 0; i < 4; i++) {
        struct error err = {0};
        struct tar *t;
        bool deep = i < 3;

        snprintf(command, sizeof command, "cd %s && tar --format=%s --sort=name -cf x.tar ./a %s",
                 dir, formats[i], deep ? "./d*" : "");
        assert_int_equal(system(command), 0);
        if (tar_open(&t, temp_path(path, dir, "x.tar"), &err))
            fail_msg("%s: %s", formats[i], err.text);
        assert_int_equal(tar_count(t), deep ? 2 : 1);
        holds(t, 0, "a", "flat");
        if (deep)
            holds(t, 1, name, "deep");
        tar_close(t);
    }
    temp_dir_remove(dir);
}

/* --- what is refused ----------------------------------------------------------------------------
 */

static void lying_sizes(void **state)
{
    static const char *const numbers[] = {"77777777777", "00000002000"};
    uint8_t *h;

    (void)state;
    for (int i = 0; i < 2; i++) {
        begin(NULL);
        h = tarball_header(&ball, "a", '0', 0);
        memcpy(h + 124, numbers[i], 12);
        tarball_seal(h);
        tarball_content(&ball, "short", 5);
        refused(E_FORMAT, "at byte 0", i ? "claims 1024 bytes, and 512 are left" : "8589934591");
    }
    begin(NULL);
    h = tarball_header(&ball, "a", '0', 0);
    memset(h + 124, 0xFF, 12); /* minus one */
    tarball_seal(h);
    refused(E_FORMAT, "at byte 0", "no number");
    memset(h + 124, 0x7F, 12);
    h[124] = 0x80;
    tarball_seal(h);
    refused(E_FORMAT, "at byte 0", "no number");
    memcpy(h + 124, "0000000000x", 12);
    tarball_seal(h);
    refused(E_FORMAT, "at byte 0", "no number");
    begin(NULL);
    tarball_special(&ball, 'x', "27 size=999999999999999999\n");
    tarball_text(&ball, "a", "b");
    tarball_end(&ball);
    refused(E_FORMAT, "at byte 1024", "");
    begin(NULL);
    tarball_header(&ball, "a", '1', 5);
    refused(E_FORMAT, "a link that claims 5 bytes", "");
}

static void bad_extensions(void **state)
{
    static const struct {
        char type;
        const char *text, *said;
        enum status st;
    } cases[] = {
        {'x', "5 path=long\n", "record at byte 0", E_FORMAT},
        {'x', "99 path=long\n", "record at byte 0", E_FORMAT},
        {'x', "path=long\n", "record at byte 0", E_FORMAT},
        {'x', "9 size=12\n", "record at byte 0", E_FORMAT},
        {'x', "9 size=1\n0 \n", "record at byte 9", E_FORMAT},
        {'x', "9 siz=e1\n99999999999999999999 \n", "record at byte 9", E_FORMAT},
        {'x', "9 path123\n", "", E_FORMAT},
        {'x', "10 size=-1\n", "", E_FORMAT},
        {'x', "11 size=-1\n", "no number", E_FORMAT},
        {'x', "28 size=99999999999999999999\n", "", E_FORMAT},
        {'x', "29 size=99999999999999999999\n", "20 digits", E_FORMAT},
        {'x', "9 noequal\n", "", E_FORMAT},
        {'x', "11 noequal\n", "no value", E_FORMAT},
        {'g', "9 path=x\n", "one name for all", E_FORMAT},
        {'g', "9 size=1\n", "one size for all", E_FORMAT},
        {'x', "22 GNU.sparse.major=1\n", "sparse", E_UNSUPPORTED},
        {'S', "", "sparse", E_UNSUPPORTED},
        {'M', "", "another volume", E_UNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(NULL);
        tarball_special(&ball, cases[i].type, cases[i].text);
        tarball_text(&ball, "a", "b");
        tarball_end(&ball);
        refused(cases[i].st, "the member at byte 0", cases[i].said);
    }
}

static void bad_names(void **state)
{
    static char name[TAR_NAME + 1];

    (void)state;
    tarball_text(&ball, "./", "no name");
    tarball_end(&ball);
    refused(E_FORMAT, "without a name", "");
    begin(NULL);
    memset(name, 'n', TAR_NAME);
    tarball_special(&ball, 'L', name);
    refused(E_FORMAT, "4096 bytes", "4095");
    begin(NULL);
    tarball_header(&ball, "long", 'L', 4);
    tarball_content(&ball, "a\0bc", 4);
    refused(E_FORMAT, "with a zero", "");
    begin(NULL);
    tarball_special(&ball, 'L', "the name of nothing");
    tarball_end(&ball);
    refused(E_FORMAT, "no file follows", "1024");
}

static void no_end(void **state)
{
    (void)state;
    refused(E_FORMAT, "cut short", "0 bytes");
    tarball_text(&ball, "a", "b");
    refused(E_FORMAT, "cut short", "1024 bytes");
    tarball_end(&ball);
    tarball_text(&ball, "c", "d");
    tarball_end(&ball);
    refused(E_FORMAT, "ends at byte 1024", "4096");
}

static void compressed(void **state)
{
    static const uint8_t gzip[] = {0x1F, 0x8B, 8};

    (void)state;
    tarball_content(&ball, gzip, sizeof gzip);
    refused(E_UNSUPPORTED, "compressed by gzip", "");
}

/* A header with any one bit turned is refused or, in the checksum's own blanks, the same. */
static void every_bit_of_a_header(void **state)
{
    struct error err = {0};
    struct tar *t;

    (void)state;
    tarball_text(&ball, "a.txt", "content");
    tarball_end(&ball);
    for (int bit = 0; bit < 8 * TARBALL_BLOCK; bit++) {
        ball.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!open_ball(&t, &err)) {
            if (bit / 8 < 148 || bit / 8 > 155)
                fail_msg("bit %d was not seen", bit);
            holds(t, 0, "a.txt", "content");
            tar_close(t);
        }
        ball.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* Cut at any length before the zeros of the end. */
static void cut_anywhere(void **state)
{
    uint64_t n;
    struct error err = {0};
    struct tar *t;

    (void)state;
    tarball_special(&ball, 'x', "14 path=b.txt\n");
    tarball_text(&ball, "a.txt", "content");
    n = ball.n;
    tarball_end(&ball);
    for (ball.n = 0; ball.n < n + TARBALL_BLOCK; ball.n++)
        if (!open_ball(&t, &err))
            fail_msg("taken with %d bytes", (int)ball.n);
    assert_int_equal(open_ball(&t, &err), OK);
    tar_close(t);
}

static void no_such_file(void **state)
{
    struct error err = {0};
    struct tar *t;

    (void)state;
    assert_int_equal(tar_open(&t, "/nowhere/at-all.tar", &err), E_IO);
    assert_null(t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_archive),
        TEST(long_names),
        TEST(sizes_of_all_kinds),
        TEST(signed_checksum),
        TEST(archives_of_the_system),
        TEST(lying_sizes),
        TEST(bad_extensions),
        TEST(bad_names),
        TEST(no_end),
        TEST(compressed),
        TEST(every_bit_of_a_header),
        TEST(cut_anywhere),
        TEST(no_such_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
