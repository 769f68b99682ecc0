/*
 * test_codec_clip.c - clips as files hold them, to latents as files hold them, and back: any size,
 * any number of frames, tiles, samples, and latents that are none
 */
#include "pipeline/codec_clip.h"

#include "base/file.h"
#include "base/rng.h"
#include "pipeline/codec_picture.h"
#include "pipeline/codec_video.h"
#include "pipeline/picture.h"
#include "support/models.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char hash[] = "3333333333333333333333333333333333333333333333333333333333333333";
/* Factor 4 in space, 2 in time, two latent channels. */
static const char of_clips[] =
    "\"model\": {\"network\": \"video_vae\"}, \"video_vae\": {\"size\": 16, \"frames\": 4, "
    "\"latent_channels\": 2, \"width\": 4, \"mult\": [1, 1, 1], \"blocks\": 1, \"groups\": 2, "
    "\"middle_attention\": false, \"halvings\": 1}";
static const char of_pictures[] =
    "\"model\": {\"network\": \"vae\"}, \"vae\": {\"size\": 16, \"latent_channels\": 2, \"width\": "
    "4, \"mult\": [1, 1, 1], \"blocks\": 1, \"groups\": 2, \"middle_attention\": false}";

static struct model *model;
static struct codec *codec;
static char folder[TEMP_PATH];

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(folder);
    model = model_random(of_clips, 1);
    return codec_new(&codec, model->network, hash, 2, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    codec_free(codec);
    model_free(model);
    temp_dir_remove(folder);
    return 0;
}

static struct clip some_clip(int64_t frames, int64_t height, int64_t width, int64_t channels)
{
    struct rng r = rng_stream(4, RNG_TEST, (uint64_t)frames);
    uint8_t *frame = malloc((size_t)(height * width * channels));
    struct clip c;

    assert_int_equal(clip_begin(&c, height, width, channels, NULL), OK);
    for (int64_t t = 0; t < frames; t++) {
        for (int64_t i = 0; i < height * width * channels; i++)
            frame[i] = (uint8_t)rng_below(&r, 256);
        assert_int_equal(clip_add(&c, frame, NULL), OK);
    }
    c.rate = 12;
    free(frame);
    return c;
}

/* By way of a file, in its own size and length. */
static void check_size(int64_t frames, int64_t height, int64_t width, int64_t channels)
{
    struct clip c = some_clip(frames, height, width, channels), back;
    struct picture_latent z, again;
    struct error err = {0};
    char path[TEMP_PATH];

    if (codec_encode_clip(&z, codec, &c, NULL, &err))
        fail_msg("%s", err.text);
    assert_true(z.frames == frames && z.height == height && z.width == width && z.rate == 12);
    assert_true(z.cells == (frames + 1) / 2 && z.rows == (height + 3) / 4);
    assert_true(z.columns == (width + 3) / 4 && z.channels == 2);
    assert_int_equal(picture_latent_save(temp_path(path, folder, "z.safetensors"), &z, NULL), OK);
    if (picture_latent_read(&again, path, 2, &err))
        fail_msg("%s", err.text);
    assert_true(again.frames == frames && again.cells == z.cells && again.rate == 12);
    assert_memory_equal(z.values, again.values,
                        (size_t)(z.cells * z.rows * z.columns * 2) * sizeof *z.values);
    if (codec_decode_clip(&back, codec, &again, NULL, &err))
        fail_msg("%s", err.text);
    assert_true(back.frames == frames && back.height == height && back.width == width);
    assert_true(back.channels == 3 && back.rate == 12);
    clip_release(&back);
    picture_latent_release(&z);
    picture_latent_release(&again);
    clip_release(&c);
}

static void sizes_come_back(void **state)
{
    (void)state;
    check_size(1, 16, 16, 3);
    check_size(5, 16, 16, 3);
    check_size(6, 13, 18, 3);
    check_size(3, 9, 5, 1);
    check_size(2, 8, 8, 4);
    check_size(70, 8, 12, 3);
}

