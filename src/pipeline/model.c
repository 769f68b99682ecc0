/*
 * model.c - a model: everything that one file holds and sampling needs
 *
 * The configuration goes through the same option tables as INI files and flags, so a model file can
 * hold nothing that a person could not have typed, and reading one checks what typing would check.
 */
#include "pipeline/model.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/whole.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FORMAT_VERSION = 1, LABELS_MAX = 1000000 };

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

/* How a network reads a point, and that the rest of the options agrees with it. */
static enum status set_precondition(struct model *m, struct error *err)
{
    const struct model_options *o = &m->options;

    m->precondition = (struct precondition){
        .kind = precondition_kind_at(o->precondition),
        .time_input = o->time_input,
        .time_scale = o->time_scale,
    };
    memcpy(m->precondition.values, o->precondition_values, sizeof m->precondition.values);
    return precondition_check(&m->precondition, &m->path, (enum prediction)o->prediction, err);
}

static enum status check_second(const struct model *m, struct error *err)
{
    const struct network_io *io = &m->network->io;

    if (io->classifies && (m->options.second || !precondition_is_plain(&m->precondition)))
        return fail(err, E_ARG,
                    "a '%s' predicts nothing but a label: it takes no model.second and no "
                    "model.precondition",
                    m->network->kind->name);
    if (!m->options.second)
        return OK;
    if (!precondition_is_plain(&m->precondition))
        return fail(err, E_ARG,
                    "the precondition '%s' makes one prediction: it excludes model.second",
                    m->precondition.kind->is.name);
    if (m->options.second == 1 + m->options.prediction)
        return fail(err, E_ARG, "model.second: the %s is what the network predicts already",
                    model_second_name(m->options.second));
    if (io->out_channels == 2 * io->in_channels)
        return OK;
    return fail(err, E_ARG,
                "model.second: two predictions of %" PRId64 " channels need a network with twice "
                "as many, and this one has %" PRId64,
                io->in_channels, io->out_channels);
}

enum status model_of_network(struct model **out, const struct model_options *options,
                             const double *path_values, struct network *net, struct error *err)
{
    struct model *m;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&m, 1, sizeof *m, "a model", err))) {
        network_free(net);
        return st;
    }
    m->network = net;
    m->options = *options;
    m->path.kind = path_kind_at(options->path);
    memcpy(m->path.values, path_values, sizeof m->path.values);
    if ((st = choice_check(m->path.values, &m->path.kind->is, err)) ||
        (st = set_precondition(m, err)) || (st = check_second(m, err)))
        model_free(m);
    else
        *out = m;
    return st;
}

enum status model_new(struct model **out, const struct model_options *options,
                      const double *path_values, void *network_config, struct error *err)
{
    struct network *net;
    enum status st;

    *out = NULL;
    if ((st = network_declare(&net, network_kind_at(options->network), network_config, err)))
        return st;
    return model_of_network(out, options, path_values, net, err);
}

struct params *model_learns(const struct model *m)
{
    return m->learning ? adapter_params(m->learning) : m->network->params;
}

bool model_has_variance(const struct model *m)
{
    const struct network_io *io = &m->network->io;

    return !m->options.second && io->out_channels == 2 * io->in_channels &&
           precondition_is_plain(&m->precondition);
}

int64_t model_frames(const struct model *m)
{
    const struct network_io *io = &m->network->io;
    int64_t factor = m->space && m->space->frame_factor ? m->space->frame_factor : 1;

    if (!io->frames || (!m->space && io->frames == 1))
        return 1;
    return m->space && m->space->frames ? m->space->frames : factor * io->frames;
}

/* A latent of t frames stands for up to frame_factor t of a clip. */
enum status model_set_frames(struct model *m, int64_t frames, struct error *err)
{
    struct latent_space *s = m->space;
    enum status st;

