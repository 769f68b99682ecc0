/*
 * test_relations.c - pictures of two shapes, what is held out of them, and the checker that reads
 * them
 */
#include "base/rng.h"
#include "data/relations.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 32, N = 600 };

static struct relation mirrored(const struct relation *p)
{
    static const enum relation_way other[] = {RELATION_RIGHT_OF, RELATION_LEFT_OF, RELATION_BELOW,
                                              RELATION_ABOVE};

    return (struct relation){{p->form[1], p->form[0]}, {p->colour[1], p->colour[0]}, other[p->way]};
}

static void labels_count_pairs(void **state)
{
    (void)state;
    for (int32_t i = 0; i < RELATION_LABELS; i++) {
        struct relation p = relation_of_label(i);

        assert_int_equal(relation_label(&p), i);
        assert_false(p.form[0] == p.form[1] && p.colour[0] == p.colour[1]);
    }
}

static void captions_say_it(void **state)
{
    struct relation p = {{SHAPE_CIRCLE, SHAPE_STAR}, {SHAPE_RED, SHAPE_BLUE}, RELATION_LEFT_OF};
    char caption[CAPTION_TEXT];

    (void)state;
    relation_caption(&p, caption);
    assert_string_equal(caption, "a red circle left of a blue star");
    p = mirrored(&p);
    relation_caption(&p, caption);
    assert_string_equal(caption, "a blue star right of a red circle");
}

static void mirrors_are_held_out_together(void **state)
{
    int held = 0;

    (void)state;
    for (int32_t i = 0; i < RELATION_LABELS; i++) {
        struct relation p = relation_of_label(i), q = mirrored(&p);

        held += relation_is_held_out(&p);
        assert_int_equal(relation_is_held_out(&p), relation_is_held_out(&q));
    }
    assert_in_range(held, RELATION_LABELS / 10 - 80, RELATION_LABELS / 10 + 80); /* deviation 25 */
}

/* A word is never held out: each kind stands at each end of each relation in training. */
static void training_has_every_word(void **state)
{
    bool seen[SHAPES_CLASSES][2][RELATION_WAYS] = {0};

    (void)state;
    for (int32_t i = 0; i < RELATION_LABELS; i++) {
        struct relation p = relation_of_label(i);

        for (int k = 0; k < 2 && !relation_is_held_out(&p); k++)
            seen[shapes_label(p.form[k], p.colour[k])][k][p.way] = true;
    }
    for (int32_t i = 0; i < RELATION_LABELS; i++) {
        struct relation p = relation_of_label(i);

        for (int k = 0; k < 2; k++)
            assert_true(seen[shapes_label(p.form[k], p.colour[k])][k][p.way]);
    }
}

static void scenes_keep_their_promises(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct relation_scene s;
        const struct shapes_object *a = &s.object[0], *b = &s.object[1];
        double dx, dy;

        relation_scene_make(&s, 5, (uint64_t)i, i % 2);
        dx = b->x - a->x, dy = b->y - a->y;
        assert_int_equal(relation_is_held_out(&s.what), i % 2);
        assert_true(fmax(fabs(dx), fabs(dy)) > 1.06 * (a->r + b->r) + 0.04);
        for (int k = 0; k < 2; k++) {
            const struct shapes_object *o = &s.object[k];

            assert_true(o->x - 1.06 * o->r > 0 && o->x + 1.06 * o->r < 1);
            assert_true(o->y - 1.06 * o->r > 0 && o->y + 1.06 * o->r < 1);
        }
        switch (s.what.way) {
        case RELATION_LEFT_OF:
            assert_true(dx > 0 && fabs(dy) <= 0.6 * dx);
            break;
        case RELATION_RIGHT_OF:
            assert_true(dx < 0 && fabs(dy) <= -0.6 * dx);
            break;
        case RELATION_ABOVE:
            assert_true(dy > 0 && fabs(dx) <= 0.6 * dy);
            break;
        default:
            assert_true(dy < 0 && fabs(dx) <= -0.6 * dy);
        }
    }
}

struct count {
    int right, objects, wrong;
};

static struct count answers(int64_t size, double sigma)
{
    float *pixels = malloc((size_t)(size * size) * 3 * sizeof *pixels);
    struct count n = {0};

    assert_non_null(pixels);
    for (int i = 0; i < N; i++) {
        struct rng g = rng_stream(6, RNG_TEST, (uint64_t)i);
        struct relation_verdict v;
        struct relation_answer a;
        struct relation_scene s;

        relation_scene_make(&s, 9, (uint64_t)i, false);
        shapes_draw(&s.ground, s.object, 2, size, pixels);
        for (int64_t k = 0; k < size * size * 3; k++)
            pixels[k] += (float)(sigma * rng_normal(&g));
        relation_check(pixels, size, &v);
        a = relation_judge(&s.what, &v);
        n.right += a.all;
        n.objects += a.objects;
        n.wrong += v.clear && !a.all;
    }
    free(pixels);
    print_message("%d pixels, noise %.2f: %d of %d right, %d wrong\n", (int)size, sigma, n.right, N,
                  n.wrong);
    return n;
}

/* Three captions in four of those to learn from begin with the left or upper object, and half of
 * those to be asked. */
static void captions_begin_left_and_above(void **state)
{
    enum { SCENES = 2000 };

    (void)state;
    for (int held_out = 0; held_out < 2; held_out++) {
        double share = 0, want = held_out ? 0.5 : 0.75;

        for (uint64_t i = 0; i < SCENES; i++) {
            struct relation_scene s;

            relation_scene_make(&s, 8, i, held_out);
            share += (double)(s.what.way == RELATION_LEFT_OF || s.what.way == RELATION_ABOVE);
        }
        assert_true(fabs(share / SCENES - want) < 0.04);
    }
}

