/*
 * sheet.h - a sheet of pictures from a model in training
 */
#ifndef IMGEN_TRAIN_SHEET_H
#define IMGEN_TRAIN_SHEET_H

#include "pipeline/model.h"

/* Write `count` pictures as one PNG, in as square a grid as count allows: labels in turn, seeds 0,
 * 1,
 * ..., so that sheets of different steps differ by training alone.  values: the weights to use, a
 * flat array of the network's layout; the network's own are in use again afterwards. */
enum status sheet_write(const char *path, struct model *m, float *values, int64_t count,
                        int threads, struct error *err);

#endif
