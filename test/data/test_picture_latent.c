/*
 * test_picture_latent.c - latents of single pictures: ours and those of others, and what is refused
 */
#include "data/picture_latent.h"

#include "base/file.h"
#include "base/rng.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, COLUMNS = 5, CHANNELS = 4, N = ROWS * COLUMNS * CHANNELS };

static const char mine[] = "1111111111111111111111111111111111111111111111111111111111111111";
static const char picture[] = "2222222222222222222222222222222222222222222222222222222222222222";

static char folder[TEMP_PATH], path[TEMP_PATH];
static float values[N];

static int fresh(void **state)
{
    (void)state;
    temp_dir_new(folder);
    temp_path(path, folder, "z.safetensors");
    for (int i = 0; i < N; i++)
        values[i] = (float)i / 7 - 3;
    return 0;
}

static int gone(void **state)
{
    (void)state;
    temp_dir_remove(folder);
    return 0;
}

static struct picture_latent some(void)
{
    struct picture_latent z = {.height = 21,
                               .width = 40,
                               .rows = ROWS,
                               .columns = COLUMNS,
                               .channels = CHANNELS,
                               .values = values};

    memcpy(z.autoencoder, mine, HASH_TEXT);
    return z;
}

static void must_read(struct picture_latent *z, int64_t channels)
{
    struct error err = {0};

    if (picture_latent_read(z, path, channels, &err))
        fail_msg("%s", err.text);
}

static void must_refuse(int64_t channels, const char *why)
{
    struct picture_latent z;
    struct error err = {0};

    assert_int_equal(picture_latent_read(&z, path, channels, &err), E_FORMAT);
    picture_latent_release(&z);
    if (!strstr(err.text, why) || !strstr(err.text, "z.safetensors"))
        fail_msg("\"%s\" does not say: %s, and of which file", err.text, why);
}

/* --- ours ---------------------------------------------------------------------------------------
 */

static void test_round_trip(void **state)
{
    struct picture_latent z = some(), back;

    (void)state;
    for (int full = 0; full < 2; full++) {
        if (full) {
            memcpy(z.picture, picture, HASH_TEXT);
            z.sampled = true;
            z.seed = UINT64_MAX;
            z.tile_rows = 2;
            z.tile_columns = 4;
        }
        assert_int_equal(picture_latent_save(path, &z, NULL), OK);
        must_read(&back, CHANNELS);
        assert_memory_equal(back.values, values, sizeof values);
        assert_string_equal(back.autoencoder, mine);
        assert_string_equal(back.picture, full ? picture : "");
        assert_true(back.height == 21 && back.width == 40 && back.rows == ROWS &&
                    back.columns == COLUMNS && back.channels == CHANNELS);
        assert_true(back.sampled == z.sampled && back.seed == z.seed);
        assert_true(back.tile_rows == z.tile_rows && back.tile_columns == z.tile_columns);
        picture_latent_release(&back);
        must_refuse(CHANNELS + 1, "4 channels, and the autoencoder's have 5");
    }
}

/* Every byte of the file counts: changed, it is refused, or it was a blank of the header, or in the
 * word that makes it a file of ours. */
static void test_damage(void **state)
{
    struct picture_latent z = some(), back;
    struct error err;
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    z.sampled = true;
    z.seed = 5;
    assert_int_equal(picture_latent_save(path, &z, NULL), OK);
    assert_int_equal(file_read(&bytes, &n, path, 1 << 20, NULL), OK);
    for (uint64_t i = 0; i < n; i++) {
        err = (struct error){0};
        bytes[i] ^= 1;
        if (!picture_latent_read_bytes(&back, bytes, n, "z", CHANNELS, &err)) {
            assert_memory_equal(back.values, values, sizeof values);
            assert_true(!back.autoencoder[0] ||
                        (!strcmp(back.autoencoder, mine) && back.seed == 5 && back.height == 21 &&
                         back.width == 40));
        } else {
            assert_true(err.text[0] != 0);
        }
        picture_latent_release(&back);
        bytes[i] ^= 1;
    }
    bytes[n - 1] ^= 1;
    assert_int_equal(file_write(path, bytes, n, NULL), OK);
    must_refuse(CHANNELS, "damaged: its checksum is ");
    assert_int_equal(file_write(path, bytes, n - 4, NULL), OK);
    must_refuse(CHANNELS, "");
    free(bytes);
}

/* Any bytes of a file, changed at random in several places, with a sentence or a latent in the end;
 * sanitizers look on. */
