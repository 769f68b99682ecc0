/*
 * obedience.c - does a picture show what was asked for?
 *
 * Distances between sets do not know of requests: a model that draws good cats when asked for dogs
 * passes them.  On the set "shapes" the answer is exact, for its pictures can be read back
 * (data/shapes_check.c), and form and colour are told apart.  Elsewhere a classifier guesses; its
 * own mistakes on true pictures bound what the figure can say, so they are printed beside it.
 */
#include "eval/measure.h"

#include "base/memory.h"
#include "data/picture.h"
#include "data/shapes.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

/* What one picture adds. */
static struct obedience judge(const float *pixels, int64_t size, int32_t label)
{
    struct shapes_verdict v;
    struct obedience o = {.asked = 1};

    shapes_check(pixels, size, &v);
    o.form = v.shape == (int)shapes_label_form(label);
    o.colour = v.colour == (int)shapes_label_colour(label);
    o.obeyed = o.form && o.colour;
    o.unclear = v.shape < 0 || v.colour < 0;
    return o;
}

static enum status check_labels(const int32_t *label, int64_t n, struct error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (label[i] >= SHAPES_CLASSES)
            return fail(err, E_ARG, "picture %" PRId64 ": label %d is none of the %d of shapes", i,
                        label[i], SHAPES_CLASSES);
    return OK;
}

enum status obedience_shapes(struct obedience *out, struct pixel_set a, const int32_t *label,
                             int64_t size, struct error *err)
{
    int64_t length = size * size * 3;
    int64_t asked = 0, obeyed = 0, form = 0, colour = 0, unclear = 0;
    bool without = false;
    enum status st;

    *out = (struct obedience){0};
    if (size < SHAPES_SIDE_MIN || size > SHAPES_SIDE_MAX)
        return fail(err, E_ARG,
                    "the checker of shapes reads pictures of %d to %d pixels, not %" PRId64,
                    SHAPES_SIDE_MIN, SHAPES_SIDE_MAX, size);
    if ((st = check_labels(label, a.n, err)))
        return st;
#pragma omp parallel reduction(|| : without)
    {
        float *pixels = malloc((size_t)length * sizeof *pixels);

        without = !pixels;
#pragma omp for schedule(dynamic, 16) reduction(+ : asked, obeyed, form, colour, unclear)
        for (int64_t i = 0; i < a.n; i++) {
            struct obedience one = {0};

            if (pixels && label[i] >= 0) {
                picture_floats(pixels, a.pixels + i * length, length);
                one = judge(pixels, size, label[i]);
            }
            asked += one.asked;
            obeyed += one.obeyed;
            form += one.form;
            colour += one.colour;
            unclear += one.unclear;
        }
        free(pixels);
    }
    *out = (struct obedience){asked, obeyed, form, colour, unclear};
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

    if (p->shapes)
        st = obedience_shapes(&o, (struct pixel_set){p->pixels, p->n}, p->label, p->width, err);
    else
        obedience_guessed(&o, p->guess, p->label, p->n);
    if (!st && !o.asked)
        st = fail(err, E_ARG, "none of the %" PRId64 " pictures has a label", p->n);
    if (st)
        return st;
    measure_add(out, "obedience", share(o.obeyed, o.asked), -1, "%" PRId64 " of %" PRId64 ", by %s",
                o.obeyed, o.asked, p->shapes ? "the exact checker" : "a classifier");
    if (p->shapes) {
        measure_add(out, "obedience_form", share(o.form, o.asked), -1, "the form alone");
        measure_add(out, "obedience_colour", share(o.colour, o.asked), -1, "the colour alone");
        measure_add(out, "unclear", share(o.unclear, o.asked), -1, "show nothing clearly");
    }
    return OK;
}

const struct measure measure_obedience = {
    .name = "obedience",
    .summary = "share of pictures that show what was asked for",
    .needs = NEEDS_LABELS,
    .run = run,
};
