/*
 * experiment.c - the whole configuration of a training run
 *
 * Which keys exist depends on a few of them: the network brings its own section, and so do the
 * path, the time density, the weight and the wrapper.  The file is therefore read twice, first for
 * those, then for everything, so that their order in the file does not matter and an unknown key is
 * still an error with its line.
 */
#include "train/experiment.h"

#include "model/prompts.h"

#include "base/ini.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *format_choice(int i)
{
    return dataset_format_at(i) ? dataset_format_at(i)->name : NULL;
}

static const char *time_choice(int i)
{
    return time_kind_at(i) ? time_kind_at(i)->is.name : NULL;
}

static const char *loss_choice(int i)
{
    return graded_as_at(i) ? graded_as_at(i)->name : NULL;
}

static const char *weight_choice(int i)
{
    return weighting_kind_at(i) ? weighting_kind_at(i)->is.name : NULL;
}

const struct option data_option_rows[] = {
    {"format", "what kind of data set", OPTION_CHOICE, offsetof(struct data_options, format),
     "shapes", .choice = format_choice},
    {"path", "file or folder; captioned: a .tar too", OPTION_TEXT,
     offsetof(struct data_options, path), .value = "PATH"},
    {"labels",
     "file of labels, when it is not found beside the pictures; captioned: a list of captions",
     OPTION_TEXT, offsetof(struct data_options, labels), .value = "PATH"},
    {"eval_path", "pictures held out, for train.eval_every", OPTION_TEXT,
     offsetof(struct data_options, eval_path), .value = "PATH"},
    {"eval_labels", "their labels, when not found beside them", OPTION_TEXT,
     offsetof(struct data_options, eval_labels), .value = "PATH"},
    {"autoencoder",
     "learn latents: the autoencoder that made them, or is to make them of the "
     "pictures",
     OPTION_TEXT, offsetof(struct data_options, autoencoder), .value = "PATH"},
    {"cache", "where the latents of the pictures are kept: made once, by data.autoencoder",
     OPTION_TEXT, offsetof(struct data_options, cache), .value = "FOLDER"},
    {"size", "height and width handed out; 0: as stored", OPTION_INT,
     offsetof(struct data_options, size), "0", .lo = 0, .hi = 4096},
    {"channels", "1 grey, 3 colour; 0: as stored", OPTION_INT,
     offsetof(struct data_options, channels), "0", .lo = 0, .hi = 3},
    {"frames", "of a clip; 0: pictures, or what a set that is drawn has", OPTION_INT,
     offsetof(struct data_options, frames), "0", .lo = 0, .hi = DATASET_FRAMES},
    {"rates", "captions of clips begin with their frames a second, as in \"FPS-16 a red circle\"",
     OPTION_BOOL, offsetof(struct data_options, rates), "false", .lo = 0},
    {"limit", "use only the first so many pictures; 0: all", OPTION_INT,
     offsetof(struct data_options, limit), "0", .lo = 0, .hi = 1e15},
    {"background", "what shows through transparent pixels: grey, or red,green,blue", OPTION_INTS,
     offsetof(struct data_options, background), "255", .lo = 0, .hi = 255},
    {"seed", "of pictures that are drawn", OPTION_SEED, offsetof(struct data_options, seed),
     .fallback = "0"},
    {0},
};

