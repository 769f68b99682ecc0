/*
 * test_moving.c - clips of moving shapes, what is held out of them, and the checker that reads them
 */
#include "base/rng.h"
#include "data/moving.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 32, MOST = 64, FRAME = SIDE * SIDE * 3 };

static enum moving_way against(enum moving_way way)
{
    return (enum moving_way)(way ^ 1);
}

static struct moving mirrored(const struct moving *m)
{
    return (struct moving){
        MOVING_CROSS, against(m->way), {m->form[1], m->form[0]}, {m->colour[1], m->colour[0]}};
}

static void draw(const struct moving_scene *s, int frames, float *pixels)
{
    for (int t = 0; t < frames; t++)
        moving_draw(s, t, SIDE, pixels + t * FRAME);
}

/* ---- what is said ---- */

static void labels_count_all(void **state)
{
    (void)state;
    for (int32_t i = 0; i < MOVING_LABELS; i++) {
        struct moving m = moving_of_label(i);

        assert_int_equal(moving_label(&m), i);
        if (m.kind == MOVING_CROSS)
            assert_false(m.form[0] == m.form[1] && m.colour[0] == m.colour[1]);
    }
}

static void captions_say_it(void **state)
{
    struct moving m = {MOVING_STRAIGHT, MOVING_LEFT, {SHAPE_CIRCLE, 0}, {SHAPE_RED, 0}};
    char caption[CAPTION_TEXT];

    (void)state;
    moving_caption(&m, 0, false, caption);
    assert_string_equal(caption, "a red circle moves left");
    m.kind = MOVING_BOUNCE;
    moving_caption(&m, 16, false, caption);
    assert_string_equal(caption, "FPS-16 a red circle moves left and bounces");
    moving_caption(&m, 16, true, caption);
    assert_string_equal(caption, "a red circle");
    m = (struct moving){
        MOVING_CROSS, MOVING_UP, {SHAPE_CIRCLE, SHAPE_STAR}, {SHAPE_RED, SHAPE_BLUE}};
    moving_caption(&m, 8, false, caption);
    assert_string_equal(caption, "FPS-8 a red circle moves up and crosses a blue star");
    moving_caption(&m, 0, true, caption);
    assert_string_equal(caption, "a red circle and a blue star");
}

static void equal_clips_are_held_out_together(void **state)
{
    int alone = 0, crossings = 0, most = MOVING_LABELS - 2 * MOVING_ALONE;

    (void)state;
    for (int32_t i = 0; i < MOVING_LABELS; i++) {
        struct moving m = moving_of_label(i), q = mirrored(&m);

        if (m.kind == MOVING_CROSS) {
            crossings += moving_is_held_out(&m);
            assert_int_equal(moving_is_held_out(&m), moving_is_held_out(&q));
        } else if (m.kind == MOVING_STRAIGHT) {
            alone += moving_is_held_out(&m);
            m.kind = MOVING_BOUNCE;
            assert_int_equal(moving_is_held_out(&m), moving_is_held_out(&(struct moving){
                                                         .way = m.way,
                                                         .form = {m.form[0]},
                                                         .colour = {m.colour[0]},
                                                     }));
        }
    }
    print_message("held out: %d of %d alone, %d of %d crossings\n", alone, MOVING_ALONE, crossings,
                  most);
    assert_int_equal(alone, MOVING_ALONE / 10);
    assert_in_range(crossings, most / 10 - 80, most / 10 + 80);
}

/* A word is never held out: each kind moves alone in training, and stands at each end of each
 * crossing; each direction is shown by most kinds. */
