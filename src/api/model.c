/*
 * model.c - models and sampling for users of the library
 *
 * An open model is read-only: each call of imgen_sample brings its own tape and memory, so calls
 * may run side by side on one model.  The autoencoder of a latent one is looked for when it is
 * opened, and opened for each call; that it is missing is no reason not to look inside the model,
 * and is told when pictures are asked for.
 */
#include "api/api.h"

#include "base/hash.h"
#include "base/memory.h"
#include "pipeline/forecast.h"
#include "pipeline/generate.h"
#include "pipeline/latent_decoder.h"
#include "pipeline/match.h"
#include "pipeline/picture.h"
#include "pipeline/sd3.h"
#include "pipeline/windows.h"
#include "text/unicode.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Where it stands, NULL: any name without a slash. */
static enum status folder_of(char **out, const char *path, struct error *err)
{
    enum status st = mem_text(out, path, err);
    char *slash = st ? NULL : strrchr(*out, '/');

    if (slash)
        slash[slash == *out] = 0;
    else if (!st)
        strcpy(*out, *path ? "." : "");
    return st;
}

static enum status find_autoencoder(struct imgen_model *m, const char *named, struct error *err)
{
    char *folder;
    enum status st;

    if ((st = folder_of(&folder, m->path, err)))
        return st;
    st = autoencoder_find(m->model->space, folder, named, err);
    free(folder);
    return st;
}

/* What is missing may still be named. */
static enum status look_for_autoencoder(struct imgen_model *m, struct error *err)
{
    enum status st;

    if (!m->model->space)
        return OK;
    st = find_autoencoder(m, NULL, &m->missing);
    if (st == E_MEMORY)
        return fail(err, st, "%s", m->missing.text);
    return OK;
}

/* Other places for what a model of ours reads its prompts by. */
static enum status choose_encoders(struct model *m, const struct imgen_parts *p, struct error *err)
{
    struct text_encoders *e = m->encoders;
    const struct {
        char **to;
        const char *path;
    } given[] = {{&e->clip_l, p->clip_l},
                 {&e->clip_g, p->clip_g},
                 {&e->t5, p->t5xxl},
                 {&e->merges, p->merges},
                 {&e->spiece, p->spiece}};

    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        char *path;
        enum status st;

        if (!given[i].path || (!*given[i].path && !*given[i].to))
            continue;
        if (!*given[i].path)
            return fail(err, E_ARG, "the model was trained with its encoders: all are needed");
        if ((st = mem_text(&path, given[i].path, err)))
            return st;
        free(*given[i].to);
        *given[i].to = path;
    }
    return p->no_t5 ? fail(err, E_ARG, "the model was trained with its encoders: all are needed")
                    : OK;
}

static enum status open_model(struct imgen_model *m, const char *path,
                              const struct imgen_parts *parts, struct error *err)
{
    const struct imgen_parts none = {0}, *p = parts ? parts : &none;
    const struct sd3_parts where = {p->clip_l, p->clip_g, p->t5xxl,     p->autoencoder,
                                    p->merges, p->spiece, p->no_t5 != 0};
    bool encoders = p->clip_l || p->clip_g || p->t5xxl || p->merges || p->spiece || p->no_t5 != 0;
    enum status st;

    if ((st = mem_text(&m->path, path, err)))
        return st;
    for (size_t n = strlen(m->path); n > 1 && m->path[n - 1] == '/'; n--)
        m->path[n - 1] = 0; /* a folder's name ends in a word */
    if (sd3_is(path) || (encoders && model_load(&m->model, path, NULL)))
        return sd3_open(&m->model, path, &where, err);
    if (!m->model && (st = model_load(&m->model, path, err)))
        return st;
    if (encoders && !m->model->encoders)
        return fail(err, E_ARG, "%s: reads no encoded texts, and needs no encoder", path);
    if (encoders && (st = choose_encoders(m->model, p, err)))
        return st;
    if (!p->autoencoder)
        return look_for_autoencoder(m, err);
    if (!m->model->space)
        return fail(err, E_ARG, "%s: makes pixels, and needs no autoencoder", path);
    if ((st = find_autoencoder(m, p->autoencoder, err)))
        fail_under(err, "%s", path);
    return st;
}