const struct option train_option_rows[] = {
    {"steps", "steps of the optimizer", OPTION_INT, offsetof(struct train_options, steps), "10000",
     .lo = 1, .hi = 1e12},
    {"batch", "pictures a step, times accumulate", OPTION_INT,
     offsetof(struct train_options, batch), "64", .lo = 1, .hi = 65536},
    {"accumulate", "batches whose gradients are averaged into one step", OPTION_INT,
     offsetof(struct train_options, accumulate), "1", .lo = 1, .hi = 4096},
    {"image_every",
     "of clips: each so many-th step is of as many pictures in their place; 0: none is", OPTION_INT,
     offsetof(struct train_options, image_every), "0", .lo = 0, .hi = 1e6},
    {"init", "begin with the weights of this model, in place of random ones", OPTION_TEXT,
     offsetof(struct train_options, init), .value = "FILE"},
    {"learning_rate", "of AdamW", OPTION_REAL, offsetof(struct train_options, learning_rate),
     "0.001", .lo = 0, .hi = 10},
    {"schedule", "of the learning rate, after the warm-up", OPTION_CHOICE,
     offsetof(struct train_options, schedule), "cosine", .choice = rate_name},
    {"warmup", "steps over which the learning rate rises from zero", OPTION_INT,
     offsetof(struct train_options, warmup), "100", .lo = 0, .hi = 1e9},
    {"final_rate", "where the cosine ends, over learning_rate", OPTION_REAL,
     offsetof(struct train_options, final_rate), "0", .lo = 0, .hi = 1},
    {"beta1", "decay of the first moment", OPTION_REAL, offsetof(struct train_options, beta1),
     "0.9", .lo = 0, .hi = 0.999999},
    {"beta2", "decay of the second moment", OPTION_REAL, offsetof(struct train_options, beta2),
     "0.95", .lo = 0, .hi = 0.9999999},
    {"adam_eps", "added to the root of the second moment", OPTION_REAL,
     offsetof(struct train_options, adam_eps), "1e-8", .lo = 0, .hi = 1},
    {"weight_decay", "decoupled", OPTION_REAL, offsetof(struct train_options, weight_decay), "0",
     .lo = 0, .hi = 10},
    {"clip", "largest norm of a step's gradient; 0: any", OPTION_REAL,
     offsetof(struct train_options, clip), "1", .lo = 0, .hi = 1e9},
    {"ema", "decay of the averaged weights; 0: no average", OPTION_REAL,
     offsetof(struct train_options, ema), "0.999", .lo = 0, .hi = 0.9999999},
    {"ema_width", "average over this share of the run so far (EDM2: 0.05 to 0.13); 0: by train.ema",
     OPTION_REAL, offsetof(struct train_options, ema_width), "0", .lo = 0, .hi = 0.288},
    {"label_drop", "share of samples shown without their label", OPTION_REAL,
     offsetof(struct train_options, label_drop), "0.1", .lo = 0, .hi = 1},
    {"time", "law of the times that samples are shown at", OPTION_CHOICE,
     offsetof(struct train_options, time), "uniform", .choice = time_choice},
    {"loss", "whose error is squared; own: the prediction's, or the one the weight is stated on",
     OPTION_CHOICE, offsetof(struct train_options, loss), "own", .choice = loss_choice},
    {"second_loss", "the same of model.second", OPTION_CHOICE,
     offsetof(struct train_options, second_loss), "own", .choice = loss_choice},
    {"weight", "how much an error counts at each noise level", OPTION_CHOICE,
     offsetof(struct train_options, weight), "uniform", .choice = weight_choice},
    {"loss_floor", "beta below which an error counts less, by beta / loss_floor; 0: nowhere",
     OPTION_REAL, offsetof(struct train_options, loss_floor), "0", .lo = 0, .hi = 0.5},
    {"direction", "weight of 1 - cosine between the velocities of each pixel, beside the loss",
     OPTION_REAL, offsetof(struct train_options, direction), "0", .lo = 0, .hi = 100},
    {"variance", "weight of the variational loss that trains a network's learned variance",
     OPTION_REAL, offsetof(struct train_options, variance), "0", .lo = 0, .hi = 1000},
    {"flip", "mirror pictures at random, where the data set allows it", OPTION_BOOL,
     offsetof(struct train_options, flip), "true", .lo = 0},
    {"recompute", "forget all activations and compute them again: least memory, a third more time",
     OPTION_BOOL, offsetof(struct train_options, recompute), "false", .lo = 0},
    {"memory_limit",
     "most memory of the whole run: only as much is computed again as that asks for", OPTION_TEXT,
     offsetof(struct train_options, memory_limit), .value = "SIZE"},
    {"precision", "numbers of the large layers: bf16 is faster where the processor has it",
     OPTION_CHOICE, offsetof(struct train_options, precision), "float32",
     .choice = precision_trained_name},
    {"seed", "of everything random", OPTION_SEED, offsetof(struct train_options, seed),
     .fallback = "0"},
    {"out", "folder of the run", OPTION_TEXT, offsetof(struct train_options, out), "run",
     .value = "FOLDER"},
    {"tensorboard", "write event files for TensorBoard into the folder too", OPTION_BOOL,
     offsetof(struct train_options, tensorboard), "false", .lo = 0},
    {"log_every", "steps between lines of the log", OPTION_INT,
     offsetof(struct train_options, log_every), "50", .lo = 1, .hi = 1e9},
    {"save_every", "steps between checkpoints; 0: at the end only", OPTION_INT,
     offsetof(struct train_options, save_every), "1000", .lo = 0, .hi = 1e9},
    {"keep", "checkpoints kept", OPTION_INT, offsetof(struct train_options, keep), "2", .lo = 1,
     .hi = 1000000},
    {"sample_every", "steps between sheets of sample pictures; 0: none", OPTION_INT,
     offsetof(struct train_options, sample_every), "1000", .lo = 0, .hi = 1e9},
    {"sample_count", "pictures of a sheet", OPTION_INT,
     offsetof(struct train_options, sample_count), "16", .lo = 1, .hi = 1024},
    {"sample_preview", "sheets of latents by a linear preview, a pixel each, and not decoded",
     OPTION_BOOL, offsetof(struct train_options, sample_preview), "false", .lo = 0},
    {"eval_every", "steps between losses on held-out pictures; 0: never", OPTION_INT,
     offsetof(struct train_options, eval_every), "0", .lo = 0, .hi = 1e9},
    {"eval_count", "held-out pictures", OPTION_INT, offsetof(struct train_options, eval_count),
     "512", .lo = 1, .hi = 1000000},
    {0},
};

