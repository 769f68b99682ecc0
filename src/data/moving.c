/*
 * moving.c - a data set that the program draws: coloured shapes that move as a caption says
 *
 * A still picture of a moving object says nothing of its motion: left and right differ only in the
 * order of frames.  So a caption's last words can be obeyed only by a network that has understood
 * time, and whether it has can be measured, since moving_check.c reads the motion back.  Objects
 * are those of relations.c, five forms in six colours; backgrounds stay plain or shaded and stand
 * still, for patterns are another lesson.
 *
 * All motion is even, along one axis, and told by where the objects are at one frame, the turn:
 *
 *     straight   ------o----->      a(t) = a + step (t - turn)
 *     bounce     ----->|            a(t) = a - step |t - turn|, and at the turn it touches the side
 *                <-----|
 *     crossing   ------o----->      a(t) = a + step (t - turn)  and  a - step (t - turn), on two
 *                <-----o------      lanes: they never touch, so every frame can be read
 *
 * Who moves where in a crossing is in the order of the words and in the direction together, and in
 * neither alone; so half of the training crossings are told by who moves right or down, for the
 * reason that relations.c gives, and the others by either.
 *
 * where a counts in the direction of the motion.  A step is the same in a clip of 8 frames and in
 * one of 16, as a camera would have it; only clips of more are slowed down to fit into the picture.
 * What must stay true besides: objects are wholly inside in every frame, lanes are at least a
 * sixteenth of the side apart, and the draws from the stream keep their order.
 */
#include "data/moving.h"

#include "base/memory.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELD_OUT_ONE_IN = 10 };

static const double r_least = 0.165, r_most = 0.195;
static const double step_least = 0.032, step_most = 0.036; /* at the fast rate */
static const double outermost = 1.08;                      /* radii: no form reaches further */
static const double lane_gap = 0.0625;

static const char *const ways[MOVING_WAYS] = {"left", "right", "up", "down"};

/* How many radii an object reaches towards each side: a bounce touches it. */
static double reach_of(enum shape_form form, enum moving_way way)
{
    static const double reach[SHAPES_FORMS][MOVING_WAYS] = {
        [SHAPE_CIRCLE] = {0.93, 0.93, 0.93, 0.93},   [SHAPE_SQUARE] = {0.82, 0.82, 0.82, 0.82},
        [SHAPE_TRIANGLE] = {1.00, 1.00, 0.93, 0.80}, [SHAPE_STAR] = {1.01, 1.01, 0.96, 0.96},
        [SHAPE_CROSS] = {0.98, 0.98, 0.98, 0.98},
    };

    return reach[form][way];
}

static enum moving_way against(enum moving_way way)
{
    static const enum moving_way other[] = {MOVING_RIGHT, MOVING_LEFT, MOVING_DOWN, MOVING_UP};

    return other[way];
}

/* ---- What is said ---- */

struct moving moving_of_label(int32_t label)
{
    struct moving m = {.kind = MOVING_CROSS};
    struct relation pair;

    if (label < 2 * MOVING_ALONE) {
        int32_t kind = label % MOVING_ALONE / MOVING_WAYS;

        m.kind = label < MOVING_ALONE ? MOVING_STRAIGHT : MOVING_BOUNCE;
        m.way = (enum moving_way)(label % MOVING_WAYS);
        m.form[0] = relation_kind_form(kind);
        m.colour[0] = relation_kind_colour(kind);
        return m;
    }
    pair = relation_of_label(label - 2 * MOVING_ALONE);
    m.way = (enum moving_way)pair.way;
    memcpy(m.form, pair.form, sizeof m.form);
    memcpy(m.colour, pair.colour, sizeof m.colour);
    return m;
}

/* Of an object alone, whatever it does. */
static int32_t alone_label(const struct moving *m)
{
    return relation_kind(m->form[0], m->colour[0]) * MOVING_WAYS + (int32_t)m->way;
}

