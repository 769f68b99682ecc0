/*
 * moving.h - clips the program draws itself, one or two coloured shapes that move, and the checker
 * that reads them back
 *
 *     a red circle moves left                             one object, straight on
 *     a red circle moves left and bounces                 to the side and back
 *     a red circle moves left and crosses a blue star     which moves the other way
 *
 * A crossing told from the other end ("a blue star moves right and crosses a red circle") is the
 * same clip.  One combination in ten is kept out of the training clips, told from either end,
 * whatever the seed, so that what a network makes of them is what it has understood.
 */
#ifndef IMGEN_DATA_MOVING_H
#define IMGEN_DATA_MOVING_H

#include "data/relations.h"

enum moving_kind {
    MOVING_STRAIGHT,
    MOVING_BOUNCE,
    MOVING_CROSS,
    MOVING_KINDS,
};

enum moving_way {
    MOVING_LEFT,
    MOVING_RIGHT,
    MOVING_UP,
    MOVING_DOWN,
    MOVING_WAYS,
};

enum {
    MOVING_ALONE = RELATION_KINDS * MOVING_WAYS,
    MOVING_LABELS = 2 * MOVING_ALONE + RELATION_KINDS * (RELATION_KINDS - 1) * MOVING_WAYS,
    MOVING_FRAMES_LEAST = 8,
    MOVING_FRAMES_MOST = 128,
    MOVING_FRAMES_READ = 4, /* the fewest that moving_check reads */
    MOVING_FRAMES = 16,     /* when nothing is said */
    MOVING_RATE_SLOW = 16,
    MOVING_RATE_FAST = 8, /* frames a second: fewer, and more happens from one to the next */
};

/* What a caption says.  Of a crossing the first object moves `way` and the second against it; they
 * differ in form or in colour or in both.  Else the second counts for nothing and is zero. */
struct moving {
    enum moving_kind kind;
    enum moving_way way;
    enum shape_form form[2];
    enum shape_colour colour[2];
};

/* Labels 0 .. MOVING_LABELS - 1 are all of them: straight, bounces, crossings. */
struct moving moving_of_label(int32_t label);
int32_t moving_label(const struct moving *m);
const char *moving_way_name(enum moving_way way); /* "left" */
/* As above; rate > 0: with "FPS-16 " before it; still: of one frame, "a red circle" or "a red
 * circle and a blue star". */
void moving_caption(const struct moving *m, int rate, bool still, char caption[CAPTION_TEXT]);
/* Whether its combination is in no training clip.  A bounce is held out with the straight motion
 * of the same object in the same direction, which it begins with. */
bool moving_is_held_out(const struct moving *m);

/* Clip i of a seed.  Object k of frame t, 0 .. frames - 1, stands where moving_place says. */
struct moving_scene {
    struct moving what;
    int n;                          /* objects: 1 or 2                        */
    int rate;                       /* MOVING_RATE_SLOW or MOVING_RATE_FAST   */
    double turn;                    /* frame at which it bounces or they meet */
    double step;                    /* way from frame to frame, in sides      */
    struct shapes_object object[2]; /* as they stand at the turn              */
    struct shapes_ground ground;
};
/* A pure function of its arguments; frames MOVING_FRAMES_LEAST .. MOVING_FRAMES_MOST; rates: half
 * of the scenes have the slow rate, else none. */
void moving_scene_make(struct moving_scene *s, uint64_t seed, uint64_t i, int64_t frames,
                       bool held_out, bool rates);
void moving_place(const struct moving_scene *s, double t, struct shapes_object object[2]);
/* pixels: [size, size, 3] in [-1, 1]; size in RELATIONS_SIDE_MIN .. SHAPES_SIDE_MAX. */
void moving_draw(const struct moving_scene *s, double t, int64_t size, float *pixels);

/* What a clip shows. */
struct moving_verdict {
    int n;              /* objects that are clear in most frames: 0 (none are), 1 or 2      */
    bool moves;         /* their motion is one of the three kinds                           */
    struct moving what; /* forms and colours when n > 0; kind and way when they move too    */
    double step;        /* way from frame to frame in sides, when they move                 */
};

/* Of pixels [frames, size, size, 3], nominally in [-1, 1]; sizes as above, frames
 * MOVING_FRAMES_READ .. MOVING_FRAMES_MOST.  Deterministic, allocates nothing. */
void moving_check(const float *pixels, int64_t frames, int64_t size, struct moving_verdict *out);

/* The rate that a step is typical of: MOVING_RATE_SLOW or MOVING_RATE_FAST. */
int moving_rate(double step, int64_t frames);

/* What of a caption a clip shows, from whichever end a crossing is told. */
struct moving_answer {
    bool objects, motion, all; /* forms and colours; kind and direction; both */
};
struct moving_answer moving_judge(const struct moving *asked, const struct moving_verdict *seen);

#endif
