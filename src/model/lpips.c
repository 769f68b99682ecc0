/*
 * lpips.c - learned perceptual distance of two pictures
 *
 * Two pictures that differ by a shift of one pixel are far apart in pixels and the same to people;
 * a blur is the other way round.  Inside a classifier of photographs the distances come out as
 * people judge them:
 *
 *     d = sum over layers of  mean over pixels of  sum_c w_c (u_c - v_c)^2,
 *
 * u and v being the two pictures' features, of length one over channels, and w >= 0 fitted to half
 * a million human comparisons.  Zhang et al. 2018, "The unreasonable effectiveness of deep features
 * as a perceptual metric", (1), version 0.1 of its published weights; architectures.md 3.2.
 *
 * The normalisation that the classifiers were trained with, for pictures in -1 .. 1, is
 * (x - shift) / scale a channel.  It cannot be folded into the first convolution, whose padding
 * means a normalised 0; so it is a linear layer of its own, which also repeats a grey channel.
 */
#include "model/lpips.h"

#include "base/memory.h"
#include "model/backbone.h"
#include "nn/params.h"
#include "ops/basic.h"
#include "ops/linear.h"
#include "ops/loss.h"

#include <inttypes.h>
#include <stdlib.h>

enum { RGB = 3 };
static const double SHIFT[RGB] = {-0.030, -0.088, -0.188}, SCALE[RGB] = {0.458, 0.448, 0.450};

struct lpips {
    struct backbone *backbone;
    struct params *heads;
    const struct param *head[BACKBONE_TAPS];
    float grey[RGB], colour[RGB * RGB], bias[RGB]; /* the normalisation of either */
};

/* --- loading ------------------------------------------------------------------------------------
 */

static void normalisation_init(struct lpips *l)
{
    for (int k = 0; k < RGB; k++) {
        l->grey[k] = l->colour[k * RGB + k] = (float)(1 / SCALE[k]);
        l->bias[k] = (float)(-SHIFT[k] / SCALE[k]);
    }
}

static enum status with_path(enum status st, const char *path, struct error *err)
{
    if (st)
        fail_under(err, "%s", path);
    return st;
}

static enum status backbone_open(struct lpips *l, const char *path, struct error *err)
{
    struct weights *f;
    enum status st;

    if ((st = weights_open(&f, path, err)))
        return st;
    st = with_path(backbone_load(&l->backbone, f, err), path, err);
    weights_close(f);
    return st;
}

static void heads_declare(struct lpips *l)
{
    for (int k = 0; k < backbone_taps(l->backbone); k++)
        l->head[k] =
            params_add(scope_in(scope_root(l->heads), "lin%d.model.1", k), "weight",
                       SHAPE(backbone_channels(l->backbone, k)), (struct init){.kind = INIT_ONE});
}

/* A distance has no weights below zero. */
static enum status heads_check(const struct lpips *l, struct error *err)
{
    for (int k = 0; k < backbone_taps(l->backbone); k++)
        for (int64_t c = 0; c < backbone_channels(l->backbone, k); c++)
            if (!(l->head[k]->value[c] >= 0))
                return fail(err, E_FORMAT, "%s is %g in channel %" PRId64 ", and not 0 or more",
                            l->head[k]->name, (double)l->head[k]->value[c], c);
    return OK;
}

static enum status heads_open(struct lpips *l, const char *path, struct error *err)
{
    struct weights *f;
    enum status st;

    if ((st = weights_open(&f, path, err)))
        return st;
    heads_declare(l);
    if ((st = params_alloc(l->heads, false, err)) ||
        (st = params_load(l->heads, f, "", PARAMS_ALL, NULL, err)) || (st = heads_check(l, err)))
        fail_under(err, "%s, for %s", path, backbone_name(l->backbone));
    weights_close(f);
    return st;
}

enum status lpips_open(struct lpips **out, const char *backbone, const char *heads,
                       struct error *err)
{
    struct lpips *l = NULL;
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&l, 1, sizeof *l, "a perceptual distance", err)))
        return st;
    normalisation_init(l);
    if ((st = params_new(&l->heads, err)) || (st = backbone_open(l, backbone, err)) ||
        (st = heads_open(l, heads, err)))
        lpips_free(l);
    else
        *out = l;
    return st;
}

void lpips_free(struct lpips *l)
{
    if (!l)
        return;
    backbone_free(l->backbone);
    params_free(l->heads);
    free(l);
}

/* --- the distance -------------------------------------------------------------------------------
 */

enum status lpips_check(const struct lpips *l, int64_t height, int64_t width, int64_t channels,
                        struct error *err)
{
    int64_t least = backbone_side_min(l->backbone);

    if (height < least || width < least)
        return fail(err, E_ARG,
                    "%s looks at pictures from %" PRId64 " x %" PRId64 " on, not at %" PRId64
                    " x %" PRId64,
                    backbone_name(l->backbone), least, least, width, height);
    if (channels != 1 && channels != RGB)
        return fail(err, E_ARG, "%s looks at pictures of 1 or 3 channels, not of %" PRId64,
                    backbone_name(l->backbone), channels);
    return OK;
}

static void features_record(struct graph *g, const struct lpips *l, struct tensor *x,
                            struct tensor *tap[BACKBONE_TAPS])
{
    int64_t C = shape_last(x->shape);
    const float *scale = C == 1 ? l->grey : l->colour;
    struct tensor *w = graph_param(g, SHAPE(RGB, C), scale, NULL, "scale");
    struct tensor *b = graph_param(g, SHAPE(RGB), l->bias, NULL, "shift");

    backbone_record(g, l->backbone, op_linear(g, x, w, b, ACT_NONE), tap);
}

struct tensor *lpips_distance(struct graph *g, const struct lpips *l, struct tensor *x,
                              struct tensor *y)
{
    struct tensor *u[BACKBONE_TAPS], *v[BACKBONE_TAPS], *sum = NULL, *d;

    features_record(g, l, x, u);
    features_record(g, l, y, v);
    for (int k = 0; k < backbone_taps(l->backbone); k++) {
        d = op_feature_distance(g, u[k], v[k], nn_param(g, l->head[k]));
        sum = sum ? op_add(g, sum, d) : d;
    }
    return sum;
}
