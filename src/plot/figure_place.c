/*
 * figure_place.c - panels with axes, titles and a key: where everything stands
 *
 * Labels that run into each other are the commonest fault of plots made by programs, and it comes
 * from placing things before it is known how large they are.  So panels only collect marks in their
 * own coordinates, and the page is laid out at the end from the widths of the very labels that will
 * stand on it:
 *
 *     | title                                     |
 *     | numbers | panel | gap, numbers | panel |  |   a row: the height of its panels, above them a
 *     |           numbers                         |   title, below them numbers and the axis' label
 *     |           label                           |
 *     | key: centred, as many lines as it needs   |
 *
 * The key stands below all panels, where it can cover no data.
 */
#include "plot/figure_parts.h"

#include "base/memory.h"
#include "plot/font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sizes in points. */
static const double title_size = 13, panel_title_size = 11, label_size = 10.5, number_size = 9.5;
static const double margin = 12, gap = 14, tick_length = 3.5, tick_gap = 3;

/* ---- Placing the panels ---- */

static double widest_number(const struct tick *ticks, int n)
{
    double widest = 0;

    for (int i = 0; i < n; i++)
        widest = fmax(widest, font_width(ticks[i].label) * number_size);
    return widest;
}

static int room_for(double points, double each)
{
    return (int)fmax(2, floor(points / each));
}

/* As many numbers as stand apart under the panel. */
static int x_ticks_fitting(struct panel *p, double width)
{
    int about = room_for(width, 24), n;

    do
        n = ticks_make(p->x_ticks, p->x.lo, p->x.hi, p->x.logarithmic, about);
    while (--about > 1 && n * (widest_number(p->x_ticks, n) + 14) > width);
    return n;
}

static void panel_ticks(struct panel *p, double width)
{
    p->n_y = ticks_make(p->y_ticks, p->y.lo, p->y.hi, p->y.logarithmic, room_for(p->height, 28));
    p->n_x = x_ticks_fitting(p, width);
    p->left_room = 0;
    if (!p->y.bare) {
        p->left_room = tick_length + tick_gap + widest_number(p->y_ticks, p->n_y);
        if (p->y.label)
            p->left_room += label_size + 5;
    }
}

static int row_count(const struct figure *f, int row)
{
    int n = 0;

    for (int64_t i = 0; i < f->n; i++)
        n += f->panels[i]->row == row;
    return n;
}

/* What a panel needs between its frame and the one before it, the same in all rows of as many
 * panels so that their columns are in line. */
static double room_before(const struct figure *f, const struct panel *p)
{
    double room = 0;

    for (int64_t i = 0; i < f->n; i++) {
        const struct panel *q = f->panels[i];
        double numbers = q->x.bare ? 0 : widest_number(q->x_ticks, q->n_x) + 6;

        if (q->column == p->column && row_count(f, q->row) == row_count(f, p->row))
            room = fmax(room, fmax(gap + q->left_room, numbers));
    }
    return room;
}

static double room_below(const struct panel *p)
{
    double room = 0;

    if (!p->x.bare)
        room = tick_length + tick_gap + number_size + (p->x.label ? label_size + 4 : 0);
    return room;
}

/* What stands left of the first panel, the same in all rows so that their frames are in line. */
static double first_room(const struct figure *f)
{
    double room = 0;

    for (int64_t i = 0; i < f->n; i++)
        if (!i || f->panels[i]->row != f->panels[i - 1]->row)
            room = fmax(room, f->panels[i]->left_room);
    return room;
}

/* From the left of the first frame to the right of the last; elastic: how many have no width yet.
 */
static double row_width(const struct figure *f, int row, int *elastic)
{
    double width = 0;
    bool first = true;

    *elastic = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const struct panel *p = f->panels[i];

        if (p->row != row)
            continue;
        width += p->width + (first ? 0 : room_before(f, p));
        *elastic += p->width <= 0;
        first = false;
    }
    return width;
}

