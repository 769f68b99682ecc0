/*
 * features_cnn.c - features of a classifier that was trained here
 *
 * The file is a model file whose network is a cnn (model/cnn.c), as imgen train makes one.  It
 * takes pictures of the size it was trained on and of no other: scaling would change what it sees,
 * so whoever reads the pictures scales them, once, and says how.
 */
#include "base/memory.h"
#include "base/whole.h"
#include "eval/features.h"
#include "model/cnn.h"
#include "pipeline/model.h"

#include <string.h>

/* What else a file is, loading it tells best. */
static bool cnn_takes(const struct weights *file)
{
    (void)file;
    return true;
}

static enum status cnn_open(struct features *f, const struct weights *file,
                            const struct features_how *how, struct error *err)
{
    struct model *m;
    enum status st;

    (void)file;
    if ((st = model_load(&m, f->path, err)))
        return st;
    f->impl = m;
    if (m->network->kind != &network_cnn)
        return fail(err, E_ARG,
                    "%s: a %s is no feature network; imgen train makes one with "
                    "model.network = cnn",
                    f->path, m->network->kind->name);
    if (m->space)
        return fail(err, E_ARG,
                    "%s: a cnn of latents, and it is pictures that are compared: train one on the "
                    "pictures themselves",
                    f->path);
    if (how->resize || how->pooling)
        return fail(err, E_ARG,
                    "%s: a cnn takes pictures as they are and pools in one way: there is no %s to "
                    "choose",
                    f->path, how->resize ? "resize" : "pooling");
    f->resize = "none: pictures have the size the network was trained on";
    f->frames = whole_max(m->network->io.frames, 1);
    f->height = m->network->io.height;
    f->width = m->network->io.width;
    f->channels = m->network->io.in_channels;
    f->n_classes = m->network->io.n_classes;
    f->class_names = m->labels;
    f->D = cnn_features(m->network);
    f->about = m->about;
    return OK;
}

static void cnn_close(struct features *f)
{
    model_free(f->impl);
    f->impl = NULL;
}

static struct tensor *cnn_record(struct graph *g, const struct features *f, struct tensor *x,
                                 struct tensor **logits)
{
    const struct model *m = f->impl;
    struct tensor *features;

    *logits = cnn_forward(g, m->network, x, &features);
    return features;
}

const struct features_kind features_cnn = {
    .name = "cnn",
    .batch = 64,
    .takes = cnn_takes,
    .open = cnn_open,
    .close = cnn_close,
    .record = cnn_record,
};
