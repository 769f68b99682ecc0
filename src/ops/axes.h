/*
 * axes.h - positions in a grid of time, height and width, from a table for each
 */
#ifndef IMGEN_OPS_AXES_H
#define IMGEN_OPS_AXES_H

#include "graph/graph.h"

/* The cells of a grid, in the order (frame, row, column). */
struct cells {
    int64_t frames, height, width;
};

/* A vector for each cell, the sum of a row of each table:
 *
 *     y [t, y, x] = time [t] + row [y] + column [x]
 *
 * tables [T, D], [H, D], [W, D] with at least as many rows as the grid has frames, rows and
 * columns -> [1, frames height width, D].  Rows beyond have no gradient.  (Dehghani et al. 2023,
 * "Patch n' Pack", section 2.1) */
struct tensor *op_axes(struct graph *g, struct tensor *time, struct tensor *row,
                       struct tensor *column, struct cells grid);

#endif
