/*
 * trainer_data.c - what a run learns from, and what follows from that
 *
 * A run on latents is a run on pictures with other numbers: the set is opened another way, the
 * model is told what its numbers mean, held-out pictures are brought to the same numbers, and a
 * sheet can be drawn only where somebody can decode.  Steps, checkpoints and logs know nothing of
 * it.
 */
#include "train/trainer_parts.h"

#include "base/memory.h"
#include "base/text.h"
#include "model/byte_text.h"
#include "train/beginning.h"
#include "train/checkpoint.h"
#include "train/tuning.h"

#include <inttypes.h>
#include <stdlib.h>

static bool tell_encoding(int64_t done, int64_t n, void *user)
{
    const struct trainer *t = user;
    const struct train_event e = {
        .kind = TRAIN_ENCODING, .step = done, .steps = n, .memory = &t->memory};

    return !t->r->callback || t->r->callback(&e, t->r->user);
}

/* What the network is told of each clip: of the model that is there, or that will be. */
static struct condition_kind told(const struct trainer *t)
{
    const struct experiment *e = t->r->experiment;
    struct network_io io;

    if (t->state.model)
        return condition_kind_of(&t->state.model->network->io);
    network_kind_at(e->model.network)->io(e->network, &io);
    return condition_kind_of(&io);
}

static struct training_data_request data_request(struct trainer *t, bool writes)
{
    const struct latent_space *s = t->state.model ? t->state.model->space : NULL;

    return (struct training_data_request){.experiment = t->r->experiment,
                                          .autoencoder = s && s->published ? s->found : NULL,
                                          .told = told(t),
                                          .threads = t->r->threads,
                                          .writes = writes,
                                          .progress = tell_encoding,
                                          .user = t};
}

enum status trainer_open_base(struct trainer *t, struct error *err)
{
    return tuning_wanted(t->r->experiment) ? tuning_open(&t->state.model, t->r->experiment, err)
                                           : OK;
}

enum status trainer_open_data(struct trainer *t, bool writes, struct error *err)
{
    const struct training_data_request r = data_request(t, writes);

    return training_data_open(&t->data, &r, err);
}

/* What it was trained on is the pictures: "shapes, as latents". */
static enum status describe_encoded(struct trainer *t, struct error *err)
{
    struct text words;

    text_init(&words, NULL, 0);
    text_add(&words, "%s, as latents", dataset_format_at(t->r->experiment->data.format)->name);
    return model_set_about(t->state.model, &words, err);
}

/* The model that stays, and an adapter of it: what its numbers mean it knows. */
static enum status make_adapter(struct trainer *t, struct error *err)
{
    struct model *m = t->state.model;
    enum status st;

    if ((st = training_data_as(&t->data, m->space, err)))
        return st;
    return tuning_begin(m, t->r->experiment, t->data.set, err);
}

/* Pictures beside clips are seen by the network of the clips. */
static enum status check_pictures(const struct trainer *t, struct error *err)
{
    const struct dataset *d = t->data.pictures, *clips = t->data.set;
    const struct network_io *io = &t->state.model->network->io;

    if (!d)
        return OK;
    if (clips->frames < 2 || !io->frames)
        return fail(err, E_ARG,
                    "train.image_every: the data are no clips: all steps are of pictures");
    if (d->height == clips->height && d->width == clips->width && d->channels == clips->channels &&
        d->n_classes == clips->n_classes && d->frames < 2)
        return OK;
    return fail(err, E_ARG,
                "train.image_every: pictures of %" PRId64 " x %" PRId64 " x %" PRId64 " in %" PRId64
                " classes, beside clips of %" PRId64 " x %" PRId64 " x %" PRId64 " in %" PRId64,
                d->height, d->width, d->channels, d->n_classes, clips->height, clips->width,
                clips->channels, clips->n_classes);
}

/* What a run that is cut goes on as is in its checkpoint. */
static enum status begin(struct trainer *t, struct error *err)
{
    bool goes_on = t->r->resume && checkpoint_exists(t->options.out);

