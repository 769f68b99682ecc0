/*
 * cmd_sample.c - make pictures
 *
 * Every picture is asked for by three numbers: label, guidance scale, seed.  Where a flag is not
 * given the model's own default holds, or, with --from, what the recipe in a picture says; so
 * `--from` alone makes that picture again, and with a flag more, a relative of it.
 *
 * The same seeds serve every label: what differs between the pictures of two labels is then the
 * request alone.
 */
#include "cli.h"
#include "interrupt.h"
#include "json_out.h"
#include "picture_names.h"
#include "progress.h"
#include "prompt_list.h"
#include "request_models.h"
#include "request_recipe.h"
#include "sample_plan.h"
#include "solver_flags.h"
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PICTURES_MAX = 1000000, LABELS_MAX = 4096, SHEET_WIDTH = 768, CAPTIONS_USUAL = 32 };

struct sample_options {
    bool help;
    char *label, *labels, *prompts, *seed, *output, *from, *preview_autoencoder;
    char *init, *mask;
    double strength;
    struct imgen_text_list prompt, lora;
    char *clip_l, *clip_g, *t5xxl, *merges, *spiece;
    int64_t width, height;
    bool no_t5;
    int64_t batch_count, threads, preview, zoom;
    struct solver_flags solver;
    char *memory_limit;
    bool grid, dry_run, quiet, verbose, json;
};

static const struct imgen_option rows[] = {
    ROW_HELP,
    {"label", "what to show, by name or number; 'none': anything", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, label), .letter = 'l', .value = "NAME"},
    {"labels", "several, each with the same seeds", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, labels), .value = "NAME,NAME,..."},
    {"prompt", "what to show, of a model that reads texts; may be given often", IMGEN_OPTION_TEXTS,
     offsetof(struct sample_options, prompt), .letter = 'p', .value = "TEXT"},
    {"prompts",
     "a file with a prompt a line ('-': standard input), or a configuration (.ini): "
     "captions of 32 of its held-out pictures",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, prompts), .value = "FILE"},
    {"init_img", "a picture to make others of, of any size", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, init), .letter = 'i', .value = "PICTURE"},
    {"mask", "where it is made anew: white; black keeps it; as large as that picture",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, mask), .value = "PICTURE"},
    {"strength", "how far from it: 0 is the picture itself, 1 leaves nothing of it",
     IMGEN_OPTION_REAL, offsetof(struct sample_options, strength), "0.75", .lo = 0, .hi = 1},
    {"width", "of the pictures, where the model makes several sizes", IMGEN_OPTION_INT,
     offsetof(struct sample_options, width), "0", .lo = 0, .hi = 16384, .letter = 'W'},
    {"height", "the same", IMGEN_OPTION_INT, offsetof(struct sample_options, height), "0", .lo = 0,
     .hi = 16384, .letter = 'H'},
    {"clip_l", "Stable Diffusion 3: the text encoder CLIP-L, where it is not found by itself",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, clip_l), .value = "PATH"},
    {"clip_g", "the same: CLIP bigG", IMGEN_OPTION_TEXT, offsetof(struct sample_options, clip_g),
     .value = "PATH"},
    {"t5xxl", "the same: T5-XXL", IMGEN_OPTION_TEXT, offsetof(struct sample_options, t5xxl),
     .value = "PATH"},
    {"no_t5", "the same: do without T5, which is the largest part of it", IMGEN_OPTION_BOOL,
     offsetof(struct sample_options, no_t5), .letter = 0},
    {"merges", "the same: CLIP's vocabulary, merges.txt", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, merges), .value = "FILE"},
    {"spiece", "the same: T5's vocabulary, spiece.model", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, spiece), .value = "FILE"},
    LORA_ROW(offsetof(struct sample_options, lora)),
    {"batch_count", "pictures of each label or prompt", IMGEN_OPTION_INT,
     offsetof(struct sample_options, batch_count), "1", .lo = 1, .hi = PICTURES_MAX, .letter = 'n'},
    {"seed", "of the first picture, the next take seed + 1, ...; -1: a random one",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, seed), "42", .letter = 's', .value = "N"},
    SOLVER_ROWS(offsetof(struct sample_options, solver)),
    {"from", "make the picture again whose recipe this PNG carries", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, from), .value = "PICTURE.png"},
    {"output", "file; several pictures become NAME-000.png, NAME-001.png, ...", IMGEN_OPTION_TEXT,
     offsetof(struct sample_options, output), "output.png", .letter = 'o', .value = "NAME.png"},
    {"grid", "one sheet, a row for each label or prompt, in place of single files",
     IMGEN_OPTION_BOOL, offsetof(struct sample_options, grid), .letter = 0},
    {"zoom", "draw each pixel of the sheet so many times; 0: as fits", IMGEN_OPTION_INT,
     offsetof(struct sample_options, zoom), "0", .lo = 0, .hi = 64},
    {"preview", "every N steps write NAME-preview.png: how the pictures would end; 0: never",
     IMGEN_OPTION_INT, offsetof(struct sample_options, preview), "0", .lo = 0, .hi = 1000},
    {"preview_autoencoder",
     "a tiny autoencoder to show previews of latents by; default: a pixel a latent",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, preview_autoencoder), .value = "PATH"},
    {"threads", "processors to use; 0: all", IMGEN_OPTION_INT,
     offsetof(struct sample_options, threads), "0", .lo = 0, .hi = 1024, .letter = 't'},
    {"memory_limit",
     "most memory that it may need, \"8G\": more is refused; 0: no limit; default: what is free, "
     "for "
     "large models",
     IMGEN_OPTION_TEXT, offsetof(struct sample_options, memory_limit), .value = "SIZE"},
    {"dry_run", "say what it would take, in memory and seconds a step, and make nothing",
     IMGEN_OPTION_BOOL, offsetof(struct sample_options, dry_run), .letter = 0},
    {"json", "print the result as JSON", IMGEN_OPTION_BOOL, offsetof(struct sample_options, json),
     .letter = 0},
    {"quiet", "no progress", IMGEN_OPTION_BOOL, offsetof(struct sample_options, quiet),
     .letter = 'q'},
    {"verbose", "say what is asked of the model", IMGEN_OPTION_BOOL,
     offsetof(struct sample_options, verbose), .letter = 'v'},
    {0},
};

