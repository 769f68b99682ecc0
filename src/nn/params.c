/*
 * params.c - the parameters of a network
 *
 * Declaring only writes names and shapes; memory comes in one piece when all are known, so that a
 * network's size can be told (and refused) before any of it is allocated, and so that the
 * optimizer, the averages and the checkpoints see one array instead of hundreds.
 *
 * Trained parameters come first: what the optimizer walks is a prefix of every array.
 */
#include "nn/params.h"

#include "base/memory.h"
#include "base/rng.h"
#include "ops/magnitude.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAD_FLOATS = 16 };

struct params {
    struct param **param; /* [n], each on the heap: addresses stay */
    int64_t n, room;
    struct param spare; /* stands in when memory ran out while declaring */
    bool failed;
    int64_t n_trained, n_values;
    float *values, *grads;
    float *rest; /* [n_rest]: parameters that a mapped file could not lend */
    int64_t n_rest;
    params_spare *allowed; /* or NULL */
};

enum status params_new(struct params **out, struct error *err)
{
    return mem_new((void **)out, 1, sizeof **out, "a list of parameters", err);
}

void params_free(struct params *p)
{
    if (!p)
        return;
    for (int64_t i = 0; i < p->n; i++)
        free(p->param[i]);
    free(p->param);
    mem_block_free(p->values, (uint64_t)p->n_values, sizeof(float));
    mem_block_free(p->grads, (uint64_t)p->n_trained, sizeof(float));
    mem_block_free(p->rest, (uint64_t)p->n_rest, sizeof(float));
    free(p);
}

void params_allow(struct params *p, params_spare *spare)
{
    p->allowed = spare;
}

bool params_allowed(const struct params *p, const char *name)
{
    return p->allowed && p->allowed(name);
}

struct scope scope_root(struct params *p)
{
    return (struct scope){.params = p};
}

struct scope scope_in(struct scope s, const char *fmt, ...)
{
    size_t n = strlen(s.prefix);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s.prefix + n, sizeof s.prefix - n, fmt, ap);
    va_end(ap);
    n = strlen(s.prefix);
    MUST(n + 1 < sizeof s.prefix, "a module's name is too long: %s", s.prefix);
    s.prefix[n] = '.';
    s.prefix[n + 1] = 0;
    return s;
}

static struct param *declare(struct params *p)
{
    void *fresh = NULL;

    if (mem_grow((void **)&p->param, &p->room, p->n + 1, sizeof *p->param, NULL) ||
        mem_new(&fresh, 1, sizeof(struct param), "a parameter", NULL)) {
        p->failed = true;
        return &p->spare;
    }
    return p->param[p->n++] = fresh;
}

struct param *params_add(struct scope s, const char *name, struct shape shape, struct init init)
{
    struct param *q = declare(s.params);

    snprintf(q->name, sizeof q->name, "%s%s", s.prefix, name);
    q->shape = q->file_shape = q->stored = shape;
    for (int k = 0; k < SHAPE_RANK; k++)
        q->order[k] = k;
    q->init = init;
    q->trained = init.kind != INIT_TABLE;
    return q;
}

struct param *params_add_matrix(struct scope s, const char *name, struct shape shape,
                                struct init init)
{
    struct param *q = params_add(s, name, shape, init);

    q->matrix = true;
    return q;
}

static bool is_permutation(const int *order, int n)
{
    unsigned seen = 0;

    for (int k = 0; k < n; k++)
        if (order[k] >= 0 && order[k] < n)
            seen |= 1u << order[k];
    return seen == (1u << n) - 1;
}

struct param *params_add_stored(struct scope s, const char *name, struct shape shape,
                                struct shape file_shape, const int *order, struct init init)
{
    struct param *q = params_add(s, name, shape, init);
    char here[SHAPE_TEXT], there[SHAPE_TEXT];

    MUST(shape_count(shape) == shape_count(file_shape), "%s: %s is stored as %s", name,
         shape_text(here, shape), shape_text(there, file_shape));
    MUST(is_permutation(order, file_shape.rank), "%s: the order of dimensions names one twice",
         name);
    q->file_shape = q->stored = file_shape;
    for (int k = 0; k < file_shape.rank; k++)
        q->order[k] = order[k];
    return q;
}

static const int from_oihw[] = {0, 2, 3, 1};

