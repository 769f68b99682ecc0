/*
 * experiment.h - the whole configuration of a training run
 *
 * Sections of the INI file (and of `--set section.key=value`):
 *     [model]  network, path, prediction        [path]  the path's own numbers
 *     [unet] or [dit]  the network's options    [precondition]  the wrapper's own numbers
 *     [train]  how                              [time]  the time density's own numbers
 *     [data]  what to learn from                [weight]  the loss weight's own numbers
 *     [sample]  how pictures are made by default
 *     [autoencoder]  what a network that is one is trained for
 *     [lora]  an adapter that learns in the place of a network, and of which model
 *     [text]  who encodes captions for a network that reads them encoded
 * Size, channels and classes of the network follow from the data and are not typed.
 */
#ifndef IMGEN_TRAIN_EXPERIMENT_H
#define IMGEN_TRAIN_EXPERIMENT_H

#include "base/option.h"
#include "data/dataset.h"
#include "diffusion/loss.h"
#include "pipeline/model.h"
#include "train/autoencode.h"
#include "train/rate.h"

struct data_options {
    int format; /* number, see dataset_format_at       */
    char *path, *labels;
    char *eval_path, *eval_labels; /* held-out pictures     */
    char *autoencoder, *cache;     /* of latents: see train/latent_data.h */
    int64_t size, channels, frames, limit;
    bool rates;                 /* captions begin with them   */
    struct int_list background; /* one or three values 0..255 */
    uint64_t seed;
};
extern const struct option data_option_rows[];

struct train_options {
    int64_t steps, batch, accumulate;
    int64_t image_every; /* of clips: each so many-th step is of pictures; 0: none */
    double learning_rate;
    int schedule; /* enum rate_kind */
    int64_t warmup;
    double final_rate; /* of the cosine, over learning_rate */
    double beta1, beta2, adam_eps, weight_decay, clip, ema;
    double ema_width;      /* of a power average over the run so far, in place of ema; or 0 */
    double label_drop;     /* eta */
    int time;              /* number, see time_kind_at */
    int loss, second_loss; /* objective.graded_as of each head      */
    int weight;            /* number, see weighting_kind_at         */
    double loss_floor;     /* objective.floor                       */
    double direction;      /* of the directions' loss, beside it    */
    double variance;       /* of the variational loss, beside it    */
    bool flip;
    bool recompute;     /* forget activations inside blocks and compute them again */
    char *init;         /* the model that it begins as, or NULL                    */
    char *memory_limit; /* a size, or NULL: recompute as little as fits into it    */
    int precision;      /* enum precision                                          */
    uint64_t seed;
    char *out;
    bool tensorboard;
    int64_t log_every, save_every, keep, sample_every, sample_count, eval_every, eval_count;
    bool sample_preview; /* sheets of latents by their linear preview, not decoded */
};
extern const struct option train_option_rows[];

/* An adapter of a model that stays as it is; base NULL: a network learns. */
struct lora_options {
    char *base;
    int64_t rank;
    double alpha; /* 0: the rank */
    char *targets;
};
extern const struct option lora_option_rows[];

/* Text encoders, files or folders; NULL: the base model's, or none. */
struct text_options {
    char *clip_l, *clip_g, *t5xxl, *merges, *spiece;
    bool no_t5;
    int64_t t5_tokens; /* of a caption, for T5                            */
    char *cache;       /* folder in which what they say is kept */
};
extern const struct option text_option_rows[];

/* Which rows of a section somebody has set. */
enum { EXPERIMENT_ROWS = 64 };
struct experiment_given {
    bool model[EXPERIMENT_ROWS], train[EXPERIMENT_ROWS], sample[EXPERIMENT_ROWS],
        autoencoder[EXPERIMENT_ROWS];
};

struct experiment {
    struct model_options model;
    double path_values[CHOICE_VALUES], time_values[CHOICE_VALUES], weight_values[CHOICE_VALUES];
    void *network; /* the kind's configuration, heap */
    struct data_options data;
    struct train_options train;
    struct sample_defaults sample;
    struct autoencoder_options autoencoder;
    struct lora_options lora;
    struct text_options text;
    struct experiment_given given;
};

/* Read an INI file (path NULL: defaults only), then "section.key=value" settings over it.  Release
 * also after a failure.  E_ARG, E_FORMAT, E_IO with file and line. */
enum status experiment_read(struct experiment *e, const char *path, char *const *settings,
                            int n_settings, struct error *err);
/* The same from a text; name stands for the path in messages. */
enum status experiment_read_text(struct experiment *e, const char *name, const char *text,
                                 char *const *settings, int n_settings, struct error *err);
void experiment_release(struct experiment *e);

/* All sections as one option set, over e itself. */
enum { EXPERIMENT_SECTIONS = 12 };
struct option_set experiment_options(struct experiment *e,
                                     struct option_group group[EXPERIMENT_SECTIONS]);

/* What its model is trained for.  E_ARG naming what excludes what. */
enum status experiment_task(const struct experiment *e, const struct model *m,
                            struct flow_task *out, struct error *err);

/* Open the data set it names, or, where that is of clips, pictures of the same kind. */
enum status experiment_data(const struct experiment *e, struct dataset **out, struct error *err);
enum status experiment_pictures(const struct experiment *e, struct dataset **out,
                                struct error *err);

/* Build the untrained model for pictures of this set, labelled as it is, initialised from
 * train.seed. The network's configuration is moved out of e. */
enum status experiment_model(struct experiment *e, const struct dataset *d, struct model **out,
                             struct error *err);

#endif
