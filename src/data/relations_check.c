/*
 * relations_check.c - which two shapes does a picture show, and where?
 *
 * shapes_check.c reads one object off a picture.  Two that do not touch are two clusters of clearly
 * coloured pixels, so the picture is cut in two along the line where the way to either is equally
 * long, and each part read alone.  More or fewer clusters, or a third of some size, are no answer:
 * specks below a twelfth of what is coloured are passed over, as noise has them.
 *
 *     . . . . . .        0 0 0 1 1 1
 *     . # . . # .   ->   0 0 0 1 1 1      growing from both clusters at once, a pixel a round
 *     . # # . # .        0 0 0 1 1 1
 */
#include "data/relations.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { SIDE = SHAPES_SIDE_MAX, AREA = SIDE * SIDE };

/* The smallest that is drawn has 0.165 of the side, 5.3 pixels of 32; a network's may be smaller.
 */
static const double least_r = 0.13;
static const double speck = 1.0 / 12;

struct cut {
    int64_t size;
    bool coloured[AREA];
    int16_t owner[AREA]; /* 0: nobody's yet; else the cluster's number */
    int32_t queue[AREA]; /* pixels whose neighbours are to be looked at */
};

/* Let what stands in the queue from `first` to `last` grow over pixels that are nobody's, in
 * rounds, over coloured ones alone where `within`.  How many pixels were reached in all. */
static int64_t grow(struct cut *c, int64_t first, int64_t last, bool within)
{
    static const int steps[4][2] = {{0, 1}, {1, 0}, {0, -1}, {-1, 0}};

    for (; first < last; first++)
        for (int k = 0; k < 4; k++) {
            int64_t y = c->queue[first] / c->size + steps[k][0];
            int64_t x = c->queue[first] % c->size + steps[k][1], i = y * c->size + x;

            if (y < 0 || y >= c->size || x < 0 || x >= c->size || c->owner[i] ||
                (within && !c->coloured[i]))
                continue;
            c->owner[i] = c->owner[c->queue[first]];
            c->queue[last++] = (int32_t)i;
        }
    return last;
}

struct cluster {
    int64_t area;
    int16_t number;
};

/* Put one among the three largest, largest first. */
static void rank(struct cluster top[3], struct cluster one)
{
    for (int k = 0; k < 3; k++)
        if (one.area > top[k].area) {
            struct cluster less = top[k];

            top[k] = one;
            one = less;
        }
}

/* Number the clusters, and find the two largest; false unless there are just two of note. */
static bool find_two(struct cut *c, struct cluster top[3])
{
    int64_t all = 0;
    int16_t number = 0;

    for (int64_t i = 0; i < c->size * c->size; i++) {
        struct cluster one;

        if (!c->coloured[i] || c->owner[i])
            continue;
        c->owner[i] = ++number;
        c->queue[0] = (int32_t)i;
        one = (struct cluster){grow(c, 0, 1, true), number};
        all += one.area;
        rank(top, one);
    }
    return (double)top[1].area > speck * (double)all && (double)top[2].area <= speck * (double)all;
}

/* Give every pixel to the nearer of the two; specks too. */
static void share_out(struct cut *c, const struct cluster top[2])
{
    int64_t n = c->size * c->size, queued = 0;

    for (int64_t i = 0; i < n; i++) {
        c->owner[i] = !c->coloured[i]                ? 0
                      : c->owner[i] == top[0].number ? 1
                      : c->owner[i] == top[1].number ? 2
                                                     : 0;
        if (c->owner[i])
            c->queue[queued++] = (int32_t)i;
    }
    grow(c, 0, queued, false);
}

static struct relation in_order(const struct shapes_verdict v[2])
{
    double dx = v[1].x - v[0].x, dy = v[1].y - v[0].y;
    bool level = fabs(dx) > fabs(dy);
    int first = (level ? dx : dy) < 0;

    return (struct relation){
        {(enum shape_form)v[first].shape, (enum shape_form)v[1 - first].shape},
        {(enum shape_colour)v[first].colour, (enum shape_colour)v[1 - first].colour},
        level ? RELATION_LEFT_OF : RELATION_ABOVE};
}

int relation_objects(const float *pixels, int64_t size, struct shapes_verdict v[2])
{
    struct cluster top[3] = {{0}};
    bool part[AREA];
    struct cut c;
    int n;

    MUST(size >= RELATIONS_SIDE_MIN && size <= SHAPES_SIDE_MAX, "side %" PRId64, size);
    c.size = size;
    memset(c.owner, 0, sizeof c.owner);
    if (!shapes_coloured(pixels, size, c.coloured))
        return 0;
    n = find_two(&c, top) ? 2 : 1;
    if (n == 2)
        share_out(&c, top);
    for (int k = 0; k < n; k++) {
        for (int64_t i = 0; i < size * size; i++)
            part[i] = n == 1 || c.owner[i] == k + 1;
        shapes_check_part(pixels, size, part, least_r, &v[k]);
        if (v[k].shape < 0 || v[k].colour < 0)
            return 0;
    }
    return n;
}

void relation_check(const float *pixels, int64_t size, struct relation_verdict *out)
{
    struct shapes_verdict v[2];

    *out = (struct relation_verdict){0};
    if (relation_objects(pixels, size, v) == 2)
        *out = (struct relation_verdict){true, in_order(v)};
}

static bool same_object(const struct relation *a, int i, const struct relation *b, int j)
{
    return a->form[i] == b->form[j] && a->colour[i] == b->colour[j];
}

struct relation_answer relation_judge(const struct relation *asked,
                                      const struct relation_verdict *seen)
{
    const struct relation *p = &seen->what;
    bool turned = asked->way == RELATION_RIGHT_OF || asked->way == RELATION_BELOW;
    bool level = asked->way == RELATION_LEFT_OF || asked->way == RELATION_RIGHT_OF;
    bool straight = same_object(asked, 0, p, 0) && same_object(asked, 1, p, 1);
    bool crossed = same_object(asked, 0, p, 1) && same_object(asked, 1, p, 0);

    if (!seen->clear)
        return (struct relation_answer){0};
    return (struct relation_answer){straight || crossed,
                                    (turned ? crossed : straight) &&
                                        p->way == (level ? RELATION_LEFT_OF : RELATION_ABOVE)};
}
