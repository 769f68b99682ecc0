/*
 * moving_check.c - what moves in a clip, and how?
 *
 * Each frame is read alone, as relations_check.c reads pictures of one or two objects.  What most
 * frames agree on (three of four) is what the clip shows, and their places are its tracks.  A track
 * is judged by how far it ever goes and how far it ever comes back, since neither depends on how
 * evenly it goes, nor on a frame that could not be read:
 *
 *        a |       . '            rise: the most that a later place is ahead of an earlier one
 *          |   . '                fall: the most that it is behind
 *          | '
 *          +----------- t         straight on: much rise and next to no fall, or the reverse
 *
 * What rises and falls is a bounce if it does the one up to its furthest place and the other from
 * there, and that place is at the side of the picture.  Jumps of more than three times the mean
 * step, motion that is slanted, and motion of less than a pixel in 32 are no answer; nor are
 * frames in a wrong order, which rise and fall at once.  Two objects cross when both go straight
 * on, one against the other, and end in the other order than they began.
 */
#include "data/moving.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const double least_way = 0.03;  /* sides that a motion must cover ...                    */
static const double least_leg = 0.02;  /* ... and each half of a bounce                         */
static const double loose = 0.012;     /* a third of a pixel of 32: what reading is wrong by    */
static const double back_share = 0.20; /* of the way on: more is no straight motion             */
static const double askew = 0.35;      /* of the way along: more is no motion along an axis     */
static const double haste = 3;         /* mean steps that one step may be                       */
static const double side_share = 0.10; /* how far from the side of the picture a bounce may end */

/* One frame: kinds in ascending order. */
struct sight {
    int n;
    int32_t kind[2];
    double x[2], y[2], r[2];
};

/* Where one object is, in the frames that show what the clip shows. */
struct track {
    int n;
    double t[MOVING_FRAMES_MOST], x[MOVING_FRAMES_MOST], y[MOVING_FRAMES_MOST];
    double r;
};

struct motion {
    enum moving_kind kind;
    enum moving_way way;
    double step;
};

static void look(struct sight *s, const float *pixels, int64_t size)
{
    struct shapes_verdict v[2];
    bool turned;

    s->n = relation_objects(pixels, size, v);
    for (int k = 0; k < s->n; k++)
        if (relation_kind_form(
                relation_kind((enum shape_form)v[k].shape, (enum shape_colour)v[k].colour)) !=
            (enum shape_form)v[k].shape)
            s->n = 0; /* a form that this set does not have */
    turned =
        s->n == 2 && relation_kind((enum shape_form)v[0].shape, (enum shape_colour)v[0].colour) >
                         relation_kind((enum shape_form)v[1].shape, (enum shape_colour)v[1].colour);
    for (int k = 0; k < s->n; k++) {
        const struct shapes_verdict *from = &v[turned ? 1 - k : k];

        s->kind[k] = relation_kind((enum shape_form)from->shape, (enum shape_colour)from->colour);
        s->x[k] = from->x;
        s->y[k] = from->y;
        s->r[k] = from->r;
    }
    if (s->n == 2 && s->kind[0] == s->kind[1])
        s->n = 0; /* nobody can say which is which in the next frame */
}

static bool same(const struct sight *a, const struct sight *b)
{
    return a->n == b->n && (a->n < 1 || a->kind[0] == b->kind[0]) &&
           (a->n < 2 || a->kind[1] == b->kind[1]);
}

/* The frame that most others agree with, or NULL: too few do, or none near an end does. */
static const struct sight *agree(const struct sight *s, int frames)
{
    const struct sight *best = NULL;
    int most = 0;

    for (int i = 0; i < frames; i++) {
        int count = 0;

        for (int j = 0; j < frames; j++)
            count += same(&s[i], &s[j]);
        if (s[i].n && count > most) {
            most = count;
            best = &s[i];
        }
    }
    if (4 * most < 3 * frames || !(same(&s[0], best) || same(&s[1], best)) ||
        !(same(&s[frames - 1], best) || same(&s[frames - 2], best)))
        return NULL;
    return best;
}

static void follow(struct track *to, const struct sight *s, int frames, const struct sight *like,
                   int k)
{
    *to = (struct track){0};
    for (int i = 0; i < frames; i++)
        if (same(&s[i], like)) {
            to->t[to->n] = i;
            to->x[to->n] = s[i].x[k];
            to->y[to->n] = s[i].y[k];
            to->n++;
            to->r = fmax(to->r, s[i].r[k]);
        }
}

/* The most by which a later one is ahead of an earlier one; sign -1: behind. */
static double most_gain(const double *a, int from, int to, double sign)
{
    double lowest = sign * a[from], gain = 0;

    for (int i = from + 1; i <= to; i++) {
        gain = fmax(gain, sign * a[i] - lowest);
        lowest = fmin(lowest, sign * a[i]);
    }
    return gain;
}

/* No step is far longer than the mean. */
static bool is_even(const struct track *p, const double *a, double mean)
{
    for (int i = 1; i < p->n; i++)
        if (fabs(a[i] - a[i - 1]) > haste * mean * (p->t[i] - p->t[i - 1]) + loose)
            return false;
    return true;
}

