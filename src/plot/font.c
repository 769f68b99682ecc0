/*
 * font.c - letters for pictures: outlines drawn with one pen
 *
 * Labels in a picture need a dozen words, not a font engine: one face, drawn here by hand.  A
 * letter is a few strokes of a round pen, so that it stays clean at every size and angle, which
 * dots on a grid do not.  Capitals are 14 units high, small letters 10, tails reach 4 below the
 * line.  A stroke is written as a path:
 *
 *     M x y              put the pen down          L x y    a straight line
 *     A x y rx ry a b    along the ellipse about (x, y) from the angle a to b, in degrees, counted
 *                        against the clock where b > a; joined to the stroke before, unless an M
 *                        or nothing precedes
 *     O x y rx ry        a whole ellipse, a stroke of its own
 *
 * Widths are near those of the common sans serifs, so that an SVG, whose reader brings a font of
 * his own, is laid out by the same numbers.
 */
#include "plot/font.h"

#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

const double font_pen = 1.75;

static const double pi = 3.14159265358979323846;

struct letter {
    int32_t name;
    double advance;
    const char *path;
};

/* clang-format off */
static const struct letter letters[] = {
    {' ', 5.6, ""},
    {'!', 5.2, "M2.6 14 L2.6 4.4 O2.6 .3 .25 .25"},
    {'"', 7, "M2 14 L2 10 M5 14 L5 10"},
    {'#', 10.8, "M3.8 14 L2 0 M8.8 14 L7 0 M1 9.6 L10.2 9.6 M.6 4.6 L9.8 4.6"},
    {'$', 11, "A5.5 9.8 3.6 2.8 25 270 A5.5 4.2 4 2.8 90 -155 M5.5 15 L5.5 -1"},
    {'%', 15.6, "O3.7 10.8 2.5 3.1 O11.9 3.2 2.5 3.1 M11.6 14 L4 0"},
    {'&', 12.8, "M11.6 0 L3.3 9.8 A5.2 11.4 2.4 2.6 215 -50 L2.4 5.8 A4.8 3.4 3.6 3.4 135 310 L10.6 6.4"},
    {'\'', 4, "M2 14 L2 10"},
    {'(', 6.2, "A7.6 5.4 5.8 9.8 118 242"},
    {')', 6.2, "A-1.4 5.4 5.8 9.8 62 -62"},
    {'*', 8, "M4 14 L4 8.6 M1.6 12.7 L6.4 9.9 M6.4 12.7 L1.6 9.9"},
    {'+', 12, "M6 10.4 L6 1.6 M1.6 6 L10.4 6"},
    {',', 5.2, "M2.8 .5 L1.8 -2.6"},
    {'-', 7, "M1.2 5 L5.8 5"},
    {'.', 5.2, "O2.6 .3 .25 .25"},
    {'/', 6.4, "M.6 -1 L5.8 15"},
    {'0', 11, "O5.5 7 4.2 7"},
    {'1', 11, "M2.4 11.4 L6 14 L6 0"},
    {'2', 11, "A5.4 10.1 3.9 3.9 165 -38 L1.4 0 L9.6 0"},
    {'3', 11, "A5.2 10.6 3.7 3.4 155 -90 A5.2 3.6 4.2 3.6 90 -155"},
    {'4', 11, "M7.6 0 L7.6 14 L1 4.2 L10 4.2"},
    {'5', 11, "M9 14 L2.7 14 L2.1 7.5 A5.3 4.6 4.2 4.6 140 -150"},
    {'6', 11, "O5.6 4.4 4.1 4.4 M8.6 13.6 A6.9 4.6 5.4 9.4 72 180"},
    {'7', 11, "M1.3 14 L9.7 14 L4.4 0"},
    {'8', 11, "O5.5 10.6 3.6 3.4 O5.5 3.6 4.3 3.6"},
    {'9', 11, "O5.4 9.6 4.1 4.4 M9.5 9.4 A4.1 9.4 5.4 9.4 0 -108"},
    {':', 5.2, "O2.6 .3 .25 .25 O2.6 8 .25 .25"},
    {';', 5.2, "O2.7 8 .25 .25 M2.9 .5 L1.9 -2.6"},
    {'<', 12, "M10.2 10.6 L1.8 6 L10.2 1.4"},
    {'=', 12, "M1.6 8.2 L10.4 8.2 M1.6 4 L10.4 4"},
    {'>', 12, "M1.8 10.6 L10.2 6 L1.8 1.4"},
    {'?', 9.8, "A4.9 10.5 3.6 3.5 170 -55 L4.9 5.8 L4.9 4.4 O4.9 .3 .25 .25"},
    {'@', 17, "O8.4 5.6 3.1 3.6 M11.5 9 L11.5 4.2 A13.3 4.2 1.8 2 180 360 L15.1 6 A8.4 6 6.7 8 0 305"},
    {'A', 13, "M1 0 L6.5 14 L12 0 M3 5 L10 5"},
    {'B', 12.6, "M6.4 7.3 L1.8 7.3 M1.8 0 L1.8 14 L6.4 14 A6.4 10.65 3.7 3.35 90 -90 A6.8 3.65 4.2 3.65 90 -90 L1.8 0"},
    {'C', 13.6, "A7.3 7 6 7 47 313"},
    {'D', 13.6, "M1.8 0 L1.8 14 L5.6 14 A5.6 7 6.6 7 90 -90 L1.8 0"},
    {'E', 11.6, "M10.2 14 L1.8 14 L1.8 0 L10.4 0 M1.8 7.3 L9.4 7.3"},
    {'F', 11, "M10 14 L1.8 14 L1.8 0 M1.8 7 L9 7"},
    {'G', 14.6, "A7.3 7 6 7 47 350 L13.2 6.6 L8.6 6.6"},
    {'H', 13.6, "M1.8 0 L1.8 14 M11.8 0 L11.8 14 M1.8 7.3 L11.8 7.3"},
    {'I', 4.8, "M2.4 0 L2.4 14"},
    {'J', 9.6, "M7.8 14 L7.8 4 A4.5 4 3.3 4 0 -180"},
    {'K', 12.2, "M1.8 0 L1.8 14 M10.8 14 L1.8 5.4 M5 8.5 L11.2 0"},
    {'L', 10.4, "M1.8 14 L1.8 0 L9.6 0"},
    {'M', 15.6, "M1.8 0 L1.8 14 L7.8 3 L13.8 14 L13.8 0"},
    {'N', 13.6, "M1.8 0 L1.8 14 L11.8 0 L11.8 14"},
    {'O', 14.6, "O7.3 7 6.1 7"},
    {'P', 12.4, "M1.8 0 L1.8 14 L6.8 14 A6.8 10.2 4.2 3.8 90 -90 L1.8 6.4"},
    {'Q', 14.6, "O7.3 7 6.1 7 M8.8 3.4 L13.2 -1"},
    {'R', 13, "M1.8 0 L1.8 14 L6.8 14 A6.8 10.4 4.2 3.6 90 -90 L1.8 6.8 M7.2 6.8 L11.6 0"},
    {'S', 12.4, "A6.2 10.5 4.3 3.5 25 270 A6.2 3.5 4.7 3.5 90 -155"},
    {'T', 11.6, "M.8 14 L10.8 14 M5.8 14 L5.8 0"},
    {'U', 13.2, "M1.8 14 L1.8 5 A6.6 5 4.8 5 180 360 L11.4 14"},
    {'V', 12.4, "M.9 14 L6.2 0 L11.5 14"},
    {'W', 17.6, "M.9 14 L4.9 0 L8.8 13.4 L12.7 0 L16.7 14"},
    {'X', 12, "M1 14 L11 0 M11 14 L1 0"},
    {'Y', 12, "M.8 14 L6 6.8 L11.2 14 M6 6.8 L6 0"},
    {'Z', 11.8, "M1.2 14 L10.6 14 L1 0 L10.8 0"},
    {'[', 6, "M5 15 L2 15 L2 -3 L5 -3"},
    {'\\', 6.4, "M.6 15 L5.8 -1"},
    {']', 6, "M1 15 L4 15 L4 -3 L1 -3"},
    {'^', 9.6, "M1.6 9 L4.8 14 L8 9"},
    {'_', 10, "M.4 -3 L9.6 -3"},
    {'`', 5, "M1.6 14 L3.6 11.4"},
    {'a', 10.6, "A5 6.8 3.6 3.2 155 0 L8.6 0 M8.6 5.9 L4.4 5.7 A4.3 2.85 3.1 2.85 90 270 A4.4 3.6 4.2 3.6 270 360"},
    {'b', 11.4, "M1.6 14 L1.6 0 O5.8 5 4.2 5"},
    {'c', 9.8, "A5.5 5 4.3 5 50 310"},
    {'d', 11.4, "M9.8 14 L9.8 0 O5.6 5 4.2 5"},
    {'e', 10.8, "M1.4 5.3 L9.6 5.3 A5.4 5 4.2 5 4 315"},
    {'f', 6, "M2.6 0 L2.6 10.8 A5.4 10.8 2.8 3.2 180 90 M.6 9.8 L5.4 9.8"},
    {'g', 11.4, "O5.6 5 4.2 5 M9.8 10 L9.8 .2 A5.6 .2 4.2 4.2 0 -150"},
    {'h', 10.8, "M1.6 14 L1.6 0 M1.6 6 A5.3 6 3.7 4 180 0 L9 0"},
    {'i', 4.4, "M2.2 10 L2.2 0 O2.2 13.6 .25 .25"},
    {'j', 4.6, "M2.6 10 L2.6 -1.4 A.2 -1.4 2.4 2.6 0 -85 O2.6 13.6 .25 .25"},
    {'k', 9.8, "M1.6 14 L1.6 0 M8.4 10 L1.6 3.6 M4.2 6.1 L9 0"},
    {'l', 4.4, "M2.2 14 L2.2 0"},
    {'m', 16.4, "M1.6 10 L1.6 0 M1.6 6.4 A4.9 6.4 3.3 3.6 180 0 L8.2 0 M8.2 6.4 A11.5 6.4 3.3 3.6 180 0 L14.8 0"},
    {'n', 10.8, "M1.6 10 L1.6 0 M1.6 6 A5.3 6 3.7 4 180 0 L9 0"},
    {'o', 11, "O5.5 5 4.3 5"},
    {'p', 11.4, "M1.6 10 L1.6 -4 O5.8 5 4.2 5"},
    {'q', 11.4, "M9.8 10 L9.8 -4 O5.6 5 4.2 5"},
    {'r', 6.8, "M1.6 10 L1.6 0 M1.6 6 A5.2 6 3.6 4 180 75"},
    {'s', 9.6, "A4.8 7.4 3.3 2.6 28 270 A4.8 2.4 3.6 2.4 90 -155"},
    {'t', 6.4, "M2.6 13 L2.6 2.6 A5 2.6 2.4 2.6 180 285 M.6 9.8 L5.6 9.8"},
    {'u', 10.8, "M1.6 10 L1.6 4 A5.3 4 3.7 4 180 360 M9 10 L9 0"},
    {'v', 9.6, "M.9 10 L4.8 0 L8.7 10"},
    {'w', 14.2, "M.9 10 L4 0 L7.1 9.4 L10.2 0 L13.3 10"},
    {'x', 9.6, "M1 10 L8.6 0 M8.6 10 L1 0"},
    {'y', 9.6, "M.9 10 L4.9 .2 M8.7 10 L3.9 -2.4 A1.9 -1.9 2.1 2.1 -15 -110"},
    {'z', 9.4, "M1.2 10 L8.2 10 L1 0 L8.4 0"},
    {'{', 6.8, "M5.8 15 L4.4 15 L3.4 13.6 L3.4 8 L1.6 6 L3.4 4 L3.4 -1.6 L4.4 -3 L5.8 -3"},
    {'|', 5, "M2.5 15 L2.5 -3.5"},
    {'}', 6.8, "M1 15 L2.4 15 L3.4 13.6 L3.4 8 L5.2 6 L3.4 4 L3.4 -1.6 L2.4 -3 L1 -3"},
    {'~', 11.8, "A3.7 5 2.2 1.7 180 0 A8.1 5 2.2 1.7 180 360"},
    {0xb1, 12, "M6 12 L6 4 M2 8 L10 8 M2 .4 L10 .4"},                                /* plus-minus */
    {0xb7, 5.2, "O2.6 5.8 .25 .25"},                                                 /* middle dot */
    {0xd7, 12, "M2.4 9.6 L9.6 2.4 M9.6 9.6 L2.4 2.4"},                               /* times */
    {0x394, 13, "M1 0 L6.5 14 L12 0 L1 0"},                                          /* Delta */
    {0x3b1, 12.4, "O5.3 5 4.1 5 M10.6 10 L9.2 3.4 A11.6 2.6 2.5 2.6 165 260"},       /* alpha */
    {0x3b2, 10.8, "M1.6 -4 L1.6 10.7 A5 10.7 3.4 3.3 180 -90 A5.2 3.7 4.2 3.7 90 -150"}, /* beta */
    {0x3b5, 9.6, "A5.3 7.5 3.4 2.5 45 270 A5.3 2.5 3.9 2.5 90 315"},                 /* epsilon */
    {0x3b7, 10.8, "M1.6 10 L1.6 0 M1.6 6 A5.3 6 3.7 4 180 0 L9 -4"},                 /* eta */
    {0x3b8, 10.4, "O5.2 7 3.9 7 M1.3 7 L9.1 7"},                                     /* theta */
    {0x3ba, 9.8, "M1.6 10 L1.6 0 M8.4 10 L1.6 4.2 M4 6.2 L9 0"},                     /* kappa */
    {0x3bb, 9.8, "M1 14 L2.6 14 L8.9 0 M5.3 8 L1 0"},                                /* lambda */
    {0x3bc, 10.8, "M1.6 10 L1.6 -4 M1.6 4 A5.3 4 3.7 4 180 360 M9 10 L9 0"},         /* mu */
    {0x3c0, 11, "M.8 9.8 L10.2 9.8 M3.2 9.8 L2.8 0 M8 9.8 L8 0"},                    /* pi */
    {0x3c1, 11, "M1.6 -4 L1.6 5 O5.6 5 4 5"},                                        /* rho */
    {0x3c3, 11.4, "O5.3 4.9 4.1 4.9 M5.6 9.8 L10.8 9.8"},                            /* sigma */
    {0x3c4, 9.4, "M.8 9.8 L8.6 9.8 M4.6 9.8 L4.6 2.4 A6.8 2.4 2.2 2.4 180 290"},     /* tau */
    {0x2016, 7.4, "M2.2 15 L2.2 -3.5 M5.2 15 L5.2 -3.5"},                            /* norm */
    {0x2192, 14, "M1 5.4 L13 5.4 M9.4 8.6 L13 5.4 L9.4 2.2"},                        /* arrow */
    {0x2205, 13, "O6.5 6.5 5 5 M1.8 1.2 L11.2 11.8"},                                /* empty set */
    {0x2207, 13, "M1 14 L6.5 0 L12 14 L1 14"},                                       /* nabla */
    {0x2212, 12, "M1.6 6 L10.4 6"},                                                  /* minus */
    {0x221a, 13.4, "M.8 6.4 L2.6 7.4 L5.4 0 L9.4 15 L13 15"},                        /* root */
    {0x221e, 14, "O4.1 5 2.9 2.9 O9.9 5 2.9 2.9"},                                   /* infinity */
    {0x2248, 11.8, "A3.7 7 2.2 1.5 180 0 A8.1 7 2.2 1.5 180 360 M1.5 2.6 A3.7 2.6 2.2 1.5 180 0 A8.1 2.6 2.2 1.5 180 360"},
    {0x2264, 12, "M10.2 12 L1.8 8 L10.2 4 M1.8 .6 L10.2 .6"},                        /* at most */
    {0x2265, 12, "M1.8 12 L10.2 8 L1.8 4 M1.8 .6 L10.2 .6"},                         /* at least */
};
/* clang-format on */

