/*
 * speed.c - how fast the hot ops and a whole training step run here
 *
 * Every case is a tape, run several times with a probe that sees each node's seconds.  A row adds
 * up the nodes of one op, so the same mechanism measures a single op forward and backward and
 * profiles a whole training step, and an op that calls itself fast in isolation cannot hide inside
 * a network.
 *
 * Shares are of peaks measured in the same process just before, because a virtual machine's speed
 * is not what its processor's data sheet says.
 */
#include "eval/speed.h"

#include "backend/cpu/peak.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "model/network.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/basic.h"
#include "ops/conv.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "train/adamw.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 7, OPS_MAX = 48, FLOATS = 1 << 25 };

struct total {
    const struct op *op;
    double seconds[RUNS], flops, bytes;
};

struct bench {
    const struct machine *machine;
    speed_callback *callback;
    void *user;
    struct graph *g;
    float *values, *grads; /* [FLOATS]: what inputs and parameters are cut from */
    int64_t used, used_grads;
    struct network *net;
    struct total total[OPS_MAX];
    int n_totals, run; /* run -1: a warm-up, not counted */
};

void speed_machine(struct machine *out, int threads)
{
    out->threads = threads;
    out->peak_flops = cpu_peak_flops(threads);
    out->bandwidth = cpu_memory_bandwidth(threads);
}

/* --- inputs -------------------------------------------------------------------------------------
 */

static struct tensor *input(struct bench *b, struct shape shape)
{
    struct tensor *t;

    MUST(b->used + shape_count(shape) <= FLOATS, "a benchmark's inputs are too large");
    t = graph_input(b->g, shape, b->values + b->used);
    b->used += shape_count(shape);
    graph_want_grad(t);
    return t;
}

static struct tensor *param(struct bench *b, struct shape shape)
{
    int64_t n = shape_count(shape);
    struct tensor *t;

    MUST(b->used + n <= FLOATS && b->used_grads + n <= FLOATS, "a benchmark is too large");
    t = graph_param(b->g, shape, b->values + b->used, b->grads + b->used_grads, "p");
    b->used += n;
    b->used_grads += n;
    return t;
}

/* --- cases --------------------------------------------------------------------------------------
 */

struct bench_case {
    const char *name;
    struct tensor *(*record)(struct bench *b, const int64_t *n);
    int64_t n[4];
    bool whole; /* report the whole tape, and every op of it */
};

static struct tensor *record_linear(struct bench *b, const int64_t *n)
{
    return op_linear(b->g, input(b, SHAPE(n[0], n[1])), param(b, SHAPE(n[2], n[1])),
                     param(b, SHAPE(n[2])), n[3] ? ACT_GELU : ACT_NONE);
}

static struct tensor *record_conv(struct bench *b, const int64_t *n)
{
    struct conv_geometry same = {1, 1, 1, 1, 1};

    return op_conv2d(b->g, input(b, SHAPE(n[0], n[1], n[1], n[2])),
                     param(b, SHAPE(n[3], 3, 3, n[2])), param(b, SHAPE(n[3])), same);
}

static struct tensor *record_attention(struct bench *b, const int64_t *n)
{
    return op_attention(b->g, input(b, SHAPE(n[0], n[1], 3 * n[2])), n[3], QKV_SPLIT);
}

static struct tensor *record_layernorm(struct bench *b, const int64_t *n)
{
    return op_layernorm_modulate(b->g, input(b, SHAPE(n[0], n[1], n[2])),
                                 input(b, SHAPE(n[0], n[2])), input(b, SHAPE(n[0], n[2])), 1e-6);
}

static struct tensor *record_groupnorm(struct bench *b, const int64_t *n)
{
    return op_groupnorm(b->g, input(b, SHAPE(n[0], n[1], n[1], n[2])), n[3], param(b, SHAPE(n[2])),
                        param(b, SHAPE(n[2])), input(b, SHAPE(n[0], 2 * n[2])), true, 1e-5);
}

static struct tensor *record_gated(struct bench *b, const int64_t *n)
{
    return op_gated_add(b->g, input(b, SHAPE(n[0], n[1], n[2])), input(b, SHAPE(n[0], n[2])),
                        input(b, SHAPE(n[0], n[1], n[2])));
}

static struct tensor *record_silu(struct bench *b, const int64_t *n)
{
    return op_silu(b->g, input(b, SHAPE(n[0], n[1])));
}

/* The network's own loss: mean square of its output. */
static struct tensor *record_network(struct bench *b, const int64_t *n)
{
    const struct network_io *io = &b->net->io;
    static const int32_t labels[64];
    struct network_input in = {
        .x = graph_input(b->g, SHAPE(n[0], io->height, io->width, io->in_channels), b->values),
        .t = graph_input(b->g, SHAPE(n[0]), b->values),
        .y = graph_input_i32(b->g, SHAPE(n[0]), labels),
    };

    return network_forward(b->g, b->net, in);
}

