/*
 * test_folder.c - folders of pictures: classes, order, alpha, cropping, bad files
 */
#include "base/file.h"
#include "data/dataset.h"
#include "io/image.h"
#include "support/temp.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A picture of one colour; alpha 0..255 with 4 channels. */
static void picture_write(const char *dir, const char *name, int64_t height, int64_t width,
                          int64_t channels, const uint8_t colour[4])
{
    struct image im = {0};
    char path[TEMP_PATH];

    assert_int_equal(image_init(&im, height, width, channels, NULL), OK);
    for (int64_t i = 0; i < height * width; i++)
        memcpy(im.pixels + i * channels, colour, (size_t)channels);
    assert_int_equal(image_write(temp_path(path, dir, name), &im, NULL, 0, NULL), OK);
    image_release(&im);
}

static void folder_make(const char *dir, const char *name, char out[TEMP_PATH])
{
    assert_int_equal(mkdir(temp_path(out, dir, name), 0700), 0);
}

/* dir/{apple/{b.png,a.jpg}, pear/c.webp, empty/, loose.png, notes.txt, .hidden.png} */
static void set_make(const char *dir)
{
    static const uint8_t red[4] = {255, 0, 0, 255}, green[4] = {0, 255, 0, 255};
    static const uint8_t blue[4] = {0, 0, 255, 255}, clear[4] = {10, 20, 30, 0};
    char sub[TEMP_PATH], path[TEMP_PATH];

    folder_make(dir, "pear", sub);
    picture_write(sub, "c.webp", 20, 20, 3, blue);
    folder_make(dir, "apple", sub);
    picture_write(sub, "b.png", 24, 16, 3, green);
    picture_write(sub, "a.JPG", 16, 40, 3, red);
    folder_make(dir, "empty", sub);
    picture_write(dir, "loose.png", 8, 8, 4, clear);
    picture_write(dir, ".hidden.png", 8, 8, 4, clear);
    assert_int_equal(file_write(temp_path(path, dir, "notes.txt"), "no", 2, NULL), OK);
}

static void colour_is(const float *pixels, int64_t n, float r, float g, float b, float slack)
{
    for (int64_t i = 0; i < n; i++) {
        assert_true(fabsf(pixels[3 * i] - r) <= slack);
        assert_true(fabsf(pixels[3 * i + 1] - g) <= slack);
        assert_true(fabsf(pixels[3 * i + 2] - b) <= slack);
    }
}

static void classes_and_order(void **state)
{
    char dir[TEMP_PATH], caption[CAPTION_TEXT];
    struct dataset_config c = {
        .format = "folder", .path = dir, .size = 16, .background = {255, 255, 255}};
    const float colours[4][3] = {{1, -1, -1}, {-1, 1, -1}, {1, 1, 1}, {-1, -1, 1}};
    const int32_t labels[4] = {0, 0, -1, 1};
    struct dataset *d = NULL;
    float pixels[16 * 16 * 3];
    int32_t label;

    (void)state;
    temp_dir_new(dir);
    set_make(dir);
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->count == 4 && d->n_classes == 2 && d->height == 16 && d->channels == 3 &&
                d->flips);
    assert_string_equal(d->class_names[0], "apple");
    assert_string_equal(d->class_names[1], "pear");
    for (int round = 0; round < 2; round++) /* the second time from what was kept */
        for (int64_t i = 0; i < 4; i++) {
            const float *q = colours[i];

            assert_int_equal(dataset_get(d, i, pixels, &label, caption, NULL), OK);
            assert_int_equal(label, labels[i]);
            colour_is(pixels, 16 * 16, q[0], q[1], q[2],
                      i == 2 ? 0 : 0.06f); /* JPEG, WebP: lossy */
            assert_string_equal(caption, label < 0 ? "" : d->class_names[label]);
        }
    dataset_close(d);
    temp_dir_remove(dir);
}