/* A call of the command. */
struct job {
    const struct sample_options *options;
    const bool *given; /* one a row */
    struct request_models models;
    struct model_files files; /* that they were opened from */
    struct model_room room;
    struct request_recipe from;
    struct imgen_request request;
    struct prompt_list prompts;
    struct imgen_item *items; /* [n_items], label by label */
    int label[LABELS_MAX], n_labels;
    uint64_t seed;
    uint8_t *pixels;
    struct progress progress;
    double stepping; /* when the first step began: what is left is guessed from there */
};

static bool typed(const struct job *job, const char *flag)
{
    return command_given(&command_sample, job->given, flag);
}

static int failed(const struct imgen_error *err)
{
    return command_failed(&command_sample, err);
}

/* ---- The model ---- */

/* As typed, or, where the model can, as the recipe says. */
static int choose_size(struct job *job)
{
    struct imgen_model_info *m = &job->models.info;
    int64_t width = job->options->width, height = job->options->height;
    bool asked = width || height;
    struct imgen_error err;

    if (!asked) {
        width = job->from.recipe.width;
        height = job->from.recipe.height;
    }
    width = width ? width : m->width;
    height = height ? height : m->height;
    if (width == m->width && height == m->height)
        return EXIT_DONE;
    if (imgen_model_resize(job->models.model, (int)width, (int)height, &err))
        return asked ? failed(&err) : EXIT_DONE;
    imgen_model_info(job->models.model, m);
    return EXIT_DONE;
}

/* The files as the user typed them. */
static struct model_files typed_files(const struct job *job, const char *word)
{
    const struct sample_options *o = job->options;

    return (struct model_files){.model = word,
                                .classifier = o->solver.classifier,
                                .guide = o->solver.guide.model,
                                .autoencoder = o->solver.autoencoder,
                                .parts = {.clip_l = o->clip_l,
                                          .clip_g = o->clip_g,
                                          .t5xxl = o->t5xxl,
                                          .merges = o->merges,
                                          .spiece = o->spiece,
                                          .no_t5 = o->no_t5},
                                .init = o->init,
                                .mask = o->mask,
                                .lora = o->lora};
}

static int check_init(const struct job *job)
{
    if (job->files.init)
        return EXIT_DONE;
    if (job->files.mask)
        return command_misused(&command_sample,
                               "--mask: of which picture? Name it with --init-img");
    if (typed(job, "strength"))
        return command_misused(&command_sample,
                               "--strength: of which picture? Name it with --init-img");
    return EXIT_DONE;
}

