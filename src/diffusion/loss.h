/*
 * loss.h - the data side of a training step: times, noise, noisy points and targets
 *
 * Loss = mean (gain F(x_t, t | y') - target)^2 with y' = none with probability eta, F what the
 * network says; summed over both objectives of a network with two.  theory.md (1.7), (2.3), (3.11),
 * (3.12).  The network and the mean are the trainer's; what is drawn is drawn here.
 */
#ifndef IMGEN_DIFFUSION_LOSS_H
#define IMGEN_DIFFUSION_LOSS_H

#include "diffusion/objective.h"
#include "diffusion/time.h"

#include <stdbool.h>

enum { HEADS_MAX = 2 };

/* What is trained.  In zeros but for path and time: the velocity. */
struct flow_task {
    struct path path;
    struct time_density time;
    struct objective head[HEADS_MAX];
    bool has_second; /* the network answers head[1] too, in its further channels */
    struct precondition precondition;
    double eta;         /* probability of dropping a label, in [0, 1]  */
    int32_t null_label; /* what a dropped label becomes                */
    bool clean;         /* no noise and no target: x = z at t = 1      */
    uint64_t seed;
};

/* One batch.  Arrays are the batch's own; rows and length are fixed at init. */
struct flow_batch {
    int64_t rows, length;
    int heads;
    float *x;       /* [rows, length]: in x_t, with x_t = alpha z + beta eps     */
    float *target;  /* [heads, rows, length]: dalpha z + dbeta eps for velocity  */
    float *gain;    /* [heads, rows]: 1 where objective_is_plain                 */
    float *t;       /* [rows]                                                    */
    float *time;    /* [rows]: t as the network reads it                         */
    int32_t *label; /* [rows]: y or null_label                                   */
    int32_t *drop;  /* [rows, DROP_WORDS]: the samples' names for op_dropout     */
};

/* rows, length > 0.  E_MEMORY.  Release also after a failure. */
enum status flow_batch_init(struct flow_batch *b, int64_t rows, int64_t length, struct error *err);
/* The same for as many heads as the task has. */
enum status flow_batch_init_for(struct flow_batch *b, const struct flow_task *task, int64_t rows,
                                int64_t length, struct error *err);
void flow_batch_release(struct flow_batch *b);

/* E_ARG when eta is not in [0, 1], the time density contradicts itself or the path, or an objective
 * or the wrapper cannot be had.  Call once before training. */
enum status flow_task_check(const struct flow_task *task, struct error *err);

/* Fill the batch from z [rows, length] and label [rows] (NULL: unlabelled; these and
 * labels below 0 become null_label).  Row i
 * is the (first + i)-th sample ever drawn, and all its randomness (time, noise, drop) is a function
 * of (task->seed, first + i): batch size, resuming and the number of threads change nothing.  E_ARG
 * where the target is infinite. */
enum status flow_batch_draw(struct flow_batch *b, const struct flow_task *task, const float *z,
                            const int32_t *label, uint64_t first, struct error *err);

#endif
