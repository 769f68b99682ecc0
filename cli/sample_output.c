/*
 * sample_output.c - what `imgen sample` leaves behind: pictures with their recipes, sheets, words
 */
#include "sample.h"

#include "json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SHEET_WIDTH = 768 };

/* ---- While it works ---- */

void sample_write_preview(struct sample_job *job, const struct imgen_progress *p)
{
    int64_t frames = p->preview_frames;
    int64_t n = p->count * frames * p->preview_height * p->preview_width * p->preview_channels;
    struct imgen_sheet sheet = {
        .rows = frames > 1 ? p->count : 1,
        .columns = frames > 1 ? frames : p->count,
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
    snprintf(path, sizeof path, "%.*s-preview.png", (int)picture_name_stem(job->options->output),
             job->options->output);
    /* A preview that cannot be written is no reason to lose the picture. */
    if (x && (imgen_sheet_draw(&image, x, &sheet, &err) || imgen_image_write(path, &image, &err)))
        progress_note(&job->progress, "no preview: %s", err.text);
    imgen_image_release(&image);
    free(x);
}

/* ---- When it is done ---- */

/* The name of picture i's file; a sheet has its own. */
static const char *path_of(const struct sample_job *job, int64_t i, char out[PICTURE_NAME])
{
    picture_name(out, job->options->output, i, job->request.n_items);
    return out;
}

static struct imgen_image picture_at(const struct sample_job *job, int64_t i)
{
    int64_t h = job->models.info.height, w = job->models.info.width, c = job->models.info.channels;

    return (struct imgen_image){h, w, c, job->pixels + i * sample_bytes(job)};
}

/* The i-th as its file: a clip, or a picture. */
static int write_one(const struct sample_job *job, int64_t i, const struct imgen_recipe *recipe)
{
    const struct imgen_image image = picture_at(job, i);
    const struct imgen_clip clip = {.frames = job->models.info.frames,
                                    .height = image.height,
                                    .width = image.width,
                                    .channels = image.channels,
                                    .rate = job->options->rate,
                                    .pixels = image.pixels};
    char path[PICTURE_NAME];
    struct imgen_error err;

    path_of(job, i, path);
    if (clip.frames > 1 ? imgen_clip_write(path, &clip, recipe, &err)
                        : imgen_picture_write(path, &image, recipe, &err))
        return sample_failed(&err);
    return EXIT_DONE;
}

static int write_pictures(struct sample_job *job)
{
    struct imgen_recipe recipe;
    struct imgen_error err;
    int code = EXIT_DONE;

    for (int64_t i = 0; i < job->request.n_items && !code; i++) {
        if (imgen_recipe_make(&recipe, job->models.model, &job->request, i, &err))
            return sample_failed(&err);
        code = write_one(job, i, &recipe);
    }
    return code;
}

/* All pictures on one sheet: a row for each label, or near a square when there is one label; of
 * clips a row for each, with its frames. */
static int write_grid(const struct sample_job *job)
{
    int64_t n = job->request.n_items, length = n * sample_bytes(job);
    int64_t frames = job->models.info.frames;
    int64_t fits, columns = job->options->batch_count;
    struct imgen_image image = {0};
    struct imgen_sheet sheet;
    struct imgen_error err;
    int code = EXIT_DONE;
    float *x;

    for (int64_t k = 1; (job->n_labels == 1 || job->prompts.n == n) && k * k <= n; k++)
        if (n % k == 0)
            columns = n / k;
    if (frames > 1) {
        columns = frames;
        n *= frames;
    }
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
    x = calloc((size_t)length, sizeof *x);
    if (!x)
        return command_broken(&command_sample, "no memory for a sheet");
    for (int64_t i = 0; i < length; i++)
        x[i] = (float)job->pixels[i] / 127.5f - 1;
    if (imgen_sheet_draw(&image, x, &sheet, &err) ||
        imgen_image_write(job->options->output, &image, &err))
        code = sample_failed(&err);
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

static void print_result_json(const struct sample_job *job)
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
    if (r->init || r->init_clip)
        json_out_text(&j, "init", r->init_name);
    if (r->init && !job->models.info.first_frame) {
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

static void print_result(const struct sample_job *job)
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

int sample_write(struct sample_job *job)
{
    int code = job->options->grid ? write_grid(job) : write_pictures(job);

    if (!code)
        print_result(job);
    return code;
}