static enum imgen_status open_any(struct imgen_model **out, const char *path,
                                  const struct imgen_parts *parts, struct imgen_error *err)
{
    struct imgen_model *m = NULL;
    struct error e = {0};
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&m, 1, sizeof *m, "a model", &e)) ||
        (st = open_model(m, path, parts, &e)) || (st = model_parts_find(&m->parts, m->model, &e)))
        imgen_model_close(m);
    else
        *out = m;
    return api_status(err, &e, st);
}

enum imgen_status imgen_model_open(struct imgen_model **out, const char *path,
                                   struct imgen_error *err)
{
    return open_any(out, path, NULL, err);
}

enum imgen_status imgen_model_open_parts(struct imgen_model **out, const char *path,
                                         const struct imgen_parts *parts, struct imgen_error *err)
{
    return open_any(out, path, parts, err);
}

enum imgen_status imgen_model_resize(struct imgen_model *model, int width, int height,
                                     struct imgen_error *err)
{
    const struct latent_space *s = model->model->space;
    int64_t factor = s && s->factor ? s->factor : 1;
    struct error e = {0};
    enum status st;

    if (width <= 0 || height <= 0 || width % factor || height % factor)
        st = fail(&e, E_ARG, "pictures of %d x %d: sides are multiples of %" PRId64, width, height,
                  factor);
    else if ((st = windows_resize(model->model, height / factor, width / factor, &e)) && factor > 1)
        fail_under(&e, "pictures of %d x %d pixels, %" PRId64 " a side of the network's", width,
                   height, factor);
    return api_status(err, &e, st);
}

enum imgen_status imgen_model_tile(struct imgen_model *model, double overlap,
                                   struct imgen_error *err)
{
    struct error e = {0};
    enum status st = windows_allow(model->model, overlap, &e);

    if (st)
        fail_under(&e, "%s", model->path);
    return api_status(err, &e, st);
}

enum imgen_status imgen_model_set_frames(struct imgen_model *model, int frames,
                                         struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, model_set_frames(model->model, frames, &e));
}

static enum status add_lora(struct imgen_model *m, const char *path, double weight,
                            struct error *err)
{
    struct api_lora *to = &m->lora[m->n_loras];
    enum status st;

    if (m->n_loras == IMGEN_LORAS)
        return fail(err, E_ARG, "%s: one adapter more than %d", path, IMGEN_LORAS);
    if ((st = hash_file(to->hash, path, err)) || (st = mem_text(&to->path, path, err)))
        return st;
    if ((st = model_adapt(m->model, path, weight, err))) {
        free(to->path);
        return st;
    }
    to->weight = weight;
    m->n_loras++;
    return OK;
}

enum imgen_status imgen_model_add_lora(struct imgen_model *model, const char *path, double weight,
                                       struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, add_lora(model, path, weight, &e));
}

void imgen_model_close(struct imgen_model *model)
{
    if (!model)
        return;
    model_free(model->model);
    model_parts_release(&model->parts);
    for (int i = 0; i < model->n_loras; i++)
        free(model->lora[i].path);
    free(model->path);
    free(model);
}

enum imgen_status imgen_model_use_autoencoder(struct imgen_model *model, const char *path,
                                              struct imgen_error *err)
{
    struct error e = {0};
    enum status st;

    if (model->model->space && model->model->space->published)
        st = path ? fail(&e, E_ARG, "%s: has its autoencoder already", model->path) : OK;
    else if (!model->model->space)
        st = path ? fail(&e, E_ARG, "%s: makes pixels, and needs no autoencoder", model->path) : OK;
    else
        st = find_autoencoder(model, path, &e);
    model->missing = e;
    if (st)
        fail_under(&e, "%s", model->path);
    return api_status(err, &e, st);
}

