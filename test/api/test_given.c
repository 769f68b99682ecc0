/*
 * test_given.c - frames and clips given to models by a stranger's program: what counts, what
 * recipes say, what is refused
 */
#include "imgen.h"

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

enum { FRAMES = 3, SIDE = 8, FRAME = SIDE * SIDE * 3, CLIP = FRAMES * FRAME, SMALL = CLIP / 4 };

static char place[TEMP_PATH];

/* A movie of pixels with this among its options. */
static struct imgen_model *open_told(const char *what)
{
    char text[512], path[TEMP_PATH];
    struct imgen_error err;
    struct imgen_model *out;
    struct model *m;

    snprintf(text, sizeof text,
             "\"path\":{},\"sample\":{\"steps\":2},\"labels\":[],\"model\":{\"network\":\"movie\"},"
             "\"movie\":{\"size\":8,\"channels\":3,\"frames\":3,\"patch\":2,\"width\":8,"
             "\"depth\":1,\"heads\":2,\"positions\":8,\"times\":4,\"text_length\":16,"
             "\"text_width\":8,\"text_depth\":1,\"text_heads\":2%s}",
             what);
    m = model_random(text, 3);
    temp_path(path, place, "movie.safetensors");
    assert_int_equal(model_save(m, path, NULL, NULL), OK);
    model_free(m);
    if (imgen_model_open(&out, path, &err))
        fail_msg("%s", err.text);
    return out;
}

static const struct imgen_item item = {-1, 1, 5};

static struct imgen_request request(const struct imgen_model *m)
{
    struct imgen_request r;

    imgen_request_init(&r, m);
    r.items = &item;
    r.n_items = 1;
    return r;
}

static void refused(const struct imgen_model *m, const struct imgen_request *r, const char *why)
{
    static uint8_t pixels[4 * CLIP];
    struct imgen_error err = {0};

    assert_int_equal(imgen_sample(m, r, pixels, &err), IMGEN_E_ARG);
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
}

/* Any picture is brought to size; which it was, the recipe tells. */
static void a_first_frame(void **state)
{
    static uint8_t large[4 * FRAME], none[CLIP], with[CLIP], other[CLIP];
    struct imgen_model *m = open_told(",\"first_frame\":0.5");
    struct imgen_image frame = {2 * SIDE, 2 * SIDE, 3, large};
    const struct imgen_clip clip = {FRAMES, SIDE, SIDE, 3, 8, with};
    struct imgen_recipe one, two;
    struct imgen_model_info info;
    struct imgen_request r = request(m);

    (void)state;
    imgen_model_info(m, &info);
    assert_int_equal(info.first_frame, 1);
    assert_int_equal(info.upscale, 0);
    assert_int_equal(imgen_sample(m, &r, none, NULL), IMGEN_OK);
    r.init = &frame;
    r.init_name = "folder/first.png";
    assert_int_equal(imgen_sample(m, &r, with, NULL), IMGEN_OK);
    assert_memory_not_equal(with, none, sizeof none);
    assert_int_equal(imgen_recipe_make(&one, m, &r, 0, NULL), IMGEN_OK);
    assert_string_equal(one.init, "first.png");
    memset(large, 200, sizeof large);
    assert_int_equal(imgen_sample(m, &r, other, NULL), IMGEN_OK);
    assert_memory_not_equal(with, other, sizeof none);
    assert_int_equal(imgen_recipe_make(&two, m, &r, 0, NULL), IMGEN_OK);
    assert_string_not_equal(one.init_hash, two.init_hash);
    r.strength = 0; /* is not looked at */
    assert_int_equal(imgen_sample(m, &r, with, NULL), IMGEN_OK);
    assert_memory_equal(with, other, sizeof none);
    r.mask = &frame;
    refused(m, &r, "a mask");
    r.mask = NULL;
    r.init_clip = &clip;
    refused(m, &r, "makes none larger");
    r.init_clip = NULL;
    frame.channels = 5;
    refused(m, &r, "5 channels");
    frame.channels = 3;
    assert_int_equal(imgen_model_set_frames(m, 1, NULL), IMGEN_OK);
    refused(m, &r, "a clip of 1 frames");
    imgen_model_close(m);
}

