/*
 * test_clip_path.c - clips by their paths: animations, folders of frames, folders of animations,
 * and what is broken, empty or of mixed sizes
 */
#include "data/clip_files.h"

#include "base/file.h"
#include "data/dataset.h"
#include "support/says.h"
#include "support/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { SIDE = 8, FRAME = SIDE * SIDE * 3 };

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(name, 0777), 0);
}

/* Grey of a level, so that a frame says which it is. */
static void write_frame(const char *name, int level, int64_t side)
{
    struct image im;

    assert_int_equal(image_init(&im, side, side, 3, NULL), OK);
    memset(im.pixels, level, (size_t)(side * side * 3));
    assert_int_equal(png_write(name, &im, NULL, 0, NULL), OK);
    image_release(&im);
}

static void write_clip(const char *name, int64_t frames, int64_t side)
{
    uint8_t pixels[FRAME * 4];
    struct clip c;

    assert_int_equal(clip_begin(&c, side, side, 3, NULL), OK);
    for (int64_t t = 0; t < frames; t++) {
        memset(pixels, (int)(10 + 20 * t), sizeof pixels);
        assert_int_equal(clip_add(&c, pixels, NULL), OK);
    }
    c.rate = 10;
    assert_int_equal(clip_write(name, &c, CLIP_LOSSLESS, NULL), OK);
    clip_release(&c);
}

static void frames_of_a_folder(void **state)
{
    static const int want[] = {20, 90, 100};
    char hash[HASH_TEXT], other[HASH_TEXT];
    struct clip c;

    (void)state;
    make_folder("f");
    write_frame("f/10.png", 100, SIDE);
    write_frame("f/2.png", 20, SIDE);
    write_frame("f/9.png", 90, SIDE);
    make_folder("f/below");
    write_frame("f/below/1.png", 1, SIDE);
    assert_int_equal(file_write("f/notes.txt", (const uint8_t *)"x", 1, NULL), OK);
    assert_int_equal(clip_path_read(&c, "f", 0, NULL), OK);
    assert_int_equal(c.frames, 3);
    for (int t = 0; t < 3; t++)
        assert_int_equal(c.pixels[t * FRAME], want[t]);
    clip_release(&c);
    assert_int_equal(clip_path_read(&c, "f", 2, NULL), OK);
    assert_int_equal(c.frames, 2);
    clip_release(&c);
    assert_int_equal(clip_path_hash(hash, "f", NULL), OK);
    write_frame("f/9.png", 91, SIDE);
    assert_int_equal(clip_path_hash(other, "f", NULL), OK);
    assert_string_not_equal(hash, other);
}

static void files_are_clips_too(void **state)
{
    char hash[HASH_TEXT], want[HASH_TEXT];
    struct clip c;

    (void)state;
    write_clip("a.webp", 5, SIDE);
    assert_int_equal(clip_path_read(&c, "a.webp", 0, NULL), OK);
    assert_true(c.frames == 5 && c.rate > 9.9 && c.rate < 10.1);
    clip_release(&c);
    write_frame("still.png", 7, SIDE);
    assert_int_equal(clip_path_read(&c, "still.png", 0, NULL), OK);
    assert_int_equal(c.frames, 1);
    clip_release(&c);
    assert_int_equal(clip_path_hash(hash, "a.webp", NULL), OK);
    assert_int_equal(hash_file(want, "a.webp", NULL), OK);
    assert_string_equal(hash, want);
}

static void must_refuse(const char *name, enum status want, const char *says)
{
    struct error err = {0};
    struct clip c;

    assert_int_equal(clip_path_read(&c, name, 0, &err), want);
    assert_null(c.pixels);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
}

static void what_is_refused(void **state)
{
    struct error err = {0};
    char hash[HASH_TEXT];

    (void)state;
    must_refuse("nothing.webp", E_IO, "nothing.webp");
    make_folder("empty");
    must_refuse("empty", E_FORMAT, "no .png, .jpg or .webp frames in this folder");
    assert_int_equal(clip_path_hash(hash, "empty", &err), E_FORMAT);
    make_folder("mixed");
    write_frame("mixed/0.png", 1, SIDE);
    write_frame("mixed/1.png", 1, 2 * SIDE);
    must_refuse("mixed", E_FORMAT,
                "mixed/1.png: 16 x 16 pixels of 3 channels, and the frames before it have 8 x 8");
    assert_int_equal(file_write("cut.gif", (const uint8_t *)"GIF89a\x08", 7, NULL), OK);
    must_refuse("cut.gif", E_FORMAT, "cut.gif: GIF");
    assert_int_equal(
        file_write("none.y4m", (const uint8_t *)"YUV4MPEG2 W8 H8 F8:1 C444\n", 26, NULL), OK);
    must_refuse("none.y4m", E_FORMAT, "not one frame of 8 x 8 is there");
    make_folder("broken");
    assert_int_equal(file_write("broken/0.png", (const uint8_t *)"\x89PNG", 4, NULL), OK);
    must_refuse("broken", E_FORMAT, "0.png");
}

/* --- folders of animations as a set --------------------------------------------------------------
 */

static void a_folder_of_clips(void **state)
{
    struct dataset_config c = {.format = "folder", .path = ".", .size = SIDE, .frames = 4};
    static float pixels[4 * FRAME];
    struct error err = {0};
    struct dataset *d;
    int32_t label;

    (void)state;
    make_folder("up");
    write_clip("up/b.webp", 6, SIDE);
    write_clip("up/a.png", 4, SIDE);
    write_clip("c.y4m", 4, 2 * SIDE);
    assert_int_equal(dataset_open(&d, &c, &err), OK);
    assert_true(d->count == 3 && d->frames == 4 && d->n_classes == 1);
    assert_string_equal(dataset_name(d, 0), "c.y4m");
    assert_string_equal(dataset_name(d, 2), "up/b.webp");
    assert_int_equal(dataset_get(d, 2, pixels, &label, NULL, &err), OK);
    assert_int_equal(label, 0);
    for (int t = 0; t < 4; t++)
        assert_true(pixels[t * FRAME] == (float)(10 + 20 * t) / 127.5f - 1);
    assert_int_equal(dataset_get(d, 0, pixels, &label, NULL, &err), OK); /* brought to size */
    dataset_close(d);
    c.frames = 5;
    assert_int_equal(dataset_open(&d, &c, &err), OK);
    assert_int_equal(dataset_get(d, 1, pixels, &label, NULL, &err), E_FORMAT);
    assert_non_null(strstr(err.text, "up/a.png: 4 frames, and clips of 5 are asked for"));
    dataset_close(d);
    c.frames = 2000;
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    assert_non_null(strstr(err.text, "2000 frames asked, and clips have 1 to 1024"));
}

static void a_folder_without(void **state)
{
    struct dataset_config c = {.format = "folder", .path = ".", .size = SIDE, .frames = 4};
    struct error err = {0};
    struct dataset *d;

    (void)state;
    assert_int_equal(dataset_open(&d, &c, &err), E_IO);
    assert_says(err.text, ".y4m clips in this folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_of_a_folder, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(files_are_clips_too, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(what_is_refused, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(a_folder_of_clips, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(a_folder_without, temp_enter, temp_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
