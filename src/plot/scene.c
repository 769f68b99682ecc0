/*
 * scene.c - a picture as a list of marks, not yet drawn
 *
 * SVG and PNG must show the same picture, so what is in it is decided once, here, and each back end
 * only draws.  All points of all marks stand in one array: a field of a thousand arrows is one mark
 * and one growth of memory.  Whoever plots need not ask after every line whether there was memory;
 * the scene remembers the first lack, and whoever wants the picture hears of it.
 */
#include "plot/scene.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void scene_init(struct scene *s, double width, double height)
{
    *s = (struct scene){.width = width, .height = height, .clip = {0, 0, width, height}};
}

void scene_release(struct scene *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        free(s->marks[i].text);
        free(s->marks[i].pixels);
    }
    free(s->marks);
    free(s->xy);
    memset(s, 0, sizeof(*s));
}

enum status scene_check(const struct scene *s, struct error *err)
{
    if (s->failed)
        return fail(err, E_MEMORY, "no memory for a picture of more than %lld marks",
                    (long long)s->n);
    return OK;
}

/* A mark with its points, or NULL. */
static struct mark *append(struct scene *s, enum mark_kind kind, const struct mark_style *style,
                           const double *xy, int64_t n)
{
    struct mark *m;

    if (s->failed || mem_grow((void **)&s->marks, &s->room, s->n + 1, sizeof(*s->marks), NULL) ||
        mem_grow((void **)&s->xy, &s->point_room, 2 * (s->n_points + n), sizeof(*s->xy), NULL)) {
        s->failed = true;
        return NULL;
    }
    m = &s->marks[s->n++];
    *m = (struct mark){.kind = kind, .clip = s->clip, .first = s->n_points, .n = n};
    if (style)
        m->style = *style;
    if (n)
        memcpy(s->xy + 2 * s->n_points, xy, 2 * (size_t)n * sizeof(*xy));
    s->n_points += n;
    return m;
}

void scene_points(struct scene *s, enum mark_kind kind, const struct mark_style *style,
                  const double *xy, int64_t n)
{
    append(s, kind, style, xy, n);
}

void scene_line(struct scene *s, const struct mark_style *style, double x0, double y0, double x1,
                double y1)
{
    append(s, MARK_LINE, style, (const double[]){x0, y0, x1, y1}, 2);
}

void scene_rectangle(struct scene *s, const struct mark_style *style, const struct box *b)
{
    const double corners[] = {b->left,  b->top,    b->right, b->top,
                              b->right, b->bottom, b->left,  b->bottom};

    append(s, MARK_AREA, style, corners, 4);
}

void scene_text(struct scene *s, const struct mark_style *style, double x, double y,
                const char *text)
{
    struct mark *m = append(s, MARK_TEXT, style, (const double[]){x, y}, 1);

    if (m && mem_text(&m->text, text, NULL))
        s->failed = true;
}

void scene_image(struct scene *s, const struct box *b, const uint8_t *pixels, int64_t rows,
                 int64_t columns)
{
    const double corners[] = {b->left, b->top, b->right, b->bottom};
    struct mark *m = append(s, MARK_IMAGE, NULL, corners, 2);
    uint64_t bytes = (uint64_t)rows * (uint64_t)columns * 3;

    if (!m)
        return;
    m->rows = rows;
    m->columns = columns;
    if (mem_new((void **)&m->pixels, bytes, 1, "an image in a picture", NULL))
        s->failed = true;
    else
        memcpy(m->pixels, pixels, bytes);
}
