/*
 * relations.c - a data set that the program draws: two coloured shapes and a relation between them
 *
 * Whether a network has understood a sentence, and not learned its pictures by heart, shows on
 * sentences it has never seen, made of words that it has.  So the set is all sentences of one form,
 *
 *     a COLOUR FORM RELATION a COLOUR FORM
 *
 * less one combination in ten.  Saying the same from the other end is the same combination, and
 * both are kept out together: pairs are brought to one form (the left or upper object first) before
 * a hash of theirs decides, whatever the seed is, so that a model trained with one seed can be
 * asked what another holds out.
 *
 * Which object stands left is in the order of the words and in the relation together, and in
 * neither alone: told from either end equally often, "left of" and "right of" look the same to
 * whoever has understood only one of the two, and no small step of learning is rewarded.  So half
 * of the training pictures are told from the left or upper object, as people tend to, and the
 * others from either: that the first is the left one is true three times in four, and "right of"
 * is then the exception to learn.  Held-out captions are told from either end.
 *
 * What must stay true, besides what shapes.c says of backgrounds: the two never touch (each keeps
 * to its half of the picture along the relation's axis, a sixteenth of the side apart), and the
 * distance across that axis is at most 0.6 of that along it, so that a relation is never a matter
 * of opinion; radii stay above 5.2 pixels of 32, where five forms can be told apart: rings, hearts
 * and diamonds are left out, which of that size are next to circles, triangles and squares.
 */
#include "data/relations.h"

#include "base/memory.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum shape_form forms[RELATION_FORMS] = {SHAPE_CIRCLE, SHAPE_SQUARE, SHAPE_TRIANGLE,
                                                      SHAPE_STAR, SHAPE_CROSS};
static const char *const relations[RELATION_WAYS] = {"left of", "right of", "above", "below"};

enum { HELD_OUT_ONE_IN = 10 };

int32_t relation_kind(enum shape_form form, enum shape_colour colour)
{
    int32_t k = 0;

    while (k < RELATION_FORMS - 1 && forms[k] != form)
        k++;
    return k * SHAPES_COLOURS + (int32_t)colour;
}

enum shape_form relation_kind_form(int32_t kind)
{
    return forms[kind / SHAPES_COLOURS];
}

enum shape_colour relation_kind_colour(int32_t kind)
{
    return (enum shape_colour)(kind % SHAPES_COLOURS);
}

/* Labels count relations fastest, then the second object, which skips the first. */
struct relation relation_of_label(int32_t label)
{
    int32_t first = label / (RELATION_WAYS * (RELATION_KINDS - 1));
    int32_t second = label / RELATION_WAYS % (RELATION_KINDS - 1);

    second += second >= first;
    return (struct relation){{relation_kind_form(first), relation_kind_form(second)},
                             {relation_kind_colour(first), relation_kind_colour(second)},
                             (enum relation_way)(label % RELATION_WAYS)};
}

int32_t relation_label(const struct relation *p)
{
    int32_t first = relation_kind(p->form[0], p->colour[0]),
            second = relation_kind(p->form[1], p->colour[1]);

    second -= second > first;
    return (first * (RELATION_KINDS - 1) + second) * RELATION_WAYS + (int32_t)p->way;
}

const char *relation_way_name(enum relation_way r)
{
    return relations[r];
}

void relation_caption(const struct relation *p, char caption[CAPTION_TEXT])
{
    snprintf(caption, CAPTION_TEXT, "a %s %s %s a %s %s", shapes_colour_name(p->colour[0]),
             shapes_form_name(p->form[0]), relations[p->way], shapes_colour_name(p->colour[1]),
             shapes_form_name(p->form[1]));
}

/* The same said from the left or upper object. */
static struct relation from_first(const struct relation *p)
{
    struct relation q = *p;

    if (p->way != RELATION_RIGHT_OF && p->way != RELATION_BELOW)
        return q;
    for (int k = 0; k < 2; k++) {
        q.form[k] = p->form[1 - k];
        q.colour[k] = p->colour[1 - k];
    }
    q.way = p->way == RELATION_RIGHT_OF ? RELATION_LEFT_OF : RELATION_ABOVE;
    return q;
}

bool relation_is_held_out(const struct relation *p)
{
    struct relation q = from_first(p);
    struct rng g = rng_stream(0, RNG_SHUFFLE, (uint64_t)relation_label(&q));

    return rng_below(&g, HELD_OUT_ONE_IN) == 0;
}

static double between(struct rng *g, double lo, double hi)
{
    return lo + (hi - lo) * rng_uniform(g);
}

/* Along the axis each has its half, less the gap, to itself; across it the second is near enough.
 */
