/*
 * backbone.c - published classifiers as far as others compare what they see inside
 *
 * Networks that were taught to tell a million photographs apart see as people do, and perceptual
 * distances were calibrated on three of them:
 *
 *     AlexNet         Krizhevsky 2014, "One weird trick", the form of one column
 *     VGG16           Simonyan and Zisserman 2015, configuration D
 *     SqueezeNet 1.1  Iandola et al. 2016, as its authors revised it
 *
 * Each is a list of convolutions with rectifiers and windows of maxima, so each is a table here, in
 * the order of the forward, and one walk declares and another records it.  Rows carry the place in
 * torchvision's "features", which is the name of a layer's weights in every copy of them.  The
 * classes behind are left out, and so is everything that training needs: they are only asked.
 */
#include "model/backbone.h"

#include "base/memory.h"
#include "nn/layers.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/pool.h"

#include <stdlib.h>

enum { CONVS_MAX = 32 };

enum row_kind {
    END,
    CONV, /* size x size, and a rectifier                                            */
    SAME, /* 3 x 3 that keeps the size, and a rectifier                              */
    FIRE, /* 1 x 1 to `squeeze`, then 1 x 1 and 3 x 3 side by side to `out` / 2 each */
    POOL, /* maxima of windows that halve the size                                   */
};

struct row {
    enum row_kind kind;
    int at; /* in torchvision's features */
    int64_t out, size, stride, padding, squeeze;
    bool over; /* of a window, see struct pool_window */
    bool tap;  /* what comes out is looked at         */
};

static const struct row alexnet[] = {
    {CONV, .at = 0, .out = 64, .size = 11, .stride = 4, .padding = 2, .tap = true},
    {POOL, .size = 3},
    {CONV, .at = 3, .out = 192, .size = 5, .stride = 1, .padding = 2, .tap = true},
    {POOL, .size = 3},
    {SAME, .at = 6, .out = 384, .tap = true},
    {SAME, .at = 8, .out = 256, .tap = true},
    {SAME, .at = 10, .out = 256, .tap = true},
    {.kind = END},
};

static const struct row vgg16[] = {
    {SAME, .at = 0, .out = 64},
    {SAME, .at = 2, .out = 64, .tap = true},
    {POOL, .size = 2},
    {SAME, .at = 5, .out = 128},
    {SAME, .at = 7, .out = 128, .tap = true},
    {POOL, .size = 2},
    {SAME, .at = 10, .out = 256},
    {SAME, .at = 12, .out = 256},
    {SAME, .at = 14, .out = 256, .tap = true},
    {POOL, .size = 2},
    {SAME, .at = 17, .out = 512},
    {SAME, .at = 19, .out = 512},
    {SAME, .at = 21, .out = 512, .tap = true},
    {POOL, .size = 2},
    {SAME, .at = 24, .out = 512},
    {SAME, .at = 26, .out = 512},
    {SAME, .at = 28, .out = 512, .tap = true},
    {.kind = END},
};

static const struct row squeezenet[] = {
    {CONV, .at = 0, .out = 64, .size = 3, .stride = 2, .tap = true},
    {POOL, .size = 3, .over = true},
    {FIRE, .at = 3, .squeeze = 16, .out = 128},
    {FIRE, .at = 4, .squeeze = 16, .out = 128, .tap = true},
    {POOL, .size = 3, .over = true},
    {FIRE, .at = 6, .squeeze = 32, .out = 256},
    {FIRE, .at = 7, .squeeze = 32, .out = 256, .tap = true},
    {POOL, .size = 3, .over = true},
    {FIRE, .at = 9, .squeeze = 48, .out = 384, .tap = true},
    {FIRE, .at = 10, .squeeze = 48, .out = 384, .tap = true},
    {FIRE, .at = 11, .squeeze = 64, .out = 512, .tap = true},
    {FIRE, .at = 12, .squeeze = 64, .out = 512, .tap = true},
    {.kind = END},
};

/* The last weight of each tells it from the others. */
static const struct kind {
    const char *name, *mark;
    int64_t side_min; /* smaller pictures leave a window nothing to look at */
    const struct row *rows;
} kinds[] = {
    {"alexnet", "features.10.weight", 31, alexnet},
    {"vgg16", "features.28.weight", 16, vgg16},
    {"squeezenet1_1", "features.12.squeeze.weight", 25, squeezenet},
};

struct backbone {
    const struct kind *kind;
    struct params *params;
    int64_t channels[BACKBONE_TAPS];
    int n_taps, n_convs;
    struct conv conv[CONVS_MAX];
};