void imgen_model_info(const struct imgen_model *model, struct imgen_model_info *out)
{
    const struct model *m = model->model;
    const struct network_io *io = &m->network->io;
    const struct latent_space *s = m->space;
    const struct view_shape shape = view_shape(m, false);

    *out = (struct imgen_model_info){
        .height = (int)shape.height,
        .width = (int)shape.width,
        .channels = (int)shape.channels,
        .frames = (int)shape.frames,
        .videos = io->frames != 0 && !io->factor,
        .first_frame = io->first_frame > 0,
        .upscale = (int)io->upscale,
        .latent_height = s ? (int)io->height : 0,
        .latent_width = s ? (int)io->width : 0,
        .latent_channels = s ? (int)io->in_channels : 0,
        .autoencoder = s ? s->found ? s->found : s->file : NULL,
        .autoencoder_hash = s ? s->hash : NULL,
        .previews = !s || s->previews,
        .n_labels = (int)io->n_classes,
        .text_bytes = io->context_width ? UNICODE_TEXT_BYTES
                      : io->text_length ? (int)io->text_length - 1
                                        : 0,
        .guided = network_asks_for_nothing(io),
        .classifies = io->classifies,
        .clean = io->clean,
        .null_label = io->null_label,
        .weights = params_weights(m->network->params),
        .step = m->step,
        .network = m->network->kind->name,
        .path = m->path.kind->is.name,
        .prediction = prediction_at(m->options.prediction)->name,
        .second = model_second_name(m->options.second),
        .heads = use_heads_name(m->sample.heads),
        .clip = clip_when_name(m->sample.clip),
        .about = m->about,
        .sampler = sampler_at(m->sample.sampler)->is.name,
        .schedule = grid_kind_at(m->sample.schedule)->is.name,
        .shift = m->sample.shift,
        .cfg_scale = m->sample.cfg_scale,
        .steps = (int)m->sample.steps,
        .n_attention = io->n_attention,
        .middle = io->middle,
        .n_middle = io->n_middle,
        .n_skippable = io->n_skippable,
    };
    if (!io->factor)
        return;
    out->factor = (int)io->factor;
    out->code_channels = (int)io->latent_channels;
    out->n_latent_scale = io->scale->n;
    out->n_latent_shift = io->shift->n;
    out->n_latent_preview = io->preview->n;
    out->latent_scale = io->scale->at;
    out->latent_shift = io->shift->at;
    out->latent_preview = io->preview->at;
}

int imgen_model_part(const struct imgen_model *model, int i, struct imgen_model_part *out)
{
    const struct model_parts *p = &model->parts;

    if (i < 0 || i >= p->n)
        return 0;
    *out = (struct imgen_model_part){p->at[i].role, p->at[i].path};
    return 1;
}

const char *imgen_model_label(const struct imgen_model *model, int i)
{
    const struct model *m = model->model;

    return m->labels && i >= 0 && i < m->network->io.n_classes ? m->labels[i] : NULL;
}

enum imgen_status imgen_model_find_label(const struct imgen_model *model, const char *word,
                                         int *out, struct imgen_error *err)
{
    struct error e = {0};
    int32_t label = 0;
    enum status st = model_find_label(model->model, word, &label, &e);

    *out = label;
    return api_status(err, &e, st);
}

/* --- sampling -----------------------------------------------------------------------------------
 */

struct telling {
    imgen_number_callback *tell;
    void *user;
};

static void tell_number(const char *section, const char *of, const struct option *row, void *user)
{
    const struct telling *to = user;
    const struct imgen_number number = {section, of, row->name, row->help,
                                        row->fallback ? row->fallback : ""};

    to->tell(&number, to->user);
}

void imgen_numbers(imgen_number_callback *tell, void *user)
{
    struct telling to = {tell, user};

    settings_each(tell_number, &to);
}

void imgen_request_init(struct imgen_request *r, const struct imgen_model *model)
{
    struct imgen_model_info info;

    imgen_model_info(model, &info);
    *r = (struct imgen_request){
        .sampler = info.sampler,
        .schedule = info.schedule,
        .shift = info.shift,
        .steps = info.steps,
        .classifier_scale = 1,
        .strength = 0.75,
        .guide_label = guide_label_name(GUIDE_NONE),
        .heads = info.heads,
        .clip = info.clip,
    };
}

