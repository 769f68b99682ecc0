/*
 * cmd_demo.c - from nothing to pictures made on request
 *
 * Trains the built-in configuration, config/demo.ini, on pictures that the program draws itself,
 * so that neither data nor a network is needed; then shows what guidance does (guidance.png) and
 * how a picture comes out of noise (path.png).
 */
#include "demo.h"
#include "demo_run.h"
#include "interrupt.h"
#include "json_out.h"
#include "train_watch.h"
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct demo_options {
    bool help;
    char *output;
    int64_t threads, steps, count;
    struct imgen_text_list settings;
    bool fresh, json, quiet, verbose;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"output", "folder for pictures and model", IMGEN_OPTION_TEXT,
     offsetof(struct demo_options, output), "demo", .letter = 'o', .value = "FOLDER"},
    {"steps", "of training; 0: as the configuration says", IMGEN_OPTION_INT,
     offsetof(struct demo_options, steps), "0", .lo = 0, .hi = 1e9},
    {"count", "pictures over which obedience is measured at each scale", IMGEN_OPTION_INT,
     offsetof(struct demo_options, count), "96", .lo = 1, .hi = 100000},
    {"set", "a key of the configuration, over the built-in one; may be given often",
     IMGEN_OPTION_TEXTS, offsetof(struct demo_options, settings), .value = "SECTION.KEY=VALUE"},
    {"fresh", "train anew where a run of the same configuration stands", IMGEN_OPTION_BOOL,
     offsetof(struct demo_options, fresh), .letter = 0},
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,
     offsetof(struct demo_options, threads), "0", .lo = 0, .hi = 1024, .letter = 't'},
    {"json", "print the result as JSON", IMGEN_OPTION_BOOL, offsetof(struct demo_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct demo_options, quiet),
     .letter = 'q'},
    {"verbose", "more progress", IMGEN_OPTION_BOOL, offsetof(struct demo_options, verbose),
     .letter = 'v'},
    {0},
};

/* ---- What both pictures need (demo.h) ---- */

int demo_write(const char *path, const struct canvas *c)
{
    struct imgen_image image = {c->height, c->width, 3, c->pixels};
    struct imgen_error err;

    if (imgen_image_write(path, &image, &err))
        return command_failed(&command_demo, &err);
    return EXIT_DONE;
}

void demo_centre(struct canvas *c, int64_t centre, int64_t top, const char *text)
{
    canvas_text(c, centre - canvas_text_width(text, DEMO_TEXT) / 2, top, DEMO_TEXT, DEMO_INK, text);
}

int64_t demo_zoom(const struct demo *d, int64_t pixels)
{
    int64_t zoom = (pixels + d->info.width / 2) / d->info.width;

    return zoom > 1 ? zoom : 1;
}

/* ---- Training ---- */

/* The paths of what the demo leaves behind. */
struct products {
    char guidance[DEMO_RUN_PATH], path[DEMO_RUN_PATH], model[DEMO_RUN_PATH];
};

static bool name_products(struct products *p, const char *folder)
{
    const char *const name[] = {"guidance.png", "path.png", "model.safetensors"};
    char *const to[] = {p->guidance, p->path, p->model};

    for (int i = 0; i < 3; i++)
        if (snprintf(to[i], DEMO_RUN_PATH, "%s/%s", folder, name[i]) >= DEMO_RUN_PATH)
            return false;
    return true;
}

/* The finished model moves out of the run, which only then is of no more use than to go on. */
static int train(const struct demo_options *o, const char *const *settings, int n_settings,
                 bool resumes, struct progress *progress, const char *model)
{
    struct train_watch w = {.progress = *progress, .verbose = o->verbose};
    struct imgen_training t = {
        .config = "the configuration of the demo",
        .config_text = demo_config,
        .settings = settings,
        .n_settings = n_settings,
        .threads = (int)o->threads,
        .resume = resumes,
        .callback = train_watch_event,
        .user = &w,
    };
    struct imgen_error err;
    enum imgen_status st = imgen_train(&t, &err);

    progress_end(&w.progress);
    if (st == IMGEN_E_CANCELLED)
        progress_note(progress, "saved %s; the same command goes on from there", w.saved);
    if (st)
        return command_failed(&command_demo, &err);
    if (rename(w.model, model))
        return command_broken(&command_demo, "%s cannot be moved to %s: %s", w.model, model,
                              strerror(errno));
    return EXIT_DONE;
}