static const struct bench_case cases[] = {
    {"linear 4096 x 384 -> 1152", record_linear, {4096, 384, 1152, 0}, false},
    {"linear 4096 x 384 -> 1536 + gelu", record_linear, {4096, 384, 1536, 1}, false},
    {"linear 4096 x 1536 -> 384", record_linear, {4096, 1536, 384, 0}, false},
    {"linear 16 x 384 -> 2304", record_linear, {16, 384, 2304, 0}, false},
    {"conv 3x3, 8 x 32 x 32, 128 -> 128", record_conv, {8, 32, 128, 128}, false},
    {"conv 3x3, 8 x 16 x 16, 256 -> 256", record_conv, {8, 16, 256, 256}, false},
    {"conv 3x3, 64 x 16 x 16, 32 -> 32", record_conv, {64, 16, 32, 32}, false},
    {"conv 3x3, 64 x 32 x 32, 3 -> 64", record_conv, {64, 32, 3, 64}, false},
    {"attention 16 x 256, 6 heads of 64", record_attention, {16, 256, 384, 6}, false},
    {"attention 2 x 1024, 6 heads of 64", record_attention, {2, 1024, 384, 6}, false},
    {"layer norm + modulate 16 x 256 x 384", record_layernorm, {16, 256, 384, 0}, false},
    {"group norm + film + silu 16 x 32 x 32 x 128", record_groupnorm, {16, 32, 128, 32}, false},
    {"gated add 16 x 256 x 384", record_gated, {16, 256, 384, 0}, false},
    {"silu 4096 x 1536", record_silu, {4096, 1536, 0, 0}, false},
};

/* --- measuring ----------------------------------------------------------------------------------
 */

static struct total *total_of(struct bench *b, const struct op *op)
{
    for (int i = 0; i < b->n_totals; i++)
        if (b->total[i].op == op)
            return &b->total[i];
    MUST(b->n_totals < OPS_MAX, "a benchmark meets more than %d ops", OPS_MAX);
    b->total[b->n_totals] = (struct total){.op = op};
    return &b->total[b->n_totals++];
}

static double bytes_of(const struct tensor *y)
{
    double bytes = (double)tensor_bytes(y);

    for (int k = 0; k < TENSOR_INS; k++)
        bytes += y->in[k] ? (double)tensor_bytes(y->in[k]) : 0;
    return bytes;
}

