/*
 * model.c - a model: everything that one file holds and sampling needs
 *
 * A network alone says numbers; what they mean is said around it: the path from noise to data, the
 * prediction, how the time is told, names of labels, whose latents.  They are held together here
 * and checked against each other once, so that who samples or trains may rely on them.
 *
 * What reads and writes it is model_file.c.
 */
#include "pipeline/model.h"
#include "pipeline/windows.h"

#include "base/memory.h"
#include "base/whole.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LABELS_MAX = 1000000 };

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
        return windows_set_frames(m, frames, err);
    if (!s->found)
        return fail(err, E_ARG,
                    "a clip of %" PRId64 " frames: how many latents that is, only the autoencoder "
                    "knows, and it was not found",
                    frames);
    if ((st = windows_set_frames(m, whole_parts(frames, s->frame_factor), err))) {
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
