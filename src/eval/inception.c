/*
 * inception.c - Inception-v3 up to its pooled features, from published weights
 *
 * The network whose features the field compares: Szegedy et al. 2016, table 1 and figures 5 to 10,
 * in the form that was trained for the TensorFlow graph of 2015-12-05.  It is here to be asked and
 * never trained, so it is no architecture of model/: batch norms are folded into the convolutions
 * before them as the weights are read,
 *
 *     y = gamma (W * x - mean) / sqrt(variance + eps) + beta = (s W) * x + (beta - s mean),
 *     s = gamma / sqrt(variance + eps),
 *
 * and dropout, the auxiliary head and the classes are left out.
 *
 * Two forms of it share names and shapes, and weights of one give wrong features in the other
 * without any complaint, so the caller says which is meant.  In the blocks A, C and E the means of
 * 3 x 3 pixels beside the convolutions
 *
 *     fid          leave the padding out of the count; and the last block takes maxima instead
 *     torchvision  count the padding as zeros
 *
 * The structure is written once, as a walk from the picture to the features.  A first walk, without
 * a tape, declares what each layer is called and how many channels it sees; later walks record the
 * same layers in the same order.  A table of shapes and a forward pass could disagree; this cannot.
 */
#include "eval/inception.h"

#include "base/memory.h"
#include "nn/params.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "ops/pool.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { UNITS = 94 };
static const double NORM_EPS = 1e-3;

/* A convolution without a bias, its batch norm, and a rectifier. */
struct unit {
    struct param *weight, *gamma, *beta, *mean, *variance;
    struct conv_geometry geometry;
};

struct inception {
    struct params *params;
    enum inception_pooling pooling;
    int n;
    struct unit unit[UNITS];
};

/* --- the walk -----------------------------------------------------------------------------------
 */

struct walk {
    struct inception *declared; /* NULL while recording                      */
    const struct inception *m;
    struct graph *g; /* NULL while declaring                      */
    struct scope block;
    int next;
};

/* What flows along it: pictures, of which a walk that declares knows the channels alone. */
struct flow {
    struct tensor *x;
    int64_t channels;
};

static void declare(struct inception *m, struct scope s, int64_t in, int64_t out, int64_t kh,
                    int64_t kw, struct conv_geometry geometry)
{
    struct scope norm = scope_in(s, "bn");
    struct init rule = {.kind = INIT_ONE};
    struct unit *u = &m->unit[m->n++];

    u->weight = params_add_conv(scope_in(s, "conv"), "weight", SHAPE(out, kh, kw, in), rule);
    u->gamma = params_add(norm, "weight", SHAPE(out), rule);
    u->beta = params_add(norm, "bias", SHAPE(out), rule);
    u->mean = params_add(norm, "running_mean", SHAPE(out), rule);
    u->variance = params_add(norm, "running_var", SHAPE(out), rule);
    u->geometry = geometry;
}

static struct flow unit(struct walk *w, struct flow in, const char *name, int64_t out, int64_t kh,
                        int64_t kw, struct conv_geometry geometry)
{
    const struct unit *u;
    struct tensor *y;

    MUST(w->next < UNITS, "inception: more than %d convolutions at %s", UNITS, name);
    if (w->declared) {
        declare(w->declared, scope_in(w->block, "%s", name), in.channels, out, kh, kw, geometry);
        w->next++;
        return (struct flow){.channels = out};
    }
    u = &w->m->unit[w->next++];
    y = op_conv2d(w->g, in.x, nn_param(w->g, u->weight), nn_param(w->g, u->beta), u->geometry);
    return (struct flow){op_leaky_relu(w->g, y, 0), out};
}

/* kh x kw, padded to keep the size. */
static struct flow same(struct walk *w, struct flow in, const char *name, int64_t out, int64_t kh,
                        int64_t kw)
{
    const struct conv_geometry g = {1, kh / 2, kh / 2, kw / 2, kw / 2};

    return unit(w, in, name, out, kh, kw, g);
}

static struct flow point(struct walk *w, struct flow in, const char *name, int64_t out)
{
    return same(w, in, name, out, 1, 1);
}

/* 3 x 3 without padding. */
static struct flow inner(struct walk *w, struct flow in, const char *name, int64_t out,
                         int64_t stride)
{
    return unit(w, in, name, out, 3, 3, (struct conv_geometry){.stride = stride});
}

static struct flow join(const struct walk *w, struct flow a, struct flow b)
{
    struct tensor *x = w->g ? op_concat(w->g, a.x, b.x) : NULL;

    return (struct flow){x, a.channels + b.channels};
}

static struct flow half(const struct walk *w, struct flow in)
{
    if (w->g)
        in.x = op_maxpool(w->g, in.x, (struct pool_window){.size = 3, .stride = 2});
    return in;
}

static const struct pool_window around = {.size = 3, .stride = 1, .padding = 1};

