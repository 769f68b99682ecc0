/*
 * grid_sheet.c - the sheet of `imgen grid`
 *
 * What changes stands beside its pictures, and what holds everywhere below them, so that the sheet
 * explains itself wherever it is shown.
 */
#include "grid.h"

#include "canvas.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = 20,
    GAP = 2,
    CELL_GAP = 12,
    TEXT = 2,
    TEXT_HEIGHT = 7 * TEXT,
    INK = 40,
    PICTURE_WIDTH = 64, /* about so wide is a picture drawn ... */
    SHEET_WIDTH = 1600, /* ... unless the sheet gets wider      */
    FOOT_LINES = 8,
    FOOT_LINE = 512,
};

struct layout {
    int64_t zoom, width, height; /* of a picture as drawn       */
    int64_t cell, pitch;         /* width of a cell; of a column */
    int64_t left, top;           /* of the first cell            */
    int64_t sheet_width, sheet_height;
    char foot[FOOT_LINES][FOOT_LINE];
    int n_foot;
};

static const struct grid_cell *cell_at(const struct grid *g, int column, int row)
{
    return &g->cells[row * g->x.n + column];
}

static int64_t widest(const struct grid *g, const struct grid_axis *a, bool across)
{
    char text[GRID_CAPTION];
    int64_t most = 0, w;

    for (int i = 0; a->kind && i < a->n; i++) {
        a->kind->caption(text, cell_at(g, across ? i : 0, across ? 0 : i), &g->models);
        w = canvas_text_width(text, TEXT);
        most = w > most ? w : most;
    }
    return most;
}

static int64_t choose_zoom(const struct grid *g)
{
    int64_t width = g->models.info.width, zoom = (PICTURE_WIDTH + width / 2) / width;

    if (g->options->zoom)
        return g->options->zoom;
    while (zoom > 1 && zoom * width * g->count * g->x.n > SHEET_WIDTH)
        zoom--;
    return zoom > 1 ? zoom : 1;
}

/* Parts follow each other on a line while they fit into the width. */
static void add_foot(struct layout *l, const char *part)
{
    char joined[FOOT_LINE], *line = l->foot[l->n_foot ? l->n_foot - 1 : 0];

    snprintf(joined, sizeof joined, "%.400s%s%.80s", line, *line ? ", " : "", part);
    if (!l->n_foot ||
        (canvas_text_width(joined, TEXT) > l->sheet_width - 2 * MARGIN && l->n_foot < FOOT_LINES))
        snprintf(l->foot[l->n_foot++], FOOT_LINE, "%s", part);
    else
        memcpy(line, joined, sizeof joined);
}

/* What holds everywhere, model first. */
static void fill_foot(struct layout *l, const struct grid *g)
{
    const struct grid_axis_kind *kind;
    char text[GRID_CAPTION];

    add_foot(l, g->models.name[0]);
    for (int i = 0; (kind = grid_axis_kind_at(i)); i++) {
        if (kind == g->x.kind || kind == g->y.kind || !kind->other)
            continue;
        if ((!strcmp(kind->name, "label") && !g->models.info.n_labels) ||
            (!strcmp(kind->name, "prompt") && !g->models.info.text_bytes) ||
            (!strcmp(kind->name, "strength") && !g->models.has_init))
            continue;
        if (!strcmp(kind->name, "seed") && g->count > 1)
            snprintf(text, sizeof text, "seeds %" PRIu64 " to %" PRIu64, g->plain.seed,
                     g->plain.seed + (uint64_t)g->count - 1);
        else
            kind->caption(text, &g->plain, &g->models);
        add_foot(l, text);
    }
    if (g->models.guide) {
        snprintf(text, sizeof text, "guide %.40s, %s label", g->models.guide_name,
                 g->options->guide.label ? "same" : "no");
        add_foot(l, text);
    }
    for (int i = 0; i < g->options->numbers.n; i++)
        add_foot(l, g->options->numbers.at[i]);
}

static struct layout layout_of(const struct grid *g)
{
    const struct imgen_model_info *info = &g->models.info;
    int64_t captions = widest(g, &g->x, true), rows_wide = widest(g, &g->y, false);
    struct layout l = {.zoom = choose_zoom(g)};

