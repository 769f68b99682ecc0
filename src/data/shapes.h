/*
 * shapes.h - pictures the program draws itself, and the checker that reads them back
 *
 * A scene is one coloured shape, or two (relations.h), on a muted background.  Places and lengths
 * are fractions of the side (x to the right, y down, both 0..1), so that scene i looks the same at
 * every resolution.
 */
#ifndef IMGEN_DATA_SHAPES_H
#define IMGEN_DATA_SHAPES_H

#include "base/rng.h"
#include "data/dataset.h"

#include <stdbool.h>
#include <stdint.h>

enum shape_form {
    SHAPE_CIRCLE,
    SHAPE_SQUARE,
    SHAPE_TRIANGLE,
    SHAPE_STAR,
    SHAPE_RING,
    SHAPE_CROSS,
    SHAPE_HEART,
    SHAPE_DIAMOND,
    SHAPES_FORMS,
};

enum shape_colour {
    SHAPE_RED,
    SHAPE_YELLOW,
    SHAPE_GREEN,
    SHAPE_CYAN,
    SHAPE_BLUE,
    SHAPE_PURPLE,
    SHAPES_COLOURS,
};

enum shape_background {
    SHAPE_PLAIN,
    SHAPE_SHADED,
    SHAPE_STRIPED,
    SHAPE_CLOUDY,
    SHAPES_BACKGROUNDS
};

enum {
    SHAPES_CLASSES = SHAPES_FORMS * SHAPES_COLOURS,
    SHAPES_SIDE_MIN = 16,
    SHAPES_SIDE_MAX = 128,
    SHAPES_MOST = 2,  /* objects of a picture */
    SHAPES_CLOUD = 5, /* lattice points a side of a cloudy background */
};

/* The label of the set: form * SHAPES_COLOURS + colour, named "red star". */
int32_t shapes_label(enum shape_form form, enum shape_colour colour);
enum shape_form shapes_label_form(int32_t label);
enum shape_colour shapes_label_colour(int32_t label);
const char *shapes_form_name(enum shape_form form);        /* "star" */
const char *shapes_colour_name(enum shape_colour colour);  /* "red"  */
const double *shapes_colour_rgb(enum shape_colour colour); /* three numbers in [0, 1] */

struct shapes_object {
    enum shape_form form;
    enum shape_colour colour;
    double x, y, r; /* centre and radius   */
    double light;   /* brightness, about 1 */
};

struct shapes_ground {
    enum shape_background background;
    double near[3], far[3];                   /* the two colours of the background              */
    double angle, waves, phase;               /* of its pattern: direction, waves a side, start */
    double cloud[SHAPES_CLOUD][SHAPES_CLOUD]; /* lattice; 0: near, 1: far                       */
};

struct shapes_scene {
    struct shapes_object object;
    bool large;
    struct shapes_ground ground;
};

/* Scene i of a seed: a pure function of the two. */
void shapes_scene_make(struct shapes_scene *s, uint64_t seed, uint64_t i);
/* Any background, drawn from g. */
void shapes_ground_make(struct shapes_ground *s, struct rng *g);
/* n objects, each over those before it.  pixels: [size, size, 3] in [-1, 1]; size in
 * SHAPES_SIDE_MIN..SHAPES_SIDE_MAX. */
void shapes_draw(const struct shapes_ground *s, const struct shapes_object *object, int n,
                 int64_t size, float *pixels);
/* "a large red star on a striped background at the left" */
void shapes_caption(const struct shapes_scene *s, char caption[CAPTION_TEXT]);

/* The share of every pixel that a form centred at (x, y) with radius r covers: mask [size, size] in
 * [0, 1], antialiased.  The form may reach past the picture. */
void shapes_coverage(enum shape_form form, double x, double y, double r, int64_t size, float *mask);

/* What a picture shows. */
struct shapes_verdict {
    int shape, colour; /* enum shape_form and shape_colour, or -1: none is clear      */
    double confidence; /* 0..1: lead over the runner-up; 0 when unclear               */
    double residual;   /* share of the object that the best template does not explain */
    double x, y, r;    /* where the best template lies                                */
};

/* Which form and colour the picture shows, or that it shows none clearly.  pixels: [size, size, 3],
 * nominally in [-1, 1] (values outside are clipped, values that are not finite make it unclear);
 * size as for shapes_draw.  Deterministic, allocates nothing. */
void shapes_check(const float *pixels, int64_t size, struct shapes_verdict *out);

/* The same where several objects may stand: first which pixels are clearly coloured, coloured
 * [size, size], false when too many are, or values are not finite; then what one object is, of
 * which `part` [size, size] has the pixels, with a radius of least_r or more.  Pixels of no part
 * are background. */
bool shapes_coloured(const float *pixels, int64_t size, bool *coloured);
void shapes_check_part(const float *pixels, int64_t size, const bool *part, double least_r,
                       struct shapes_verdict *out);

#endif
