/*
 * test_latent_clips.c - a cache of the latents of clips
 *
 * The encoder of these tests keeps every fourth frame and every eighth pixel, so that each number
 * of a latent is one of the clip.
 */
#include "data/latents.h"
#include "data/moving.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { T = 16, SIDE = 32, N = 11, CELLS = 4, FRAMES = 4, VALUES = FRAMES * CELLS * CELLS * 3 };
enum { LENGTH = T * SIDE * SIDE * 3 };

static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char folder[] = "."; /* the tests run in one of their own */

static void encode_one(float *z, const float *x)
{
    for (int t = 0; t < FRAMES; t++)
        for (int i = 0; i < CELLS * CELLS; i++)
            for (int c = 0; c < 3; c++)
                z[(t * CELLS * CELLS + i) * 3 + c] =
                    x[((t * 4 * SIDE + i / CELLS * 8) * SIDE + i % CELLS * 8) * 3 + c];
}

static enum status encode(float *z, const float *x, int64_t n, void *user, struct error *err)
{
    (void)user;
    (void)err;
    for (int64_t i = 0; i < n; i++)
        encode_one(z + i * VALUES, x + i * LENGTH);
    return OK;
}

static struct dataset *clips(void)
{
    struct dataset_config c = {.format = "moving", .frames = T, .limit = N, .seed = 3};
    struct dataset *d;

    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    return d;
}

static struct latents_job job(const struct dataset *d)
{
    return (struct latents_job){.pictures = d,
                                .folder = folder,
                                .autoencoder = hash,
                                .frames = FRAMES,
                                .height = CELLS,
                                .width = CELLS,
                                .channels = 3,
                                .batch = 2,
                                .part = 4,
                                .mirrored = true,
                                .encode = encode};
}

/* As the clip's, left to right in every frame where its number is odd. */
static void expected(float *z, const struct dataset *d, int64_t i, char caption[CAPTION_TEXT])
{
    static float x[LENGTH], y[LENGTH];
    int32_t label;

    assert_int_equal(dataset_get(d, i / 2, x, &label, caption, NULL), OK);
    for (int k = 0; k < LENGTH; k++) {
        int column = k / 3 % SIDE;

        y[k] = i % 2 ? x[k + (SIDE - 1 - 2 * column) * 3] : x[k];
    }
    encode_one(z, y);
}

static void latents_keep_their_frames(void **state)
{
    struct dataset_config c = {.format = "latents", .path = folder, .autoencoder = hash};
    struct dataset *d, *from = clips();
    struct latents_job j = job(from);
    const struct latents_info *info;
    struct error err = {0};

    (void)state;
    for (int again = 0; again < 2; again++) /* the second time, all parts are there */
        if (latents_write(&j, &err))
            fail_msg("%s", err.text);
    if (dataset_open(&d, &c, &err))
        fail_msg("%s", err.text);
    assert_true(d->count == 2 * N && d->frames == FRAMES && d->height == CELLS);
    assert_int_equal(dataset_length(d), VALUES);
    info = latents_info(d);
    for (int64_t i = 0; i < d->count; i++) {
        char caption[CAPTION_TEXT], wanted[CAPTION_TEXT];
        float got[VALUES], z[VALUES];
        int32_t label;

        expected(z, from, i, wanted);
        assert_int_equal(dataset_get(d, i, got, &label, caption, NULL), OK);
        assert_string_equal(caption, wanted);
        for (int k = 0; k < VALUES; k++)
            assert_true(fabs(info->mean[k % 3] + info->deviation[k % 3] * (double)got[k] -
                             (double)z[k]) < 1e-6);
    }
    dataset_close(d);
    c.frames = T;
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    assert_non_null(strstr(err.text, "16 frames asked, and the set has clips of 4"));
    dataset_close(from);
}

/* A cache of other frames is told apart, and neither gone on with nor overwritten. */
static void other_frames_are_refused(void **state)
{
    char path[TEMP_PATH];
    struct dataset *from = clips();
    struct latents_job j = job(from);
    struct error err = {0};

    (void)state;
    assert_int_equal(latents_write(&j, &err), OK);
    assert_int_equal(unlink(temp_path(path, folder, "latents.json")), 0);
    j.frames = 0;
    assert_int_equal(latents_write(&j, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "latents of 4 frames, not of 0"));
    j.frames = 2000;
    assert_int_equal(latents_write(&j, &err), E_ARG);
    j.frames = FRAMES;
    assert_int_equal(latents_write(&j, &err), OK);
    dataset_close(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(latents_keep_their_frames, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(other_frames_are_refused, temp_enter, temp_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
