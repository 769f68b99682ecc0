/*
 * cmd_grid.c - pictures along two axes, on one labelled sheet
 *
 * What a setting does is seen by changing it alone.  Each cell of the grid takes what its column
 * and its row say; all else, the noise above all, is the same everywhere: a picture is a function
 * of its own request, so along a row of guidance scales one sees one and the same picture being
 * pushed, and along a row of checkpoints one and the same picture being learned.
 *
 *                w = 0    w = 1    w = 3
 *     5 steps     []       []       []
 *     20 steps    []       []       []
 *     demo/model.safetensors, heun, seed 42, red star
 *
 * Cells that differ in their items only (guidance, label, seed) are made in one call.
 */
#include "canvas.h"
#include "cli.h"
#include "grid_axis.h"
#include "interrupt.h"
#include "json_out.h"
#include "picture_names.h"
#include "progress.h"
#include "solver_flags.h"
#include "units.h"

#include <inttypes.h>
#include <stddef.h>
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
    PICTURES_MAX = 100000,
};

struct grid_options {
    bool help;
    char *x, *y, *label, *seed, *cfg_scale, *steps, *sampling_method, *output, *autoencoder;
    struct guide_flags guide;
    struct imgen_text_list numbers;
    int64_t count, zoom, threads;
    bool json, quiet;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"x", "what changes from column to column", IMGEN_OPTION_TEXT, offsetof(struct grid_options, x),
     .letter = 'x', .value = "AXIS=V,V,..."},
    {"y", "what changes from row to row", IMGEN_OPTION_TEXT, offsetof(struct grid_options, y),
     .letter = 'y', .value = "AXIS=V,V,..."},
    {"label", "what to show; default: the model's first label", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, label), .letter = 'l', .value = "NAME"},
    {"seed", "of the noise, which all cells share; default: 42", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, seed), .letter = 's', .value = "N"},
    {"cfg_scale", "guidance scale; default: the model's", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, cfg_scale), .value = "W"},
    {"steps", "steps of the solver; default: the model's", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, steps), .value = "N"},
    {"sampling_method", "solver; default: the model's", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, sampling_method), .value = "NAME"},
    GUIDE_ROWS(offsetof(struct grid_options, guide)),
    AUTOENCODER_ROW(offsetof(struct grid_options, autoencoder)),
    NUMBER_ROW(offsetof(struct grid_options, numbers)),
    {"count", "pictures in each cell, of seed, seed + 1, ...", IMGEN_OPTION_INT,
     offsetof(struct grid_options, count), "1", .lo = 1, .hi = 64, .letter = 'n'},
    {"output", "the picture", IMGEN_OPTION_TEXT, offsetof(struct grid_options, output), "grid.png",
     .letter = 'o', .value = "NAME.png"},
    {"zoom", "draw each pixel so many times; 0: as fits", IMGEN_OPTION_INT,
     offsetof(struct grid_options, zoom), "0", .lo = 0, .hi = 64},
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,
     offsetof(struct grid_options, threads), "0", .lo = 0, .hi = 1024, .letter = 't'},
    {"json", "print the result as JSON", IMGEN_OPTION_BOOL, offsetof(struct grid_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct grid_options, quiet),
     .letter = 'q'},
    {0},
};

struct grid {
    const struct grid_options *options;
    struct grid_models models;
    struct grid_axis x, y;
    struct grid_cell plain;  /* what holds where no axis says otherwise */
    struct grid_cell *cells; /* [y.n, x.n]                              */
    int64_t n_cells, count, length;
    float *pixels; /* [n_cells, count, length] */
    int64_t done;  /* pictures finished        */
    struct progress progress;
};

/* ---- What is asked ---- */

/* The flag that fixes what an axis may vary. */
static const char *flag_of(const struct grid_options *o, const char *name)
{
    const char *const names[] = {"label", "seed", "cfg_scale", "steps", "sampling_method"};
    const char *const values[] = {o->label, o->seed, o->cfg_scale, o->steps, o->sampling_method};

    for (int i = 0; name && i < 5; i++)
        if (!strcmp(names[i], name))
            return values[i];
    return NULL;
}

