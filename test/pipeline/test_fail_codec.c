/*
 * test_fail_codec.c - pictures through an autoencoder and back, with everything failing once
 *
 * From the file of an autoencoder to a file of a latent and to the picture again, each time with
 * one more allocation or file call succeeding before one fails: the failure is told, nothing is
 * leaked (LeakSanitizer looks), and a failure that is survived is not seen in the picture.
 */
#include "pipeline/codec_clip.h"
#include "pipeline/codec_picture.h"
#include "pipeline/windows.h"
#include "support/failing.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PUBLISHED GOLDEN_DIR "/arch/vae_published/vae4-tiny"
enum { HEIGHT = 20, WIDTH = 33 };

static const char path[] = "z.safetensors";
static uint8_t pixels[HEIGHT * WIDTH * 3];

static enum status there(struct codec *c, const struct codec_limits *l, struct error *err)
{
    const struct image im = {HEIGHT, WIDTH, 3, pixels};
    struct picture_latent z;
    enum status st;

    if (!(st = codec_encode_picture(&z, c, &im, l, err)))
        st = picture_latent_save(path, &z, err);
    picture_latent_release(&z);
    return st;
}

static enum status back(struct image *out, struct codec *c, const struct codec_limits *l,
                        struct error *err)
{
    struct picture_latent z;
    enum status st;

    if (!(st = picture_latent_read(&z, path, 4, err)))
        st = codec_decode_picture(out, c, &z, l, err);
    picture_latent_release(&z);
    return st;
}

static enum status go(struct image *out, const char *autoencoder, struct error *err)
{
    const struct codec_limits l = {.tile = 3, .overlap = 1, .sample = true, .seed = 4};
    struct codec *c;
    enum status st;

    *out = (struct image){0};
    if ((st = codec_open(&c, autoencoder, HALVES_BOTH, 1, err))) {
        assert_null(c);
        return st;
    }
    if (!(st = there(c, &l, err)))
        st = back(out, c, &l, err);
    codec_free(c);
    return st;
}

static void fail_each(const char *autoencoder, const struct image *want, int kind,
                      enum status expected)
{
    for (int64_t k = 0;; k++) {
        struct error err = {0};
        struct image got;
        enum status st;

        failing_arm(kind, k);
        st = go(&got, autoencoder, &err);
        if (st && (st != expected || err.status != st || !err.text[0]))
            fail_msg("kind %d, call %d: status %d, \"%s\"", kind, (int)k, (int)st, err.text);
        if (!st)
            assert_memory_equal(got.pixels, want->pixels, sizeof pixels);
        image_release(&got);
        if (!failing_disarm()) {
            assert_int_equal(st, OK);
            assert_true(k > 0);
            return;
        }
    }
}

static void there_and_back(void **state)
{
    static const char *const files[] = {PUBLISHED "/model.safetensors", PUBLISHED "/diffusers"};
    struct image want;

    (void)state;
    for (int i = 0; i < HEIGHT * WIDTH * 3; i++)
        pixels[i] = (uint8_t)(i * 5);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(go(&want, files[i], NULL), OK);
        assert_true(want.height == HEIGHT && want.width == WIDTH);
        fail_each(files[i], &want, FAILING_OWN, E_MEMORY);
        fail_each(files[i], &want, FAILING_JSON, E_MEMORY);
        fail_each(files[i], &want, FAILING_OPEN, E_IO);
        fail_each(files[i], &want, FAILING_READ, E_IO);
        fail_each(files[i], &want, FAILING_WRITE, E_IO);
        fail_each(files[i], &want, FAILING_SYNC, E_IO);
        fail_each(files[i], &want, FAILING_RENAME, E_IO);
        image_release(&want);
    }
}

/* --- clips and windows --------------------------------------------------------------------------
 */

enum { FRAMES = 3, CLIP = FRAMES * HEIGHT * WIDTH * 3 };
static uint8_t frames[CLIP];

static enum status go_clip(struct clip *out, struct error *err)
{
    const struct clip clip = {
        .frames = FRAMES, .height = HEIGHT, .width = WIDTH, .channels = 3, .pixels = frames};
    struct picture_latent z = {0};
    struct codec *c;
    enum status st;

    *out = (struct clip){0};
    if ((st = codec_open(&c, PUBLISHED "/model.safetensors", HALVES_BOTH, 1, err)))
        return st;
    if (!(st = codec_encode_clip(&z, c, &clip, NULL, err)))
        st = picture_latent_save(path, &z, err);
    picture_latent_release(&z);
    if (!st && !(st = picture_latent_read(&z, path, 4, err)))
        st = codec_decode_clip(out, c, &z, NULL, err);
    picture_latent_release(&z);
    codec_free(c);
    return st;
}

static void a_clip_there_and_back(void **state)
{
    static const int kinds[] = {FAILING_OWN, FAILING_JSON, FAILING_READ, FAILING_WRITE};
    struct clip want, got;

    (void)state;
    for (int i = 0; i < CLIP; i++)
        frames[i] = (uint8_t)(i * 3);
    assert_int_equal(go_clip(&want, NULL), OK);
    assert_true(want.frames == FRAMES && want.width == WIDTH);
    for (int i = 0; i < 4; i++)
        for (int64_t k = 0, armed = 1; armed; k += 1 + k / 16) {
            enum status expected = kinds[i] & FAILING_MEMORY ? E_MEMORY : E_IO, st;
            struct error err = {0};

            failing_arm(kinds[i], k);
            st = go_clip(&got, &err);
            armed = failing_disarm();
            if (st && (st != expected || !err.text[0]))
                fail_msg("kind %d, call %d: status %d, \"%s\"", kinds[i], (int)k, (int)st,
                         err.text);
            if (!st)
                assert_memory_equal(got.pixels, want.pixels, CLIP);
            clip_release(&got);
        }
    clip_release(&want);
}

static enum status no_prediction(void *self, double *out, const double *x, double t,
                                 unsigned branches, struct error *err)
{
    (void)self, (void)x, (void)t, (void)err;
    out[0] = branches;
    return OK;
}

static void windows_without_memory(void **state)
{
    const struct predictor of = {.predict = no_prediction, .rows = 1, .length = 3 * 3};
    struct frame_tiles along[3];
    bool armed = true;

    (void)state;
    for (int k = 0; k < 3; k++)
        assert_int_equal(frame_windows_plan(&along[k], k ? 5 : 1, k ? 3 : 1, k ? 1 : 0, NULL), OK);
    for (int64_t k = 0; armed; k++) {
        struct windows w;
        enum status st;

        failing_arm(FAILING_OWN, k);
        st = windows_init(&w, of, along, 1, NULL);
        armed = failing_disarm();
        assert_int_equal(st, armed ? E_MEMORY : OK);
        windows_release(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(there_and_back, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(a_clip_there_and_back, temp_enter, temp_leave),
        cmocka_unit_test(windows_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
