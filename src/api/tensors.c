/*
 * tensors.c - tapes, parameters and ops for users of the library
 *
 * struct imgen_tensor is struct tensor and struct imgen_graph is struct graph under their public
 * names: nothing is wrapped, so a network written by a user costs what one of ours costs.
 */
#include "api/api.h"

#include "base/memory.h"
#include "nn/params.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/resample.h"
#include "train/adamw.h"

#include <stdlib.h>
#include <string.h>

static struct graph *in_graph(struct imgen_graph *g)
{
    return (struct graph *)g;
}

static struct tensor *in(struct imgen_tensor *t)
{
    return (struct tensor *)t;
}

static struct imgen_tensor *out(struct tensor *t)
{
    return (struct imgen_tensor *)t;
}

static struct shape shape_from(int rank, const int64_t *dim)
{
    struct shape s = {.rank = rank};

    MUST(rank >= 0 && rank <= SHAPE_RANK, "a tensor has up to %d dimensions, not %d", SHAPE_RANK,
         rank);
    for (int i = 0; i < rank; i++)
        s.dim[i] = dim[i];
    return s;
}

/* --- tapes --------------------------------------------------------------------------------------
 */

enum imgen_status imgen_graph_new(struct imgen_graph **g, int threads, struct imgen_error *err)
{
    struct graph *made = NULL;
    struct error e = {0};
    enum status st = graph_new(&made, 0, api_threads(threads), &e);

    *g = (struct imgen_graph *)made;
    return api_status(err, &e, st);
}

void imgen_graph_free(struct imgen_graph *g)
{
    graph_free(in_graph(g));
}

void imgen_graph_reset(struct imgen_graph *g)
{
    graph_reset(in_graph(g));
}

struct imgen_tensor *imgen_input(struct imgen_graph *g, int rank, const int64_t *dim,
                                 const float *data)
{
    return out(graph_input(in_graph(g), shape_from(rank, dim), data));
}

struct imgen_tensor *imgen_labels(struct imgen_graph *g, int64_t n, const int32_t *data)
{
    return out(graph_input_i32(in_graph(g), SHAPE(n), data));
}

void imgen_backward(struct imgen_graph *g, struct imgen_tensor *loss)
{
    graph_backward(in_graph(g), in(loss));
}

void imgen_keep(struct imgen_graph *g, struct imgen_tensor *t)
{
    graph_keep(in_graph(g), in(t));
}

enum imgen_status imgen_graph_run(struct imgen_graph *g, struct imgen_error *err)
{
    struct error e = {0};

    return api_status(err, &e, graph_run(in_graph(g), &e));
}

void imgen_read(struct imgen_graph *g, const struct imgen_tensor *t, float *to)
{
    graph_read(in_graph(g), (const struct tensor *)t, to);
}

int imgen_rank(const struct imgen_tensor *t)
{
    return ((const struct tensor *)t)->shape.rank;
}

int64_t imgen_dim(const struct imgen_tensor *t, int axis)
{
    const struct shape *s = &((const struct tensor *)t)->shape;

    MUST(axis >= 0 && axis < s->rank, "axis %d of a tensor with %d", axis, s->rank);
    return s->dim[axis];
}

/* --- parameters ---------------------------------------------------------------------------------
 */

struct imgen_params {
    struct params *params;
    float *m, *v,
        *unused_average; /* moments; AdamW keeps an average, which here equals the weights */
    int64_t step;
};

enum imgen_status imgen_params_new(struct imgen_params **p, struct imgen_error *err)
{
    struct imgen_params *made = NULL;
    struct error e = {0};
    enum status st;

    *p = NULL;
    if ((st = mem_new((void **)&made, 1, sizeof *made, "parameters", &e)) ||
        (st = params_new(&made->params, &e)))
        imgen_params_free(made);
    else
        *p = made;
    return api_status(err, &e, st);
}

void imgen_params_free(struct imgen_params *p)
{
    if (!p)
        return;
    params_free(p->params);
    free(p->m);
    free(p->v);
    free(p->unused_average);
    free(p);
}

static struct init rule_of(enum imgen_init init)
{
    switch (init) {
    case IMGEN_ZERO:
        return (struct init){.kind = INIT_ZERO};
    case IMGEN_ONE:
        return (struct init){.kind = INIT_ONE};
    case IMGEN_XAVIER:
        return (struct init){.kind = INIT_XAVIER};
    case IMGEN_KAIMING:
        return (struct init){.kind = INIT_KAIMING};
    case IMGEN_NORMAL_002:
        break;
    }
    return (struct init){.kind = INIT_NORMAL, .std = 0.02};
}

