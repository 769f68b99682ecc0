/*
 * generate.h - requests in, pictures out
 */
#ifndef IMGEN_PIPELINE_GENERATE_H
#define IMGEN_PIPELINE_GENERATE_H

#include "graph/graph.h"
#include "pipeline/pair.h"
#include "pipeline/repaint.h"
#include "pipeline/settings.h"
#include "pipeline/teller.h"
#include "sampler/start.h"

/* One picture.  It is a function of these three, the model and the settings alone: not of its place
 * in the list, of its neighbours, of the batch size or of the number of threads. */
struct generate_item {
    int32_t label; /* or the null label; of the classifier's where the model has none; of a model
                      that reads texts one of the request's, or -1 for the empty text         */
    double w;      /* guidance scale                           */
    uint64_t seed; /* of X_0                                   */
};

struct generate_request {
    const struct model *model;
    struct sample_defaults settings;
    const double *times; /* [n_times], instead of schedule and steps; or NULL */
    int n_times;
    const struct repaint_request *repaint; /* a picture to make pictures of, or NULL          */
    double strength; /* of that: the share of the steps that are taken, 0 to 1, grid_start's  */
    const uint8_t *given;   /* what a network is told of all items (condition_given), or NULL */
    const float *condition; /* [n, condition_length] instead, each item's as the network reads it */
    const char *const *numbers; /* [n_numbers] "SECTION.NAME=VALUE": pipeline/settings.h */
    int n_numbers;
    const char *const *texts; /* [n_texts] that items ask for, of a model that reads them */
    int64_t n_texts;
    const struct prompts *encoded; /* what a network that reads encoded texts is told of them, or
                                      NULL: its model's encoders are asked; of one without a guide
                                      and negative prompts                                       */
    const struct generate_item *items; /* [n] */
    const float *noise; /* [n, H, W, C] of the network, X_0 of every item instead of what its seed
                           gives, or NULL                                                        */
    int64_t n;
    int64_t batch;                  /* at most so many at once; 0: chosen */
    enum precision precision;       /* of the large linear layers         */
    enum start_rng rng;             /* that X_0 is drawn by               */
    const struct model *classifier; /* to be guided by, or NULL                      */
    double classifier_scale;        /* 0 or more; 1: as its probabilities say        */
    const struct model *guide; /* in the place of the unguided branch (pipeline/pair.h), or NULL */
    enum guide_label guide_label;
    int threads;
    struct graph *graph; /* to run on, where its memory and plans serve others too; NULL: its own,
                            frozen, with threads as above */
    int preview_every;   /* steps between previews; 0: none                                  */
    const char *preview_autoencoder; /* of latents: a tiny one for previews; NULL: linear ones */
    bool rough; /* of latents: pictures are linear previews, and nothing is decoded          */
    generate_callback *progress; /* may be NULL                                              */
    void *user;
    double every; /* seconds between two calls of it inside a phase; 0: at every operation    */
};

/* out: [n] pictures or clips of view_shape, -1 black to 1 white, not clamped.  E_ARG for a model
 * that makes no pictures, for latents whose autoencoder was not found, has no previews where rough
 * ones are asked for, or that are to be clipped as pixels are, for a classifier or guide that does
 * not fit it (classifier_check, pair_check), labels, scales, steps or strength out of range,
 * guidance that the network was not trained for or has no attention for, something given to a
 * network that is told of nothing, or nothing to one that makes clips larger, and a picture to
 * begin with that is none (repaint_init) or for a solver that chooses its own steps; else as
 * sampling_run. evaluations, which may be NULL, counts those of both models. */
enum status generate(float *out, const struct generate_request *r, int64_t *evaluations,
                     struct error *err);

/* Bytes that it needs beside the graph: while the solver runs, and, on top, when what it left
 * becomes pictures. */
struct generate_beside {
    int64_t solving, viewing;
};

/* What generate would take: the largest values and scratch of its plans, which are made on r->graph
 * (not NULL) and not run, and the bytes it needs beside the graph.  Of a request without
 * classifier, guide or perturbed attention; encoded texts are taken to be as long as their letters
 * suggest. */
enum status generate_measure(struct graph_stats *most, struct generate_beside *beside,
                             const struct generate_request *r, struct error *err);

/* Pictures that it makes at once, at most. */
int64_t generate_batch(const struct generate_request *r);

#endif
