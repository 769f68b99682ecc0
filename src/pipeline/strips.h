/*
 * strips.h - half an autoencoder over a picture that memory does not hold at once
 *
 * The steps of a half (autoencoder.h) are run one after the other, each in strips of rows, with the
 * group norms' statistics of the whole picture.  The result is that of one run over everything, but
 * for sums in another order and for the 16 bits (plane.h) in which values wait for the next step.
 */
#ifndef IMGEN_PIPELINE_STRIPS_H
#define IMGEN_PIPELINE_STRIPS_H

#include "model/autoencoder.h"

#include <stdbool.h>
#include <stdint.h>

enum { STRIPS_STEPS = 128 };

/* What is run, and on what. */
struct strips_task {
    const struct network *net;
    enum autoencoder_halves half; /* HALVES_ENCODER or HALVES_DECODER                      */
    bool code;                    /* encode: leave the code as it is; else the mean of it  */
    int64_t height, width;        /* of the picture; a part of a cell counts as a cell     */
    struct graph *graph;          /* frozen; its plans are forgotten                       */
    int threads;                  /* of the graph                                          */
};

/* Steps first .. last - 1 in one go, from places that wait to places that wait. */
struct strips_span {
    int first, last;
    int norms; /* whose statistics a run over all strips must gather, one after the other        */
    int64_t rows;  /* of what goes in, that a strip is responsible for; all: the span runs whole  */
    int64_t reach; /* rows that a strip reads beyond its own, on each side */
};

struct strips_plan {
    int n;
    struct strips_span span[STRIPS_STEPS];
    int64_t bytes; /* weights, waiting values, a strip's own; the caller's arrays are not counted */
    int64_t runs;  /* of the network                                                              */
};

/* The fastest way within `memory` bytes.  E_MEMORY, with the numbers, when there is none, as when
 * the values between two steps or the places that attend to each other are too many; E_ARG when
 * the half has no steps.  A pure function of the task and the limit. */
enum status strips_fit(struct strips_plan *out, const struct strips_task *t, int64_t memory,
                       struct error *err);

/* Called after each run; false ends it with E_CANCELLED. */
typedef bool strips_progress(void *user);

/* in, out: pictures [height, width, channels], latents [rows, columns, latent_channels] or codes,
 * with rows and columns the parts that the factor makes of height and width.  progress may be NULL.
 * E_MEMORY, E_CANCELLED. */
enum status strips_run(const struct strips_plan *p, const struct strips_task *t, float *out,
                       const float *in, strips_progress *progress, void *user, struct error *err);

#endif