const struct option lora_option_rows[] = {
    {"base", "the model that stays as it is, while an adapter of it learns", OPTION_TEXT,
     offsetof(struct lora_options, base), .value = "PATH"},
    {"rank", "of what is added to each layer", OPTION_INT, offsetof(struct lora_options, rank),
     "16", .lo = 1, .hi = 4096},
    {"alpha", "what is added counts alpha / rank times; 0: once", OPTION_REAL,
     offsetof(struct lora_options, alpha), "0", .lo = 0, .hi = 1e6},
    {"targets",
     "layers, separated by commas: attention, mlp, all, the end of a name (attn.to_q), or a "
     "pattern "
     "with * for all of it",
     OPTION_TEXT, offsetof(struct lora_options, targets), "attention", .value = "LIST"},
    {0},
};

const struct option text_option_rows[] = {
    {"clip_l", "the text encoder CLIP-L, for networks that read texts encoded", OPTION_TEXT,
     offsetof(struct text_options, clip_l), .value = "PATH"},
    {"clip_g", "the same: CLIP bigG", OPTION_TEXT, offsetof(struct text_options, clip_g),
     .value = "PATH"},
    {"t5xxl", "the same: T5", OPTION_TEXT, offsetof(struct text_options, t5xxl), .value = "PATH"},
    {"merges", "CLIP's vocabulary, where it is not found by itself: merges.txt", OPTION_TEXT,
     offsetof(struct text_options, merges), .value = "FILE"},
    {"spiece", "T5's vocabulary, the same: spiece.model", OPTION_TEXT,
     offsetof(struct text_options, spiece), .value = "FILE"},
    {"no_t5", "do without T5, whether it is there or not", OPTION_BOOL,
     offsetof(struct text_options, no_t5), .lo = 0},
    {"t5_tokens", "of a caption for T5, longer ones are cut: fewer take less memory and time",
     OPTION_INT, offsetof(struct text_options, t5_tokens), "256", .lo = 1, .hi = 4096},
    {"cache", "where what they say of the captions is kept: asked once, before the first step",
     OPTION_TEXT, offsetof(struct text_options, cache), .value = "FOLDER"},
    {0},
};