static void place(struct shapes_object o[2], enum relation_way way, struct rng *g)
{
    const double gap = 0.06, askew = 0.6;
    bool second_first = way == RELATION_RIGHT_OF || way == RELATION_BELOW;
    double along[2], across[2], reach[2], most, middle = between(g, 0.48, 0.52);

    for (int k = 0; k < 2; k++) {
        bool low = (k == 1) == second_first;
        o[k].r = between(g, 0.165, 0.195);
        reach[k] = 1.08 * o[k].r; /* no form reaches past 1.06 radii */
        along[k] = low ? between(g, reach[k], middle - gap / 2 - reach[k])
                       : between(g, middle + gap / 2 + reach[k], 1 - reach[k]);
    }
    most = askew * fabs(along[1] - along[0]);
    across[0] = between(g, reach[0], 1 - reach[0]);
    across[1] = between(g, fmax(reach[1], across[0] - most), fmin(1 - reach[1], across[0] + most));
    for (int k = 0; k < 2; k++) {
        bool level = way == RELATION_LEFT_OF || way == RELATION_RIGHT_OF;

        o[k].x = level ? along[k] : across[k];
        o[k].y = level ? across[k] : along[k];
    }
}

void relation_scene_make(struct relation_scene *s, uint64_t seed, uint64_t i, bool held_out)
{
    struct rng g = rng_stream(seed, RNG_DATA, i);

    *s = (struct relation_scene){0};
    do {
        s->what = relation_of_label((int32_t)rng_below(&g, RELATION_LABELS));
    } while (relation_is_held_out(&s->what) != held_out);
    if (!held_out && rng_below(&g, 2) == 0)
        s->what = from_first(&s->what);
    place(s->object, s->what.way, &g);
    for (int k = 0; k < 2; k++) {
        s->object[k].form = s->what.form[k];
        s->object[k].colour = s->what.colour[k];
        s->object[k].light = between(&g, 0.94, 1.04);
    }
    shapes_ground_make(&s->ground, &g);
}

/* ---- The set ---- */

struct relations {
    uint64_t seed;
    bool held_out;
};

static enum status name_captions(struct dataset *d, struct error *err)
{
    char(*text)[64] = NULL;
    const char **names = NULL;
    enum status st;

    if (!(st = mem_new((void **)&text, RELATION_LABELS, sizeof *text, "captions", err)) &&
        !(st = mem_new((void **)&names, RELATION_LABELS, sizeof *names, "captions", err))) {
        for (int32_t i = 0; i < RELATION_LABELS; i++) {
            struct relation p = relation_of_label(i);
            char caption[CAPTION_TEXT];

            relation_caption(&p, caption);
            snprintf(text[i], sizeof text[i], "%.63s", caption);
            names[i] = text[i];
        }
        st = dataset_name_classes(d, RELATION_LABELS, names, err);
    }
    free((void *)names);
    free(text);
    return st;
}

static enum status relations_open(struct dataset *d, const struct dataset_config *c,
                                  struct error *err)
{
    int64_t size = c->size ? c->size : RELATIONS_SIDE_MIN;
    bool held_out = c->path && !strcmp(c->path, "held-out");
    struct relations *impl;
    enum status st;

    if (size < RELATIONS_SIDE_MIN || size > SHAPES_SIDE_MAX)
        return fail(err, E_ARG, "relations: size %" PRId64 " is outside %d..%d", size,
                    RELATIONS_SIDE_MIN, SHAPES_SIDE_MAX);
    if (c->channels && c->channels != 3)
        return fail(err, E_ARG, "relations: %" PRId64 " channels asked, and colours need 3",
                    c->channels);
    if (c->path && *c->path && !held_out && strcmp(c->path, "training"))
        return fail(err, E_ARG, "relations: path is 'training' or 'held-out', not '%s'", c->path);
    if ((st = mem_new(&d->impl, 1, sizeof *impl, "the relations set", err)))
        return st;
    impl = d->impl;
    *impl = (struct relations){c->seed, held_out};
    d->count = INT64_MAX;
    d->height = d->width = size;
    d->channels = 3;
    return name_captions(d, err);
}

static void relations_close(struct dataset *d)
{
    free(d->impl);
}

static enum status relations_get(const struct dataset *d, int64_t i, float *pixels, int32_t *label,
                                 char caption[CAPTION_TEXT], struct error *err)
{
    const struct relations *impl = d->impl;
    struct relation_scene s;

    (void)err;
    relation_scene_make(&s, impl->seed, (uint64_t)i, impl->held_out);
    shapes_draw(&s.ground, s.object, 2, d->height, pixels);
    *label = relation_label(&s.what);
    relation_caption(&s.what, caption);
    return OK;
}

const struct dataset_format dataset_relations = {
    .name = "relations",
    .summary = "two coloured shapes and a relation, drawn by the program; endless",
    .open = relations_open,
    .close = relations_close,
    .get = relations_get,
};
