/*
 * model_file.c - a model in a file: its description, and its weights
 *
 * The configuration goes through the same option tables as INI files and flags, so a model file can
 * hold nothing that a person could not have typed, and reading one checks what typing would check.
 *
 * Weights stay where they are: the file is mapped, and what nobody uses is never read.  A
 * description may ask for a network of any size, so that nothing is allocated for one that the
 * file does not fill.
 */
#include "pipeline/model.h"

#include "base/json.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1 };

/* --- the description ----------------------------------------------------------------------------
 */

enum { SECTIONS = 5 };

/* The option tables of a model of that network and path, over its own structs: what is saved is
 * what can be typed. */
static struct option_set sections(struct option_group group[SECTIONS], struct model_options *o,
                                  struct path *path, const struct network_kind *network,
                                  void *config, struct sample_defaults *sample)
{
    group[0] = (struct option_group){"model", model_option_rows, o, NULL};
    group[1] = choice_options(&path->kind->is, "path", path->values);
    group[2] = (struct option_group){network->name, network->options, config, NULL};
    group[3] = (struct option_group){"sample", sample_option_rows, sample, NULL};
    group[4] = choice_options(&precondition_kind_at(o->precondition)->is, "precondition",
                              o->precondition_values);
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
    struct option_set set = sections(group, (void *)&m->options, (void *)&m->path, m->network->kind,
                                     (void *)(uintptr_t)m->network->config, (void *)&m->sample);
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
    const struct network_kind *network;
    struct path from = {0};
    struct option_group group[SECTIONS];
    struct option_set set;
    void *config = NULL;
    const char *about;
    int64_t version, step;
    enum status st;

    if ((st = config_int(&version, root, "format", 0, 1, FORMAT_VERSION, err)) ||
        (st = config_int(&step, root, "step", 0, 0, INT64_MAX, err)) ||
        (st = config_text(&about, root, "about", NULL, err)) || (st = read_head(root, &head, err)))
        return st;
    network = network_kind_at(head.network);
    from.kind = path_kind_at(head.path);
    if ((st = mem_new(&config, 1, network->config_bytes, "a configuration", err)))
        return st;
    set = sections(group, &head, &from, network, config, &sample);
    if ((st = options_default(&set, err)) || (st = read_sections(root, set, err)) ||
        (st = model_new(out, &head, from.values, config, err)))
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
