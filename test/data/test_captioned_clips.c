/*
 * test_captioned_clips.c - clips and their captions, as animations and as folders of frames
 *
 * Frame t of a clip is of one grey, first + 2 t, so that a test sees which frames it was given,
 * though Y4M may round it to its neighbour.
 */
#include "base/file.h"
#include "data/dataset.h"
#include "io/clip.h"
#include "support/tarball.h"
#include "support/temp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 8, FRAME = SIDE * SIDE * 3, MOST = 16 };

static const char folder[] = "."; /* the tests run in one of their own */

static void write_text(const char *name, const char *text)
{
    char path[TEMP_PATH];

    assert_int_equal(file_write(temp_path(path, folder, name), text, strlen(text), NULL), OK);
}

static void write_clip(const char *name, int first, int frames, double rate)
{
    uint8_t pixels[FRAME];
    char path[TEMP_PATH];
    struct clip c;

    assert_int_equal(clip_begin(&c, SIDE, SIDE, 3, NULL), OK);
    for (int t = 0; t < frames; t++) {
        memset(pixels, first + 2 * t, sizeof pixels);
        assert_int_equal(clip_add(&c, pixels, NULL), OK);
    }
    c.rate = rate;
    assert_int_equal(clip_write(temp_path(path, folder, name), &c, CLIP_LOSSLESS, NULL), OK);
    clip_release(&c);
}

static void write_frame(const char *name, int64_t side, int grey)
{
    char path[TEMP_PATH];
    struct image im;

    assert_int_equal(image_init(&im, side, side, 3, NULL), OK);
    memset(im.pixels, grey, (size_t)(side * side * 3));
    assert_int_equal(image_write(temp_path(path, folder, name), &im, NULL, 0, NULL), OK);
    image_release(&im);
}

/* Frames in a folder, numbered from 1 without zeros in front. */
static void write_folder(const char *name, int first, int frames)
{
    char path[TEMP_PATH], frame[128];

    assert_int_equal(mkdir(temp_path(path, folder, name), 0700), 0);
    for (int t = 0; t < frames; t++) {
        snprintf(frame, sizeof frame, "%s/f%d.png", name, t + 1);
        write_frame(frame, SIDE, first + 2 * t);
    }
}

static struct dataset_config config(int64_t frames)
{
    return (struct dataset_config){
        .format = "captioned", .path = folder, .size = SIDE, .frames = frames};
}

static void expect(const struct dataset *d, int64_t i, int first, const char *caption)
{
    float pixels[MOST * FRAME];
    char text[CAPTION_TEXT];
    struct error err = {0};
    int32_t label;

    for (int again = 0; again < 2; again++) { /* from the file, and as it was kept */
        if (dataset_get(d, i, pixels, &label, text, &err))
            fail_msg("%s", err.text);
        assert_string_equal(text, caption);
        for (int64_t t = 0; t < d->frames; t++)
            for (int k = 0; k < FRAME; k += FRAME - 1)
                assert_true(fabsf((pixels[t * FRAME + k] + 1) * 127.5f - (float)(first + 2 * t)) <
                            1.5f);
    }
}

static struct dataset *opened(const struct dataset_config *c, int64_t count)
{
    struct error err = {0};
    struct dataset *d;

    if (dataset_open(&d, c, &err))
        fail_msg("%s", err.text);
    assert_int_equal(d->count, count);
    assert_int_equal(d->frames, c->frames);
    assert_int_equal(dataset_length(d), c->frames * FRAME);
    return d;
}

static void texts_stand_beside(void **state)
{
    struct dataset_config c = config(4);
    struct dataset *d;

    (void)state;
    write_clip("a.webp", 10, 4, 8);
    write_text("a.txt", "the first");
    write_folder("b", 30, 12); /* f10.png comes after f9.png */
    write_text("b.txt", "a folder of frames");
    write_clip("c.y4m", 60, 7, 16);
    write_text("c.json", "{\"caption\": \"raw\"}");
    write_clip("d.png", 90, 5, 8);
    write_text("d.txt", "a PNG that moves");
    write_folder("e", 100, 3);
    write_clip("e/deep.webp", 120, 4, 8); /* a folder that has no text holds clips of its own */
    write_text("e/deep.txt", "deep");
    for (int t = 1; t <= 3; t++) {
        char name[32];

        snprintf(name, sizeof name, "e/f%d.txt", t);
        write_text(name, "one frame");
    }
    d = opened(&c, 8);
    expect(d, 0, 10, "the first");
    expect(d, 1, 30, "a folder of frames");
    expect(d, 2, 60, "raw");
    expect(d, 3, 90, "a PNG that moves");
    expect(d, 4, 120, "deep");
    dataset_close(d);
    c.frames = 12;
    d = opened(&c, 8);
    expect(d, 1, 30, "a folder of frames");
    dataset_close(d);
    c.frames = 1; /* the first frames, as pictures; a picture is a clip of one */
    c.rates = true;
    d = opened(&c, 8);
    expect(d, 1, 30, "a folder of frames");
    expect(d, 5, 100, "one frame");
    expect(d, 7, 104, "one frame");
    dataset_close(d);
}

