/*
 * model_options.h - what a person can say of a model: sections "model" and "sample"
 */
#ifndef IMGEN_PIPELINE_MODEL_OPTIONS_H
#define IMGEN_PIPELINE_MODEL_OPTIONS_H

#include "base/option.h"
#include "diffusion/choice.h"

/* Options of section "sample": how a person would sample from a model unless told otherwise. */
struct sample_defaults {
    int sampler;  /* number of the sampler, see sampler_at            */
    int schedule; /* number of the time grid, see grid_kind_at        */
    double shift; /* of the shifted grid                              */
    int64_t steps;
    double cfg_scale; /* guidance scale w                                 */
    int heads;        /* enum use_heads                                   */
    int clip;         /* enum clip_when                                   */
};

/* Whether the predicted picture is kept inside the range of pictures on the way.  What is made of
 * noise or score is divided by a small alpha at the beginning, and a little error there is a large
 * one of the picture: AUTO clips those predictions and no others. */
enum clip_when {
    CLIP_AUTO,
    CLIP_ON,
    CLIP_OFF,
};
const char *clip_when_name(int i); /* NULL past the last */

/* Of a network with two: velocity from the first and score from the second, or one of them alone
 * with the other converted from it (theory.md 2.4). */
enum use_heads {
    HEADS_BOTH,
    HEADS_FIRST,
    HEADS_SECOND,
};
const char *use_heads_name(int i); /* NULL past the last */

extern const struct option sample_option_rows[];

/* Options of section "model". */
struct model_options {
    int network;       /* number of the kind, see network_kind_at     */
    int path;          /* number of the path, see path_kind_at        */
    int prediction;    /* enum prediction                             */
    int second;        /* of its further channels: 0 none, else 1 + enum prediction */
    int precondition;  /* number of the wrapper, see precondition_kind_at           */
    int time_input;    /* enum time_input                             */
    double time_scale; /* TIME_SCALED: the network reads time_scale * t             */
    double precondition_values[CHOICE_VALUES]; /* section "precondition"           */
};
extern const struct option model_option_rows[];

/* "none" and the names of predictions: number i is model_options.second = i.  NULL past the last.
 */
const char *model_second_name(int i);

#endif
