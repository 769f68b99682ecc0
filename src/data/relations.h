/*
 * relations.h - two coloured shapes and how they stand to one another: captions with an exact
 * answer
 *
 * "a red circle left of a blue star" cannot be drawn from its words taken one by one: which colour
 * goes with which shape, and which shape stands where, is in the order of the words.  A combination
 * and its mirror ("a blue star right of a red circle") are one picture.  One combination in ten is
 * kept out of the training pictures, mirror included, so that what a network makes of them is what
 * it has understood.
 */
#ifndef IMGEN_DATA_RELATIONS_H
#define IMGEN_DATA_RELATIONS_H

#include "data/shapes.h"

enum relation_way {
    RELATION_LEFT_OF,
    RELATION_RIGHT_OF,
    RELATION_ABOVE,
    RELATION_BELOW,
    RELATION_WAYS,
};

enum {
    RELATION_FORMS = 5,
    RELATION_KINDS = RELATION_FORMS * SHAPES_COLOURS,
    RELATION_LABELS = RELATION_KINDS * (RELATION_KINDS - 1) * RELATION_WAYS,
    RELATIONS_SIDE_MIN = 32,
};

/* What a caption says: the first of the two stands so to the second.  They differ in form or in
 * colour or in both. */
struct relation {
    enum shape_form form[2];
    enum shape_colour colour[2];
    enum relation_way way;
};

/* Kinds 0 .. RELATION_KINDS - 1 are all forms and colours of this set. */
int32_t relation_kind(enum shape_form form, enum shape_colour colour);
enum shape_form relation_kind_form(int32_t kind);
enum shape_colour relation_kind_colour(int32_t kind);

/* Labels 0 .. RELATION_LABELS - 1 are all pairs. */
struct relation relation_of_label(int32_t label);
int32_t relation_label(const struct relation *p);
const char *relation_way_name(enum relation_way r); /* "left of" */
/* "a red circle left of a blue star" */
void relation_caption(const struct relation *p, char caption[CAPTION_TEXT]);
/* Whether its combination is in no training picture. */
bool relation_is_held_out(const struct relation *p);

/* Picture i of a seed: a pair, of those held out or of the others, and where its objects stand. */
struct relation_scene {
    struct relation what;
    struct shapes_object object[2];
    struct shapes_ground ground;
};
void relation_scene_make(struct relation_scene *s, uint64_t seed, uint64_t i, bool held_out);

/* How many objects of this set's sizes a picture shows, 0, 1 or 2, and what and where they are: 0
 * when they are more, or one is not clear.  pixels as for relation_check. */
int relation_objects(const float *pixels, int64_t size, struct shapes_verdict v[2]);

/* What a picture shows. */
struct relation_verdict {
    bool clear;           /* two objects, each of a clear form and colour       */
    struct relation what; /* when clear; the relation along the longer distance */
};

/* Of pixels [size, size, 3], nominally in [-1, 1], size in RELATIONS_SIDE_MIN .. SHAPES_SIDE_MAX.
 * The pair begins with the upper or left object.  Deterministic, allocates nothing. */
void relation_check(const float *pixels, int64_t size, struct relation_verdict *out);

/* What of a pair a picture shows: its two objects, wherever they stand, and its relation, whichever
 * of the two captions says it. */
struct relation_answer {
    bool objects, all; /* forms and colours; these and the relation */
};
struct relation_answer relation_judge(const struct relation *asked,
                                      const struct relation_verdict *seen);

#endif
