/*
 * draw.h - what the figures of studies have in common
 */
#ifndef IMGEN_LAB_DRAW_H
#define IMGEN_LAB_DRAW_H

#include "lab/lab.h"

extern const double draw_pale; /* the shade of densities below marks */
enum { DRAW_PLANE = 150 };     /* points: the side of a panel that shows the plane */

/* Half the side of the square about 0 that shows p_t: the same along time where beta <= 1. */
double draw_half(const struct law *l, const struct path_coefs *c);

/* A panel of the plane.  bare: without numbers, where a neighbour has them. */
struct panel *draw_plane(struct figure *f, const char *title, double half, bool bare);
/* A panel of curves against `x`, of the height of its row. */
struct axis draw_axis(const char *label, double lo, double hi);
struct axis draw_axis_log(const char *label, double lo, double hi);

struct mark_style draw_pen(struct colour colour, double width, double opacity);
/* The colour of a label; that of points without one. */
struct colour draw_label_colour(int32_t y);

/* p_t(. | y) as colours, its largest value in the panel as dark as `shade` in (0, 1]: 1 where
 * nothing stands on it.  *mass: of the density over the panel, or NULL. */
enum status draw_density(struct panel *p, const struct law *l, const struct path_coefs *c,
                         int32_t y, double half, double shade, int threads, double *mass,
                         struct error *err);

/* Points [n, 2] in the colours of their labels (NULL: all of LAW_ANY). */
void draw_points(struct panel *p, const double *x, const int32_t *label, int64_t n, double radius,
                 double opacity);

/* Ways of the first n_ways of n points through a trace [steps + 1, n, 2], in the plane or, where
 * against_time, of the first coordinate from t0 to t1.  E_MEMORY. */
struct draw_ways {
    const double *trace;
    int64_t n, n_ways;
    int steps;
    double t0, t1;
    bool against_time;
};
enum status draw_ways(struct panel *p, const struct draw_ways *ways, const struct mark_style *style,
                      struct error *err);

/* A line through n points with a dot at each. */
void draw_curve(struct panel *p, const struct mark_style *style, const double *xy, int64_t n);
/* The key of labels 0 .. n - 1 as dots. */
void draw_key_labels(struct figure *f, int n);

/* "t = 0.25" */
enum { DRAW_TEXT = 64 };
const char *draw_number(char out[DRAW_TEXT], const char *name, double value);

#endif