static void training_has_every_word(void **state)
{
    bool crosses[RELATION_KINDS][2][MOVING_WAYS] = {{{0}}};
    int kinds[RELATION_KINDS] = {0}, ways[MOVING_WAYS] = {0};

    (void)state;
    for (int32_t i = 0; i < MOVING_LABELS; i++) {
        struct moving m = moving_of_label(i);

        if (moving_is_held_out(&m))
            continue;
        for (int k = 0; k < 2 && m.kind == MOVING_CROSS; k++)
            crosses[relation_kind(m.form[k], m.colour[k])][k][m.way] = true;
        if (m.kind == MOVING_STRAIGHT) {
            kinds[relation_kind(m.form[0], m.colour[0])]++;
            ways[m.way]++;
        }
    }
    for (int w = 0; w < MOVING_WAYS; w++)
        assert_true(ways[w] >= RELATION_KINDS * 2 / 3);
    for (int k = 0; k < RELATION_KINDS; k++) {
        assert_true(kinds[k] >= MOVING_WAYS - 1);
        for (int w = 0; w < MOVING_WAYS; w++)
            assert_true(crosses[k][0][w] && crosses[k][1][w]);
    }
}

/* ---- scenes ---- */

static void scenes_keep_their_promises(void **state)
{
    static const int lengths[] = {8, 12, 16, 64};

    (void)state;
    for (int i = 0; i < 4000; i++) {
        int frames = lengths[i / 2 % 4];
        struct shapes_object o[2];
        struct moving_scene s;

        moving_scene_make(&s, 5, (uint64_t)i, frames, i % 2, i % 3 == 0);
        assert_int_equal(moving_is_held_out(&s.what), i % 2);
        assert_int_equal(moving_rate(s.step, frames), s.rate);
        assert_true(i % 3 == 0 || s.rate == MOVING_RATE_FAST);
        for (int t = 0; t < frames; t++) {
            moving_place(&s, t, o);
            for (int k = 0; k < s.n; k++) {
                double r = (s.what.kind == MOVING_BOUNCE ? 0.8 : 1.06) * o[k].r;

                assert_true(o[k].x - r > 0 && o[k].x + r < 1);
                assert_true(o[k].y - r > 0 && o[k].y + r < 1);
            }
            if (s.n == 2) {
                double apart = s.what.way <= MOVING_RIGHT ? o[0].y - o[1].y : o[0].x - o[1].x;

                assert_true(fabs(apart) > 1.06 * (o[0].r + o[1].r) + 0.06);
            }
        }
    }
}

/* Three training crossings in four are told by who moves right or down, half of those held out. */
static void crossings_begin_with_right_and_down(void **state)
{
    enum { N = 3000 };

    (void)state;
    for (int held_out = 0; held_out < 2; held_out++) {
        int crossings = 0, first = 0;

        for (int i = 0; i < N; i++) {
            struct moving_scene s;

            moving_scene_make(&s, 6, (uint64_t)i, 8, held_out, false);
            crossings += s.what.kind == MOVING_CROSS;
            first += s.what.kind == MOVING_CROSS &&
                     (s.what.way == MOVING_RIGHT || s.what.way == MOVING_DOWN);
        }
        assert_true(crossings > N / 4);
        assert_true(fabs((double)first / crossings - (held_out ? 0.5 : 0.75)) < 0.06);
    }
}

/* The same clip at every length is a longer look at the same pace. */
static void steps_are_those_of_the_rate(void **state)
{
    struct moving_scene a, b;

    (void)state;
    moving_scene_make(&a, 1, 7, 8, false, false);
    moving_scene_make(&b, 1, 7, 16, false, false);
    assert_true(a.step == b.step && a.step > 1.0 / 32 && a.step < 1.2 / 32);
    moving_scene_make(&b, 1, 7, 64, false, false);
    assert_true(fabs(b.step * 63 - a.step * 15) < 1e-9);
}

/* ---- the checker ---- */

struct count {
    int n, objects, motion, right, wrong;
};

static void judge(struct count *c, const struct moving_scene *s, const float *pixels, int frames)
{
    struct moving other = mirrored(&s->what);
    struct moving_verdict v;
    struct moving_answer a;

    moving_check(pixels, frames, SIDE, &v);
    a = moving_judge(&s->what, &v);
    c->n++;
    c->objects += a.objects;
    c->motion += a.motion;
    c->right += a.all;
    c->wrong += v.n && v.moves && !a.all;
    if (s->n == 2)
        assert_int_equal(moving_judge(&other, &v).all, a.all);
    if (a.all && frames <= 16)
        c->right -= moving_rate(v.step, frames) != s->rate;
}