/* Give the elastic panels their widths and everyone its ticks; returns the widest row. */
static double find_widths(struct figure *f)
{
    double widest = 0;
    int elastic;

    for (int64_t i = 0; i < f->n; i++)
        panel_ticks(f->panels[i], f->panels[i]->width > 0 ? f->panels[i]->width : 200);
    for (int row = 0; row < (int)f->rows; row++) {
        double width = row_width(f, row, &elastic);

        widest = fmax(widest, width + elastic * 120);
    }
    for (int row = 0; row < (int)f->rows; row++) {
        double width = row_width(f, row, &elastic);

        for (int64_t i = 0; i < f->n; i++)
            if (f->panels[i]->row == row && f->panels[i]->width <= 0) {
                f->panels[i]->width = (widest - width) / elastic;
                panel_ticks(f->panels[i], f->panels[i]->width);
            }
    }
    return widest;
}

static void find_frames(struct figure *f, double top)
{
    double first = margin + first_room(f);

    for (int row = 0; row < (int)f->rows; row++) {
        double left = first, below = 0, above = 0;
        bool begun = false;

        for (int64_t i = 0; i < f->n; i++) {
            struct panel *p = f->panels[i];

            if (p->row != row)
                continue;
            left += begun ? room_before(f, p) : 0;
            p->frame = (struct box){left, 0, left + p->width, 0};
            left += p->width;
            below = fmax(below, room_below(p));
            above = fmax(above, *p->title ? panel_title_size + 6 : 6);
            begun = true;
        }
        top += above;
        for (int64_t i = 0; i < f->n; i++)
            if (f->panels[i]->row == row) {
                f->panels[i]->frame.top = top;
                f->panels[i]->frame.bottom = top + f->heights[row];
            }
        top += f->heights[row] + below + 8;
    }
}

/* ---- Drawing a panel ---- */

static double along(const struct axis *a, double v, double from, double to)
{
    double s =
        a->logarithmic ? log10(v / a->lo) / log10(a->hi / a->lo) : (v - a->lo) / (a->hi - a->lo);

    return from + s * (to - from);
}

static void to_page(const struct panel *p, double *xy)
{
    xy[0] = along(&p->x, xy[0], p->frame.left, p->frame.right);
    xy[1] = along(&p->y, xy[1], p->frame.bottom, p->frame.top);
}

/* Two barbs back from the tip, as strokes of the same line. */
static void draw_arrows(struct scene *s, const struct mark_style *style, const double *xy,
                        int64_t n)
{
    enum { POINTS = 7 };
    double *line;
    int64_t used = 0;

    if (mem_new((void **)&line, (uint64_t)n, POINTS * sizeof(*line), "arrows", NULL)) {
        s->failed = true;
        return;
    }
    for (int64_t i = 0; i + 1 < n; i += 2) {
        const double *tail = xy + 2 * i, *tip = tail + 2;
        double dx = tip[0] - tail[0], dy = tip[1] - tail[1], length = sqrt(dx * dx + dy * dy);
        double barb = length > 0 ? fmin(2.6 * style->size + 1, 0.5 * length) / length : 0;
        const double points[2 * POINTS] = {
            tail[0],
            tail[1],
            tip[0],
            tip[1],
            (double)NAN,
            (double)NAN,
            tip[0] - barb * (dx + 0.6 * dy),
            tip[1] - barb * (dy - 0.6 * dx),
            tip[0],
            tip[1],
            tip[0] - barb * (dx - 0.6 * dy),
            tip[1] - barb * (dy + 0.6 * dx),
            (double)NAN,
            (double)NAN,
        };

        memcpy(line + 2 * used, points, sizeof points);
        used += POINTS;
    }
    scene_points(s, MARK_LINE, style, line, used);
    free(line);
}

static void draw_mark(struct scene *s, const struct panel *p, const struct mark *m)
{
    double *xy;

    if (mem_new((void **)&xy, 2 * (uint64_t)m->n, sizeof(*xy), "points", NULL)) {
        s->failed = true;
        return;
    }
    memcpy(xy, p->marks.xy + 2 * m->first, 2 * (size_t)m->n * sizeof(*xy));
    for (int64_t i = 0; i < m->n; i++)
        to_page(p, xy + 2 * i);
    if (m->kind == MARK_TEXT)
        scene_text(s, &m->style, xy[0], xy[1], m->text);
    else if (m->kind == MARK_IMAGE)
        scene_image(s, &(struct box){xy[0], xy[1], xy[2], xy[3]}, m->pixels, m->rows, m->columns);
    else if (m->kind == MARK_ARROWS)
        draw_arrows(s, &m->style, xy, m->n);
    else
        scene_points(s, m->kind, &m->style, xy, m->n);
    free(xy);
}

