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
#include "grid.h"

#include "interrupt.h"
#include "json_out.h"
#include "picture_names.h"
#include "units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PICTURES_MAX = 100000 };

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"x", "what changes from column to column", IMGEN_OPTION_TEXT, offsetof(struct grid_options, x),
     .letter = 'x', .value = "AXIS=V,V,..."},
    {"y", "what changes from row to row", IMGEN_OPTION_TEXT, offsetof(struct grid_options, y),
     .letter = 'y', .value = "AXIS=V,V,..."},
    {"label", "what to show; default: the model's first label", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, label), .letter = 'l', .value = "NAME"},
    {"prompt", "what to show, of a model that reads texts", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, prompt), .letter = 'p', .value = "TEXT"},
    {"init_img", "a picture to make others of, of any size", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, init), .letter = 'i', .value = "PICTURE"},
    {"mask", "where it is made anew: white; black keeps it; as large as that picture",
     IMGEN_OPTION_TEXT, offsetof(struct grid_options, mask), .value = "PICTURE"},
    {"strength", "how far from it, 0 to 1; default: 0.75", IMGEN_OPTION_TEXT,
     offsetof(struct grid_options, strength), .value = "D"},
    {"width", "of the pictures, where the model makes several sizes", IMGEN_OPTION_INT,
     offsetof(struct grid_options, width), "0", .lo = 0, .hi = 16384, .letter = 'W'},
    {"height", "the same", IMGEN_OPTION_INT, offsetof(struct grid_options, height), "0", .lo = 0,
     .hi = 16384, .letter = 'H'},
    {"frames", "of a clip, of a model of clips; 1: a picture; 0: as it was trained",
     IMGEN_OPTION_INT, offsetof(struct grid_options, frames), "0", .lo = 0, .hi = 1024},
    {"rate", "frames a second at which a grid of clips is shown", IMGEN_OPTION_REAL,
     offsetof(struct grid_options, rate), "8", .lo = 0.01, .hi = 1000},
    {"shown", "of clips in files: frames a row, the first, the last and between; 0: all",
     IMGEN_OPTION_INT, offsetof(struct grid_options, shown), "16", .lo = 0, .hi = 1024},
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
    PART_ROWS(offsetof(struct grid_options, parts)),
    NUMBER_ROW(offsetof(struct grid_options, numbers)),
    {"count", "pictures in each cell, of seed, seed + 1, ...", IMGEN_OPTION_INT,
     offsetof(struct grid_options, count), "1", .lo = 1, .hi = 64, .letter = 'n'},
    {"output", "the picture; of a model of clips .webp, .png or .apng, .y4m, all moving",
     IMGEN_OPTION_TEXT, offsetof(struct grid_options, output), "grid.png", .letter = 'o',
     .value = "NAME.png"},
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

/* ---- What is asked ---- */

/* The flag that fixes what an axis may vary. */
static const char *flag_of(const struct grid_options *o, const char *name)
{
    const struct {
        const char *name, *value;
    } all[] = {{"label", o->label},
               {"prompt", o->prompt},
               {"strength", o->strength},
               {"seed", o->seed},
               {"steps", o->steps},
               {"cfg_scale", o->cfg_scale},
               {"sampling_method", o->sampling_method}};

    for (size_t i = 0; name && i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].name, name))
            return all[i].value;
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