static int open_models(struct job *job, const char *word)
{
    const struct sample_options *o = job->options;
    struct imgen_error err;
    int code;

    job->files = typed_files(job, word);
    if (o->from && imgen_recipe_read(&job->from.recipe, o->from, &err))
        return failed(&err);
    if (job->from.recipe.foreign && !word)
        return command_misused(&command_sample,
                               "another program made %s: with which model shall it be tried?",
                               o->from);
    if ((o->from && (code = recipe_models_find(&job->files, &job->room, &command_sample, o->from,
                                               &job->from.recipe))) ||
        (code = check_init(job)) ||
        (code = solver_flags_check_guides(&command_sample, job->given, job->files.classifier,
                                          job->files.guide)))
        return code;
    if ((code = request_models_open(&job->models, &command_sample, &job->files)))
        return code;
    return choose_size(job);
}

/* The same pictures can be made by the same models only. */
static int check_models(struct job *job, const char *word)
{
    const struct model_files named = typed_files(job, word);

    request_recipe_note(&job->from, job->options->from, &job->models, &job->progress);
    return recipe_models_check(&job->models, &command_sample, job->options->from, &job->from.recipe,
                               &job->request, &named, &job->progress);
}

/* ---- What is asked of it ---- */

static int add_label(struct job *job, const char *word)
{
    struct imgen_error err;

    if (job->n_labels == LABELS_MAX)
        return command_misused(&command_sample, "more than %d labels", LABELS_MAX);
    if (imgen_model_find_label(request_models_labelled(&job->models), word,
                               &job->label[job->n_labels++], &err))
        return failed(&err);
    return EXIT_DONE;
}

/* "red star, blue ring": blanks around a name do not count. */
static int add_labels(struct job *job, const char *list)
{
    char word[256];
    int code = EXIT_DONE;

    while (!code) {
        size_t blank = strspn(list, " "), n = strcspn(list + blank, ",");
        const char *end = list + blank + n;

        while (n && list[blank + n - 1] == ' ')
            n--;
        if (n >= sizeof word)
            return command_misused(&command_sample, "--labels: a name of %zu letters", n);
        memcpy(word, list + blank, n);
        word[n] = '\0';
        code = add_label(job, word);
        if (!*end)
            break;
        list = end + 1;
    }
    return code;
}

/* Of a model that reads texts, labels are numbers of prompts. */
static int choose_prompts(struct job *job)
{
    const struct sample_options *o = job->options;
    struct prompt_list *p = &job->prompts;
    int code = EXIT_DONE;

    if (o->label || o->labels)
        return command_misused(&command_sample,
                               "the model reads texts and knows no labels: ask with --prompt");
    for (int i = 0; i < o->prompt.n && !code; i++)
        code = prompt_list_add(p, &command_sample, o->prompt.at[i], -1);
    if (!code && o->prompts)
        code = prompt_list_read(p, &command_sample, o->prompts, &(struct imgen_text_list){0},
                                CAPTIONS_USUAL);
    if (!code && !p->n && o->from && *job->from.recipe.label)
        code = prompt_list_add(p, &command_sample, job->from.recipe.label, -1);
    if (!code && p->n > LABELS_MAX)
        code = command_misused(&command_sample, "more than %d prompts", LABELS_MAX);
    for (int64_t i = 0; i < p->n && !code; i++) {
        if (strlen(p->text[i]) >= IMGEN_PROMPT) /* before the work: its recipe has no room for it */
            code = command_misused(&command_sample,
                                   "prompt %" PRId64 " has %zu bytes, and may have %d", i + 1,
                                   strlen(p->text[i]), IMGEN_PROMPT - 1);
        job->label[job->n_labels++] = (int)i;
    }
    if (!code && !p->n)
        job->label[job->n_labels++] = -1;
    job->request.prompts = p->text;
    job->request.n_prompts = (int)p->n;
    return code;
}

static int choose_labels(struct job *job)
{
    const struct sample_options *o = job->options;

    if (job->models.info.text_bytes)
        return choose_prompts(job);
    if (o->prompt.n || o->prompts)
        return command_misused(&command_sample, "the model reads no texts: ask with --label");
    if (o->label && o->labels)
        return command_misused(&command_sample, "--label and --labels exclude each other");
    if (o->labels)
        return add_labels(job, o->labels);
    if (o->label)
        return add_label(job, o->label);
    return add_label(job, o->from ? job->from.recipe.label : "");
}

