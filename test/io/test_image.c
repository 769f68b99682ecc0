/*
 * test_image.c - pictures as Pillow reads them, back as they went, and damage survived
 *
 * golden/io holds small files of each kind and, in expected.safetensors, the pixels that Pillow
 * reads from them.  PNG and lossless WebP must agree exactly, JPEG and lossy WebP to a few levels,
 * because decoders may round differently.
 */
#include "base/file.h"
#include "io/image.h"
#include "io/safetensors.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER GOLDEN_DIR "/io"

static const uint8_t black[3] = {0, 0, 0};

static void random_image(struct image *im, int64_t height, int64_t width, int64_t channels)
{
    uint32_t x = 12345;

    assert_int_equal(image_init(im, height, width, channels, NULL), OK);
    for (int64_t i = 0; i < height * width * channels; i++) {
        x = x * 1664525u + 1013904223u;
        im->pixels[i] = (uint8_t)(x >> 24);
    }
}

/* The largest difference of two pictures of the same size. */
static int distance(const struct image *a, const struct image *b)
{
    int64_t n = a->height * a->width * a->channels;
    int most = 0;

    assert_int_equal(a->height, b->height);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->channels, b->channels);
    for (int64_t i = 0; i < n; i++) {
        int d = abs(a->pixels[i] - b->pixels[i]);

        most = d > most ? d : most;
    }
    return most;
}

static void golden_files_agree(void **state)
{
    struct error err = {0};
    struct safetensors *f;

    (void)state;
    assert_int_equal(safetensors_open(&f, FOLDER "/expected.safetensors", &err), OK);
    assert_int_equal(safetensors_count(f), 33);
    for (int64_t i = 0; i < safetensors_count(f); i++) {
        const struct file_tensor *t = safetensors_at(f, i);
        struct image got, want = {t->dim[0], t->dim[1], t->dim[2], (uint8_t *)(uintptr_t)t->bytes};
        int allowed = strstr(t->name, ".jpg") || strstr(t->name, "lossy") ? 3 : 0, d;
        char path[TEMP_PATH];
        enum status st = image_read(&got, temp_path(path, FOLDER, t->name), &err);

        if (st)
            fail_msg("%s: %s", t->name, err.text);
        d = distance(&got, &want);
        if (d > allowed)
            fail_msg("%s: differs by %d levels", t->name, d);
        image_release(&got);
    }
    safetensors_close(f);
}

static void png_round_trips(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH], again[TEMP_PATH];
    const struct image_text texts[] = {
        {"parameters", "a caf\xC3\xA9\nSteps: 20"},
        {"recipe", "{\"prompt\":\"\xE7\x8C\xAB\"}"},
        {"empty", ""},
    };
    struct error err = {0};

    (void)state;
    temp_dir_new(dir);
    temp_path(path, dir, "a.png");
    temp_path(again, dir, "b.PNG");
    for (int64_t channels = 1; channels <= 4; channels++) {
        for (int64_t size = 1; size < 40; size += 7) {
            struct image im, back;
            uint8_t *a, *b;
            uint64_t n_a, n_b;
            char *text;

            random_image(&im, size, 41 - size, channels);
            assert_int_equal(png_write(path, &im, texts, 3, &err), OK);
            assert_int_equal(image_write(again, &im, texts, 3, &err), OK);
            assert_int_equal(image_read(&back, path, &err), OK);
            assert_int_equal(distance(&im, &back), 0);
            for (int i = 0; i < 3; i++) {
                assert_int_equal(png_read_text(&text, path, texts[i].key, &err), OK);
                assert_string_equal(text, texts[i].value);
                free(text);
            }
            assert_int_equal(png_read_text(&text, path, "none", &err), OK);
            assert_null(text);

            assert_int_equal(file_read(&a, &n_a, path, 1 << 20, &err), OK);
            assert_int_equal(file_read(&b, &n_b, again, 1 << 20, &err), OK);
            assert_int_equal(n_a, n_b);
            assert_memory_equal(a, b, n_a);
            free(a);
            free(b);
            image_release(&im);
            image_release(&back);
        }
    }
    temp_dir_remove(dir);
}

/* Smooth content, which lossy formats keep. */
static void gradient(struct image *im, int64_t channels)
{
    assert_int_equal(image_init(im, 23, 31, channels, NULL), OK);
    for (int64_t y = 0; y < 23; y++)
        for (int64_t x = 0; x < 31; x++)
            for (int64_t c = 0; c < channels; c++)
                im->pixels[(y * 31 + x) * channels + c] = (uint8_t)(5 * y + 3 * x + 10 * c);
}

