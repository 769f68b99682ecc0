/*
 * bench_norm.c - norms, activations and gated sums against the memory's bandwidth
 *
 * These ops do little arithmetic, so the measure is bytes: what must be read and written once (x
 * and y forward; x, dy and dx backward), over the seconds of the one node, as the graph's probe
 * sees it.  A share above 100 % means the tensor was still in cache from the node before, as in a
 * real step. Usage: bench_norm [threads]
 */
#include "backend/cpu/peak.h"
#include "base/memory.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/norm.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 15 };

/* Inputs of a case: x and h of the case's shape, one row and two rows a sample, one row. */
struct inputs {
    struct tensor *x, *h, *sample[2], *film, *row[2];
};

typedef struct tensor *bench_build(struct graph *g, const struct inputs *in);

static struct tensor *build_layernorm_modulate(struct graph *g, const struct inputs *in)
{
    return op_layernorm_modulate(g, in->x, in->sample[0], in->sample[1], 1e-6);
}

static struct tensor *build_rmsnorm(struct graph *g, const struct inputs *in)
{
    return op_rmsnorm(g, in->x, in->row[0], 1e-6);
}

static struct tensor *build_groupnorm(struct graph *g, const struct inputs *in)
{
    return op_groupnorm(g, in->x, 32, in->row[0], in->row[1], NULL, false, 1e-5);
}

static struct tensor *build_groupnorm_film(struct graph *g, const struct inputs *in)
{
    return op_groupnorm(g, in->x, 32, in->row[0], in->row[1], in->film, true, 1e-5);
}

static struct tensor *build_gelu(struct graph *g, const struct inputs *in)
{
    return op_gelu(g, in->x);
}

static struct tensor *build_silu(struct graph *g, const struct inputs *in)
{
    return op_silu(g, in->x);
}

static struct tensor *build_gated_add(struct graph *g, const struct inputs *in)
{
    return op_gated_add(g, in->x, in->sample[0], in->h);
}

struct bench_case {
    const char *what, *forward, *backward; /* names of the nodes          */
    bench_build *build;
    struct shape shape;
    double bytes[2]; /* an element, there and back  */
};

#define DIT_TOKENS       \
    {                    \
        3,               \
        {                \
            16, 256, 384 \
        }                \
    }
#define DIT_HIDDEN        \
    {                     \
        3,                \
        {                 \
            16, 256, 1536 \
        }                 \
    }
#define PICTURES            \
    {                       \
        4,                  \
        {                   \
            64, 32, 32, 128 \
        }                   \
    }
#define LATENTS              \
    {                        \
        4,                   \
        {                    \
            1, 512, 512, 128 \
        }                    \
    }

static const struct bench_case cases[] = {
    {"layernorm, modulate",
     "layernorm",
     "layernorm_dx",
     build_layernorm_modulate,
     DIT_TOKENS,
     {8, 12}},
    {"rmsnorm", "rmsnorm", "rmsnorm_dx", build_rmsnorm, DIT_TOKENS, {8, 12}},
    {"groupnorm", "groupnorm", "groupnorm_dx", build_groupnorm, PICTURES, {8, 12}},
    {"groupnorm, film, silu", "groupnorm", "groupnorm_dx", build_groupnorm_film, PICTURES, {8, 12}},
    {"the same, one large", "groupnorm", "groupnorm_dx", build_groupnorm_film, LATENTS, {8, 12}},
    {"gelu", "gelu", "gelu_dx", build_gelu, DIT_HIDDEN, {8, 12}},
    {"silu", "silu", "silu_dx", build_silu, PICTURES, {8, 12}},
    {"gated_add", "gated_add", "gated_add_dh", build_gated_add, DIT_TOKENS, {12, 12}},
};

struct times {
    const char *name[2];
    double seconds[2][TRIES + 1]; /* the first run warms up */
    int run;
};