static struct mark_style pen(struct colour colour, double width)
{
    return (struct mark_style){.colour = colour, .opacity = 1, .size = width};
}

static struct mark_style letters(double size, enum anchor anchor)
{
    return (struct mark_style){.colour = colour_ink, .opacity = 1, .size = size, .anchor = anchor};
}

/* Half the height of digits, to stand in the middle of something. */
static double half_digit(double size)
{
    return 0.5 * FONT_CAPITAL / FONT_UNITS * size;
}

static void draw_x(struct scene *s, const struct panel *p)
{
    const struct mark_style tick = pen(colour_faint, 0.8),
                            grid = pen((struct colour){228, 228, 228}, 0.8);
    const struct mark_style number = letters(number_size, ANCHOR_MIDDLE),
                            label = letters(label_size, ANCHOR_MIDDLE);
    double y = p->frame.bottom;

    for (int i = 0; i < p->n_x; i++) {
        double x = along(&p->x, p->x_ticks[i].at, p->frame.left, p->frame.right);

        if (p->x.grid)
            scene_line(s, &grid, x, p->frame.top, x, y);
        scene_line(s, &tick, x, y, x, y + (p->x.bare ? 0.6 : 1) * tick_length);
        if (!p->x.bare)
            scene_text(s, &number, x, y + tick_length + tick_gap + 2 * half_digit(number_size),
                       p->x_ticks[i].label);
    }
    if (p->x.label && !p->x.bare)
        scene_text(s, &label, 0.5 * (p->frame.left + p->frame.right),
                   y + tick_length + tick_gap + number_size + label_size, p->x.label);
}

static void draw_y(struct scene *s, const struct panel *p)
{
    const struct mark_style tick = pen(colour_faint, 0.8),
                            grid = pen((struct colour){228, 228, 228}, 0.8);
    const struct mark_style number = letters(number_size, ANCHOR_END);
    struct mark_style label = letters(label_size, ANCHOR_MIDDLE);
    double x = p->frame.left;

    label.turn = 90;
    for (int i = 0; i < p->n_y; i++) {
        double y = along(&p->y, p->y_ticks[i].at, p->frame.bottom, p->frame.top);

        if (p->y.grid)
            scene_line(s, &grid, x, y, p->frame.right, y);
        scene_line(s, &tick, x - (p->y.bare ? 0.6 : 1) * tick_length, y, x, y);
        if (!p->y.bare)
            scene_text(s, &number, x - tick_length - tick_gap, y + half_digit(number_size),
                       p->y_ticks[i].label);
    }
    if (p->y.label && !p->y.bare)
        scene_text(s, &label, x - p->left_room + label_size - 1.5,
                   0.5 * (p->frame.top + p->frame.bottom), p->y.label);
}

static void draw_panel(struct scene *s, const struct panel *p)
{
    const struct mark_style frame = pen(colour_faint, 0.8),
                            title = letters(panel_title_size, ANCHOR_MIDDLE);
    const struct box page = s->clip, *b = &p->frame;
    const double corners[] = {b->left,   b->top,  b->right,  b->top,  b->right,
                              b->bottom, b->left, b->bottom, b->left, b->top};

    s->failed = s->failed || p->marks.failed;
    draw_x(s, p);
    draw_y(s, p);
    s->clip = p->frame;
    for (int64_t i = 0; i < p->marks.n; i++)
        draw_mark(s, p, &p->marks.marks[i]);
    s->clip = page;
    scene_points(s, MARK_LINE, &frame, corners, 5);
    scene_text(s, &title, 0.5 * (b->left + b->right), b->top - 5, p->title);
}

/* ---- The key ---- */

static const double swatch = 22, swatch_gap = 5, entry_gap = 16, key_line = 16, ramp = 80;

/* The reader of an SVG may have a face as much wider than font.c's. */
static const double widest_face = 1.13;

static double entry_width(const struct entry *e)
{
    return (e->of_amounts ? ramp : swatch) + swatch_gap +
           widest_face * font_width(e->label) * label_size;
}