struct param *params_add_conv(struct scope s, const char *name, struct shape shape,
                              struct init init)
{
    MUST(shape.rank == 4, "%s: a convolution's weight is [O, H, W, I]", name);
    return params_add_stored(s, name, shape,
                             SHAPE(shape.dim[0], shape.dim[3], shape.dim[1], shape.dim[2]),
                             from_oihw, init);
}

struct param *params_add_patch(struct scope s, const char *name, int64_t out, int64_t in, int64_t p,
                               struct init init)
{
    return params_add_stored(s, name, SHAPE(out, p * p * in), SHAPE(out, in, p, p), from_oihw,
                             init);
}

void param_deal(struct param *q, int64_t heads)
{
    static const int order[] = {0, 2, 1, 3};
    int64_t rows = q->shape.dim[0];

    MUST(heads > 0 && rows % (3 * heads) == 0, "%s: %d rows for q, k and v of %d heads", q->name,
         (int)rows, (int)heads);
    q->stored = SHAPE(heads, rows / (3 * heads), 3, shape_count(q->shape) / rows);
    for (int k = 0; k < q->stored.rank; k++)
        q->order[k] = order[k];
}

/* Floats that q takes in an array, padded. */
static int64_t room_of(const struct param *q)
{
    return (shape_count(q->shape) + PAD_FLOATS - 1) / PAD_FLOATS * PAD_FLOATS;
}

static int64_t lay_out_part(struct params *p, bool trained, int64_t at)
{
    for (int64_t i = 0; i < p->n; i++) {
        struct param *q = p->param[i];

        if (q->trained != trained)
            continue;
        q->offset = at;
        at += room_of(q);
    }
    return at;
}

enum status params_lay_out(struct params *p, struct error *err)
{
    if (p->failed)
        return fail(err, E_MEMORY, "no memory to declare the parameters of a network");
    p->n_trained = lay_out_part(p, true, 0);
    p->n_values = lay_out_part(p, false, p->n_trained);
    return OK;
}

typedef enum status new_block(void **out, uint64_t count, uint64_t size, const char *what,
                              struct error *err);

static enum status give_blocks(struct params *p, new_block *block, bool gradients,
                               struct error *err)
{
    enum status st;

    if ((st = params_lay_out(p, err)) ||
        (st = block((void **)&p->values, (uint64_t)p->n_values, sizeof(float), "parameters", err)))
        return st;
    if (gradients && (st = block((void **)&p->grads, (uint64_t)p->n_trained, sizeof(float),
                                 "gradients", err)))
        return st;
    for (int64_t i = 0; i < p->n; i++) {
        struct param *q = p->param[i];

        q->own = q->value = p->values + q->offset;
        q->grad = gradients && q->trained ? p->grads + q->offset : NULL;
    }
    return OK;
}

enum status params_alloc(struct params *p, bool gradients, struct error *err)
{
    return give_blocks(p, mem_block_new, gradients, err);
}

enum status params_imagine(struct params *p, bool gradients, struct error *err)
{
    return give_blocks(p, mem_block_imagine, gradients, err);
}

/* In memory of its own or in a file. */
static bool has_place(const struct param *q)
{
    return q->own || q->lent.rows;
}

enum status params_alloc_rest(struct params *p, struct error *err)
{
    int64_t at = 0;
    enum status st;

    for (int64_t i = 0; i < p->n; i++)
        p->n_rest += has_place(p->param[i]) ? 0 : room_of(p->param[i]);
    if ((st = mem_block_new((void **)&p->rest, (uint64_t)p->n_rest, sizeof(float), "parameters",
                            err)))
        return st;
    for (int64_t i = 0; i < p->n; i++) {
        struct param *q = p->param[i];

        if (!has_place(q)) {
            q->own = p->rest + at;
            at += room_of(q);
        }
        q->value = q->own;
    }
    return OK;
}

static void init_uniform(struct param *q, struct rng *r, double limit)
{
    int64_t n = shape_count(q->shape);

    for (int64_t i = 0; i < n; i++)
        q->value[i] = (float)(limit * (2 * rng_uniform(r) - 1));
}

/* Of as many outputs as inputs, what comes in goes out. */
static void init_identity(struct param *q)
{
    int64_t O = q->shape.dim[0], taps = q->shape.dim[1], I = shape_last(q->shape);

    memset(q->value, 0, (size_t)shape_count(q->shape) * sizeof(float));
    for (int64_t o = 0; o < O && o < I; o++)
        q->value[(o * taps + taps / 2) * I + o] = 1;
}