/* The numbers are those of codec_video.c, of the clip with its edges repeated. */
static void numbers_are_the_codecs(void **state)
{
    enum { T = 5, H = 6, W = 7, TALL = 8, WIDE = 8, CELLS = 3 * 2 * 2 * 2 };
    static float x[T * TALL * WIDE * 3], want[CELLS], y[T * TALL * WIDE * 3];
    struct clip c = some_clip(T, H, W, 3), back;
    const struct video_size size = {T, TALL, WIDE};
    struct picture_latent z;

    (void)state;
    for (int t = 0; t < T; t++)
        for (int i = 0; i < TALL; i++)
            for (int j = 0; j < WIDE; j++)
                for (int k = 0; k < 3; k++) {
                    int row = i < H ? i : H - 1, column = j < W ? j : W - 1;

                    x[((t * TALL + i) * WIDE + j) * 3 + k] =
                        (float)c.pixels[((t * H + row) * W + column) * 3 + k] / 127.5f - 1;
                }
    assert_int_equal(codec_encode_videos(codec, want, x, 1, &size, NULL, NULL), OK);
    assert_int_equal(codec_encode_clip(&z, codec, &c, NULL, NULL), OK);
    assert_memory_equal(z.values, want, sizeof want);
    assert_int_equal(codec_decode_videos(codec, y, want, 1, &size, NULL, NULL), OK);
    assert_int_equal(codec_decode_clip(&back, codec, &z, NULL, NULL), OK);
    for (int t = 0; t < T; t++)
        for (int i = 0; i < H; i++)
            for (int j = 0; j < W * 3; j++) {
                uint8_t level;

                assert_int_equal(picture_levels(&level, y + (t * TALL + i) * WIDE * 3 + j, 1, NULL),
                                 OK);
                assert_int_equal(level, back.pixels[(t * H + i) * W * 3 + j]);
            }
    clip_release(&back);
    picture_latent_release(&z);
    clip_release(&c);
}

/* A sample is the seed's and the pixels'; the same autoencoder of pictures has a latent a frame. */
static void samples_and_pictures(void **state)
{
    const struct codec_limits one = {.sample = true, .seed = 1, .first = 5};
    const struct codec_limits same = {.sample = true, .seed = 1, .first = 9};
    const struct codec_limits other = {.sample = true, .seed = 2};
    struct clip c = some_clip(4, 16, 16, 3), back;
    struct picture_latent a, b;
    struct model *m = model_random(of_pictures, 2);
    struct codec *frames;
    size_t bytes;

    (void)state;
    assert_int_equal(codec_encode_clip(&a, codec, &c, &one, NULL), OK);
    assert_int_equal(codec_encode_clip(&b, codec, &c, &same, NULL), OK);
    bytes = (size_t)(a.cells * a.rows * a.columns * a.channels) * sizeof *a.values;
    assert_true(a.sampled && a.seed == 1);
    assert_memory_equal(a.values, b.values, bytes);
    picture_latent_release(&b);
    assert_int_equal(codec_encode_clip(&b, codec, &c, &other, NULL), OK);
    assert_memory_not_equal(a.values, b.values, bytes);
    picture_latent_release(&a);
    picture_latent_release(&b);
    assert_int_equal(codec_new(&frames, m->network, hash, 2, NULL), OK);
    assert_int_equal(codec_encode_clip(&a, frames, &c, NULL, NULL), OK);
    assert_true(a.cells == 4 && a.frames == 4);
    assert_int_equal(codec_decode_clip(&back, frames, &a, NULL, NULL), OK);
    assert_int_equal(back.frames, 4);
    picture_latent_release(&a);
    clip_release(&back);
    clip_release(&c);
    codec_free(frames);
    model_free(m);
}