static void lossy_formats_round_trip(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct error err = {0};
    struct image im, back, color;

    (void)state;
    temp_dir_new(dir);
    for (int64_t channels = 1; channels <= 4; channels++) {
        gradient(&im, channels);
        if (channels == 1 || channels == 3) {
            assert_int_equal(image_write(temp_path(path, dir, "a.jpeg"), &im, NULL, 0, &err), OK);
            assert_int_equal(image_read(&back, path, &err), OK);
            assert_true(distance(&im, &back) <= 6);
            image_release(&back);
        } else {
            assert_int_equal(jpeg_write(temp_path(path, dir, "a.jpg"), &im, 90, &err), E_ARG);
        }
        assert_int_equal(image_write(temp_path(path, dir, "a.webp"), &im, NULL, 0, &err), OK);
        assert_int_equal(image_read(&back, path, &err), OK);
        assert_int_equal(back.channels, channels % 2 ? 3 : 4);
        assert_int_equal(image_convert(&color, &im, 3, black, &err), OK);
        assert_int_equal(image_convert(&back, &back, 3, black, &err), OK);
        assert_true(distance(&color, &back) <= 12);
        image_release(&color);
        image_release(&back);
        image_release(&im);
    }
    temp_dir_remove(dir);
}

static void bad_requests_are_refused(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH], key[90];
    const char *const keys[] = {"", " a", "a ", "a  b", "a\n", "\xC3\xA9", key};
    struct error err = {0};
    struct image im, big;

    (void)state;
    memset(key, 'k', sizeof key);
    key[80] = 0;
    temp_dir_new(dir);
    gradient(&im, 3);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct image_text text = {keys[i], "value"};

        assert_int_equal(png_write(temp_path(path, dir, "a.png"), &im, &text, 1, &err), E_ARG);
    }
    assert_int_equal(png_write(path, &im, &(struct image_text){"key", "\xFF"}, 1, &err), E_ARG);
    assert_int_equal(jpeg_write(path, &im, 0, &err), E_ARG);
    assert_int_equal(webp_write(path, &im, 101, &err), E_ARG);
    assert_int_equal(image_write(temp_path(path, dir, "a.bmp"), &im, NULL, 0, &err), E_ARG);
    assert_int_equal(image_write(temp_path(path, dir, "png"), &im, NULL, 0, &err), E_ARG);
    assert_int_equal(image_init(&big, IMAGE_SIDE + 1, 1, 1, &err), E_FORMAT);
    assert_int_equal(image_init(&big, 0, 1, 1, &err), E_FORMAT);
    assert_int_equal(image_init(&big, IMAGE_SIDE, IMAGE_SIDE, 4, &err), E_FORMAT);
    assert_null(big.pixels);
    assert_int_equal(image_read(&big, FOLDER "/expected.safetensors", &err), E_FORMAT);
    assert_int_equal(image_read(&big, FOLDER "/animated.webp", &err), E_UNSUPPORTED);
    assert_int_equal(image_read(&big, FOLDER "/none.png", &err), E_IO);
    image_release(&im);
    temp_dir_remove(dir);
}

static const char *const every_kind[] = {
    "grey1-interlaced.png",
    "palette4-alpha.png",
    "rgb16-interlaced.png",
    "rgba16.png",
    "rgb8-turned.png",
    "texts.png",
    "turned6.jpg",
    "rgb-progressive.jpg",
    "cmyk.jpg",
    "grey.jpg",
    "lossy.webp",
    "alpha.webp",
    "turned6.webp",
    "animated.webp",
};
enum { N_KINDS = sizeof every_kind / sizeof *every_kind };

static void cut_files_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < N_KINDS; i++) {
        struct error err = {0};
        char path[TEMP_PATH], *text;
        uint8_t *bytes;
        uint64_t n;

        temp_path(path, FOLDER, every_kind[i]);
        assert_int_equal(file_read(&bytes, &n, path, 1 << 20, &err), OK);
        for (uint64_t cut = 0; cut < n; cut++) {
            uint8_t *part = malloc(cut ? cut : 1);
            struct image im;

            memcpy(part, bytes, cut);
            if (!image_decode(&im, part, cut, every_kind[i], &err))
                fail_msg("%s cut to %d bytes is a picture", every_kind[i], (int)cut);
            assert_null(im.pixels);
            assert_non_null(strstr(err.text, every_kind[i]));
            assert_int_equal(png_find_text(&text, part, cut, "deflated", &err), E_FORMAT);
            free(part);
        }
        free(bytes);
    }
}

