/*
 * cmd_train.c - train a model from a configuration
 *
 * The library trains; this file shows how far it is and passes Ctrl-C on.  A first Ctrl-C makes the
 * callback answer "stop": the step is finished, a checkpoint is written, and the exit code is 130,
 * so that a script can tell a stop from a failure and come back with --resume.
 */
#include "cli.h"
#include "interrupt.h"
#include "json_out.h"
#include "train_watch.h"
#include "units.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct train_options {
    bool help;
    struct imgen_text_list settings;
    bool resume, dry_run, json, quiet, verbose;
    int64_t threads;
    char *memory_limit;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"set", "a key of the configuration, over the file; may be given often", IMGEN_OPTION_TEXTS,
     offsetof(struct train_options, settings), .value = "SECTION.KEY=VALUE"},
    {"resume", "go on from the newest checkpoint in train.out", IMGEN_OPTION_BOOL,
     offsetof(struct train_options, resume), .letter = 'r'},
    {"dry_run", "say what it would take, from three probe steps, and write nothing",
     IMGEN_OPTION_BOOL, offsetof(struct train_options, dry_run), .letter = 0},
    {"memory_limit", "most memory of the whole run, \"2G\": what does not fit is computed again",
     IMGEN_OPTION_TEXT, offsetof(struct train_options, memory_limit), .value = "SIZE"},
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,
     offsetof(struct train_options, threads), "0", .lo = 0, .hi = 1024, .letter = 't'},
    {"json", "print the result as JSON", IMGEN_OPTION_BOOL, offsetof(struct train_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct train_options, quiet),
     .letter = 'q'},
    {"verbose", "also learning rate, gradient norm and every checkpoint", IMGEN_OPTION_BOOL,
     offsetof(struct train_options, verbose), .letter = 'v'},
    {0},
};

/* ---- What it would take ---- */

static void print_plan(const struct imgen_train_plan *p)
{
    char a[UNITS_ROOM], b[UNITS_ROOM], more[WATCH_TEXT];

    printf("weights      %s (%s)\n", units_si(a, (double)p->weights, ""),
           units_bytes(b, 4 * (double)p->weights));
    printf("memory       %s at most\n", units_bytes(a, (double)p->peak_bytes));
    printf("  program    %s\n", units_bytes(a, (double)p->program_bytes));
    printf("  set up     %s: pictures, batches, kernels\n", units_bytes(a, (double)p->setup_bytes));
    printf("  state      %s: weights, gradients, moments, average\n",
           units_bytes(a, (double)p->state_bytes));
    printf("  a step     %s%s\n", units_bytes(a, (double)p->step_bytes),
           watch_recompute(more, p->recompute, p->segments));
    printf("  writing    %s\n", units_bytes(a, (double)p->beside_bytes));
    printf("a step       %s, %s\n", units_si(a, p->step_flops, "FLOP"),
           units_seconds(b, p->step_seconds));
    if (p->pictures == INT64_MAX)
        printf("pictures     endless\n");
    else
        printf("pictures     %" PRId64 "\n", p->pictures);
    printf("to the end   %s: %" PRId64 " steps\n", units_seconds(a, p->total_seconds), p->steps);
}

static void print_plan_json(const struct imgen_train_plan *p)
{
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_int(&j, "weights", p->weights);
    json_out_int(&j, "state_bytes", p->state_bytes);
    json_out_int(&j, "step_bytes", p->step_bytes);
    json_out_int(&j, "program_bytes", p->program_bytes);
    json_out_int(&j, "setup_bytes", p->setup_bytes);
    json_out_int(&j, "beside_bytes", p->beside_bytes);
    json_out_int(&j, "peak_bytes", p->peak_bytes);
    json_out_int(&j, "recompute", p->recompute);
    json_out_int(&j, "segments", p->segments);
    json_out_real(&j, "step_flops", p->step_flops);
    json_out_real(&j, "step_seconds", p->step_seconds);
    json_out_int(&j, "steps", p->steps);
    json_out_real(&j, "total_seconds", p->total_seconds);
    if (p->pictures == INT64_MAX)
        json_out_null(&j, "pictures");
    else
        json_out_int(&j, "pictures", p->pictures);
    json_out_close(&j);
}