int imgen_param_add(struct imgen_params *p, const char *name, int rank, const int64_t *dim,
                    enum imgen_init init)
{
    params_add(scope_root(p->params), name, shape_from(rank, dim), rule_of(init));
    return (int)params_count(p->params) - 1;
}

int imgen_param_add_stored(struct imgen_params *p, const char *name, int rank, const int64_t *dim,
                           enum imgen_init init, int file_rank, const int64_t *file_dim,
                           const int *order)
{
    params_add_stored(scope_root(p->params), name, shape_from(rank, dim),
                      shape_from(file_rank, file_dim), order, rule_of(init));
    return (int)params_count(p->params) - 1;
}

enum imgen_status imgen_params_init(struct imgen_params *p, uint64_t seed, struct imgen_error *err)
{
    struct error e = {0};
    enum status st = params_alloc(p->params, true, &e);
    uint64_t n = (uint64_t)params_n_trained(p->params);

    if (st || (st = mem_new((void **)&p->m, n, sizeof(float), "first moments", &e)) ||
        (st = mem_new((void **)&p->v, n, sizeof(float), "second moments", &e)) ||
        (st = mem_new((void **)&p->unused_average, n, sizeof(float), "averages", &e)))
        return api_status(err, &e, st);
    params_init(p->params, seed);
    return api_status(err, &e, OK);
}

struct imgen_tensor *imgen_param(struct imgen_graph *g, struct imgen_params *p, int number)
{
    MUST(number >= 0 && number < params_count(p->params), "there is no parameter %d", number);
    return out(nn_param(in_graph(g), params_at(p->params, number)));
}

void imgen_params_step(struct imgen_params *p, double learning_rate)
{
    int64_t n = params_n_trained(p->params);
    float *g = params_grads(p->params);
    struct adamw a = {
        .lr = learning_rate,
        .beta1 = 0.9,
        .beta2 = 0.95,
        .eps = 1e-8,
        .clip = 1,
        .step = ++p->step,
    };

    adamw_step(params_values(p->params), p->m, p->v, p->unused_average, g, n, gradient_norm(g, n),
               &a);
}

enum imgen_status imgen_params_save(struct imgen_params *p, const char *path,
                                    struct imgen_error *err)
{
    struct save_tensor *rows = NULL;
    struct error e = {0};
    void *keep = NULL;
    int64_t n;
    enum status st;

    if (!(st = mem_new((void **)&rows, (uint64_t)params_count(p->params), sizeof *rows,
                       "a list of tensors", &e)) &&
        !(st = params_describe(p->params, "", PARAMS_ALL, NULL, rows, &n, &keep, &e)))
        st = safetensors_save(path, rows, n, NULL, 0, &e);
    free(rows);
    free(keep);
    return api_status(err, &e, st);
}

enum imgen_status imgen_params_load(struct imgen_params *p, const char *path,
                                    struct imgen_error *err)
{
    struct weights *f = NULL;
    struct error e = {0};
    enum status st;

    if (!(st = weights_open(&f, path, &e)))
        st = params_load(p->params, f, "", PARAMS_ALL, NULL, &e);
    weights_close(f);
    return api_status(err, &e, st);
}

/* --- ops ----------------------------------------------------------------------------------------
 */

struct imgen_tensor *imgen_add(struct imgen_graph *g, struct imgen_tensor *a,
                               struct imgen_tensor *b)
{
    return out(op_add(in_graph(g), in(a), in(b)));
}

struct imgen_tensor *imgen_sub(struct imgen_graph *g, struct imgen_tensor *a,
                               struct imgen_tensor *b)
{
    return out(op_sub(in_graph(g), in(a), in(b)));
}

struct imgen_tensor *imgen_mul(struct imgen_graph *g, struct imgen_tensor *a,
                               struct imgen_tensor *b)
{
    return out(op_mul(in_graph(g), in(a), in(b)));
}

struct imgen_tensor *imgen_affine(struct imgen_graph *g, struct imgen_tensor *x, double a, double b)
{
    return out(op_affine(in_graph(g), in(x), a, b));
}

struct imgen_tensor *imgen_add_vec(struct imgen_graph *g, struct imgen_tensor *x,
                                   struct imgen_tensor *v)
{
    return out(op_add_vec(in_graph(g), in(x), in(v)));
}

