/*
 * bench_peer.c - one case, run whenever it is told to
 *
 *     bench_peer NAME THREADS        cases: bench_peer --list
 *
 * The other side of bench/peers/compare.py, which lets this program and its peers take turns.  The
 * protocol, a line each:
 *
 *     ->                          <- ready WEIGHTS
 *     -> N                        <- seconds of one run, the mean of N in a row
 *     -> memory                   <- peak bytes since the last such line, less those before opening
 *
 * Between the lines it waits in read(), and its threads sleep: libgomp stops spinning after some
 * milliseconds at most, and the script waits longer than that.
 *
 * The peak is VmHWM of /proc/self/status; writing 5 to clear_refs sets it back to what is resident.
 */
#include "eval/speed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t peak_bytes(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    int64_t kib = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %" SCNd64, &kib) == 1)
            break;
    if (f)
        fclose(f);
    return 1024 * kib;
}

static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");

    if (!f)
        return;
    fputs("5", f);
    fclose(f);
}

static enum status runs(struct speed_job *j, int n, struct error *err)
{
    double total = 0, one;
    enum status st;

    for (int i = 0; i < n; i++, total += one)
        if ((st = speed_step(j, &one, err)))
            return st;
    printf("%.9f\n", total / n);
    return OK;
}

static enum status serve(struct speed_job *j, int64_t before, struct error *err)
{
    char line[64];
    enum status st = OK;

    printf("ready %" PRId64 "\n", speed_weights(j));
    fflush(stdout);
    while (!st && fgets(line, sizeof line, stdin)) {
        if (!strncmp(line, "memory", 6)) {
            printf("%" PRId64 "\n", peak_bytes() - before);
            forget_peak();
        } else {
            int n = atoi(line);

            st = runs(j, n > 0 ? n : 1, err);
        }
        fflush(stdout);
    }
    return st;
}

static int list(void)
{
    for (int i = 0; speed_name(i); i++)
        puts(speed_name(i));
    return 0;
}

int main(int argc, char **argv)
{
    int threads = argc > 2 ? atoi(argv[2]) : 0;
    int64_t before = peak_bytes();
    struct error err = {0};
    struct speed_job *j;
    enum status st;

    if (argc > 1 && !strcmp(argv[1], "--list"))
        return list();
    if (threads < 1) {
        fprintf(stderr, "usage: bench_peer NAME THREADS, or bench_peer --list\n");
        return 2;
    }
    if (!(st = speed_open(&j, argv[1], threads, &err)))
        st = serve(j, before, &err);
    speed_close(j);
    if (st)
        fprintf(stderr, "bench_peer: %s\n", err.text);
    return st != OK;
}
