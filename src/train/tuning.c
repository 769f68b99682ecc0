/*
 * tuning.c - training an adapter of a model that stays as it is
 *
 * To the loop of a run it is a run like others: a network, a loss, parameters with gradients,
 * moments and averages.  Only that the parameters are not the network's (model_learns), and that
 * nearly everything which a configuration says of a model is the base's to say: network, path,
 * prediction, what its latents mean.  So the base is opened before the data, which must come in its
 * numbers, and the adapter is made after them.
 *
 * The base is mapped and never copied: its matrices are multiplied by as their file stores them,
 * forward and back, and ask for no gradient.  What a run takes beside its activations is then four
 * arrays of the adapter's size.
 */
#include "train/tuning.h"

#include "base/json.h"
#include "base/memory.h"
#include "io/safetensors.h"
#include "pipeline/latent_decoder.h"
#include "pipeline/sd3.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* NULL where nothing is given. */
static const char *given(const char *text)
{
    return text && *text ? text : NULL;
}

bool tuning_wanted(const struct experiment *e)
{
    return given(e->lora.base);
}

static enum status open_base(struct model **out, const struct experiment *e, struct error *err)
{
    const struct text_options *t = &e->text;
    const struct sd3_parts parts = {.clip_l = given(t->clip_l),
                                    .clip_g = given(t->clip_g),
                                    .t5 = given(t->t5xxl),
                                    .merges = given(t->merges),
                                    .spiece = given(t->spiece),
                                    .no_t5 = t->no_t5};

    return sd3_is(e->lora.base) ? sd3_open(out, e->lora.base, &parts, err)
                                : model_load(out, e->lora.base, err);
}

/* What was set of section "sample", over the base's own. */
static enum status choose_sampling(struct model *m, const struct experiment *e, struct error *err)
{
    struct sample_defaults set_here = e->sample;
    struct option_group from = {"", sample_option_rows, &set_here, NULL};
    struct option_group to = {"", sample_option_rows, &m->sample, NULL};
    const struct option_set source = {&from, 1}, target = {&to, 1};
    enum status st = OK;

    for (int i = 0; sample_option_rows[i].name && !st; i++) {
        char word[64];
        struct text t;

        if (!e->given.sample[i])
            continue;
        text_init(&t, word, sizeof word);
        options_get(&source, sample_option_rows[i].name, &t);
        st = options_set(&target, sample_option_rows[i].name, word, err);
    }
    return st;
}

static enum status check_base(const struct model *m, const struct experiment *e, struct error *err)
{
    const struct network_io *io = &m->network->io;

    for (int i = 0; model_option_rows[i].name; i++)
        if (e->given.model[i])
            return fail(err, E_ARG, "model.%s: lora.base has its own", model_option_rows[i].name);
    if (io->classifies || io->factor)
        return fail(err, E_ARG, "lora.base: a '%s' makes no pictures", m->network->kind->name);
    return OK;
}

enum status tuning_open(struct model **out, const struct experiment *e, struct error *err)
{
    struct model *m;
    enum status st;

    *out = NULL;
    if ((st = open_base(&m, e, err))) {
        fail_under(err, "lora.base");
        return st;
    }
    if (m->encoders && m->encoders->t5_tokens && m->space && m->space->published)
        m->encoders->t5_tokens = e->text.t5_tokens;
    if (!(st = check_base(m, e, err)) && !(st = choose_sampling(m, e, err)) && m->space &&
        !m->space->published && given(e->data.autoencoder))
        st = autoencoder_find(m->space, NULL, e->data.autoencoder, err);
    if (st)
        model_free(m);
    else
        *out = m;
    return st;
}

static enum status check_set(const struct model *m, const struct dataset *d, struct error *err)
{
    const struct network_io *io = &m->network->io;
    enum status st;

    if (d->channels != io->in_channels)
        return fail(err, E_ARG,
                    "data.channels: %" PRId64 ", and the network of lora.base takes %" PRId64,
                    d->channels, io->in_channels);
    if (io->n_classes && d->n_classes != io->n_classes)
        return fail(err, E_ARG, "data: %" PRId64 " labels, and the model of lora.base has %" PRId64,
                    d->n_classes, io->n_classes);
    if ((st = network_resize(m->network, d->height, d->width, err)))
        fail_under(err, "data.size");
    return st;
}

static double alpha_of(const struct lora_options *o)
{
    return o->alpha > 0 ? o->alpha : (double)o->rank;
}

enum status tuning_begin(struct model *m, const struct experiment *e, const struct dataset *d,
                         struct error *err)
{
    const struct lora_options *o = &e->lora;
    const struct adapter_plan plan = {o->rank, alpha_of(o), o->targets ? o->targets : ""};
    struct adapter *a;
    enum status st;

    if ((st = check_set(m, d, err)))
        return st;
    if ((st = adapter_new(&a, m->network, &plan, e->train.seed, err))) {
        fail_under(err, "lora");
        return st;
    }
    if ((st = model_own_adapter(m, a, err)))
        return st;
    m->learning = a;
    m->step = 0;
    return OK;
}

static enum status describe(char **out, const struct model *m, const struct experiment *e,
                            struct error *err)
{
    const struct lora_options *o = &e->lora;
    const char *slash = strrchr(o->base, '/');
    json_t *root = json_pack("{ss si sf ss sI}", "base", slash && slash[1] ? slash + 1 : o->base,
                             "rank", (int)o->rank, "alpha", alpha_of(o), "targets", o->targets,
                             "step", (json_int_t)m->step);
    enum status st = root ? config_dump(out, root, err)
                          : fail(err, E_MEMORY, "no memory to describe an adapter");

    json_decref(root);
    return st;
}

enum status tuning_save(const struct model *m, const struct experiment *e, const char *path,
                        const float *values, struct error *err)
{
    char *about = NULL;
    enum status st;

    if ((st = describe(&about, m, e, err)))
        return st;
    st = adapter_save(m->learning, path, values,
                      (struct save_text[]){{"format", "pt"}, {"imgen.lora", about}}, 2, err);
    free(about);
    return st;
}
