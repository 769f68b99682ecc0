/*
 * speed_case.h - what the engine of speed.c and the families of cases share
 *
 * A family is one way to prepare and to run a case, with a table of cases; it ends in a const
 * descriptor, and one line of speed.c lists it.
 */
#ifndef IMGEN_EVAL_SPEED_CASE_H
#define IMGEN_EVAL_SPEED_CASE_H

#include "eval/speed.h"
#include "graph/graph.h"

enum { SPEED_OPS = 64, SPEED_BLOCKS = 16, SPEED_NUMBERS = 5 };

struct speed_case {
    const char *name;
    struct tensor *(*record)(struct speed_job *j, const int64_t *n); /* single ops alone          */
    int64_t n[SPEED_NUMBERS];                                        /* sizes, as the family says */
    const char *const *settings; /* networks alone: "key=value", the kind first, NULL behind      */
};

struct speed_family {
    const char *name;
    enum speed_limit mean; /* rows under this limit are summed up; SPEED_NONE: no summary         */
    const char *whole;     /* what the row of the whole run is called, "" when as the case; NULL  */
    const char *key;       /* a filter has to contain it, for cases nobody waits for by accident  */
    bool against_first;    /* say how many times as fast as the first case the others are         */
    /* Prepare j->is; what it owns is freed by `close` (may be NULL), also after a failure. */
    enum status (*open)(struct speed_job *j, struct error *err);
    enum status (*run)(struct speed_job *j, struct error *err);
    void (*close)(void *own);
    const struct speed_case *cases; /* the last one has no name */
};

extern const struct speed_family family_linear, family_linear_fused, family_linear_few, family_conv,
    family_conv_edge, family_attention, family_attend_bf16, family_elementwise, family_two_passes,
    family_adamw;                                                  /* speed_ops.c      */
extern const struct speed_family family_training, family_sampling; /* speed_steps.c    */
extern const struct speed_family family_encoder, family_decoder;   /* speed_autoencoder.c */
extern const struct speed_family family_sd3, family_sd3_large, family_sd3_text; /* speed_sd3.c  */

/* What the nodes of one op did in the present run. */
struct tally {
    const char *name;
    double seconds, flops, bytes;
};

struct speed_job {
    const struct speed_family *family;
    const struct speed_case *is;
    int threads;
    struct graph *graph; /* made by open, watched by the engine            */
    struct tally tally[SPEED_OPS];
    int n_tallies;
    int64_t weights;
    void *own; /* the family's */

    /* Nodes that only make a gradient for the op to receive: run, but not counted. */
    int32_t frame_first, frame_last;
    double frame_seconds;

    /* Values of inputs and parameters.  A lack of memory is told when all is recorded. */
    float *block[SPEED_BLOCKS];
    int n_blocks;
    enum status failed;
    struct error failure;
};

/* Add to the tally of that name. */
void speed_count(struct speed_job *j, const char *name, double seconds, double flops, double bytes);

/* n random numbers in [-1/2, 1/2), freed with the job. */
float *speed_values(struct speed_job *j, int64_t n);

/* A new graph for the job, watched. */
enum status speed_graph(struct speed_job *j, unsigned flags, struct error *err);

#endif