_Static_assert(sizeof train_option_rows <= EXPERIMENT_ROWS * sizeof(struct option),
               "more rows than can be marked as given");

enum { CHOSEN = 6 }; /* sections that depend on others come from here on */

struct option_set experiment_options(struct experiment *e,
                                     struct option_group group[EXPERIMENT_SECTIONS])
{
    const struct network_kind *kind = network_kind_at(e->model.network);
    int n = EXPERIMENT_SECTIONS - 2;

    group[0] = (struct option_group){"model", model_option_rows, &e->model, e->given.model};
    group[1] = (struct option_group){"data", data_option_rows, &e->data, NULL};
    group[2] = (struct option_group){"train", train_option_rows, &e->train, e->given.train};
    group[3] = (struct option_group){"sample", sample_option_rows, &e->sample, e->given.sample};
    group[4] = (struct option_group){"lora", lora_option_rows, &e->lora, NULL};
    group[5] = (struct option_group){"text", text_option_rows, &e->text, NULL};
    group[CHOSEN] = choice_options(&path_kind_at(e->model.path)->is, "path", e->path_values);
    group[7] = choice_options(&time_kind_at(e->train.time)->is, "time", e->time_values);
    group[8] = choice_options(&weighting_kind_at(e->train.weight)->is, "weight", e->weight_values);
    group[9] = choice_options(&precondition_kind_at(e->model.precondition)->is, "precondition",
                              e->model.precondition_values);
    if (e->network)
        group[n++] = (struct option_group){kind->name, kind->options, e->network, NULL};
    if (e->network && kind->encode)
        group[n++] = (struct option_group){"autoencoder", autoencoder_option_rows, &e->autoencoder,
                                           e->given.autoencoder};
    return (struct option_set){group, n};
}

void experiment_release(struct experiment *e)
{
    struct option_group group[EXPERIMENT_SECTIONS];
    struct option_set set = experiment_options(e, group);

    options_release(&set);
    free(e->network);
    memset(e, 0, sizeof *e);
}

/* --- reading ------------------------------------------------------------------------------------
 */

struct source {
    const char *path, *text; /* the file, or its text under the name `path` */
    char *const *settings;
    int n_settings;
};

static bool decides_sections(const char *key)
{
    static const char *const deciding[] = {"model.network", "model.path", "model.precondition",
                                           "train.time", "train.weight"};

    for (size_t i = 0; i < sizeof deciding / sizeof *deciding; i++)
        if (!strcmp(key, deciding[i]))
            return true;
    return false;
}

static enum status take_head(const char *key, const char *value, struct error *err, void *arg)
{
    return decides_sections(key) ? options_set(arg, key, value, err) : OK;
}

static enum status take_all(const char *key, const char *value, struct error *err, void *arg)
{
    return options_set(arg, key, value, err);
}

static enum status read_source(const struct source *from, ini_setting *take, struct option_set *set,
                               struct error *err)
{
    if (from->text)
        return ini_read_text(from->path, from->text, strlen(from->text), take, set, err);
    return from->path ? ini_read(from->path, take, set, err) : OK;
}

static enum status read_head(struct experiment *e, const struct source *from, struct error *err)
{
    struct option_group group[EXPERIMENT_SECTIONS];
    struct option_set set = experiment_options(e, group);
    enum status st;

    if ((st = options_default(&set, err)) || (st = read_source(from, take_head, &set, err)))
        return st;
    for (int i = 0; i < from->n_settings; i++)
        if (!strncmp(from->settings[i], "model.", 6) ||
            !strncmp(from->settings[i], "train.time", 10) ||
            !strncmp(from->settings[i], "train.weight=", 13))
            if ((st = options_assign(&set, from->settings[i], err)))
                return st;
    return mem_new(&e->network, 1, network_kind_at(e->model.network)->config_bytes,
                   "a network's configuration", err);
}

/* The numbers of what the head chose get their defaults; the rest has its own already. */
static enum status default_rest(struct experiment *e, struct error *err)
{
    struct option_group group[EXPERIMENT_SECTIONS];
    struct option_set set = experiment_options(e, group);
    struct option_set rest = {group + CHOSEN, set.n - CHOSEN};

