/*
 * bench_attention.c - attention forward and backward against the processor's multiply-add peak
 *
 * 2 T^2 D multiply-adds forward and 5 T^2 D backward are counted; the exponentials, the packing and
 * what is computed twice are not.  Times are those of the one node, as the graph's probe sees them,
 * so the tape's own cost is outside.  Usage: bench_attention [threads]
 */
#include "backend/cpu/peak.h"
#include "base/memory.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "ops/attention.h"
#include "ops/basic.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 15 };

struct shape_case {
    int64_t N, T, heads, d;
};

/* A DiT's tokens, a U-Net's pixels, latents of a large picture, heads of other sizes. */
static const struct shape_case cases[] = {
    {16, 256, 6, 64}, {4, 1024, 6, 64}, {1, 4096, 4, 64}, {1, 4096, 1, 64},
    {16, 256, 4, 32}, {16, 256, 6, 72}, {8, 77, 12, 64},  {1, 1024, 1, 512},
};

struct times {
    double forward[TRIES], backward[TRIES];
    int run;
};

static void take(const struct tensor *y, double seconds, void *user)
{
    struct times *t = user;

    if (strcmp(y->op->name, "attention") == 0)
        t->forward[t->run] = seconds;
    if (strcmp(y->op->name, "attention_dqkv") == 0)
        t->backward[t->run] = seconds;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(const char *what, double times[TRIES], double flops, double peak)
{
    const double *t = times;

    qsort(times, TRIES, sizeof(double), ascending);
    printf("  %-9s %9.3f ms (%.3f .. %.3f)  %6.2f Gflop  %7.1f GFLOP/s  %5.1f %% of peak\n", what,
           1e3 * t[TRIES / 2], 1e3 * t[0], 1e3 * t[TRIES - 1], 1e-9 * flops,
           1e-9 * flops / t[TRIES / 2], 100 * flops / t[TRIES / 2] / peak);
}

static enum status measure(const struct shape_case *c, int threads, double peak, struct error *err)
{
    const int64_t D = c->heads * c->d, n = c->N * c->T * 3 * D;
    const double product = 2.0 * (double)(c->N * c->T) * (double)(c->T * D);
    struct rng r = rng_stream(1, RNG_TEST, 0);
    struct times times = {0};
    struct graph *g = NULL;
    struct tensor *x, *loss;
    void *values = NULL;
    enum status st;

    if ((st = graph_new(&g, 0, threads, err)) ||
        (st = mem_new(&values, (uint64_t)n, sizeof(float), "the packed projection", err)))
        goto out;
    rng_normals(&r, values, n);
    graph_set_probe(g, take, &times);
    x = graph_input(g, SHAPE(c->N, c->T, 3 * D), values);
    graph_want_grad(x);
    loss = op_sum(g, op_attention(g, x, c->heads, QKV_SPLIT));
    graph_backward(g, loss);
    graph_keep(g, x->grad);
    if ((st = graph_run(g, err)))
        goto out;
    for (times.run = 0; times.run < TRIES; times.run++)
        if ((st = graph_run(g, err)))
            goto out;
    printf("batch %" PRId64 ", %" PRId64 " tokens, %" PRId64 " heads of %" PRId64 "\n", c->N, c->T,
           c->heads, c->d);
    report("forward", times.forward, 2 * product, peak);
    report("backward", times.backward, 5 * product, peak);
out:
    graph_free(g);
    free(values);
    return st;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : omp_get_num_procs();
    struct error err = {0};
    char name[CPU_NAME];
    double peak;

    if (threads < 1) {
        fprintf(stderr, "bench_attention: %s threads\n", argv[1]);
        return 2;
    }
    peak = cpu_peak_flops(threads);
    printf("%s; %d threads, peak %.1f GFLOP/s; median of %d (least .. most)\n", cpu_name(name),
           threads, 1e-9 * peak, TRIES);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (measure(&cases[i], threads, peak, &err)) {
            fprintf(stderr, "bench_attention: %s\n", err.text);
            return 1;
        }
    return 0;
}