/* Bits that no two runs share: the system's, or, where it has none to give, clock and process. */
static uint64_t random_seed(void)
{
    FILE *f = fopen("/dev/urandom", "rb");
    uint32_t bits = 0;

    if (!f || fread(&bits, sizeof bits, 1, f) != 1)
        bits = (uint32_t)time(NULL) * 2654435761u + (uint32_t)getpid();
    if (f)
        fclose(f);
    return bits;
}

static int choose_seed(struct job *job)
{
    const char *text = job->options->seed;
    char *end;

    if (job->options->from && !typed(job, "seed")) {
        job->seed = job->from.recipe.item.seed;
        return EXIT_DONE;
    }
    if (!strcmp(text, "-1")) {
        job->seed = random_seed();
        progress_note(&job->progress, "seed %" PRIu64, job->seed);
        return EXIT_DONE;
    }
    errno = 0;
    job->seed = strtoull(text, &end, 10);
    if (!*text || strspn(text, "0123456789") != strlen(text) || *end || errno)
        return command_misused(&command_sample,
                               "--seed: '%.40s' is not -1 or a number from 0 to %" PRIu64, text,
                               UINT64_MAX);
    return EXIT_DONE;
}

static double choose_scale(const struct job *job, int label)
{
    if (typed(job, "cfg_scale"))
        return job->options->solver.cfg_scale;
    if (job->options->from && job->from.recipe.item.cfg_scale >= 0)
        return job->from.recipe.item.cfg_scale;
    return solver_flags_scale(&job->models.info, job->models.guide, label);
}

static int choose_solver(struct job *job)
{
    const struct sample_options *o = job->options;

    if (o->from)
        request_recipe_take(&job->from, &job->request);
    if (typed(job, "strength"))
        job->request.strength = o->strength;
    return solver_flags_apply(&command_sample, job->given, &o->solver, &job->request);
}

static int fill_items(struct job *job)
{
    int64_t each = job->options->batch_count, n = each * job->n_labels;
    size_t bytes = (size_t)job->models.info.height * (size_t)job->models.info.width *
                   (size_t)job->models.info.channels;

    if (n > PICTURES_MAX)
        return command_misused(&command_sample, "%" PRId64 " pictures are more than %d", n,
                               PICTURES_MAX);
    job->items = calloc((size_t)n, sizeof *job->items);
    job->pixels = calloc((size_t)n, bytes);
    if (!job->items || !job->pixels)
        return command_broken(&command_sample, "no memory for %" PRId64 " pictures", n);
    for (int64_t i = 0; i < n; i++) {
        int label = job->label[i / each];

        job->items[i] = (struct imgen_item){
            .label = label,
            .cfg_scale = choose_scale(job, label),
            .seed = job->seed + (uint64_t)(i % each),
        };
    }
    job->request.items = job->items;
    job->request.n_items = n;
    return EXIT_DONE;
}

/* ---- While it works ---- */

static void write_preview(struct job *job, const struct imgen_progress *p)
{
    int64_t n = p->count * p->preview_height * p->preview_width * p->preview_channels;
    struct imgen_sheet sheet = {
        .rows = 1,
        .columns = p->count,
        .height = p->preview_height,
        .width = p->preview_width,
        .channels = p->preview_channels,
        .gap = 2,
        .zoom = 1,
        .ground = 255,
    };
    float *x = calloc((size_t)n, sizeof *x);
    struct imgen_image image = {0};
    char path[PICTURE_NAME];
    struct imgen_error err;

    if (p->preview_height < job->models.info.height)
        sheet.zoom = job->models.info.height / p->preview_height; /* as large as the pictures */
    for (int64_t i = 0; x && i < n; i++)
        x[i] = (float)p->preview[i];
    picture_name_marked(path, job->options->output, "preview");
    /* A preview that cannot be written is no reason to lose the picture. */
    if (x && (imgen_sheet_draw(&image, x, &sheet, &err) || imgen_image_write(path, &image, &err)))
        progress_note(&job->progress, "no preview: %s", err.text);
    imgen_image_release(&image);
    free(x);
}

