/*
 * test_shapes.c - drawn pictures and the checker that reads them back
 *
 * The demo's headline number is the checker's, so it is held to figures: at least 99.5 % right on
 * clean pictures and 97 % under noise, never a confident answer on pictures that show nothing.
 */
#include "base/rng.h"
#include "data/shapes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 32, N = 400 };

static void labels_and_names(void **state)
{
    (void)state;
    for (int f = 0; f < SHAPES_FORMS; f++)
        for (int c = 0; c < SHAPES_COLOURS; c++) {
            int32_t label = shapes_label((enum shape_form)f, (enum shape_colour)c);

            assert_in_range(label, 0, SHAPES_CLASSES - 1);
            assert_int_equal(shapes_label_form(label), f);
            assert_int_equal(shapes_label_colour(label), c);
        }
    assert_string_equal(shapes_form_name(SHAPE_STAR), "star");
    assert_string_equal(shapes_colour_name(SHAPE_RED), "red");
}

/* Area at radius 1, from geometry; the mask's sum must be it, wherever the pixel grid lies. */
static void coverage_is_area(void **state)
{
    const double pi = 3.14159265358979323846;
    const double area[SHAPES_FORMS] = {
        [SHAPE_CIRCLE] = pi * 0.93 * 0.93,
        [SHAPE_SQUARE] = 1.64 * 1.64,
        [SHAPE_TRIANGLE] = 1.73,
        [SHAPE_STAR] = 10 * 0.5 * 1.06 * 0.48 * sin(pi / 5),
        [SHAPE_RING] = pi * (0.97 * 0.97 - 0.47 * 0.47),
        [SHAPE_CROSS] = 4 * 0.33 * 1.96 - 4 * 0.33 * 0.33,
        [SHAPE_HEART] = 2 * 0.8 * 0.8 + pi * 0.32,
        [SHAPE_DIAMOND] = 2 * 1.06 * 0.78,
    };
    float mask[SIDE * SIDE];

    (void)state;
    for (int f = 0; f < SHAPES_FORMS; f++)
        for (int k = 0; k < 5; k++) {
            double sum = 0;

            shapes_coverage((enum shape_form)f, 0.5 + 0.007 * k, 0.5 - 0.004 * k, 0.3, SIDE, mask);
            for (int i = 0; i < SIDE * SIDE; i++) {
                assert_true(mask[i] >= 0 && mask[i] <= 1);
                sum += (double)mask[i];
            }
            assert_true(fabs(sum / (0.3 * 0.3 * SIDE * SIDE) - area[f]) < 0.012 * area[f]);
        }
}

/* A set of one seed never changes, and pictures of different seeds and numbers differ. */
static void pictures_are_pure(void **state)
{
    float a[SIDE * SIDE * 3], b[SIDE * SIDE * 3];
    struct shapes_scene s, t;

    (void)state;
    shapes_scene_make(&s, 7, 123456789012);
    shapes_scene_make(&t, 7, 123456789012);
    shapes_draw(&s.ground, &s.object, 1, SIDE, a);
    shapes_draw(&t.ground, &t.object, 1, SIDE, b);
    assert_memory_equal(a, b, sizeof a);
    shapes_scene_make(&t, 8, 123456789012);
    shapes_draw(&t.ground, &t.object, 1, SIDE, b);
    assert_memory_not_equal(a, b, sizeof a);
    shapes_scene_make(&t, 7, 123456789013);
    shapes_draw(&t.ground, &t.object, 1, SIDE, b);
    assert_memory_not_equal(a, b, sizeof a);
}

static double chroma(const double *rgb)
{
    double mean = (rgb[0] + rgb[1] + rgb[2]) / 3, sum = 0;

    for (int k = 0; k < 3; k++)
        sum += (rgb[k] - mean) * (rgb[k] - mean);
    return sqrt(sum);
}

/* What the checker builds on: muted backgrounds, objects wholly inside, every class drawn equally.
 */
static void scenes_keep_their_promises(void **state)
{
    int seen[SHAPES_CLASSES] = {0}, draws = 200 * SHAPES_CLASSES;
    double palest = 1;

    (void)state;
    for (int c = 0; c < SHAPES_COLOURS; c++)
        palest = fmin(palest, chroma(shapes_colour_rgb((enum shape_colour)c)));
    for (int i = 0; i < draws; i++) {
        struct shapes_scene s;

        shapes_scene_make(&s, 3, (uint64_t)i);
        seen[shapes_label(s.object.form, s.object.colour)]++;
        assert_true(s.large == (s.object.r > 0.3));
        assert_true(chroma(s.ground.near) < palest / 5 && chroma(s.ground.far) < palest / 5);
        for (int k = 0; k < 3; k++)
            assert_true(s.ground.near[k] >= 0 && s.ground.near[k] <= 1 && s.ground.far[k] >= 0 &&
                        s.ground.far[k] <= 1);
        assert_true(s.object.x - 1.06 * s.object.r > 0 && s.object.x + 1.06 * s.object.r < 1);
        assert_true(s.object.y - 1.06 * s.object.r > 0 && s.object.y + 1.06 * s.object.r < 1);
    }
    for (int k = 0; k < SHAPES_CLASSES; k++)
        assert_in_range(seen[k], 140, 260); /* 200, four deviations of 14 */
}

