/*
 * picture_source.c - sets of pictures from wherever they may come
 *
 * A folder is read as training would read it, a configuration names a set that training knows, and
 * a model is asked for pictures: all labels in turn, so that a set of any size is balanced, and
 * each picture with a seed of its own.  All become 8-bit pictures in memory, so that a model's
 * pictures measure the same whether they were drawn just now or stand in files.
 *
 * Of a set that has more than is wanted, different pictures are drawn from the seed: the first ones
 * of a folder would all be of one class.
 */
#include "picture_source.h"

#include "interrupt.h"
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { AT_ONCE = 1024, SETTING = 5000, SETTINGS_MAX = 4096 };

static bool ends(const char *word, const char *ending)
{
    size_t n = strlen(word), m = strlen(ending);

    return n >= m && !strcmp(word + n - m, ending);
}

/* A file that is no model of ours is told of when it is opened as one. */
static bool is_autoencoder(const char *path)
{
    struct imgen_model_info info = {0};
    struct imgen_model *m = NULL;

    if (!imgen_model_open(&m, path, NULL))
        imgen_model_info(m, &info);
    imgen_model_close(m);
    return info.factor > 0;
}

enum source_kind source_kind_of(const struct command *c, const char *word)
{
    struct stat st;
    bool there = !stat(word, &st);

    if (there && S_ISDIR(st.st_mode))
        return SOURCE_FOLDER;
    if (ends(word, ".ini"))
        return SOURCE_SET;
    if (ends(word, ".safetensors"))
        return is_autoencoder(word) ? SOURCE_AUTOENCODER : SOURCE_MODEL;
    command_misused(c, "%s is no %s", word,
                    there ? "folder, configuration (.ini) or model (.safetensors)"
                          : "such folder or file");
    return SOURCE_NONE;
}

void source_release(struct picture_source *s)
{
    request_models_close(&s->models);
    prompt_list_release(&s->prompts);
    imgen_data_close(s->data);
    free(s->pixels);
    free(s->originals);
    free(s->label);
    free(s->number);
    free(s->names);
    *s = (struct picture_source){0};
}

static int allocate(struct picture_source *s, const struct source_wish *w)
{
    struct imgen_pictures *p = &s->pictures;
    size_t length = (size_t)(p->frames > 1 ? p->frames : 1) * (size_t)p->height * (size_t)p->width *
                    (size_t)p->channels;

    s->pixels = calloc((size_t)p->n, length);
    s->label = calloc((size_t)p->n, sizeof *s->label);
    s->number = calloc((size_t)p->n, sizeof *s->number);
    s->names = calloc((size_t)p->n_labels + 1, sizeof *s->names);
    if (!s->pixels || !s->label || !s->number || !s->names)
        return command_broken(w->command, "no memory for %" PRId64 " pictures of %d x %d", p->n,
                              p->width, p->height);
    p->pixels = s->pixels;
    p->label = p->n_labels ? s->label : NULL;
    return EXIT_DONE;
}

/* ---- Folders and sets ---- */

static int open_set(struct picture_source *s, const struct source_wish *w)
{
    static const char *const named[] = {"data.size", "data.channels", "data.frames"};
    int64_t value[] = {w->size, w->channels, w->frames};
    const char **settings = calloc((size_t)w->settings.n + 5, sizeof *settings);
    char text[5][SETTING];
    struct imgen_training t = {.settings = settings};
    struct imgen_error err;
    int n = 0, code = EXIT_DONE;

    if (!settings)
        return command_broken(w->command, "no memory");
    if (s->kind == SOURCE_SET) {
        t.config = w->word;
        for (int i = 0; i < w->settings.n; i++)
            settings[t.n_settings++] = w->settings.at[i];
    } else {
        snprintf(text[n], SETTING, "data.format=folder");
        settings[t.n_settings++] = text[n++];
        snprintf(text[n], SETTING, "data.path=%s", w->word);
        settings[t.n_settings++] = text[n++];
    }
    for (int i = 0; i < 3; i++)
        if (value[i]) {
            snprintf(text[n], SETTING, "%s=%" PRId64, named[i], value[i]);
            settings[t.n_settings++] = text[n++];
        }
    if ((w->held_out ? imgen_data_open_held_out : imgen_data_open)(&s->data, &t, &err))
        code = command_failed(w->command, &err);
    free(settings);
    return code;
}

