/*
 * layers.c - layers with parameters
 *
 * A layer is the pair of a declaration and a recording; it holds no values and no state, so the
 * same struct serves training, sampling and any number of tapes.
 */
#include "nn/layers.h"

#include "nn/low_rank.h"
#include "ops/activation.h"
#include "ops/dropout.h"
#include "ops/norm.h"

static struct init bias_rule(enum init_kind weight_rule, int64_t fan_in)
{
    if (weight_rule == INIT_KAIMING)
        return (struct init){.kind = INIT_KAIMING, .fan_in = fan_in};
    return (struct init){.kind = INIT_ZERO};
}

static struct param *linear_weight(struct scope s, int64_t in, int64_t out, struct init rule)
{
    struct param *w = params_add_matrix(s, "weight", SHAPE(out, in), rule);

    w->linear = true;
    return w;
}

void linear_init_plain(struct linear *l, struct scope s, int64_t in, int64_t out,
                       enum init_kind rule)
{
    l->weight = linear_weight(s, in, out, (struct init){.kind = rule});
    l->bias = NULL;
}

void linear_init(struct linear *l, struct scope s, int64_t in, int64_t out, enum init_kind rule)
{
    linear_init_plain(l, s, in, out, rule);
    l->bias = params_add(s, "bias", SHAPE(out), bias_rule(rule, in));
}

void linear_init_normal(struct linear *l, struct scope s, int64_t in, int64_t out, double std)
{
    l->weight = linear_weight(s, in, out, (struct init){.kind = INIT_NORMAL, .std = std});
    l->bias = params_add(s, "bias", SHAPE(out), (struct init){.kind = INIT_ZERO});
}

void linear_init_xavier(struct linear *l, struct scope s, int64_t in, int64_t out, double gain)
{
    l->weight = linear_weight(s, in, out, (struct init){.kind = INIT_XAVIER, .gain = gain});
    l->bias = params_add(s, "bias", SHAPE(out), (struct init){.kind = INIT_ZERO});
}

static struct param *pixel_weight(struct scope s, int64_t in, int64_t out, struct init rule,
                                  int file_rank)
{
    struct param *w = linear_weight(s, in, out, rule);

    w->file_shape = SHAPE(out, in, 1, 1);
    w->file_shape.rank = file_rank;
    return w;
}

void linear_init_pixels_plain(struct linear *l, struct scope s, int64_t in, int64_t out,
                              struct init weight, int file_rank)
{
    l->weight = pixel_weight(s, in, out, weight, file_rank);
    l->bias = NULL;
}

void linear_init_pixels(struct linear *l, struct scope s, int64_t in, int64_t out,
                        struct init weight, int file_rank)
{
    linear_init_pixels_plain(l, s, in, out, weight, file_rank);
    l->bias = params_add(s, "bias", SHAPE(out), bias_rule(weight.kind, in));
}

void linear_init_dealt(struct linear *l, struct scope s, int64_t channels, int64_t heads,
                       struct init weight)
{
    struct param *w = pixel_weight(s, channels, 3 * channels, weight, 4);
    struct param *b = params_add(s, "bias", SHAPE(3 * channels), bias_rule(weight.kind, channels));

    param_deal(w, heads);
    param_deal(b, heads);
    l->weight = w;
    l->bias = b;
}

static struct tensor *bias(struct graph *g, const struct param *p)
{
    return p ? nn_param(g, p) : NULL;
}

/* What is added stands before the activation. */
struct tensor *nn_linear_act(struct graph *g, const struct linear *l, struct tensor *x,
                             enum act act)
{
    const struct low_rank *added = l->weight->low_rank;
    struct tensor *w = nn_param(g, l->weight), *b = bias(g, l->bias), *y;

    if (!added)
        return op_linear(g, x, w, b, act);
    y = nn_low_rank(g, added, x, op_linear(g, x, w, b, ACT_NONE));
    return act == ACT_SILU ? op_silu(g, y) : act == ACT_GELU ? op_gelu(g, y) : y;
}

struct tensor *nn_linear(struct graph *g, const struct linear *l, struct tensor *x)
{
    return nn_linear_act(g, l, x, ACT_NONE);
}

void conv_init_plain(struct conv *c, struct scope s, int64_t in, int64_t out, int64_t k,
                     int64_t stride, enum init_kind rule)
{
    int64_t pad = k / 2;

    c->weight = params_add_conv(s, "weight", SHAPE(out, k, k, in), (struct init){.kind = rule});
    c->bias = NULL;
    c->geometry = (struct conv_geometry){stride, pad, pad, pad, pad};
}

void conv_init(struct conv *c, struct scope s, int64_t in, int64_t out, int64_t k, int64_t stride,
               enum init_kind rule)
{
    conv_init_plain(c, s, in, out, k, stride, rule);
    c->bias = params_add(s, "bias", SHAPE(out), bias_rule(rule, in * k * k));
}

