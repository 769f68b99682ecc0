/*
 * low_rank.h - a change of low rank to a matrix of weights, kept beside it
 *
 *     y = x W^T + b + scale (x A^T) B^T         W [out, in], A [rank, in], B [out, rank]
 *
 * Hu et al. 2021, "LoRA: Low-rank adaptation of large language models".
 */
#ifndef IMGEN_NN_LOW_RANK_H
#define IMGEN_NN_LOW_RANK_H

#include "nn/params.h"

enum { LOW_RANK_PARTS = 4 };

/* Of the features x A^T, those from `column` on, as many as `up` has columns, make rows [row, row +
 * rows of up) of W's results. */
struct low_rank_part {
    const struct param *up; /* B [rows, rank] */
    int64_t row, column;
};

struct low_rank {
    const struct param *down; /* A [ranks, in]: those of all parts, one below the other */
    struct low_rank_part part[LOW_RANK_PARTS];
    int parts;
    double scale;
    struct low_rank *next; /* what else is added to the same matrix, or NULL */
};

/* From now on nn_linear adds this to the matrix, behind what it adds already.  l is the caller's,
 * fits the matrix's shape, and stays until low_rank_detach, or as long as the matrix.  q->linear.
 */
void low_rank_attach(struct param *q, struct low_rank *l);
void low_rank_detach(struct param *q, const struct low_rank *l);

/* y [..., out], which is x [..., in] times the matrix, with l and all behind it added. */
struct tensor *nn_low_rank(struct graph *g, const struct low_rank *l, struct tensor *x,
                           struct tensor *y);

#endif