static void take(const struct tensor *y, double seconds, void *user)
{
    struct times *t = user;

    for (int k = 0; k < 2; k++)
        if (strcmp(y->op->name, t->name[k]) == 0)
            t->seconds[k][t->run] = seconds;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(const struct bench_case *c, int k, struct times *t, double bandwidth)
{
    double *s = t->seconds[k] + 1, bytes = c->bytes[k] * (double)shape_count(c->shape);

    qsort(s, TRIES, sizeof(double), ascending);
    printf("  %-22s %-8s %8.3f ms (%.3f .. %.3f)  %7.1f MB  %6.1f GB/s  %5.1f %% of memory\n",
           k ? "" : c->what, k ? "backward" : "forward", 1e3 * s[TRIES / 2], 1e3 * s[0],
           1e3 * s[TRIES - 1], 1e-6 * bytes, 1e-9 * bytes / s[TRIES / 2],
           100 * bytes / s[TRIES / 2] / bandwidth);
}

static struct tensor *input(struct graph *g, struct shape shape, const float *values)
{
    struct tensor *x = graph_input(g, shape, values);

    graph_want_grad(x);
    return x;
}

/* One step: the op on intermediate values, as in a network, and its adjoint. */
static enum status step(struct graph *g, const struct bench_case *c, const float *values,
                        struct error *err)
{
    int64_t N = c->shape.dim[0], D = shape_last(c->shape);
    struct tensor *leaf;
    struct inputs in;

    graph_reset(g);
    leaf = input(g, c->shape, values);
    in.x = op_affine(g, leaf, 1, 0);
    in.h = op_affine(g, leaf, 0.5, 0);
    for (int k = 0; k < 2; k++) {
        in.sample[k] = input(g, SHAPE(N, D), values + k);
        in.row[k] = input(g, SHAPE(D), values + 2 + k);
    }
    in.film = input(g, SHAPE(N, 2 * D), values + 4);
    graph_backward(g, op_sum(g, op_mul(g, c->build(g, &in), in.h)));
    graph_keep(g, leaf->grad);
    for (int k = 0; k < 2; k++)
        if (in.sample[k]->grad)
            graph_keep(g, in.sample[k]->grad);
    return graph_run(g, err);
}

static enum status measure(const struct bench_case *c, int threads, double bandwidth,
                           struct error *err)
{
    int64_t n = shape_count(c->shape);
    struct rng r = rng_stream(1, RNG_TEST, 0);
    struct times times = {.name = {c->forward, c->backward}};
    struct graph *g = NULL;
    void *values = NULL;
    enum status st;

    if ((st = graph_new(&g, 0, threads, err)) ||
        (st = mem_new(&values, (uint64_t)n, sizeof(float), "the values of a case", err)))
        goto out;
    rng_normals(&r, values, n < 1 << 20 ? n : 1 << 20);
    for (int64_t i = 1 << 20; i < n; i++)
        ((float *)values)[i] = ((float *)values)[i & ((1 << 20) - 1)];
    graph_set_probe(g, take, &times);
    for (times.run = 0; times.run <= TRIES; times.run++)
        if ((st = step(g, c, values, err)))
            goto out;
    report(c, 0, &times, bandwidth);
    report(c, 1, &times, bandwidth);
out:
    free(values);
    graph_free(g);
    return st;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : omp_get_max_threads();
    char name[CPU_NAME];
    struct error err = {0};
    double bandwidth;

    if (threads < 1) {
        fprintf(stderr, "usage: bench_norm [threads]\n");
        return 2;
    }
    bandwidth = cpu_memory_bandwidth(threads);
    printf("%s, %d threads, memory %.1f GB/s; median (best .. worst) of %d\n", cpu_name(name),
           threads, 1e-9 * bandwidth, TRIES);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (measure(&cases[i], threads, bandwidth, &err)) {
            fprintf(stderr, "bench_norm: %s: %s\n", cases[i].what, err.text);
            return 1;
        }
    return 0;
}