struct relay {
    const struct imgen_request *r;
    const struct network_io *io;
};

/* A latent model without its autoencoder makes nothing. */
static enum status check_found(const struct imgen_model *m, struct error *err)
{
    if (!m->model->space || m->model->space->found)
        return OK;
    return fail(err, m->missing.status ? m->missing.status : E_IO, "%s: %s", m->path,
                m->missing.text);
}

_Static_assert((int)IMGEN_READING == (int)PHASE_READING && (int)IMGEN_STEP == (int)PHASE_STEP &&
                   (int)IMGEN_DECODING == (int)PHASE_DECODING,
               "phases have the same numbers");

static bool relay(const struct generate_progress *p, void *user)
{
    const struct relay *to = user;
    struct imgen_progress out = {
        .phase = (enum imgen_phase)p->phase,
        .share = p->share,
        .first = p->first,
        .count = p->count,
        .n = p->n,
        .step = p->step,
        .steps = p->steps,
        .t = p->t,
        .done = p->done,
        .height = (int)to->io->height,
        .width = (int)to->io->width,
        .channels = (int)to->io->in_channels,
        .frames = to->io->frames ? (int)to->io->frames : 1,
        .state = p->x,
        .preview = p->preview,
        .preview_height = (int)p->shape.height,
        .preview_width = (int)p->shape.width,
        .preview_channels = (int)p->shape.channels,
        .preview_frames = (int)p->shape.frames,
    };

    return to->r->progress(&out, to->r->user) != 0;
}

/* Names become numbers of descriptors. */
static enum status settings_of(const struct imgen_request *r, struct sample_defaults *out,
                               struct error *err)
{
    struct option_group group = {"", sample_option_rows, out, NULL};
    struct option_set set = {&group, 1};
    enum status st;

    if ((st = options_default(&set, err)) ||
        (r->sampler && (st = options_set(&set, "sampling_method", r->sampler, err))) ||
        (r->schedule && (st = options_set(&set, "schedule", r->schedule, err))) ||
        (r->heads && (st = options_set(&set, "heads", r->heads, err))) ||
        (r->clip && (st = options_set(&set, "clip", r->clip, err))))
        return st;
    if (r->steps < 1 || r->steps > STEPS_MAX)
        return fail(err, E_ARG, "%d steps are not 1 to %d", r->steps, STEPS_MAX);
    out->shift = r->shift;
    out->steps = r->steps;
    return OK;
}

static enum status precision_of(const struct imgen_request *r, enum precision *out,
                                struct error *err)
{
    const char *name = r->precision ? r->precision : precision_name(PRECISION_FLOAT32);

    for (int i = 0; precision_name(i); i++) {
        if (strcmp(name, precision_name(i)))
            continue;
        *out = (enum precision)i;
        return OK;
    }
    return fail(err, E_ARG, "precision: '%.40s' is not float32, bf16 or int8", name);
}

static enum status rng_of(const struct imgen_request *r, enum start_rng *out, struct error *err)
{
    int i = START_IMGEN;
    enum status st = r->rng ? choice_find(&i, "generator of noise", r->rng, start_rng_at, err) : OK;

    *out = (enum start_rng)i;
    return st;
}

/* Two files are told apart by their names. */
static enum status guide_of(const struct imgen_model *model, const struct imgen_request *r,
                            struct generate_request *out, struct error *err)
{
    enum status st;

    if (!r->guide)
        return OK;
    out->guide = r->guide->model;
    if (r->guide_label && (st = guide_label_find(&out->guide_label, r->guide_label, err)))
        return st;
    if ((st = models_match(out->guide, "guide", out->model, err)))
        fail_under(err, "%s guided by %s", model->path, r->guide->path);
    return st;
}

static enum status items_of(const struct imgen_request *r, struct generate_item **out,
                            struct error *err)
{
    enum status st;