void conv_init_xavier(struct conv *c, struct scope s, int64_t in, int64_t out, int64_t k,
                      double gain)
{
    struct init rule = {.kind = INIT_XAVIER, .fan_out = out * k * k, .gain = gain};
    int64_t pad = k / 2;

    c->weight = params_add_conv(s, "weight", SHAPE(out, k, k, in), rule);
    c->bias = params_add(s, "bias", SHAPE(out), (struct init){.kind = INIT_ZERO});
    c->geometry = (struct conv_geometry){1, pad, pad, pad, pad};
}

struct tensor *nn_conv(struct graph *g, const struct conv *c, struct tensor *x)
{
    return op_conv2d(g, x, nn_param(g, c->weight), bias(g, c->bias), c->geometry);
}

void layer_norm_init(struct layer_norm *n, struct scope s, int64_t channels, double eps)
{
    n->weight = params_add(s, "weight", SHAPE(channels), (struct init){.kind = INIT_ONE});
    n->bias = params_add(s, "bias", SHAPE(channels), (struct init){.kind = INIT_ZERO});
    n->eps = eps;
}

struct tensor *nn_layer_norm(struct graph *g, const struct layer_norm *n, struct tensor *x)
{
    return op_layernorm(g, x, nn_param(g, n->weight), nn_param(g, n->bias), n->eps);
}

void group_norm_init(struct group_norm *n, struct scope s, int64_t channels, int64_t groups,
                     double eps)
{
    MUST(groups > 0 && channels % groups == 0, "%d groups do not divide %d channels", (int)groups,
         (int)channels);
    n->weight = params_add(s, "weight", SHAPE(channels), (struct init){.kind = INIT_ONE});
    n->bias = params_add(s, "bias", SHAPE(channels), (struct init){.kind = INIT_ZERO});
    n->groups = groups;
    n->eps = eps;
}

struct tensor *nn_group_norm(struct graph *g, const struct group_norm *n, struct tensor *x,
                             struct tensor *film, bool silu)
{
    return op_groupnorm(g, x, n->groups, nn_param(g, n->weight), nn_param(g, n->bias), film, silu,
                        n->eps);
}

struct tensor *nn_group_norm_of_part(struct graph *g, const struct group_norm *n, struct tensor *x,
                                     bool silu, struct norm_parts *parts)
{
    int k = parts ? parts->met++ : 0;

    if (parts && k < parts->known) {
        struct tensor *m = graph_input(g, SHAPE(2, n->groups), parts->moments[k]);

        return op_groupnorm_by(g, x, n->groups, m, nn_param(g, n->weight), nn_param(g, n->bias),
                               silu, n->eps);
    }
    if (parts && k == parts->known) {
        parts->next = x;
        parts->groups = n->groups;
    }
    return nn_group_norm(g, n, x, NULL, silu);
}

struct tensor *nn_dropout(struct graph *g, struct tensor *x, struct tensor *drop, double p,
                          int64_t place)
{
    return drop && p > 0 ? op_dropout(g, x, drop, p, place) : x;
}

/* A number that is gathered, not learned. */
static struct param *buffer(struct scope s, const char *name, int64_t channels, enum init_kind rule)
{
    struct param *q = params_add(s, name, SHAPE(channels), (struct init){.kind = rule});

    q->trained = false;
    return q;
}

void batch_norm_init(struct batch_norm *n, struct scope s, int64_t channels, struct init weight,
                     double eps)
{
    n->weight = params_add(s, "weight", SHAPE(channels), weight);
    n->bias = params_add(s, "bias", SHAPE(channels), (struct init){.kind = INIT_ZERO});
    n->mean = buffer(s, "running_mean", channels, INIT_ZERO);
    n->variance = buffer(s, "running_var", channels, INIT_ONE);
    n->eps = eps;
}

struct tensor *nn_batch_norm(struct graph *g, const struct batch_norm *n, struct tensor *x,
                             struct tensor **moments)
{
    return op_batchnorm(g, x, nn_param(g, n->weight), nn_param(g, n->bias), n->eps, moments);
}

static void average_towards(float *average, double value, double momentum)
{
    *average = (float)((double)*average + momentum * (value - (double)*average));
}

void batch_norm_update(const struct batch_norm *n, const float *moments, int64_t count,
                       double momentum)
{
    int64_t C = shape_count(n->mean->shape);
    double unbiased = (double)count / (double)(count - 1);

    MUST(count > 1, "%s: %d rows have no variance", n->variance->name, (int)count);
    for (int64_t c = 0; c < C; c++) {
        average_towards(&n->mean->value[c], (double)moments[c], momentum);
        average_towards(&n->variance->value[c], unbiased * (double)moments[C + c], momentum);
    }
}
