/*
 * classify.h - the loss of a classifier of noisy pictures
 *
 * -log c(y | x_t, t), x_t = alpha z + beta eps drawn as for a generator.  theory.md 3.3.
 */
#ifndef IMGEN_TRAIN_CLASSIFY_H
#define IMGEN_TRAIN_CLASSIFY_H

#include "base/error.h"
#include "graph/graph.h"

/* E_ARG for a label outside 0 .. classes - 1, a picture without one (-1) included.  first: the
 * number of labels[0] among all samples, for the message. */
enum status classify_check(const int32_t *labels, int64_t n, int64_t classes, int64_t first,
                           struct error *err);

/* Mean over the batch, [1]: logits [N, classes], labels [N] as checked, valid until the run. */
struct tensor *classify_loss(struct graph *g, struct tensor *logits, const int32_t *labels);

/* -log c(y | x_t, t) of one row of logits, in nats; *right: whether y has the largest of them. */
double classify_surprise(bool *right, const float *logits, int64_t classes, int32_t y);

#endif