static void lists_name_clips(void **state)
{
    struct dataset_config c = config(3);
    struct dataset *d;

    (void)state;
    write_folder("run", 50, 3);
    write_folder("run-on", 150, 3);
    write_clip("a.apng", 10, 3, 24);
    write_text("captions.jsonl", "{\"file\": \"run/\", \"caption\": \"it runs\"}\n"
                                 "{\"file\": \"a.apng\", \"caption\": \"short\"}\n"
                                 "{\"file\": \"run-on\", \"caption\": \"on\"}\n"
                                 "{\"file\": \"run\", \"caption\": \"again\"}\n");
    c.rates = true;
    d = opened(&c, 4);
    expect(d, 0, 50, "it runs");
    expect(d, 1, 10, "FPS-24 short");
    expect(d, 2, 150, "on");
    expect(d, 3, 50, "again");
    dataset_close(d);
}

/* The same out of an archive. */
static void archives_hold_clips(void **state)
{
    static struct tarball ball;
    struct dataset_config c = config(2);
    char path[TEMP_PATH], name[32];
    struct dataset *d;
    uint8_t *bytes;
    uint64_t n;

    (void)state;
    memset(&ball, 0, sizeof ball);
    write_folder("b", 30, 2);
    for (int t = 1; t <= 2; t++) {
        snprintf(name, sizeof name, "b/f%d.png", t);
        assert_int_equal(file_read(&bytes, &n, temp_path(path, folder, name), 1 << 16, NULL), OK);
        tarball_file(&ball, name, bytes, n);
        free(bytes);
    }
    tarball_file(&ball, "b.txt", "packed", 6);
    tarball_end(&ball);
    assert_int_equal(file_write(temp_path(path, folder, "set.tar"), ball.bytes, ball.n, NULL), OK);
    c.path = path;
    d = opened(&c, 1);
    expect(d, 0, 30, "packed");
    dataset_close(d);
}

static void get_says(const struct dataset_config *c, enum status st, const char *words)
{
    float pixels[MOST * FRAME];
    struct error err = {0};
    struct dataset *d;

    assert_int_equal(dataset_open(&d, c, &err), OK);
    assert_int_equal(dataset_get(d, 0, pixels, NULL, NULL, &err), st);
    if (!strstr(err.text, words))
        fail_msg("%s", err.text);
    dataset_close(d);
}

static void open_says(const struct dataset_config *c, enum status st, const char *words)
{
    struct error err = {0};
    struct dataset *d;

    assert_int_equal(dataset_open(&d, c, &err), st);
    if (!strstr(err.text, words))
        fail_msg("%s", err.text);
}

static void errors_name_clips_and_numbers(void **state)
{
    struct dataset_config c = config(8);
    char path[TEMP_PATH];

    (void)state;
    open_says(&c, E_IO,
              "no .webp, .png, .apng, .gif, .y4m, .mp4 or .webm clips, no folders of frames");
    write_clip("a.webp", 10, 4, 8);
    open_says(&c, E_IO, "1 of 1 clips have no caption, the first is a.webp");
    write_text("a.txt", "short");
    get_says(&c, E_FORMAT, "a.webp: 4 frames, and clips of 8 are asked for");
    assert_int_equal(remove(temp_path(path, folder, "a.webp")), 0);
    write_folder("a", 10, 9);
    c.frames = 10;
    get_says(&c, E_FORMAT, "/a: 9 frames, and clips of 10 are asked for");
    write_frame("a/f5.png", SIDE + 1, 3);
    c.frames = 8;
    get_says(&c, E_FORMAT,
             "a/f5.png: 9 x 9 pixels of 3 channels, and the frames before it have "
             "8 x 8 of 3");
    write_text("a/f2.png", "no picture");
    get_says(&c, E_FORMAT, "a/f2.png");
    c.frames = 1025;
    open_says(&c, E_ARG, "1025 frames asked");
    c.frames = 8;
    write_text("captions.jsonl", "{\"file\": \"b\", \"caption\": \"none\"}\n");
    open_says(&c, E_IO, "has no file b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_stand_beside, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(lists_name_clips, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(archives_hold_clips, temp_enter, temp_leave),
        cmocka_unit_test_setup_teardown(errors_name_clips_and_numbers, temp_enter, temp_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
