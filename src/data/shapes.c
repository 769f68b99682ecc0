/*
 * shapes.c - a data set that the program draws: one coloured shape on a muted background
 *
 * Guidance can only be judged on requests whose fulfilment can be measured.  Here the request is
 * "red star", 8 forms times 6 colours, and shapes_check.c reads the answer off any picture.
 * Everything else (place, size, light, background) varies freely, so that a network must learn the
 * object and not a picture.  Nothing is stored: picture i is a pure function of (seed, i), the set
 * has no end, and no training sample is ever seen twice.
 *
 * What must stay true: backgrounds keep their chroma under a fifth of the palest object's, because
 * the checker tells object from background by chroma alone; an object lies wholly inside the
 * picture, so its form is never a matter of opinion; radii stay above 0.23 of the side, below which
 * a star at 16 pixels is a blot; and the draws from the stream keep their order, because changing
 * it changes every picture of every seed.
 */
#include "data/shapes.h"

#include "base/memory.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const form_names[SHAPES_FORMS] = {"circle", "square", "triangle", "star",
                                                     "ring",   "cross",  "heart",    "diamond"};
static const char *const background_names[SHAPES_BACKGROUNDS] = {"plain", "shaded", "striped",
                                                                 "cloudy"};

/* Hues at least 45 degrees apart in the chroma plane: orange would lie between red and yellow. */
static const struct {
    const char *name;
    double rgb[3];
} colours[SHAPES_COLOURS] = {
    [SHAPE_RED] = {"red", {0.90, 0.14, 0.16}},     [SHAPE_YELLOW] = {"yellow", {0.98, 0.84, 0.12}},
    [SHAPE_GREEN] = {"green", {0.08, 0.70, 0.22}}, [SHAPE_CYAN] = {"cyan", {0.10, 0.80, 0.88}},
    [SHAPE_BLUE] = {"blue", {0.14, 0.26, 0.92}},   [SHAPE_PURPLE] = {"purple", {0.66, 0.16, 0.86}},
};

int32_t shapes_label(enum shape_form form, enum shape_colour colour)
{
    return (int32_t)form * SHAPES_COLOURS + (int32_t)colour;
}

enum shape_form shapes_label_form(int32_t label)
{
    return (enum shape_form)(label / SHAPES_COLOURS);
}

enum shape_colour shapes_label_colour(int32_t label)
{
    return (enum shape_colour)(label % SHAPES_COLOURS);
}

const char *shapes_form_name(enum shape_form form)
{
    return form_names[form];
}

const char *shapes_colour_name(enum shape_colour colour)
{
    return colours[colour].name;
}

const double *shapes_colour_rgb(enum shape_colour colour)
{
    return colours[colour].rgb;
}

static double between(struct rng *g, double lo, double hi)
{
    return lo + (hi - lo) * rng_uniform(g);
}

/* Two muted colours of one hue whose lightness differs enough for the pattern to be seen. */
static void background_colours(struct shapes_ground *s, struct rng *g)
{
    double light = between(g, 0.40, 0.93), step = between(g, 0.12, 0.22);
    double hue = between(g, 0, 2 * 3.14159265358979323846), tint = between(g, 0.01, 0.06);
    double other = light > 0.6 ? light - step : light + step;

    for (int k = 0; k < 3; k++) {
        double shift = tint * cos(hue - k * 2.09439510239319549);

        s->near[k] = light + shift;
        s->far[k] = other + shift;
    }
}

void shapes_ground_make(struct shapes_ground *s, struct rng *g)
{
    s->background = (enum shape_background)rng_below(g, SHAPES_BACKGROUNDS);
    background_colours(s, g);
    s->angle = between(g, 0, 2 * 3.14159265358979323846);
    s->waves = between(g, 1.8, 3.2);
    s->phase = between(g, 0, 2 * 3.14159265358979323846);
    for (int a = 0; a < SHAPES_CLOUD; a++)
        for (int b = 0; b < SHAPES_CLOUD; b++)
            s->cloud[a][b] = rng_uniform(g);
}

void shapes_scene_make(struct shapes_scene *s, uint64_t seed, uint64_t i)
{
    struct rng g = rng_stream(seed, RNG_DATA, i);
    struct shapes_object *o = &s->object;
    double room;

    *s = (struct shapes_scene){0};
    o->form = (enum shape_form)rng_below(&g, SHAPES_FORMS);
    o->colour = (enum shape_colour)rng_below(&g, SHAPES_COLOURS);
    s->large = rng_below(&g, 2);
    o->r = s->large ? between(&g, 0.34, 0.40) : between(&g, 0.24, 0.29);
    room = 0.5 - 1.1 * o->r; /* no form reaches past 1.06 radii */
    o->x = 0.5 + between(&g, -room, room);
    o->y = 0.5 + between(&g, -room, room);
    o->light = between(&g, 0.94, 1.04);
    shapes_ground_make(&s->ground, &g);
}

/* Lattice values joined by smooth steps (value noise). */
static double cloud_at(const struct shapes_ground *s, double x, double y)
{
    double u = x * (SHAPES_CLOUD - 1), v = y * (SHAPES_CLOUD - 1), top, bottom;
    int j = (int)u, i = (int)v;

    u -= j, v -= i;
    u = u * u * (3 - 2 * u), v = v * v * (3 - 2 * v);
    top = s->cloud[i][j] + u * (s->cloud[i][j + 1] - s->cloud[i][j]);
    bottom = s->cloud[i + 1][j] + u * (s->cloud[i + 1][j + 1] - s->cloud[i + 1][j]);
    return top + v * (bottom - top);
}