static struct flow mean(const struct walk *w, struct flow in)
{
    if (w->g)
        in.x = op_avgpool(w->g, in.x, around, w->m->pooling == INCEPTION_POOLING_TORCHVISION);
    return in;
}

/* Of the last block, which alone differs in kind. */
static struct flow last_pool(const struct walk *w, struct flow in)
{
    if (w->m->pooling != INCEPTION_POOLING_FID)
        return mean(w, in);
    if (w->g)
        in.x = op_maxpool(w->g, in.x, around);
    return in;
}

static void enter(struct walk *w, const char *block)
{
    if (w->declared)
        w->block = scope_in(scope_root(w->declared->params), "%s", block);
}

/* Figure 5 of the paper, with one 5 x 5 kept; 35 x 35 pixels. */
static struct flow block_a(struct walk *w, struct flow x, const char *name, int64_t pooled)
{
    struct flow one, five, three, pool;

    enter(w, name);
    one = point(w, x, "branch1x1", 64);
    five = point(w, x, "branch5x5_1", 48);
    five = same(w, five, "branch5x5_2", 64, 5, 5);
    three = point(w, x, "branch3x3dbl_1", 64);
    three = same(w, three, "branch3x3dbl_2", 96, 3, 3);
    three = same(w, three, "branch3x3dbl_3", 96, 3, 3);
    pool = point(w, mean(w, x), "branch_pool", pooled);
    return join(w, join(w, join(w, one, five), three), pool);
}

/* Figure 10: to half the size. */
static struct flow block_b(struct walk *w, struct flow x, const char *name)
{
    struct flow three, twice;

    enter(w, name);
    three = inner(w, x, "branch3x3", 384, 2);
    twice = point(w, x, "branch3x3dbl_1", 64);
    twice = same(w, twice, "branch3x3dbl_2", 96, 3, 3);
    twice = inner(w, twice, "branch3x3dbl_3", 96, 2);
    return join(w, join(w, three, twice), half(w, x));
}

/* Figure 6 with n = 7: rows and columns in turn; 17 x 17 pixels. */
static struct flow block_c(struct walk *w, struct flow x, const char *name, int64_t c)
{
    struct flow one, seven, twice, pool;

    enter(w, name);
    one = point(w, x, "branch1x1", 192);
    seven = point(w, x, "branch7x7_1", c);
    seven = same(w, seven, "branch7x7_2", c, 1, 7);
    seven = same(w, seven, "branch7x7_3", 192, 7, 1);
    twice = point(w, x, "branch7x7dbl_1", c);
    twice = same(w, twice, "branch7x7dbl_2", c, 7, 1);
    twice = same(w, twice, "branch7x7dbl_3", c, 1, 7);
    twice = same(w, twice, "branch7x7dbl_4", c, 7, 1);
    twice = same(w, twice, "branch7x7dbl_5", 192, 1, 7);
    pool = point(w, mean(w, x), "branch_pool", 192);
    return join(w, join(w, join(w, one, seven), twice), pool);
}

/* To half the size again. */
static struct flow block_d(struct walk *w, struct flow x, const char *name)
{
    struct flow three, seven;

    enter(w, name);
    three = point(w, x, "branch3x3_1", 192);
    three = inner(w, three, "branch3x3_2", 320, 2);
    seven = point(w, x, "branch7x7x3_1", 192);
    seven = same(w, seven, "branch7x7x3_2", 192, 1, 7);
    seven = same(w, seven, "branch7x7x3_3", 192, 7, 1);
    seven = inner(w, seven, "branch7x7x3_4", 192, 2);
    return join(w, join(w, three, seven), half(w, x));
}

/* Figure 7: rows and columns side by side; 8 x 8 pixels.  pool: x, pooled. */
static struct flow block_e(struct walk *w, struct flow x, struct flow pool, const char *name)
{
    struct flow one, three, twice, row, column;

    enter(w, name);
    one = point(w, x, "branch1x1", 320);
    three = point(w, x, "branch3x3_1", 384);
    row = same(w, three, "branch3x3_2a", 384, 1, 3);
    column = same(w, three, "branch3x3_2b", 384, 3, 1);
    three = join(w, row, column);
    twice = point(w, x, "branch3x3dbl_1", 448);
    twice = same(w, twice, "branch3x3dbl_2", 384, 3, 3);
    row = same(w, twice, "branch3x3dbl_3a", 384, 1, 3);
    column = same(w, twice, "branch3x3dbl_3b", 384, 3, 1);
    twice = join(w, row, column);
    pool = point(w, pool, "branch_pool", 192);
    return join(w, join(w, join(w, one, three), twice), pool);
}

