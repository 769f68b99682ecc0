/*
 * test_fail_latents.c - encoding and reading latents with everything failing once
 *
 * The whole way, from pictures to a cache and from the cache to numbers, is gone again and again,
 * each time with one more allocation or file call succeeding before one fails.  The failure is
 * told, nothing leaks (LeakSanitizer looks), and going on afterwards gives the numbers of a run
 * that nothing happened to.
 */
#include "data/latents.h"
#include "support/failing.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, LENGTH = SIDE * SIDE * 3, N = 6 };

static const char mine[] = "1111111111111111111111111111111111111111111111111111111111111111";

static char folder[TEMP_PATH];

static enum status encode(float *latents, const float *pictures, int64_t n, void *user,
                          struct error *err)
{
    (void)user;
    (void)err;
    for (int64_t i = 0; i < n * 4; i++)
        latents[i] = pictures[i / 4 * LENGTH + i % 4 * 37];
    return OK;
}

static enum status write_set(struct error *err)
{
    struct dataset_config c = {.format = "shapes", .size = SIDE, .limit = N, .seed = 1};
    struct latents_job j = {.folder = folder,
                            .autoencoder = mine,
                            .height = 1,
                            .width = 2,
                            .channels = 2,
                            .batch = 2,
                            .part = 3,
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

static enum status go(float out[N * 4], struct error *err)
{
    struct dataset_config c = {.format = "latents", .path = folder, .autoencoder = mine};
    struct dataset *d;
    enum status st;

    if ((st = write_set(err)) || (st = dataset_open(&d, &c, err)))
        return st;
    for (int64_t i = 0; i < N && !st; i++)
        st = dataset_get(d, i, out + i * 4, NULL, NULL, err);
    dataset_close(d);
    return st;
}

/* complete: the cache stands already, and is checked and read; else it is made. */
static void each_fails(int kinds, enum status expected, bool complete)
{
    float want[N * 4], got[N * 4];
    int64_t failed = 0;

    temp_dir_new(folder);
    assert_int_equal(go(want, NULL), OK);
    for (int64_t k = 0;; k++) {
        struct error err = {0};
        enum status st;

        if (!complete) {
            temp_dir_remove(folder);
            temp_dir_new(folder);
        }
        failing_arm(kinds, k);
        st = go(got, &err);
        if (!failing_disarm())
            break;
        if (st) {
            if (st != expected || err.status != st || !err.text[0])
                fail_msg("call %d: status %d, \"%s\"", (int)k, (int)st, err.text);
            assert_int_equal(go(got, NULL), OK);
        }
        assert_memory_equal(got, want, sizeof got);
        failed += st != OK;
    }
    assert_true(failed > 5);
    temp_dir_remove(folder);
}

static void test_memory(void **state)
{
    (void)state;
    each_fails(FAILING_MEMORY, E_MEMORY, false);
    each_fails(FAILING_MEMORY, E_MEMORY, true);
}

static void test_files(void **state)
{
    (void)state;
    each_fails(FAILING_FILE, E_IO, false);
    each_fails(FAILING_FILE, E_IO, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