static struct count answers(float *pixels, int frames, int n, double sigma)
{
    struct count c = {0};

    for (int i = 0; i < n; i++) {
        struct rng g = rng_stream(6, RNG_TEST, (uint64_t)i);
        struct moving_scene s;

        moving_scene_make(&s, 9, (uint64_t)i, frames, i % 2, true);
        draw(&s, frames, pixels);
        for (int k = 0; k < frames * FRAME && sigma > 0; k++)
            pixels[k] += (float)(sigma * rng_normal(&g));
        judge(&c, &s, pixels, frames);
    }
    print_message("%d frames, noise %.2f: %d of %d right, %d wrong\n", frames, sigma, c.right, c.n,
                  c.wrong);
    return c;
}

static void checker_reads_what_is_drawn(void **state)
{
    float *pixels = malloc(MOST * FRAME * sizeof *pixels);

    (void)state;
    assert_non_null(pixels);
    for (int frames = 8; frames <= 16; frames += 4) {
        struct count c = answers(pixels, frames, 400, 0);

        assert_true(c.right >= c.n * 0.995 && c.wrong <= c.n / 500);
    }
    assert_true(answers(pixels, 64, 10, 0).right >= 9);
    assert_true(answers(pixels, 12, 40, 0.1).right >= 38);
    free(pixels);
}

static void swap_frames(float *pixels, int a, int b)
{
    float keep[FRAME];

    memcpy(keep, pixels + a * FRAME, sizeof keep);
    memcpy(pixels + a * FRAME, pixels + b * FRAME, sizeof keep);
    memcpy(pixels + b * FRAME, keep, sizeof keep);
}

/* Time turned round: straight motion and crossings go the other way; a bounce is one still. */
static void reversed_clips_are_wrong(void **state)
{
    enum { T = 12 };
    float *pixels = malloc(T * FRAME * sizeof *pixels);

    (void)state;
    assert_non_null(pixels);
    for (int i = 0; i < 150; i++) {
        struct moving_verdict v;
        struct moving_answer a;
        struct moving_scene s;
        struct moving back;

        moving_scene_make(&s, 3, (uint64_t)i, T, false, true);
        draw(&s, T, pixels);
        for (int t = 0; t < T / 2; t++)
            swap_frames(pixels, t, T - 1 - t);
        moving_check(pixels, T, SIDE, &v);
        a = moving_judge(&s.what, &v);
        assert_true(a.objects);
        assert_int_equal(a.all, s.what.kind == MOVING_BOUNCE);
        back = s.what;
        back.way = against(back.way);
        assert_int_equal(moving_judge(&back, &v).all, s.what.kind != MOVING_BOUNCE);
    }
    free(pixels);
}

/* Frames that stand still, or come in any order, show their objects and no motion. */
static void still_and_shuffled_clips_are_unclear(void **state)
{
    enum { T = 8 };
    float *pixels = malloc(T * FRAME * sizeof *pixels);
    int moved = 0;

    (void)state;
    assert_non_null(pixels);
    for (int i = 0; i < 150; i++) {
        struct rng g = rng_stream(4, RNG_TEST, (uint64_t)i);
        struct moving_verdict v;
        struct moving_scene s;

        moving_scene_make(&s, 4, (uint64_t)i, T, false, true);
        draw(&s, T, pixels);
        for (int t = 1; t < T; t++)
            memcpy(pixels + t * FRAME, pixels, FRAME * sizeof *pixels);
        moving_check(pixels, T, SIDE, &v);
        assert_int_equal(v.n, s.n);
        assert_false(v.moves);
        draw(&s, T, pixels);
        for (int t = T - 1; t > 0; t--)
            swap_frames(pixels, t, (int)rng_below(&g, (uint64_t)t + 1));
        moving_check(pixels, T, SIDE, &v);
        moved += moving_judge(&s.what, &v).motion;
    }
    print_message("%d of 150 shuffled clips are taken for what was asked\n", moved);
    /* Chance leaves an order that is almost the right one: in 27 of 1,500, so of 150 in 2.7, and
     * three deviations more are 7. */
    assert_in_range(moved, 0, 7);
    free(pixels);
}

