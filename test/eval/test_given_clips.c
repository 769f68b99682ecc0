/*
 * test_given_clips.c - measures of what models make of clips that they are given something of
 */
#include "eval/measure.h"

#include "io/image.h"
#include "pipeline/picture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
    N = 2,
    FRAMES = 3,
    SIDE = 8,
    FRAME = SIDE * SIDE * 3,
    CLIP = FRAMES * FRAME,
    ALL = N * CLIP
};

static uint8_t ours[ALL], theirs[ALL];

static struct measure_task task(void)
{
    const struct picture_set set = {
        .n = N, .height = SIDE, .width = SIDE, .channels = 3, .frames = FRAMES, .pixels = ours};
    struct measure_task t = {.pictures = set, .reference = set, .paired = true};

    for (int i = 0; i < ALL; i++) {
        theirs[i] = (uint8_t)(i % SIDE * 20 + i / FRAME * 5);
        ours[i] = (uint8_t)(theirs[i] + (i / FRAME + i % 3) % 4);
    }
    t.reference.pixels = theirs;
    return t;
}

static const struct measure *measure_named(const char *name)
{
    const struct measure *m = NULL;

    assert_int_equal(measure_find(&m, name, NULL), OK);
    assert_true(m->of_clips);
    return m;
}

static double value_of(const struct measure_result *r, const char *name)
{
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->at[i].name, name))
            return r->at[i].value;
    fail_msg("no %s", name);
    return 0;
}

/* One original by what any program of pictures makes of it. */
static double bicubic_plainly(const uint8_t *frame)
{
    const struct image in = {SIDE, SIDE, 3, (uint8_t *)(uintptr_t)frame};
    struct image small = {0}, large = {0};
    double value;

    assert_int_equal(image_resize(&small, &in, SIDE / 2, SIDE / 2, RESIZE_BICUBIC, NULL), OK);
    assert_int_equal(image_resize(&large, &small, SIDE, SIDE, RESIZE_BICUBIC, NULL), OK);
    value = psnr(large.pixels, frame, FRAME);
    image_release(&small);
    image_release(&large);
    return value;
}

static void upsamplers_stand_beside_bicubic(void **state)
{
    const struct measure *m = measure_named("bicubic");
    struct measure_task t = task();
    struct measure_result r = {0};
    double own = 0, bicubic = 0;

    (void)state;
    assert_non_null(measure_lacks(m, &t));
    t.options.upscale = 2;
    assert_null(measure_lacks(m, &t));
    assert_int_equal(m->run(&r, &t, NULL), OK);
    for (int i = 0; i < N * FRAMES; i++) {
        own += psnr(ours + i * FRAME, theirs + i * FRAME, FRAME) / (N * FRAMES);
        bicubic += bicubic_plainly(theirs + i * FRAME) / (N * FRAMES);
    }
    assert_true(fabs(value_of(&r, "psnr_upscaled") - own) < 1e-9);
    assert_true(fabs(value_of(&r, "psnr_bicubic") - bicubic) < 1e-9);
    assert_true(fabs(value_of(&r, "psnr_gain") - (own - bicubic)) < 1e-9);
    t.options.upscale = 3;
    assert_int_equal(m->run(&r, &t, NULL), E_ARG);
}

/* Equal pictures have a finite ratio, above that of the smallest difference. */
static void equal_pictures_count(void **state)
{
    struct measure_task t = task();
    double value[2], bicubic[2];
    uint8_t near[2 * FRAME];

    (void)state;
    memcpy(near, theirs, sizeof near);
    near[FRAME + 5] ^= 1;
    assert_int_equal(bicubic_ratios(value, bicubic, near, theirs, 2, &t.pictures, 2, NULL), OK);
    assert_true(isfinite(value[0]) && value[0] > value[1]);
}

/* Of the first frame alone: the others may be anything. */
static void first_frames_are_kept(void **state)
{
    const struct measure *m = measure_named("first_frame");
    struct measure_task t = task();
    struct measure_result r = {0};
    double want = 0;

    (void)state;
    assert_non_null(measure_lacks(m, &t));
    t.options.first_frame = true;
    for (int i = 0; i < N; i++) {
        want += psnr(ours + i * CLIP, theirs + i * CLIP, FRAME) / N;
        memset(ours + i * CLIP + FRAME, 0, CLIP - FRAME);
    }
    assert_int_equal(m->run(&r, &t, NULL), OK);
    assert_true(fabs(value_of(&r, "psnr_first_frame") - want) < 1e-9);
    memcpy(ours, theirs, sizeof ours);
    r.n = 0;
    assert_int_equal(m->run(&r, &t, NULL), OK);
    assert_true(isinf(value_of(&r, "psnr_first_frame")));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(upsamplers_stand_beside_bicubic),
        cmocka_unit_test(equal_pictures_count),
        cmocka_unit_test(first_frames_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
