/*
 * model.h - a model: everything that one file holds and sampling needs
 *
 *     NAME.safetensors
 *       metadata  "imgen": JSON {format, model, path, precondition, the network's section, sample,
 *                 labels, step, about, autoencoder, encoders}
 *       tensors   the network's parameters (the averaged ones), under their public names
 */
#ifndef IMGEN_PIPELINE_MODEL_H
#define IMGEN_PIPELINE_MODEL_H

#include "base/text.h"
#include "diffusion/precondition.h"
#include "model/adapter.h"
#include "model/network.h"
#include "pipeline/latent_space.h"
#include "pipeline/model_options.h"
#include "pipeline/text_encoders.h"
#include "sampler/sampler.h"

/* What the network is run on where it makes something larger (pipeline/windows.h); height 0: it
 * does not. */
struct model_window {
    int64_t frames, height, width; /* of the network's numbers */
    double overlap;                /* part of each that neighbours share */
};

struct model {
    struct network *network;
    struct model_window window;
    struct model_options options;
    struct path path;
    struct precondition precondition;
    struct sample_defaults sample;
    char **labels;                  /* [network->io.n_classes], heap, or NULL when unlabelled */
    int64_t step;                   /* training steps behind it                               */
    char *about;                    /* free text: the data set, say; heap or NULL             */
    struct text_encoders *encoders; /* of a network that reads encoded texts, owned; or NULL */
    struct latent_space *space;     /* of a network that works on latents, owned; NULL: on pixels */
    struct adapter **adapters;      /* [n_adapters] of the network, owned: model_adapt        */
    int64_t n_adapters, adapters_room;
    struct adapter
        *learning;        /* of them the one in training, beside which all else stays; or NULL */
    struct weights *file; /* where the parameters lie, or NULL: in memory of their own */
};

/* Build a model whose parameters are declared and have no memory yet (params_alloc).  config: the
 * network's own configuration, moved as by network_declare. */
enum status model_new(struct model **out, const struct model_options *options,
                      const double *path_values, void *network_config, struct error *err);
/* The same around a network that is there, which the model owns from then on, also after a failure.
 */
enum status model_of_network(struct model **out, const struct model_options *options,
                             const double *path_values, struct network *net, struct error *err);
void model_free(struct model *m);

/* What a run of training changes: the adapter's parameters, where one learns, else the network's.
 */
struct params *model_learns(const struct model *m);

/* Whether the network says a variance beside its prediction, in as many further channels. */
bool model_has_variance(const struct model *m);

/* Frames of the clips that it makes, in pixels; 1: pictures.  And from now on so many: E_ARG where
 * the network makes none of that length, and where it works on latents whose autoencoder was not
 * found. */
int64_t model_frames(const struct model *m);
enum status model_set_frames(struct model *m, int64_t frames, struct error *err);

/* Names of the labels, copied; n must be the network's n_classes. */
enum status model_set_labels(struct model *m, char *const *names, int64_t n, struct error *err);

/* What the model says of itself, for m->about: the text is taken.  E_MEMORY, also when it was cut.
 */
enum status model_set_about(struct model *m, struct text *words, struct error *err);

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
/* Change what the network does by the adapter in a file (model/adapter.h), which counts `weight`
 * times, beside those that it has.  E_FORMAT lists what does not fit the network; E_ARG: a weight
 * that is no number; else as adapter_read and weights_open, naming the file. */
enum status model_adapt(struct model *m, const char *path, double weight, struct error *err);
/* From here on the adapter is the model's.  E_MEMORY: it is freed. */
enum status model_own_adapter(struct model *m, struct adapter *a, struct error *err);

/* The model a metadata text describes, without memory for its parameters; name: of the file that it
 * lies in, as whose folder sees others. */
enum status model_from_text(struct model **out, const char *text, const char *name,
                            struct error *err);

#endif