    if (r->n_items < 0)
        return fail(err, E_ARG, "%" PRId64 " pictures", r->n_items);
    if ((st = mem_new((void **)out, (uint64_t)r->n_items, sizeof **out, "requests", err)))
        return st;
    for (int64_t i = 0; i < r->n_items; i++)
        (*out)[i] = (struct generate_item){
            .label = r->items[i].label, .w = r->items[i].cfg_scale, .seed = r->items[i].seed};
    return OK;
}

/* Make the pictures, or, where there is room for a forecast, that. */
static enum status sample_floats(const struct imgen_model *model, const struct imgen_request *r,
                                 float *pixels, struct forecast *forecast, struct error *err)
{
    struct relay to = {r, &model->model->network->io};
    struct generate_item *items = NULL;
    struct api_repaint repaint = {0};
    uint8_t *given = NULL;
    struct generate_request g = {
        .model = model->model,
        .strength = r->strength,
        .classifier = r->classifier ? r->classifier->model : NULL,
        .classifier_scale = r->classifier_scale,
        .times = r->times,
        .n_times = r->n_times,
        .texts = r->prompts,
        .n_texts = r->n_prompts,
        .numbers = r->numbers,
        .n_numbers = r->n_numbers,
        .n = r->n_items,
        .threads = api_threads(r->threads),
        .preview_every = r->wants_preview > 0 ? r->wants_preview : 0,
        .preview_autoencoder = r->preview_autoencoder,
        .progress = r->progress ? relay : NULL,
        .user = &to,
        .every = API_CALLBACK_SECONDS,
    };
    enum status st;

    if (!(st = check_found(model, err)) && !(st = settings_of(r, &g.settings, err)) &&
        !(st = precision_of(r, &g.precision, err)) && !(st = rng_of(r, &g.rng, err)) &&
        !(st = guide_of(model, r, &g, err)) && !(st = items_of(r, &items, err)) &&
        !(st = api_repaint_init(&repaint, r, model->model, err)) &&
        !(st = api_given_init(&given, r, model->model, err))) {
        g.items = items;
        g.repaint = repaint.picture ? &repaint.request : NULL;
        g.given = given;
        st = forecast ? forecast_find(forecast, &g, err) : generate(pixels, &g, NULL, err);
    }
    api_repaint_release(&repaint);
    free(given);
    free(items);
    return st;
}

enum imgen_status imgen_sample_floats(const struct imgen_model *model,
                                      const struct imgen_request *r, float *pixels,
                                      struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, sample_floats(model, r, pixels, NULL, &e));
}

enum imgen_status imgen_sample(const struct imgen_model *model, const struct imgen_request *r,
                               uint8_t *pixels, struct imgen_error *err)
{
    const struct view_shape shape = view_shape(model->model, false);
    int64_t n = r->n_items > 0 ? r->n_items : 0, numbers;
    struct error e = {0};
    float *x = NULL;
    enum status st;

    numbers = n * view_length(&shape);
    if (!(st = mem_new((void **)&x, (uint64_t)numbers, sizeof *x, "pictures", &e)) &&
        !(st = sample_floats(model, r, x, NULL, &e)))
        st = picture_levels(pixels, x, numbers, &e);
    free(x);
    return api_status(err, &e, st);
}

enum imgen_status imgen_sample_measure(const struct imgen_model *model,
                                       const struct imgen_request *r, struct imgen_sample_plan *out,
                                       struct imgen_error *err)
{
    struct forecast f = {0};
    struct error e = {0};
    enum status st = sample_floats(model, r, NULL, &f, &e);

    *out = (struct imgen_sample_plan){
        .program_bytes = f.program,
        .weights_bytes = f.weights,
        .encoder_bytes = f.encoders,
        .values_bytes = f.values,
        .solver_bytes = f.solver,
        .decoder_bytes = f.decoder,
        .peak_bytes = f.peak,
        .available_bytes = f.available,
        .batch = f.batch,
        .batches = f.batches,
        .steps = f.steps,
        .step_flops = f.flops,
        .step_seconds = f.seconds,
    };
    return api_status(err, &e, st);
}
