/*
 * dropout.h - values left out at random in training
 */
#ifndef IMGEN_OPS_DROPOUT_H
#define IMGEN_OPS_DROPOUT_H

#include "graph/graph.h"

/* Words that name a sample in a run: the seed and the number of the sample, low word first. */
enum { DROP_WORDS = 4 };

/* Element i of sample n is 0 with probability p, else x / (1 - p): so the mean stays.  Which ones
 * is a function of (key [n], place, i) alone.  x [N, ...], fewer than 2^34 elements a sample; key
 * int32 [N, DROP_WORDS]; 0 <= p < 1; 0 <= place < 2^24, one for each op of a network. */
struct tensor *op_dropout(struct graph *g, struct tensor *x, struct tensor *key, double p,
                          int64_t place);

#endif