static int measure(const struct imgen_training *t, const struct train_options *o)
{
    struct imgen_train_plan plan;
    struct imgen_error err;

    if (imgen_train_measure(t, &plan, &err))
        return command_failed(&command_train, &err);
    if (o->json)
        print_plan_json(&plan);
    else
        print_plan(&plan);
    return EXIT_DONE;
}

/* ---- Training ---- */

static void print_result(const struct train_watch *w, bool json, bool stopped)
{
    struct json_out j;

    if (!json) {
        if (!stopped)
            puts(w->model);
        return;
    }
    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_bool(&j, "stopped", stopped);
    json_out_int(&j, "step", w->step);
    json_out_int(&j, "steps", w->steps);
    json_out_real(&j, "loss", w->loss);
    json_out_text(&j, "checkpoint", *w->saved ? w->saved : NULL);
    json_out_text(&j, "model", *w->model ? w->model : NULL);
    json_out_int(&j, "planned_bytes", w->planned_bytes);
    json_out_int(&j, "peak_bytes", w->peak_bytes);
    json_out_real(&j, "seconds", seconds_now() - w->progress.began);
    json_out_text(&j, "version", imgen_version());
    json_out_close(&j);
}

static int train(struct imgen_training *t, const struct train_options *o)
{
    struct train_watch w = {.verbose = o->verbose};
    char took[UNITS_ROOM];
    struct imgen_error err;
    enum imgen_status st;

    interrupt_watch("\nfinishing this step, then saving; Ctrl-C again quits at once\n");
    progress_start(&w.progress, o->quiet);
    t->callback = train_watch_event;
    t->user = &w;
    st = imgen_train(t, &err);
    progress_end(&w.progress);
    if (st == IMGEN_OK) {
        progress_note(&w.progress, "trained in %s",
                      units_seconds(took, seconds_now() - w.progress.began));
        print_result(&w, o->json, false);
        return EXIT_DONE;
    }
    if (st == IMGEN_E_CANCELLED) {
        progress_note(&w.progress, "saved %s; --resume goes on from there", w.saved);
        print_result(&w, o->json, true);
    }
    return command_failed(&command_train, &err);
}

static int dispatch(struct imgen_training *t, const struct train_options *o)
{
    return o->dry_run ? measure(t, o) : train(t, o);
}

/* --memory-limit is one more setting, behind all others. */
static int run_limited(struct imgen_training *t, const struct train_options *o)
{
    const char **settings = malloc(((size_t)t->n_settings + 1) * sizeof *settings);
    char limit[128];
    int code;

    if (!settings)
        return command_broken(&command_train, "no memory");
    for (int i = 0; i < t->n_settings; i++)
        settings[i] = t->settings[i];
    snprintf(limit, sizeof limit, "train.memory_limit=%.100s", o->memory_limit);
    settings[t->n_settings++] = limit;
    t->settings = settings;
    code = dispatch(t, o);
    free(settings);
    return code;
}

static int run(const struct train_options *o, int n_words, char **words)
{
    struct imgen_training t = {
        .config = n_words ? words[0] : NULL,
        .settings = (const char *const *)o->settings.at,
        .n_settings = o->settings.n,
        .threads = (int)o->threads,
        .resume = o->resume,
    };

    if (n_words > 1)
        return command_misused(&command_train, "one configuration at a time, not %d", n_words);
    if (!n_words && !o->settings.n)
        return command_misused(&command_train, "which configuration?");
    return o->memory_limit ? run_limited(&t, o) : dispatch(&t, o);
}

static int cmd_train(int argc, char **argv)
{
    struct train_options o = {0};
    int n_words, code;

    if (command_read(&command_train, &o, NULL, argc, argv, &n_words, &code))
        code = run(&o, n_words, argv + 1);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_train = {
    .is = {"train", "CONFIG.ini [flags]", "train a model", rows},
    .details =
        "Trains as the file says (imgen list keys) and prints the name of the model file.\n"
        "Checkpoints, logs and sample pictures go to the folder train.out.  Ctrl-C finishes the\n"
        "step, saves and exits with 130; --resume then goes on as if nothing had happened.\n"
        "\n"
        "    imgen train config/shapes.ini --dry-run\n"
        "    imgen train config/shapes.ini --set train.steps=2000 --set train.out=try",
    .run = cmd_train,
};
