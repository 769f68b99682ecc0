/*
 * round_trip.h - pictures, and what an autoencoder in training makes of them
 */
#ifndef IMGEN_TRAIN_ROUND_TRIP_H
#define IMGEN_TRAIN_ROUND_TRIP_H

#include "train/evaluate.h"

/* The same pictures at every step: train.eval_count of those that are never trained on, or as many
 * as there are; where none are asked for, a sheet's from wherever there are any. */
struct round_trip;

/* d: the set that is trained on.  Runs on g, the caller's, in batches no larger than a training
 * step's.  *out is NULL when neither evaluations nor sheets are asked for.  a tells the loss; all
 * are referred to.  Fails as evaluation_data, and E_ARG for held-out pictures of another size. */
struct round_trip_setting {
    const struct experiment *experiment;
    const struct dataset *trained;
    const struct network *net;
    const struct autoencode *loss;
    struct graph *graph;
};
enum status round_trip_new(struct round_trip **out, const struct round_trip_setting *setting,
                           struct error *err);
void round_trip_free(struct round_trip *t);

/* What its largest batch and a sheet take: planned, not run. */
enum status round_trip_measure(struct round_trip *t, struct graph_stats *most, int64_t *beside,
                               struct error *err);

/* Losses and PSNR over all of its pictures; average: a flat array of the network's layout.  The
 * network's own weights are in use again afterwards. */
enum status round_trip_evaluate(struct round_trip *t, float *average, struct eval_losses *out,
                                struct error *err);

/* Write a sheet of `count` pictures, rows of originals above what the weights `values` make of
 * them, or fewer where there are fewer. */
enum status round_trip_sheet(struct round_trip *t, const char *path, float *values, int64_t count,
                             struct error *err);

#endif