static void describe_set(struct picture_source *s, const struct source_wish *w,
                         const struct imgen_data_info *d)
{
    char all[32] = "endless";

    if (d->count != INT64_MAX)
        snprintf(all, sizeof all, "%" PRId64, d->count);
    snprintf(s->about, sizeof s->about, "%.200s, %s, %" PRId64 " of %s pictures, seed %" PRIu64,
             w->word,
             s->kind == SOURCE_FOLDER ? "folder"
             : w->held_out            ? "held-out pictures"
                                      : "training pictures",
             s->pictures.n, all, w->seed);
    s->resize = s->kind == SOURCE_FOLDER ? "shorter side scaled (bicubic, antialiased), centre cut"
                : w->size                ? "to data.size, as training does"
                                         : "none";
}

static int read_set(struct picture_source *s, const struct source_wish *w)
{
    struct imgen_data_info d;
    struct imgen_error err;
    int code;

    if ((code = open_set(s, w)))
        return code;
    imgen_data_info(s->data, &d);
    s->pictures = (struct imgen_pictures){.n = w->count,
                                          .height = d.height,
                                          .width = d.width,
                                          .channels = d.channels,
                                          .n_labels = d.n_labels,
                                          .frames = d.frames};
    if (!w->count)
        s->pictures.n = d.count == INT64_MAX ? SOURCE_USUAL : d.count;
    if (s->pictures.n > d.count)
        return command_misused(w->command,
                               "%s: %" PRId64 " pictures are wanted, and there are %" PRId64,
                               w->word, s->pictures.n, d.count);
    if ((code = allocate(s, w)))
        return code;
    for (int i = 0; i < d.n_labels; i++)
        s->names[i] = imgen_data_label(s->data, i);
    s->pictures.label_names = s->names;
    if (imgen_data_draw(s->data, w->seed, s->pictures.n, s->pixels, s->label, s->number, &err))
        return command_failed(w->command, &err);
    describe_set(s, w, &d);
    return EXIT_DONE;
}

/* ---- Models ---- */

struct drawing {
    const struct source_wish *wish;
    int64_t first, n, at_once; /* of this call, in all; of a call at most */
    double began;
};

static int on_progress(const struct imgen_progress *p, void *user)
{
    const struct drawing *d = user;
    double done = ((double)d->first + p->done * (double)p->n) / (double)d->n;
    char left[UNITS_ROOM];

    if (progress_due(d->wish->progress, done >= 1))
        progress_say(d->wish->progress,
                     "drawing picture %" PRId64 "/%" PRId64 "  %3.0f %%   ETA %s",
                     d->first + p->first + p->count, d->n, 100 * done,
                     units_seconds(left, (seconds_now() - d->began) / done * (1 - done)));
    return !interrupt_asked();
}

/* Item i of the set: labels or prompts in turn, a seed each. */
static struct imgen_item item_at(const struct picture_source *s, const struct source_wish *w,
                                 int label, int64_t i)
{
    struct imgen_item item = {.label = label, .seed = w->seed + (uint64_t)i};

    if (s->prompts.n)
        item.label = (int)(i % s->prompts.n);
    else if (!w->label && s->pictures.n_labels)
        item.label = (int)(i % s->pictures.n_labels);
    item.cfg_scale = w->scale(&s->models, item.label, w->user);
    return item;
}

/* What a picture is known to show if it does as it was asked; -1: nobody can say. */
static int meaning(const struct picture_source *s, int label)
{
    if (s->prompts.n)
        return s->prompts.label[label];
    return label < s->pictures.n_labels ? label : -1;
}

/* Of a model that is told of clips: picture i of an original, which frees what is made of it. */
static int draw_given(struct picture_source *s, const struct source_wish *w,
                      const struct imgen_model_info *m, struct imgen_request *r, int64_t i)
{
    int64_t length = (int64_t)m->frames * m->height * m->width * m->channels;
    const struct imgen_clip original = {.frames = m->frames,
                                        .height = m->height,
                                        .width = m->width,
                                        .channels = m->channels,
                                        .pixels = s->originals + i * length};
    const struct imgen_image first = {m->height, m->width, m->channels, s->originals + i * length};
    struct imgen_clip small = {0};
    struct imgen_error err;
    int code = EXIT_DONE;

    r->init = m->upscale ? NULL : &first;
    r->init_clip = m->upscale ? &small : NULL;
    if ((m->upscale && imgen_clip_resize(&small, &original, m->height / m->upscale,
                                         m->width / m->upscale, "bicubic", &err)) ||
        (!i && imgen_recipe_make(&s->recipe, s->models.model, r, 0, &err)) ||
        imgen_sample(s->models.model, r, s->pixels + i * length, &err)) {
        progress_end(w->progress);
        code = command_failed(w->command, &err);
    }
    imgen_clip_release(&small);
    return code;
}