struct imgen_tensor *imgen_reshape(struct imgen_graph *g, struct imgen_tensor *x, int rank,
                                   const int64_t *dim)
{
    return out(op_reshape(in_graph(g), in(x), shape_from(rank, dim)));
}

struct imgen_tensor *imgen_slice(struct imgen_graph *g, struct imgen_tensor *x, int64_t first,
                                 int64_t count)
{
    return out(op_slice(in_graph(g), in(x), first, count));
}

struct imgen_tensor *imgen_concat(struct imgen_graph *g, struct imgen_tensor *a,
                                  struct imgen_tensor *b)
{
    return out(op_concat(in_graph(g), in(a), in(b)));
}

struct imgen_tensor *imgen_sum(struct imgen_graph *g, struct imgen_tensor *x)
{
    return out(op_sum(in_graph(g), in(x)));
}

struct imgen_tensor *imgen_mse(struct imgen_graph *g, struct imgen_tensor *a,
                               struct imgen_tensor *b)
{
    return out(op_mse(in_graph(g), in(a), in(b)));
}

struct imgen_tensor *imgen_silu(struct imgen_graph *g, struct imgen_tensor *x)
{
    return out(op_silu(in_graph(g), in(x)));
}

struct imgen_tensor *imgen_gelu(struct imgen_graph *g, struct imgen_tensor *x)
{
    return out(op_gelu(in_graph(g), in(x)));
}

struct imgen_tensor *imgen_softmax(struct imgen_graph *g, struct imgen_tensor *x)
{
    return out(op_softmax(in_graph(g), in(x)));
}

struct imgen_tensor *imgen_linear(struct imgen_graph *g, struct imgen_tensor *x,
                                  struct imgen_tensor *weight, struct imgen_tensor *bias)
{
    return out(op_linear(in_graph(g), in(x), in(weight), in(bias), ACT_NONE));
}

struct imgen_tensor *imgen_conv2d(struct imgen_graph *g, struct imgen_tensor *x,
                                  struct imgen_tensor *weight, struct imgen_tensor *bias,
                                  int stride, int padding)
{
    struct conv_geometry geometry = {stride, padding, padding, padding, padding};

    return out(op_conv2d(in_graph(g), in(x), in(weight), in(bias), geometry));
}

struct imgen_tensor *imgen_conv2d_transposed(struct imgen_graph *g, struct imgen_tensor *x,
                                             struct imgen_tensor *weight, struct imgen_tensor *bias,
                                             int stride, int padding)
{
    struct conv_geometry geometry = {stride, padding, padding, padding, padding};

    return out(op_conv2d_transposed(in_graph(g), in(x), in(weight), in(bias), geometry));
}

struct imgen_tensor *imgen_layernorm(struct imgen_graph *g, struct imgen_tensor *x,
                                     struct imgen_tensor *weight, struct imgen_tensor *bias,
                                     double eps)
{
    return out(op_layernorm(in_graph(g), in(x), in(weight), in(bias), eps));
}

struct imgen_tensor *imgen_rmsnorm(struct imgen_graph *g, struct imgen_tensor *x,
                                   struct imgen_tensor *weight, double eps)
{
    return out(op_rmsnorm(in_graph(g), in(x), in(weight), eps));
}

struct imgen_tensor *imgen_groupnorm(struct imgen_graph *g, struct imgen_tensor *x, int groups,
                                     struct imgen_tensor *weight, struct imgen_tensor *bias,
                                     double eps)
{
    return out(op_groupnorm(in_graph(g), in(x), groups, in(weight), in(bias), NULL, false, eps));
}

struct imgen_tensor *imgen_attention(struct imgen_graph *g, struct imgen_tensor *qkv, int heads)
{
    return out(op_attention(in_graph(g), in(qkv), heads, QKV_SPLIT));
}

struct imgen_tensor *imgen_embedding(struct imgen_graph *g, struct imgen_tensor *table,
                                     struct imgen_tensor *ids)
{
    return out(op_embedding(in_graph(g), in(table), in(ids)));
}

struct imgen_tensor *imgen_time_features(struct imgen_graph *g, struct imgen_tensor *t, int64_t D)
{
    return out(op_time_features(in_graph(g), in(t), D));
}

struct imgen_tensor *imgen_avgpool2(struct imgen_graph *g, struct imgen_tensor *x)
{
    return out(op_avgpool2(in_graph(g), in(x)));
}

struct imgen_tensor *imgen_upsample2(struct imgen_graph *g, struct imgen_tensor *x)
{
    return out(op_upsample2(in_graph(g), in(x)));
}