    memset(e->path_values, 0, sizeof e->path_values);
    memset(e->time_values, 0, sizeof e->time_values);
    memset(e->weight_values, 0, sizeof e->weight_values);
    memset(e->model.precondition_values, 0, sizeof e->model.precondition_values);
    return options_default(&rest, err);
}

static enum status read_experiment(struct experiment *e, const struct source *from,
                                   struct error *err)
{
    struct option_group group[EXPERIMENT_SECTIONS];
    struct option_set set;
    enum status st;

    memset(e, 0, sizeof *e);
    if ((st = read_head(e, from, err)) || (st = default_rest(e, err)))
        return st;
    set = experiment_options(e, group);
    if ((st = read_source(from, take_all, &set, err)))
        return st;
    for (int i = 0; i < from->n_settings; i++)
        if ((st = options_assign(&set, from->settings[i], err)))
            return st;
    return OK;
}

enum status experiment_read(struct experiment *e, const char *path, char *const *settings,
                            int n_settings, struct error *err)
{
    return read_experiment(e, &(struct source){path, NULL, settings, n_settings}, err);
}

enum status experiment_read_text(struct experiment *e, const char *name, const char *text,
                                 char *const *settings, int n_settings, struct error *err)
{
    return read_experiment(e, &(struct source){name, text, settings, n_settings}, err);
}

/* --- what it describes --------------------------------------------------------------------------
 */

enum status experiment_data(const struct experiment *e, struct dataset **out, struct error *err)
{
    const struct data_options *d = &e->data;
    struct dataset_config c = {
        .format = dataset_format_at(d->format)->name,
        .path = d->path,
        .labels = d->labels,
        .size = d->size,
        .channels = d->channels,
        .frames = d->frames,
        .rates = d->rates,
        .limit = d->limit,
        .seed = d->seed,
    };

    *out = NULL;
    if (d->background.n != 1 && d->background.n != 3)
        return fail(err, E_ARG, "data.background: %d values, not one or three", d->background.n);
    for (int k = 0; k < 3; k++)
        c.background[k] = (uint8_t)d->background.at[d->background.n == 3 ? k : 0];
    return dataset_open(out, &c, err);
}

enum status experiment_pictures(const struct experiment *e, struct dataset **out, struct error *err)
{
    struct experiment of_one = *e;

    of_one.data.frames = 1;
    return experiment_data(&of_one, out, err);
}

/* The first of some names, up to NULL, whose row was set; names NULL: of all rows. */
static const char *first_given(const struct option *rows, const bool *given,
                               const char *const *names)
{
    for (int i = 0; rows[i].name; i++) {
        bool meant = !names;

        for (int k = 0; names && names[k]; k++)
            meant |= !strcmp(names[k], rows[i].name);
        if (meant && given[i])
            return rows[i].name;
    }
    return NULL;
}

/* What an autoencoder has no use for would be ignored in silence. */
static enum status check_autoencoder(const struct experiment *e, const struct network_io *io,
                                     struct error *err)
{
    static const char *const of_models[] = {"path",       "prediction", "second", "precondition",
                                            "time_input", "time_scale", NULL};
    static const char *const of_training[] = {"label_drop",  "time",     "loss",
                                              "second_loss", "weight",   "loss_floor",
                                              "direction",   "variance", NULL};
    static const char *const of_normal[] = {"kl", NULL}, *const none[] = {NULL};
    static const char *const of_codes[] = {"codebook", NULL}, *const hard[] = {"noise", NULL};
    const struct option *own = autoencoder_option_rows;
    const struct experiment_given *given = &e->given;
    const struct {
        const char *section, *name, *reason;
    } useless[] = {
        {"model", first_given(model_option_rows, given->model, of_models),
         "is an autoencoder and predicts nothing"},
        {"train", first_given(train_option_rows, given->train, of_training),
         "is an autoencoder and predicts nothing"},
        {"sample", first_given(sample_option_rows, given->sample, NULL),
         "is an autoencoder and makes no pictures of noise"},
        {"autoencoder", first_given(own, given->autoencoder, io->gaussian ? none : of_normal),
         "like this has no Gaussian latents"},
        {"autoencoder", first_given(own, given->autoencoder, io->codes ? none : of_codes),
         "like this has no codebook"},
        {"autoencoder", first_given(own, given->autoencoder, io->codes ? hard : none),
         "with a codebook would take the noise away again"},
    };

