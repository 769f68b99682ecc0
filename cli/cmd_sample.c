/*
 * cmd_sample.c - make pictures
 *
 * The command from end to end: flags, models, request, work, result.  Each has a file of its own;
 * here they are called in order, and a person is told how far it is.
 */
#include "sample.h"

#include "interrupt.h"
#include "sample_plan.h"
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sample_typed(const struct sample_job *job, const char *flag)
{
    return command_given(&command_sample, job->given, flag);
}

int sample_failed(const struct imgen_error *err)
{
    return command_failed(&command_sample, err);
}

int64_t sample_bytes(const struct sample_job *job)
{
    const struct imgen_model_info *m = &job->models.info;

    return (int64_t)(m->frames ? m->frames : 1) * m->height * m->width * m->channels;
}

/* ---- While it works ---- */

static void say_phase(struct sample_job *job, const struct imgen_progress *p)
{
    int64_t last = p->first + p->count;
    double took = seconds_now() - job->stepping;
    char left[UNITS_ROOM], steps[24] = "";

    if (p->steps)
        snprintf(steps, sizeof steps, "/%d", p->steps);
    if (p->phase == IMGEN_READING)
        progress_say(&job->progress, "reading the prompt  %3.0f %%", 100 * p->share);
    else if (p->phase == IMGEN_ENCODING)
        progress_say(&job->progress, "encoding %s  %3.0f %%",
                     job->models.init_clip.pixels ? "the clip" : "the picture", 100 * p->share);
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
    struct sample_job *job = user;

    if (!(p->done > 0))
        job->stepping = seconds_now();
    if (p->preview)
        sample_write_preview(job, p);
    if (progress_due(&job->progress, p->done >= 1 && p->share >= 1))
        say_phase(job, p);
    return !interrupt_asked();
}

static void say_request(struct sample_job *job)
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
    if (r->init_clip || (r->init && job->models.info.first_frame))
        progress_note(&job->progress, r->init ? "beginning with %s" : "of the clip %s",
                      r->init_name);
    else if (r->init)
        progress_note(&job->progress, "of the picture %s, strength %g%s%s", r->init_name,
                      r->strength, r->mask ? ", under the mask " : "", r->mask ? r->mask_name : "");
}

/* ---- The command ---- */

static int plan(struct sample_job *job)
{
    const struct sample_options *o = job->options;
    const struct sample_plan_flags flags = {o->memory_limit, o->dry_run, o->json};

    return sample_plan_check(&flags, &command_sample, &job->progress, job->models.model,
                             &job->request);
}

static int make_pictures(struct sample_job *job)
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
        return sample_failed(&err);
    }
    progress_end(&job->progress);
    return sample_write(job);
}

/* What is no name of anything, which needs no model to see.  One without an ending is a folder's.
 */
static int check_name(const char *name)
{
    struct imgen_error err;

    if (strlen(name) >= PICTURE_NAME - 64)
        return command_misused(&command_sample, "--output: a name of %zu letters", strlen(name));
    if (imgen_clip_named(name) && imgen_clip_check(name, &err))
        return sample_failed(&err);
    if (imgen_clip_named(name) || picture_name_ends(name) || !name[picture_name_stem(name)])
        return EXIT_DONE;
    return command_misused(&command_sample,
                           "--output: '%s' ends in none of .png and, for clips, .webp, .apng, "
                           ".y4m, .mp4 and .webm",
                           name);
}

/* Pictures are PNGs; clips are what their name says. */
static int check_output(const struct sample_job *job)
{
    const char *name = job->options->output;
    bool clips = job->models.info.frames > 1 && !job->options->grid;

    if (clips || picture_name_ends(name))
        return EXIT_DONE;
    return command_misused(&command_sample, "--output: '%s' does not end in .png", name);
}

static int run(struct sample_job *job, int n_words, char **words)
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
    if ((code = check_name(o->output)))
        return code;
    progress_start(&job->progress, o->quiet);
    if ((code = sample_open(job, word)) || (code = check_output(job)))
        return code;
    if ((code = sample_ask(job)) || (o->from && (code = sample_check(job, word))))
        return code;
    job->request.progress = on_progress;
    job->request.user = job;
    return make_pictures(job);
}

static int cmd_sample(int argc, char **argv)
{
    struct sample_options o = {0};
    struct sample_job *job = calloc(1, sizeof *job);
    int n_words, code;

    if (!job)
        return command_broken(&command_sample, "no memory");
    job->options = &o;
    if (command_read(&command_sample, &o, job->given, argc, argv, &n_words, &code))
        code = run(job, n_words, argv + 1);
    request_models_close(&job->models);
    prompt_list_release(&job->prompts);
    free(job->items);
    free(job->pixels);
    free(job);
    imgen_options_release(sample_rows, &o);
    return code;
}

const struct command command_sample = {
    .is = {"sample", "MODEL [flags]", "make pictures with a model", sample_rows},
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
        "    imgen sample movie.safetensors -p \"a red circle moves left\" --frames 16 -o "
        "red.webp\n"
        "    imgen sample movie.safetensors -p \"a red circle moves left\" -i first.png -o "
        "red.webp\n"
        "    imgen sample upsampler.safetensors -i red.webp -o large.webp\n"
        "    imgen sample movie.safetensors -p \"a red circle moves left\" --frames 64 --tile -o "
        "long.webp\n"
        "    imgen sample --from star-002.png --cfg-scale 5 -o stronger.png\n"
        "    imgen sample sd3.5_medium.safetensors -p \"a hand\" --cfg-scale 4 --skip-layers "
        "7,8,9\n"
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
