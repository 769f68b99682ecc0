/*
 * test_captioned.c - pictures and their captions, however a folder or an archive pairs them
 *
 * Each picture is of one grey of its own, so that a test sees which one it was given.
 */
#include "base/file.h"
#include "data/dataset.h"
#include "io/image.h"
#include "support/tarball.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIDE = 8, LENGTH = SIDE * SIDE * 3 };

static char folder[TEMP_PATH];
static struct tarball ball;

static int fresh(void **state)
{
    (void)state;
    temp_dir_new(folder);
    memset(&ball, 0, sizeof ball);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static void write_picture(const char *name, int grey)
{
    struct image im = {0};
    char path[TEMP_PATH];

    assert_int_equal(image_init(&im, SIDE, SIDE, 3, NULL), OK);
    memset(im.pixels, grey, LENGTH);
    assert_int_equal(image_write(temp_path(path, folder, name), &im, NULL, 0, NULL), OK);
    image_release(&im);
}

static void write_text(const char *name, const char *text)
{
    char path[TEMP_PATH];

    assert_int_equal(file_write(temp_path(path, folder, name), text, strlen(text), NULL), OK);
}

static void make_folder(const char *name)
{
    char path[TEMP_PATH];

    assert_int_equal(mkdir(temp_path(path, folder, name), 0700), 0);
}

/* A picture of the folder, or of one that is made for it, as a file of the archive. */
static void pack_picture(const char *name, int grey)
{
    char path[TEMP_PATH];
    uint8_t *bytes;
    uint64_t n;

    write_picture("packed.png", grey);
    assert_int_equal(file_read(&bytes, &n, temp_path(path, folder, "packed.png"), 1 << 16, NULL),
                     OK);
    tarball_file(&ball, name, bytes, n);
    free(bytes);
    unlink(path);
}

static void write_archive(const char *name)
{
    char path[TEMP_PATH];

    tarball_end(&ball);
    assert_int_equal(file_write(temp_path(path, folder, name), ball.bytes, ball.n, NULL), OK);
}

/* name NULL: the folder itself. */
static enum status open_set(struct dataset **d, const char *name, const char *list,
                            struct error *err)
{
    char path[TEMP_PATH], labels[TEMP_PATH];
    struct dataset_config c = {.format = "captioned",
                               .path = name ? temp_path(path, folder, name) : folder,
                               .labels = list ? temp_path(labels, folder, list) : NULL,
                               .size = SIDE};

    return dataset_open(d, &c, err);
}

static struct dataset *must_open(const char *name, const char *list)
{
    struct error err = {0};
    struct dataset *d;

    if (open_set(&d, name, list, &err))
        fail_msg("%s", err.text);
    return d;
}

static void refused(const char *name, const char *list, const char *a, const char *b)
{
    struct error err = {0};
    struct dataset *d;

    if (!open_set(&d, name, list, &err))
        fail_msg("opened");
    assert_null(d);
    if (!strstr(err.text, a) || !strstr(err.text, b))
        fail_msg("'%s' names not both '%s' and '%s'", err.text, a, b);
}

/* group NULL: none. */
static void is(const struct dataset *d, int64_t i, const char *name, int grey, const char *caption,
               const char *group)
{
    char said[CAPTION_TEXT];
    float pixels[LENGTH];
    struct error err = {0};
    int32_t label;

    for (int round = 0; round < 2; round++) { /* the second time from what was kept */
        if (dataset_get(d, i, pixels, &label, said, &err))
            fail_msg("%s", err.text);
        assert_string_equal(dataset_name(d, i), name);
        assert_string_equal(said, caption);
        assert_true(fabsf(pixels[0] - ((float)grey / 127.5f - 1)) < 1e-6f);
        if (group)
            assert_string_equal(d->class_names[label], group);
        else
            assert_int_equal(label, -1);
    }
}

/* --- folders ------------------------------------------------------------------------------------
 */

static void texts_beside_pictures(void **state)
{
    struct dataset *d;

    (void)state;
    make_folder("b");
    make_folder("b/deep");
    make_folder(".hidden");
    write_picture("b/deep/z.png", 10);
    write_text("b/deep/z.txt", "deep down\n");
    write_picture("a.png", 20);
    write_text("a.txt", "  two\n lines ");
    write_text("a.json", "{\"caption\": \"the text counts\"}");
    write_picture("c.PNG", 30);
    write_text("c.json", "{\"url\": null, \"text\": \"from an object\", \"label\": \"l\"}");
    write_picture(".hidden/h.png", 40);
    write_text("notes.txt", "of no picture");
    d = must_open(NULL, NULL);
    assert_int_equal(d->count, 3);
    assert_true(d->flips && d->n_classes == 1 && d->channels == 3 && d->height == SIDE);
    is(d, 0, "a.png", 20, "two lines", NULL);
    is(d, 1, "b/deep/z.png", 10, "deep down", NULL);
    is(d, 2, "c.PNG", 30, "from an object", "l");
    dataset_close(d);
}

static void a_picture_without_a_text(void **state)
{
    (void)state;
    refused(NULL, NULL, folder, "no .png");
    write_picture("a.png", 1);
    write_picture("b.png", 2);
    write_picture("c.png", 3);
    write_text("b.txt", "b");
    refused(NULL, NULL, "2 of 3 pictures have no caption", "a.png");
    write_text("a.txt", "fine\nnot \xC0\n");
    refused(NULL, NULL, "a.txt: line 2", "UTF-8");
    write_text("a.txt", "fine");
    write_text("c.json", "{\"caption\": 3}");
    refused(NULL, NULL, "c.json", "\"caption\"");
}

/* A list decides alone: pictures it does not name are not there, and order and doubles are its. */
static void lists_in_folders(void **state)
{
    struct dataset *d;

    (void)state;
    make_folder("b");
    write_picture("a.png", 10);
    write_picture("b/c.png", 20);
    write_picture("not-named.png", 30);
    write_text("metadata.jsonl", "{\"file_name\": \"a.png\", \"text\": \"from metadata\"}\n");
    d = must_open(NULL, NULL);
    assert_int_equal(d->count, 1);
    is(d, 0, "a.png", 10, "from metadata", NULL);
    dataset_close(d);
    write_text("captions.jsonl",
               "{\"file\": \"b/c.png\", \"caption\": \"one\", \"group\": \"zebra\"}\n"
               "{\"file\": \"a.png\", \"caption\": \"two\", \"group\": \"ant\"}\n"
               "{\"file\": \"b/c.png\", \"caption\": \"\", \"group\": \"zebra\"}\n"
               "{\"file\": \"b/c.png\", \"caption\": \"none\"}\n"
               "{\"file\": \"a.png\", \"caption\": \"two\", \"group\": \"zebra\"}\n");
    d = must_open(NULL, NULL);
    assert_int_equal(d->count, 5);
    assert_int_equal(d->n_classes, 2);
    assert_string_equal(d->class_names[0], "ant");
    assert_string_equal(d->class_names[1], "zebra");
    is(d, 0, "b/c.png", 20, "one", "zebra");
    is(d, 1, "a.png", 10, "two", "ant");
    is(d, 2, "b/c.png", 20, "zebra", "zebra"); /* without a caption, the class's name */
    is(d, 3, "b/c.png", 20, "none", NULL);
    is(d, 4, "a.png", 10, "two", "zebra");
    dataset_close(d);
    write_text("other", "{\"image\": \"not-named.png\", \"prompt\": \"by another list\"}");
    d = must_open(NULL, "other");
    assert_int_equal(d->count, 1);
    is(d, 0, "not-named.png", 30, "by another list", NULL);
    dataset_close(d);
}

/* The nearest lists, each of its own folder. */
static void lists_below(void **state)
{
    struct dataset *d;

    (void)state;
    make_folder("x");
    make_folder("y");
    make_folder("y/z");
    write_picture("x/a.png", 10);
    write_picture("y/a.png", 20);
    write_text("x/captions.jsonl", "{\"file\": \"a.png\", \"caption\": \"x\"}");
    write_text("x/metadata.jsonl", "{\"file\": \"a.png\", \"caption\": \"not this\"}");
    write_text("y/metadata.jsonl", "{\"file\": \"a.png\", \"caption\": \"y\"}");
    write_text("y/z/captions.jsonl", "{\"file\": \"a.png\", \"caption\": \"too deep\"}");
    d = must_open(NULL, NULL);
    assert_int_equal(d->count, 2);
    is(d, 0, "x/a.png", 10, "x", NULL);
    is(d, 1, "y/a.png", 20, "y", NULL);
    dataset_close(d);
}

static void bad_lists(void **state)
{
    (void)state;
    write_picture("a.png", 1);
    write_text("captions.jsonl", "");
    refused(NULL, NULL, folder, "no pictures");
    write_text("captions.jsonl", "{\"file\": \"a.png\", \"caption\": \"\"}\n\n"
                                 "{\"file\": \"b.png\", \"caption\": \"\"}\n");
    refused(NULL, NULL, "captions.jsonl: line 3", "no file b.png");
    write_text("captions.jsonl", "{\"file\": \"../a.png\", \"caption\": \"\"}\n");
    refused(NULL, NULL, "captions.jsonl: line 1", "leads out");
    refused(NULL, "absent.jsonl", "absent.jsonl", "");
    refused("absent", NULL, "absent", "");
    refused("a.png", NULL, "a.png", ".tar");
}

static void folders_without_end(void **state)
{
    char path[TEMP_PATH];

    (void)state;
    write_picture("a.png", 1);
    assert_int_equal(symlink(".", temp_path(path, folder, "again")), 0);
    refused(NULL, NULL, "more than 32 folders", "again/again");
}

static void a_picture_that_is_none(void **state)
{
    struct error err = {0};
    struct dataset *d;
    float pixels[LENGTH];

    (void)state;
    write_picture("good.png", 50);
    write_text("good.txt", "good");
    write_text("bad.png", "\x89PNG");
    write_text("bad.txt", "bad");
    d = must_open(NULL, NULL);
    assert_int_not_equal(dataset_get(d, 0, pixels, NULL, NULL, &err), OK);
    assert_non_null(strstr(err.text, "bad.png"));
    is(d, 1, "good.png", 50, "good", NULL);
    dataset_close(d);
}

/* --- archives -----------------------------------------------------------------------------------
 */

static void pairs_in_an_archive(void **state)
{
    struct dataset *d;

    (void)state;
    tarball_text(&ball, "0002.txt", "second");
    pack_picture("0002.png", 20);
    pack_picture("./0001.png", 10);
    tarball_text(&ball, "0001.json", "{\"caption\": \"first\", \"width\": 8}");
    pack_picture("._0001.png", 99); /* what a Mac leaves beside */
    pack_picture("in/.cache/0001.png", 99);
    tarball_text(&ball, "0002.txt", "second, again"); /* the last counts */
    write_archive("set.tar");
    d = must_open("set.tar", NULL);
    assert_int_equal(d->count, 2);
    is(d, 0, "0001.png", 10, "first", NULL);
    is(d, 1, "0002.png", 20, "second, again", NULL);
    dataset_close(d);
}

static void lists_and_archives(void **state)
{
    struct dataset *d;

    (void)state;
    pack_picture("set/a.png", 10);
    pack_picture("set/b.png", 20);
    write_text("beside.jsonl", "{\"file\": \"set/b.png\", \"caption\": \"beside\"}\n");
    tarball_text(&ball, "set/captions.jsonl",
                 "{\"file\": \"b.png\", \"caption\": \"inside\", \"group\": \"g\"}\n");
    write_archive("set.tar");
    d = must_open("set.tar", NULL);
    assert_int_equal(d->count, 1);
    is(d, 0, "set/b.png", 20, "inside", "g");
    dataset_close(d);
    d = must_open("set.tar", "beside.jsonl");
    is(d, 0, "set/b.png", 20, "beside", NULL);
    dataset_close(d);
}

static void bad_archives(void **state)
{
    char path[TEMP_PATH];

    (void)state;
    pack_picture("a.png", 10);
    pack_picture("b.png", 10);
    tarball_text(&ball, "b.txt", "b");
    write_archive("set.tar");
    refused("set.tar", NULL, "set.tar: 1 of 2 pictures have no caption", "a.png");
    tarball_text(&ball, "more", "");
    write_archive("set.tar");
    refused("set.tar", NULL, "set.tar: it ends at byte", "");
    assert_int_equal(truncate(temp_path(path, folder, "set.tar"), 512), 0);
    refused("set.tar", NULL, "set.tar: the member at byte 0", "0 are left");
}

static void what_must_be_given(void **state)
{
    struct dataset_config c = {.format = "captioned", .path = folder};
    struct error err = {0};
    struct dataset *d;

    (void)state;
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    assert_non_null(strstr(err.text, "a size must be given"));
    c = (struct dataset_config){.format = "captioned", .size = 8};
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    assert_non_null(strstr(err.text, "no path"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(texts_beside_pictures),
        TEST(a_picture_without_a_text),
        TEST(lists_in_folders),
        TEST(lists_below),
        TEST(bad_lists),
        TEST(folders_without_end),
        TEST(a_picture_that_is_none),
        TEST(pairs_in_an_archive),
        TEST(lists_and_archives),
        TEST(bad_archives),
        TEST(what_must_be_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