    if (!m->network->io.frames)
        return frames == 1 ? OK
                           : fail(err, E_ARG,
                                  "a clip of %" PRId64 " frames: the model makes pictures", frames);
    if (frames < 1)
        return fail(err, E_ARG, "a clip of %" PRId64 " frames", frames);
    if (!s)
        return network_set_frames(m->network, frames, err);
    if (!s->found)
        return fail(err, E_ARG,
                    "a clip of %" PRId64 " frames: how many latents that is, only the autoencoder "
                    "knows, and it was not found",
                    frames);
    if ((st = network_set_frames(m->network, whole_parts(frames, s->frame_factor), err))) {
        fail_under(err, "a clip of %" PRId64 " frames, %" PRId64 " to one of its latent", frames,
                   s->frame_factor);
        return st;
    }
    s->frames = frames;
    return OK;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    for (int64_t i = 0; m->labels && i < m->network->io.n_classes; i++)
        free(m->labels[i]);
    free(m->labels);
    free(m->about);
    latent_space_free(m->space);
    if (m->encoders)
        text_encoders_release(m->encoders);
    free(m->encoders);
    for (int64_t i = m->n_adapters; i-- > 0;)
        adapter_free(m->adapters[i]);
    free(m->adapters);
    network_free(m->network);
    weights_close(m->file);
    free(m);
}

enum status model_own_adapter(struct model *m, struct adapter *a, struct error *err)
{
    enum status st = mem_grow((void **)&m->adapters, &m->adapters_room, m->n_adapters + 1,
                              sizeof *m->adapters, err);

    if (st)
        adapter_free(a);
    else
        m->adapters[m->n_adapters++] = a;
    return st;
}

enum status model_adapt(struct model *m, const char *path, double weight, struct error *err)
{
    struct weights *f = NULL;
    struct adapter *a;
    enum status st;

    if (!isfinite(weight))
        return fail(err, E_ARG, "%s: a weight of %g is no number", path, weight);
    if ((st = weights_open(&f, path, err)))
        return st;
    if ((st = adapter_read(&a, m->network, f, weight, err)))
        fail_under(err, "%s", path);
    else
        st = model_own_adapter(m, a, err);
    weights_close(f);
    return st;
}

enum status model_set_about(struct model *m, struct text *words, struct error *err)
{
    char *about = text_take(words);

    if (!about)
        return fail(err, E_MEMORY, "no memory to describe a model");
    free(m->about);
    m->about = about;
    return OK;
}

enum status model_set_labels(struct model *m, char *const *names, int64_t n, struct error *err)
{
    enum status st;

    if (n != m->network->io.n_classes || n > LABELS_MAX)
        return fail(err, E_ARG, "%" PRId64 " names for %" PRId64 " labels", n,
                    m->network->io.n_classes);
    if ((st = mem_new((void **)&m->labels, (uint64_t)n, sizeof *m->labels, "names of labels", err)))
        return st;
    for (int64_t i = 0; i < n; i++)
        if ((st = mem_text(&m->labels[i], names[i], err)))
            return st;
    return OK;
}

static enum status unknown_label(const struct model *m, const char *word, struct error *err)
{
    int64_t n = m->network->io.n_classes;
    const char *near =
        m->labels ? text_nearest(word, (const char *const *)m->labels, (int)n) : NULL;

    if (near)
        return fail(err, E_ARG, "the model knows no label '%s'; did you mean '%s'?", word, near);
    return fail(err, E_ARG, "the model knows no label '%s': labels are 0 to %" PRId64 "%s%s%s",
                word, n - 1, m->labels ? " (" : "", m->labels ? m->labels[0] : "",
                m->labels ? ", ...)" : "");
}

enum status model_find_label(const struct model *m, const char *word, int32_t *out,
                             struct error *err)
{
    const struct network_io *io = &m->network->io;
    int64_t number;

