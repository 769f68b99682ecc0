/*
 * sample.h - what the parts of `imgen sample` share
 */
#ifndef CLI_SAMPLE_H
#define CLI_SAMPLE_H

#include "cli.h"
#include "part_flags.h"
#include "picture_names.h"
#include "progress.h"
#include "prompt_list.h"
#include "request_models.h"
#include "request_recipe.h"
#include "solver_flags.h"

#include <stdint.h>

struct sample_options {
    bool help;
    char *label, *labels, *prompts, *seed, *output, *from, *preview_autoencoder;
    char *init, *mask;
    double strength;
    struct imgen_text_list prompt, lora;
    struct part_flags parts;
    int64_t width, height, frames;
    double rate, tile_overlap;
    int64_t batch_count, threads, preview, zoom;
    struct solver_flags solver;
    char *memory_limit;
    bool tile, grid, dry_run, quiet, verbose, json;
};

/* The flags; at most SAMPLE_ROWS, the one that ends the table included. */
enum { SAMPLE_ROWS = 64, SAMPLE_LABELS = 4096, SAMPLE_PICTURES = 1000000 };
extern const struct imgen_option sample_rows[];

/* A call of the command. */
struct sample_job {
    const struct sample_options *options;
    bool given[SAMPLE_ROWS]; /* one a row */
    struct request_models models;
    struct model_files files; /* that they were opened from */
    struct model_room room;
    struct request_recipe from;
    struct imgen_request request;
    struct skip_numbers numbers;
    struct prompt_list prompts;
    struct imgen_item *items; /* [n_items], label by label */
    int label[SAMPLE_LABELS], n_labels;
    uint64_t seed;
    uint8_t *pixels;
    struct progress progress;
    double stepping; /* when the first step began: what is left is guessed from there */
};

/* Whether a flag was typed. */
bool sample_typed(const struct sample_job *job, const char *flag);
/* Of a picture, or of all frames of a clip. */
int64_t sample_bytes(const struct sample_job *job);
/* command_failed. */
int sample_failed(const struct imgen_error *err);

/* The files that have a part in the picture, as typed or as a recipe says (word: the model, or
 * NULL), opened, and the size of the pictures.  An exit code. */
int sample_open(struct sample_job *job, const char *word);
/* With --from, whether they are those that made that picture, once the request is complete. */
int sample_check(struct sample_job *job, const char *word);

/* The request: labels or prompts, seed, solver, items; and room for the pictures.  An exit code. */
int sample_ask(struct sample_job *job);

/* The pictures so far, beside the output. */
void sample_write_preview(struct sample_job *job, const struct imgen_progress *p);
/* The pictures, or the sheet, and on stdout what was written.  An exit code. */
int sample_write(struct sample_job *job);

#endif