    return goes_on ? OK : beginning_weights(t->state.model->network, t->r->experiment, err);
}

/* The model, and what its numbers mean. */
enum status trainer_make_model(struct trainer *t, struct error *err)
{
    enum status st;

    if (t->state.model)
        return make_adapter(t, err);
    if ((st = experiment_model(t->r->experiment, t->data.set, &t->state.model, err)))
        return st;
    if (t->data.space && t->state.model->network->io.factor)
        return fail(err, E_ARG,
                    "model.network: a '%s' is an autoencoder of pictures, and the data are latents",
                    t->state.model->network->kind->name);
    if ((st = check_pictures(t, err)) || (st = begin(t, err)))
        return st;
    t->state.model->space = t->data.space;
    t->data.space = NULL;
    return t->data.encoded ? describe_encoded(t, err) : OK;
}

static bool tell_texts(int64_t done, int64_t n, void *user)
{
    const struct trainer *t = user;
    const struct train_event e = {
        .kind = TRAIN_ENCODING_TEXTS, .step = done, .steps = n, .memory = &t->memory};

    return !t->r->callback || t->r->callback(&e, t->r->user);
}

enum status trainer_open_texts(struct trainer *t, bool writes, struct error *err)
{
    const struct model *m = t->state.model;
    const struct text_options *o = &t->r->experiment->text;
    const struct text_data_request r = {.encoders = m->encoders,
                                        .io = &m->network->io,
                                        .folder = o->cache,
                                        .threads = t->r->threads,
                                        .writes = writes,
                                        .progress = tell_texts,
                                        .user = t};
    uint64_t rows = (uint64_t)t->options.batch;
    enum status st;

    if (!m->network->io.context_width)
        return OK;
    if (!m->encoders)
        return fail(err, E_ARG,
                    "lora.base: a '%s' that reads encoded texts and does not say by whom: section "
                    "text names them",
                    m->network->kind->name);
    if (!o->cache || !*o->cache)
        return fail(
            err, E_ARG,
            "text.cache: where is what the text encoders say of the captions to be kept? It "
            "names a folder");
    if ((st = text_data_open(&t->encoded, &r, err)) ||
        (st = text_data_need_set(t->encoded, t->data.set, 0, -1, err)) ||
        (st = mem_new((void **)&t->context, rows * (uint64_t)text_data_tokens(t->encoded),
                      (uint64_t)r.io->context_width * sizeof *t->context, "encoded captions", err)))
        return st;
    return mem_new((void **)&t->pooled, rows, (uint64_t)r.io->pooled_width * sizeof *t->pooled,
                   "encoded captions", err);
}

enum status trainer_make_evaluation(struct trainer *t, bool writes, struct error *err)
{
    const struct training_data_request r = data_request(t, writes);
    struct dataset *held_out = NULL, *known = NULL;
    enum status st = OK;

    if (t->autoencode)
        return round_trip_new(&t->round_trip,
                              &(struct round_trip_setting){
                                  .experiment = t->r->experiment,
                                  .trained = t->data.set,
                                  .net = t->state.model->network,
                                  .loss = t->autoencode,
                                  .graph = t->graph,
                              },
                              err);
    if (!t->options.eval_every)
        return OK;
    if (!(st = training_data_held_out(&held_out, &known, t->state.model->space, &t->data, &r,
                                      err)) &&
        !(t->encoded &&
          (st = text_data_need_set(t->encoded, held_out, EVAL_SEED, t->options.eval_count, err))))
        st = evaluation_new(&t->evaluation, t->r->experiment, t->state.model, t->encoded, held_out,
                            known, t->graph, err);
    dataset_close(held_out);
    dataset_close(known);
    return st;
}

enum status trainer_make_condition(struct trainer *t, struct error *err)
{
    const struct training_data *d = &t->data;
    const struct condition_setting s = {.net = t->state.model->network,
                                        .known = d->known,
                                        .pictures = d->pictures_known,
                                        .count = d->set->count,
                                        .pictures_count = d->pictures ? d->pictures->count : 0,
                                        .rows = t->options.batch,
                                        .seed = t->options.seed};

