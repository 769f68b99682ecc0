/*
 * raster.c - a scene as pixels
 *
 * How much of a pixel a mark covers is computed, not sampled.  For strokes and dots, which are the
 * greater part of every plot, the distance from the pixel's middle to the line says it: covered up
 * to half the pen's width, not covered beyond, and linear over the one pixel between.  Round ends
 * and joints come with the distance.  The greatest coverage over a line's pieces is the line's, so
 * that a transparent line does not darken where its pieces meet.  Areas are cut into quarter rows,
 * and along each the covered length is exact.
 *
 * Each mark first fills a mask over its bounding box, then the mask is blended once: opacity and
 * clipping stand in one place.
 */
#include "plot/raster.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "plot/font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is drawn on: pixels, and the mask of the mark being drawn. */
struct canvas {
    struct image *im;
    float *mask;            /* [height, width] of the picture; zero between marks       */
    int64_t x0, y0, x1, y1; /* what of it is in use: columns x0 <= x < x1, rows y0 <= y < y1 */
    struct box clip;        /* pixels */
};

static int64_t within(double v, int64_t hi)
{
    return v <= 0 ? 0 : v >= (double)hi ? hi : (int64_t)v;
}

static void canvas_open(struct canvas *c, const struct box *clip)
{
    c->clip = *clip;
    c->x0 = c->im->width;
    c->y0 = c->im->height;
    c->x1 = c->y1 = 0;
}

/* The pixels that a box touches and that may be drawn on; they become part of what is in use. */
struct window {
    int64_t x0, y0, x1, y1;
};

static struct window window_of(struct canvas *c, double left, double top, double right,
                               double bottom)
{
    struct window w = {
        within(floor(fmax(left, c->clip.left)), c->im->width),
        within(floor(fmax(top, c->clip.top)), c->im->height),
        within(ceil(fmin(right, c->clip.right)), c->im->width),
        within(ceil(fmin(bottom, c->clip.bottom)), c->im->height),
    };

    if (w.x0 < w.x1 && w.y0 < w.y1) {
        c->x0 = w.x0 < c->x0 ? w.x0 : c->x0;
        c->y0 = w.y0 < c->y0 ? w.y0 : c->y0;
        c->x1 = w.x1 > c->x1 ? w.x1 : c->x1;
        c->y1 = w.y1 > c->y1 ? w.y1 : c->y1;
    }
    return w;
}

static double share(double lo, double hi, double a, double b)
{
    double from = fmax(lo, a), to = fmin(hi, b);

    return to > from ? to - from : 0;
}

/* Blend the mask in and zero it. */
static void canvas_close(struct canvas *c, struct colour colour, double opacity)
{
    const uint8_t ink[3] = {colour.r, colour.g, colour.b};

    for (int64_t y = c->y0; y < c->y1; y++) {
        float *mask = c->mask + y * c->im->width;
        double rows = share((double)y, (double)y + 1, c->clip.top, c->clip.bottom);

        for (int64_t x = c->x0; x < c->x1; x++) {
            uint8_t *p = c->im->pixels + (y * c->im->width + x) * 3;
            double a = opacity * fmin(1, (double)mask[x]) * rows *
                       share((double)x, (double)x + 1, c->clip.left, c->clip.right);

            for (int k = 0; k < 3 && a > 0; k++)
                p[k] = (uint8_t)(p[k] + a * (ink[k] - p[k]) + 0.5);
            mask[x] = 0;
        }
    }
}

/* ---- Strokes, dots, areas ---- */

/* A piece of a line of half width r, or, with both ends the same, a disc. */
static void mask_piece(struct canvas *c, const double *a, const double *b, double r)
{
    double dx = b[0] - a[0], dy = b[1] - a[1], square = dx * dx + dy * dy;
    double thin = r < 0.5 ? 2 * r : 1, half = r < 0.5 ? 0.5 : r; /* hairlines grow pale instead */
    struct window w = window_of(c, fmin(a[0], b[0]) - half - 1, fmin(a[1], b[1]) - half - 1,
                                fmax(a[0], b[0]) + half + 1, fmax(a[1], b[1]) + half + 1);

    for (int64_t y = w.y0; y < w.y1; y++) {
        float *mask = c->mask + y * c->im->width;

        for (int64_t x = w.x0; x < w.x1; x++) {
            double px = (double)x + 0.5 - a[0], py = (double)y + 0.5 - a[1];
            double s = square > 0 ? (px * dx + py * dy) / square : 0;
            double cover;

            s = s < 0 ? 0 : s > 1 ? 1 : s;
            px -= s * dx;
            py -= s * dy;
            cover = half + 0.5 - sqrt(px * px + py * py);
            if (cover <= 0)
                continue;
            cover = thin * (cover < 1 ? cover : 1);
            if (cover > (double)mask[x])
                mask[x] = (float)cover;
        }
    }
}