/* --- declaring ----------------------------------------------------------------------------------
 */

static void declare_conv(struct backbone *b, struct scope s, int64_t in, int64_t out, int64_t size,
                         int64_t stride, int64_t padding)
{
    const struct init rule = {.kind = INIT_KAIMING, .fan_in = in * size * size};
    struct conv *c = &b->conv[b->n_convs++];

    MUST(b->n_convs <= CONVS_MAX, "%s: more than %d convolutions", b->kind->name, CONVS_MAX);
    c->weight = params_add_conv(s, "weight", SHAPE(out, size, size, in), rule);
    c->bias = params_add(s, "bias", SHAPE(out), rule);
    c->geometry = (struct conv_geometry){stride, padding, padding, padding, padding};
}

static void declare(struct backbone *b)
{
    int64_t in = 3;

    for (const struct row *r = b->kind->rows; r->kind != END; r++) {
        struct scope s = scope_in(scope_root(b->params), "%d", r->at);

        if (r->kind == CONV) {
            declare_conv(b, s, in, r->out, r->size, r->stride, r->padding);
        } else if (r->kind == SAME) {
            declare_conv(b, s, in, r->out, 3, 1, 1);
        } else if (r->kind == FIRE) {
            declare_conv(b, scope_in(s, "squeeze"), in, r->squeeze, 1, 1, 0);
            declare_conv(b, scope_in(s, "expand1x1"), r->squeeze, r->out / 2, 1, 1, 0);
            declare_conv(b, scope_in(s, "expand3x3"), r->squeeze, r->out / 2, 3, 1, 1);
        }
        in = r->out ? r->out : in;
        if (r->tap)
            b->channels[b->n_taps++] = in;
    }
}

/* --- recording ----------------------------------------------------------------------------------
 */

static struct tensor *unit(struct graph *g, const struct conv *c, struct tensor *x)
{
    return op_leaky_relu(g, nn_conv(g, c, x), 0);
}

void backbone_record(struct graph *g, const struct backbone *b, struct tensor *x,
                     struct tensor *tap[BACKBONE_TAPS])
{
    const struct conv *c = b->conv;
    int k = 0;

    for (const struct row *r = b->kind->rows; r->kind != END; r++) {
        if (r->kind == POOL) {
            x = op_maxpool(g, x,
                           (struct pool_window){.size = r->size, .stride = 2, .over = r->over});
        } else if (r->kind == FIRE) {
            x = unit(g, c++, x);
            x = op_concat(g, unit(g, c, x), unit(g, c + 1, x));
            c += 2;
        } else {
            x = unit(g, c++, x);
        }
        if (r->tap)
            tap[k++] = x;
    }
}

/* --- loading ------------------------------------------------------------------------------------
 */

static const struct kind *kind_of(const struct weights *f)
{
    /* The longest first: VGG16 has a layer 10 too. */
    for (size_t i = sizeof kinds / sizeof *kinds; i-- > 0;)
        if (weights_find(f, kinds[i].mark))
            return &kinds[i];
    return NULL;
}

enum status backbone_load(struct backbone **out, const struct weights *f, struct error *err)
{
    const struct kind *kind = kind_of(f);
    struct backbone *b = NULL;
    enum status st;

    *out = NULL;
    if (!kind)
        return fail(err, E_FORMAT,
                    "neither AlexNet (%s) nor VGG16 (%s) nor SqueezeNet 1.1 (%s) with the names of "
                    "torchvision",
                    kinds[0].mark, kinds[1].mark, kinds[2].mark);
    if ((st = mem_new((void **)&b, 1, sizeof *b, "a backbone", err)))
        return st;
    b->kind = kind;
    if (!(st = params_new(&b->params, err))) {
        declare(b);
        if (!(st = params_alloc(b->params, false, err)) &&
            (st = params_load(b->params, f, "features.", PARAMS_ALL, NULL, err)))
            fail_under(err, "%s", kind->name);
    }
    if (st)
        backbone_free(b);
    else
        *out = b;
    return st;
}

void backbone_free(struct backbone *b)
{
    if (!b)
        return;
    params_free(b->params);
    free(b);
}

const char *backbone_name(const struct backbone *b)
{
    return b->kind->name;
}

int64_t backbone_side_min(const struct backbone *b)
{
    return b->kind->side_min;
}

int backbone_taps(const struct backbone *b)
{
    return b->n_taps;
}

int64_t backbone_channels(const struct backbone *b, int k)
{
    return b->channels[k];
}
