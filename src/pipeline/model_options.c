/*
 * model_options.c - what a person can say of a model: sections "model" and "sample"
 *
 * One table serves the configuration file, the flags, the description inside a model file and what
 * is told of it all.  Networks, paths, solvers and predictions are chosen by names, and the names
 * are those of their own lists: a new one can be typed here without a word added.
 */
#include "pipeline/model_options.h"

#include "diffusion/path.h"
#include "diffusion/precondition.h"
#include "model/network.h"
#include "sampler/sampler.h"

static const char *sampler_choice(int i)
{
    return sampler_at(i) ? sampler_at(i)->is.name : NULL;
}

static const char *grid_choice(int i)
{
    return grid_kind_at(i) ? grid_kind_at(i)->is.name : NULL;
}

static const char *network_choice(int i)
{
    return network_kind_at(i) ? network_kind_at(i)->name : NULL;
}

static const char *path_choice(int i)
{
    return path_kind_at(i) ? path_kind_at(i)->is.name : NULL;
}

static const char *prediction_choice(int i)
{
    return prediction_at(i) ? prediction_at(i)->name : NULL;
}

const char *clip_when_name(int i)
{
    static const char *const names[] = {"auto", "on", "off"};

    return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

const char *use_heads_name(int i)
{
    static const char *const names[] = {"both", "first", "second"};

    return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

const char *model_second_name(int i)
{
    return i ? prediction_choice(i - 1) : "none";
}

static const char *precondition_choice(int i)
{
    return precondition_kind_at(i) ? precondition_kind_at(i)->is.name : NULL;
}

static const char *time_input_choice(int i)
{
    return time_input_at(i) ? time_input_at(i)->name : NULL;
}

const struct option sample_option_rows[] = {
    {"sampling_method", "solver of the flow ODE", OPTION_CHOICE,
     offsetof(struct sample_defaults, sampler), "heun", .choice = sampler_choice},
    {"schedule", "how the times are spaced", OPTION_CHOICE,
     offsetof(struct sample_defaults, schedule), "uniform", .choice = grid_choice},
    {"shift", "of the shifted schedule: above 1, more steps near noise", OPTION_REAL,
     offsetof(struct sample_defaults, shift), "3", .lo = 0.01, .hi = 100},
    {"steps", "steps of the solver", OPTION_INT, offsetof(struct sample_defaults, steps), "25",
     .lo = 1, .hi = STEPS_MAX},
    {"cfg_scale", "guidance scale: 0 unguided, 1 as trained, above 1 strengthened", OPTION_REAL,
     offsetof(struct sample_defaults, cfg_scale), "2", .lo = 0, .hi = 100},
    {"heads", "of a network with two predictions: both, or one with the other converted from it",
     OPTION_CHOICE, offsetof(struct sample_defaults, heads), "both", .choice = use_heads_name},
    {"clip", "keep predicted pictures in range on the way; auto: those made of noise or score",
     OPTION_CHOICE, offsetof(struct sample_defaults, clip), "auto", .choice = clip_when_name},
    {0},
};

const struct option model_option_rows[] = {
    {"network", "architecture", OPTION_CHOICE, offsetof(struct model_options, network), "unet",
     .choice = network_choice},
    {"path", "from noise to data", OPTION_CHOICE, offsetof(struct model_options, path), "condot",
     .choice = path_choice},
    {"prediction", "what the network predicts", OPTION_CHOICE,
     offsetof(struct model_options, prediction), "velocity", .choice = prediction_choice},
    {"second", "what it predicts besides, in as many channels more", OPTION_CHOICE,
     offsetof(struct model_options, second), "none", .choice = model_second_name},
    {"precondition", "functions of the noise level around the network", OPTION_CHOICE,
     offsetof(struct model_options, precondition), "none", .choice = precondition_choice},
    {"time_input", "how the network is told the time", OPTION_CHOICE,
     offsetof(struct model_options, time_input), "scaled", .choice = time_input_choice},
    {"time_scale", "of time_input = scaled: it reads time_scale t, t in [0, 1]", OPTION_REAL,
     offsetof(struct model_options, time_scale), "1000", .lo = 1e-3, .hi = 1e6},
    {0},
};
