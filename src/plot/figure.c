/*
 * figure.c - panels with axes, titles and a key: collecting what is on them, and files
 *
 * Whoever plots says what is to be seen, in the coordinates of the axes, and nothing is placed
 * before all of it is known (figure_place.c).  A panel's marks are a scene of their own until then.
 * A lack of memory on the way is remembered, and a panel for which there was none is drawn into
 * nowhere, so that the code of a plot is a list of what it shows.
 */
#include "plot/figure_parts.h"

#include "base/file.h"
#include "base/memory.h"
#include "plot/raster.h"
#include "plot/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Collecting ---- */

enum status figure_new(struct figure **out, const char *title, struct error *err)
{
    struct figure *f = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&f, 1, sizeof(*f), "a figure", err)))
        return st;
    if ((st = mem_text(&f->title, title, err))) {
        free(f);
        return st;
    }
    scene_init(&f->lost.marks, 0, 0);
    *out = f;
    return OK;
}

void figure_free(struct figure *f)
{
    if (!f)
        return;
    for (int64_t i = 0; i < f->n; i++) {
        scene_release(&f->panels[i]->marks);
        free(f->panels[i]->title);
        free(f->panels[i]);
    }
    for (int64_t i = 0; i < f->n_keys; i++)
        free(f->keys[i].label);
    scene_release(&f->lost.marks);
    free(f->panels);
    free(f->heights);
    free(f->keys);
    free(f->title);
    free(f);
}

void figure_row(struct figure *f, double height)
{
    if (mem_grow((void **)&f->heights, &f->row_room, f->rows + 1, sizeof(*f->heights), NULL))
        f->failed = true;
    else
        f->heights[f->rows++] = height;
}

static bool is_axis(const struct axis *a)
{
    return isfinite(a->lo) && isfinite(a->hi) && a->lo < a->hi && (!a->logarithmic || a->lo > 0);
}

struct panel *figure_panel(struct figure *f, double width, const char *title, struct axis x,
                           struct axis y)
{
    struct panel *p = NULL;

    MUST(is_axis(&x) && is_axis(&y), "a panel from %g, %g to %g, %g", x.lo, y.lo, x.hi, y.hi);
    if (!f->rows ||
        mem_grow((void **)&f->panels, &f->panel_room, f->n + 1, sizeof(struct panel *), NULL) ||
        mem_new((void **)&p, 1, sizeof(*p), "a panel", NULL) || mem_text(&p->title, title, NULL)) {
        free(p);
        f->failed = true;
        return &f->lost;
    }
    scene_init(&p->marks, 0, 0);
    p->x = x;
    p->y = y;
    p->width = width;
    p->height = f->heights[f->rows - 1];
    p->row = (int)f->rows - 1;
    p->column = f->n && f->panels[f->n - 1]->row == p->row ? f->panels[f->n - 1]->column + 1 : 0;
    f->panels[f->n++] = p;
    return p;
}

void panel_points(struct panel *p, enum mark_kind kind, const struct mark_style *style,
                  const double *xy, int64_t n)
{
    scene_points(&p->marks, kind, style, xy, n);
}

void panel_text(struct panel *p, const struct mark_style *style, double x, double y,
                const char *text)
{
    scene_text(&p->marks, style, x, y, text);
}

void panel_level(struct panel *p, const struct mark_style *style, bool horizontal, double at)
{
    if (horizontal)
        scene_line(&p->marks, style, p->x.lo, at, p->x.hi, at);
    else
        scene_line(&p->marks, style, at, p->y.lo, at, p->y.hi);
}

void figure_amounts(struct colour table[FIGURE_AMOUNTS], double darkest)
{
    for (int i = 0; i < FIGURE_AMOUNTS; i++)
        table[i] = colour_of_amount(darkest * i / (FIGURE_AMOUNTS - 1));
}

void panel_heat(struct panel *p, double left, double right, double bottom, double top,
                const double *amount, int64_t rows, int64_t columns, double full)
{
    const struct box corners = {left, top, right, bottom};
    struct colour table[FIGURE_AMOUNTS];
    uint8_t *pixels;

    if (mem_new((void **)&pixels, (uint64_t)(rows * columns), 3, "a heat map", NULL)) {
        p->marks.failed = true;
        return;
    }
    figure_amounts(table, 1);
    for (int64_t i = 0; i < rows * columns; i++) {
        double s = amount[i] / full;

        memcpy(pixels + 3 * i, &table[s > 0 ? (int)(fmin(s, 1) * (FIGURE_AMOUNTS - 1) + 0.5) : 0],
               3);
    }
    scene_image(&p->marks, &corners, pixels, rows, columns);
    free(pixels);
}

static void add_key(struct figure *f, const struct entry *e, const char *label)
{
    struct entry copy = *e;

    if (mem_grow((void **)&f->keys, &f->key_room, f->n_keys + 1, sizeof(*f->keys), NULL) ||
        mem_text(&copy.label, label, NULL))
        f->failed = true;
    else
        f->keys[f->n_keys++] = copy;
}

void figure_key(struct figure *f, enum mark_kind kind, const struct mark_style *style,
                const char *label)
{
    add_key(f, &(struct entry){.kind = kind, .style = *style}, label);
}

void figure_key_amounts(struct figure *f, double darkest, const char *label)
{
    add_key(f, &(struct entry){.of_amounts = true, .darkest = darkest}, label);
}

/* ---- Files ---- */

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);

    return n > m && !strcasecmp(path + n - m, ending);
}

enum status figure_check_name(const char *path, double scale, struct error *err)
{
    if (!ends_in(path, ".svg") && !ends_in(path, ".png"))
        return fail(err, E_ARG, "%s: a plot's name ends in .svg or .png", path);
    if (!(scale >= 0.25 && scale <= 8))
        return fail(err, E_ARG, "%g pixels a point; served are 0.25 to 8", scale);
    return OK;
}

static enum status write_svg(const struct figure *f, const struct scene *s, const char *path,
                             const char *about, struct error *err)
{
    struct text out;
    enum status st;

    text_init(&out, NULL, 0);
    if (!(st = svg_write(&out, s, f->title, about, err)))
        st = file_write(path, out.data, out.used, err);
    text_release(&out);
    return st;
}

static enum status write_png(const struct scene *s, const char *path, double scale,
                             const char *about, struct error *err)
{
    const struct image_text text = {"imgen", about};
    struct image im = {0};
    enum status st;

    if (!(st = raster_draw(&im, s, scale, err)))
        st = png_write(path, &im, &text, about ? 1 : 0, err);
    image_release(&im);
    return st;
}

enum status figure_write(struct figure *f, const char *path, double scale, const char *about,
                         struct error *err)
{
    struct scene s = {0};
    enum status st;

    if (!(st = figure_check_name(path, scale, err)) && !(st = figure_place(&s, f, err)))
        st = ends_in(path, ".svg") ? write_svg(f, &s, path, about, err)
                                   : write_png(&s, path, scale, about, err);
    scene_release(&s);
    return st;
}