static void captions_say_what_is_drawn(void **state)
{
    struct shapes_scene s = {.object = {SHAPE_STAR, SHAPE_RED, 0.3, 0.5, 0, 0}, .large = true};
    char caption[CAPTION_TEXT];

    (void)state;
    s.ground.background = SHAPE_STRIPED;
    shapes_caption(&s, caption);
    assert_string_equal(caption, "a large red star on a striped background at the left");
    s.object.x = 0.5;
    shapes_caption(&s, caption);
    assert_string_equal(caption, "a large red star on a striped background in the centre");
    s.object.x = 0.6, s.object.y = 0.7, s.large = false;
    shapes_caption(&s, caption);
    assert_string_equal(caption, "a small red star on a striped background at the bottom right");
}

static void noise_add(float *pixels, int64_t n, double sigma, uint64_t index)
{
    struct rng g = rng_stream(5, RNG_TEST, index);

    for (int64_t i = 0; i < n; i++)
        pixels[i] += (float)(sigma * rng_normal(&g));
}

/* Right answers among N; a wrong one (rather than an unclear one) is counted apart. */
static void answers_count(int64_t size, double sigma, int *right, int *wrong)
{
    float pixels[SIDE * SIDE * 3];

    *right = *wrong = 0;
    for (int i = 0; i < N; i++) {
        struct shapes_scene s;
        struct shapes_verdict v;

        shapes_scene_make(&s, 11, (uint64_t)i);
        shapes_draw(&s.ground, &s.object, 1, size, pixels);
        noise_add(pixels, size * size * 3, sigma, (uint64_t)i);
        shapes_check(pixels, size, &v);
        if (v.shape == (int)s.object.form && v.colour == (int)s.object.colour) {
            ++*right;
            assert_true(fabs(v.x - s.object.x) < 0.02 && fabs(v.y - s.object.y) < 0.02 &&
                        fabs(v.r - s.object.r) < 0.02);
            assert_true(v.confidence >= 0.5 && v.confidence <= 1);
        } else if (v.shape >= 0) {
            ++*wrong;
        }
    }
}

static void checker_reads_clean_pictures(void **state)
{
    int right, wrong;

    (void)state;
    for (int64_t size = 16; size <= 32; size += 8) {
        answers_count(size, 0, &right, &wrong);
        assert_true(right >= N * 0.995);
        assert_int_equal(wrong, 0);
    }
}

static void checker_reads_noisy_pictures(void **state)
{
    int right, wrong;

    (void)state;
    for (int64_t size = 16; size <= 32; size += 8) {
        answers_count(size, 0.1, &right, &wrong);
        assert_true(right >= N * 0.97);
        assert_int_equal(wrong, 0);
    }
}

static bool is_clear(const float *pixels, int64_t size)
{
    struct shapes_verdict v;

    shapes_check(pixels, size, &v);
    assert_true((v.shape < 0) == (v.colour < 0));
    return v.shape >= 0;
}

/* Random noise, nothing at all, one colour everywhere, and a value that is not a number. */
static void checker_says_unclear(void **state)
{
    float pixels[SIDE * SIDE * 3] = {0};
    struct shapes_scene s;

    (void)state;
    assert_false(is_clear(pixels, 16));
    for (int i = 0; i < 200; i++) {
        memset(pixels, 0, sizeof pixels);
        noise_add(pixels, 16 * 16 * 3, 0.1 + 0.01 * i, (uint64_t)i);
        assert_false(is_clear(pixels, 16));
    }
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        pixels[i] = i % 3 ? -0.7f : 0.8f;
    assert_false(is_clear(pixels, SIDE));
    shapes_scene_make(&s, 1, 1);
    shapes_draw(&s.ground, &s.object, 1, SIDE, pixels);
    assert_true(is_clear(pixels, SIDE));
    pixels[100] = NAN;
    assert_false(is_clear(pixels, SIDE));
}

/* Two pictures faded into one another, and two forms in one place: mostly unclear. */
static void checker_distrusts_blends(void **state)
{
    float a[16 * 16 * 3], b[16 * 16 * 3];
    int clear = 0, same_place = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        struct shapes_scene s, t;

        shapes_scene_make(&s, 21, (uint64_t)i);
        shapes_scene_make(&t, 22, (uint64_t)i);
        shapes_draw(&s.ground, &s.object, 1, 16, a);
        shapes_draw(&t.ground, &t.object, 1, 16, b);
        for (int k = 0; k < 16 * 16 * 3; k++)
            b[k] = 0.5f * (a[k] + b[k]);
        clear += is_clear(b, 16);
        t = s;
        t.object.form =
            (enum shape_form)(((int)s.object.form + 1 + i % (SHAPES_FORMS - 1)) % SHAPES_FORMS);
        shapes_draw(&t.ground, &t.object, 1, 16, b);
        for (int k = 0; k < 16 * 16 * 3; k++)
            b[k] = 0.5f * (a[k] + b[k]);
        same_place += is_clear(b, 16);
    }
    assert_true(clear < N * 0.08);
    assert_true(same_place < N * 0.15);
}