static int open_pictures(struct grid *g)
{
    const struct grid_options *o = g->options;
    struct imgen_error err;

    if (o->mask && !o->init)
        return command_misused(&command_grid, "--mask: of which picture? Name it with --init-img");
    if ((o->init && imgen_image_read(&g->init, o->init, &err)) ||
        (o->mask && imgen_image_read(&g->mask, o->mask, &err)))
        return command_failed(&command_grid, &err);
    g->models.has_init = o->init != NULL;
    return EXIT_DONE;
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
        .strength = 0.75,
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
    g->frames = info->frames > 1 ? info->frames : 1;
    g->length = (int64_t)info->height * info->width * info->channels;
    if (g->frames == 1 && !picture_name_ends(g->options->output))
        return command_misused(&command_grid, "--output: '%s' does not end in .png",
                               g->options->output);
    if (info->channels != 1 && info->channels != 3)
        return command_misused(&command_grid, "pictures with %d channels cannot be drawn",
                               info->channels);
    if (g->n_cells * g->count > PICTURES_MAX)
        return command_misused(&command_grid, "%" PRId64 " pictures are more than %d",
                               g->n_cells * g->count, PICTURES_MAX);
    g->cells = calloc((size_t)g->n_cells, sizeof *g->cells);
    g->pixels = calloc((size_t)(g->n_cells * g->count),
                       (size_t)(g->frames * g->length) * sizeof *g->pixels);
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
    return a->model == b->model && a->steps == b->steps && a->sampler == b->sampler &&
           a->strength == b->strength;
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
    int64_t n = collect(g, first, items, cell), each = g->count * g->frames * g->length;
    struct imgen_request r;
    struct imgen_error err;

    imgen_request_init(&r, model);
    r.items = items;
    r.n_items = n * g->count;
    r.sampler = c->sampler;
    r.steps = c->steps;
    r.guide = g->models.guide;
    r.guide_label = solver_flags_guide_label(g->options->guide.label);
    r.prompts = g->models.prompt;
    r.n_prompts = g->models.n_prompts;
    r.init = g->init.pixels ? &g->init : NULL;
    r.mask = g->mask.pixels ? &g->mask : NULL;
    r.strength = c->strength;
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
    float *pixels = calloc((size_t)n, (size_t)(g->frames * g->length) * sizeof *pixels);
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
    if (!varies(g, "label") && !g->models.info.text_bytes)
        json_out_int(&j, "label", g->plain.label);
    if (!varies(g, "prompt") && g->models.info.text_bytes)
        json_out_text(&j, "prompt", g->plain.label < 0 ? "" : g->models.prompt[g->plain.label]);
    json_out_text(&j, "init", g->options->init);
    json_out_text(&j, "mask", g->options->mask);
    if (g->models.has_init && !varies(g, "strength"))
        json_out_real(&j, "strength", g->plain.strength);
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

/* A file or folder that no model lies in, without an axis. */
static bool is_clip(const struct grid_options *o, const char *word)
{
    static const char *const of_models[] = {"latest", "model.safetensors", "model_index.json"};
    const char *dot = strrchr(word, '.');
    char path[GRID_PATH];

    if (o->x || o->y || (dot && !strcmp(dot, ".safetensors")))
        return false;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", word, of_models[i]);
        if (!access(path, F_OK))
            return false;
    }
    return true;
}

static int check_output(const char *name)
{
    if (picture_name_ends(name) || imgen_clip_named(name))
        return EXIT_DONE;
    return command_misused(&command_grid,
                           "--output: '%s' ends in none of .png and, for clips, .webp, .apng and "
                           ".y4m",
                           name);
}

static int run(struct grid *g, int n_words, char **words)
{
    int code;

    if (!n_words)
        return command_misused(&command_grid, "which model?");
    if ((code = check_output(g->options->output)))
        return code;
    if (is_clip(g->options, words[0]))
        return grid_clips(g->options, n_words, words);
    if (n_words != 1)
        return command_misused(&command_grid, "one model at a time");
    g->models.frames = g->options->frames;
    g->models.parts = part_flags_parts(&g->options->parts, g->options->autoencoder);
    g->models.width = g->options->width;
    g->models.height = g->options->height;
    if ((code = read_axes(g)) || (code = open_pictures(g)) ||
        (code = grid_models_open(&g->models, words[0])) || (code = open_guide(g)) ||
        (code = read_plain(g)) || (code = make_room(g)) || (code = fill_cells(g)))
        return code;
    progress_start(&g->progress, g->options->quiet);
    interrupt_watch("\nstopping; Ctrl-C again quits at once\n");
    if ((code = sample_all(g)) || (code = grid_write_sheet(g)))
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
    imgen_image_release(&g->init);
    imgen_image_release(&g->mask);
    free(g->cells);
    free(g->pixels);
    free(g);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_grid = {
    .is = {"grid", "MODEL --x AXIS=V,... --y AXIS=V,... | CLIP...",
           "pictures along two axes, or the frames of clips, on one sheet", rows},
    .details =
        "Draws one labelled picture: what --x says changes from column to column, what --y says\n"
        "from row to row, and all else, the noise above all, is the same everywhere.  MODEL is a\n"
        "model or a run's folder.  The axes:\n"
        "\n"
        "    guidance    scales, 0 or more        seed        of the noise\n"
        "    steps       of the solver            label       names or numbers, none\n"
        "    sampler     see imgen list           checkpoint  steps of MODEL's run, or files\n"
        "    prompt      texts without commas     strength    of --init-img, 0 to 1\n"
        "\n"
        "    imgen grid demo/model.safetensors --x guidance=0,1,2,4,8 --y \"label=red star,blue "
        "ring\"\n"
        "    imgen grid demo/run --x checkpoint=2000,4000 --y seed=1,2,3 --label \"red star\"\n"
        "    imgen grid sd3_medium.safetensors --x strength=0.4,0.6,0.8 --y prompt=snow,rain -i "
        "photo.png\n"
        "\n"
        "Of a model of clips each cell moves.  Of clips in files, and folders of frames, one "
        "sheet\n"
        "shows the frames, a row a clip.\n"
        "\n"
        "    imgen grid run-moving --x guidance=1,3 --y seed=1,2 -p \"a red circle moves left\" -o "
        "g.webp\n"
        "    imgen grid red.webp blue.y4m frames/ --shown 8 -o sheet.png",
    .run = cmd_grid,
};
