/*
 * test_video.c - MP4 and WebM through the plugin: near what was written, bounded, and damage
 * survived
 *
 * Without the plugin what is told of its lack is tested, and the rest skipped.
 */
#include "base/file.h"
#include "base/rng.h"
#include "io/clip.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { T = 12, H = 48, W = 64, FUZZ = 300 };

static const char *const names[] = {"a.mp4", "a.webm", "a.M4V"};
enum { NAMES = sizeof names / sizeof *names, FORMATS = 2 };

static char dir[TEMP_PATH];

static bool plugged(void)
{
    return clip_check_name("a.mp4", NULL) == OK;
}

#define NEEDS_PLUGIN()                                                            \
    do {                                                                          \
        if (!plugged()) {                                                         \
            print_message("skipped: the plugin for MP4 and WebM is not built\n"); \
            skip();                                                               \
        }                                                                         \
    } while (0)

/* A bright disc that moves over a slope of colours. */
static struct clip clip_new(int64_t height, int64_t width, int64_t channels, double rate)
{
    uint8_t *pixels = malloc((size_t)(height * width * channels));
    struct clip c;

    assert_non_null(pixels);
    assert_int_equal(clip_begin(&c, height, width, channels, NULL), OK);
    for (int64_t t = 0; t < T; t++) {
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++) {
                double d = hypot((double)(y - height / 2), (double)(x - 8 - 3 * t)) - 7;
                double in = d < -1 ? 1 : d > 1 ? 0 : (1 - d) / 2;

                for (int64_t k = 0; k < channels; k++) {
                    double ground = 40 + 90 * (double)(k == 1 ? y : x) / (double)width;
                    double ink = k == 0 ? 220 : 60 + 40 * (double)k;

                    pixels[(y * width + x) * channels + k] =
                        (uint8_t)lrint(ground + in * (ink - ground));
                }
            }
        assert_int_equal(clip_add(&c, pixels, NULL), OK);
    }
    c.rate = rate;
    free(pixels);
    return c;
}

/* In dB; grey clips come back in three equal channels. */
static double psnr(const struct clip *a, const struct clip *b)
{
    int64_t n = a->frames * a->height * a->width;
    double sum = 0;

    assert_true(a->frames == b->frames && a->height == b->height && a->width == b->width);
    assert_int_equal(b->channels, 3);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < 3; k++) {
            double d = (double)a->pixels[i * a->channels + (a->channels == 1 ? 0 : k)] -
                       b->pixels[i * 3 + k];

            sum += d * d;
        }
    return 10 * log10(255.0 * 255 * 3 * (double)n / (sum > 0 ? sum : 1));
}

static void round_trip(const char *name, const struct clip *c, int quality, double least)
{
    char path[TEMP_PATH];
    struct error err = {0};
    struct clip back;

    temp_path(path, dir, name);
    if (clip_write(path, c, quality, &err) || clip_read(&back, path, 0, &err))
        fail_msg("%s", err.text);
    if (psnr(c, &back) < least)
        fail_msg("%s, quality %d: %.1f dB, should be %.0f", name, quality, psnr(c, &back), least);
    assert_true(fabs(back.rate - c->rate) < 1e-3);
    clip_release(&back);
}

static void clips_come_back_nearly(void **state)
{
    (void)state;
    NEEDS_PLUGIN();
    for (int k = 0; k < NAMES; k++)
        for (int64_t channels = 1; channels <= 3; channels += 2) {
            struct clip c = clip_new(H, W, channels, channels == 1 ? 8 : 29.97);

            round_trip(names[k], &c, CLIP_LOSSLESS, 34);
            round_trip(names[k], &c, 60, 26);
            clip_release(&c);
        }
}

/* Sides that are odd, and the smallest that generators make. */
static void any_size_comes_back(void **state)
{
    static const int64_t sides[][2] = {{33, 47}, {16, 16}, {32, 32}, {17, 64}};

    (void)state;
    NEEDS_PLUGIN();
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        for (int k = 0; k < FORMATS; k++) {
            struct clip c = clip_new(sides[i][0], sides[i][1], 3, 16);

            round_trip(names[k], &c, CLIP_LOSSLESS, 30);
            clip_release(&c);
        }
}

static void equal_clips_give_equal_bytes(void **state)
{
    char one[TEMP_PATH], two[TEMP_PATH];

    (void)state;
    NEEDS_PLUGIN();
    for (int k = 0; k < FORMATS; k++) {
        struct clip c = clip_new(H, W, 3, 8);
        uint8_t *a, *b;
        uint64_t n, m;

        temp_path(one, dir, names[k]);
        temp_path(two, dir, k ? "b.webm" : "b.mp4");
        assert_int_equal(clip_write(one, &c, 80, NULL), OK);
        assert_int_equal(clip_write(two, &c, 80, NULL), OK);
        assert_int_equal(file_read(&a, &n, one, 1 << 20, NULL), OK);
        assert_int_equal(file_read(&b, &m, two, 1 << 20, NULL), OK);
        assert_true(n == m && !memcmp(a, b, n));
        free(a);
        free(b);
        clip_release(&c);
    }
}