/* The length of the tiles is a wish, and the joints are theirs. */
static void tiles_and_joints(void **state)
{
    static const int64_t want[] = {4, 8, 12, 16};
    const struct codec_limits by8 = {.frames = 8}, whole = {.frames = 64};
    const struct video_size size = {20, 8, 8};
    struct clip c = some_clip(20, 8, 8, 3), a, b;
    struct picture_latent z;
    int64_t joint[20], n;

    (void)state;
    assert_int_equal(codec_video_joints(joint, &n, codec, &size, &by8, NULL), OK);
    assert_int_equal(n, 4);
    assert_memory_equal(joint, want, sizeof want);
    assert_int_equal(codec_video_joints(joint, &n, codec, &size, NULL, NULL), OK);
    assert_int_equal(n, 0);
    assert_int_equal(codec_encode_clip(&z, codec, &c, &whole, NULL), OK);
    assert_int_equal(codec_decode_clip(&a, codec, &z, &whole, NULL), OK);
    assert_int_equal(codec_decode_clip(&b, codec, &z, &by8, NULL), OK);
    assert_true(a.frames == 20 && b.frames == 20);
    assert_memory_not_equal(a.pixels, b.pixels, 20 * 8 * 8 * 3);
    clip_release(&a);
    clip_release(&b);
    clip_release(&c);
    picture_latent_release(&z);
}

/* --- what is none -------------------------------------------------------------------------------
 */

static void refused(const struct picture_latent *z, const char *says)
{
    struct error err = {0};
    struct clip out;

    assert_int_equal(codec_decode_clip(&out, codec, z, NULL, &err), E_FORMAT);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
}

static void latents_that_are_none(void **state)
{
    struct clip c = some_clip(6, 8, 8, 3), none = {.height = 8, .width = 8, .channels = 3};
    struct picture_latent z, kept;
    struct error err = {0};
    struct image im;

    (void)state;
    assert_int_equal(codec_encode_clip(&z, codec, &none, NULL, &err), E_ARG);
    assert_non_null(strstr(err.text, "without frames"));
    assert_int_equal(codec_encode_clip(&z, codec, &c, NULL, NULL), OK);
    kept = z;
    z.frames = 9;
    refused(&z, "a latent of 3 frames of 2 x 2 cells is none of a clip of 9 frames");
    z = kept;
    z.width = 12;
    refused(&z, "that has 3 of 3 x 2");
    z = kept;
    assert_int_equal(codec_decode_picture(&im, codec, &z, NULL, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "the latent of a clip of 6 frames"));
    picture_latent_release(&z);
    clip_release(&c);
}

/* A file whose numbers and words disagree.  Every byte changed is the checksum's to find. */
static void files_that_are_none(void **state)
{
    static const struct {
        const char *from, *to, *says;
    } edits[] = {
        {"\\\"frames\\\":6", "\\\"frames\\\":0", "frames"},
        {"\\\"frames\\\":6", "\\\"frames\\\":2", "3 latents of a clip of 2 frames"},
        {"\\\"frames\\\":6", "\\\"framez\\\":6", "says nothing of frames"},
        {"\\\"frames\\\":6", "\\\"frames\\\":5", "damaged"},
    };
    struct clip c = some_clip(6, 8, 8, 3);
    struct picture_latent z;
    char path[TEMP_PATH];
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    assert_int_equal(codec_encode_clip(&z, codec, &c, NULL, NULL), OK);
    assert_int_equal(picture_latent_save(temp_path(path, folder, "z.safetensors"), &z, NULL), OK);
    picture_latent_release(&z);
    clip_release(&c);
    assert_int_equal(file_read(&bytes, &n, path, 1 << 20, NULL), OK);
    for (size_t k = 0; k < sizeof edits / sizeof *edits; k++) {
        size_t length = strlen(edits[k].from);
        struct error err = {0};
        uint8_t *at = bytes;

        while (memcmp(at, edits[k].from, length) != 0)
            assert_true((uint64_t)(++at - bytes) + length < n);
        memcpy(at, edits[k].to, length);
        assert_int_equal(picture_latent_read_bytes(&z, bytes, n, "z", 2, &err), E_FORMAT);
        if (!strstr(err.text, edits[k].says))
            fail_msg("'%s' does not say '%s'", err.text, edits[k].says);
        picture_latent_release(&z);
        memcpy(at, edits[k].from, length);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_come_back),       cmocka_unit_test(numbers_are_the_codecs),
        cmocka_unit_test(samples_and_pictures),  cmocka_unit_test(tiles_and_joints),
        cmocka_unit_test(latents_that_are_none), cmocka_unit_test(files_that_are_none),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
