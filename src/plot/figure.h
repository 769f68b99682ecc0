/*
 * figure.h - panels with axes, titles and a key
 *
 *     struct figure *f;
 *     struct panel *p;
 *
 *     if ((st = figure_new(&f, "Convergence", err)))
 *         return st;
 *     figure_row(f, 180);
 *     p = figure_panel(f, 240, "", (struct axis){"steps", 4, 200, .logarithmic = true},
 *                      (struct axis){"error", 1e-6, 1, .logarithmic = true, .grid = true});
 *     panel_points(p, MARK_LINE, &style, xy, n);
 *     figure_key(f, MARK_LINE, &style, "Euler");
 *     st = figure_write(f, "convergence.svg", 2, NULL, err);
 *     figure_free(f);
 *
 * Marks of a panel have the coordinates of its axes.  Nothing is drawn before figure_write, which
 * places everything.  A lack of memory on the way is told there.
 */
#ifndef IMGEN_PLOT_FIGURE_H
#define IMGEN_PLOT_FIGURE_H

#include "io/image.h"
#include "plot/scene.h"

struct axis {
    const char *label; /* or NULL; must outlive the figure          */
    double lo, hi;     /* lo < hi, finite; logarithmic: lo > 0       */
    bool logarithmic;
    bool grid; /* a faint line at each tick */
    bool bare; /* neither numbers nor label */
};

struct figure;
struct panel;

/* title: copied; "" for none. */
enum status figure_new(struct figure **out, const char *title, struct error *err);
void figure_free(struct figure *f); /* NULL is fine */

/* Begin a row of panels, so many points high (without titles and numbers). */
void figure_row(struct figure *f, double height);
/* Append a panel to the row, so many points wide; width 0: what the widest row leaves, shared with
 * others of width 0.  title: copied; "" for none.  Belongs to the figure.  Never NULL. */
struct panel *figure_panel(struct figure *f, double width, const char *title, struct axis x,
                           struct axis y);

/* Marks in the coordinates of the axes, in the order of drawing: xy [n, 2], copied. */
void panel_points(struct panel *p, enum mark_kind kind, const struct mark_style *style,
                  const double *xy, int64_t n);
void panel_text(struct panel *p, const struct mark_style *style, double x, double y,
                const char *text);
/* Amounts [rows, columns] over a box of the plane, the first row at the top (the largest y), drawn
 * as colour_of_amount(amount / full); full > 0.  Where it is more than the largest amount the map
 * stays pale, for marks to stand on it. */
void panel_heat(struct panel *p, double left, double right, double bottom, double top,
                const double *amount, int64_t rows, int64_t columns, double full);
/* A faint line over the whole panel: the x or y where something is known to lie. */
void panel_level(struct panel *p, const struct mark_style *style, bool horizontal, double at);

/* An entry of the key below the panels.  label: copied. */
void figure_key(struct figure *f, enum mark_kind kind, const struct mark_style *style,
                const char *label);
/* The same for the colours of amounts, up to colour_of_amount(darkest). */
void figure_key_amounts(struct figure *f, double darkest, const char *label);

/* Place everything on a page.  scene: released by the caller, also after a failure.  E_MEMORY. */
enum status figure_place(struct scene *scene, struct figure *f, struct error *err);
/* Draw into a file: SVG, or PNG with so many pixels a point, by the name's ending (.svg, .png;
 * E_ARG for others and for a scale outside 0.25 .. 8).  about: how it was made, kept in the file
 * (<desc>, a text chunk "imgen"), or NULL.  Written whole or not at all. */
enum status figure_write(struct figure *f, const char *path, double scale, const char *about,
                         struct error *err);
/* E_ARG unless figure_write would take the name and the scale: to be asked before hours of work. */
enum status figure_check_name(const char *path, double scale, struct error *err);

#endif