static void say_phase(struct job *job, const struct imgen_progress *p)
{
    int64_t last = p->first + p->count;
    double took = seconds_now() - job->stepping;
    char left[UNITS_ROOM], steps[24] = "";

    if (p->steps)
        snprintf(steps, sizeof steps, "/%d", p->steps);
    if (p->phase == IMGEN_READING)
        progress_say(&job->progress, "reading the prompt  %3.0f %%", 100 * p->share);
    else if (p->phase == IMGEN_ENCODING)
        progress_say(&job->progress, "encoding the picture  %3.0f %%", 100 * p->share);
    else if (p->phase == IMGEN_DECODING)
        progress_say(&job->progress, "picture %" PRId64 "/%" PRId64 "   decoding  %3.0f %%", last,
                     p->n, 100 * p->share);
    else
        progress_say(&job->progress,
                     "picture %" PRId64 "/%" PRId64 "   step %d%s  %3.0f %%   ETA %s", last, p->n,
                     p->step, steps, 100 * p->done,
                     units_seconds(left, took / p->done * (1 - p->done)));
}

static int on_progress(const struct imgen_progress *p, void *user)
{
    struct job *job = user;

    if (!(p->done > 0))
        job->stepping = seconds_now();
    if (p->preview)
        write_preview(job, p);
    if (progress_due(&job->progress, p->done >= 1 && p->share >= 1))
        say_phase(job, p);
    return !interrupt_asked();
}

static void say_request(struct job *job)
{
    const struct imgen_request *r = &job->request;
    char grid[96];
    struct imgen_choice c = {.name = "float32", .summary = "", .paper = ""};

    if (!job->options->verbose)
        return;
    for (int i = 0; r->precision && imgen_list(IMGEN_PRECISIONS, i, &c); i++)
        if (!strcmp(c.name, r->precision))
            break;
    if (r->times)
        snprintf(grid, sizeof grid, "%d times", r->n_times);
    else
        snprintf(grid, sizeof grid, "%d steps, schedule %s", r->steps, r->schedule);
    progress_note(&job->progress,
                  "%" PRId64 " pictures of %d x %d by %s, %s, in %s%s%s%s; seed %" PRIu64
                  ", guidance scale %g",
                  r->n_items, job->models.info.width, job->models.info.height, r->sampler, grid,
                  c.name, *c.paper ? " (" : "", c.paper, *c.paper ? ")" : "", job->seed,
                  job->items[0].cfg_scale);
    if (job->models.classifier)
        progress_note(&job->progress, "guided by a classifier, scale %g", r->classifier_scale);
    if (r->guide)
        progress_note(&job->progress, "guided by a second model, asked for %s label",
                      strcmp(r->guide_label, "none") ? "the same" : "no");
    if (r->init)
        progress_note(&job->progress, "of the picture %s, strength %g%s%s", r->init_name,
                      r->strength, r->mask ? ", under the mask " : "", r->mask ? r->mask_name : "");
}

/* ---- The result ---- */

/* The name of picture i's file; a sheet has its own. */
static const char *path_of(const struct job *job, int64_t i, char out[PICTURE_NAME])
{
    picture_name(out, job->options->output, i, job->request.n_items);
    return out;
}

static struct imgen_image picture_at(const struct job *job, int64_t i)
{
    int64_t h = job->models.info.height, w = job->models.info.width, c = job->models.info.channels;

    return (struct imgen_image){h, w, c, job->pixels + i * h * w * c};
}

static int write_pictures(struct job *job)
{
    struct imgen_recipe recipe;
    char path[PICTURE_NAME];
    struct imgen_error err;

    for (int64_t i = 0; i < job->request.n_items; i++) {
        struct imgen_image image = picture_at(job, i);

        if (imgen_recipe_make(&recipe, job->models.model, &job->request, i, &err) ||
            imgen_picture_write(path_of(job, i, path), &image, &recipe, &err))
            return failed(&err);
    }
    return EXIT_DONE;
}

