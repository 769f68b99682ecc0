/*
 * colour.c - colours that keep their order and their differences, in print and for every eye
 *
 * A map of amounts must not invent edges: where the number changes evenly, so must the impression.
 * In OKLab equal distances look about equally large, so a map is a curve there, walked at constant
 * speed.  The curves below lead the lightness one way only, hence a grey print and a colour-blind
 * reader see the same order; hue and chroma turn on the way to make more steps distinguishable.
 *
 * No colour of the curves lies outside what a screen can show, for a clipped one would stand still.
 * The curve is measured anew at each call of a colour, 64 chords; a picture asks for 256 colours
 * and keeps them.  Kinds have no order and use the set of Okabe and Ito, made to be told apart
 * under every common form of colour blindness.
 *
 * Ottosson 2020, "A perceptual color space for image processing" (OKLab); Okabe and Ito 2008.
 */
#include "plot/colour.h"

#include <math.h>

const struct colour colour_ink = {38, 38, 38}, colour_faint = {150, 150, 150},
                    colour_paper = {255, 255, 255};

static const double pi = 3.14159265358979323846;

struct colour colour_of_kind(int i)
{
    static const struct colour kinds[COLOUR_KINDS] = {
        {0, 114, 178}, {213, 94, 0},   {0, 158, 115}, {204, 121, 167},
        {230, 159, 0}, {86, 180, 233}, {90, 90, 90},
    };

    return kinds[(i % COLOUR_KINDS + COLOUR_KINDS) % COLOUR_KINDS];
}

struct oklab {
    double L, a, b;
};

static uint8_t encode(double linear)
{
    double v = linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;

    return v <= 0 ? 0 : v >= 1 ? 255 : (uint8_t)(255 * v + 0.5);
}

/* Ottosson's matrices. */
static struct colour to_rgb(struct oklab c)
{
    double l = c.L + 0.3963377774 * c.a + 0.2158037573 * c.b;
    double m = c.L - 0.1055613458 * c.a - 0.0638541728 * c.b;
    double s = c.L - 0.0894841775 * c.a - 1.2914855480 * c.b;

    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    return (struct colour){
        encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
        encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
        encode(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s),
    };
}

/* A curve of lightness, chroma and hue (degrees) from 0 to 1. */
struct curve {
    double light[2], hue[2], chroma[3]; /* chroma at 0, 1/2 and 1 */
};

static struct oklab curve_at(const struct curve *c, double s)
{
    double hue = (c->hue[0] + s * (c->hue[1] - c->hue[0])) * pi / 180;
    double chroma = 2 * (1 - s) * (0.5 - s) * c->chroma[0] + 4 * s * (1 - s) * c->chroma[1] +
                    2 * s * (s - 0.5) * c->chroma[2];

    return (struct oklab){c->light[0] + s * (c->light[1] - c->light[0]), chroma * cos(hue),
                          chroma * sin(hue)};
}

/* The colour after the share s of the curve's length. */
static struct colour walk(const struct curve *c, double s)
{
    enum { CHORDS = 64 };
    double length[CHORDS + 1] = {0}, goal;
    struct oklab from = curve_at(c, 0);
    int k = 1;

    for (int i = 1; i <= CHORDS; i++) {
        struct oklab to = curve_at(c, (double)i / CHORDS);
        double dL = to.L - from.L, da = to.a - from.a, db = to.b - from.b;

        length[i] = length[i - 1] + sqrt(dL * dL + da * da + db * db);
        from = to;
    }
    goal = (s > 0 ? s < 1 ? s : 1 : 0) * length[CHORDS];
    while (k < CHORDS && length[k] < goal)
        k++;
    s = (k - 1 + (goal - length[k - 1]) / (length[k] - length[k - 1])) / CHORDS;
    return to_rgb(curve_at(c, s));
}

struct colour colour_of_amount(double s)
{
    static const struct curve paper_to_night = {{1, 0.28}, {105, 300}, {0, 0.09, 0.12}};

    return walk(&paper_to_night, s);
}

struct colour colour_of_place(double s)
{
    static const struct curve night_to_dawn = {{0.36, 0.8}, {275, 425}, {0.13, 0.13, 0.13}};

    return walk(&night_to_dawn, s);
}