    return condition_is_made(told(t)) ? condition_batch_new(&t->condition, &s, err) : OK;
}

/* Whether sheets can be drawn, and as what. */
enum status trainer_choose_sheets(struct trainer *t, struct error *err)
{
    const struct model *m = t->state.model;

    if (t->options.sample_preview && !m->space)
        return fail(err, E_ARG,
                    "train.sample_preview: the run learns pixels, and previews are of latents");
    if (m->network->io.classifies)
        t->options.sample_every = 0; /* it draws no pictures */
    if (!m->space || m->space->found || !t->options.sample_every)
        return OK;
    t->options.sample_every = 0;
    t->note = "no sheets of pictures: latents are decoded by the autoencoder that data.autoencoder "
              "names, and it names none";
    return OK;
}

/* As much as the network reads.  One block: pointers, and behind them what they point to. */
static enum status read_captions(const char ***out, const struct dataset *d,
                                 const struct network_io *io, int64_t n, struct error *err)
{
    int64_t length = dataset_length(d);
    char(*caption)[CAPTION_TEXT];
    float *pixels = NULL;
    enum status st;

    if ((st =
             mem_new((void **)out, (uint64_t)n, sizeof **out + sizeof *caption, "captions", err)) ||
        (st = mem_new((void **)&pixels, (uint64_t)length, sizeof *pixels, "a picture", err)))
        return st;
    caption = (char(*)[CAPTION_TEXT])(*out + n);
    for (int64_t i = 0; i < n && !st; i++) {
        (*out)[i] = caption[i];
        st = dataset_get(d, loader_index(EVAL_SEED, d->count, i), pixels, NULL, caption[i], err);
        if (io->text_length)
            caption[i][byte_text_fits(caption[i], io->text_length)] = '\0';
    }
    free(pixels);
    return st;
}

/* What the encoders say of the texts of sheets, and last of the empty one. */
static enum status encode_sheet(struct trainer *t, struct error *err)
{
    const struct network_io *io = &t->state.model->network->io;
    int64_t n = t->options.sample_count, tokens = text_data_tokens(t->encoded);
    struct prompts *p = &t->sheet_encoded;
    enum status st;

    if ((st = text_data_need(t->encoded, t->sheet_texts, n, err)) ||
        (st = prompts_init_encoded(p, io, n, tokens, err)))
        return st;
    for (int64_t i = 0; i <= n; i++)
        text_data_read(t->encoded, i < n ? t->sheet_texts[i] : NULL,
                       p->context + i * tokens * io->context_width,
                       p->pooled + i * io->pooled_width);
    return OK;
}

enum status trainer_choose_texts(struct trainer *t, struct error *err)
{
    const struct training_data_request r = data_request(t, false);
    const struct experiment *e = t->r->experiment;
    struct dataset *held_out = NULL, *known = NULL;
    enum status st = OK;

    if (!(t->encoded || t->state.model->network->io.text_length) || !t->options.sample_every)
        return OK;
    if (e->data.eval_path && *e->data.eval_path)
        st = training_data_held_out(&held_out, &known, t->state.model->space, &t->data, &r, err);
    if (!st && t->condition)
        st = condition_of_set(&t->sheet_condition, t->state.model->network,
                              held_out ? held_out : t->data.set, held_out ? known : t->data.known,
                              EVAL_SEED, t->options.sample_count, err);
    if (!st)
        st = read_captions(&t->sheet_texts, held_out ? held_out : t->data.set,
                           &t->state.model->network->io, t->options.sample_count, err);
    dataset_close(held_out);
    dataset_close(known);
    return st || !t->encoded ? st : encode_sheet(t, err);
}

enum status trainer_name_autoencoder(struct trainer *t, struct error *err)
{
    struct model *m = t->state.model;
    struct latent_space *s = m->space;
    enum status st = s && s->found ? latent_space_name(s, t->options.out, s->found, err) : OK;

    return st || !m->encoders || m->learning ? st
                                             : text_encoders_name(m->encoders, t->options.out, err);
}