static int read_axes(struct grid *g)
{
    const struct grid_options *o = g->options;
    int code;

    if (!o->x && !o->y)
        return command_misused(&command_grid, "which axes? --x guidance=0,1,3 --y steps=5,20");
    if ((code = grid_axis_read(&g->x, "x", o->x)) || (code = grid_axis_read(&g->y, "y", o->y)))
        return code;
    if (g->x.kind && g->x.kind == g->y.kind)
        return command_misused(&command_grid, "--x and --y are both %s", g->x.kind->name);
    return EXIT_DONE;
}

static int open_guide(struct grid *g)
{
    const struct guide_flags *f = &g->options->guide;

    if (!f->model && f->label)
        return command_misused(&command_grid,
                               "--guide-label: of which guide? Name it with --guide");
    return f->model ? grid_models_open_guide(&g->models, f->model) : EXIT_DONE;
}

static int read_plain(struct grid *g)
{
    const struct imgen_model_info *info = &g->models.info;
    const struct grid_axis_kind *kind;
    int code;

    g->plain = (struct grid_cell){
        .sampler = info->sampler,
        .steps = info->steps,
        .label = info->n_labels ? 0 : -1,
        .guidance = info->guided || g->models.guide ? info->cfg_scale : 1,
        .seed = 42,
    };
    for (int i = 0; (kind = grid_axis_kind_at(i)); i++) {
        const char *value = flag_of(g->options, kind->other);

        if (!value)
            continue;
        if (kind == g->x.kind || kind == g->y.kind)
            return command_misused(&command_grid, "%s stands on an axis and after a flag",
                                   kind->name);
        if ((code = kind->read(&g->plain, &g->models, value)))
            return code;
    }
    return EXIT_DONE;
}

/* Each value is read once: reading a checkpoint opens it. */
static int fill_cells(struct grid *g)
{
    struct grid_cell row, column[GRID_VALUES];
    int code;

    for (int i = 0; i < g->x.n; i++) {
        column[i] = g->plain;
        if ((code = grid_axis_apply(&column[i], &g->x, i, &g->models)))
            return code;
    }
    for (int j = 0; j < g->y.n; j++) {
        int before = g->models.n;

        row = g->plain;
        if ((code = grid_axis_apply(&row, &g->y, j, &g->models)))
            return code;
        for (int i = 0; i < g->x.n; i++) {
            struct grid_cell *c = &g->cells[j * g->x.n + i];

            *c = column[i];
            if (g->models.n > before)
                c->model = row.model;
            else if ((code = grid_axis_apply(c, &g->y, j, &g->models)))
                return code;
        }
    }
    return EXIT_DONE;
}

static int make_room(struct grid *g)
{
    const struct imgen_model_info *info = &g->models.info;

    g->count = g->options->count;
    g->n_cells = (int64_t)g->x.n * g->y.n;
    g->length = (int64_t)info->height * info->width * info->channels;
    if (info->channels != 1 && info->channels != 3)
        return command_misused(&command_grid, "pictures with %d channels cannot be drawn",
                               info->channels);
    if (g->n_cells * g->count > PICTURES_MAX)
        return command_misused(&command_grid, "%" PRId64 " pictures are more than %d",
                               g->n_cells * g->count, PICTURES_MAX);
    g->cells = calloc((size_t)g->n_cells, sizeof *g->cells);
    g->pixels = calloc((size_t)(g->n_cells * g->count), (size_t)g->length * sizeof *g->pixels);
    if (!g->cells || !g->pixels)
        return command_broken(&command_grid, "no memory for %" PRId64 " pictures",
                              g->n_cells * g->count);
    return EXIT_DONE;
}

/* ---- Sampling ---- */

static int on_progress(const struct imgen_progress *p, void *user)
{
    struct grid *g = user;
    double all = (double)(g->n_cells * g->count), took = seconds_now() - g->progress.began;
    double share = ((double)g->done + p->done * (double)p->n) / all;
    char left[UNITS_ROOM];

    if (progress_due(&g->progress, share >= 1))
        progress_say(&g->progress, "%.0f of %.0f pictures  %3.0f %%   ETA %s", share * all, all,
                     100 * share, units_seconds(left, took / share * (1 - share)));
    return !interrupt_asked();
}

static bool one_call(const struct grid_cell *a, const struct grid_cell *b)
{
    return a->model == b->model && a->steps == b->steps && a->sampler == b->sampler;
}

