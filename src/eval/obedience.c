/*
 * obedience.c - does a picture show what was asked for?
 *
 * Distances between sets do not know of requests: a model that draws good cats when asked for dogs
 * passes them.  On the sets "shapes", "relations" and "moving" the answer is exact, for their
 * pictures and clips can be read back (data/shapes_check.c, relations_check.c, moving_check.c), and
 * of what is wrong it is told which part is: form or colour, or the relation or the motion of the
 * right objects.  Elsewhere a classifier guesses;
 * its own mistakes on true pictures bound what the figure can say, so they are printed beside it.
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "base/whole.h"
#include "data/moving.h"
#include "data/picture.h"
#include "data/relations.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

/* What one picture adds. */
static struct obedience judge_shape(const float *pixels, int64_t frames, int64_t size,
                                    int32_t label)
{
    struct shapes_verdict v;
    struct obedience o = {.asked = 1};

    (void)frames;
    shapes_check(pixels, size, &v);
    o.form = v.shape == (int)shapes_label_form(label);
    o.colour = v.colour == (int)shapes_label_colour(label);
    o.obeyed = o.form && o.colour;
    o.unclear = v.shape < 0 || v.colour < 0;
    return o;
}

static struct obedience judge_relation(const float *pixels, int64_t frames, int64_t size,
                                       int32_t label)
{
    struct relation asked = relation_of_label(label);
    struct relation_answer answer;
    struct relation_verdict v;

    (void)frames;
    relation_check(pixels, size, &v);
    answer = relation_judge(&asked, &v);
    return (struct obedience){
        .asked = 1, .obeyed = answer.all, .objects = answer.objects, .unclear = !v.clear};
}

static struct obedience judge_moving(const float *pixels, int64_t frames, int64_t size,
                                     int32_t label)
{
    struct moving asked = moving_of_label(label);
    struct moving_answer answer;
    struct moving_verdict v;

    moving_check(pixels, frames, size, &v);
    answer = moving_judge(&asked, &v);
    return (struct obedience){.asked = 1,
                              .obeyed = answer.all,
                              .objects = answer.objects,
                              .motion = answer.motion,
                              .unclear = !v.n};
}

static const struct {
    const char *name;
    int64_t side_min;
    int64_t frames_least, frames_most;
    int32_t n_labels;
    struct obedience (*judge)(const float *pixels, int64_t frames, int64_t size, int32_t label);
} readers[] = {
    [READ_SHAPES] = {"shapes", SHAPES_SIDE_MIN, 1, 1, SHAPES_CLASSES, judge_shape},
    [READ_RELATIONS] = {"relations", RELATIONS_SIDE_MIN, 1, 1, RELATION_LABELS, judge_relation},
    [READ_MOVING] = {"moving", RELATIONS_SIDE_MIN, MOVING_FRAMES_READ, MOVING_FRAMES_MOST,
                     MOVING_LABELS, judge_moving},
};

static enum status check(enum picture_reader reader, const int32_t *label, int64_t n,
                         int64_t frames, int64_t size, struct error *err)
{
    if (frames < readers[reader].frames_least || frames > readers[reader].frames_most)
        return fail(err, E_ARG,
                    "the checker of %s reads clips of %" PRId64 " to %" PRId64
                    " frames, not %" PRId64,
                    readers[reader].name, readers[reader].frames_least, readers[reader].frames_most,
                    frames);
    if (size < readers[reader].side_min || size > SHAPES_SIDE_MAX)
        return fail(err, E_ARG,
                    "the checker of %s reads pictures of %" PRId64 " to %d pixels, not %" PRId64,
                    readers[reader].name, readers[reader].side_min, SHAPES_SIDE_MAX, size);
    for (int64_t i = 0; i < n; i++)
        if (label[i] >= readers[reader].n_labels)
            return fail(err, E_ARG, "picture %" PRId64 ": label %d is none of the %d of %s", i,
                        label[i], readers[reader].n_labels, readers[reader].name);
    return OK;
}

enum status obedience_exact(struct obedience *out, enum picture_reader reader, struct pixel_set a,
                            const int32_t *label, int64_t frames, int64_t size, struct error *err)
{
    int64_t length = frames * size * size * 3;
    int64_t asked = 0, obeyed = 0, form = 0, colour = 0, objects = 0, motion = 0, unclear = 0;
    bool without = false;
    enum status st;

    *out = (struct obedience){0};
    if ((st = check(reader, label, a.n, frames, size, err)))
        return st;
#pragma omp parallel reduction(|| : without)
    {
        float *pixels = malloc((size_t)length * sizeof *pixels);

        without = !pixels;
#pragma omp for schedule(dynamic, 16) reduction(+ : asked, obeyed, form, colour, objects, motion, unclear)
        for (int64_t i = 0; i < a.n; i++) {
            struct obedience one = {0};

            if (pixels && label[i] >= 0) {
                picture_floats(pixels, a.pixels + i * length, length);
                one = readers[reader].judge(pixels, frames, size, label[i]);
            }
            asked += one.asked;
            obeyed += one.obeyed;
            form += one.form;
            colour += one.colour;
            objects += one.objects;
            motion += one.motion;
            unclear += one.unclear;
        }
        free(pixels);
    }
    *out = (struct obedience){asked, obeyed, form, colour, objects, motion, unclear};
    return without ? fail(err, E_MEMORY, "no memory for a picture") : OK;
}

void obedience_guessed(struct obedience *out, const int32_t *guess, const int32_t *label, int64_t n)
{
    *out = (struct obedience){0};
    for (int64_t i = 0; i < n; i++) {
        out->asked += label[i] >= 0;
        out->obeyed += label[i] >= 0 && guess[i] == label[i];
    }
}

static double share(int64_t part, int64_t of)
{
    return of ? (double)part / (double)of : 0;
}

static enum status run(struct measure_result *out, const struct measure_task *t, struct error *err)
{
    const struct picture_set *p = &t->pictures;
    struct obedience o;
    enum status st = OK;

    if (p->reader)
        st = obedience_exact(&o, p->reader, (struct pixel_set){p->pixels, p->n}, p->label,
                             whole_max(p->frames, 1), p->width, err);
    else
        obedience_guessed(&o, p->guess, p->label, p->n);
    if (!st && !o.asked)
        st = fail(err, E_ARG, "none of the %" PRId64 " pictures has a label", p->n);
    if (st)
        return st;
    measure_add(out, "obedience", share(o.obeyed, o.asked), -1, "%" PRId64 " of %" PRId64 ", by %s",
                o.obeyed, o.asked, p->reader ? "the exact checker" : "a classifier");
    if (p->reader == READ_SHAPES) {
        measure_add(out, "obedience_form", share(o.form, o.asked), -1, "the form alone");
        measure_add(out, "obedience_colour", share(o.colour, o.asked), -1, "the colour alone");
    }
    if (p->reader == READ_RELATIONS)
        measure_add(out, "obedience_objects", share(o.objects, o.asked), -1,
                    "the two objects, wherever they stand");
    if (p->reader == READ_MOVING) {
        measure_add(out, "obedience_objects", share(o.objects, o.asked), -1,
                    "forms and colours, however they move");
        measure_add(out, "obedience_motion", share(o.motion, o.asked), -1,
                    "kind and direction of the motion, whatever moves");
    }
    if (p->reader)
        measure_add(out, "unclear", share(o.unclear, o.asked), -1, "show nothing clearly");
    return OK;
}

const struct measure measure_obedience = {
    .name = "obedience",
    .summary = "share of pictures that show what was asked for",
    .needs = NEEDS_LABELS,
    .of_clips = true,
    .run = run,
};