static int draw_some(struct picture_source *s, const struct source_wish *w,
                     const struct imgen_model_info *m, int label, struct imgen_request *r,
                     struct drawing *d)
{
    int64_t length = (int64_t)m->frames * m->height * m->width * m->channels;
    struct imgen_item items[AT_ONCE];
    struct imgen_error err;

    r->items = items;
    r->n_items = d->n - d->first < d->at_once ? d->n - d->first : d->at_once;
    for (int64_t i = 0; i < r->n_items; i++) {
        items[i] = item_at(s, w, label, d->first + i);
        s->number[d->first + i] = d->first + i;
        s->label[d->first + i] = meaning(s, items[i].label);
    }
    if (s->originals)
        return draw_given(s, w, m, r, d->first);
    if (!d->first && imgen_recipe_make(&s->recipe, s->models.model, r, 0, &err))
        return command_failed(w->command, &err);
    if (imgen_sample(s->models.model, r, s->pixels + d->first * length, &err)) {
        progress_end(w->progress);
        return command_failed(w->command, &err);
    }
    return EXIT_DONE;
}

static int draw_all(struct picture_source *s, const struct source_wish *w,
                    const struct imgen_model_info *m, int label)
{
    struct drawing d = {.wish = w,
                        .n = s->pictures.n,
                        .at_once = s->originals ? 1 : AT_ONCE,
                        .began = seconds_now()};
    struct imgen_request r;
    int code;

    imgen_request_init(&r, s->models.model);
    r.threads = (int)w->threads;
    r.progress = on_progress;
    r.user = &d;
    r.classifier = s->models.classifier;
    r.guide = s->models.guide;
    r.prompts = s->prompts.text;
    r.n_prompts = (int)s->prompts.n;
    if ((code = w->solver(&r, w->user)))
        return code;
    for (; d.first < d.n && !code; d.first += d.at_once)
        code = draw_some(s, w, m, label, &r, &d);
    progress_end(w->progress);
    return code;
}

static void describe_model(struct picture_source *s, const struct source_wish *w)
{
    const struct imgen_recipe *r = &s->recipe;
    char classifier[160] = "", guide[160] = "";

    if (s->models.classifier)
        snprintf(classifier, sizeof classifier,
                 ", classifier %.60s (sha256 %.12s...) with scale %g", r->classifier,
                 r->classifier_hash, r->classifier_scale);
    if (s->models.guide)
        snprintf(guide, sizeof guide, ", guide %.60s (sha256 %.12s...) asked for the label %s",
                 r->guide, r->guide_hash, strcmp(r->guide_label, "same") ? "none" : "itself");
    snprintf(s->about, sizeof s->about,
             "%.120s (sha256 %.12s...), %.40s, %d steps, schedule %.40s, guidance %g%s%s, %s%.40s, "
             "seeds from %" PRIu64,
             w->word, r->hash, r->sampler, r->n_times ? r->n_times - 1 : r->steps,
             r->n_times ? "given" : r->schedule, r->item.cfg_scale, classifier, guide,
             s->prompts.n            ? "prompts of "
             : !s->pictures.n_labels ? "no labels"
             : w->label              ? "label "
                                     : "all labels in turn",
             s->prompts.n ? w->prompts
             : w->label   ? w->label
                          : "",
             w->seed);
    s->resize = "none";
}

/* Captions of a labelled set bring its labels with them. */
static int read_prompts(struct picture_source *s, const struct source_wish *w,
                        struct imgen_model_info *m)
{
    struct imgen_data_info d = {0};
    int code;

