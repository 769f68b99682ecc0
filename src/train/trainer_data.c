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
#include "train/tuning.h"

#include <stdlib.h>

static bool tell_encoding(int64_t done, int64_t n, void *user)
{
    const struct trainer *t = user;
    const struct train_event e = {
        .kind = TRAIN_ENCODING, .step = done, .steps = n, .memory = &t->memory};

    return !t->r->callback || t->r->callback(&e, t->r->user);
}

static struct training_data_request data_request(struct trainer *t, bool writes)
{
    const struct latent_space *s = t->state.model ? t->state.model->space : NULL;

    return (struct training_data_request){.experiment = t->r->experiment,
                                          .autoencoder = s && s->published ? s->found : NULL,
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
    t->state.model->space = t->data.space;
    t->data.space = NULL;
    return t->data.encoded ? describe_encoded(t, err) : OK;
}

enum status trainer_make_evaluation(struct trainer *t, bool writes, struct error *err)
{
    const struct training_data_request r = data_request(t, writes);
    struct dataset *held_out = NULL;
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
    if (!(st = training_data_held_out(&held_out, t->state.model->space, &t->data, &r, err)))
        st = evaluation_new(&t->evaluation, t->r->experiment, t->state.model, held_out, t->graph,
                            err);
    dataset_close(held_out);
    return st;
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
    int64_t length = d->height * d->width * d->channels;
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
        caption[i][byte_text_fits(caption[i], io->text_length)] = '\0';
    }
    free(pixels);
    return st;
}

enum status trainer_choose_texts(struct trainer *t, struct error *err)
{
    const struct training_data_request r = data_request(t, false);
    const struct experiment *e = t->r->experiment;
    struct dataset *held_out = NULL;
    enum status st = OK;

    if (!t->state.model->network->io.text_length || !t->options.sample_every)
        return OK;
    if (e->data.eval_path && *e->data.eval_path)
        st = training_data_held_out(&held_out, t->state.model->space, &t->data, &r, err);
    if (!st)
        st = read_captions(&t->sheet_texts, held_out ? held_out : t->data.set,
                           &t->state.model->network->io, t->options.sample_count, err);
    dataset_close(held_out);
    return st;
}

enum status trainer_name_autoencoder(struct trainer *t, struct error *err)
{
    struct latent_space *s = t->state.model->space;

    return s && s->found ? latent_space_name(s, t->options.out, s->found, err) : OK;
}
