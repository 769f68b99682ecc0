/*
 * test_hash.c - SHA-256 of bytes and of files, against published digests
 */
#include "base/hash.h"

#include "base/file.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void assert_hash(const void *bytes, uint64_t n, uint64_t piece, const char *want)
{
    char got[HASH_TEXT];
    struct hash h;

    hash_begin(&h);
    for (uint64_t at = 0; at < n; at += piece)
        hash_add(&h, (const uint8_t *)bytes + at, n - at < piece ? n - at : piece);
    hash_end(&h, got);
    assert_string_equal(got, want);
    assert_true(hash_is(got));
}

/* FIPS 180-2, appendix B. */
static void published_digests(void **state)
{
    enum { MILLION = 1000000 };
    char *many = malloc(MILLION);

    (void)state;
    assert_non_null(many);
    memset(many, 'a', MILLION);
    assert_hash("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_hash(many, MILLION, 777,
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(many);
    assert_false(hash_is("cdc76e5c"));
}

/* A file is read in pieces of some megabytes. */
static void files_of_any_size(void **state)
{
    const uint64_t sizes[] = {0, 1, 8 << 20, (8 << 20) + 1, (20 << 20) + 5};
    char dir[TEMP_PATH], path[TEMP_PATH + 16], got[HASH_TEXT], want[HASH_TEXT];
    uint8_t *bytes = malloc(sizes[4]);

    (void)state;
    assert_non_null(bytes);
    for (uint64_t i = 0; i < sizes[4]; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    temp_dir_new(dir);
    temp_path(path, dir, "file");
    for (int k = 0; k < 5; k++) {
        struct hash h;

        hash_begin(&h);
        hash_add(&h, bytes, sizes[k]);
        hash_end(&h, want);
        assert_int_equal(file_write(path, bytes, sizes[k], NULL), OK);
        assert_int_equal(hash_file(got, path, NULL), OK);
        assert_string_equal(got, want);
    }
    assert_int_equal(hash_file(got, temp_path(path, dir, "nothing"), NULL), E_IO);
    temp_dir_remove(dir);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_digests),
                                       cmocka_unit_test(files_of_any_size)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
