/*
 * table.h - families of benchmarks as a table for doc/performance.md
 *
 * The cases and the watch are the library's (eval/speed.h), the same that `imgen bench` shows; the
 * programs of this folder only choose families and print every figure of a row.
 */
#ifndef IMGEN_BENCH_TABLE_H
#define IMGEN_BENCH_TABLE_H

#include "backend/cpu/peak.h"
#include "eval/speed.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

/* The machine, and the head of the table. */
static inline void table_head(const struct machine *m)
{
    char name[CPU_NAME];

    printf("%s; %d threads: %.1f GFLOP/s in multiply-adds, %.1f GB/s copied; medians of %d\n\n",
           cpu_name(name), m->threads, 1e-9 * m->peak_flops, 1e-9 * m->bandwidth, SPEED_RUNS);
    printf("| | ms | spread | Gflop | MB | rate | share | of | tape, MiB |\n"
           "|---|---|---|---|---|---|---|---|---|\n");
}

static inline bool table_row(const struct speed_row *row, void *user)
{
    static const char *const limit[] = {"", "peak", "memory", "the step", "the first"};

    (void)user;
    printf("| %s ", row->name);
    if (row->seconds > 0)
        printf("| %.3f | %.0f %% ", 1e3 * row->seconds, 100 * row->spread);
    else
        printf("| | ");
    if (row->flops > 0)
        printf("| %.2f | %.1f | %.1f GFLOP/s ", 1e-9 * row->flops, 1e-6 * row->bytes,
               1e-9 * row->flops / row->seconds);
    else if (row->bytes > 0)
        printf("| | %.1f | %.1f GB/s ", 1e-6 * row->bytes, 1e-9 * row->bytes / row->seconds);
    else
        printf("| | | ");
    printf("| %.1f %% | %s ", 100 * row->share, limit[row->limit]);
    if (row->memory)
        printf("| %.1f |\n", (double)row->memory / (1 << 20));
    else
        printf("| |\n");
    fflush(stdout);
    return true;
}

/* The whole of a program: argv may hold the number of threads.  families: NULL behind the last. */
static inline int table_main(int argc, char **argv, const char *const *families)
{
    int threads = argc > 1 ? atoi(argv[1]) : omp_get_num_procs();
    struct error err = {0};
    struct machine m;

    if (argc > 2 || threads < 1) {
        fprintf(stderr, "usage: %s [threads]\n", argv[0]);
        return 2;
    }
    speed_machine(&m, threads);
    table_head(&m);
    for (; *families; families++)
        if (speed_run(&m, *families, 0, table_row, NULL, &err)) {
            fprintf(stderr, "%s: %s\n", argv[0], err.text);
            return 1;
        }
    return 0;
}

#endif
