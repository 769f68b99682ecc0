/*
 * log.h - what a run writes down, as JSON lines, as CSV and as TensorBoard events
 */
#ifndef IMGEN_TRAIN_LOG_H
#define IMGEN_TRAIN_LOG_H

#include "io/tfevents.h"
#include "train/evaluate.h"
#include "train/opponent.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One line. */
struct log_row {
    int64_t step;
    double loss;          /* mean since the line before                             */
    double gradient_norm; /* of the last step, before clipping                       */
    double learning_rate;
    double steps_per_s;
    double data_s, network_s, update_s, other_s; /* seconds a step, by part          */
    struct opponent_says opponent; /* of the last batch, in an autoencoder's training */
};

/* A line of the losses on held-out pictures. */
struct log_eval {
    int64_t step;
    struct eval_losses losses;
};

/* What such a line holds: nothing, losses, or how often a classifier is right too, or how near an
 * autoencoder comes. */
enum log_eval_kind {
    LOG_EVAL_NONE,
    LOG_EVAL_LOSS,
    LOG_EVAL_ACCURACY,
    LOG_EVAL_PSNR,
};

struct log_options {
    const char *folder;
    int64_t step;            /* the run goes on from here           */
    const char *config;      /* of the run, as one line of JSON      */
    enum log_eval_kind eval; /* of held-out pictures                 */
    bool tensorboard;        /* event files too                      */
};

struct train_log {
    FILE *json, *csv, *eval;
    struct tfevents *events; /* or NULL */
};

/* Open FOLDER/log.jsonl, FOLDER/log.csv and, when asked, FOLDER/eval.csv and an event file for
 * lines after `step`: lines of later steps, which a killed run wrote and a resumed one will write
 * again, are removed.  The configuration is written into log.jsonl.  Close also after a failure. */
enum status log_open(struct train_log *log, const struct log_options *options, struct error *err);
enum status log_write(struct train_log *log, const struct log_row *row, struct error *err);
enum status log_write_eval(struct train_log *log, const struct log_eval *row, struct error *err);
/* A sheet of pictures in a PNG file, for those who take pictures. */
enum status log_write_sheet(struct train_log *log, int64_t step, const char *path,
                            struct error *err);
void log_close(struct train_log *log);

#endif