/* What is read from damaged files is anything but a crash; PNG notices everything. */
static void damaged_files_are_survived(void **state)
{
    (void)state;
    for (int i = 0; i < N_KINDS; i++) {
        struct error err = {0};
        char path[TEMP_PATH];
        uint8_t *bytes;
        uint64_t n;

        temp_path(path, FOLDER, every_kind[i]);
        assert_int_equal(file_read(&bytes, &n, path, 1 << 20, &err), OK);
        for (uint64_t at = 0; at < n; at++) {
            uint8_t was = bytes[at];
            struct image im;
            enum status st;

            bytes[at] ^= (uint8_t)(1 + at * 37 % 255);
            st = image_decode(&im, bytes, n, every_kind[i], &err);
            if (!st)
                assert_true(im.channels >= 1 && im.channels <= 4);
            if (strstr(path, ".png"))
                assert_int_equal(st, E_FORMAT);
            image_release(&im);
            bytes[at] = was;
        }
        free(bytes);
    }
}

static void texts_are_read(void **state)
{
    char *text;
    struct error err = {0};
    const char *path = FOLDER "/texts.png";

    (void)state;
    assert_int_equal(png_read_text(&text, path, "parameters", &err), OK);
    assert_string_equal(text, "a caf\xC3\xA9, 20 steps\nSeed: 7");
    free(text);
    assert_int_equal(png_read_text(&text, path, "deflated", &err), OK);
    assert_int_equal(strlen(text), 5002);
    assert_string_equal(text + 4999, "x\xC3\xBF");
    free(text);
    assert_int_equal(png_read_text(&text, path, "unicode", &err), OK);
    assert_string_equal(text, "\xE7\x8C\xAB \xF0\x9F\x98\x80");
    free(text);
    assert_int_equal(png_read_text(&text, path, "both", &err), OK);
    assert_int_equal(strlen(text), 1400);
    free(text);
    assert_int_equal(png_read_text(&text, path, "empty", &err), OK);
    assert_string_equal(text, "");
    free(text);
    assert_int_equal(png_read_text(&text, path, "param", &err), OK);
    assert_null(text);
    assert_int_equal(png_read_text(&text, FOLDER "/text-bomb.png", "bomb", &err), E_FORMAT);
    assert_null(text);
    assert_int_equal(png_read_text(&text, FOLDER "/rgb.jpg", "bomb", &err), E_FORMAT);
}

/* A header that claims much more than the file can hold costs no memory. */
static void large_claims_are_refused(void **state)
{
    /* IHDR of 8192 x 8192 RGBA of 16 bits, an empty IDAT, IEND. */
    static const char huge[] = "\x89PNG\r\n\x1a\n"
                               "\0\0\0\x0dIHDR\0\0\x20\0\0\0\x20\0\x10\x06\0\0\0\x22\x3a\x16\x1a"
                               "\0\0\0\0IDAT\x35\xaf\x06\x1e"
                               "\0\0\0\0IEND\xae\x42\x60\x82";
    struct error err = {0};
    struct image im;

    (void)state;
    assert_int_equal(image_decode(&im, (const uint8_t *)huge, sizeof huge - 1, "huge", &err),
                     E_FORMAT);
    assert_non_null(strstr(err.text, "cannot come from"));
}

static void channels_are_converted(void **state)
{
    const uint8_t white[3] = {255, 255, 255}, odd[3] = {10, 20, 30};
    uint8_t rgba[] = {255, 0, 0, 255, 0, 0, 255, 0, 200, 100, 50, 128};
    struct image in = {1, 3, 4, rgba}, out, grey;
    struct error err = {0};

    (void)state;
    assert_int_equal(image_convert(&out, &in, 3, odd, &err), OK);
    assert_memory_equal(out.pixels, ((uint8_t[]){255, 0, 0, 10, 20, 30, 105, 60, 40}), 9);
    image_release(&out);
    assert_int_equal(image_convert(&out, &in, 1, white, &err), OK);
    assert_int_equal(out.pixels[0], 76); /* 0.299 * 255 */
    assert_int_equal(out.pixels[1], 255);
    assert_int_equal(image_convert(&grey, &out, 3, white, &err), OK);
    assert_int_equal(grey.pixels[0], 76);
    assert_int_equal(grey.pixels[2], 76);
    /* In place, there and back, grey stays what it was. */
    for (int v = 0; v < 256; v++) {
        memset(grey.pixels, v, 9);
        assert_int_equal(image_convert(&grey, &grey, 1, white, &err), OK);
        assert_int_equal(grey.pixels[1], v);
        assert_int_equal(image_convert(&grey, &grey, 3, white, &err), OK);
        assert_int_equal(grey.pixels[8], v);
    }
    image_release(&grey);
    image_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_files_agree),       cmocka_unit_test(png_round_trips),
        cmocka_unit_test(lossy_formats_round_trip), cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(cut_files_are_refused),    cmocka_unit_test(damaged_files_are_survived),
        cmocka_unit_test(texts_are_read),           cmocka_unit_test(large_claims_are_refused),
        cmocka_unit_test(channels_are_converted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
