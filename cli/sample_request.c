/*
 * sample_request.c - what `imgen sample` asks of its model
 *
 * Every picture is asked for by three numbers: label, guidance scale, seed.  Where a flag is not
 * given the model's own default holds, or, with --from, what the recipe in a picture says; so
 * `--from` alone makes that picture again, and with a flag more, a relative of it.
 *
 * The same seeds serve every label: what differs between the pictures of two labels is then the
 * request alone.
 */
#include "sample.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CAPTIONS_USUAL = 32 };

static int add_label(struct sample_job *job, const char *word)
{
    struct imgen_error err;

    if (job->n_labels == SAMPLE_LABELS)
        return command_misused(&command_sample, "more than %d labels", SAMPLE_LABELS);
    if (imgen_model_find_label(request_models_labelled(&job->models), word,
                               &job->label[job->n_labels++], &err))
        return sample_failed(&err);
    return EXIT_DONE;
}

/* "red star, blue ring": blanks around a name do not count. */
static int add_labels(struct sample_job *job, const char *list)
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
static int choose_prompts(struct sample_job *job)
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
    if (!code && p->n > SAMPLE_LABELS)
        code = command_misused(&command_sample, "more than %d prompts", SAMPLE_LABELS);
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

static int choose_labels(struct sample_job *job)
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

static int choose_seed(struct sample_job *job)
{
    const char *text = job->options->seed;
    char *end;

    if (job->options->from && !sample_typed(job, "seed")) {
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

static double choose_scale(const struct sample_job *job, int label)
{
    if (sample_typed(job, "cfg_scale"))
        return job->options->solver.cfg_scale;
    if (job->options->from && job->from.recipe.item.cfg_scale >= 0)
        return job->from.recipe.item.cfg_scale;
    return solver_flags_scale(&job->models.info, job->models.guide, label);
}

static int choose_solver(struct sample_job *job)
{
    const struct sample_options *o = job->options;

    if (o->from)
        request_recipe_take(&job->from, &job->request);
    if (sample_typed(job, "strength"))
        job->request.strength = o->strength;
    return solver_flags_apply(&command_sample, job->given, &o->solver, &job->numbers,
                              &job->request);
}

static int fill_items(struct sample_job *job)
{
    int64_t each = job->options->batch_count, n = each * job->n_labels;
    size_t bytes = (size_t)sample_bytes(job);

    if (n > SAMPLE_PICTURES)
        return command_misused(&command_sample, "%" PRId64 " pictures are more than %d", n,
                               SAMPLE_PICTURES);
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

int sample_ask(struct sample_job *job)
{
    const struct sample_options *o = job->options;
    struct imgen_request *r = &job->request;
    int code;

    imgen_request_init(r, job->models.model);
    r->threads = (int)o->threads;
    r->wants_preview = (int)o->preview;
    r->preview_autoencoder = o->preview_autoencoder;
    r->classifier = job->models.classifier;
    r->guide = job->models.guide;
    r->init = job->models.init.pixels ? &job->models.init : NULL;
    r->init_clip = job->models.init_clip.pixels ? &job->models.init_clip : NULL;
    r->mask = job->files.mask ? &job->models.mask : NULL;
    r->init_name = job->files.init;
    r->mask_name = job->files.mask;
    if ((code = choose_labels(job)) || (code = choose_seed(job)) || (code = choose_solver(job)))
        return code;
    return fill_items(job);
}