/* All pictures on one sheet: a row for each label, or near a square when there is one label. */
static int write_grid(const struct job *job)
{
    int64_t n = job->request.n_items, length = n * job->models.info.height * job->models.info.width;
    int64_t fits, columns = job->options->batch_count;
    struct imgen_image image = {0};
    struct imgen_sheet sheet;
    struct imgen_error err;
    int code = EXIT_DONE;
    float *x;

    for (int64_t k = 1; (job->n_labels == 1 || job->prompts.n == n) && k * k <= n; k++)
        if (n % k == 0)
            columns = n / k;
    fits = SHEET_WIDTH / (columns * job->models.info.width);
    sheet = (struct imgen_sheet){n / columns,
                                 columns,
                                 job->models.info.height,
                                 job->models.info.width,
                                 job->models.info.channels,
                                 2,
                                 job->options->zoom ? job->options->zoom
                                 : fits > 1         ? fits
                                                    : 1,
                                 255};
    length *= job->models.info.channels;
    x = calloc((size_t)length, sizeof *x);
    if (!x)
        return command_broken(&command_sample, "no memory for a sheet");
    for (int64_t i = 0; i < length; i++)
        x[i] = (float)job->pixels[i] / 127.5f - 1;
    if (imgen_sheet_draw(&image, x, &sheet, &err) ||
        imgen_image_write(job->options->output, &image, &err))
        code = failed(&err);
    imgen_image_release(&image);
    free(x);
    return code;
}

/* The most memory that the process had, mapped weights included. */
static int64_t peak_bytes(void)
{
    struct rusage used;

    return getrusage(RUSAGE_SELF, &used) ? 0 : (int64_t)used.ru_maxrss * 1024;
}

static void print_result_json(const struct job *job)
{
    const struct imgen_request *r = &job->request;
    char path[PICTURE_NAME];
    struct json_out j;

    json_out_begin(&j, stdout);
    json_out_open(&j, NULL, '{');
    json_out_text(&j, "version", imgen_version());
    json_out_text(&j, "sampling_method", r->sampler);
    json_out_text(&j, "schedule", r->times ? NULL : r->schedule);
    json_out_text(&j, "precision", r->precision ? r->precision : "float32");
    json_out_text(&j, "rng", r->rng ? r->rng : "imgen");
    json_out_int(&j, "steps", r->times ? r->n_times - 1 : r->steps);
    if (job->models.classifier) {
        json_out_text(&j, "classifier",
                      job->options->solver.classifier ? job->options->solver.classifier
                                                      : job->from.recipe.classifier);
        json_out_real(&j, "classifier_scale", r->classifier_scale);
    }
    if (job->models.guide) {
        json_out_text(&j, "guide",
                      job->options->solver.guide.model ? job->options->solver.guide.model
                                                       : job->from.recipe.guide);
        json_out_text(&j, "guide_label", r->guide_label);
    }
    if (r->init) {
        json_out_text(&j, "init", r->init_name);
        json_out_text(&j, "mask", r->mask ? r->mask_name : NULL);
        json_out_real(&j, "strength", r->strength);
    }
    json_out_real(&j, "seconds", seconds_now() - job->progress.began);
    json_out_int(&j, "peak_bytes", peak_bytes());
    json_out_text(&j, "sheet", job->options->grid ? job->options->output : NULL);
    json_out_open(&j, "pictures", '[');
    for (int64_t i = 0; i < r->n_items; i++) {
        json_out_open(&j, NULL, '{');
        json_out_text(&j, "path", job->options->grid ? NULL : path_of(job, i, path));
        if (job->models.info.text_bytes) {
            json_out_text(&j, "prompt",
                          job->items[i].label < 0 ? "" : job->prompts.text[job->items[i].label]);
        } else {
            json_out_int(&j, "label", job->items[i].label);
            json_out_text(
                &j, "label_name",
                imgen_model_label(request_models_labelled(&job->models), job->items[i].label));
        }
        json_out_seed(&j, "seed", job->items[i].seed);
        json_out_real(&j, "cfg_scale", job->items[i].cfg_scale);
        json_out_close(&j);
    }
    json_out_close(&j);
    json_out_close(&j);
}

static void print_result(const struct job *job)
{
    char path[PICTURE_NAME];

    if (job->options->json) {
        print_result_json(job);
        return;
    }
    if (job->options->grid)
        puts(job->options->output);
    for (int64_t i = 0; i < job->request.n_items && !job->options->grid; i++)
        puts(path_of(job, i, path));
}

/* ---- The command ---- */

static int plan(struct job *job)
{
    const struct sample_options *o = job->options;
    const struct sample_plan_flags flags = {o->memory_limit, o->dry_run, o->json};

    return sample_plan_check(&flags, &command_sample, &job->progress, job->models.model,
                             &job->request);
}