static void test_any_bytes(void **state)
{
    struct picture_latent z = some(), back;
    struct rng r = rng_stream(1, RNG_TEST, 0);
    uint8_t *bytes, *changed;
    uint64_t n;

    (void)state;
    assert_int_equal(picture_latent_save(path, &z, NULL), OK);
    assert_int_equal(file_read(&bytes, &n, path, 1 << 20, NULL), OK);
    changed = malloc(n);
    assert_non_null(changed);
    for (int k = 0; k < 4000; k++) {
        uint64_t length = k % 3 ? n : rng_below(&r, n + 1);
        struct error err = {0};

        memcpy(changed, bytes, n);
        for (int i = 0; i < 1 + k % 5; i++)
            changed[rng_below(&r, n)] = (uint8_t)rng_u32(&r);
        if (picture_latent_read_bytes(&back, changed, length, "z", CHANNELS, &err))
            assert_true(err.text[0] != 0);
        picture_latent_release(&back);
    }
    free(changed);
    free(bytes);
}

/* --- others -------------------------------------------------------------------------------------
 */

/* A file with one tensor of this shape and perhaps a word on its layout. */
static void write_other(int rank, int64_t a, int64_t b, int64_t c, int64_t d, const char *layout)
{
    struct save_tensor t = {
        .name = "x", .dtype = FILE_F32, .rank = rank, .dim = {a, b, c, d}, .bytes = values};
    struct save_text text = {"layout", layout};

    assert_int_equal(safetensors_save(path, &t, 1, &text, layout ? 1 : 0, NULL), OK);
}

/* The number at row 1, column 2, channel 3 as it was written. */
static void check_other(bool channels_first, int64_t rows, int64_t columns)
{
    struct picture_latent z;
    float want = channels_first ? values[(3 * rows + 1) * columns + 2]
                                : values[(columns + 2) * CHANNELS + 3];

    must_read(&z, CHANNELS);
    assert_true(z.rows == rows && z.columns == columns && z.channels == CHANNELS);
    assert_true(z.values[(columns + 2) * CHANNELS + 3] == want);
    assert_true(!z.autoencoder[0] && !z.picture[0] && !z.height && !z.width);
    picture_latent_release(&z);
}

static void test_layouts(void **state)
{
    (void)state;
    write_other(3, ROWS, COLUMNS, CHANNELS, 0, NULL);
    check_other(false, ROWS, COLUMNS);
    write_other(3, CHANNELS, ROWS, COLUMNS, 0, NULL);
    check_other(true, ROWS, COLUMNS);
    write_other(4, 1, CHANNELS, ROWS, COLUMNS, NULL);
    check_other(true, ROWS, COLUMNS);
    write_other(4, 1, ROWS, COLUMNS, CHANNELS, NULL);
    check_other(false, ROWS, COLUMNS);
    /* Both sides could be the channels. */
    write_other(3, CHANNELS, 3, CHANNELS, 0, NULL);
    check_other(false, CHANNELS, 3);
    write_other(4, 1, CHANNELS, 3, CHANNELS, NULL);
    check_other(true, 3, CHANNELS);
    write_other(3, CHANNELS, 3, CHANNELS, 0, "channels_first");
    check_other(true, 3, CHANNELS);
    write_other(4, 1, CHANNELS, 3, CHANNELS, "channels_last");
    check_other(false, CHANNELS, 3);
}

static void test_refusals(void **state)
{
    struct save_tensor two[2] = {
        {.name = "a", .dtype = FILE_F32, .rank = 1, .dim = {4}, .bytes = values},
        {.name = "b", .dtype = FILE_F32, .rank = 1, .dim = {4}, .bytes = values},
    };
    struct save_text cache = {"imgen.latents", "{}"}, ours = {"imgen.latent", "{}"};

    (void)state;
    write_other(3, ROWS, COLUMNS, CHANNELS, 0, NULL);
    must_refuse(7, "\"x\" [3, 5, 4] is no latent of one picture with 7 channels");
    write_other(4, 2, CHANNELS, 2, 2, NULL);
    must_refuse(CHANNELS, "[2, 4, 2, 2] is no latent of one picture");
    write_other(2, ROWS, CHANNELS, 0, 0, NULL);
    must_refuse(CHANNELS, "[3, 4] is no latent");
    write_other(3, 0, COLUMNS, CHANNELS, 0, NULL);
    must_refuse(CHANNELS, "a latent of 5 x 0");
    assert_int_equal(safetensors_save(path, two, 2, NULL, 0, NULL), OK);
    must_refuse(CHANNELS, "2 tensors, where a latent is one");
    assert_int_equal(safetensors_save(path, two, 1, &cache, 1, NULL), OK);
    must_refuse(CHANNELS, "a part of a cache of latents");
    assert_int_equal(safetensors_save(path, two, 1, &ours, 1, NULL), OK);
    must_refuse(CHANNELS, "there is no tensor \"latent\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, fresh, gone),
        cmocka_unit_test_setup_teardown(test_damage, fresh, gone),
        cmocka_unit_test_setup_teardown(test_any_bytes, fresh, gone),
        cmocka_unit_test_setup_teardown(test_layouts, fresh, gone),
        cmocka_unit_test_setup_teardown(test_refusals, fresh, gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