int32_t moving_label(const struct moving *m)
{
    struct relation pair = {
        {m->form[0], m->form[1]}, {m->colour[0], m->colour[1]}, (enum relation_way)m->way};

    if (m->kind == MOVING_CROSS)
        return 2 * MOVING_ALONE + relation_label(&pair);
    return alone_label(m) + (m->kind == MOVING_BOUNCE ? MOVING_ALONE : 0);
}

const char *moving_way_name(enum moving_way way)
{
    return ways[way];
}

void moving_caption(const struct moving *m, int rate, bool still, char caption[CAPTION_TEXT])
{
    const char *colour = shapes_colour_name(m->colour[0]), *form = shapes_form_name(m->form[0]);
    bool cross = m->kind == MOVING_CROSS;
    int n = rate > 0 && !still ? snprintf(caption, CAPTION_TEXT, "FPS-%d ", rate) : 0;

    n += snprintf(caption + n, (size_t)(CAPTION_TEXT - n), "a %s %s", colour, form);
    if (!still)
        n += snprintf(caption + n, (size_t)(CAPTION_TEXT - n), " moves %s%s", ways[m->way],
                      cross                      ? " and crosses"
                      : m->kind == MOVING_BOUNCE ? " and bounces"
                                                 : "");
    if (cross)
        snprintf(caption + n, (size_t)(CAPTION_TEXT - n), "%s a %s %s", still ? " and" : "",
                 shapes_colour_name(m->colour[1]), shapes_form_name(m->form[1]));
}

/* A crossing told by who moves right or down. */
static struct moving from_first(const struct moving *m)
{
    struct moving q = *m;

    if (m->kind != MOVING_CROSS || m->way == MOVING_RIGHT || m->way == MOVING_DOWN)
        return q;
    for (int k = 0; k < 2; k++) {
        q.form[k] = m->form[1 - k];
        q.colour[k] = m->colour[1 - k];
    }
    q.way = against(m->way);
    return q;
}

bool moving_is_held_out(const struct moving *m)
{
    /* Beside the numbers that relations.c asks for, and such that of the 120 single objects and
     * their directions 12 are held out, no object in two directions. */
    const uint64_t own = UINT64_C(9) << 32;
    struct moving q = from_first(m);
    int32_t key = m->kind == MOVING_CROSS ? moving_label(&q) : alone_label(m);
    struct rng g = rng_stream(0, RNG_SHUFFLE, own + (uint64_t)key);

    return rng_below(&g, HELD_OUT_ONE_IN) == 0;
}

/* ---- A scene ---- */

static double between(struct rng *g, double lo, double hi)
{
    return lo + (hi - lo) * rng_uniform(g);
}

/* Where a is at the turn, of an object that moves `way` from frame 0 to `last`: a runs in the
 * direction of the motion, from 0 to 1. */
static double place_along(const struct moving_scene *s, double last, struct rng *g)
{
    const struct shapes_object *o = s->object;
    double before = s->step * s->turn, after = s->step * (last - s->turn);
    double room = outermost * fmax(o[0].r, o[1].r), any = rng_uniform(g), lo, hi;

    switch (s->what.kind) {
    case MOVING_BOUNCE:
        return 1 - reach_of(o[0].form, s->what.way) * o[0].r;
    case MOVING_CROSS:
        lo = room + fmax(before, after);
        hi = 1 - lo;
        break;
    default:
        lo = room + before;
        hi = 1 - room - after;
    }
    return lo + (hi - lo) * any;
}

/* Two lanes, either above or left of the other, or one anywhere. */
static void place_across(double across[2], const struct moving_scene *s, struct rng *g)
{
    double reach[2] = {outermost * s->object[0].r, outermost * s->object[1].r};
    int low = (int)rng_below(g, 2);
    double apart;

    if (s->n == 1) {
        across[0] = between(g, reach[0], 1 - reach[0]);
        return;
    }
    apart = between(g, reach[0] + reach[1] + lane_gap, 1 - reach[0] - reach[1]);
    across[low] = between(g, reach[low], 1 - reach[1 - low] - apart);
    across[1 - low] = across[low] + apart;
}