    for (size_t i = 0; i < sizeof useless / sizeof *useless; i++)
        if (useless[i].name)
            return fail(err, E_ARG, "%s.%s: a '%s' %s", useless[i].section, useless[i].name,
                        network_kind_at(e->model.network)->name, useless[i].reason);
    if (!io->has_encoder || !io->has_decoder)
        return fail(err, E_ARG, "%s.halves: an autoencoder is trained whole",
                    network_kind_at(e->model.network)->name);
    return OK;
}

static bool given(const char *text)
{
    return text && *text;
}

static bool names_encoder(const struct text_options *t)
{
    return given(t->clip_l) || given(t->clip_g) || (given(t->t5xxl) && !t->no_t5);
}

/* *out = a copy, or NULL where nothing is given. */
static enum status take_path(char **out, const char *path, struct error *err)
{
    return given(path) ? mem_text(out, path, err) : OK;
}

/* The encoders of section text, for a model that learns what they say. */
static enum status take_encoders(struct model *m, const struct text_options *t, struct error *err)
{
    struct text_encoders *e;
    enum status st;

    if (!m->network->io.context_width)
        return OK;
    if ((st = mem_new((void **)&m->encoders, 1, sizeof *m->encoders, "text encoders", err)))
        return st;
    e = m->encoders;
    e->t5_tokens = given(t->t5xxl) && !t->no_t5 ? t->t5_tokens : 0;
    if ((st = take_path(&e->clip_l, t->clip_l, err)) ||
        (st = take_path(&e->clip_g, t->clip_g, err)) ||
        (e->t5_tokens && (st = take_path(&e->t5, t->t5xxl, err))) ||
        (st = take_path(&e->merges, t->merges, err)))
        return st;
    return take_path(&e->spiece, t->spiece, err);
}

/* Networks that the configuration names and a training run on these pictures cannot feed. */
static enum status check_use(const struct experiment *e, const struct dataset *d, struct error *err)
{
    const struct network_kind *kind = network_kind_at(e->model.network);
    struct network_io io;

    kind->io(e->network, &io);
    if (io.context_width && !names_encoder(&e->text))
        return fail(
            err, E_ARG,
            "model.network: a '%s' that reads encoded texts: section text names who encodes "
            "them (clip_l, clip_g, t5xxl)",
            kind->name);
    if (io.condition_channels && !(io.first_frame > 0) && !io.upscale)
        return fail(err, E_ARG,
                    "movie.condition_channels: of %" PRId64
                    " channels nobody knows what they are to be told; movie.first_frame and "
                    "movie.upscale say it",
                    io.condition_channels);
    if (io.factor)
        return check_autoencoder(e, &io, err);
    if (io.classifies && !d->n_classes)
        return fail(err, E_ARG,
                    "model.network: a '%s' learns to tell classes apart, and the pictures of '%s' "
                    "have no labels",
                    kind->name, e->data.path ? e->data.path : d->format->name);
    return OK;
}

/* What a classifier has no use for would be ignored in silence. */
static enum status check_classifier(const struct train_options *o, struct error *err)
{
    if (!o->loss && !o->second_loss && !o->weight && !(o->loss_floor > 0) && !(o->direction > 0) &&
        !(o->variance > 0))
        return OK;
    return fail(err, E_ARG,
                "the loss of a classifier is the cross-entropy of its labels: train.loss, weight, "
                "loss_floor, direction and variance are of networks that predict");
}

