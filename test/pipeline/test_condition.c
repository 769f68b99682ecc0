/*
 * test_condition.c - what a network is told of a clip: where it stands, how it is made of pixels,
 * and sets of it
 */
#include "pipeline/condition_set.h"

#include "data/picture.h"
#include "io/image.h"
#include "model/movie.h"
#include "support/networks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { T = 3, HIGH = 4, WIDE = 6, C = 2, CLIP = T * HIGH * WIDE * C };

static struct network *network_told(const char *what)
{
    const char *const settings[] = {"size=4",  "channels=2",  "frames=3",   "width=8", "heads=2",
                                    "depth=1", "positions=8", "contexts=4", what,      NULL};
    struct error err = {0};
    struct network *net;

    if (network_of(&net, "movie", settings, false, &err))
        fail_msg("%s", err.text);
    assert_int_equal(network_resize(net, HIGH, WIDE, &err), OK);
    return net;
}

static void a_first_frame_has_a_mask(void **state)
{
    struct network *net = network_told("first_frame=0.25");
    float source[CLIP], out[T * HIGH * WIDE * (C + 1)];
    const int K = C + 1;

    (void)state;
    assert_true(net->io.first_frame == 0.25);
    assert_int_equal(net->io.condition_channels, K);
    assert_int_equal(condition_length(net), T * HIGH * WIDE * K);
    assert_int_equal(condition_source(net), HIGH * WIDE * C);
    for (int i = 0; i < CLIP; i++)
        source[i] = (float)(i + 1);
    condition_fill(out, net, source);
    for (int p = 0; p < T * HIGH * WIDE; p++) {
        bool first = p < HIGH * WIDE;

        assert_true(out[p * K + C] == (first ? 1 : 0));
        for (int k = 0; k < C; k++)
            assert_true(out[p * K + k] == (first ? source[p * C + k] : 0));
    }
    condition_fill(out, net, NULL);
    for (int i = 0; i < T * HIGH * WIDE * K; i++)
        assert_true(out[i] == 0);
    network_free(net);
}

static void a_smaller_clip_has_all_frames(void **state)
{
    struct network *net = network_told("upscale=2");
    float source[CLIP], out[CLIP];

    (void)state;
    assert_int_equal(net->io.condition_channels, C);
    assert_int_equal(condition_source(net), CLIP);
    for (int i = 0; i < CLIP; i++)
        source[i] = (float)(i + 1);
    condition_fill(out, net, source);
    assert_memory_equal(out, source, sizeof out);
    network_free(net);
}

static void kinds_have_names(void **state)
{
    char name[CONDITION_NAME];

    (void)state;
    assert_string_equal(condition_name(name, (struct condition_kind){.first_frame = true}),
                        "first-frame");
    assert_string_equal(condition_name(name, (struct condition_kind){.upscale = 4}), "upscale-4");
    assert_false(condition_is_made((struct condition_kind){0}));
}

/* Each frame is made smaller and larger by itself, as picture files are; a clip without detail
 * comes back as it was. */
