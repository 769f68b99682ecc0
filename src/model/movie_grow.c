/*
 * movie_grow.c - a larger video transformer from a smaller
 *
 * A network is taught small pictures first, then small videos, then large ones, for what it learns
 * of the world at a small size need not be learnt again at sixteen times the cost (Polyak et al.
 * 2024, table 3).  All weights serve any size but the tables of positions.
 *
 * A picture with twice the rows of patches shows what it showed, in finer steps: its table is the
 * old one stretched, end on end.  How the paper fills the new rows is not written; linear it is
 * here.  A video of twice the frames shows twice the time, and a frame stays as far from the next:
 * its table begins with the old one, and what lies behind is new.
 */
#include "model/movie.h"

#include <string.h>

/* A table [B, D] from one of [A, D], A <= B: end on end, linearly between its rows. */
static void stretch(float *to, int64_t B, const float *from, int64_t A, int64_t D)
{
    for (int64_t b = 0; b < B; b++) {
        double at = B > 1 ? (double)(b * (A - 1)) / (double)(B - 1) : 0;
        int64_t row = (int64_t)at, next = row + 1 < A ? row + 1 : row;
        double share = at - (double)row;

        for (int64_t d = 0; d < D; d++)
            to[b * D + d] = (float)((1 - share) * (double)from[row * D + d] +
                                    share * (double)from[next * D + d]);
    }
}

enum status movie_grow(struct param *p, const struct param *q, struct error *err)
{
    bool in_time = !strcmp(p->name, "pos_embed.times");
    bool in_space = !strcmp(p->name, "pos_embed.rows") || !strcmp(p->name, "pos_embed.columns");
    int64_t A = q->shape.dim[0], B = p->shape.dim[0], D = shape_last(p->shape);

    if ((!in_time && !in_space) || D != shape_last(q->shape) || A > B)
        return network_does_not_fit(p, q, err);
    if (in_time)
        memcpy(p->value, q->value, (size_t)(A * D) * sizeof(float));
    else
        stretch(p->value, B, q->value, A, D);
    return OK;
}