/* Put another object on a picture. */
static void object_add(float *pixels, int64_t size, enum shape_form form, enum shape_colour colour,
                       double x, double y, double r)
{
    const double *rgb = shapes_colour_rgb(colour);
    float mask[SIDE * SIDE];

    shapes_coverage(form, x, y, r, size, mask);
    for (int64_t i = 0; i < size * size; i++)
        for (int k = 0; k < 3; k++)
            pixels[3 * i + k] += mask[i] * ((float)(2 * rgb[k] - 1) - pixels[3 * i + k]);
}

/* One ring is a ring; a ring and a crumb, two objects, or one of two colours are no clear answer.
 */
static void checker_wants_one_object(void **state)
{
    float pixels[SIDE * SIDE * 3] = {0}, other[SIDE * SIDE * 3] = {0};

    (void)state;
    object_add(pixels, SIDE, SHAPE_RING, SHAPE_RED, 0.4, 0.4, 0.35);
    assert_true(is_clear(pixels, SIDE));
    object_add(pixels, SIDE, SHAPE_SQUARE, SHAPE_RED, 0.87, 0.87, 0.12);
    assert_false(is_clear(pixels, SIDE));
    memset(pixels, 0, sizeof pixels);
    object_add(pixels, SIDE, SHAPE_STAR, SHAPE_BLUE, 0.7, 0.7, 0.26);
    assert_true(is_clear(pixels, SIDE));
    object_add(pixels, SIDE, SHAPE_CIRCLE, SHAPE_YELLOW, 0.25, 0.25, 0.2);
    assert_false(is_clear(pixels, SIDE));
    memset(pixels, 0, sizeof pixels);
    object_add(pixels, SIDE, SHAPE_CIRCLE, SHAPE_BLUE, 0.5, 0.5, 0.4);
    assert_true(is_clear(pixels, SIDE));
    object_add(other, SIDE, SHAPE_CIRCLE, SHAPE_CYAN, 0.5, 0.5, 0.4);
    for (int i = 0; i < SIDE; i++)
        memcpy(pixels + 3 * (i * SIDE + SIDE / 2), other + 3 * (i * SIDE + SIDE / 2),
               3 * SIDE / 2 * sizeof(float));
    assert_false(is_clear(pixels, SIDE));
}

static void set_is_endless_and_labelled(void **state)
{
    struct dataset_config c = {.format = "shapes", .size = 24, .seed = 9};
    struct dataset *d = NULL;
    struct error err = {0};
    struct shapes_scene s;
    float pixels[24 * 24 * 3], drawn[24 * 24 * 3];
    char caption[CAPTION_TEXT], words[CAPTION_TEXT];
    int32_t label;

    (void)state;
    assert_int_equal(dataset_open(&d, &c, &err), OK);
    assert_true(d->count == INT64_MAX && d->n_classes == SHAPES_CLASSES && !d->flips);
    assert_string_equal(d->class_names[shapes_label(SHAPE_STAR, SHAPE_RED)], "red star");
    assert_int_equal(dataset_get(d, INT64_MAX - 1, pixels, &label, caption, &err), OK);
    shapes_scene_make(&s, 9, INT64_MAX - 1);
    shapes_draw(&s.ground, &s.object, 1, 24, drawn);
    shapes_caption(&s, words);
    assert_memory_equal(pixels, drawn, sizeof pixels);
    assert_int_equal(label, shapes_label(s.object.form, s.object.colour));
    assert_string_equal(caption, words);
    dataset_close(d);
}

static void set_refuses_what_it_cannot_draw(void **state)
{
    struct dataset_config small = {.format = "shapes", .size = 15};
    struct dataset_config large = {.format = "shapes", .size = 129};
    struct dataset_config grey = {.format = "shapes", .size = 32, .channels = 1};
    struct dataset *d = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(dataset_open(&d, &small, &err), E_ARG);
    assert_string_equal(err.text, "shapes: size 15 is outside 16..128");
    assert_int_equal(dataset_open(&d, &large, &err), E_ARG);
    assert_int_equal(dataset_open(&d, &grey, &err), E_ARG);
    assert_null(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_and_names),
        cmocka_unit_test(coverage_is_area),
        cmocka_unit_test(pictures_are_pure),
        cmocka_unit_test(scenes_keep_their_promises),
        cmocka_unit_test(captions_say_what_is_drawn),
        cmocka_unit_test(checker_reads_clean_pictures),
        cmocka_unit_test(checker_reads_noisy_pictures),
        cmocka_unit_test(checker_says_unclear),
        cmocka_unit_test(checker_distrusts_blends),
        cmocka_unit_test(checker_wants_one_object),
        cmocka_unit_test(set_is_endless_and_labelled),
        cmocka_unit_test(set_refuses_what_it_cannot_draw),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
