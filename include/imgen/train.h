/*
 * imgen/train.h - models from data
 */
#ifndef IMGEN_TRAIN_H
#define IMGEN_TRAIN_H

#include "imgen/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum imgen_train_event_kind {
    IMGEN_TRAIN_STARTED, /* path: the checkpoint resumed from, or NULL */
    IMGEN_TRAIN_STEP,
    IMGEN_TRAIN_SAVED,     /* path: a checkpoint                         */
    IMGEN_TRAIN_SAMPLED,   /* path: a sheet of pictures                  */
    IMGEN_TRAIN_DONE,      /* path: the model                            */
    IMGEN_TRAIN_EVALUATED, /* loss: on held-out pictures; mean_loss: the same with the averaged
                              weights */
    IMGEN_TRAIN_ENCODING,  /* before all others: of `steps` pictures, latents of `step` are there */
    IMGEN_TRAIN_NOTE,      /* path: a sentence, about something that is not as asked */
    IMGEN_TRAIN_ENCODING_TEXTS, /* as ENCODING, of captions that frozen encoders are asked about */
};

struct imgen_train_event {
    enum imgen_train_event_kind kind;
    int64_t step, steps;
    double loss, mean_loss, gradient_norm, learning_rate, steps_per_s, seconds_left;
    const char *path;
    int64_t planned_bytes;   /* memory that the run was planned to take at most                 */
    int64_t peak_bytes;      /* DONE: the most that the process ever had                        */
    int recompute, segments; /* 0: nothing is computed again; 1: norms and activations; 1 + k: and
                                k of so many segments                                           */
    /* EVALUATED, of a classifier: the share of held-out pictures whose label it found by its
     * averaged weights; of those with t in each quarter, from noise to data. */
    int classifies, clean; /* clean: of pictures without noise, all at t = 1 */
    double accuracy, accuracy_quarter[4];
    /* EVALUATED, of an autoencoder: peak signal to noise of the held-out pictures, in dB. */
    int rebuilds;
    double psnr;
};
/* Return 0 to stop: the step is finished and saved, and the call fails with IMGEN_E_CANCELLED. */
typedef int imgen_train_callback(const struct imgen_train_event *e, void *user);

struct imgen_training {
    const char *config;          /* an INI file, or NULL                                       */
    const char *config_text;     /* or its text; config then names it in messages              */
    const char *const *settings; /* [n_settings] "section.key=value" over it               */
    int n_settings;
    int threads; /* 0: one per processor                                                   */
    int resume;  /* go on from the newest checkpoint of train.out                          */
    imgen_train_callback *callback; /* may be NULL */
    void *user;
};

/* Train to the end; writes under train.out: checkpoints, log.jsonl, log.csv, samples-*.png,
 * report.html and model.safetensors. */
IMGEN_API enum imgen_status imgen_train(const struct imgen_training *t, struct imgen_error *err);

/* Write FOLDER/report.html, a run on one page, anew from FOLDER/log.jsonl and its sheets of
 * pictures.  imgen_train does it at each evaluation and at the end. */
IMGEN_API enum imgen_status imgen_report(const char *folder, struct imgen_error *err);

struct imgen_train_plan {
    int64_t weights, state_bytes, step_bytes;
    double step_flops, step_seconds, total_seconds; /* seconds from three probe steps */
    int64_t steps, pictures;                        /* pictures: INT64_MAX when endless */
    /* Memory of the process: before the run, for setting up, for a while; with state and step the
     * peak. */
    int64_t program_bytes, setup_bytes, beside_bytes, peak_bytes;
    int recompute, segments; /* as in imgen_train_event */
};
/* What it would take; writes nothing. */
IMGEN_API enum imgen_status imgen_train_measure(const struct imgen_training *t,
                                                struct imgen_train_plan *out,
                                                struct imgen_error *err);

/* Every key of a configuration, for help and completion: calls back in order, 0 stops. */
struct imgen_config_key {
    const char *section, *key, *help, *fallback;
};
typedef int imgen_config_callback(const struct imgen_config_key *key, void *user);
IMGEN_API void imgen_config_keys(imgen_config_callback *callback, void *user);

#ifdef __cplusplus
}
#endif

#endif
