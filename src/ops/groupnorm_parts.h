/*
 * groupnorm_parts.h - what the files of the group norm share
 */
#ifndef IMGEN_OPS_GROUPNORM_PARTS_H
#define IMGEN_OPS_GROUPNORM_PARTS_H

#include "ops/norm.h"
#include "ops/rows.h"

/* Constants of a node. */
enum { GROUPNORM_GROUPS, GROUPNORM_SILU, GROUPNORM_EPS };

enum { GROUPNORM_AHEAD = 512 }; /* floats that are asked for ahead of the arithmetic */

/* Rows of the side result [N, 4, C]: all that a channel of a sample is normalised by. */
enum { MEAN = NORM_MEAN, RSTD = NORM_RSTD, SLOPE, OFFSET, FOLDED };

/* Row `which` of sample n in these folded numbers. */
static inline float *folded_row(const struct tensor *folded, int64_t n, int which)
{
    return (float *)folded->data + (n * FOLDED + which) * shape_last(folded->shape);
}

/* The three that a row needs:  act's argument is (x - mean) slope + offset. */
struct folded {
    const float *mean, *slope, *offset;
};

static inline struct folded folded_of(const struct tensor *folded, int64_t n)
{
    return (struct folded){folded_row(folded, n, MEAN), folded_row(folded, n, SLOPE),
                           folded_row(folded, n, OFFSET)};
}

/* Mean and sum of squared deviations of the `count` numbers of every group; of no numbers, the
 * arrays hold nothing. */
struct group_moments {
    double count;
    const double *mean, *m2;
};

/* Moments of every group, first of blocks of rows (groupnorm_statistics.c).  y: the node, whose
 * in[0] is x and whose scratch holds groupnorm_stats_bytes(y) for each block.
 *
 * groupnorm_stats_rows: of `rows` rows from x on, which are block number `block`.
 * groupnorm_gather: over the blocks of sample n, once; they lie in the scratch. */
size_t groupnorm_stats_bytes(const struct tensor *y);
void groupnorm_stats_rows(const struct tensor *y, const float *x, int64_t rows, int64_t block);
struct group_moments groupnorm_gather(const struct tensor *y, struct row_blocks b, int64_t n);

/* Records the gradients of everything that y, a group norm, was made of (groupnorm_backward.c). */
void groupnorm_adjoint(struct graph *g, struct tensor *y);

double groupnorm_flops(const struct tensor *y);

#endif