enum status experiment_task(const struct experiment *e, const struct model *m,
                            struct flow_task *out, struct error *err)
{
    struct objective graded = {.graded_as = e->train.loss,
                               .weighting = {.kind = weighting_kind_at(e->train.weight)},
                               .floor = e->train.loss_floor};
    enum status st = m->network->io.classifies ? check_classifier(&e->train, err) : OK;

    if (st)
        return st;
    memcpy(graded.weighting.values, e->weight_values, sizeof graded.weighting.values);
    *out = (struct flow_task){
        .path = m->path,
        .time = {.kind = time_kind_at(e->train.time)},
        .head = {graded, graded},
        .has_second = m->options.second != 0,
        .precondition = m->precondition,
        .eta = network_asks_for_nothing(&m->network->io) ? e->train.label_drop : 0,
        .null_label = m->network->io.null_label,
        .clean = m->network->io.clean,
        .seed = e->train.seed,
    };
    memcpy(out->time.values, e->time_values, sizeof out->time.values);
    out->head[0].predicts = (enum prediction)m->options.prediction;
    out->head[1].graded_as = e->train.second_loss;
    if (out->has_second)
        out->head[1].predicts = (enum prediction)(m->options.second - 1);
    return flow_task_check(out, err);
}

/* Channels for a second prediction, by whichever key this network has them. */
static enum status widen(struct option_set *set, const struct option *rows, int64_t channels,
                         struct error *err)
{
    char text[32];

    for (; rows->name; rows++) {
        if (!strcmp(rows->name, "learn_sigma"))
            return options_set(set, rows->name, "true", err);
        if (strcmp(rows->name, "out_channels"))
            continue;
        snprintf(text, sizeof text, "%" PRId64, 2 * channels);
        return options_set(set, rows->name, text, err);
    }
    return OK;
}

static enum status fit_network(struct experiment *e, const struct dataset *d, struct error *err)
{
    const struct network_kind *kind = network_kind_at(e->model.network);
    struct option_group group = {"", kind->options, e->network, NULL};
    struct option_set set = {&group, 1};
    const struct {
        const char *key;
        int64_t value;
    } follows[] = {{"size", d->height},
                   {"channels", d->channels},
                   {"classes", d->n_classes},
                   {"frames", d->frames ? d->frames : 1}};
    char text[32];
    enum status st;

    if (d->frames > 1 && !options_find(&set, "frames", NULL))
        return fail(err, E_ARG,
                    "data.frames: clips of %" PRId64 " frames, and a '%s' learns pictures",
                    d->frames, kind->name);
    if (d->height != d->width)
        return fail(err, E_ARG,
                    "pictures of %" PRId64 " x %" PRId64 " are not square: set data.size",
                    d->height, d->width);
    if (d->frames > 1 && !options_find(&set, "frames", NULL))
        return fail(err, E_ARG, "model.network: a '%s' learns pictures, and the data are clips",
                    kind->name);
    for (size_t i = 0; i < sizeof follows / sizeof *follows; i++) {
        if (!options_find(&set, follows[i].key, NULL))
            continue; /* an autoencoder has no classes, a network of pictures no frames */
        snprintf(text, sizeof text, "%" PRId64, follows[i].value);
        if ((st = options_set(&set, follows[i].key, text, err)))
            return st;
    }
    return e->model.second ? widen(&set, kind->options, d->channels, err) : OK;
}

enum status experiment_model(struct experiment *e, const struct dataset *d, struct model **out,
                             struct error *err)
{
    struct model *m = NULL;
    enum status st;

    *out = NULL;
    if ((st = check_use(e, d, err)) || (st = fit_network(e, d, err)) ||
        (st = model_new(&m, &e->model, e->path_values, e->network, err)))
        return st;
    m->sample = e->sample;
    if ((st = params_alloc(m->network->params, true, err)) ||
        (st = mem_text(&m->about, d->format->name, err)) ||
        (st = take_encoders(m, &e->text, err)) ||
        (m->network->io.n_classes &&
         (st = model_set_labels(m, d->class_names, d->n_classes, err)))) {
        model_free(m);
        return st;
    }
    params_init(m->network->params, e->train.seed);
    *out = m;
    return OK;
}