/* When it turns, or when they meet, so that all of the way before and after is in the picture. */
static double choose_turn(const struct moving_scene *s, double last, struct rng *g)
{
    const double least = 0.35;
    double most = (0.495 - outermost * r_most) / s->step; /* frames to the side from the middle */
    double lo = least * last;

    if (s->what.kind == MOVING_STRAIGHT)
        return last / 2;
    if (s->what.kind == MOVING_CROSS)
        lo = fmax(lo, last - most);
    return between(g, lo, last - lo);
}

static void make_objects(struct moving_scene *s, struct rng *g)
{
    for (int k = 0; k < s->n; k++) {
        s->object[k].form = s->what.form[k];
        s->object[k].colour = s->what.colour[k];
        s->object[k].r = between(g, r_least, r_most);
        s->object[k].light = between(g, 0.94, 1.04);
    }
}

/* Each kind of motion is as frequent as the others, though there are more crossings to be told. */
static struct moving choose_label(struct rng *g)
{
    static const int32_t first[] = {0, MOVING_ALONE, 2 * MOVING_ALONE, MOVING_LABELS};
    uint64_t kind = rng_below(g, MOVING_KINDS);

    return moving_of_label(first[kind] +
                           (int32_t)rng_below(g, (uint64_t)(first[kind + 1] - first[kind])));
}

static bool is_level(enum moving_way way)
{
    return way == MOVING_LEFT || way == MOVING_RIGHT;
}

/* Longer clips than of MOVING_FRAMES go no further, and so more slowly. */
static double slowed(double step, int64_t frames)
{
    return step * fmin(1, (double)(MOVING_FRAMES - 1) / (double)(frames - 1));
}

void moving_scene_make(struct moving_scene *s, uint64_t seed, uint64_t i, int64_t frames,
                       bool held_out, bool rates)
{
    struct rng g = rng_stream(seed, RNG_DATA, i);
    double last = (double)(frames - 1), along, across[2] = {0};

    MUST(frames >= MOVING_FRAMES_LEAST && frames <= MOVING_FRAMES_MOST, "%" PRId64 " frames",
         frames);
    *s = (struct moving_scene){.rate = MOVING_RATE_FAST};
    do {
        s->what = choose_label(&g);
    } while (moving_is_held_out(&s->what) != held_out);
    if (!held_out && rng_below(&g, 2) == 0)
        s->what = from_first(&s->what);
    s->n = s->what.kind == MOVING_CROSS ? 2 : 1;
    if (rng_below(&g, 2) && rates)
        s->rate = MOVING_RATE_SLOW;
    s->step = slowed(between(&g, step_least, step_most), frames) * MOVING_RATE_FAST / s->rate;
    make_objects(s, &g);
    s->turn = choose_turn(s, last, &g);
    along = place_along(s, last, &g);
    if (s->what.way == MOVING_LEFT || s->what.way == MOVING_UP)
        along = 1 - along;
    place_across(across, s, &g);
    for (int k = 0; k < s->n; k++) {
        s->object[k].x = is_level(s->what.way) ? along : across[k];
        s->object[k].y = is_level(s->what.way) ? across[k] : along;
    }
    shapes_ground_make(&s->ground, &g);
    s->ground.background = s->ground.background % 2 ? SHAPE_SHADED : SHAPE_PLAIN;
}

void moving_place(const struct moving_scene *s, double t, struct shapes_object object[2])
{
    double since = t - s->turn;
    double moved = s->step * (s->what.kind == MOVING_BOUNCE ? -fabs(since) : since);

    if (s->what.way == MOVING_LEFT || s->what.way == MOVING_UP)
        moved = -moved;
    for (int k = 0; k < s->n; k++) {
        object[k] = s->object[k];
        *(is_level(s->what.way) ? &object[k].x : &object[k].y) += k ? -moved : moved;
    }
}

void moving_draw(const struct moving_scene *s, double t, int64_t size, float *pixels)
{
    struct shapes_object object[2];

    moving_place(s, t, object);
    shapes_draw(&s->ground, object, s->n, size, pixels);
}

int moving_rate(double step, int64_t frames)
{
    double fast = slowed((step_least + step_most) / 2, frames);

    return step > 0.75 * fast ? MOVING_RATE_FAST : MOVING_RATE_SLOW;
}