static void init_param(struct param *q, uint64_t seed, uint64_t index)
{
    struct rng r = rng_stream(seed, RNG_INIT, index);
    int64_t n = shape_count(q->shape), rows = q->shape.dim[0];
    int64_t fan_in = q->init.fan_in ? q->init.fan_in : n / (rows ? rows : 1);
    int64_t fan_out = q->init.fan_out ? q->init.fan_out : rows;
    double gain = q->init.gain > 0 ? q->init.gain : 1;

    switch (q->init.kind) {
    case INIT_ZERO:
        memset(q->value, 0, (size_t)n * sizeof(float));
        break;
    case INIT_ONE:
        for (int64_t i = 0; i < n; i++)
            q->value[i] = 1;
        break;
    case INIT_XAVIER:
        init_uniform(q, &r, gain * sqrt(6.0 / (double)(fan_in + fan_out)));
        break;
    case INIT_KAIMING:
        init_uniform(q, &r, 1 / sqrt((double)fan_in));
        break;
    case INIT_NORMAL:
        for (int64_t i = 0; i < n; i++)
            q->value[i] = (float)(q->init.mean + q->init.std * rng_normal(&r));
        break;
    case INIT_UNIFORM:
        init_uniform(q, &r, q->init.std);
        break;
    case INIT_IDENTITY:
        init_identity(q);
        break;
    case INIT_MOMENTS:
        for (int64_t i = 0; i < n; i++)
            q->value[i] = i < n / 2 ? 0 : (float)q->init.mean;
        break;
    case INIT_TABLE:
        q->init.table(q->value, q->shape, q->init.config);
        break;
    }
}

void params_init(struct params *p, uint64_t seed)
{
    for (int64_t i = 0; i < p->n; i++)
        if (p->param[i]->value)
            init_param(p->param[i], seed, (uint64_t)i);
    params_force_units(p);
}

void params_force_units(struct params *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        const struct param *q = p->param[i];
        int64_t rows = q->shape.dim[0];

        if (q->unit_rows)
            weight_force_units(q->value, rows, shape_count(q->shape) / rows);
    }
}

int64_t params_count(const struct params *p)
{
    return p->n;
}

struct param *params_at(struct params *p, int64_t i)
{
    return p->param[i];
}

struct param *params_find(struct params *p, const char *name)
{
    for (int64_t i = 0; i < p->n; i++)
        if (!strcmp(p->param[i]->name, name))
            return p->param[i];
    return NULL;
}

int64_t params_weights(const struct params *p)
{
    int64_t n = 0;

    for (int64_t i = 0; i < p->n; i++)
        n += p->param[i]->trained ? shape_count(p->param[i]->shape) : 0;
    return n;
}

int64_t params_numbers(const struct params *p)
{
    int64_t n = 0;

    for (int64_t i = 0; i < p->n; i++)
        n += shape_count(p->param[i]->shape);
    return n;
}

/* A parameter that has a value of its own has it in one of the three blocks, or in a file. */
int64_t params_mapped_bytes(const struct params *p)
{
    int64_t bytes = 0;

    for (int64_t i = 0; i < p->n; i++) {
        const struct param *q = p->param[i];
        bool rest = p->rest && q->own >= p->rest && q->own < p->rest + p->n_rest;

        if (q->lent.rows)
            bytes += (int64_t)matrix_all_bytes(&q->lent);
        else if (q->own && !p->values && !rest)
            bytes += shape_count(q->shape) * (int64_t)sizeof(float);
    }
    return bytes;
}

int64_t params_n_trained(const struct params *p)
{
    return p->n_trained;
}

int64_t params_n_values(const struct params *p)
{
    return p->n_values;
}

float *params_values(struct params *p)
{
    return p->values;
}

float *params_grads(struct params *p)
{
    return p->grads;
}

void params_use(struct params *p, float *values)
{
    for (int64_t i = 0; i < p->n; i++)
        p->param[i]->value = values ? values + p->param[i]->offset : p->param[i]->own;
}

struct tensor *nn_param(struct graph *g, const struct param *p)
{
    if (!p->value && p->lent.rows)
        return graph_stored(g, p->shape, &p->lent, p->name);
    return graph_param(g, p->shape, p->value, graph_is_frozen(g) ? NULL : p->grad, p->name);
}
