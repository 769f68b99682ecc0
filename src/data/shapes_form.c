/*
 * shapes_form.c - the outlines of the eight forms, and how much of a pixel they cover
 *
 * At 16 pixels a side a form is eight pixels wide, and its edge pixels are most of what tells a
 * circle from a diamond: they must hold the true covered share, or network and checker learn the
 * rasterizer instead of the form.  Every form is a signed distance (negative inside): five are
 * polygons given by their corners, three are made of circles.  A distance tells at once that a
 * pixel lies wholly inside or outside; only those that the edge may cross are split into 4 x 4
 * parts, and in each part the edge is taken as straight.  Drawing polygons by exact clipping would
 * be as good for five forms and useless for the other three.
 *
 * Forms are drawn in their own frame, y down, scaled so that all look about equally big at radius 1
 * and their bounding boxes are centred.  The distance never exceeds the true one in magnitude (a
 * union takes the smaller of two), which is what the early decision needs.
 */
#include "data/shapes.h"

#include <math.h>

enum { PARTS = 4, CORNERS = 12 };

struct outline {
    int n;
    double at[CORNERS][2];
};

static const struct outline outlines[SHAPES_FORMS] = {
    [SHAPE_SQUARE] = {4, {{-0.82, -0.82}, {0.82, -0.82}, {0.82, 0.82}, {-0.82, 0.82}}},
    [SHAPE_TRIANGLE] = {3, {{0, -0.93}, {1.0, 0.80}, {-1.0, 0.80}}},
    /* Five points at 1.06 and five notches at 0.48, plumper than a pentagram so that 16 pixels
     * show it; lowered by 0.10. */
    [SHAPE_STAR] = {10,
                    {{0, -0.96},
                     {0.2821, -0.2883},
                     {1.0081, -0.2276},
                     {0.4565, 0.2483},
                     {0.6231, 0.9576},
                     {0, 0.58},
                     {-0.6231, 0.9576},
                     {-0.4565, 0.2483},
                     {-1.0081, -0.2276},
                     {-0.2821, -0.2883}}},
    [SHAPE_CROSS] = {12,
                     {{-0.33, -0.98},
                      {0.33, -0.98},
                      {0.33, -0.33},
                      {0.98, -0.33},
                      {0.98, 0.33},
                      {0.33, 0.33},
                      {0.33, 0.98},
                      {-0.33, 0.98},
                      {-0.33, 0.33},
                      {-0.98, 0.33},
                      {-0.98, -0.33},
                      {-0.33, -0.33}}},
    [SHAPE_DIAMOND] = {4, {{0, -1.06}, {0.78, 0}, {0, 1.06}, {-0.78, 0}}},
};

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double clamp(double x, double lo, double hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* Signed distance to a polygon: the nearest edge gives the size, and the parity of edges crossed by
 * a ray towards +x gives the sign. */
static double outline_distance(const struct outline *o, double x, double y)
{
    double best = HUGE_VAL;
    bool inside = false;

    for (int i = 0, j = o->n - 1; i < o->n; j = i++) {
        double ax = o->at[j][0], ay = o->at[j][1];
        double ex = o->at[i][0] - ax, ey = o->at[i][1] - ay;
        double px = x - ax, py = y - ay;
        double along = clamp((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1);
        double dx = px - along * ex, dy = py - along * ey;

        best = least(best, dx * dx + dy * dy);
        if ((ay > y) != (o->at[i][1] > y) && x < ax + ex * (y - ay) / ey)
            inside = !inside;
    }
    return inside ? -sqrt(best) : sqrt(best);
}

/* A square standing on its corner (half diagonal a), and a disc on each of its upper sides. */
static double heart_distance(double x, double y)
{
    const double a = 0.80;
    double up = -(y - 0.08);
    double square = (fabs(x) + fabs(up) - a) * 0.70710678118654752;
    double dx = fabs(x) - a / 2, dy = up - a / 2;

    return least(square, sqrt(dx * dx + dy * dy) - a * 0.70710678118654752);
}

static double form_distance(enum shape_form form, double x, double y)
{
    switch (form) {
    case SHAPE_CIRCLE:
        return sqrt(x * x + y * y) - 0.93;
    case SHAPE_RING:
        return fabs(sqrt(x * x + y * y) - 0.72) - 0.25;
    case SHAPE_HEART:
        return heart_distance(x, y);
    default:
        return outline_distance(&outlines[form], x, y);
    }
}

/* The covered share of a small square of side `side` (in units of the radius) centred at (x, y). */
static double part_coverage(enum shape_form form, double x, double y, double side)
{
    return clamp(0.5 - form_distance(form, x, y) / side, 0, 1);
}

static double pixel_coverage(enum shape_form form, double x, double y, double side)
{
    double d = form_distance(form, x, y), sum = 0;

    if (fabs(d) > side * 0.70710678118654752)
        return d < 0;
    for (int i = 0; i < PARTS; i++)
        for (int j = 0; j < PARTS; j++)
            sum += part_coverage(form, x + side * ((j + 0.5) / PARTS - 0.5),
                                 y + side * ((i + 0.5) / PARTS - 0.5), side / PARTS);
    return sum / (PARTS * PARTS);
}

void shapes_coverage(enum shape_form form, double x, double y, double r, int64_t size, float *mask)
{
    const double reach = 1.15; /* no form reaches further from its centre along either axis */
    double side = 1 / (r * (double)size);

    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < size; j++) {
            double u = (((double)j + 0.5) / (double)size - x) / r;
            double v = (((double)i + 0.5) / (double)size - y) / r;

            mask[i * size + j] = 0;
            if (fabs(u) < reach + side && fabs(v) < reach + side)
                mask[i * size + j] = (float)pixel_coverage(form, u, v, side);
        }
}
