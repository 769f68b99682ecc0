/*
 * reduced.h - what a reduced precision costs in exactness: the result, and layer by layer
 */
#ifndef IMGEN_EVAL_REDUCED_H
#define IMGEN_EVAL_REDUCED_H

#include "pipeline/generate.h"

/* One linear layer or attention, on the inputs that it has in float32. */
struct reduced_layer {
    char name[112]; /* of its weight; of an attention that of the layer before it, "attention of .."
                     */
    int64_t rows, inputs, outputs;
    bool reduced; /* false: it stays float32, and `error` is 0                              */
    double error; /* root mean square of the difference over that of the float32 result     */
};

struct reduced_task {
    const struct generate_request *request; /* precision, graph, progress do not count */
    enum precision precision;
    int64_t look_at; /* in which run of the network layers are compared, from 0; -1: in none */
};

struct reduced_result {
    /* Of what the solver leaves, latents or pictures, in decibels: the range of the float32 numbers
     * (largest less smallest), and their root mean square about the mean, over that of the
     * difference; infinite where there is none. */
    double psnr, snr;
    double seconds[2]; /* of float32, the comparison of layers left out, and of the other */
    struct reduced_layer *layer; /* [n_layers], heap, the largest error first             */
    int64_t n_layers;
};

/* Make the request's pictures twice, from the same noise, up to where latents would be decoded.
 * Fails as generate does; E_ARG for a request without pictures.  Release also after a failure. */
enum status reduced_compare(struct reduced_result *out, const struct reduced_task *t,
                            struct error *err);
void reduced_release(struct reduced_result *r);

#endif
