/*
 * draw.c - what the figures of studies have in common
 *
 * One look for all: the plane is square, the exact density lies below in the colours of amounts,
 * points and ways above in those of kinds, so that a reader who has understood one figure can read
 * the next.
 */
#include "lab/draw.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double draw_pale = 0.5;

double draw_half(const struct law *l, const struct path_coefs *c)
{
    double widest = fmax(l->reach, 3);

    return 1.05 * (c->beta <= 1 ? widest : hypot(l->reach, 3 * c->beta));
}

struct axis draw_axis(const char *label, double lo, double hi)
{
    return (struct axis){.label = label, .lo = lo, .hi = hi, .grid = true};
}

struct axis draw_axis_log(const char *label, double lo, double hi)
{
    return (struct axis){.label = label, .lo = lo, .hi = hi, .grid = true, .logarithmic = true};
}

struct panel *draw_plane(struct figure *f, const char *title, double half, bool bare)
{
    struct axis x = {.lo = -half, .hi = half}, y = {.lo = -half, .hi = half, .bare = bare};

    return figure_panel(f, DRAW_PLANE, title, x, y);
}

struct mark_style draw_pen(struct colour colour, double width, double opacity)
{
    return (struct mark_style){.colour = colour, .opacity = opacity, .size = width};
}

struct colour draw_label_colour(int32_t y)
{
    return y < 0 ? colour_ink : colour_of_kind(y);
}

/* ---- Densities ---- */

enum { CELLS = 120 };

static enum status fill_density(double *p, const struct law *l, const struct path_coefs *c,
                                int32_t y, double half, int threads, struct error *err)
{
    enum status failed = OK;

#pragma omp parallel for schedule(static) num_threads(threads)
    for (int r = 0; r < CELLS; r++)
        for (int q = 0; q < CELLS; q++) {
            const double x[2] = {half * ((2 * q + 1.0) / CELLS - 1),
                                 half * (1 - (2 * r + 1.0) / CELLS)};
            struct mixture_value v;
            struct error mine = {0};
            enum status st = law_at(&v, l, c, x, y, &mine);

            p[r * CELLS + q] = st ? 0 : exp(v.log_p);
            if (st) {
#pragma omp critical(draw_density_failed)
                {
                    failed = st;
                    if (err)
                        *err = mine;
                }
            }
        }
    return failed;
}

enum status draw_density(struct panel *p, const struct law *l, const struct path_coefs *c,
                         int32_t y, double half, double shade, int threads, double *mass,
                         struct error *err)
{
    double *amount = NULL, most = 0, sum = 0;
    enum status st;

    if ((st = mem_new((void **)&amount, CELLS * CELLS, sizeof(*amount), "a density", err)))
        return st;
    if (!(st = fill_density(amount, l, c, y, half, threads, err))) {
        for (int i = 0; i < CELLS * CELLS; i++) {
            most = fmax(most, amount[i]);
            sum += amount[i];
        }
        panel_heat(p, -half, half, -half, half, amount, CELLS, CELLS, most > 0 ? most / shade : 1);
        if (mass)
            *mass = sum * 4 * half * half / CELLS / CELLS;
    }
    free(amount);
    return st;
}

/* ---- Points and ways ---- */

enum { CHUNK = 1024 };

void draw_points(struct panel *p, const double *x, const int32_t *label, int64_t n, double radius,
                 double opacity)
{
    struct mark_style style = draw_pen(draw_label_colour(LAW_ANY), radius, opacity);
    double chunk[2 * CHUNK];

    if (!label) {
        panel_points(p, MARK_DOTS, &style, x, n);
        return;
    }
    for (int32_t y = 0; y < LAW_LABELS; y++) {
        int64_t found = 0;

        style.colour = draw_label_colour(y);
        for (int64_t i = 0; i < n; i++) {
            if (label[i] == y)
                memcpy(chunk + 2 * found++, x + 2 * i, 2 * sizeof(*x));
            if (found == CHUNK || (found && i + 1 == n)) {
                panel_points(p, MARK_DOTS, &style, chunk, found);
                found = 0;
            }
        }
    }
}

enum status draw_ways(struct panel *p, const struct draw_ways *w, const struct mark_style *style,
                      struct error *err)
{
    int64_t length = w->steps + 1;
    double *xy = NULL;
    enum status st;

    if ((st = mem_new((void **)&xy, 2 * (uint64_t)length, sizeof(*xy), "a way", err)))
        return st;
    for (int64_t i = 0; i < w->n_ways && i < w->n; i++) {
        for (int64_t k = 0; k < length; k++) {
            const double *at = w->trace + 2 * (k * w->n + i);

            xy[2 * k] = w->against_time ? w->t0 + (w->t1 - w->t0) * (double)k / w->steps : at[0];
            xy[2 * k + 1] = w->against_time ? at[0] : at[1];
        }
        panel_points(p, MARK_LINE, style, xy, length);
    }
    free(xy);
    return OK;
}

void draw_curve(struct panel *p, const struct mark_style *style, const double *xy, int64_t n)
{
    struct mark_style dots = *style;

    panel_points(p, MARK_LINE, style, xy, n);
    dots.size = 1.7 * style->size;
    dots.dash = 0;
    panel_points(p, MARK_DOTS, &dots, xy, n);
}

void draw_key_labels(struct figure *f, int n)
{
    char text[DRAW_TEXT];

    for (int32_t y = 0; y < n; y++) {
        const struct mark_style style = draw_pen(draw_label_colour(y), 2.4, 1);

        figure_key(f, MARK_DOTS, &style, draw_number(text, "y", y));
    }
}

const char *draw_number(char out[DRAW_TEXT], const char *name, double value)
{
    struct text t;

    text_init(&t, out, DRAW_TEXT);
    text_add(&t, "%s = %g", name, value);
    return out;
}
