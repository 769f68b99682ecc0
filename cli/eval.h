/*
 * eval.h - what the parts of `imgen eval` share
 */
#ifndef CLI_EVAL_H
#define CLI_EVAL_H

#include "picture_source.h"
#include "progress.h"
#include "solver_flags.h"

#include <stdint.h>

enum { EVAL_FIGURES = 64, EVAL_JOINTS = 1024 };
enum { SPLIT_TRAIN, SPLIT_HELD_OUT };

struct eval_options {
    bool help, each, json, quiet, given;
    char *reference, *features, *resize, *pooling, *judge, *measures, *save, *label, *prompts;
    int split, reference_split;
    int64_t count, reference_count, size, channels, neighbours, subsets, subset_size, projections;
    int64_t frames, tile_frames, threads;
    struct imgen_int_list joints;
    uint64_t seed;
    struct solver_flags solver;
    struct imgen_text_list settings;
};

/* One figure, its texts kept. */
struct figure {
    struct imgen_measure_row row;
    char note[192], lacks[400];
};

/* A call of the command. */
struct eval_job {
    const struct eval_options *options;
    const bool *given;
    struct imgen_features *features, *judge;
    struct imgen_features_info features_info, judge_info;
    struct picture_source pictures, reference;
    struct skip_numbers numbers; /* of the request that a model is asked */
    struct imgen_measured measured;
    struct imgen_neighbour *nearest;
    struct figure figure[EVAL_FIGURES];
    int n;
    int64_t joint[EVAL_JOINTS]; /* [n_joints] of the clips: imgen_measuring.joints */
    int n_joints;
    struct progress progress;
};

/* What an autoencoder makes of the reference's held-out pictures or clips, and these: of words that
 * source_kind_of calls an autoencoder.  wish: of the reference.  An exit code. */
int eval_read_reconstructions(struct eval_job *job, const char *autoencoder,
                              const struct source_wish *wish);

/* What was measured, and every figure: in words, or as JSON. */
void eval_print(const struct eval_job *job);
void eval_print_json(const struct eval_job *job);

#endif
