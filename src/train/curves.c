/*
 * curves.c - a few curves over one axis, as an SVG drawing inside an HTML page
 *
 *     title               -- name  -- name
 *     1 |~\________
 *       |          \_______
 *     0 +-----------------------
 *       0        1000       2000
 *                step
 *
 * A drawing is text, scales with the page, and takes its colours from the page's style, so that one
 * file serves light and dark.  A long run has more points than the drawing has places: points that
 * fall together are drawn as their mean, which is also what an eye makes of a noisy loss.
 *
 * Ticks are whole multiples of 1, 2 or 5 times a power of ten, kept as whole numbers until they are
 * written: 3 times 0.1 is not 0.3.  Coordinates are written in tenths by integers, so that no
 * locale's comma gets into them.
 */
#include "train/curves.h"

#include "base/error.h"

#include <inttypes.h>
#include <math.h>

enum { WIDTH = 560, HEIGHT = 250, LEFT = 62, RIGHT = 546, TOP = 40, BOTTOM = 212 };
enum { POINTS = 400, TICKS = 32, LETTER = 7 };

/* ---- Axes ---- */

struct tick {
    double value;
    int64_t digits; /* value = digits 10^power */
    int power;
};

struct axis {
    double lo, hi;
    bool logarithmic;
    struct tick tick[TICKS];
    int n;
};

static double value_of(int64_t digits, int power)
{
    return power < 0 ? (double)digits / pow(10, -power) : (double)digits * pow(10, power);
}

static void add_tick(struct axis *a, int64_t digits, int power)
{
    if (a->n < TICKS)
        a->tick[a->n++] = (struct tick){value_of(digits, power), digits, power};
}

/* About five steps: the width of one as digits times a power of ten. */
static int64_t choose_step(double span, int *power)
{
    double size;

    *power = (int)floor(log10(span / 5));
    size = span / 5 / pow(10, *power);
    if (size > 5) {
        ++*power;
        return 1;
    }
    return size > 2 ? 5 : size > 1 ? 2 : 1;
}

/* Ticks inside lo .. hi; with `whole` the axis ends at ticks. */
static void divide_evenly(struct axis *a, bool whole)
{
    double span = a->hi - a->lo, step;
    int64_t digits, first, last;
    int power;

    digits = choose_step(span, &power);
    step = value_of(digits, power);
    first = llround(whole ? floor(a->lo / step + 1e-9) : ceil(a->lo / step - 1e-9));
    last = llround(whole ? ceil(a->hi / step - 1e-9) : floor(a->hi / step + 1e-9));
    for (int64_t k = first; k <= last; k++)
        add_tick(a, k * digits, power);
    if (whole && a->n) {
        a->lo = a->tick[0].value;
        a->hi = a->tick[a->n - 1].value;
    }
}

/* 1, 2 and 5 of each decade, of many decades the 1 alone: from the last tick that is not above lo
 * to the first that is not below hi. */
static void divide_decades(struct axis *a)
{
    static const int64_t digits[] = {1, 2, 5};
    int first = (int)floor(log10(a->lo)), decades = (int)floor(log10(a->hi)) + 1 - first;
    int each = decades > 3 ? 1 : 3, apart = 1 + decades / 8;
    double lo = a->lo, hi = a->hi, value = 0;

    for (int i = 0; value < hi * (1 - 1e-9); i++) {
        int power = first + i / each * apart;

        value = value_of(digits[i % each], power);
        if (value_of(digits[(i + 1) % each], first + (i + 1) / each * apart) > lo * (1 + 1e-9))
            add_tick(a, digits[i % each], power);
    }
    a->lo = fmin(lo, a->tick[0].value);
    a->hi = fmax(hi, a->tick[a->n - 1].value);
}

/* The share of the axis that lies below x. */
static double place(const struct axis *a, double x)
{
    if (a->logarithmic)
        return log(x / a->lo) / log(a->hi / a->lo);
    return (x - a->lo) / (a->hi - a->lo);
}

/* ---- Ranges ---- */

/* Numbers that arithmetic on axes can take; a log may hold any. */
static bool drawable(double x, double y)
{
    return fabs(x) < 1e100 && fabs(y) < 1e100 && (fabs(x) > 1e-100 || x == 0) &&
           (fabs(y) > 1e-100 || y == 0);
}

static void widen(struct axis *a, double x)
{
    a->lo = fmin(a->lo, x);
    a->hi = fmax(a->hi, x);
}

static void find_ranges(struct axis *x, struct axis *y, const struct curves *c)
{
    *x = *y = (struct axis){.lo = HUGE_VAL, .hi = -HUGE_VAL};
    for (int k = 0; k < c->n; k++)
        for (int64_t i = 0; i < c->curve[k].n; i++)
            if (drawable(c->curve[k].x[i], c->curve[k].y[i])) {
                widen(x, c->curve[k].x[i]);
                widen(y, c->curve[k].y[i]);
            }
    if (!isfinite(x->lo))
        *x = *y = (struct axis){.lo = 0, .hi = 1}; /* nothing to show but the axes */
    widen(x, 0);
    widen(x, c->x_end);
}

static void find_axes(struct axis *x, struct axis *y, const struct curves *c)
{
    y->logarithmic = !c->from_zero && y->lo > 0 && y->hi > 5 * y->lo;
    if (c->from_zero)
        widen(y, 0);
    if (!(x->hi > x->lo))
        x->hi = x->lo + 1;
    if (!(y->hi - y->lo > 1e-9 * fmax(fabs(y->hi), fabs(y->lo))))
        y->hi = y->lo + fmax(fabs(y->lo), 1e-9);
    divide_evenly(x, false);
    if (y->logarithmic)
        divide_decades(y);
    else
        divide_evenly(y, true);
}

