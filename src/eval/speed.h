/*
 * speed.h - how fast the hot ops and a whole training step run here, against what the machine can
 * do
 */
#ifndef IMGEN_EVAL_SPEED_H
#define IMGEN_EVAL_SPEED_H

#include "graph/graph.h"

/* What all shares refer to, measured by speed_machine. */
struct machine {
    int threads;
    double peak_flops; /* float32 fused multiply-adds, all threads together */
    double bandwidth;  /* bytes a second from and to memory                 */
};
void speed_machine(struct machine *out, int threads);

/* One line: all nodes of one op of a tape, or the whole tape. */
struct speed_row {
    char name[96];
    double seconds, spread; /* median of the runs; (largest - smallest) / median */
    double flops, bytes; /* of one run; bytes: inputs and outputs, each counted once             */
    double share;        /* of the peak of arithmetic or of memory, whichever is nearer its limit */
};

/* Called once a row; false ends the run with E_CANCELLED. */
typedef bool speed_callback(const struct speed_row *row, void *user);

/* Run every case whose name contains `filter` (NULL: all).  Parameters and pictures are random;
 * nothing is written.  E_MEMORY. */
enum status speed_run(const struct machine *m, const char *filter, speed_callback *callback,
                      void *user, struct error *err);

#endif