/* The piece from a to b of a dashed line; *at: how far along the pattern it begins. */
static void mask_dashes(struct canvas *c, const double *a, const double *b, double r, double dash,
                        double *at)
{
    double dx = b[0] - a[0], dy = b[1] - a[1], length = sqrt(dx * dx + dy * dy), done = 0;

    while (done < length) {
        double in = fmod(*at, 2 * dash),
               step = fmin((in < dash ? dash : 2 * dash) - in, length - done);
        double from = done / length, to = (done + step) / length;
        const double p[2] = {a[0] + from * dx, a[1] + from * dy};
        const double q[2] = {a[0] + to * dx, a[1] + to * dy};

        step = fmax(step, 1e-6);
        if (in < dash)
            mask_piece(c, p, q, r);
        done += step;
        *at += step;
    }
}

static bool is_finite(const double *at)
{
    return isfinite(at[0]) && isfinite(at[1]);
}

static void mask_line(struct canvas *c, const double *xy, int64_t n, double width, double dash)
{
    double at = 0;

    for (int64_t i = 1; i < n; i++) {
        const double *a = xy + 2 * i - 2, *b = xy + 2 * i;

        if (!is_finite(a) || !is_finite(b))
            at = 0;
        else if (dash > 0)
            mask_dashes(c, a, b, 0.5 * width, dash, &at);
        else
            mask_piece(c, a, b, 0.5 * width);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The outline's crossings with the horizontal line at y, in order: [*n]. */
static void crossings(double *at, int64_t *n, const double *xy, int64_t corners, double y)
{
    *n = 0;
    for (int64_t i = 0; i < corners; i++) {
        const double *a = xy + 2 * i, *b = xy + 2 * ((i + 1) % corners);

        if ((a[1] <= y) != (b[1] <= y))
            at[(*n)++] = a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
    }
    qsort(at, (size_t)*n, sizeof *at, by_value);
}

/* at: room for as many numbers as there are corners. */
static void mask_area(struct canvas *c, const double *xy, int64_t corners, double *at)
{
    enum { ROWS = 4 };
    double left = xy[0], right = xy[0], top = xy[1], bottom = xy[1];
    struct window w;
    int64_t n;

    for (int64_t i = 1; i < corners; i++) {
        left = fmin(left, xy[2 * i]);
        right = fmax(right, xy[2 * i]);
        top = fmin(top, xy[2 * i + 1]);
        bottom = fmax(bottom, xy[2 * i + 1]);
    }
    w = window_of(c, left, top, right, bottom);
    for (int64_t row = ROWS * w.y0; row < ROWS * w.y1; row++) {
        float *mask = c->mask + row / ROWS * c->im->width;

        crossings(at, &n, xy, corners, ((double)row + 0.5) / ROWS);
        for (int64_t k = 0; k + 1 < n; k += 2) {
            int64_t from = within(floor(at[k]), w.x1), to = within(ceil(at[k + 1]), w.x1);

            for (int64_t x = from < w.x0 ? w.x0 : from; x < to; x++)
                mask[x] += (float)(share((double)x, (double)x + 1, at[k], at[k + 1]) / ROWS);
        }
    }
}

/* ---- Images ---- */

/* Between the four nearest pixels' middles; past the outermost the edge goes on. */
static double sample(const struct mark *m, double row, double column, int channel)
{
    double r = fmin(fmax(row, 0), (double)(m->rows - 1));
    double q = fmin(fmax(column, 0), (double)(m->columns - 1));
    int64_t r0 = (int64_t)r, q0 = (int64_t)q;
    int64_t r1 = r0 + (r0 + 1 < m->rows), q1 = q0 + (q0 + 1 < m->columns);
    const uint8_t *p = m->pixels + channel;
    double fr = r - (double)r0, fq = q - (double)q0;

    return (1 - fr) *
               ((1 - fq) * p[(r0 * m->columns + q0) * 3] + fq * p[(r0 * m->columns + q1) * 3]) +
           fr * ((1 - fq) * p[(r1 * m->columns + q0) * 3] + fq * p[(r1 * m->columns + q1) * 3]);
}

static void draw_image(struct canvas *c, const struct mark *m, const double *at)
{
    struct window w = window_of(c, at[0], at[1], at[2], at[3]);

    for (int64_t y = w.y0; y < w.y1; y++)
        for (int64_t x = w.x0; x < w.x1; x++) {
            double row = ((double)y + 0.5 - at[1]) / (at[3] - at[1]) * (double)m->rows - 0.5;
            double column = ((double)x + 0.5 - at[0]) / (at[2] - at[0]) * (double)m->columns - 0.5;
            uint8_t *p = c->im->pixels + (y * c->im->width + x) * 3;

            for (int k = 0; k < 3; k++)
                p[k] = (uint8_t)(sample(m, row, column, k) + 0.5);
        }
}

/* ---- Text ---- */

struct writing {
    struct canvas *canvas;
    double x, y;   /* where the letter stands, in pixels          */
    double ux, uy; /* a unit of the letter to the right, in pixels */
    double pen;    /* pixels                                       */
};

static void write_stroke(void *self, const double *xy, int n)
{
    struct writing *w = self;
    double before[2] = {0};

    for (int i = 0; i < n; i++) {
        /* up is a quarter turn against the clock from right, and y grows downwards */
        const double at[2] = {w->x + xy[2 * i] * w->ux + xy[2 * i + 1] * w->uy,
                              w->y + xy[2 * i] * w->uy - xy[2 * i + 1] * w->ux};

        if (i)
            mask_piece(w->canvas, before, at, 0.5 * w->pen);
        memcpy(before, at, sizeof before);
    }
}

static void mask_text(struct canvas *c, const struct mark_style *style, double x, double y,
                      double scale, const char *text)
{
    double size = scale * style->size, unit = size / FONT_UNITS;
    double cos_turn = style->turn != 0 ? 0 : 1, sin_turn = style->turn != 0 ? -1 : 0;
    double shift = font_width(text) * size *
                   (style->anchor == ANCHOR_END      ? 1
                    : style->anchor == ANCHOR_MIDDLE ? 0.5
                                                     : 0);
    struct font_run run;

    x -= shift * cos_turn;
    y -= shift * sin_turn;
    while (font_next_run(&run, &text)) {
        const uint8_t *p = (const uint8_t *)run.text, *end = p + run.n;
        struct writing w = {c,
                            0,
                            0,
                            run.scale * unit * cos_turn,
                            run.scale * unit * sin_turn,
                            font_pen * unit * sqrt(run.scale)};

        while (p < end) {
            int32_t letter = utf8_next(&p, end);
            double advance = run.scale * unit * font_advance(letter);

            w.x = x + run.rise * size * sin_turn;
            w.y = y - run.rise * size * cos_turn;
            font_draw(letter, write_stroke, &w);
            x += advance * cos_turn;
            y += advance * sin_turn;
        }
    }
}

/* ---- Scenes ---- */

/* xy: the mark's points in pixels; work: room for as many numbers. */
static void draw_mark(struct canvas *c, const struct mark *m, const double *xy, double scale,
                      double *work)
{
    const struct box clip = {m->clip.left * scale, m->clip.top * scale, m->clip.right * scale,
                             m->clip.bottom * scale};

    canvas_open(c, &clip);
    switch (m->kind) {
    case MARK_LINE:
        mask_line(c, xy, m->n, m->style.size * scale, m->style.dash * scale);
        break;
    case MARK_AREA:
        mask_area(c, xy, m->n, work);
        break;
    case MARK_DOTS:
        for (int64_t i = 0; i < m->n; i++)
            if (is_finite(xy + 2 * i))
                mask_piece(c, xy + 2 * i, xy + 2 * i, m->style.size * scale);
        break;
    case MARK_IMAGE:
        draw_image(c, m, xy);
        return;
    case MARK_TEXT:
        mask_text(c, &m->style, xy[0], xy[1], scale, m->text);
        break;
    case MARK_ARROWS:
        MUST(false, "arrows are drawn by who knows the page: figure.c");
    }
    canvas_close(c, m->style.colour, m->style.opacity);
}

enum status raster_draw(struct image *out, const struct scene *s, double scale, struct error *err)
{
    struct canvas c = {.im = out};
    double *xy = NULL, *work = NULL;
    enum status st;

    *out = (struct image){0};
    if (!(scale >= 0.25 && scale <= 8) || s->width * scale > IMAGE_SIDE ||
        s->height * scale > IMAGE_SIDE)
        return fail(err, E_ARG, "a picture of %g x %g points at %g pixels a point", s->width,
                    s->height, scale);
    if ((st = scene_check(s, err)) ||
        (st = image_init(out, (int64_t)ceil(s->height * scale), (int64_t)ceil(s->width * scale), 3,
                         err)) ||
        (st = mem_new((void **)&c.mask, (uint64_t)out->height * (uint64_t)out->width,
                      sizeof(*c.mask), "a picture's mask", err)) ||
        (st = mem_new((void **)&xy, 2 * (uint64_t)s->n_points, sizeof(*xy), "points", err)) ||
        (st = mem_new((void **)&work, (uint64_t)s->n_points, sizeof(*work), "points", err)))
        goto out;
    memset(out->pixels, 255, (size_t)(out->height * out->width * 3));
    for (int64_t i = 0; i < 2 * s->n_points; i++)
        xy[i] = s->xy[i] * scale;
    for (int64_t i = 0; i < s->n; i++)
        draw_mark(&c, &s->marks[i], xy + 2 * s->marks[i].first, scale, work);
out:
    if (st)
        image_release(out);
    free(c.mask);
    free(xy);
    free(work);
    return st;
}

enum status raster_text(struct image *im, double x, double y, double size, struct colour colour,
                        const char *text, struct error *err)
{
    const struct box all = {0, 0, (double)im->width, (double)im->height};
    const struct mark_style style = {.colour = colour, .opacity = 1, .size = size};
    struct canvas c = {.im = im};
    enum status st;

    MUST(im->channels == 3, "text on a picture of %lld channels", (long long)im->channels);
    if ((st = mem_new((void **)&c.mask, (uint64_t)im->height * (uint64_t)im->width, sizeof(*c.mask),
                      "a picture's mask", err)))
        return st;
    canvas_open(&c, &all);
    mask_text(&c, &style, x, y, 1, text);
    canvas_close(&c, colour, 1);
    free(c.mask);
    return OK;
}
