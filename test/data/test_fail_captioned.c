/*
 * test_fail_captioned.c - captioned pictures, from files to a cache of latents and out of it, with
 * everything failing once
 *
 * The same three pictures are told in pairs, in a list and in an archive.  The whole way is gone
 * again and again, each time with one more allocation or file call succeeding before one fails.
 * The failure is told, nothing leaks (LeakSanitizer looks), and going on afterwards gives what a
 * run gives that nothing happened to.
 */
#include "base/file.h"
#include "data/latents.h"
#include "support/failing.h"
#include "support/tarball.h"
#include "support/temp.h"

#include "io/image.h"

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

enum { SIDE = 8, LENGTH = SIDE * SIDE * 3, N = 3 };

static const char mine[] = "1111111111111111111111111111111111111111111111111111111111111111";
static const char list[] = "{\"file\": \"0.png\", \"caption\": \"number 0\", \"group\": \"b\"}\n"
                           "{\"file\": \"1.png\", \"caption\": \"number 1\", \"group\": \"a\"}\n"
                           "{\"file\": \"2.png\", \"caption\": \"number 2\", \"group\": \"a\"}\n";

static char folder[TEMP_PATH], pairs[TEMP_PATH], listed[TEMP_PATH], archive[TEMP_PATH];
static char cache[TEMP_PATH];
static struct tarball ball;

static void write_picture(const char *dir, int i)
{
    struct image im = {0};
    char path[TEMP_PATH], name[16];

    snprintf(name, sizeof name, "%d.png", i);
    assert_int_equal(image_init(&im, SIDE, SIDE, 3, NULL), OK);
    memset(im.pixels, 50 * i, LENGTH);
    assert_int_equal(image_write(temp_path(path, dir, name), &im, NULL, 0, NULL), OK);
    image_release(&im);
}

static void pack(int i)
{
    char path[TEMP_PATH], name[16];
    uint8_t *bytes;
    uint64_t n;

    snprintf(name, sizeof name, "%d.png", i);
    assert_int_equal(file_read(&bytes, &n, temp_path(path, pairs, name), 1 << 16, NULL), OK);
    tarball_file(&ball, name, bytes, n);
    free(bytes);
}

static int make(void **state)
{
    char path[TEMP_PATH], name[16], text[32];

    (void)state;
    temp_dir_new(folder);
    temp_path(pairs, folder, "pairs");
    temp_path(listed, folder, "listed");
    temp_path(archive, folder, "archive.tar");
    temp_path(cache, folder, "cache");
    assert_int_equal(mkdir(pairs, 0700), 0);
    assert_int_equal(mkdir(listed, 0700), 0);
    for (int i = 0; i < N; i++) {
        write_picture(pairs, i);
        write_picture(listed, i);
        pack(i);
        snprintf(name, sizeof name, "%d.txt", i);
        snprintf(text, sizeof text, "number %d", i);
        assert_int_equal(file_write(temp_path(path, pairs, name), text, strlen(text), NULL), OK);
    }
    tarball_text(&ball, "captions.jsonl", list);
    tarball_end(&ball);
    assert_int_equal(
        file_write(temp_path(path, listed, "captions.jsonl"), list, strlen(list), NULL), OK);
    assert_int_equal(file_write(archive, ball.bytes, ball.n, NULL), OK);
    return 0;
}

static int removed(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static enum status encode(float *latents, const float *pictures, int64_t n, void *user,
                          struct error *err)
{
    (void)user;
    (void)err;
    for (int64_t i = 0; i < n; i++)
        latents[i] = pictures[i * LENGTH];
    return OK;
}

static enum status write_cache(const char *path, struct error *err)
{
    struct dataset_config c = {.format = "captioned", .path = path, .size = SIDE};
    struct latents_job j = {.folder = cache,
                            .autoencoder = mine,
                            .height = 1,
                            .width = 1,
                            .channels = 1,
                            .batch = 2,
                            .part = 2,
                            .encode = encode};
    struct dataset *d;
    enum status st;

    if ((st = dataset_open(&d, &c, err)))
        return st;
    j.pictures = d;
    st = latents_write(&j, err);
    dataset_close(d);
    return st;
}

struct read {
    float z[N];
    int32_t label[N];
    char caption[N][CAPTION_TEXT];
};

static enum status go(struct read *r, const char *path, struct error *err)
{
    struct dataset_config c = {.format = "latents", .path = cache, .autoencoder = mine};
    struct dataset *d;
    enum status st;

    memset(r, 0, sizeof *r);
    if ((st = write_cache(path, err)) || (st = dataset_open(&d, &c, err)))
        return st;
    for (int64_t i = 0; i < N && !st; i++)
        st = dataset_get(d, i, &r->z[i], &r->label[i], r->caption[i], err);
    dataset_close(d);
    return st;
}

static void no_cache(void)
{
    if (!access(cache, F_OK))
        temp_dir_remove(cache);
}

/* complete: the cache stands already, and is checked and read; else it is made. */
static void each_fails(const char *path, int kinds, enum status expected, bool complete)
{
    static struct read want, got;
    int64_t failed = 0;

    no_cache();
    assert_int_equal(go(&want, path, NULL), OK);
    assert_string_equal(want.caption[2], "number 2");
    for (int64_t k = 0;; k++) {
        struct error err = {0};
        enum status st;

        if (!complete)
            no_cache();
        failing_arm(kinds, k);
        st = go(&got, path, &err);
        if (!failing_disarm())
            break;
        if (st) {
            if (st != expected || err.status != st || !err.text[0])
                fail_msg("call %d: status %d, \"%s\"", (int)k, (int)st, err.text);
            assert_int_equal(go(&got, path, NULL), OK);
        }
        assert_memory_equal(&got, &want, sizeof got);
        failed += st != OK;
    }
    assert_true(failed > 10);
}

static void all_ways(int kinds, enum status expected)
{
    const char *const ways[] = {pairs, listed, archive};

    for (int i = 0; i < 3; i++) {
        each_fails(ways[i], kinds, expected, false);
        each_fails(ways[i], kinds, expected, true);
    }
}

static void test_memory(void **state)
{
    (void)state;
    all_ways(FAILING_MEMORY, E_MEMORY);
}

static void test_files(void **state)
{
    (void)state;
    all_ways(FAILING_FILE, E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, make, removed);
}
