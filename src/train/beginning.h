/*
 * beginning.h - what a new run begins as, where that is not random
 */
#ifndef IMGEN_TRAIN_BEGINNING_H
#define IMGEN_TRAIN_BEGINNING_H

#include "train/experiment.h"

/* Give the network of a run that begins what train.init has learnt (network_begin_as), and one of
 * videos that is an autoencoder what autoencoder.inflate has; neither is named: nothing happens.
 * E_ARG: another kind, what does not fit; what the readers say; all naming the option. */
enum status beginning_weights(struct network *net, const struct experiment *e, struct error *err);

#endif