static void clips_become_smaller(void **state)
{
    enum { FRAMES = 2, SIDE = 8, FRAME = SIDE * SIDE * 3, SMALL = FRAME / 4 };
    const struct view_shape shape = {SIDE, SIDE, 3, FRAMES};
    uint8_t clip[FRAMES * FRAME], small[FRAMES * SMALL];
    float back[FRAMES * FRAME], want[FRAME], even[FRAMES * FRAME], blurred[FRAMES * FRAME];
    struct error err = {0};

    (void)state;
    for (int i = 0; i < FRAMES * FRAME; i++)
        clip[i] = (uint8_t)(i * 37);
    assert_int_equal(condition_shrink(small, clip, &shape, 2, NULL), OK);
    assert_int_equal(condition_enlarge(back, small, &shape, 2, NULL), OK);
    for (int t = 0; t < FRAMES; t++) {
        const struct image frame = {SIDE, SIDE, 3, clip + t * FRAME};
        struct image less = {0}, more = {0};

        assert_int_equal(image_resize(&less, &frame, SIDE / 2, SIDE / 2, RESIZE_BICUBIC, NULL), OK);
        assert_int_equal(image_resize(&more, &less, SIDE, SIDE, RESIZE_BILINEAR, NULL), OK);
        assert_memory_equal(small + t * SMALL, less.pixels, SMALL);
        picture_floats(want, more.pixels, FRAME);
        assert_memory_equal(back + t * FRAME, want, sizeof want);
        image_release(&less);
        image_release(&more);
    }
    for (int i = 0; i < FRAMES * FRAME; i++)
        even[i] = i < FRAME ? -1 : 1;
    assert_int_equal(condition_blur(blurred, even, &shape, 4, NULL), OK);
    assert_memory_equal(blurred, even, sizeof even);
    even[7] = NAN;
    assert_int_equal(condition_blur(blurred, even, &shape, 4, &err), E_NOT_FINITE);
}

/* --- sets ---------------------------------------------------------------------------------------
 */

static struct dataset *open_moving(int64_t frames)
{
    const struct dataset_config c = {.format = "moving", .path = "training", .frames = frames};
    struct error err = {0};
    struct dataset *d;

    if (dataset_open(&d, &c, &err))
        fail_msg("%s", err.text);
    return d;
}

static void sets_follow_their_clips(void **state)
{
    enum { FRAMES = 8, SIDE = 32, FRAME = SIDE * SIDE * 3 };
    static float clip[FRAMES * FRAME], got[FRAMES * FRAME], want[FRAMES * FRAME];
    const struct view_shape shape = {SIDE, SIDE, 3, FRAMES};
    const struct condition_kind kinds[] = {{.first_frame = true}, {.upscale = 2}};
    struct dataset *d = open_moving(FRAMES);

    (void)state;
    for (int k = 0; k < 2; k++) {
        char caption[CAPTION_TEXT], told_caption[CAPTION_TEXT];
        struct dataset *told;
        int32_t label, told_label;

        assert_int_equal(condition_set_open(&told, d, kinds[k], NULL), OK);
        assert_int_equal(told->count, d->count);
        assert_int_equal(told->n_classes, d->n_classes);
        assert_int_equal(told->frames, k ? FRAMES : 1);
        assert_int_equal(dataset_get(d, 11, clip, &label, caption, NULL), OK);
        assert_int_equal(dataset_get(told, 11, got, &told_label, told_caption, NULL), OK);
        assert_int_equal(label, told_label);
        assert_string_equal(caption, told_caption);
        if (k)
            assert_int_equal(condition_blur(want, clip, &shape, 2, NULL), OK);
        assert_memory_equal(got, k ? want : clip, (size_t)dataset_length(told) * sizeof *got);
        dataset_close(told);
    }
    dataset_close(d);
}

static void sets_that_tell_nothing(void **state)
{
    struct dataset *pictures = open_moving(1), *clips = open_moving(8), *told;
    struct error err = {0};

    (void)state;
    assert_int_equal(
        condition_set_open(&told, pictures, (struct condition_kind){.first_frame = true}, &err),
        E_ARG);
    assert_null(told);
    assert_int_equal(condition_set_open(&told, clips, (struct condition_kind){.upscale = 5}, &err),
                     E_ARG);
    assert_non_null(strstr(err.text, "32 x 32 cannot be made 5 times smaller"));
    assert_int_equal(condition_set_open(&told, clips, (struct condition_kind){true, 2}, &err),
                     E_ARG);
    dataset_close(pictures);
    dataset_close(clips);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_frame_has_a_mask), cmocka_unit_test(a_smaller_clip_has_all_frames),
        cmocka_unit_test(kinds_have_names),         cmocka_unit_test(clips_become_smaller),
        cmocka_unit_test(sets_follow_their_clips),  cmocka_unit_test(sets_that_tell_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
