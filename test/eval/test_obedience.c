/*
 * test_obedience.c - how many pictures show what was asked for, as the checkers of the drawn sets
 * and a classifier's guesses have it
 *
 * Pictures and clips that show it, less a known number that are asked for something else, are grey,
 * or are asked for nothing.
 */
#include "eval/measure.h"

#include "data/moving.h"
#include "data/relations.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_obedience(void **state)
{
    enum { N = 96, SIDE = 32, LENGTH = SIDE * SIDE * 3 };
    static uint8_t pixels[N * LENGTH];
    static float x[LENGTH];
    int32_t label[N], guess[N];
    struct obedience got;

    (void)state;
    for (int i = 0; i < N; i++) {
        struct shapes_scene scene;

        shapes_scene_make(&scene, 3, (uint64_t)i);
        shapes_draw(&scene.ground, &scene.object, 1, SIDE, x);
        for (int k = 0; k < LENGTH; k++)
            pixels[i * LENGTH + k] = (uint8_t)lrintf(127.5f * (fminf(fmaxf(x[k], -1), 1) + 1));
        label[i] = shapes_label(scene.object.form, scene.object.colour);
        guess[i] = i % 3 ? label[i] : -1;
    }
    assert_int_equal(
        obedience_exact(&got, READ_SHAPES, (struct pixel_set){pixels, N}, label, 1, SIDE, NULL), 0);
    assert_int_equal(got.asked, N);
    assert_true(got.obeyed >= N - 2);
    /* Another form asked for, another colour, and nothing at all. */
    label[0] = (label[0] + SHAPES_COLOURS) % SHAPES_CLASSES;
    label[1] = label[1] / SHAPES_COLOURS * SHAPES_COLOURS + (label[1] + 1) % SHAPES_COLOURS;
    label[2] = -1;
    memset(pixels + 3 * LENGTH, 128, LENGTH);
    assert_int_equal(
        obedience_exact(&got, READ_SHAPES, (struct pixel_set){pixels, N}, label, 1, SIDE, NULL), 0);
    assert_int_equal(got.asked, N - 1);
    assert_true(got.obeyed <= N - 4 && got.obeyed >= N - 6);
    assert_true(got.form > got.obeyed && got.colour > got.obeyed && got.unclear >= 1);
    label[4] = SHAPES_CLASSES;
    assert_int_equal(
        obedience_exact(&got, READ_SHAPES, (struct pixel_set){pixels, N}, label, 1, SIDE, NULL),
        E_ARG);
    label[4] = -1;
    obedience_guessed(&got, guess, label, 6);
    assert_int_equal(got.asked, 4);
    assert_int_equal(got.obeyed, 1);
}

static void test_obedience_to_relations(void **state)
{
    enum { N = 40, SIDE = 32, LENGTH = SIDE * SIDE * 3 };
    static uint8_t pixels[N * LENGTH];
    static float x[LENGTH];
    struct obedience got;
    int32_t label[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        struct relation_scene scene;
        struct relation turned;

        relation_scene_make(&scene, 3, (uint64_t)i, false);
        shapes_draw(&scene.ground, scene.object, 2, SIDE, x);
        for (int k = 0; k < LENGTH; k++)
            pixels[i * LENGTH + k] = (uint8_t)lrintf(127.5f * (fminf(fmaxf(x[k], -1), 1) + 1));
        turned = scene.what;
        turned.way = (enum relation_way)((turned.way + 1) % RELATION_WAYS);
        label[i] = relation_label(i % 4 == 3 ? &turned : &scene.what);
    }
    memset(pixels, 128, LENGTH);
    label[1] = -1;
    assert_int_equal(
        obedience_exact(&got, READ_RELATIONS, (struct pixel_set){pixels, N}, label, 1, SIDE, NULL),
        OK);
    assert_int_equal(got.asked, N - 1);
    assert_int_equal(got.unclear, 1);
    assert_int_equal(got.objects, N - 2);
    assert_int_equal(got.obeyed, N - 2 - N / 4);
    assert_int_equal(
        obedience_exact(&got, READ_RELATIONS, (struct pixel_set){pixels, N}, label, 1, 31, NULL),
        E_ARG);
}

/* A quarter is asked to move another way, one clip is grey, and of one nothing is asked. */
static void test_obedience_to_motion(void **state)
{
    enum { N = 40, SIDE = 32, FRAMES = 8, FRAME = SIDE * SIDE * 3, LENGTH = FRAMES * FRAME };
    static uint8_t pixels[N * LENGTH];
    static float x[FRAME];
    struct obedience got;
    int32_t label[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        struct moving_scene scene;
        struct moving turned;

        moving_scene_make(&scene, 3, (uint64_t)i, FRAMES, true, false);
        for (int t = 0; t < FRAMES; t++) {
            moving_draw(&scene, t, SIDE, x);
            for (int k = 0; k < FRAME; k++)
                pixels[i * LENGTH + t * FRAME + k] =
                    (uint8_t)lrintf(127.5f * (fminf(fmaxf(x[k], -1), 1) + 1));
        }
        turned = scene.what;
        turned.way = (enum moving_way)((turned.way + 1) % MOVING_WAYS);
        label[i] = moving_label(i % 4 == 3 ? &turned : &scene.what);
    }
    memset(pixels, 128, LENGTH);
    label[1] = -1;
    assert_int_equal(obedience_exact(&got, READ_MOVING, (struct pixel_set){pixels, N}, label,
                                     FRAMES, SIDE, NULL),
                     OK);
    assert_int_equal(got.asked, N - 1);
    assert_int_equal(got.unclear, 1);
    assert_int_equal(got.objects, N - 2);
    assert_int_equal(got.motion, N - 2 - N / 4);
    assert_int_equal(got.obeyed, N - 2 - N / 4);
    assert_int_equal(
        obedience_exact(&got, READ_MOVING, (struct pixel_set){pixels, N}, label, 3, SIDE, NULL),
        E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_obedience),
        cmocka_unit_test(test_obedience_to_relations),
        cmocka_unit_test(test_obedience_to_motion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
