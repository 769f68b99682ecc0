/*
 * trainer.h - a training run, from a configuration to a model file
 */
#ifndef IMGEN_TRAIN_TRAINER_H
#define IMGEN_TRAIN_TRAINER_H

#include "train/evaluate.h"
#include "train/experiment.h"
#include "train/footprint.h"

enum train_event_kind {
    TRAIN_STARTED,        /* path: the checkpoint resumed from, or NULL        */
    TRAIN_STEP,           /* after each step                                    */
    TRAIN_SAVED,          /* path: a checkpoint                                 */
    TRAIN_SAMPLED,        /* path: a sheet of pictures                          */
    TRAIN_DONE,           /* path: the model                                    */
    TRAIN_EVALUATED,      /* loss: on held-out pictures, mean_loss: with the averaged weights */
    TRAIN_ENCODING,       /* before all others: of `steps` pictures, latents of `step` are there */
    TRAIN_NOTE,           /* path: a sentence, about something that is not as asked */
    TRAIN_ENCODING_TEXTS, /* as TRAIN_ENCODING, of captions */
};

/* What the callback sees; valid during the call. */
struct train_event {
    enum train_event_kind kind;
    int64_t step, steps; /* taken, in all                                        */
    double loss;         /* of this step                                         */
    double mean_loss;    /* over the last hundred steps or so                    */
    double gradient_norm, learning_rate;
    double steps_per_s, seconds_left;
    const char *path;
    const struct eval_losses *evaluated; /* TRAIN_EVALUATED, else NULL                */
    const struct footprint *memory;      /* what the run takes; at TRAIN_STARTED and after  */
    int64_t peak_bytes;                  /* TRAIN_DONE: the most the process ever had       */
};

/* Return false to stop: the step is finished, a checkpoint is written (or, of latents, those that
 * are there are kept), and train_run fails with E_CANCELLED. */
typedef bool train_callback(const struct train_event *e, void *user);

struct train_request {
    struct experiment *experiment; /* its network configuration is moved into the model */
    int threads;
    bool resume;              /* go on from the newest checkpoint of train.out  */
    train_callback *callback; /* may be NULL                                     */
    void *user;
};

/* Train to the end.  Writes under train.out: checkpoints, latest, log.jsonl, log.csv,
 * samples-*.png, report.html and model.safetensors.  E_ARG when the folder already holds a run and
 * resume is not asked for; E_NOT_FINITE naming the step; E_CANCELLED; what files and memory say.
 * The last checkpoint stays intact whatever happens. */
enum status train_run(const struct train_request *r, struct error *err);

/* What a run would take. */
struct train_plan {
    int64_t weights; /* trained numbers                        */
    struct footprint memory;
    double step_flops;
    double step_seconds; /* median of three steps                  */
    double total_seconds;
    int64_t pictures; /* in the data set; INT64_MAX: endless    */
};
enum status train_measure(const struct train_request *r, struct train_plan *out, struct error *err);

#endif
