/*
 * criterion.h - the loss of a batch, recorded
 */
#ifndef IMGEN_TRAIN_CRITERION_H
#define IMGEN_TRAIN_CRITERION_H

#include "diffusion/loss.h"
#include "graph/graph.h"
#include "model/network.h"

/* What is minimised: the task's own loss, and what is added to it. */
struct criterion {
    const struct flow_task *task;
    double direction; /* weight of 1 - cosine(u^, u) over the channels of each pixel; 0: none */
    double variance;  /* weight of the variational loss in bits a dimension; 0: none          */
    float *numbers;   /* its constants, [rows, VB_NUMBERS]; see criterion_draw                */
};

/* E_ARG where something added cannot be had: directions of what is not a velocity, a variance of a
 * network that says none, or without a discrete schedule. */
enum status criterion_check(const struct criterion *c, const struct network_io *io,
                            struct error *err);

/* Fill c->numbers for the batch's times; nothing where the variance is not trained. */
void criterion_draw(struct criterion *c, const struct flow_batch *b);

/* The loss, [1], of what the network says, y [N, H, W, out_channels], about the batch.  z [N, H, W,
 * C]: the pictures it was drawn from, used by the variational loss alone.  Arrays must stay until
 * the run is over. */
struct tensor *criterion_record(struct graph *g, const struct criterion *c,
                                const struct flow_batch *b, struct tensor *y, const float *z);

/* The task's own loss of row `row`, of the network's output for it on the host: [pixels, K], of
 * which each head has the next `channels`. */
double criterion_of_row(const struct flow_task *task, const struct flow_batch *b, int64_t row,
                        const float *y, int64_t channels, int64_t K);

#endif