    l.width = l.zoom * info->width;
    l.height = l.zoom * info->height;
    l.cell = g->count * (l.width + GAP) - GAP;
    l.pitch = (captions > l.cell ? captions : l.cell) + CELL_GAP;
    l.left = MARGIN + (rows_wide ? rows_wide + CELL_GAP : 0);
    l.top = MARGIN + (captions ? 2 * TEXT_HEIGHT : 0);
    l.sheet_width = l.left + g->x.n * l.pitch - CELL_GAP + MARGIN;
    fill_foot(&l, g);
    for (int i = 0; i < l.n_foot; i++)
        if (canvas_text_width(l.foot[i], TEXT) > l.sheet_width - 2 * MARGIN)
            l.sheet_width = canvas_text_width(l.foot[i], TEXT) + 2 * MARGIN;
    l.sheet_height = l.top + g->y.n * (l.height + CELL_GAP) + TEXT_HEIGHT +
                     l.n_foot * (3 * TEXT_HEIGHT / 2) + MARGIN - TEXT_HEIGHT / 2;
    return l;
}

static void draw_cell(struct canvas *c, const struct layout *l, const struct grid *g, int column,
                      int row, int64_t frame)
{
    const struct imgen_model_info *info = &g->models.info;
    int64_t each = g->frames * g->length;
    const float *x = g->pixels + (row * (int64_t)g->x.n + column) * g->count * each;
    int64_t left = l->left + column * l->pitch + (l->pitch - CELL_GAP - l->cell) / 2;

    for (int64_t i = 0; i < g->count; i++)
        canvas_picture(c, left + i * (l->width + GAP), l->top + row * (l->height + CELL_GAP),
                       x + i * each + frame * g->length, info->height, info->width, info->channels,
                       l->zoom);
}

/* Where every clip is at this frame. */
static void draw_cells(struct canvas *c, const struct layout *l, const struct grid *g,
                       int64_t frame)
{
    for (int j = 0; j < g->y.n; j++)
        for (int i = 0; i < g->x.n; i++)
            draw_cell(c, l, g, i, j, frame);
}

static void draw_words(struct canvas *c, const struct layout *l, const struct grid *g)
{
    char text[GRID_CAPTION];

    for (int i = 0; g->x.kind && i < g->x.n; i++) {
        int64_t centre = l->left + i * l->pitch + (l->pitch - CELL_GAP) / 2;

        g->x.kind->caption(text, cell_at(g, i, 0), &g->models);
        canvas_text(c, centre - canvas_text_width(text, TEXT) / 2, MARGIN, TEXT, INK, text);
    }
    for (int j = 0; g->y.kind && j < g->y.n; j++) {
        g->y.kind->caption(text, cell_at(g, 0, j), &g->models);
        canvas_text(c, MARGIN, l->top + j * (l->height + CELL_GAP) + (l->height - TEXT_HEIGHT) / 2,
                    TEXT, INK, text);
    }
    for (int i = 0; i < l->n_foot; i++)
        canvas_text(c, MARGIN,
                    l->top + g->y.n * (l->height + CELL_GAP) + TEXT_HEIGHT +
                        i * (3 * TEXT_HEIGHT / 2),
                    TEXT, 2 * INK, l->foot[i]);
}

static int write_picture(struct canvas *c, const struct layout *l, const struct grid *g)
{
    const struct imgen_image image = {c->height, c->width, 3, c->pixels};
    struct imgen_error err;

    draw_cells(c, l, g, 0);
    return imgen_image_write(g->options->output, &image, &err) ? command_failed(&command_grid, &err)
                                                               : EXIT_DONE;
}

/* The sheet once for each frame. */
static int write_clip(struct canvas *c, const struct layout *l, const struct grid *g)
{
    size_t each = (size_t)(c->height * c->width * 3);
    uint8_t *pixels = calloc((size_t)g->frames, each);
    struct imgen_clip clip = {.frames = g->frames,
                              .height = c->height,
                              .width = c->width,
                              .channels = 3,
                              .rate = g->options->rate,
                              .pixels = pixels};
    struct imgen_error err;
    int code = EXIT_DONE;

    if (!pixels)
        return command_broken(&command_grid, "no memory for %s", g->options->output);
    for (int64_t t = 0; t < g->frames; t++) {
        draw_cells(c, l, g, t);
        memcpy(pixels + (size_t)t * each, c->pixels, each);
    }
    if (imgen_clip_write(g->options->output, &clip, NULL, &err))
        code = command_failed(&command_grid, &err);
    free(pixels);
    return code;
}

int grid_write_sheet(const struct grid *g)
{
    struct layout l = layout_of(g);
    struct canvas canvas;
    int code;

    if (!canvas_init(&canvas, l.sheet_width, l.sheet_height))
        return command_broken(&command_grid, "no memory for %s", g->options->output);
    draw_words(&canvas, &l, g);
    code = g->frames > 1 ? write_clip(&canvas, &l, g) : write_picture(&canvas, &l, g);
    canvas_release(&canvas);
    return code;
}
