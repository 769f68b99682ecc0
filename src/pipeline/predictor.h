/*
 * predictor.h - a network as a predictor: pictures in, predictions out, both branches in one batch
 */
#ifndef IMGEN_PIPELINE_PREDICTOR_H
#define IMGEN_PIPELINE_PREDICTOR_H

#include "pipeline/model.h"

/* Fields are its own; labels [rows] are copied.  One thread at a time. */
struct network_predictor {
    const struct model *model;
    struct graph *graph; /* the caller's */
    int64_t rows, length;
    int32_t *label;   /* [rows]                                     */
    float *x, *t, *y; /* [2 rows, length], [2 rows], as x           */
    int32_t *fed;     /* [2 rows]: the labels of a batch            */
};

/* label: [rows], each below the network's n_labels; ignored by an unconditional network.  A frozen
 * graph packs the weights once.  Release also after a failure. */
enum status network_predictor_init(struct network_predictor *p, const struct model *model,
                                   struct graph *graph, const int32_t *label, int64_t rows,
                                   struct error *err);
void network_predictor_release(struct network_predictor *p);

/* What a run of so many rows (at most twice its own) takes: planned, not run. */
enum status network_predictor_measure(struct network_predictor *p, int64_t rows,
                                      struct graph_stats *out, struct error *err);

/* The predictor; p must stay where it is. */
struct predictor predictor_of_network(struct network_predictor *p);

#endif