    if (!*word || !strcasecmp(word, "none")) {
        if (io->classifies)
            return fail(err, E_ARG, "a classifier guides to one of its %" PRId64 " labels: name it",
                        io->n_classes);
        if (io->n_classes && io->null_label < 0)
            return fail(err, E_ARG,
                        "the model was trained without a null label: name one of its %" PRId64
                        " labels",
                        io->n_classes);
        *out = io->null_label;
        return OK;
    }
    if (!io->n_classes)
        return fail(err, E_ARG, "the model is unconditional: it takes no label, and got '%s'",
                    word);
    for (int64_t i = 0; m->labels && i < io->n_classes; i++)
        if (!strcasecmp(word, m->labels[i])) {
            *out = (int32_t)i;
            return OK;
        }
    if (!text_to_int(word, &number) || number < 0 || number >= io->n_classes)
        return unknown_label(m, word, err);
    *out = (int32_t)number;
    return OK;
}

/* --- the description ----------------------------------------------------------------------------
 */

enum { SECTIONS = 5 };

/* The option tables of a model, over its own structs: what is saved is what can be typed. */
static struct option_set sections(const struct model *m, struct option_group group[SECTIONS])
{
    group[0] = (struct option_group){"model", model_option_rows, (void *)&m->options, NULL};
    group[1] = choice_options(&m->path.kind->is, "path", (double *)m->path.values);
    group[2] = (struct option_group){m->network->kind->name, m->network->kind->options,
                                     (void *)(uintptr_t)m->network->config, NULL};
    group[3] = (struct option_group){"sample", sample_option_rows, (void *)&m->sample, NULL};
    group[4] = choice_options(&m->precondition.kind->is, "precondition",
                              (double *)m->options.precondition_values);
    return (struct option_set){group, SECTIONS};
}

/* All of them or none: a file with some of its labels does not open. */
static int add_labels(json_t *root, const struct model *m)
{
    json_t *list = json_array();

    for (int64_t i = 0; m->labels && i < m->network->io.n_classes; i++) {
        if (json_array_append_new(list, json_string(m->labels[i]))) {
            json_decref(list);
            return -1;
        }
    }
    return json_object_set_new(root, "labels", list);
}

static enum status add_space(json_t *root, const struct model *m, struct error *err)
{
    json_t *space;
    enum status st;

    if (!m->space)
        return OK;
    if ((st = latent_space_to_json(m->space, &space, err)))
        return st;
    return json_object_set_new(root, "autoencoder", space)
               ? fail(err, E_MEMORY, "no memory to describe a model")
               : OK;
}

static enum status add_encoders(json_t *root, const struct model *m, struct error *err)
{
    json_t *encoders;
    enum status st;

    if (!m->encoders)
        return OK;
    if ((st = text_encoders_to_json(m->encoders, &encoders, err)))
        return st;
    return json_object_set_new(root, "encoders", encoders)
               ? fail(err, E_MEMORY, "no memory to describe a model")
               : OK;
}

enum status model_describe(const struct model *m, char **out, struct error *err)
{
    struct option_group group[SECTIONS];
    struct option_set set = sections(m, group);
    json_t *root = NULL;
    enum status st;

    *out = NULL;
    if ((st = options_to_json(&set, &root, err)))
        return st;
    if (json_object_set_new(root, "format", json_integer(FORMAT_VERSION)) ||
        json_object_set_new(root, "step", json_integer(m->step)) ||
        (m->about && json_object_set_new(root, "about", json_string(m->about))) ||
        add_labels(root, m))
        st = fail(err, E_MEMORY, "no memory to describe a model");
    else if (!(st = add_space(root, m, err)) && !(st = add_encoders(root, m, err)))
        st = config_dump(out, root, err);
    json_decref(root);
    return st;
}

/* Which network and path a description speaks of, before the tables that depend on it can be read.
 */
static enum status read_head(const json_t *root, struct model_options *head, struct error *err)
{
    struct option_group group = {"model", model_option_rows, head, NULL};
    struct option_set set = {&group, 1};
    json_t *only = json_object(), *model = json_object_get(root, "model");
    enum status st;