/* ---- Writing ---- */

static void add_tenths(struct text *out, double x)
{
    int64_t t = llround(10 * x), size = t < 0 ? -t : t;

    text_add(out, "%s%" PRId64 ".%" PRId64, t < 0 ? "-" : "", size / 10, size % 10);
}

static void add_point(struct text *out, const struct axis *x, const struct axis *y, double px,
                      double py)
{
    add_tenths(out, LEFT + (RIGHT - LEFT) * place(x, px));
    text_add(out, " ");
    add_tenths(out, BOTTOM + (TOP - BOTTOM) * place(y, py));
}

/* "10k" for 10000. */
static void add_value(struct text *out, const struct tick *t)
{
    char text[TEXT_REAL];
    bool thousands = fabs(t->value) >= 1e4 && fmod(t->value, 1000) == 0 && fabs(t->value) < 1e6;

    text_add(out, "%s%s", text_from_real(text, thousands ? t->value / 1000 : t->value),
             thousands ? "k" : "");
}

static void add_x_axis(struct text *out, const struct axis *x, const char *label)
{
    for (int k = 0; k < x->n; k++) {
        text_add(out, "<text class=\"tick\" text-anchor=\"middle\" y=\"%d\" x=\"", BOTTOM + 16);
        add_tenths(out, LEFT + (RIGHT - LEFT) * place(x, x->tick[k].value));
        text_add(out, "\">");
        add_value(out, &x->tick[k]);
        text_add(out, "</text>");
    }
    text_add(out, "<text class=\"tick\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">%s</text>\n",
             (LEFT + RIGHT) / 2, HEIGHT - 6, label);
}

static void add_y_axis(struct text *out, const struct axis *y)
{
    for (int k = 0; k < y->n; k++) {
        double at = BOTTOM + (TOP - BOTTOM) * place(y, y->tick[k].value);

        text_add(out, "<path class=\"rule\" d=\"M%d ", LEFT);
        add_tenths(out, at);
        text_add(out, "H%d\"/><text class=\"tick\" text-anchor=\"end\" x=\"%d\" y=\"", RIGHT,
                 LEFT - 6);
        add_tenths(out, at + 4);
        text_add(out, "\">");
        add_value(out, &y->tick[k]);
        text_add(out, "</text>");
    }
    text_add(out, "\n");
}

/* From the right, so that the title has the rest. */
static void add_legend(struct text *out, const struct curves *c)
{
    int64_t right = RIGHT;

    for (int k = c->n - 1; k >= 0; k--) {
        const char *name = c->curve[k].name;

        if (!name || !c->curve[k].n)
            continue;
        text_add(out,
                 "<text class=\"key\" text-anchor=\"end\" x=\"%" PRId64 "\" y=\"18\">%s</text>",
                 right, name);
        for (const char *p = name; *p; p++)
            right -= LETTER;
        text_add(out, "<path class=\"c%d\" d=\"M%" PRId64 " 14h-16\"/>", k, right - 8);
        right -= 40;
    }
    text_add(out, "\n");
}

/* The mean of points first .. last - 1; false when none can be drawn. */
static bool mean_of(const struct curve *c, int64_t first, int64_t last, double *x, double *y)
{
    int64_t n = 0;

    *x = *y = 0;
    for (int64_t i = first; i < last; i++) {
        if (!drawable(c->x[i], c->y[i]))
            continue;
        *x += c->x[i];
        *y += c->y[i];
        n++;
    }
    *x /= n ? (double)n : 1;
    *y /= n ? (double)n : 1;
    return n > 0;
}

static void add_curve(struct text *out, const struct axis *x, const struct axis *y,
                      const struct curve *c, int number)
{
    int64_t together = (c->n + POINTS - 1) / POINTS, drawn = 0;
    bool pen = false;
    double px, py, lone_x = 0, lone_y = 0;

    text_add(out, "<path class=\"c%d\" d=\"", number);
    for (int64_t i = 0; i < c->n; i += together) {
        int64_t last = c->n - i < together ? c->n : i + together;

        if (!mean_of(c, i, last, &px, &py)) {
            pen = false;
            continue;
        }
        text_add(out, "%s", pen ? "L" : "M");
        add_point(out, x, y, px, py);
        pen = true;
        lone_x = px, lone_y = py;
        drawn++;
    }
    text_add(out, "\"/>");
    if (drawn == 1) { /* a line of no length is not seen */
        text_add(out, "<path class=\"c%d dot\" d=\"M", number);
        add_point(out, x, y, lone_x, lone_y);
        text_add(out, "h0.1\"/>");
    }
    text_add(out, "\n");
}

void curves_svg(struct text *out, const struct curves *c)
{
    struct axis x, y;

    MUST(c->n <= CURVES_MAX, "%d curves are more than %d", c->n, CURVES_MAX);
    find_ranges(&x, &y, c);
    find_axes(&x, &y, c);
    text_add(out,
             "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">"
             "<text class=\"title\" x=\"4\" y=\"18\">%s</text>",
             WIDTH, HEIGHT, c->title, c->title);
    add_legend(out, c);
    add_y_axis(out, &y);
    add_x_axis(out, &x, c->x_label);
    for (int k = c->n - 1; k >= 0; k--)
        if (c->curve[k].n)
            add_curve(out, &x, &y, &c->curve[k], k);
    text_add(out, "</svg>\n");
}