static int make_pictures(struct job *job)
{
    struct imgen_error err;
    int code;

    say_request(job);
    if ((code = plan(job)) || job->options->dry_run)
        return code;
    if (job->options->preview && !job->models.info.previews && !job->options->preview_autoencoder)
        progress_note(&job->progress, "no previews: the autoencoder has no numbers to show latents "
                                      "by; --preview-autoencoder names a tiny one that does");
    interrupt_watch("\nstopping; Ctrl-C again quits at once\n");
    if (imgen_sample(job->models.model, &job->request, job->pixels, &err)) {
        progress_end(&job->progress);
        return failed(&err);
    }
    progress_end(&job->progress);
    if ((code = job->options->grid ? write_grid(job) : write_pictures(job)))
        return code;
    print_result(job);
    return EXIT_DONE;
}

static int run(struct job *job, int n_words, char **words)
{
    const struct sample_options *o = job->options;
    const char *word = n_words ? words[0] : NULL;
    int code;

    if (n_words > 1)
        return command_misused(&command_sample,
                               "one model at a time, not %d words (a label goes with --label)",
                               n_words);
    if (!word && !o->from)
        return command_misused(&command_sample, "which model?");
    if (!picture_name_ends(o->output))
        return command_misused(&command_sample, "--output: '%s' does not end in .png", o->output);
    progress_start(&job->progress, o->quiet);
    if ((code = open_models(job, word)))
        return code;
    imgen_request_init(&job->request, job->models.model);
    job->request.threads = (int)o->threads;
    job->request.wants_preview = (int)o->preview;
    job->request.preview_autoencoder = o->preview_autoencoder;
    job->request.progress = on_progress;
    job->request.user = job;
    job->request.classifier = job->models.classifier;
    job->request.guide = job->models.guide;
    job->request.init = job->files.init ? &job->models.init : NULL;
    job->request.mask = job->files.mask ? &job->models.mask : NULL;
    job->request.init_name = job->files.init;
    job->request.mask_name = job->files.mask;
    if ((code = choose_labels(job)) || (code = choose_seed(job)) || (code = choose_solver(job)) ||
        (code = fill_items(job)))
        return code;
    if (o->from && (code = check_models(job, word)))
        return code;
    return make_pictures(job);
}

static int cmd_sample(int argc, char **argv)
{
    struct sample_options o = {0};
    bool given[sizeof rows / sizeof *rows] = {false};
    struct job *job = calloc(1, sizeof *job);
    int n_words, code;

    if (!job)
        return command_broken(&command_sample, "no memory");
    job->options = &o;
    job->given = given;
    if (command_read(&command_sample, &o, given, argc, argv, &n_words, &code))
        code = run(job, n_words, argv + 1);
    request_models_close(&job->models);
    prompt_list_release(&job->prompts);
    free(job->items);
    free(job->pixels);
    free(job);
    imgen_options_release(rows, &o);
    return code;
}

const struct command command_sample = {
    .is = {"sample", "MODEL [flags]", "make pictures with a model", rows},
    .details =
        "Makes pictures and prints the names of their files.  Each PNG carries its recipe, from\n"
        "which --from makes the same bytes again with the model beside it (name MODEL when it\n"
        "stands elsewhere, or to try another); flags then change what the recipe says.  Ways to\n"
        "guide, and what their papers report: imgen list guidances.\n"
        "\n"
        "    imgen sample demo/model.safetensors --label \"red star\" -n 4 -o star.png\n"
        "    imgen sample demo/model.safetensors --labels \"red star,blue ring\" -n 8 --grid\n"
        "    imgen sample model.safetensors -p \"a red circle left of a blue star\" -o pair.png\n"
        "    imgen sample model.safetensors --classifier judge.safetensors --label 3 -o three.png\n"
        "    imgen sample model.safetensors --guide weak.safetensors --guide-label same --label 3\n"
        "    imgen sample --from star-002.png --cfg-scale 5 -o stronger.png\n"
        "    imgen sample model.safetensors -i photo.png --strength 0.6 -p \"in snow\" -o "
        "snow.png\n"
        "    imgen sample model.safetensors -i photo.png --mask sky.png -p \"at dusk\" -o "
        "dusk.png\n"
        "    imgen sample sd3_medium.safetensors -W 1024 -H 1024 --dry-run\n"
        "\n"
        "A picture of another program that says how it was made (\"parameters\") can be tried with "
        "a\n"
        "model here: --from PICTURE.png MODEL takes over its prompts, steps, scale, seed and "
        "sampler.",
    .run = cmd_sample,
};
