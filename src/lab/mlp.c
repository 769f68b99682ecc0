/*
 * mlp.c - a small network for points in the plane
 *
 * Two coordinates in, two out, time and label added in every layer: the smallest network that can
 * learn a guided field, trained in seconds.  It is recorded on the same tape, with the same layers
 * and the same optimizer as the library's large networks, so what it shows holds for them.
 */
#include "lab/mlp.h"

#include "base/memory.h"
#include "nn/layers.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/embedding.h"
#include "train/adamw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 64, DEPTH = 8 };

struct mlp {
    struct graph *graph;
    struct params *params;
    struct linear in, time, hidden[DEPTH], out;
    const struct param *label;
    int64_t depth, step;
    float *m, *v, *average; /* moments and moving average */
};

static enum status make_arrays(struct mlp *net, uint64_t seed, struct error *err)
{
    uint64_t n;
    enum status st;

    if ((st = params_alloc(net->params, true, err)))
        return st;
    params_init(net->params, seed);
    n = (uint64_t)params_n_values(net->params); /* all of them trained */
    if ((st = mem_new((void **)&net->m, n, sizeof(float), "first moments", err)) ||
        (st = mem_new((void **)&net->v, n, sizeof(float), "second moments", err)) ||
        (st = mem_new((void **)&net->average, n, sizeof(float), "averaged weights", err)))
        return st;
    memcpy(net->average, params_values(net->params), n * sizeof(float));
    return OK;
}

enum status mlp_new(struct mlp **out, int64_t width, int64_t depth, int n_labels, uint64_t seed,
                    int threads, struct error *err)
{
    struct mlp *net = NULL;
    struct scope s;
    enum status st;

    MUST(depth >= 0 && depth <= DEPTH, "a network of %lld hidden layers", (long long)depth);
    *out = NULL;
    if ((st = mem_new((void **)&net, 1, sizeof(*net), "a network", err)) ||
        (st = graph_new(&net->graph, 0, threads, err)) || (st = params_new(&net->params, err)))
        goto out;
    net->depth = depth;
    s = scope_root(net->params);
    linear_init(&net->in, scope_in(s, "in"), 2, width, INIT_KAIMING);
    linear_init(&net->time, scope_in(s, "time"), TIMES, width, INIT_KAIMING);
    for (int64_t i = 0; i < depth; i++)
        linear_init(&net->hidden[i], scope_in(s, "hidden.%d", (int)i), width, width, INIT_KAIMING);
    linear_init(&net->out, scope_in(s, "out"), width, 2, INIT_ZERO);
    net->label = params_add(s, "label", SHAPE(n_labels + 1, width),
                            (struct init){.kind = INIT_NORMAL, .std = 0.02});
    st = make_arrays(net, seed, err);
out:
    if (st)
        mlp_free(net);
    else
        *out = net;
    return st;
}

void mlp_free(struct mlp *net)
{
    if (!net)
        return;
    graph_free(net->graph);
    params_free(net->params);
    free(net->m);
    free(net->v);
    free(net->average);
    free(net);
}

int64_t mlp_weights(const struct mlp *net)
{
    return params_weights(net->params);
}

static struct tensor *forward(struct mlp *net, const struct mlp_rows *r)
{
    struct graph *g = net->graph;
    struct tensor *t = op_affine(g, graph_input(g, SHAPE(r->n), r->t), 1000, 0);
    struct tensor *label = graph_input_i32(g, SHAPE(r->n), r->label), *c, *h;

    c = op_add(g, nn_linear(g, &net->time, op_time_features(g, t, TIMES)),
               op_embedding(g, nn_param(g, net->label), label));
    h = op_silu(g, op_add(g, nn_linear(g, &net->in, graph_input(g, SHAPE(r->n, 2), r->x)), c));
    for (int64_t i = 0; i < net->depth; i++)
        h = op_add(g, h, op_silu(g, op_add(g, nn_linear(g, &net->hidden[i], h), c)));
    return nn_linear(g, &net->out, h);
}

static void update(struct mlp *net, double rate)
{
    int64_t n = params_n_trained(net->params);
    const struct adamw a = {
        .lr = rate,
        .beta1 = 0.9,
        .beta2 = 0.99,
        .eps = 1e-8,
        .clip = 1,
        .ema = ema_decay(0.98, net->step),
        .step = net->step + 1,
    };

    adamw_step(params_values(net->params), net->m, net->v, net->average, params_grads(net->params),
               n, gradient_norm(params_grads(net->params), n), &a);
    net->step++;
}

enum status mlp_step(struct mlp *net, const struct mlp_rows *rows, const float *target,
                     const float *gain, double rate, double *loss, struct error *err)
{
    struct graph *g = net->graph;
    struct shape shape = SHAPE(rows->n, 2);
    struct tensor *off;
    float value;
    enum status st;

    params_use(net->params, NULL);
    graph_reset(g);
    off = op_mse(g, op_mul(g, graph_input(g, shape, gain), forward(net, rows)),
                 graph_input(g, shape, target));
    graph_backward(g, off);
    graph_keep(g, off);
    if ((st = graph_run(g, err)))
        return st;
    graph_read(g, off, &value);
    *loss = (double)value;
    if (!isfinite(*loss))
        return fail(err, E_NOT_FINITE, "the loss of step %lld is not finite",
                    (long long)net->step + 1);
    update(net, rate);
    return OK;
}

enum status mlp_predict(struct mlp *net, float *out, const struct mlp_rows *rows, struct error *err)
{
    struct tensor *y;
    enum status st;

    params_use(net->params, net->average);
    graph_reset(net->graph);
    y = forward(net, rows);
    graph_keep(net->graph, y);
    if ((st = graph_run(net->graph, err)))
        return st;
    graph_read(net->graph, y, out);
    return OK;
}
