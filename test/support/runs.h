/*
 * runs.h - runs of training from a text, and whether two of them are one
 */
#ifndef IMGEN_TEST_SUPPORT_RUNS_H
#define IMGEN_TEST_SUPPORT_RUNS_H

#include "train/trainer.h"

/* Read a configuration as from a file, with these settings ("name=value") over it, ended by NULL;
 * more may be NULL.  Fails the test where it is refused. */
void run_read(struct experiment *e, const char *config, const char *const *more);

/* Train as such a configuration says; r: all but the experiment.  Fails as experiment_read_text and
 * train_run. */
enum status run_text(struct train_request r, const char *config, const char *const *more,
                     struct error *err);

/* A train_callback that stops behind a step; user: its number, int64_t, or 0. */
bool run_stops_at(const struct train_event *e, void *user);

/* The same into the folder `name`: stopped behind a step, 0: never; below that the run that is
 * there goes on.  At most RUN_SETTINGS of `more`. */
enum { RUN_SETTINGS = 6 };
enum status run_in(const char *name, const char *config, int threads, int64_t stop,
                   const char *const *more, struct error *err);
/* Whole; fails the test where that fails. */
void run_must(const char *name, const char *config, int threads, const char *const *more);
/* Fails the test unless the run of this configuration in the folder `whole` is what comes out on
 * three threads too, and when it is cut behind its second or third step and gone on with. */
void assert_run_repeats(const char *whole, const char *config);

/* Fails the test unless the newest checkpoints of two runs hold the same tensors, bit for bit. */
void assert_same_runs(const char *folder, const char *other);

#endif
