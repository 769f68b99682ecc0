/*
 * sheet.h - a sheet of pictures from a model in training
 */
#ifndef IMGEN_TRAIN_SHEET_H
#define IMGEN_TRAIN_SHEET_H

#include "graph/graph.h"
#include "model/prompts.h"
#include "pipeline/model.h"

/* What to draw, with which weights, and where.  The graph is the training's own: a sheet runs in
 * the memory of a step, half of its pictures at once since guidance doubles them. */
struct sheet_request {
    struct model *model;
    float *values;            /* the weights to use, a flat array of the network's layout   */
    int64_t count;            /* pictures, in as square a grid as count allows              */
    const char *const *texts; /* [count] that they are asked for, of a network that reads them */
    const struct prompts *encoded; /* what encoders say of them, of one that reads that; or NULL */
    const float *condition; /* [count, condition_length] that it is told beforehand, or NULL */
    int64_t batch;          /* at most so many at once                                    */
    struct graph *graph;
    int threads; /* of what decodes latents                                  */
    bool rough;  /* latents by their linear preview                          */
};

/* Write the pictures as one PNG: labels in turn, or the texts, seeds 0, 1, ..., so that sheets of
 * different steps differ by training alone.  The network's own weights are in use again afterwards.
 */
enum status sheet_write(const char *path, const struct sheet_request *r, struct error *err);

/* generate_measure of it, the sheet itself included. */
enum status sheet_measure(struct graph_stats *most, int64_t *beside, const struct sheet_request *r,
                          struct error *err);

#endif