/* The cells that go with cell `first`, their items in order; returns how many cells. */
static int64_t collect(const struct grid *g, int64_t first, struct imgen_item *items, int64_t *cell)
{
    int64_t n = 0;

    for (int64_t k = first; k < g->n_cells; k++) {
        const struct grid_cell *c = &g->cells[k];

        if (!one_call(c, &g->cells[first]))
            continue;
        for (int64_t i = 0; i < g->count; i++)
            items[n * g->count + i] =
                (struct imgen_item){c->label, c->guidance, c->seed + (uint64_t)i};
        cell[n++] = k;
    }
    return n;
}

static int sample_cells(struct grid *g, int64_t first, struct imgen_item *items, int64_t *cell,
                        float *pixels)
{
    const struct grid_cell *c = &g->cells[first];
    struct imgen_model *model = g->models.at[c->model];
    int64_t n = collect(g, first, items, cell), each = g->count * g->length;
    struct imgen_request r;
    struct imgen_error err;

    imgen_request_init(&r, model);
    r.items = items;
    r.n_items = n * g->count;
    r.sampler = c->sampler;
    r.steps = c->steps;
    r.guide = g->models.guide;
    r.guide_label = solver_flags_guide_label(g->options->guide.label);
    r.numbers = (const char *const *)g->options->numbers.at;
    r.n_numbers = g->options->numbers.n;
    r.threads = (int)g->options->threads;
    r.progress = on_progress;
    r.user = g;
    if (imgen_sample_floats(model, &r, pixels, &err)) {
        progress_end(&g->progress);
        return command_failed(&command_grid, &err);
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(g->pixels + cell[i] * each, pixels + i * each, (size_t)each * sizeof *pixels);
    g->done += r.n_items;
    return EXIT_DONE;
}

static bool is_first(const struct grid *g, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        if (one_call(&g->cells[i], &g->cells[k]))
            return false;
    return true;
}

static int sample_all(struct grid *g)
{
    int64_t n = g->n_cells * g->count;
    struct imgen_item *items = calloc((size_t)n, sizeof *items);
    int64_t *cell = calloc((size_t)g->n_cells, sizeof *cell);
    float *pixels = calloc((size_t)n, (size_t)g->length * sizeof *pixels);
    int code = EXIT_DONE;

    if (!items || !cell || !pixels)
        code = command_broken(&command_grid, "no memory for %" PRId64 " pictures", n);
    for (int64_t k = 0; k < g->n_cells && !code; k++)
        if (is_first(g, k))
            code = sample_cells(g, k, items, cell, pixels);
    progress_end(&g->progress);
    free(items);
    free(cell);
    free(pixels);
    return code;
}

/* ---- Drawing ---- */

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
        if (!strcmp(kind->name, "label") && !g->models.info.n_labels)
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
                      int row)
{
    const struct imgen_model_info *info = &g->models.info;
    const float *x = g->pixels + (row * (int64_t)g->x.n + column) * g->count * g->length;
    int64_t left = l->left + column * l->pitch + (l->pitch - CELL_GAP - l->cell) / 2;

    for (int64_t i = 0; i < g->count; i++)
        canvas_picture(c, left + i * (l->width + GAP), l->top + row * (l->height + CELL_GAP),
                       x + i * g->length, info->height, info->width, info->channels, l->zoom);
}

static void draw(struct canvas *c, const struct layout *l, const struct grid *g)
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
    for (int j = 0; j < g->y.n; j++)
        for (int i = 0; i < g->x.n; i++)
            draw_cell(c, l, g, i, j);
    for (int i = 0; i < l->n_foot; i++)
        canvas_text(c, MARGIN,
                    l->top + g->y.n * (l->height + CELL_GAP) + TEXT_HEIGHT +
                        i * (3 * TEXT_HEIGHT / 2),
                    TEXT, 2 * INK, l->foot[i]);
}

static int write_sheet(const struct grid *g)
{
    struct layout l = layout_of(g);
    struct imgen_image image;
    struct imgen_error err;
    struct canvas canvas;
    int code = EXIT_DONE;

    if (!canvas_init(&canvas, l.sheet_width, l.sheet_height))
        return command_broken(&command_grid, "no memory for %s", g->options->output);
    draw(&canvas, &l, g);
    image = (struct imgen_image){canvas.height, canvas.width, 3, canvas.pixels};
    if (imgen_image_write(g->options->output, &image, &err))
        code = command_failed(&command_grid, &err);
    canvas_release(&canvas);
    return code;
}