static void checker_reads_what_is_drawn(void **state)
{
    static const int sizes[] = {32, 48, 64};

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct count n = answers(sizes[k], 0);

        assert_true(n.right >= N * 0.995 && n.wrong <= N / 500);
    }
    assert_true(answers(32, 0.1).right >= N * 0.97);
}

/* Another relation, colours changed over, another form: objects or relation are not what is asked.
 */
static void checker_tells_what_is_wrong(void **state)
{
    struct relation asked = {{SHAPE_CIRCLE, SHAPE_STAR}, {SHAPE_RED, SHAPE_BLUE}, RELATION_LEFT_OF};
    struct relation_verdict seen = {true, asked};
    struct relation_answer a = relation_judge(&asked, &seen);

    (void)state;
    assert_true(a.objects && a.all);
    asked = mirrored(&asked);
    a = relation_judge(&asked, &seen);
    assert_true(a.objects && a.all);
    for (int r = 0; r < RELATION_WAYS; r++) {
        asked.way = (enum relation_way)r;
        a = relation_judge(&asked, &seen);
        assert_true(a.objects && a.all == (r == RELATION_RIGHT_OF));
    }
    asked =
        (struct relation){{SHAPE_CIRCLE, SHAPE_STAR}, {SHAPE_BLUE, SHAPE_RED}, RELATION_LEFT_OF};
    a = relation_judge(&asked, &seen);
    assert_false(a.objects || a.all);
    for (int k = 0; k < 2; k++) { /* one of the two is right, and the other's colour or form not */
        asked = seen.what;
        asked.colour[k] = SHAPE_GREEN;
        a = relation_judge(&asked, &seen);
        assert_false(a.objects || a.all);
        asked = seen.what;
        asked.form[k] = SHAPE_CROSS;
        a = relation_judge(&asked, &seen);
        assert_false(a.objects || a.all);
    }
    seen.clear = false;
    a = relation_judge(&seen.what, &seen);
    assert_false(a.objects || a.all);
}

/* One object, three, two that touch, noise, nothing: no answer. */
static void checker_admits_ignorance(void **state)
{
    float pixels[SIDE * SIDE * 3];
    struct rng g = rng_stream(1, RNG_TEST, 0);
    struct relation_verdict v;
    struct relation_scene s;
    int clear = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct shapes_scene one;

        relation_scene_make(&s, 2, (uint64_t)i, false);
        shapes_scene_make(&one, 2, (uint64_t)i);
        shapes_draw(&s.ground, s.object, i % 2, SIDE, pixels);
        relation_check(pixels, SIDE, &v);
        assert_false(v.clear);
        shapes_draw(&one.ground, &one.object, 1, SIDE, pixels);
        relation_check(pixels, SIDE, &v);
        assert_false(v.clear);
        s.object[0].x = s.object[1].x, s.object[0].y = s.object[1].y + 0.1;
        shapes_draw(&s.ground, s.object, 2, SIDE, pixels);
        relation_check(pixels, SIDE, &v);
        clear += v.clear;
        for (int k = 0; k < SIDE * SIDE * 3; k++)
            pixels[k] = (float)rng_normal(&g);
        relation_check(pixels, SIDE, &v);
        assert_false(v.clear);
    }
    assert_in_range(clear, 0, 2);
    pixels[7] = NAN;
    relation_check(pixels, SIDE, &v);
    assert_false(v.clear);
}

static void set_has_captions_and_refuses(void **state)
{
    struct dataset_config c = {.format = "relations", .size = 40, .seed = 3};
    float *pixels = malloc(40 * 40 * 3 * sizeof *pixels);
    char caption[CAPTION_TEXT];
    struct error err = {0};
    struct dataset *d;
    int32_t label;

    (void)state;
    assert_non_null(pixels);
    for (int held_out = 0; held_out < 2; held_out++) {
        c.path = held_out ? "held-out" : "training";
        assert_int_equal(dataset_open(&d, &c, &err), OK);
        assert_int_equal(d->n_classes, RELATION_LABELS);
        for (int64_t i = 0; i < 50; i++) {
            struct relation p;

            assert_int_equal(dataset_get(d, i, pixels, &label, caption, &err), OK);
            p = relation_of_label(label);
            assert_int_equal(relation_is_held_out(&p), held_out);
            assert_string_equal(caption, d->class_names[label]);
        }
        dataset_close(d);
    }
    c.path = "elsewhere";
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    assert_non_null(strstr(err.text, "'elsewhere'"));
    c = (struct dataset_config){.format = "relations", .size = 31};
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    c = (struct dataset_config){.format = "relations", .channels = 1};
    assert_int_equal(dataset_open(&d, &c, &err), E_ARG);
    free(pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_count_pairs),
        cmocka_unit_test(captions_say_it),
        cmocka_unit_test(mirrors_are_held_out_together),
        cmocka_unit_test(captions_begin_left_and_above),
        cmocka_unit_test(training_has_every_word),
        cmocka_unit_test(scenes_keep_their_promises),
        cmocka_unit_test(checker_reads_what_is_drawn),
        cmocka_unit_test(checker_tells_what_is_wrong),
        cmocka_unit_test(checker_admits_ignorance),
        cmocka_unit_test(set_has_captions_and_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