static int train_in(const struct demo_options *o, struct progress *progress,
                    const struct products *products)
{
    struct imgen_text_list all = {0};
    char out[DEMO_RUN_PATH + 32], steps[64];
    bool resumes;
    int code;

    all.at = calloc((size_t)o->settings.n + 2, sizeof *all.at);
    if (!all.at)
        return command_broken(&command_demo, "no memory");
    for (; all.n < o->settings.n; all.n++)
        all.at[all.n] = o->settings.at[all.n];
    snprintf(steps, sizeof steps, "train.steps=%" PRId64, o->steps);
    if (o->steps)
        all.at[all.n++] = steps;
    if (!(code = demo_run_prepare(o->output, &all, o->fresh, &resumes))) {
        if (resumes)
            progress_note(progress, "%s/run is a run of this very demo (--fresh trains anew)",
                          o->output);
        snprintf(out, sizeof out, "train.out=%s/run", o->output);
        all.at[all.n++] = out;
        code = train(o, (const char *const *)all.at, all.n, resumes, progress, products->model);
    }
    free(all.at);
    return code;
}

/* ---- Showing ---- */

static int open_demo(struct demo *d, const char *path)
{
    struct imgen_error err;

    if (imgen_model_open(&d->model, path, &err))
        return command_failed(&command_demo, &err);
    imgen_model_info(d->model, &d->info);
    if (d->info.channels != 3 || d->info.width != d->info.height || !d->info.guided)
        return command_misused(&command_demo,
                               "the demo shows square colour pictures of a guided model");
    return EXIT_DONE;
}

static void print_shares(const struct demo_share *share, int n, double usual)
{
    printf("guidance scale   requests obeyed\n");
    for (int k = 0; k < n; k++)
        printf("%14g   %11.0f %% of %" PRId64 "%s\n", share[k].scale,
               100 * (double)share[k].obeyed / (double)share[k].asked, share[k].asked,
               fabs(share[k].scale - usual) < 1e-9 ? "   (the default)" : "");
}

static void print_json(const struct demo_share *share, int n, double usual,
                       const struct products *p, double seconds)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "guidance", p->guidance);
    json_out_text(&j, "path", p->path);
    json_out_text(&j, "model", p->model);
    json_out_real(&j, "default_cfg_scale", usual);
    json_out_open(&j, "shares", '[');
    for (int k = 0; k < n; k++) {
        json_out_open(&j, NULL, '{');
        json_out_real(&j, "cfg_scale", share[k].scale);
        json_out_int(&j, "asked", share[k].asked);
        json_out_int(&j, "obeyed", share[k].obeyed);
        json_out_close(&j);
    }
    json_out_close(&j);
    json_out_real(&j, "seconds", seconds);
    json_out_text(&j, "version", imgen_version());
    json_out_close(&j);
}

static int show(struct demo *d, const struct demo_options *o, const struct products *p)
{
    struct demo_share share[DEMO_SHARES];
    double took;
    char text[UNITS_ROOM];
    int n, code;

    if ((code = open_demo(d, p->model)) || (code = demo_draw_guidance(d, p->guidance, share, &n)) ||
        (code = demo_draw_path(d, p->path)))
        return code;
    progress_end(&d->progress);
    took = seconds_now() - d->progress.began;
    progress_note(&d->progress, "the demo took %s", units_seconds(text, took));
    if (o->json) {
        print_json(share, n, d->info.cfg_scale, p, took);
        return EXIT_DONE;
    }
    print_shares(share, n, d->info.cfg_scale);
    printf("%s\n%s\n%s\n", p->guidance, p->path, p->model);
    return EXIT_DONE;
}

/* ---- The command ---- */

static int run(const struct demo_options *o, int n_words)
{
    struct demo d = {.threads = (int)o->threads, .count = o->count};
    struct products products;
    int code;

    if (n_words)
        return command_misused(&command_demo, "it takes flags only");
    if (!name_products(&products, o->output))
        return command_misused(&command_demo, "--output: a name of %zu letters", strlen(o->output));
    interrupt_watch("\nfinishing this step; Ctrl-C again quits at once\n");
    progress_start(&d.progress, o->quiet);
    if (!(code = train_in(o, &d.progress, &products)))
        code = show(&d, o, &products);
    imgen_model_close(d.model);
    return code;
}

static int cmd_demo(int argc, char **argv)
{
    struct demo_options o = {0};
    int n_words, code;

    if (command_read(&command_demo, &o, NULL, argc, argv, &n_words, &code))
        code = run(&o, n_words);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_demo = {
    .is = {"demo", "[flags]", "train a small model and show what it can do, in minutes", rows},
    .details =
        "Trains on coloured shapes that the program draws itself and writes guidance.png "
        "(requests\n"
        "against guidance scales, with the share that is obeyed), path.png (the way from noise to\n"
        "a picture) and model.safetensors, which `imgen sample` takes.  Ctrl-C stops; the same\n"
        "command goes on.",
    .run = cmd_demo,
};
