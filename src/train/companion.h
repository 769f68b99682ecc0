/*
 * companion.h - parameters that learn beside the model's
 */
#ifndef IMGEN_TRAIN_COMPANION_H
#define IMGEN_TRAIN_COMPANION_H

#include "nn/params.h"
#include "train/adamw.h"
#include "train/footprint.h"

/* A discriminator's, say: under the model's optimizer, without an average. */
struct companion {
    const char *name;      /* of its tensors in a checkpoint: NAME.*, NAME_m.*, NAME_v.*       */
    struct params *params; /* with gradients; their owner's                                    */
    float *m, *v;          /* [n_trained]                                                      */
    float *total;          /* the same: gradients summed over a step's batches; NULL of one    */
    double norm;           /* of the gradient that the next step takes: companion_measure        */
};

/* params are allocated.  batches: of which a step is made.  E_MEMORY; release also then. */
enum status companion_init(struct companion *l, const char *name, struct params *params,
                           int64_t batches, struct error *err);
void companion_release(struct companion *l);

/* After a batch has run, number k of n in its step: take its gradients. */
void companion_add(struct companion *l, int64_t k, int64_t n);
/* After the last: the norm of the mean gradient, which may be no number. */
double companion_measure(struct companion *l);
/* The step, with that norm clipped as `a` says. */
void companion_step(struct companion *l, const struct adamw *a);

/* The memory that it keeps. */
enum { COMPANION_BLOCKS = 5 };
void companion_blocks(struct footprint_block out[COMPANION_BLOCKS], const struct companion *l);

#endif
