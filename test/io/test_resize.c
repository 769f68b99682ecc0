/*
 * test_resize.c - scaled pictures as Pillow scales them
 *
 * golden/io/resize.safetensors holds pictures of 1 to 4 channels and what Pillow makes of them with
 * each filter, larger and smaller.  The arithmetic is the same, so every level must be.
 */
#include "io/image.h"
#include "io/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct image picture_of(const struct file_tensor *t)
{
    assert_non_null(t);
    return (struct image){t->dim[0], t->dim[1], t->dim[2], (uint8_t *)(uintptr_t)t->bytes};
}

static void same(const struct image *a, const struct image *b, const char *name)
{
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->channels, b->channels);
    if (memcmp(a->pixels, b->pixels, (size_t)(a->height * a->width * a->channels)))
        fail_msg("%s differs", name);
}

static void pillow_agrees(void **state)
{
    static const char *const filters[] = {"box", "bilinear", "bicubic", "lanczos"};
    struct error err = {0};
    struct safetensors *f;
    int compared = 0;

    (void)state;
    assert_int_equal(safetensors_open(&f, GOLDEN_DIR "/io/resize.safetensors", &err), OK);
    for (int64_t i = 0; i < safetensors_count(f); i++) {
        const struct file_tensor *t = safetensors_at(f, i);

        for (int k = 0; k < 4; k++) {
            size_t n = strlen(filters[k]);
            struct image in, want = picture_of(t), got;
            char name[8];

            if (strncmp(t->name, filters[k], n))
                continue;
            snprintf(name, sizeof name, "in.%c", t->name[n + 1]);
            in = picture_of(safetensors_find(f, name));
            assert_int_equal(
                image_resize(&got, &in, want.height, want.width, (enum resize_filter)k, &err), OK);
            same(&got, &want, t->name);
            image_release(&got);
            compared++;
        }
    }
    assert_int_equal(compared, 80);
    safetensors_close(f);
}

static void fitting_scales_and_cuts(void **state)
{
    struct error err = {0};
    struct safetensors *f;
    struct image in, want, got;

    (void)state;
    assert_int_equal(safetensors_open(&f, GOLDEN_DIR "/io/resize.safetensors", &err), OK);
    in = picture_of(safetensors_find(f, "in.3"));
    want = picture_of(safetensors_find(f, "fit.3.8x8"));
    assert_int_equal(image_fit(&got, &in, 8, 8, &err), OK);
    same(&got, &want, "fit");
    image_release(&got);
    for (int64_t h = 1; h < 40; h += 3) {
        for (int64_t w = 1; w < 40; w += 5) {
            assert_int_equal(image_fit(&got, &in, h, w, &err), OK);
            assert_int_equal(got.height, h);
            assert_int_equal(got.width, w);
            image_release(&got);
        }
    }
    safetensors_close(f);
}

/* A constant picture stays constant, black and white included, at any size and in place. */
static void constants_stay(void **state)
{
    struct error err = {0};

    (void)state;
    for (int value = 0; value < 256; value += 51) {
        for (int64_t size = 1; size < 50; size += 6) {
            struct image im;

            assert_int_equal(image_init(&im, 13, 14, 3, &err), OK);
            memset(im.pixels, value, 13 * 14 * 3);
            assert_int_equal(
                image_resize(&im, &im, size, 50 - size, (enum resize_filter)(size / 6 % 4), &err),
                OK);
            assert_int_equal(im.height, size);
            for (int64_t i = 0; i < size * (50 - size) * 3; i++)
                assert_int_equal(im.pixels[i], value);
            image_release(&im);
        }
    }
}

static void impossible_sizes_are_refused(void **state)
{
    struct error err = {0};
    struct image im, out;

    (void)state;
    assert_int_equal(image_init(&im, 3, 4, 1, &err), OK);
    assert_int_equal(image_resize(&out, &im, 0, 4, RESIZE_BOX, &err), E_FORMAT);
    assert_int_equal(image_resize(&im, &im, 1, IMAGE_SIDE + 1, RESIZE_BOX, &err), E_FORMAT);
    assert_int_equal(im.width, 4); /* in place, a failure leaves the picture alone */
    image_release(&im);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pillow_agrees),
        cmocka_unit_test(fitting_scales_and_cuts),
        cmocka_unit_test(constants_stay),
        cmocka_unit_test(impossible_sizes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