/* How much of the far colour lies at (x, y), both inside (0, 1). */
static double background_at(const struct shapes_ground *s, double x, double y)
{
    double along = (x - 0.5) * cos(s->angle) + (y - 0.5) * sin(s->angle);

    switch (s->background) {
    case SHAPE_SHADED:
        return 0.5 + along * 0.70710678118654752; /* 0 and 1 in opposite corners */
    case SHAPE_STRIPED:
        /* Soft edges a pixel wide at 16 pixels, so that a pixel's centre stands for its whole. */
        return 0.5 +
               0.5 * tanh(1.5 * sin(2 * 3.14159265358979323846 * s->waves * along + s->phase));
    case SHAPE_CLOUDY:
        return cloud_at(s, x, y);
    default:
        return 0;
    }
}

/* Light falls from the upper left. */
static double light_at(const struct shapes_object *o, double x, double y)
{
    return o->light - 0.06 * (x - o->x + y - o->y) / o->r;
}

void shapes_draw(const struct shapes_ground *s, const struct shapes_object *object, int n,
                 int64_t size, float *pixels)
{
    float mask[SHAPES_MOST][SHAPES_SIDE_MAX * SHAPES_SIDE_MAX];

    MUST(size >= SHAPES_SIDE_MIN && size <= SHAPES_SIDE_MAX, "side %" PRId64, size);
    MUST(n >= 0 && n <= SHAPES_MOST, "%d objects", n);
    for (int k = 0; k < n; k++)
        shapes_coverage(object[k].form, object[k].x, object[k].y, object[k].r, size, mask[k]);
    for (int64_t i = 0; i < size * size; i++) {
        double x = ((double)(i % size) + 0.5) / (double)size;
        double y = ((double)(i / size) + 0.5) / (double)size;
        double mix = background_at(s, x, y);

        for (int c = 0; c < 3; c++) {
            double value = s->near[c] + mix * (s->far[c] - s->near[c]);

            for (int k = 0; k < n; k++) {
                double rgb = colours[object[k].colour].rgb[c];

                value += (double)mask[k][i] * (rgb * light_at(&object[k], x, y) - value);
            }
            value = value < 0 ? 0 : value > 1 ? 1 : value;
            pixels[i * 3 + c] = (float)(2 * value - 1);
        }
    }
}

void shapes_caption(const struct shapes_scene *s, char caption[CAPTION_TEXT])
{
    const struct shapes_object *o = &s->object;
    const double off = 0.04; /* nearer than this to the middle line is the middle */
    const char *row = o->y < 0.5 - off ? "top" : o->y > 0.5 + off ? "bottom" : "";
    const char *column = o->x < 0.5 - off ? "left" : o->x > 0.5 + off ? "right" : "";
    bool centred = !*row && !*column;

    snprintf(caption, CAPTION_TEXT, "a %s %s %s on a %s background %s%s%s%s",
             s->large ? "large" : "small", colours[o->colour].name, form_names[o->form],
             background_names[s->ground.background], centred ? "in the centre" : "at the ", row,
             *row && *column ? " " : "", column);
}

struct shapes {
    uint64_t seed;
};

static enum status shapes_name_classes(struct dataset *d, struct error *err)
{
    char text[SHAPES_CLASSES][24];
    const char *names[SHAPES_CLASSES];

    for (int32_t i = 0; i < SHAPES_CLASSES; i++) {
        snprintf(text[i], sizeof text[i], "%s %s", colours[shapes_label_colour(i)].name,
                 form_names[shapes_label_form(i)]);
        names[i] = text[i];
    }
    return dataset_name_classes(d, SHAPES_CLASSES, names, err);
}

static enum status shapes_open(struct dataset *d, const struct dataset_config *c, struct error *err)
{
    int64_t size = c->size ? c->size : 32;
    struct shapes *impl;
    enum status st;

    if (size < SHAPES_SIDE_MIN || size > SHAPES_SIDE_MAX)
        return fail(err, E_ARG, "shapes: size %" PRId64 " is outside %d..%d", size, SHAPES_SIDE_MIN,
                    SHAPES_SIDE_MAX);
    if (c->channels && c->channels != 3)
        return fail(err, E_ARG, "shapes: %" PRId64 " channels asked, and colours need 3",
                    c->channels);
    if ((st = mem_new(&d->impl, 1, sizeof(struct shapes), "the shapes set", err)))
        return st;
    impl = d->impl;
    impl->seed = c->seed;
    d->count = INT64_MAX;
    d->height = d->width = size;
    d->channels = 3;
    return shapes_name_classes(d, err);
}

static void shapes_close(struct dataset *d)
{
    free(d->impl);
}

static enum status shapes_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                              char caption[CAPTION_TEXT], struct error *err)
{
    const struct shapes *impl = d->impl;
    struct shapes_scene scene;

    (void)err;
    shapes_scene_make(&scene, impl->seed, (uint64_t)i);
    shapes_draw(&scene.ground, &scene.object, 1, d->height, pixels);
    *label = shapes_label(scene.object.form, scene.object.colour);
    shapes_caption(&scene, caption);
    return OK;
}

const struct dataset_format dataset_shapes = {
    .name = "shapes",
    .summary = "one coloured shape on a muted background, drawn by the program; endless",
    .open = shapes_open,
    .close = shapes_close,
    .get = shapes_get,
};
