/*
 * log.h - what a run writes down, as JSON lines and as CSV
 */
#ifndef IMGEN_TRAIN_LOG_H
#define IMGEN_TRAIN_LOG_H

#include "base/error.h"

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
};

/* A line of the losses on held-out pictures. */
struct log_eval {
    int64_t step;
    double raw, average, quarter[4];
};

struct train_log {
    FILE *json, *csv, *eval;
};

/* Open FOLDER/log.jsonl, FOLDER/log.csv and, when asked, FOLDER/eval.csv for lines after `step`:
 * lines of later steps, which a killed run wrote and a resumed one will write again, are removed.
 * Close also after a failure. */
enum status log_open(struct train_log *log, const char *folder, int64_t step, bool eval,
                     struct error *err);
enum status log_write(struct train_log *log, const struct log_row *row, struct error *err);
enum status log_write_eval(struct train_log *log, const struct log_eval *row, struct error *err);
void log_close(struct train_log *log);

#endif
