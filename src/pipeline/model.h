/*
 * model.h - a model: everything that one file holds and sampling needs
 *
 *     NAME.safetensors
 *       metadata  "imgen": JSON {version, model, path, network sections, data, sample, labels,
 * step} tensors   the network's parameters (the averaged ones), under their public names
 */
#ifndef IMGEN_PIPELINE_MODEL_H
#define IMGEN_PIPELINE_MODEL_H

#include "diffusion/path.h"
#include "model/network.h"
#include "sampler/sampler.h"

/* How a person would sample from it unless told otherwise; also the options of the request. */
struct sample_defaults {
    int sampler;  /* number of the sampler, see sampler_at            */
    int schedule; /* number of the time grid, see grid_kind_at        */
    double shift; /* of the shifted grid                              */
    int64_t steps;
    double cfg_scale; /* guidance scale w                                 */
};
extern const struct option sample_option_rows[];

/* What the numbers of a picture mean. */
struct picture_range {
    double low, high; /* black and white in the network's numbers: -1 and 1 */
};

/* Options of section "model". */
struct model_options {
    int network;       /* number of the kind, see network_kind_at     */
    int path;          /* number of the path, see path_kind_at        */
    int prediction;    /* enum prediction                             */
    double time_scale; /* the network reads time_scale * t            */
};
extern const struct option model_option_rows[];

struct model {
    struct network *network;
    struct model_options options;
    struct path path;
    struct sample_defaults sample;
    char **labels;            /* [network->io.n_classes], heap, or NULL when unlabelled */
    int64_t step;             /* training steps behind it                               */
    char *about;              /* free text: the data set, say; heap or NULL             */
    struct safetensors *file; /* where the parameters lie, or NULL: in memory of their own */
};

/* Build a model whose parameters are declared and have no memory yet (params_alloc).  config: the
 * network's own configuration, moved as by network_declare. */
enum status model_new(struct model **out, const struct model_options *options,
                      const double *path_values, void *network_config, struct error *err);
void model_free(struct model *m);

/* Names of the labels, copied; n must be the network's n_classes. */
enum status model_set_labels(struct model *m, char *const *names, int64_t n, struct error *err);

/* The number of a label by name ("red star", any case) or by number; the null label for "", "none".
 * E_ARG naming the nearest, or the range. */
enum status model_find_label(const struct model *m, const char *word, int32_t *out,
                             struct error *err);

/* The metadata text of a model file: *out is heap. */
enum status model_describe(const struct model *m, char **out, struct error *err);

/* Write `values` (a flat array of the network's layout; NULL: its own).  Atomic. */
enum status model_save(const struct model *m, const char *path, const float *values,
                       struct error *err);
/* For sampling: the weights stay in the file, mapped, and are read when they are used.  The file
 * may be replaced (renamed over, removed) while the model is open, but not written to: weights
 * would change under way, and a file cut short ends the program with SIGBUS. E_IO, E_FORMAT (not a
 * model of ours, tensors missing or wrong), E_MEMORY. */
enum status model_load(struct model **out, const char *path, struct error *err);
/* The model a metadata text describes, without memory for its parameters. */
enum status model_from_text(struct model **out, const char *text, const char *name,
                            struct error *err);

#endif
