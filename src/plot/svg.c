/*
 * svg.c - a scene as scalable vector graphics
 *
 * The document is for papers and browsers alike: SVG 1.1, no scripts, no style sheets, nothing
 * fetched from elsewhere.  Words stay words, so they can be searched, and an editor can change
 * them; sub- and superscripts are moved by dy, which every renderer knows, where baseline-shift is
 * not understood by all.  Heat maps travel inside as PNG in base64.
 *
 * Numbers have two decimals, a hundredth of a point, and are printed without asking the locale.
 * Fewer bytes matter here: a figure may hold ten thousand dots.
 */
#include "plot/svg.h"

#include "io/codec.h"
#include "plot/font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Numbers and texts ---- */

/* Hundredths, rounded half away from zero, without trailing zeros: "-0.5" as "-.5". */
static void put_number(struct text *out, double x)
{
    long long v = llround(x * 100);

    if (v < 0)
        text_add(out, "-");
    v = v < 0 ? -v : v;
    if (v >= 100 || v == 0)
        text_add(out, "%lld", v / 100);
    if (v % 100)
        text_add(out, v % 10 ? ".%02lld" : ".%lld", v % 10 ? v % 100 : v % 100 / 10);
}

static void put_attribute(struct text *out, const char *name, double x)
{
    text_add(out, " %s=\"", name);
    put_number(out, x);
    text_add(out, "\"");
}

static void put_colour(struct text *out, const char *name, struct colour c)
{
    text_add(out, " %s=\"#%02x%02x%02x\"", name, c.r, c.g, c.b);
}

/* What XML keeps for itself, and the control characters that it has no way to say. */
static void put_letters(struct text *out, const char *s, int n)
{
    for (int i = 0; i < n; i++)
        switch (s[i]) {
        case '&':
            text_add(out, "&amp;");
            break;
        case '<':
            text_add(out, "&lt;");
            break;
        case '>':
            text_add(out, "&gt;");
            break;
        case '"':
            text_add(out, "&quot;");
            break;
        default:
            text_add(out, "%c", (unsigned char)s[i] < ' ' ? ' ' : s[i]);
        }
}

static void put_base64(struct text *out, const uint8_t *bytes, int64_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (int64_t i = 0; i < n; i += 3) {
        int left = n - i < 3 ? (int)(n - i) : 3;
        unsigned v = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                     (left > 2 ? bytes[i + 2] : 0);
        char four[4] = {digit[v >> 18], digit[v >> 12 & 63], left > 1 ? digit[v >> 6 & 63] : '=',
                        left > 2 ? digit[v & 63] : '='};

        text_add_bytes(out, four, 4);
    }
}

/* ---- Marks ---- */

static void put_opacity(struct text *out, const struct mark_style *style)
{
    if (style->opacity < 1)
        put_attribute(out, "opacity", style->opacity);
}

/* " x y" with the command before it, absolute. */
static void put_place(struct text *out, const char *command, const double *at)
{
    text_add(out, "%s", command);
    put_number(out, at[0]);
    text_add(out, " ");
    put_number(out, at[1]);
}

static void put_stroke(struct text *out, const struct mark_style *style)
{
    text_add(out, " fill=\"none\" stroke-linecap=\"%s\" stroke-linejoin=\"round\"",
             style->dash > 0 ? "butt" : "round");
    put_colour(out, "stroke", style->colour);
    put_attribute(out, "stroke-width", style->size);
    put_opacity(out, style);
    if (style->dash > 0)
        put_attribute(out, "stroke-dasharray", style->dash);
}

static void put_line(struct text *out, const struct mark *m, const double *xy)
{
    bool down = false;

    text_add(out, "<path d=\"");
    for (int64_t i = 0; i < m->n; i++) {
        const double *at = xy + 2 * i;
        bool there = isfinite(at[0]) && isfinite(at[1]);

        if (there)
            put_place(out, down ? "L" : "M", at);
        down = there;
    }
    text_add(out, "\"");
    put_stroke(out, &m->style);
    text_add(out, "/>\n");
}

static void put_area(struct text *out, const struct mark *m, const double *xy)
{
    text_add(out, "<path d=\"");
    for (int64_t i = 0; i < m->n; i++)
        put_place(out, i ? "L" : "M", xy + 2 * i);
    text_add(out, "Z\"");
    put_colour(out, "fill", m->style.colour);
    put_opacity(out, &m->style);
    text_add(out, "/>\n");
}

/* Dots of one mark are strokes of no length with round ends: the shortest way to say a disc. */
static void put_dots(struct text *out, const struct mark *m, const double *xy)
{
    struct mark_style pen = m->style;

    text_add(out, "<path d=\"");
    for (int64_t i = 0; i < m->n; i++)
        if (isfinite(xy[2 * i]) && isfinite(xy[2 * i + 1])) {
            put_place(out, "M", xy + 2 * i);
            text_add(out, "h0");
        }
    text_add(out, "\"");
    pen.size = 2 * pen.size;
    pen.dash = 0;
    put_stroke(out, &pen);
    text_add(out, "/>\n");
}

static enum status put_image(struct text *out, const struct mark *m, const double *xy,
                             struct error *err)
{
    const struct image image = {m->rows, m->columns, 3, m->pixels};
    struct byte_buffer png = {0};
    enum status st;