/* Noise, a jump from side to side, an object that changes its colour half-way, one that turns in
 * the middle of the picture, one that goes aslant: no motion, or no object. */
static void checker_admits_ignorance(void **state)
{
    enum { T = 12 };
    float *pixels = malloc(T * FRAME * sizeof *pixels);
    struct rng g = rng_stream(1, RNG_TEST, 0);
    struct moving_verdict v;

    (void)state;
    assert_non_null(pixels);
    for (int k = 0; k < T * FRAME; k++)
        pixels[k] = (float)rng_normal(&g);
    moving_check(pixels, T, SIDE, &v);
    assert_int_equal(v.n, 0);
    for (int i = 0; i < 5; i++) {
        struct shapes_object o = {SHAPE_STAR, SHAPE_BLUE, 0, 0.5, 0.18, 1};
        struct shapes_ground ground;

        shapes_ground_make(&ground, &g);
        ground.background = SHAPE_PLAIN;
        for (int t = 0; t < T; t++) {
            double along = (double)t / (T - 1);

            o.x = 0.25 + 0.5 * along;
            switch (i) {
            case 0:
                o.x = t < T / 2 ? 0.25 : 0.75;
                break;
            case 1:
                o.colour = t < T / 2 ? SHAPE_BLUE : SHAPE_RED;
                break;
            case 2:
                o.x = 0.3 + 0.3 * (1 - fabs(2 * along - 1));
                break;
            case 3:
                o.y = o.x;
                break;
            default:
                break; /* straight on: clear */
            }
            shapes_draw(&ground, &o, 1, SIDE, pixels + t * FRAME);
        }
        moving_check(pixels, T, SIDE, &v);
        assert_int_equal(v.n, i != 1);
        assert_int_equal(v.moves, i == 4);
    }
    pixels[5 * FRAME + 7] = NAN; /* one frame of twelve may be lost */
    moving_check(pixels, T, SIDE, &v);
    assert_true(v.n == 1 && v.moves && v.what.way == MOVING_RIGHT);
    for (int t = 0; t < 4; t++)
        pixels[t * FRAME] = NAN;
    moving_check(pixels, T, SIDE, &v);
    assert_int_equal(v.n, 0);
    free(pixels);
}

static void judge_tells_what_is_wrong(void **state)
{
    struct moving asked = {
        MOVING_CROSS, MOVING_LEFT, {SHAPE_CIRCLE, SHAPE_STAR}, {SHAPE_RED, SHAPE_BLUE}};
    struct moving_verdict seen = {2, true, asked, 0.03};
    struct moving_answer a;

    (void)state;
    assert_true(moving_judge(&asked, &seen).all);
    seen.what = mirrored(&asked);
    assert_true(moving_judge(&asked, &seen).all);
    seen.what.way = asked.way;
    a = moving_judge(&asked, &seen);
    assert_true(a.objects && !a.motion && !a.all);
    seen.what = asked;
    seen.what.colour[1] = SHAPE_GREEN;
    a = moving_judge(&asked, &seen);
    assert_true(!a.objects && a.motion && !a.all);
    seen.n = 1;
    a = moving_judge(&asked, &seen);
    assert_false(a.objects || a.motion || a.all);
    asked = (struct moving){MOVING_BOUNCE, MOVING_UP, {SHAPE_CIRCLE, 0}, {SHAPE_RED, 0}};
    seen = (struct moving_verdict){1, true, asked, 0.03};
    assert_true(moving_judge(&asked, &seen).all);
    seen.what.kind = MOVING_STRAIGHT;
    a = moving_judge(&asked, &seen);
    assert_true(a.objects && !a.motion && !a.all);
    seen.what.kind = MOVING_BOUNCE;
    seen.moves = false;
    assert_false(moving_judge(&asked, &seen).motion);
    seen.moves = true;
    seen.what.form[0] = SHAPE_SQUARE;
    a = moving_judge(&asked, &seen);
    assert_true(!a.objects && a.motion && !a.all);
}

/* ---- the set ---- */