/* What stands for letters that were never drawn. */
static const struct letter box = {0, 11, "M1.6 0 L1.6 14 L9.4 14 L9.4 0 L1.6 0"};

static const struct letter *letter_of(int32_t name)
{
    int low = 0, high = (int)(sizeof letters / sizeof *letters) - 1;

    while (low <= high) {
        int middle = (low + high) / 2;

        if (letters[middle].name == name)
            return &letters[middle];
        if (letters[middle].name < name)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return &box;
}

double font_advance(int32_t letter)
{
    return letter_of(letter)->advance;
}

/* ---- Strokes ---- */

/* The longest stroke has four arcs. */
enum { ARC_CHORDS = 24, STROKE_POINTS = 256 };

struct pen {
    double xy[2 * STROKE_POINTS];
    int n;
    font_stroke *stroke;
    void *self;
};

static void pen_to(struct pen *p, double x, double y)
{
    p->xy[2 * p->n] = x;
    p->xy[2 * p->n + 1] = y;
    p->n++;
}

static void pen_up(struct pen *p)
{
    if (p->n)
        p->stroke(p->self, p->xy, p->n);
    p->n = 0;
}

static void pen_arc(struct pen *p, const double *v, double from, double to)
{
    for (int i = 0; i <= ARC_CHORDS; i++) {
        double angle = (from + (to - from) * i / ARC_CHORDS) * pi / 180;

        pen_to(p, v[0] + v[2] * cos(angle), v[1] + v[3] * sin(angle));
    }
}

/* The next number of a path; strtod would ask the locale what a point is. */
static double next_number(const char **path)
{
    const char *s = *path + (**path == ' ');
    double sign = *s == '-' ? -1 : 1, value = 0, place = 1;

    for (s += *s == '-'; isdigit((unsigned char)*s); s++)
        value = 10 * value + (*s - '0');
    if (*s == '.')
        for (s++; isdigit((unsigned char)*s); s++)
            value += (*s - '0') * (place /= 10);
    *path = s;
    return sign * value;
}

void font_draw(int32_t letter, font_stroke *stroke, void *self)
{
    struct pen pen = {.stroke = stroke, .self = self};
    const char *path = letter_of(letter)->path;

    while (*path) {
        char what = *path++;
        int want = what == 'A' ? 6 : what == 'O' ? 4 : 2;
        double v[6];

        for (int i = 0; i < want; i++)
            v[i] = next_number(&path);
        if (what == 'M' || what == 'O')
            pen_up(&pen);
        if (what == 'M' || what == 'L')
            pen_to(&pen, v[0], v[1]);
        else
            pen_arc(&pen, v, what == 'A' ? v[4] : 0, what == 'A' ? v[5] : 360);
        if (what == 'O')
            pen_up(&pen);
        path += *path == ' ';
    }
    pen_up(&pen);
}

/* ---- Lines of text ---- */

static const double small = 0.72, lower = -0.16, higher = 0.34;

/* Bytes of the letter at s. */
static int letter_bytes(const char *s)
{
    int n = 1;

    while (((unsigned char)s[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* What is set low or high: s stands behind the sign.  *skip: bytes before and after it. */
static int script_bytes(const char *s, char sign, int *before, int *after)
{
    const char *close = *s == '{' ? strchr(s, '}') : NULL;

    *before = *after = 0;
    if (close) {
        *before = *after = 1;
        return (int)(close - s) - 1;
    }
    if (!*s)
        return 0;
    if (sign == '^' && *s == '-')
        return (int)strcspn(s, " ,)");
    return letter_bytes(s);
}

bool font_next_run(struct font_run *run, const char **text)
{
    const char *s = *text;
    int before, after;

    if (!*s)
        return false;
    if (*s == '_' || *s == '^') {
        run->scale = small;
        run->rise = *s == '_' ? lower : higher;
        run->n = script_bytes(s + 1, *s, &before, &after);
        run->text = s + 1 + before;
        *text = run->text + run->n + after;
        return true;
    }
    *run = (struct font_run){s, 0, 1, 0};
    if (*s == '\\' && s[1]) { /* the sign behind it begins the run, whatever it is */
        run->text = s + 1;
        run->n = letter_bytes(s + 1);
    }
    run->n += (int)strcspn(run->text + run->n, "_^\\");
    if (!run->n)
        run->n = 1;
    *text = run->text + run->n;
    return true;
}

double font_width(const char *text)
{
    struct font_run run;
    double width = 0;

    while (font_next_run(&run, &text)) {
        const uint8_t *p = (const uint8_t *)run.text, *end = p + run.n;

        while (p < end)
            width += run.scale * font_advance(utf8_next(&p, end));
    }
    return width / FONT_UNITS;
}

const char *font_escape(char *out, int room, const char *text)
{
    int n = 0;

    for (; *text && n + 2 < room; text++) {
        if (strchr("_^\\", *text))
            out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = 0;
    return out;
}