/* ---- The set ---- */

struct moving_set {
    uint64_t seed;
    bool held_out, rates;
};

static enum status name_captions(struct dataset *d, struct error *err)
{
    enum { LENGTH = 80 };
    char(*text)[LENGTH] = NULL;
    const char **names = NULL;
    enum status st;

    if (!(st = mem_new((void **)&text, MOVING_LABELS, sizeof *text, "captions", err)) &&
        !(st = mem_new((void **)&names, MOVING_LABELS, sizeof *names, "captions", err))) {
        for (int32_t i = 0; i < MOVING_LABELS; i++) {
            struct moving m = moving_of_label(i);
            char caption[CAPTION_TEXT];

            moving_caption(&m, 0, false, caption);
            snprintf(text[i], sizeof text[i], "%.79s", caption);
            names[i] = text[i];
        }
        st = dataset_name_classes(d, MOVING_LABELS, names, err);
    }
    free((void *)names);
    free(text);
    return st;
}

static enum status moving_config(const struct dataset_config *c, int64_t size, struct error *err)
{
    if (size < RELATIONS_SIDE_MIN || size > SHAPES_SIDE_MAX)
        return fail(err, E_ARG, "moving: size %" PRId64 " is outside %d..%d", size,
                    RELATIONS_SIDE_MIN, SHAPES_SIDE_MAX);
    if (c->frames > 1 && (c->frames < MOVING_FRAMES_LEAST || c->frames > MOVING_FRAMES_MOST))
        return fail(err, E_ARG,
                    "moving: %" PRId64 " frames is outside %d..%d; 1 frame is a picture", c->frames,
                    MOVING_FRAMES_LEAST, MOVING_FRAMES_MOST);
    if (c->channels && c->channels != 3)
        return fail(err, E_ARG, "moving: %" PRId64 " channels asked, and colours need 3",
                    c->channels);
    if (c->path && *c->path && strcmp(c->path, "held-out") != 0 && strcmp(c->path, "training") != 0)
        return fail(err, E_ARG, "moving: path is 'training' or 'held-out', not '%s'", c->path);
    return OK;
}

static enum status moving_open(struct dataset *d, const struct dataset_config *c, struct error *err)
{
    int64_t size = c->size ? c->size : RELATIONS_SIDE_MIN;
    struct moving_set *impl;
    enum status st;

    if ((st = moving_config(c, size, err)) ||
        (st = mem_new(&d->impl, 1, sizeof *impl, "the moving set", err)))
        return st;
    impl = d->impl;
    *impl = (struct moving_set){c->seed, c->path && !strcmp(c->path, "held-out"), c->rates};
    d->count = INT64_MAX;
    d->height = d->width = size;
    d->channels = 3;
    d->frames = c->frames ? c->frames : MOVING_FRAMES;
    return name_captions(d, err);
}

static void moving_close(struct dataset *d)
{
    free(d->impl);
}

static enum status moving_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                              char caption[CAPTION_TEXT], struct error *err)
{
    const struct moving_set *impl = d->impl;
    bool still = d->frames == 1;
    struct moving_scene s;

    (void)err;
    moving_scene_make(&s, impl->seed, (uint64_t)i, still ? MOVING_FRAMES : d->frames,
                      impl->held_out, impl->rates);
    if (still) {
        struct rng when = rng_stream_at(impl->seed, RNG_DATA, (uint64_t)i, 1);

        moving_draw(&s, between(&when, 0, MOVING_FRAMES - 1), d->height, pixels);
    }
    for (int64_t t = 0; t < d->frames && !still; t++)
        moving_draw(&s, (double)t, d->height, pixels + t * d->height * d->width * 3);
    *label = moving_label(&s.what);
    moving_caption(&s.what, impl->rates ? s.rate : 0, still, caption);
    return OK;
}

const struct dataset_format dataset_moving = {
    .name = "moving",
    .summary = "clips of one or two coloured shapes that move, drawn by the program; endless",
    .open = moving_open,
    .close = moving_close,
    .get = moving_get,
};
