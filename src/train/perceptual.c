/*
 * perceptual.c - how differently two pictures look to a network
 *
 * LPIPS (model/lpips.c) needs weights of a published classifier, which nobody may ship with a
 * program of this kind, and which knows photographs: of digits or emoji it has seen none.  A small
 * classifier trained on the very pictures knows what matters in them, and the same distance over
 * its stages, with every channel counting alike,
 *
 *     d = sum over stages of  mean over pixels of  |u - v|^2,   u, v of length one over channels,
 *
 * is the next best thing: that the network was supervised, and on what, matters far less than that
 * features are compared at several depths (Zhang et al. 2018, table 5; architectures.md 3.5).
 * Every stage lies between 0 and 4, so none drowns the others.
 *
 * The stages are convolutions, so pictures need not have the size that the classifier was trained
 * on; what they show should be as large, though, for it looks for shapes of that size.
 */
#include "train/perceptual.h"

#include "base/memory.h"
#include "model/cnn.h"
#include "model/lpips.h"
#include "ops/basic.h"
#include "ops/loss.h"
#include "pipeline/model.h"

#include <inttypes.h>
#include <stdlib.h>

/* One of the two. */
struct perceptual {
    struct lpips *lpips;
    struct model *model;
};

static enum status cnn_open(struct perceptual *p, const char *path, struct error *err)
{
    enum status st;

    if ((st = model_load(&p->model, path, err)))
        return st;
    if (p->model->network->kind != &network_cnn)
        return fail(err, E_ARG,
                    "%s: a %s compares no pictures; imgen train makes a network that does with "
                    "model.network = cnn",
                    path, p->model->network->kind->name);
    if (p->model->network->io.frames)
        return fail(err, E_ARG,
                    "%s: a cnn of clips, and pictures are compared frame by frame: train one with "
                    "data.frames = 1",
                    path);
    return OK;
}

enum status perceptual_open(struct perceptual **out, const char *path, const char *heads,
                            struct error *err)
{
    struct perceptual *p = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&p, 1, sizeof *p, "a perceptual distance", err)))
        return st;
    st = heads && *heads ? lpips_open(&p->lpips, path, heads, err) : cnn_open(p, path, err);
    if (st)
        perceptual_free(p);
    else
        *out = p;
    return st;
}

void perceptual_free(struct perceptual *p)
{
    if (!p)
        return;
    lpips_free(p->lpips);
    model_free(p->model);
    free(p);
}

enum status perceptual_check(const struct perceptual *p, int64_t height, int64_t width,
                             int64_t channels, struct error *err)
{
    if (p->lpips)
        return lpips_check(p->lpips, height, width, channels, err);
    if (channels != p->model->network->io.in_channels)
        return fail(err, E_ARG,
                    "the classifier that compares pictures was trained on %" PRId64
                    " channels, and these have %" PRId64,
                    p->model->network->io.in_channels, channels);
    return OK;
}

static struct tensor *cnn_distance(struct graph *g, const struct network *net, struct tensor *x,
                                   struct tensor *y)
{
    struct tensor *u[CNN_STAGES], *v[CNN_STAGES], *sum = NULL, *d;
    int n = cnn_stages(g, net, x, u);

    cnn_stages(g, net, y, v);
    for (int k = 0; k < n; k++) {
        d = op_feature_distance(g, u[k], v[k], NULL);
        sum = sum ? op_add(g, sum, d) : d;
    }
    return sum;
}

struct tensor *perceptual_distance(struct graph *g, const struct perceptual *p, struct tensor *x,
                                   struct tensor *y)
{
    return p->lpips ? lpips_distance(g, p->lpips, x, y) : cnn_distance(g, p->model->network, x, y);
}
