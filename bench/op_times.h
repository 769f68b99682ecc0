/*
 * op_times.h - how long each op of a tape takes, against the peak measured in the same moments
 *
 * A graph's probe files the seconds of every node under its op's name.  The clock of a processor
 * moves by tens of per cent with temperature and neighbours, so the peak is measured again before
 * each repetition, and the share of peak is the median over repetitions of each one's own share.
 */
#ifndef IMGEN_BENCH_OP_TIMES_H
#define IMGEN_BENCH_OP_TIMES_H

#include "backend/cpu/peak.h"
#include "graph/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OP_TIMES = 16, OP_REPEATS = 64 };

struct op_row {
    const char *name;
    double flops; /* of one repetition */
    double seconds[OP_REPEATS];
    double share[OP_REPEATS];
};

struct op_times {
    struct op_row row[OP_TIMES];
    int n;
    int repeat;  /* the present one, from 0 */
    double peak; /* measured just before it */
};

/* A graph_probe; user is a struct op_times. */
static void op_times_add(const struct tensor *y, double seconds, void *user)
{
    struct op_times *t = user;
    struct op_row *row = t->row;

    while (row < t->row + t->n && strcmp(row->name, y->op->name))
        row++;
    if (row == t->row + OP_TIMES)
        return;
    if (row == t->row + t->n) {
        t->n++;
        row->name = y->op->name;
    }
    if (t->repeat == 0 && y->op->flops)
        row->flops += y->op->flops(y);
    row->seconds[t->repeat] += seconds;
}

/* Run the recorded tape `repeats` times (5 or more, at most OP_REPEATS), after one run that plans.
 */
static void op_times_run(struct op_times *t, struct graph *g, int threads, int repeats)
{
    struct error err = {0};

    memset(t, 0, sizeof(*t));
    for (int i = -1; i < repeats; i++) {
        t->repeat = i;
        t->peak = cpu_peak_flops(threads);
        graph_set_probe(g, i < 0 ? NULL : op_times_add, t);
        if (graph_run(g, &err)) {
            fprintf(stderr, "%s\n", err.text);
            exit(1);
        }
        for (int k = 0; i >= 0 && k < t->n; k++)
            t->row[k].share[i] = t->row[k].flops / t->row[k].seconds[i] / t->peak;
    }
    t->repeat = repeats;
}

static int op_times_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* One line an op whose name begins with `family`: median and range of the time, rate, share of
 * peak. */
static void op_times_print(struct op_times *t, const char *what, const char *family)
{
    int mid = t->repeat / 2;

    for (int k = 0; k < t->n; k++) {
        struct op_row *r = &t->row[k];

        if (strncmp(r->name, family, strlen(family)))
            continue;
        qsort(r->seconds, (size_t)t->repeat, sizeof(double), op_times_order);
        qsort(r->share, (size_t)t->repeat, sizeof(double), op_times_order);
        printf("%-28s %-12s %9.3f ms (%.3f - %.3f) %8.1f GFLOP/s  %5.1f %% of peak\n", what,
               r->name, r->seconds[mid] * 1e3, r->seconds[0] * 1e3, r->seconds[t->repeat - 1] * 1e3,
               r->flops / r->seconds[mid] * 1e-9, r->share[mid] * 100);
    }
}

/* The machine, once at the top. */
static void op_times_machine(int threads)
{
    char name[CPU_NAME];

    printf("%s; %d threads: %.1f GFLOP/s peak, %.1f GB/s\n", cpu_name(name), threads,
           cpu_peak_flops(threads) * 1e-9, cpu_memory_bandwidth(threads) * 1e-9);
}

#endif