/* Out to the side in the direction of sign, and back. */
static bool is_bounce(const struct track *p, const double *a, double sign)
{
    int last = p->n - 1, far = 0;
    double out, back;

    for (int i = 1; i <= last; i++)
        if (sign * a[i] > sign * a[far])
            far = i;
    out = sign * (a[far] - a[0]);
    back = sign * (a[far] - a[last]);
    return out >= least_leg && back >= least_leg &&
           most_gain(a, 0, far, -sign) <= back_share * out + loose &&
           most_gain(a, far, last, sign) <= back_share * back + loose &&
           (sign > 0 ? 1 - a[far] : a[far]) - p->r <= side_share;
}

/* Along the axis of places a, told by its two ways; false: not clearly any. */
static bool along(struct motion *out, const struct track *p, const double *a, const double *across,
                  enum moving_way backward, enum moving_way forward)
{
    int last = p->n - 1;
    double rise = most_gain(a, 0, last, 1), fall = most_gain(a, 0, last, -1);
    double way = fmax(rise, fall), less = fmin(rise, fall);
    double slant = fmax(most_gain(across, 0, last, 1), most_gain(across, 0, last, -1));
    bool straight = less <= back_share * way + loose;

    if (way < least_way || slant > askew * way + loose)
        return false;
    out->kind = straight ? MOVING_STRAIGHT : MOVING_BOUNCE;
    if (straight)
        out->way = rise > fall ? forward : backward;
    else if (is_bounce(p, a, 1))
        out->way = forward;
    else if (is_bounce(p, a, -1))
        out->way = backward;
    else
        return false;
    out->step = (straight ? way : rise + fall) / (p->t[last] - p->t[0]);
    return is_even(p, a, out->step);
}

static bool motion_of(struct motion *out, const struct track *p)
{
    return along(out, p, p->x, p->y, MOVING_LEFT, MOVING_RIGHT) ||
           along(out, p, p->y, p->x, MOVING_UP, MOVING_DOWN);
}

static bool are_opposite(enum moving_way a, enum moving_way b)
{
    return a / 2 == b / 2 && a != b;
}

static bool do_cross(const struct track p[2], const struct motion m[2])
{
    bool level = m[0].way == MOVING_LEFT || m[0].way == MOVING_RIGHT;
    const double *a = level ? p[0].x : p[0].y, *b = level ? p[1].x : p[1].y;
    int last = p[0].n - 1;

    return m[0].kind == MOVING_STRAIGHT && m[1].kind == MOVING_STRAIGHT &&
           are_opposite(m[0].way, m[1].way) && (a[0] - b[0]) * (a[last] - b[last]) < 0;
}

static void judge_tracks(struct moving_verdict *out, const struct track p[2])
{
    struct motion m[2];

    if (!motion_of(&m[0], &p[0]))
        return;
    if (out->n == 2) {
        if (!motion_of(&m[1], &p[1]) || !do_cross(p, m))
            return;
        m[0].kind = MOVING_CROSS;
        m[0].step = (m[0].step + m[1].step) / 2;
    }
    out->moves = true;
    out->what.kind = m[0].kind;
    out->what.way = m[0].way;
    out->step = m[0].step;
}

void moving_check(const float *pixels, int64_t frames, int64_t size, struct moving_verdict *out)
{
    struct sight sights[MOVING_FRAMES_MOST];
    const struct sight *like;
    struct track tracks[2];

    MUST(frames >= MOVING_FRAMES_READ && frames <= MOVING_FRAMES_MOST, "%" PRId64 " frames",
         frames);
    *out = (struct moving_verdict){0};
    for (int64_t t = 0; t < frames; t++)
        look(&sights[t], pixels + t * size * size * 3, size);
    if (!(like = agree(sights, (int)frames)))
        return;
    out->n = like->n;
    for (int k = 0; k < like->n; k++) {
        out->what.form[k] = relation_kind_form(like->kind[k]);
        out->what.colour[k] = relation_kind_colour(like->kind[k]);
        follow(&tracks[k], sights, (int)frames, like, k);
    }
    judge_tracks(out, tracks);
}

static bool same_object(const struct moving *a, int i, const struct moving *b, int j)
{
    return a->form[i] == b->form[j] && a->colour[i] == b->colour[j];
}

struct moving_answer moving_judge(const struct moving *asked, const struct moving_verdict *seen)
{
    const struct moving *s = &seen->what;
    bool cross = asked->kind == MOVING_CROSS, first, second, turned;
    struct moving_answer a = {0};

    if (seen->n != (cross ? 2 : 1))
        return a;
    /* Which of those seen is the one that the caption begins with; either of the two tells. */
    turned = cross && (same_object(asked, 0, s, 1) || same_object(asked, 1, s, 0));
    first = same_object(asked, 0, s, turned);
    second = !cross || same_object(asked, 1, s, !turned);
    a.objects = first && second;
    a.motion = seen->moves && s->kind == asked->kind && (!cross || first || second) &&
               (turned ? are_opposite(s->way, asked->way) : s->way == asked->way);
    a.all = a.objects && a.motion;
    return a;
}
