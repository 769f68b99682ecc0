/*
 * pair.c - a second model in the place of the unguided branch
 *
 * Guidance extrapolates from an unguided prediction through a guided one, and nothing says that one
 * network must give both.  A model of its own for the unguided branch may be small, since it is
 * only pushed away from; one that is asked for the same label and is merely worse says in which
 * direction better lies, without making the pictures of a label alike: Karras et al. 2024, "Guiding
 * a diffusion model with a bad version of itself".
 *
 * The second network has a tape and packed weights of its own.  It keeps its own way of reading the
 * time, its own preconditioning, and its own prediction, brought to the model's by
 * diffusion/predictor.c.
 */
#include "pipeline/pair.h"

#include "base/memory.h"
#include "pipeline/condition.h"
#include "pipeline/match.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {[GUIDE_NONE] = "none", [GUIDE_SAME] = "same"};

const char *guide_label_name(int i)
{
    return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

enum status guide_label_find(enum guide_label *out, const char *name, struct error *err)
{
    for (int i = 0; guide_label_name(i); i++)
        if (!strcmp(name, guide_label_name(i))) {
            *out = (enum guide_label)i;
            return OK;
        }
    return fail(err, E_ARG, "a guide is asked for the label 'none' or the 'same', not for '%.40s'",
                name);
}

/* Whether it knows the label that it is asked for. */
static enum status check_asked(const struct network_io *guide, const struct network_io *model,
                               enum guide_label label, bool negative, struct error *err)
{
    if (label == GUIDE_SAME && negative)
        return fail(err, E_ARG,
                    "the guide is asked for the same label: it cannot be asked for a negative one");
    if (label == GUIDE_SAME && guide->n_classes != model->n_classes)
        return fail(err, E_ARG,
                    "the guide knows %" PRId64 " labels and the model %" PRId64
                    ": it cannot be asked for the same one",
                    guide->n_classes, model->n_classes);
    if ((guide->text_length > 0) != (model->text_length > 0) && network_asks(guide))
        return fail(err, E_ARG, "the guide reads %s, and the model %s",
                    guide->text_length ? "texts" : "labels", model->text_length ? "texts" : "none");
    if (negative && !network_asks(guide))
        return fail(err, E_ARG, "the guide has no labels, so none to guide away from");
    if (label == GUIDE_NONE && !negative && guide->n_classes && guide->null_label < 0)
        return fail(err, E_ARG,
                    "the guide knows %" PRId64 " labels and no null label: it can only be asked "
                    "for the same one",
                    guide->n_classes);
    return OK;
}

/* What it is told beforehand, the model is told too. */
static enum status check_told(const struct network_io *guide, const struct network_io *model,
                              struct error *err)
{
    struct condition_kind g = condition_kind_of(guide), m = condition_kind_of(model);

    if (!guide->condition_channels ||
        (condition_is_made(g) && g.first_frame == m.first_frame && g.upscale == m.upscale))
        return OK;
    return fail(err, E_ARG, "the guide is told of %s, and the model is not",
                g.upscale ? "a smaller clip" : "a clip's first frame");
}

enum status pair_check(const struct model *guide, const struct model *model, enum guide_label label,
                       bool negative, struct error *err)
{
    const struct network_io *io = &guide->network->io;
    enum status st;

    if (io->classifies)
        return fail(err, E_ARG, "a '%s' makes no pictures, so it can only guide as a classifier",
                    guide->network->kind->name);
    if (io->context_width && !guide->encoders)
        return fail(err, E_UNSUPPORTED,
                    "a '%s' reads an encoded text, and the guide has no encoders to make one",
                    guide->network->kind->name);
    if ((st = models_match(guide, "guide", model, err)) ||
        (st = check_told(io, &model->network->io, err)))
        return st;
    return check_asked(io, &model->network->io, label, negative, err);
}

/* What a picture's label becomes. */
static enum status label_of(int32_t *out, const struct network_io *io, enum guide_label asked,
                            int32_t label, int32_t away, struct error *err)
{
    *out = asked == GUIDE_SAME ? label : away >= 0 ? away : io->null_label;
    if (!network_asks(io))
        *out = 0;
    if (io->n_classes && (*out < 0 || *out >= io->n_labels))
        return fail(err, E_ARG,
                    "the guide knows no null label, and a picture of none is asked for");
    return OK;
}

enum status pair_init(struct pair *p, const struct model *guide, struct graph *graph,
                      enum guide_label asked, const int32_t *label, const struct prompts *prompts,
                      int32_t away, int64_t rows, int n_heads, struct error *err)
{
    const struct network_io *io = &guide->network->io;
    int32_t *each = NULL;
    enum status st;

    memset(p, 0, sizeof *p);
    if ((st = mem_new((void **)&each, (uint64_t)rows, sizeof *each, "labels", err)))
        return st;
    for (int64_t i = 0; i < rows && !st; i++)
        st = label_of(&each[i], io, asked, label[i], away, err);
    if (!st && !(st = network_predictor_init(&p->net, guide, graph, each, prompts, rows, err)) &&
        n_heads > 1)
        st = network_predictor_remember(&p->net, err);
    free(each);
    return st;
}

void pair_release(struct pair *p)
{
    network_predictor_release(&p->net);
    memset(p, 0, sizeof *p);
}

/* Of a guide with two predictions, the one that needs no conversion. */
static bool takes_second(const struct model *guide, enum prediction predicts)
{
    return guide->options.second && guide->options.prediction != (int)predicts &&
           guide->options.second - 1 == (int)predicts;
}

void pair_join(struct pair *p, int head, struct predictor *of, enum prediction predicts,
               const struct path *path)
{
    const struct model_options *o = &p->net.model->options;
    bool second = takes_second(p->net.model, predicts);

    p->joined[head] = (struct predictor_pair){
        .unguided = second ? predictor_of_second(&p->net) : predictor_of_network(&p->net),
        .guided = *of,
        .path = *path,
        .unguided_is = (enum prediction)(second ? o->second - 1 : o->prediction),
        .guided_is = predicts,
    };
    *of = predictor_of_pair(&p->joined[head]);
}
