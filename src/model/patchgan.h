/*
 * patchgan.h - a discriminator that judges patches (patchgan.c)
 */
#ifndef IMGEN_MODEL_PATCHGAN_H
#define IMGEN_MODEL_PATCHGAN_H

#include "nn/params.h"

enum { PATCHGAN_LAYERS = 8 };

struct patchgan_config {
    int64_t channels; /* of the pictures                                              */
    int64_t width;    /* channels of the first layer; 64 as published                 */
    int64_t layers;   /* convolutions that halve the size, 1 .. PATCHGAN_LAYERS; 3     */
};

struct patchgan;

/* Its parameters are declared and allocated, with gradients, and not yet filled (params_init or
 * params_load).  E_ARG names the number that cannot be; E_MEMORY.  Freed by patchgan_free (NULL is
 * fine). */
enum status patchgan_new(struct patchgan **out, const struct patchgan_config *config,
                         struct error *err);
void patchgan_free(struct patchgan *d);
struct params *patchgan_params(struct patchgan *d);

/* E_ARG where pictures of this size leave the last layer nothing to judge. */
enum status patchgan_check(const struct patchgan *d, int64_t height, int64_t width,
                           struct error *err);

/* What the norms saw of one batch: kept tensors of a tape. */
struct patchgan_seen {
    struct tensor *moments[PATCHGAN_LAYERS];
    int64_t count[PATCHGAN_LAYERS]; /* values behind each mean */
};

/* Record x [N, H, W, channels], as checked, to one number for each patch, [N, H', W', 1], H' = H /
 * 2^layers - 2: large for what looks real.  Statistics are those of this batch, so real and
 * generated pictures are judged in calls of their own.  seen: filled in, or NULL where nobody will
 * call patchgan_update. */
struct tensor *patchgan_forward(struct graph *g, const struct patchgan *d, struct tensor *x,
                                struct patchgan_seen *seen);

/* After the run: the running statistics learn of this batch (momentum 0.1).  For several batches in
 * the order in which they were judged. */
void patchgan_update(struct patchgan *d, struct graph *g, const struct patchgan_seen *seen);

#endif