/* Table 1, as far as the last mean over all pixels. */
static struct flow walk_through(struct walk *w, struct flow x)
{
    x = inner(w, x, "Conv2d_1a_3x3", 32, 2);
    x = inner(w, x, "Conv2d_2a_3x3", 32, 1);
    x = half(w, same(w, x, "Conv2d_2b_3x3", 64, 3, 3));
    x = point(w, x, "Conv2d_3b_1x1", 80);
    x = half(w, inner(w, x, "Conv2d_4a_3x3", 192, 1));
    x = block_a(w, x, "Mixed_5b", 32);
    x = block_a(w, x, "Mixed_5c", 64);
    x = block_a(w, x, "Mixed_5d", 64);
    x = block_b(w, x, "Mixed_6a");
    x = block_c(w, x, "Mixed_6b", 128);
    x = block_c(w, x, "Mixed_6c", 160);
    x = block_c(w, x, "Mixed_6d", 160);
    x = block_c(w, x, "Mixed_6e", 192);
    x = block_d(w, x, "Mixed_7a");
    x = block_e(w, x, mean(w, x), "Mixed_7b");
    x = block_e(w, x, last_pool(w, x), "Mixed_7c");
    MUST(w->next == UNITS && x.channels == INCEPTION_FEATURES,
         "inception: %d convolutions to %" PRId64 " features", w->next, x.channels);
    return x;
}

struct tensor *inception_features(struct graph *g, const struct inception *m, struct tensor *x)
{
    struct walk w = {.m = m, .g = g};
    char text[SHAPE_TEXT];
    int64_t pixels;

    MUST(x->shape.rank == 4 && x->shape.dim[1] >= INCEPTION_SIDE_MIN &&
             x->shape.dim[2] >= INCEPTION_SIDE_MIN && x->shape.dim[3] == 3,
         "inception: pictures %s", shape_text(text, x->shape));
    x = walk_through(&w, (struct flow){x, 3}).x;
    pixels = x->shape.dim[1] * x->shape.dim[2];
    return op_affine(g, op_sum_inner(g, x), 1 / (double)pixels, 0);
}

/* --- weights ------------------------------------------------------------------------------------
 */

static bool begins(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

bool inception_is(const struct weights *f)
{
    for (int64_t i = 0; i < weights_count(f); i++)
        if (begins(weights_at(f, i)->name, "Conv2d_1a_3x3.") ||
            begins(weights_at(f, i)->name, "Mixed_"))
            return true;
    return false;
}

/* What published files hold besides: the classes, the head that helped training, and how many
 * batches a norm has seen. */
static bool is_spare(const char *name)
{
    static const char ending[] = ".num_batches_tracked";
    size_t n = strlen(name), m = sizeof ending - 1;

    return begins(name, "fc.") || begins(name, "AuxLogits.") ||
           (n > m && !strcmp(name + n - m, ending));
}

/* The convolution's weight becomes s W and beta becomes beta - s mean, in double. */
static enum status fold(struct unit *u, struct error *err)
{
    int64_t out = u->weight->shape.dim[0], each = shape_count(u->weight->shape) / out;

    for (int64_t o = 0; o < out; o++) {
        double gamma = (double)u->gamma->value[o], mean_of = (double)u->mean->value[o];
        double scale = gamma / sqrt((double)u->variance->value[o] + NORM_EPS);
        float *w = u->weight->value + o * each;
        bool finite;

        u->beta->value[o] = (float)((double)u->beta->value[o] - scale * mean_of);
        finite = isfinite(scale) && isfinite(u->beta->value[o]);
        for (int64_t i = 0; i < each; i++) {
            w[i] = (float)(scale * (double)w[i]);
            finite = finite && isfinite(w[i]);
        }
        if (!finite)
            return fail(err, E_FORMAT,
                        "%s and the batch norm after it (%s %g) are not finite in channel %" PRId64,
                        u->weight->name, u->variance->name, (double)u->variance->value[o], o);
    }
    return OK;
}

enum status inception_load(struct inception **out, const struct weights *f,
                           enum inception_pooling pooling, struct error *err)
{
    struct inception *m = NULL;
    struct walk w = {0};
    enum status st;

    *out = NULL;
    if ((st = mem_new((void **)&m, 1, sizeof *m, "Inception", err)) ||
        (st = params_new(&m->params, err)))
        goto out;
    m->pooling = pooling;
    w.declared = m;
    w.m = m;
    w.block = scope_root(m->params);
    walk_through(&w, (struct flow){.channels = 3});
    params_allow(m->params, is_spare);
    if ((st = params_alloc(m->params, false, err)) ||
        (st = params_load(m->params, f, "", PARAMS_ALL, NULL, err)))
        goto out;
    for (int i = 0; i < UNITS && !st; i++)
        st = fold(&m->unit[i], err);
out:
    if (st)
        inception_free(m);
    else
        *out = m;
    return st;
}

void inception_free(struct inception *m)
{
    if (!m)
        return;
    params_free(m->params);
    free(m);
}