static void set_has_clips_and_pictures(void **state)
{
    struct dataset_config c = {.format = "moving", .frames = 8, .seed = 3, .rates = true};
    float *pixels = malloc(16 * FRAME * sizeof *pixels),
          *again = malloc(16 * FRAME * sizeof *again);
    char caption[CAPTION_TEXT], expected[CAPTION_TEXT];
    struct error err = {0};
    struct dataset *d;
    int32_t label;

    (void)state;
    assert_true(pixels && again);
    for (int held_out = 0; held_out < 2; held_out++) {
        c.path = held_out ? "held-out" : "training";
        assert_int_equal(dataset_open(&d, &c, &err), OK);
        assert_int_equal(d->frames, 8);
        assert_int_equal(dataset_length(d), 8 * FRAME);
        for (int64_t i = 0; i < 50; i++) {
            struct moving_scene s;
            struct moving m;

            assert_int_equal(dataset_get(d, i, pixels, &label, caption, &err), OK);
            m = moving_of_label(label);
            assert_int_equal(moving_is_held_out(&m), held_out);
            moving_scene_make(&s, 3, (uint64_t)i, 8, held_out, true);
            moving_caption(&m, s.rate, false, expected);
            assert_string_equal(caption, expected);
            draw(&s, 8, again);
            assert_memory_equal(again, pixels, 8 * FRAME * sizeof *pixels);
        }
        dataset_close(d);
    }
    c = (struct dataset_config){.format = "moving", .frames = 1};
    assert_int_equal(dataset_open(&d, &c, &err), OK);
    assert_int_equal(dataset_length(d), FRAME);
    for (int64_t i = 0; i < 20; i++) {
        struct shapes_verdict v[2];
        struct moving m;

        assert_int_equal(dataset_get(d, i, pixels, &label, caption, &err), OK);
        m = moving_of_label(label);
        moving_caption(&m, 0, true, expected);
        assert_string_equal(caption, expected);
        assert_int_equal(relation_objects(pixels, SIDE, v), m.kind == MOVING_CROSS ? 2 : 1);
    }
    dataset_close(d);
    c.frames = 0;
    assert_int_equal(dataset_open(&d, &c, &err), OK);
    assert_int_equal(d->frames, MOVING_FRAMES);
    assert_int_equal(dataset_get(d, 0, pixels, &label, caption, &err), OK);
    assert_string_equal(caption, d->class_names[label]);
    dataset_close(d);
    free(again);
    free(pixels);
}

static void set_refuses(void **state)
{
    static const struct {
        struct dataset_config c;
        const char *says;
    } cases[] = {
        {{.format = "moving", .path = "elsewhere"}, "'elsewhere'"},
        {{.format = "moving", .size = 31}, "size 31"},
        {{.format = "moving", .frames = 7}, "7 frames"},
        {{.format = "moving", .frames = 129}, "129 frames"},
        {{.format = "moving", .frames = -1}, "-1 frames"},
        {{.format = "moving", .frames = 1000000}, "1000000 frames"},
        {{.format = "moving", .channels = 1}, "1 channels"},
        {{.format = "shapes", .frames = 8}, "8 frames asked, and the set holds pictures"},
    };
    struct dataset *d;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};

        assert_int_equal(dataset_open(&d, &cases[i].c, &err), E_ARG);
        assert_non_null(strstr(err.text, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_count_all),
        cmocka_unit_test(captions_say_it),
        cmocka_unit_test(equal_clips_are_held_out_together),
        cmocka_unit_test(training_has_every_word),
        cmocka_unit_test(scenes_keep_their_promises),
        cmocka_unit_test(crossings_begin_with_right_and_down),
        cmocka_unit_test(steps_are_those_of_the_rate),
        cmocka_unit_test(checker_reads_what_is_drawn),
        cmocka_unit_test(reversed_clips_are_wrong),
        cmocka_unit_test(still_and_shuffled_clips_are_unclear),
        cmocka_unit_test(checker_admits_ignorance),
        cmocka_unit_test(judge_tells_what_is_wrong),
        cmocka_unit_test(set_has_clips_and_pictures),
        cmocka_unit_test(set_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