/* A clip has the size that it has, and what the model makes is that many times as large. */
static void a_smaller_clip(void **state)
{
    static uint8_t small[SMALL], out[2][4 * CLIP];
    struct imgen_model *m = open_told(",\"upscale\":2");
    struct imgen_clip clip = {FRAMES, SIDE / 2, SIDE / 2, 3, 8, small};
    const struct imgen_image picture = {SIDE / 2, SIDE / 2, 3, small};
    struct imgen_model_info info;
    struct imgen_recipe one, two;
    struct imgen_request r = request(m);

    (void)state;
    imgen_model_info(m, &info);
    assert_int_equal(info.upscale, 2);
    refused(m, &r, "2 times larger, and none is given");
    r.init_clip = &clip;
    assert_int_equal(imgen_sample(m, &r, out[0], NULL), IMGEN_OK);
    assert_int_equal(imgen_recipe_make(&one, m, &r, 0, NULL), IMGEN_OK);
    small[SMALL - 1] = 255;
    assert_int_equal(imgen_sample(m, &r, out[1], NULL), IMGEN_OK);
    assert_memory_not_equal(out[0], out[1], CLIP);
    assert_int_equal(imgen_recipe_make(&two, m, &r, 0, NULL), IMGEN_OK);
    assert_string_not_equal(one.init_hash, two.init_hash);
    r.init = &picture;
    refused(m, &r, "one of the two");
    r.init = NULL;
    clip.width = 3;
    refused(m, &r, "a clip of 3 frames of 3 x 4, and the model makes such of 3 frames of 4 x 4");
    clip.width = SIDE / 2;
    clip.frames = 2;
    refused(m, &r, "of 2 frames");
    assert_int_equal(imgen_model_set_frames(m, 1, NULL), IMGEN_OK); /* a picture is a clip */
    r.init_clip = NULL;
    r.init = &picture;
    assert_int_equal(imgen_sample(m, &r, out[0], NULL), IMGEN_OK);
    clip.frames = 0;
    r.init = NULL;
    r.init_clip = &clip;
    refused(m, &r, "of 0 frames");
    imgen_model_close(m);
}

static void told_of_nothing(void **state)
{
    static uint8_t small[SMALL];
    struct imgen_model *m = open_told("");
    const struct imgen_clip clip = {FRAMES, SIDE / 2, SIDE / 2, 3, 8, small};
    struct imgen_request r = request(m);

    (void)state;
    r.init_clip = &clip;
    refused(m, &r, "makes none larger");
    imgen_model_close(m);
}

static void clips_change_size(void **state)
{
    static uint8_t pixels[CLIP];
    const struct imgen_clip in = {FRAMES, SIDE, SIDE, 3, 12, pixels};
    struct imgen_clip out = {0};
    struct imgen_error err;

    (void)state;
    assert_int_equal(imgen_clip_resize(&out, &in, 5, 4, "bicubic", NULL), IMGEN_OK);
    assert_true(out.frames == FRAMES && out.height == 5 && out.width == 4 && out.rate == 12);
    imgen_clip_release(&out);
    assert_null(out.pixels);
    assert_int_equal(imgen_clip_resize(&out, &in, 5, 4, "cubic", &err), IMGEN_E_ARG);
    assert_non_null(strstr(err.text, "'cubic' is none of"));
    assert_int_not_equal(imgen_clip_resize(&out, &in, 0, 4, "box", NULL), IMGEN_OK);
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_new(place);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_dir_remove(place);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_frame),
        cmocka_unit_test(a_smaller_clip),
        cmocka_unit_test(told_of_nothing),
        cmocka_unit_test(clips_change_size),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