static void watch(const struct tensor *y, double seconds, void *user)
{
    struct bench *b = user;
    struct total *t;

    if (b->run < 0)
        return;
    t = total_of(b, y->op);
    t->seconds[b->run] += seconds;
    if (b->run)
        return;
    t->flops += y->op->flops ? y->op->flops(y) : 0;
    t->bytes += bytes_of(y);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool tell(struct bench *b, const char *name, const char *op, const double seconds[RUNS],
                 double flops, double bytes)
{
    const struct machine *m = b->machine;
    struct speed_row row = {.flops = flops, .bytes = bytes};
    double s[RUNS];

    memcpy(s, seconds, sizeof s);
    qsort(s, RUNS, sizeof *s, by_size);
    snprintf(row.name, sizeof row.name, "%s%s%s", name, op ? ": " : "", op ? op : "");
    row.seconds = s[RUNS / 2];
    row.spread = (s[RUNS - 1] - s[0]) / s[RUNS / 2];
    row.share = fmax(flops / row.seconds / m->peak_flops, bytes / row.seconds / m->bandwidth);
    return b->callback(&row, b->user);
}

/* Record, take the adjoints of the sum of squares, run. */
static enum status run_once(struct bench *b, const struct bench_case *c, double *seconds,
                            struct error *err)
{
    double start = clock_seconds();
    struct tensor *y, *loss;
    enum status st;

    graph_reset(b->g);
    b->used = b->used_grads = 0;
    y = c->record(b, c->n);
    loss = op_sum(b->g, op_mul(b->g, y, y));
    graph_backward(b->g, loss);
    graph_keep(b->g, loss);
    for (int k = 0; k < TENSOR_INS && !c->whole; k++)
        if (y->in[k] && y->in[k]->grad)
            graph_keep(b->g, y->in[k]->grad);
    st = graph_run(b->g, err);
    *seconds = clock_seconds() - start;
    return st;
}

static bool worth_telling(const struct bench_case *c, const struct total *t)
{
    static const char *const frame[] = {"mul",        "sum",  "fill",   "constant",
                                        "accumulate", "copy", "affine", "broadcast"};

    for (size_t i = 0; i < sizeof frame / sizeof *frame && !c->whole; i++)
        if (strstr(t->op->name, frame[i]) == t->op->name)
            return false;
    return true;
}

static enum status run_case(struct bench *b, const struct bench_case *c, struct error *err)
{
    double whole[RUNS] = {0}, unused, flops = 0;
    enum status st;

    b->n_totals = 0;
    for (b->run = -2; b->run < RUNS; b->run++)
        if ((st = run_once(b, c, b->run < 0 ? &unused : &whole[b->run], err)))
            return st;
    for (int i = 0; i < b->n_totals; i++)
        flops += b->total[i].flops;
    if (c->whole && !tell(b, c->name, NULL, whole, flops, 0))
        return fail(err, E_CANCELLED, "stopped");
    for (int i = 0; i < b->n_totals; i++) {
        const struct total *t = &b->total[i];

        if (worth_telling(c, t) && !tell(b, c->name, t->op->name, t->seconds, t->flops, t->bytes))
            return fail(err, E_CANCELLED, "stopped");
    }
    return OK;
}

/* --- whole networks -----------------------------------------------------------------------------
 */

struct network_case {
    const char *name, *kind;
    const char *settings[10]; /* "key=value" */
    int64_t batch;
};

static const struct network_case networks[] = {
    {"training step, dit 384 x 12, 256 tokens, batch 16",
     "dit",
     {"size=32", "channels=4", "classes=10", "patch=2", "width=384", "depth=12", "heads=6"},
     16},
    {"training step, unet 128, 32 x 32, batch 16",
     "unet",
     {"size=32", "channels=3", "classes=10", "width=128", "mult=1,2,2", "blocks=2", "attention=2",
      "head_channels=64"},
     16},
};

static enum status make_network(struct bench *b, const struct network_case *c, struct error *err)
{
    const struct network_kind *kind;
    struct option_group group = {.section = ""};
    struct option_set set = {&group, 1};
    void *config = NULL;
    enum status st;

    if ((st = network_kind_find(&kind, c->kind, err)) ||
        (st = mem_new(&config, 1, kind->config_bytes, "a configuration", err)))
        return st;
    group.rows = kind->options;
    group.config = config;
    st = options_default(&set, err);
    for (int i = 0; c->settings[i] && !st; i++)
        st = options_assign(&set, c->settings[i], err);
    if (!st && !(st = network_new(&b->net, kind, config, true, err)))
        params_init(b->net->params, 1);
    options_release(&set);
    free(config);
    return st;
}

static enum status run_network(struct bench *b, const struct network_case *c, struct error *err)
{
    struct bench_case whole = {c->name, record_network, {c->batch}, true};
    enum status st = make_network(b, c, err);

    if (!st)
        st = run_case(b, &whole, err);
    network_free(b->net);
    b->net = NULL;
    return st;
}

/* --- the optimizer ------------------------------------------------------------------------------
 */

static enum status run_adamw(struct bench *b, struct error *err)
{
    enum { N = 1 << 22 };
    struct adamw a = {
        .lr = 1e-4, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1, .ema = 0.999, .step = 1};
    double seconds[RUNS];
    float *p = b->values, *g = b->grads;

    memset(p + N, 0, (size_t)2 * N * sizeof *p);
    for (int i = -1; i < RUNS; i++) {
        double start = clock_seconds();

        adamw_step(p, p + N, p + 2 * N, p + 3 * N, g, N, gradient_norm(g, N), &a);
        if (i >= 0)
            seconds[i] = clock_seconds() - start;
    }
    if (!tell(b, "adamw + clip + average, 4 Mi weights", NULL, seconds, 24.0 * N, 40.0 * N))
        return fail(err, E_CANCELLED, "stopped");
    return OK;
}

/* --- all ----------------------------------------------------------------------------------------
 */

static bool wanted(const char *name, const char *filter)
{
    return !filter || strstr(name, filter);
}

static enum status run_all(struct bench *b, const char *filter, struct error *err)
{
    enum status st = OK;

    for (size_t i = 0; i < sizeof cases / sizeof *cases && !st; i++)
        if (wanted(cases[i].name, filter))
            st = run_case(b, &cases[i], err);
    if (!st && wanted("adamw", filter))
        st = run_adamw(b, err);
    for (size_t i = 0; i < sizeof networks / sizeof *networks && !st; i++)
        if (wanted(networks[i].name, filter))
            st = run_network(b, &networks[i], err);
    return st;
}

enum status speed_run(const struct machine *m, const char *filter, speed_callback *callback,
                      void *user, struct error *err)
{
    struct rng r = rng_stream(1, RNG_TEST, 0);
    int before = omp_get_max_threads();
    struct bench *b = NULL;
    enum status st;

    if ((st = mem_new((void **)&b, 1, sizeof *b, "a benchmark", err)))
        return st;
    *b = (struct bench){.machine = m, .callback = callback, .user = user};
    if ((st = mem_new((void **)&b->values, FLOATS, sizeof(float), "a benchmark's inputs", err)) ||
        (st = mem_new((void **)&b->grads, FLOATS, sizeof(float), "a benchmark's gradients", err)) ||
        (st = graph_new(&b->g, 0, m->threads, err)))
        goto out;
    for (int64_t i = 0; i < FLOATS; i++)
        b->values[i] = (float)(rng_u32(&r) >> 8) * 0x1p-24f - 0.5f;
    graph_set_probe(b->g, watch, b);
    omp_set_num_threads(m->threads);
    st = run_all(b, filter, err);
    omp_set_num_threads(before);
out:
    graph_free(b->g);
    free(b->values);
    free(b->grads);
    free(b);
    return st;
}
