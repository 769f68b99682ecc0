/*
 * train_watch.h - following a training run: progress for people, what is left for the report
 */
#ifndef CLI_TRAIN_WATCH_H
#define CLI_TRAIN_WATCH_H

#include "imgen.h"
#include "progress.h"

enum { WATCH_PATH = 4096, WATCH_TEXT = 96 };

struct train_watch {
    struct progress progress;
    bool verbose; /* also learning rate, gradient norm and every checkpoint */
    int64_t step, steps;
    double loss; /* mean over the last hundred steps or so */
    int64_t planned_bytes, peak_bytes;
    char saved[WATCH_PATH], model[WATCH_PATH]; /* newest checkpoint, finished model; or "" */
};

/* The callback of struct imgen_training; user is a struct train_watch.  Stops the run once
 * interrupt_asked(). */
int train_watch_event(const struct imgen_train_event *e, void *user);

/* What imgen_train_event's recompute means: ", norms, activations and 3 of 12 blocks computed
 * again", or nothing. */
const char *watch_recompute(char out[WATCH_TEXT], int level, int segments);

#endif
