/*
 * board.h - labelled points spread evenly over the cells of a grid, whose fields are known in
 * closed form
 *
 * The second kind of law in the plane with an exact oracle: a checkerboard, and any picture.
 */
#ifndef IMGEN_LAB_BOARD_H
#define IMGEN_LAB_BOARD_H

#include "diffusion/mixture.h"

enum { BOARD_SIDE = 64, BOARD_LABELS = 2 };

/* Cell (row, column) is the square with its lower left corner at (left + column cell, bottom + row
 * cell); row 0 is the lowest. */
struct board {
    int rows, columns, n_labels;
    double left, bottom, cell;
    double *weight; /* [n_labels, rows, columns], sums to 1 */
    double *total;  /* [rows, columns]: over the labels     */
};

/* weight: copied and divided by its sum.  1 <= rows, columns <= BOARD_SIDE, 1 <= n_labels <=
 * BOARD_LABELS, cell > 0.  E_ARG when weights are negative, not finite or all zero.  Release also
 * after a failure. */
enum status board_init(struct board *b, int rows, int columns, int n_labels, double left,
                       double bottom, double cell, const double *weight, struct error *err);
void board_release(struct board *b);

/* The fields at x under label y or MIXTURE_ANY, as mixture_at, valid on the closed interval.  At
 * beta = 0 they are those of the law itself: log p is -infinity off the board, the score 0. */
enum status board_at(struct mixture_value *v, const struct board *b, const struct path_coefs *c,
                     const double x[2], int32_t y, struct error *err);
double board_prior(const struct board *b, int32_t y);
/* z ~ p_data(. | y); returns its label. */
int32_t board_sample(double z[2], const struct board *b, int32_t y, struct rng *r);
/* Mean and covariance of p_data(. | y). */
void board_moments(double mean[2], double cov[4], const struct board *b, int32_t y);

#endif