    if ((st = options_default(&set, err)))
        goto out;
    if (!only || json_object_set(only, "model", model ? model : only))
        st = fail(err, model ? E_MEMORY : E_FORMAT, "the description has no section \"model\"");
    else
        st = options_from_json(&set, only, err);
out:
    json_decref(only);
    return st;
}

static enum status read_labels(struct model *m, const json_t *root, struct error *err)
{
    json_t *list;
    enum status st;
    int64_t n;

    if ((st = config_array(&list, root, "labels", err)))
        return st;
    n = (int64_t)json_array_size(list);
    if (!n)
        return OK;
    if (n != m->network->io.n_classes)
        return fail(err, E_FORMAT, "%" PRId64 " names for %" PRId64 " labels", n,
                    m->network->io.n_classes);
    if ((st = mem_new((void **)&m->labels, (uint64_t)n, sizeof *m->labels, "names of labels", err)))
        return st;
    for (int64_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, (size_t)i));

        if (!name)
            return fail(err, E_FORMAT, "name %" PRId64 " of the labels is no text", i);
        if ((st = mem_text(&m->labels[i], name, err)))
            return st;
    }
    return OK;
}

static enum status read_space(struct model *m, const json_t *root, struct error *err)
{
    json_t *space;
    enum status st;

    if ((st = config_object(&space, root, "autoencoder", err)) || !space)
        return st;
    if ((st = latent_space_from_json(&m->space, space, m->network->io.in_channels, err)))
        fail_under(err, "autoencoder");
    return st;
}

/* Of a model in the file `path`. */
static enum status read_encoders(struct model *m, const json_t *root, const char *path,
                                 struct error *err)
{
    json_t *encoders;
    enum status st;

    if ((st = config_object(&encoders, root, "encoders", err)) || !encoders ||
        (st = mem_new((void **)&m->encoders, 1, sizeof *m->encoders, "text encoders", err)))
        return st;
    if ((st = text_encoders_from_json(m->encoders, encoders, path, err)))
        fail_under(err, "encoders");
    return st;
}

static bool is_section(const char *key)
{
    static const char *const others[] = {"format", "step",        "about",
                                         "labels", "autoencoder", "encoders"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(key, others[i]))
            return false;
    return true;
}

/* The sections alone.  They are collected one by one because json_copy does not tell when memory
 * for one was missing. */
static enum status read_sections(json_t *root, struct option_set set, struct error *err)
{
    json_t *only = json_object();
    bool whole = only != NULL;
    enum status st;

    for (void *at = json_object_iter(root); at && whole; at = json_object_iter_next(root, at)) {
        const char *key = json_object_iter_key(at);

        whole = !is_section(key) || !json_object_set(only, key, json_object_iter_value(at));
    }
    st = whole ? options_from_json(&set, only, err)
               : fail(err, E_MEMORY, "no memory to read a description");
    json_decref(only);
    return st;
}

static enum status read_model(struct model **out, json_t *root, const char *path, struct error *err)
{
    struct model_options head = {0};
    struct sample_defaults sample;
    double path_values[CHOICE_VALUES] = {0};
    struct option_group group[SECTIONS];
    struct option_set set = {group, SECTIONS};
    void *config = NULL;
    const char *about;
    int64_t version, step;
    enum status st;

