/*
 * solver_flags.h - the flags by which every command that makes pictures asks for them
 */
#ifndef CLI_SOLVER_FLAGS_H
#define CLI_SOLVER_FLAGS_H

#include "cli.h"
#include "skip_flags.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* A member of the command's options; its rows stand in the command's table. */
struct solver_flags {
    int64_t steps;
    double cfg_scale, shift, classifier_scale;
    char *classifier;  /* a file           */
    char *autoencoder; /* a file or folder */
    struct guide_flags {
        char *model; /* a file */
        int label;
    } guide;
    int sampler, schedule, precision, rng, heads, clip;
    struct imgen_real_list times;
    struct imgen_text_list numbers;
    struct skip_flags skip;
};

const char *solver_flags_sampler(int i);
const char *solver_flags_schedule(int i);
const char *solver_flags_precision(int i);
const char *solver_flags_rng(int i);
const char *solver_flags_heads(int i);
const char *solver_flags_clip(int i);
const char *solver_flags_guide_label(int i);

/* clang-format off */
/* The rows of a second model, and of numbers; at: where a struct guide_flags, or a list, stands. */
#define GUIDE_ROWS(at)                                                                         \
    {"guide", "a second model in the place of the unguided prediction: g = b + w (m - b)",     \
     IMGEN_OPTION_TEXT, (at) + offsetof(struct guide_flags, model), .value = "MODEL"},         \
    {"guide_label",                                                                            \
     "what it is asked for: no label, or the same (a weaker model: autoguidance)",             \
     IMGEN_OPTION_CHOICE, (at) + offsetof(struct guide_flags, label),                          \
     .choice = solver_flags_guide_label}
#define NUMBER_ROW(at)                                                                         \
    {"number", "of solver, schedule, guidance or SDE (imgen list numbers); may be given often", \
     IMGEN_OPTION_TEXTS, (at), .value = "SECTION.NAME=VALUE"}

#define AUTOENCODER_ROW(at)                                                                    \
    {"autoencoder", "of a model of latents, where it is not found by itself",                  \
     IMGEN_OPTION_TEXT, (at), .value = "PATH"}

/* The rows; at: where the member stands in the options. */
#define SOLVER_ROWS(at)                                                                        \
    {"cfg_scale", "guidance: 0 none, 1 as trained, above 1 stronger; default: the model's",    \
     IMGEN_OPTION_REAL, (at) + offsetof(struct solver_flags, cfg_scale), .lo = 0,              \
     .hi = HUGE_VAL},                                                                          \
    {"classifier", "guide by a classifier of noisy pictures too", IMGEN_OPTION_TEXT,           \
     (at) + offsetof(struct solver_flags, classifier), .value = "MODEL"},                      \
    {"classifier_scale",                                                                       \
     "how strongly: 0 not at all, 1 as its probabilities say; default 1", IMGEN_OPTION_REAL,   \
     (at) + offsetof(struct solver_flags, classifier_scale), .lo = 0, .hi = HUGE_VAL},         \
    GUIDE_ROWS((at) + offsetof(struct solver_flags, guide)),                                   \
    AUTOENCODER_ROW((at) + offsetof(struct solver_flags, autoencoder)),                        \
    {"steps", "steps of the solver; default: the model's", IMGEN_OPTION_INT,                   \
     (at) + offsetof(struct solver_flags, steps), .lo = 1, .hi = 1000},                        \
    {"sampling_method", "solver; default: the model's", IMGEN_OPTION_CHOICE,                   \
     (at) + offsetof(struct solver_flags, sampler), .choice = solver_flags_sampler},           \
    {"schedule", "how the times are spaced; default: the model's", IMGEN_OPTION_CHOICE,        \
     (at) + offsetof(struct solver_flags, schedule), .choice = solver_flags_schedule},         \
    {"shift", "of the shifted schedules; default: the model's", IMGEN_OPTION_REAL,              \
     (at) + offsetof(struct solver_flags, shift), .lo = 0.01, .hi = 100},                      \
    {"times", "the solver's times from 0 to 1, instead of schedule and steps",                 \
     IMGEN_OPTION_REALS, (at) + offsetof(struct solver_flags, times), .lo = 0, .hi = 1},       \
    {"precision", "numbers of the large layers: other pictures by a hair, made faster",        \
     IMGEN_OPTION_CHOICE, (at) + offsetof(struct solver_flags, precision), "float32",          \
     .choice = solver_flags_precision},                                                        \
    {"rng", "what draws the noise of a seed: torch-cpu makes seeds of other programs mean the same", \
     IMGEN_OPTION_CHOICE, (at) + offsetof(struct solver_flags, rng), "imgen",                  \
     .choice = solver_flags_rng},                                                              \
    {"heads", "of a model with two predictions, which to use; default: the model's",           \
     IMGEN_OPTION_CHOICE, (at) + offsetof(struct solver_flags, heads),                         \
     .choice = solver_flags_heads},                                                            \
    NUMBER_ROW((at) + offsetof(struct solver_flags, numbers)),                                 \
    SKIP_ROWS((at) + offsetof(struct solver_flags, skip)),                                     \
    {"clip", "keep predicted pictures in range on the way; default: the model's",              \
     IMGEN_OPTION_CHOICE, (at) + offsetof(struct solver_flags, clip),                          \
     .choice = solver_flags_clip}
/* clang-format on */

/* What was typed, over what the request says already; room: what it points to afterwards.  An exit
 * code. */
int solver_flags_apply(const struct command *c, const bool *given, const struct solver_flags *f,
                       struct skip_numbers *room, struct imgen_request *r);

/* Complain about a flag of a classifier or a guide that is not there. */
int solver_flags_check_guides(const struct command *c, const bool *given, bool classifier,
                              bool guide);

/* The guidance scale of a label where none was typed: the model's own.  A label of "none" leaves
 * nothing to guide by, unless there is a second model: one evaluation a step does. */
double solver_flags_scale(const struct imgen_model_info *model, bool guide, int label);

#endif
