/*
 * grid.h - what the parts of `imgen grid` share
 */
#ifndef CLI_GRID_H
#define CLI_GRID_H

#include "cli.h"
#include "grid_axis.h"
#include "part_flags.h"
#include "progress.h"
#include "solver_flags.h"

#include <stdint.h>

struct grid_options {
    bool help;
    char *x, *y, *label, *prompt, *seed, *cfg_scale, *steps, *sampling_method, *output;
    char *init, *mask, *strength, *autoencoder;
    int64_t width, height, frames, shown;
    double rate;
    struct guide_flags guide;
    struct part_flags parts;
    struct imgen_text_list numbers;
    int64_t count, zoom, threads;
    bool json, quiet;
};

struct grid {
    const struct grid_options *options;
    struct grid_models models;
    struct imgen_image init, mask; /* without pixels: none */
    struct grid_axis x, y;
    struct grid_cell plain;  /* what holds where no axis says otherwise */
    struct grid_cell *cells; /* [y.n, x.n]                              */
    int64_t n_cells, count, length, frames;
    float *pixels; /* [n_cells, count, frames, length]; frames 1 but of clips */
    int64_t done;  /* pictures finished        */
    struct progress progress;
};

/* All cells with their captions, as the picture or the clip that was asked for.  An exit code. */
int grid_write_sheet(const struct grid *g);

/* Frames of clips in files and folders on one sheet, a row a clip.  An exit code. */
int grid_clips(const struct grid_options *o, int n_words, char **words);

#endif