    if ((st = config_int(&version, root, "format", 0, 1, FORMAT_VERSION, err)) ||
        (st = config_int(&step, root, "step", 0, 0, INT64_MAX, err)) ||
        (st = config_text(&about, root, "about", NULL, err)) ||
        (st = read_head(root, &head, err)) ||
        (st = mem_new(&config, 1, network_kind_at(head.network)->config_bytes, "a configuration",
                      err)))
        return st;
    group[0] = (struct option_group){"model", model_option_rows, &head, NULL};
    group[1] = choice_options(&path_kind_at(head.path)->is, "path", path_values);
    group[2] = (struct option_group){network_kind_at(head.network)->name,
                                     network_kind_at(head.network)->options, config, NULL};
    group[3] = (struct option_group){"sample", sample_option_rows, &sample, NULL};
    group[4] = choice_options(&precondition_kind_at(head.precondition)->is, "precondition",
                              head.precondition_values);
    if ((st = options_default(&set, err)) || (st = read_sections(root, set, err)) ||
        (st = model_new(out, &head, path_values, config, err)))
        goto out;
    (*out)->sample = sample;
    (*out)->step = step;
    if ((about && (st = mem_text(&(*out)->about, about, err))) ||
        (st = read_labels(*out, root, err)) || (st = read_space(*out, root, err)) ||
        (st = read_encoders(*out, root, path, err))) {
        model_free(*out);
        *out = NULL;
    }
out:
    options_release(&set);
    free(config);
    return st;
}

enum status model_from_text(struct model **out, const char *text, const char *name,
                            struct error *err)
{
    json_t *root;
    enum status st;

    *out = NULL;
    if ((st = config_parse(&root, text, strlen(text), CONFIG_BYTES, name, err)))
        return st;
    st = read_model(out, root, name, err);
    if (st)
        fail_under(err, "%s", name);
    json_decref(root);
    return st;
}

/* --- the file -----------------------------------------------------------------------------------
 */

enum status model_save(const struct model *m, const char *path, const float *values,
                       struct error *err)
{
    struct params *params = m->network->params;
    int64_t n;
    struct save_tensor *tensors = NULL;
    void *keep = NULL;
    char *text = NULL;
    enum status st;

    if ((st = model_describe(m, &text, err)) ||
        (st = mem_new((void **)&tensors, (uint64_t)params_count(params), sizeof *tensors,
                      "a list of tensors", err)) ||
        (st = params_describe(params, "", PARAMS_ALL, values, tensors, &n, &keep, err)))
        goto out;
    st = safetensors_save(path, tensors, n, (struct save_text[]){{"format", "pt"}, {"imgen", text}},
                          2, err);
out:
    free(text);
    free(tensors);
    free(keep);
    return st;
}

/* A checkpoint of a run is a model too: the averaged weights in it are. */
static const char *weights_prefix(const struct weights *f)
{
    return weights_metadata(f, "imgen.train") ? "ema." : "";
}

/* A description may ask for any size: nothing is allocated that the file does not fill. */
static enum status check_size(const struct model *m, const struct weights *f, const char *path,
                              struct error *err)
{
    int64_t want = params_numbers(m->network->params), have = 0;

    for (int64_t i = 0; i < weights_count(f); i++)
        have += file_tensor_count(weights_at(f, i));
    if (want <= have)
        return OK;
    return fail(err, E_FORMAT, "%s: describes a network of %" PRId64 " numbers and holds %" PRId64,
                path, want, have);
}

enum status model_load(struct model **out, const char *path, struct error *err)
{
    struct weights *f = NULL;
    struct model *m = NULL;
    const char *text;
    enum status st;

    *out = NULL;
    if ((st = weights_open(&f, path, err)))
        return st;
    text = weights_metadata(f, "imgen");
    if (!text) {
        st = fail(err, E_FORMAT,
                  "%s: a safetensors file, but no model of imgen (no \"imgen\" in its "
                  "metadata)",
                  path);
        goto out;
    }
    if ((st = model_from_text(&m, text, path, err)))
        goto out;
    if ((st = check_size(m, f, path, err)))
        goto out;
    if ((st = params_map(m->network->params, f, weights_prefix(f), err))) {
        fail_under(err, "%s", path);
        goto out;
    }
    m->file = f;
    *out = m;
    m = NULL;
    f = NULL;
out:
    model_free(m);
    weights_close(f);
    return st;
}
