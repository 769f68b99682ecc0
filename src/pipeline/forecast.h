/*
 * forecast.h - what a request for pictures would take, in bytes and seconds, told before
 */
#ifndef IMGEN_PIPELINE_FORECAST_H
#define IMGEN_PIPELINE_FORECAST_H

#include "pipeline/generate.h"

/* Bytes are of one process; what lies in a mapped file counts as far as it is read. */
struct forecast {
    int64_t program;   /* what the process has now: itself, its libraries, what is open        */
    int64_t weights;   /* of the network: read in their file at every step, or packed once     */
    int64_t encoders;  /* of the largest text encoder, read in its file before the first step  */
    int64_t values;    /* intermediate values and scratch of the network                       */
    int64_t solver;    /* what solver and guidance hold                                        */
    int64_t decoder;   /* of latents: the autoencoder, its values, and what it reads and makes */
    int64_t peak;      /* the most that is needed at once, `program` included                  */
    int64_t available; /* what is still to be had now (mem_available); 0: nobody knows         */
    int64_t batch, batches;
    int64_t steps;  /* of a batch; what an adaptive solver takes nobody knows: 0              */
    double flops;   /* of a step of the largest batch: 2 a multiply-add                       */
    double seconds; /* the same, by what this machine multiplies just now                     */
};

/* Plan the request (threads, precision and items count; graph, classifier, guide and previews do
 * not), run nothing of it, and measure for some ten milliseconds how fast products are.  Fails as
 * generate where the request cannot be done at all. */
enum status forecast_find(struct forecast *out, const struct generate_request *r,
                          struct error *err);

#endif
