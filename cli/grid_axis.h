/*
 * grid_axis.h - what may vary along an axis of `imgen grid`
 */
#ifndef CLI_GRID_AXIS_H
#define CLI_GRID_AXIS_H

#include "cli.h"

#include <stdint.h>

enum { GRID_VALUES = 64, GRID_MODELS = GRID_VALUES, GRID_CAPTION = 64, GRID_PATH = 4096 };

/* All that a picture is asked by. */
struct grid_cell {
    int model; /* number in grid_models */
    const char *sampler;
    int steps;
    int label;
    double guidance, strength;
    uint64_t seed;
};

/* The models that the cells name.  The first is the one on the command line. */
struct grid_models {
    const char *given;        /* a model's file or a run's folder           */
    struct imgen_parts parts; /* of published ones, and the autoencoder of models of latents */
    int64_t width, height;    /* of the pictures; 0: as the model has it                      */
    int64_t frames;           /* of clips; the same                                           */
    bool has_init;            /* they are made of a picture                                   */
    const char *prompt[2 * GRID_VALUES + 1]; /* [n_prompts], of models that read texts        */
    int n_prompts;
    struct imgen_model *at[GRID_MODELS + 1];
    struct imgen_model_info info;             /* of the first */
    struct imgen_model *guide;                /* of all, or NULL */
    char name[GRID_MODELS + 1][GRID_CAPTION]; /* "step 2000", or the file */
    char guide_name[GRID_CAPTION];
    int n;
};

/* Open the one on the command line: a folder stands for its model.safetensors.  Returns an exit
 * code; release also after a failure. */
int grid_models_open(struct grid_models *m, const char *word);
/* Open the second model that guides all of them. */
int grid_models_open_guide(struct grid_models *m, const char *path);
void grid_models_release(struct grid_models *m);

struct grid_axis_kind {
    const char *name, *other; /* "guidance", and the flag of `imgen sample` or NULL */
    /* Read a value into the cell.  Returns an exit code, having complained. */
    int (*read)(struct grid_cell *cell, struct grid_models *m, const char *value);
    /* What is written beside its pictures. */
    void (*caption)(char out[GRID_CAPTION], const struct grid_cell *cell,
                    const struct grid_models *m);
};

const struct grid_axis_kind *grid_axis_kind_at(int i); /* NULL past the last */

struct grid_axis {
    const struct grid_axis_kind *kind; /* NULL: nothing varies, there is one value */
    char value[GRID_VALUES][128];
    int n;
};

/* Read "steps=5,10,20" as the axis that the flag asks for; text NULL: nothing varies.  Returns an
 * exit code. */
int grid_axis_read(struct grid_axis *a, const char *flag, const char *text);
/* Let value i of the axis be the cell's. */
int grid_axis_apply(struct grid_cell *cell, const struct grid_axis *a, int i,
                    struct grid_models *m);

#endif