    if (!m->text_bytes)
        return w->prompts ? command_misused(w->command, "%s reads no texts", w->word) : EXIT_DONE;
    if (!w->prompts || w->label)
        return command_misused(w->command, "%s reads texts: which --prompts?", w->word);
    if ((code = prompt_list_read(&s->prompts, w->command, w->prompts, &w->settings,
                                 w->count ? w->count : SOURCE_USUAL)))
        return code;
    if (s->prompts.data)
        imgen_data_info(s->prompts.data, &d);
    m->n_labels = d.n_labels;
    return EXIT_DONE;
}

/* What label i is called. */
static const char *label_name(const struct picture_source *s, int i)
{
    if (s->prompts.data)
        return imgen_data_label(s->prompts.data, i);
    return imgen_model_label(request_models_labelled(&s->models), i);
}

/* The clips that a model is given something of: those whose captions it is asked for. */
static int read_originals(struct picture_source *s, const struct source_wish *w,
                          const struct imgen_model_info *m)
{
    int64_t length = (int64_t)m->frames * m->height * m->width * m->channels;
    struct imgen_data_info d = {0};
    struct imgen_error err;
    float *x;
    int label, code = EXIT_DONE;

    if (!m->upscale && !w->given)
        return EXIT_DONE;
    if (!m->upscale && !m->first_frame)
        return command_misused(w->command, "--given: %s is told of no clips", w->word);
    if (!s->prompts.data)
        return command_misused(w->command,
                               "%s is told of clips: of which configuration's? --prompts names it",
                               w->word);
    imgen_data_info(s->prompts.data, &d);
    if (d.height != m->height || d.width != m->width || d.channels != m->channels ||
        (d.frames > 1 ? d.frames : 1) != m->frames)
        return command_misused(w->command,
                               "%s has clips of %d frames of %d x %d, and the model makes them of "
                               "%d frames of %d x %d",
                               w->prompts, d.frames, d.width, d.height, m->frames, m->width,
                               m->height);
    s->originals = calloc((size_t)s->pictures.n, (size_t)length);
    x = calloc((size_t)length, sizeof *x);
    if (!s->originals || !x)
        code = command_broken(w->command, "no memory for %" PRId64 " clips", s->pictures.n);
    for (int64_t i = 0; i < s->pictures.n && !code; i++) {
        if (imgen_data_get(s->prompts.data, i % s->prompts.n, x, &label, NULL, &err))
            code = command_failed(w->command, &err);
        for (int64_t k = 0; k < length && !code; k++)
            s->originals[i * length + k] = (uint8_t)((x[k] + 1) * 127.5f + 0.5f);
    }
    free(x);
    return code;
}

static int read_model(struct picture_source *s, const struct source_wish *w)
{
    const struct model_files files = {.model = w->word,
                                      .classifier = w->classifier,
                                      .guide = w->guide,
                                      .autoencoder = w->autoencoder};
    const struct imgen_model *of;
    struct imgen_model_info m, labels;
    struct imgen_error err;
    int label = -1, code;

    if ((code = request_models_open(&s->models, w->command, &files)))
        return code;
    m = s->models.info;
    of = request_models_labelled(&s->models);
    imgen_model_info(of, &labels);
    m.n_labels = labels.n_labels;
    if ((code = read_prompts(s, w, &m)))
        return code;
    if (w->label && imgen_model_find_label(of, w->label, &label, &err))
        return command_failed(w->command, &err);
    s->pictures = (struct imgen_pictures){.n = w->count ? w->count : SOURCE_USUAL,
                                          .height = m.height,
                                          .width = m.width,
                                          .channels = m.channels,
                                          .n_labels = m.n_labels,
                                          .frames = m.frames};
    if ((code = allocate(s, w)))
        return code;
    for (int i = 0; i < m.n_labels; i++)
        s->names[i] = label_name(s, i);
    if (m.n_labels && s->names[0])
        s->pictures.label_names = s->names;
    if (!(code = read_originals(s, w, &m)) && !(code = draw_all(s, w, &m, label)))
        describe_model(s, w);
    return code;
}

int source_read(struct picture_source *s, const struct source_wish *w)
{
    *s = (struct picture_source){.word = w->word, .kind = source_kind_of(w->command, w->word)};
    if (s->kind == SOURCE_NONE)
        return EXIT_MISUSED;
    return s->kind == SOURCE_MODEL ? read_model(s, w) : read_set(s, w);
}
