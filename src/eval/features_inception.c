/*
 * features_inception.c - features of Inception-v3, from published weights
 *
 * With them the Frechet distance is what the field prints as FID, and kernel distance, precision
 * and recall are those of papers.  Weights are published under terms of their own and come from
 * whoever has them, as a .safetensors file under the names that PyTorch programs use.
 *
 * It was trained on pictures of 299 x 299, and so pictures of any size are scaled to that, in the
 * way that is asked for.  The way and the form of the network stand in the protocol: features that
 * were made with another are as different as those of another network.
 *
 * Its classes are those of another set of pictures, so it judges nobody's obedience.
 */
#include "eval/features.h"
#include "eval/inception.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *about;
} poolings[] = {
    [INCEPTION_POOLING_FID] = {"fid", "Inception-v3 in the form of FID: means without the padding, "
                                      "maxima in the last block"},
    [INCEPTION_POOLING_TORCHVISION] = {"torchvision", "Inception-v3 in torchvision's form: means "
                                                      "count the padding (this is not FID)"},
};

static enum status find_pooling(enum inception_pooling *out, const char *name, struct error *err)
{
    for (size_t i = 0; i < sizeof poolings / sizeof *poolings; i++)
        if (!strcmp(poolings[i].name, name)) {
            *out = (enum inception_pooling)i;
            return OK;
        }
    return fail(err, E_ARG, "there is no pooling '%s': %s or %s", name,
                poolings[INCEPTION_POOLING_FID].name, poolings[INCEPTION_POOLING_TORCHVISION].name);
}

static enum status inception_open(struct features *f, const struct weights *file,
                                  const struct features_how *how, struct error *err)
{
    enum inception_pooling pooling = INCEPTION_POOLING_FID;
    struct inception *m;
    enum status st;

    f->scaling = scaling_at(0);
    if ((how->resize && (st = scaling_find(&f->scaling, how->resize, err))) ||
        (how->pooling && (st = find_pooling(&pooling, how->pooling, err))))
        return st;
    if ((st = inception_load(&m, file, pooling, err))) {
        fail_under(err, "%s", f->path);
        return st;
    }
    f->impl = m;
    f->height = f->width = INCEPTION_SIDE;
    f->channels = 3;
    f->D = INCEPTION_FEATURES;
    f->resize = f->scaling->about;
    f->about = poolings[pooling].about;
    snprintf(f->protocol, sizeof f->protocol, "resize %s, pooling %s", f->scaling->name,
             poolings[pooling].name);
    return OK;
}

static void inception_close(struct features *f)
{
    inception_free(f->impl);
    f->impl = NULL;
}

static struct tensor *record_features(struct graph *g, const struct features *f, struct tensor *x,
                                      struct tensor **logits)
{
    *logits = NULL;
    return inception_features(g, f->impl, x);
}

const struct features_kind features_inception = {
    .name = "inception",
    .batch = 8,
    .takes = inception_is,
    .open = inception_open,
    .close = inception_close,
    .record = record_features,
};