static void the_first_frames_are_enough(void **state)
{
    char path[TEMP_PATH];

    (void)state;
    NEEDS_PLUGIN();
    for (int k = 0; k < FORMATS; k++) {
        struct clip c = clip_new(H, W, 3, 8), back;

        temp_path(path, dir, names[k]);
        assert_int_equal(clip_write(path, &c, 90, NULL), OK);
        for (int64_t most = 1; most <= T + 1; most += 4) {
            assert_int_equal(clip_read(&back, path, most, NULL), OK);
            assert_int_equal(back.frames, most > T ? T : most);
            clip_release(&back);
        }
        clip_release(&c);
    }
}

/* ---- Damage ---- */

static void must_be_sane(const uint8_t *bytes, size_t n)
{
    struct error err = {0};
    struct clip c;

    if (clip_decode(&c, bytes, n, 0, "damaged", &err)) {
        assert_true(err.text[0] && !c.pixels);
        return;
    }
    assert_true(c.frames > 0 && c.frames <= CLIP_FRAMES && c.height > 0 && c.width > 0);
    assert_true(c.frames * c.height * c.width <= CLIP_PIXELS);
    clip_release(&c);
}

static void damage_is_survived(void **state)
{
    char path[TEMP_PATH];

    (void)state;
    NEEDS_PLUGIN();
    for (int k = 0; k < FORMATS; k++) {
        struct rng r = rng_stream(7, RNG_TEST, (uint64_t)k);
        struct clip c = clip_new(16, 16, 3, 8);
        uint8_t *good, *bad;
        uint64_t n;

        temp_path(path, dir, names[k]);
        assert_int_equal(clip_write(path, &c, 60, NULL), OK);
        assert_int_equal(file_read(&good, &n, path, 1 << 20, NULL), OK);
        bad = malloc(n);
        assert_non_null(bad);
        for (int i = 0; i < FUZZ; i++) {
            uint64_t length = i % 3 ? n : (uint64_t)rng_below(&r, (int64_t)n);

            memcpy(bad, good, n);
            for (int64_t hits = rng_below(&r, 12); hits >= 0; hits--)
                bad[rng_below(&r, (int64_t)n)] = (uint8_t)rng_u32(&r);
            must_be_sane(bad, length);
        }
        free(good);
        free(bad);
        clip_release(&c);
    }
}

static void what_is_none_is_refused(void **state)
{
    static const uint8_t box[32] = {0, 0, 0, 32, 'f', 't', 'y', 'p', 'i', 's', 'o', 'm'};
    static const uint8_t ebml[32] = {0x1A, 0x45, 0xDF, 0xA3, 0x80};
    struct error err = {0};
    char path[TEMP_PATH];
    struct clip c;

    (void)state;
    NEEDS_PLUGIN();
    assert_int_equal(clip_decode(&c, box, sizeof box, 0, "box", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "box: MP4: "));
    assert_int_equal(clip_decode(&c, ebml, sizeof ebml, 0, "header", &err), E_FORMAT);
    assert_non_null(strstr(err.text, "header: WebM: "));
    c = clip_new(4, 4, 4, 8);
    temp_path(path, dir, "alpha.mp4");
    assert_int_equal(clip_write(path, &c, 90, &err), E_ARG);
    assert_non_null(strstr(err.text, "alpha"));
    clip_release(&c);
}

/* ---- Without it ---- */

static void its_lack_is_told(void **state)
{
    static const uint8_t box[32] = {0, 0, 0, 32, 'f', 't', 'y', 'p', 'i', 's', 'o', 'm'};
    struct error err = {0};
    struct clip c;

    (void)state;
    assert_true(clip_named("a.mp4") && clip_named("b.webm") && clip_writable("c.M4V"));
    assert_int_equal(clip_check_name("a.avi", &err), E_ARG);
    assert_int_equal(clip_check_name("a.y4m", &err), OK);
    if (plugged())
        return;
    assert_int_equal(clip_check_name("a.webm", &err), E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "libavformat"));
    assert_int_equal(clip_decode(&c, box, sizeof box, 0, "box", &err), E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "libavformat"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clips_come_back_nearly),
        cmocka_unit_test(any_size_comes_back),
        cmocka_unit_test(equal_clips_give_equal_bytes),
        cmocka_unit_test(the_first_frames_are_enough),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(its_lack_is_told),
    };

    int failed;

    temp_dir_new(dir);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    temp_dir_remove(dir);
    return failed;
}