/* How many entries from `first` on fit a line, at least one; their width. */
static int64_t key_fits(const struct figure *f, int64_t first, double room, double *width)
{
    int64_t n = 0;

    *width = 0;
    while (first + n < f->n_keys) {
        double more = entry_width(&f->keys[first + n]) + (n ? entry_gap : 0);

        if (n && *width + more > room)
            break;
        *width += more;
        n++;
    }
    return n;
}

static int64_t key_lines(const struct figure *f, double room)
{
    int64_t lines = 0;
    double width;

    for (int64_t first = 0; first < f->n_keys; lines++)
        first += key_fits(f, first, room, &width);
    return lines;
}

/* The least width that takes no more lines than the whole page: lines of about equal length. */
static double key_room(const struct figure *f, double page)
{
    int64_t lines = key_lines(f, page);
    double lo = 0, hi = page;

    while (hi - lo > 1) {
        double middle = 0.5 * (lo + hi);

        if (key_lines(f, middle) <= lines)
            hi = middle;
        else
            lo = middle;
    }
    return hi;
}

static void draw_swatch(struct scene *s, const struct entry *e, double x, double y)
{
    struct mark_style style = e->style;

    switch (e->kind) {
    case MARK_DOTS:
        style.size = fmax(style.size, 2.2);
        style.opacity = 1;
        scene_points(s, MARK_DOTS, &style, (const double[]){x + swatch / 2, y}, 1);
        return;
    case MARK_AREA:
        scene_rectangle(s, &style, &(struct box){x, y - 4, x + swatch, y + 4});
        return;
    case MARK_ARROWS:
        draw_arrows(s, &style, (const double[]){x, y, x + swatch, y}, 2);
        return;
    default:
        style.size = fmax(style.size, 1.2);
        style.opacity = 1;
        scene_line(s, &style, x, y, x + swatch, y);
    }
}

static void draw_ramp(struct scene *s, double darkest, double x, double y)
{
    const struct box b = {x, y - 4, x + ramp, y + 4};
    const struct mark_style frame = pen(colour_faint, 0.6);
    struct colour table[FIGURE_AMOUNTS];
    const double corners[] = {b.left,   b.top,  b.right,  b.top,  b.right,
                              b.bottom, b.left, b.bottom, b.left, b.top};

    figure_amounts(table, darkest);
    scene_image(s, &b, &table[0].r, 1, FIGURE_AMOUNTS);
    scene_points(s, MARK_LINE, &frame, corners, 5);
}

static void draw_key(struct scene *s, const struct figure *f, double top)
{
    const struct mark_style label = letters(label_size, ANCHOR_START);
    double room = key_room(f, s->width - 2 * margin), width;

    for (int64_t first = 0, n; first < f->n_keys; first += n, top += key_line) {
        double x, y = top + key_line / 2;

        n = key_fits(f, first, room, &width);
        x = fmax(margin, 0.5 * (s->width - width));
        for (int64_t i = first; i < first + n; i++) {
            const struct entry *e = &f->keys[i];

            if (e->of_amounts)
                draw_ramp(s, e->darkest, x, y);
            else
                draw_swatch(s, e, x, y);
            scene_text(s, &label, x + (e->of_amounts ? ramp : swatch) + swatch_gap,
                       y + half_digit(label_size), e->label);
            x += entry_width(e) + entry_gap;
        }
    }
}

/* ---- The page ---- */

enum status figure_place(struct scene *s, struct figure *f, struct error *err)
{
    const struct mark_style title = letters(title_size, ANCHOR_START);
    double widest = find_widths(f), title_room = *f->title ? title_size + 6 : 0, width,
           bottom = margin, key;

    width = margin + first_room(f) + widest + margin + 8; /* half of a last number */
    width = fmax(width, 2 * margin + widest_face * font_width(f->title) * title_size);
    find_frames(f, margin + title_room - 2);
    for (int64_t i = 0; i < f->n; i++)
        bottom = fmax(bottom, f->panels[i]->frame.bottom + room_below(f->panels[i]));
    key = bottom + (f->n_keys ? 6 : 0);
    scene_init(s, ceil(width),
               ceil(key + (double)key_lines(f, ceil(width) - 2 * margin) * key_line + margin));
    s->failed = f->failed;
    scene_text(s, &title, margin, margin + title_size - 2, f->title);
    for (int64_t i = 0; i < f->n; i++)
        draw_panel(s, f->panels[i]);
    draw_key(s, f, key);
    return scene_check(s, err);
}
