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

/* Fails the test unless the newest checkpoints of two runs hold the same tensors, bit for bit. */
void assert_same_runs(const char *folder, const char *other);

#endif