/* ---- The result ---- */

static void print_axis(struct json_out *j, const char *key, const struct grid_axis *a)
{
    if (!a->kind)
        return;
    json_out_open(j, key, '{');
    json_out_text(j, "axis", a->kind->name);
    json_out_open(j, "values", '[');
    for (int i = 0; i < a->n; i++)
        json_out_text(j, NULL, a->value[i]);
    json_out_close(j);
    json_out_close(j);
}

static bool varies(const struct grid *g, const char *name)
{
    return (g->x.kind && !strcmp(g->x.kind->name, name)) ||
           (g->y.kind && !strcmp(g->y.kind->name, name));
}

static void print_result(const struct grid *g)
{
    struct json_out j;

    if (!g->options->json) {
        puts(g->options->output);
        return;
    }
    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "path", g->options->output);
    print_axis(&j, "x", &g->x);
    print_axis(&j, "y", &g->y);
    if (!varies(g, "label"))
        json_out_int(&j, "label", g->plain.label);
    if (!varies(g, "guidance"))
        json_out_real(&j, "cfg_scale", g->plain.guidance);
    if (!varies(g, "seed"))
        json_out_seed(&j, "seed", g->plain.seed);
    if (!varies(g, "sampler"))
        json_out_text(&j, "sampling_method", g->plain.sampler);
    if (!varies(g, "steps"))
        json_out_int(&j, "steps", g->plain.steps);
    if (g->models.guide) {
        json_out_text(&j, "guide", g->options->guide.model);
        json_out_text(&j, "guide_label", solver_flags_guide_label(g->options->guide.label));
    }
    json_out_open(&j, "numbers", '[');
    for (int i = 0; i < g->options->numbers.n; i++)
        json_out_text(&j, NULL, g->options->numbers.at[i]);
    json_out_close(&j);
    json_out_int(&j, "count", g->count);
    json_out_text(&j, "version", imgen_version());
    json_out_close(&j);
}

/* ---- The command ---- */

static int run(struct grid *g, int n_words, char **words)
{
    int code;

    if (n_words != 1)
        return command_misused(&command_grid, n_words ? "one model at a time" : "which model?");
    if (!picture_name_ends(g->options->output))
        return command_misused(&command_grid, "--output: '%s' does not end in .png",
                               g->options->output);
    g->models.autoencoder = g->options->autoencoder;
    if ((code = read_axes(g)) || (code = grid_models_open(&g->models, words[0])) ||
        (code = open_guide(g)) || (code = read_plain(g)) || (code = make_room(g)) ||
        (code = fill_cells(g)))
        return code;
    progress_start(&g->progress, g->options->quiet);
    interrupt_watch("\nstopping; Ctrl-C again quits at once\n");
    if ((code = sample_all(g)) || (code = write_sheet(g)))
        return code;
    print_result(g);
    return EXIT_DONE;
}

static int cmd_grid(int argc, char **argv)
{
    struct grid_options o = {0};
    struct grid *g = calloc(1, sizeof *g);
    int n_words, code;

    if (!g)
        return command_broken(&command_grid, "no memory");
    g->options = &o;
    if (command_read(&command_grid, &o, NULL, argc, argv, &n_words, &code))
        code = run(g, n_words, argv + 1);
    grid_models_release(&g->models);
    free(g->cells);
    free(g->pixels);
    free(g);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_grid = {
    .is = {"grid", "MODEL --x AXIS=V,... --y AXIS=V,...", "pictures along two axes, on one sheet",
           rows},
    .details =
        "Draws one labelled picture: what --x says changes from column to column, what --y says\n"
        "from row to row, and all else, the noise above all, is the same everywhere.  MODEL is a\n"
        "model or a run's folder.  The axes:\n"
        "\n"
        "    guidance    scales, 0 or more        seed        of the noise\n"
        "    steps       of the solver            label       names or numbers, none\n"
        "    sampler     see imgen list           checkpoint  steps of MODEL's run, or files\n"
        "\n"
        "    imgen grid demo/model.safetensors --x guidance=0,1,2,4,8 --y \"label=red star,blue "
        "ring\"\n"
        "    imgen grid demo/run --x checkpoint=2000,4000 --y seed=1,2,3 --label \"red star\"",
    .run = cmd_grid,
};
