/*
 * speed.h - how fast the hot ops and whole steps run here, against what the machine can do
 */
#ifndef IMGEN_EVAL_SPEED_H
#define IMGEN_EVAL_SPEED_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What the machine can do at best. */
struct machine {
    int threads;
    double peak_flops; /* float32 fused multiply-adds, all threads together */
    double bandwidth;  /* bytes a second from and to memory                 */
};
void speed_machine(struct machine *out, int threads);

/* What a share is a share of. */
enum speed_limit {
    SPEED_NONE,       /* there is no share                                            */
    SPEED_ARITHMETIC, /* the peak of multiply-adds                                    */
    SPEED_MEMORY,     /* the memory's bandwidth: it takes longer than the multiply-adds */
    SPEED_TIME,       /* the time of the whole step that this row is a part of        */
    SPEED_RATIO,      /* the speed of the family's first case: how many times as fast */
};

/* Of each case, after one that warms up; of one that takes seconds fewer, at least
 * SPEED_RUNS_LEAST.
 */
enum { SPEED_RUNS = 9, SPEED_RUNS_LONG = 5, SPEED_RUNS_LEAST = 3, SPEED_RUNS_MOST = 99 };

/* One line: all nodes of one op of a case, the whole case, or (seconds 0) a summary of the lines
 * before it. */
struct speed_row {
    char name[96];
    double seconds, spread; /* median of the runs; (largest - smallest) / median               */
    double flops;           /* of one run: 2 a multiply-add of matrix products, convolutions and
                               attention, the zeros of padding not counted                     */
    double bytes;           /* of one run: every input and output of a node once               */
    double share;           /* median of each run's share of what was measured just before it  */
    enum speed_limit limit; /* of what                                                         */
    int64_t memory;         /* bytes that the tape's values and scratch take; 0: no tape        */
    int64_t resident;       /* of a whole run: bytes that the process had behind the last one   */
};

/* Called once a row; false ends the run with E_CANCELLED. */
typedef bool speed_callback(const struct speed_row *row, void *user);

/* Run every case whose name, or whose family's name, contains `filter` (NULL: all but those that
 * take gigabytes or minutes, which are named by their family's key: "sd3"), on m->threads threads.
 * runs: of each case, 1 to SPEED_RUNS_MOST; 0: by how long one takes.  Parameters and pictures are
 * random; nothing is written.  E_MEMORY. */
enum status speed_run(const struct machine *m, const char *filter, int runs,
                      speed_callback *callback, void *user, struct error *err);

/* --- one case, for whoever holds the watch --------------------------------------------------- */

struct speed_job;

/* Prepare the case of exactly this name; E_ARG names the nearest, E_MEMORY.  Closed by the caller,
 * on NULL too. */
enum status speed_open(struct speed_job **out, const char *name, int threads, struct error *err);
/* Run it once.  The first time plans, and packs where weights never change. */
enum status speed_step(struct speed_job *j, double *seconds, struct error *err);
void speed_close(struct speed_job *j);

/* Of the last step: as in struct speed_row. */
double speed_flops(const struct speed_job *j);
/* Trained numbers of a network's case, else 0. */
int64_t speed_weights(const struct speed_job *j);
/* The i-th case's name, NULL past the last. */
const char *speed_name(int i);

#endif