    if (!(st = png_encode(&png, &image, NULL, 0, err))) {
        text_add(out, "<image preserveAspectRatio=\"none\"");
        put_attribute(out, "x", xy[0]);
        put_attribute(out, "y", xy[1]);
        put_attribute(out, "width", xy[2] - xy[0]);
        put_attribute(out, "height", xy[3] - xy[1]);
        text_add(out, " xlink:href=\"data:image/png;base64,");
        put_base64(out, png.bytes, png.n);
        text_add(out, "\"/>\n");
    }
    free(png.bytes);
    return st;
}

static void put_text(struct text *out, const struct mark *m, const double *xy)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    const char *s = m->text;
    struct font_run run;
    double risen = 0;

    text_add(out, "<text");
    if (m->style.turn != 0) {
        text_add(out, " transform=\"translate(");
        put_number(out, xy[0]);
        text_add(out, " ");
        put_number(out, xy[1]);
        text_add(out, ") rotate(-90)\"");
    } else {
        put_attribute(out, "x", xy[0]);
        put_attribute(out, "y", xy[1]);
    }
    put_attribute(out, "font-size", m->style.size);
    if (m->style.anchor != ANCHOR_START)
        text_add(out, " text-anchor=\"%s\"", anchors[m->style.anchor]);
    put_colour(out, "fill", m->style.colour);
    put_opacity(out, &m->style);
    text_add(out, ">");
    while (font_next_run(&run, &s)) {
        double dy = (risen - run.rise) * m->style.size;

        if (run.scale != 1 || dy != 0) {
            text_add(out, "<tspan");
            put_attribute(out, "dy", dy);
            put_attribute(out, "font-size", run.scale * m->style.size);
            text_add(out, ">");
        }
        put_letters(out, run.text, run.n);
        if (run.scale != 1 || dy != 0)
            text_add(out, "</tspan>");
        risen = run.rise;
    }
    text_add(out, "</text>\n");
}

static enum status put_mark(struct text *out, const struct scene *s, const struct mark *m,
                            struct error *err)
{
    const double *xy = s->xy + 2 * m->first;

    switch (m->kind) {
    case MARK_LINE:
        put_line(out, m, xy);
        return OK;
    case MARK_AREA:
        put_area(out, m, xy);
        return OK;
    case MARK_DOTS:
        put_dots(out, m, xy);
        return OK;
    case MARK_IMAGE:
        return put_image(out, m, xy, err);
    case MARK_TEXT:
        put_text(out, m, xy);
        return OK;
    case MARK_ARROWS:
        break;
    }
    MUST(false, "arrows are drawn by who knows the page: figure.c");
    return OK;
}

/* ---- The document ---- */

static bool same_box(const struct box *a, const struct box *b)
{
    return a->left == b->left && a->top == b->top && a->right == b->right && a->bottom == b->bottom;
}

/* Neighbours with one clip share one group; a clip is named by the first mark that has it. */
static void put_clip(struct text *out, const struct mark *m, int64_t number)
{
    text_add(out, "<clipPath id=\"c%lld\"><rect", (long long)number);
    put_attribute(out, "x", m->clip.left);
    put_attribute(out, "y", m->clip.top);
    put_attribute(out, "width", m->clip.right - m->clip.left);
    put_attribute(out, "height", m->clip.bottom - m->clip.top);
    text_add(out, "/></clipPath>\n<g clip-path=\"url(#c%lld)\">\n", (long long)number);
}

static void put_head(struct text *out, const struct scene *s, const char *title, const char *about)
{
    text_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" "
                  "xmlns:xlink=\"http://www.w3.org/1999/xlink\" version=\"1.1\"");
    put_attribute(out, "width", s->width);
    put_attribute(out, "height", s->height);
    text_add(out, " viewBox=\"0 0 ");
    put_number(out, s->width);
    text_add(out, " ");
    put_number(out, s->height);
    text_add(out, "\" font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', "
                  "sans-serif\">\n<title>");
    put_letters(out, title, (int)strlen(title));
    text_add(out, "</title>\n");
    if (about) {
        text_add(out, "<desc>");
        put_letters(out, about, (int)strlen(about));
        text_add(out, "</desc>\n");
    }
    text_add(out, "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
}

enum status svg_write(struct text *out, const struct scene *s, const char *title, const char *about,
                      struct error *err)
{
    const struct box page = {0, 0, s->width, s->height};
    struct box open = page;
    enum status st = scene_check(s, err);

    put_head(out, s, title, about);
    for (int64_t i = 0; i < s->n && !st; i++) {
        const struct mark *m = &s->marks[i];

        if (!same_box(&m->clip, &open)) {
            if (!same_box(&open, &page))
                text_add(out, "</g>\n");
            if (!same_box(&m->clip, &page))
                put_clip(out, m, i);
            open = m->clip;
        }
        st = put_mark(out, s, m, err);
    }
    text_add(out, "%s</svg>\n", same_box(&open, &page) ? "" : "</g>\n");
    if (!st && out->cut)
        st = fail(err, E_MEMORY, "no memory for an SVG of more than %zu bytes", out->used);
    return st;
}
