/*
 * checkpoint.h - a run's whole state in one file, and which of a folder's files to go on from
 *
 *     FOLDER/checkpoint-00001000.safetensors
 *       metadata  "imgen": the model;  "imgen.train": the configuration, as JSON
 *       tensors   "model.*", "ema.*", "adam_m.*", "adam_v.*", and NAME.*, NAME_m.*, NAME_v.* of
 * what learns beside the model FOLDER/latest       the name of the newest complete one
 */
#ifndef IMGEN_TRAIN_CHECKPOINT_H
#define IMGEN_TRAIN_CHECKPOINT_H

#include "pipeline/model.h"
#include "train/companion.h"

enum { COMPANIONS_MAX = 2 };

/* The arrays of a run, all of the network's flat layout: average [n_values], moments [n_trained];
 * owned by the trainer. */
struct train_state {
    struct model *model; /* values, and the step */
    float *average, *m, *v;
    const char *config;                          /* JSON text */
    struct companion *companion[COMPANIONS_MAX]; /* what learns beside it; referred to */
    int n_companions;
};

enum { CHECKPOINT_PATH = 4096 };

/* "FOLDER/checkpoint-SSSSSSSS.safetensors" into out. E_ARG when too long. */
enum status checkpoint_path(char out[CHECKPOINT_PATH], const char *folder, int64_t step,
                            struct error *err);

/* Write the state of model->step, then `latest`, then remove all but the `keep` newest. Each is
 * atomic: a kill at any moment leaves a complete newest checkpoint. */
enum status checkpoint_save(const struct train_state *s, const char *folder, int64_t keep,
                            struct error *err);

/* Bytes that saving takes for a while, about. */
int64_t checkpoint_bytes(const struct train_state *s);

/* The newest checkpoint that opens: what `latest` names, else the highest step.  E_IO when there is
 * none, or the folder cannot be listed; E_MEMORY when there is none to look into them. */
enum status checkpoint_find(char out[CHECKPOINT_PATH], const char *folder, struct error *err);
/* Whether the folder holds any, or cannot be listed. */
bool checkpoint_exists(const char *folder);

/* Fill the state's arrays and model->step.  E_FORMAT when it belongs to another network. */
enum status checkpoint_load(struct train_state *s, const char *path, struct error *err);

/* Remove what a killed process left half written. */
void checkpoint_clean(const char *folder);

#endif