/* A wide picture loses its sides, not its shape: left third red, middle white, right blue. */
static void centre_is_cut_out(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct dataset_config c = {.format = "folder", .path = dir, .size = 16};
    struct dataset *d = NULL;
    struct image im = {0};
    float pixels[16 * 16 * 3];

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(image_init(&im, 32, 96, 3, NULL), OK);
    memset(im.pixels, 255, 32 * 96 * 3);
    for (int i = 0; i < 32 * 96; i++)
        if (i % 96 < 30 || i % 96 >= 66)
            memset(im.pixels + 3 * i, 0, 3);
    assert_int_equal(png_write(temp_path(path, dir, "wide.png"), &im, NULL, 0, NULL), OK);
    image_release(&im);
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->n_classes == 0);
    assert_int_equal(dataset_get(d, 0, pixels, NULL, NULL, NULL), OK);
    colour_is(pixels, 16 * 16, 1, 1, 1, 0.01f);
    dataset_close(d);
    temp_dir_remove(dir);
}

static void grey_on_request(void **state)
{
    static const uint8_t red[4] = {255, 0, 0, 255};
    char dir[TEMP_PATH];
    struct dataset_config c = {.format = "folder", .path = dir, .size = 8, .channels = 1};
    struct dataset *d = NULL;
    float pixels[8 * 8];

    (void)state;
    temp_dir_new(dir);
    picture_write(dir, "red.png", 8, 8, 3, red);
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    assert_true(d->channels == 1);
    assert_int_equal(dataset_get(d, 0, pixels, NULL, NULL, NULL), OK);
    assert_true(pixels[0] > -0.7f && pixels[0] < -0.1f);
    dataset_close(d);
    temp_dir_remove(dir);
}

static void bad_pictures_are_named(void **state)
{
    static const uint8_t red[4] = {255, 0, 0, 255};
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct dataset_config c = {.format = "folder", .path = dir, .size = 8};
    struct dataset *d = NULL;
    struct error err = {0};
    float pixels[8 * 8 * 3];

    (void)state;
    temp_dir_new(dir);
    picture_write(dir, "good.png", 8, 8, 3, red);
    assert_int_equal(file_write(temp_path(path, dir, "broken.png"), "\x89PNG", 4, NULL), OK);
    assert_int_equal(dataset_open(&d, &c, &err), OK);
    for (int round = 0; round < 2; round++) {
        assert_int_not_equal(dataset_get(d, 0, pixels, NULL, NULL, &err), OK);
        assert_non_null(strstr(err.text, "broken.png"));
        assert_int_equal(dataset_get(d, 1, pixels, NULL, NULL, &err), OK);
    }
    dataset_close(d);
    temp_dir_remove(dir);
}

static void what_cannot_be_opened(void **state)
{
    char dir[TEMP_PATH], path[TEMP_PATH];
    struct dataset_config c = {.format = "folder", .path = dir, .size = 8};
    struct dataset *d = NULL;
    struct error err = {0};

    (void)state;
    temp_dir_new(dir);
    assert_int_equal(dataset_open(&d, &c, &err), E_IO);
    assert_non_null(strstr(err.text, "no .png"));
    c.size = 0;
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    c.size = 8;
    c.path = temp_path(path, dir, "absent");
    assert_int_equal(dataset_open(&d, &c, &err), E_IO);
    assert_non_null(strstr(err.text, "absent"));
    assert_null(d);
    temp_dir_remove(dir);
}

static void *reader_run(void *arg)
{
    float pixels[16 * 16 * 3];

    for (int64_t k = 0; k < 40; k++)
        if (dataset_get(arg, k % 4, pixels, NULL, NULL, NULL))
            return arg;
    return NULL;
}

/* Four threads race to decode and keep the same pictures. */
static void readers_share_what_is_kept(void **state)
{
    char dir[TEMP_PATH];
    struct dataset_config c = {.format = "folder", .path = dir, .size = 16};
    struct dataset *d = NULL;
    pthread_t threads[4];

    (void)state;
    temp_dir_new(dir);
    set_make(dir);
    assert_int_equal(dataset_open(&d, &c, NULL), OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, d), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = d;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    dataset_close(d);
    temp_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_and_order),     cmocka_unit_test(centre_is_cut_out),
        cmocka_unit_test(grey_on_request),       cmocka_unit_test(bad_pictures_are_named),
        cmocka_unit_test(what_cannot_be_opened), cmocka_unit_test(readers_share_what_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
