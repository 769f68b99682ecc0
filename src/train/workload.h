/*
 * workload.h - what a network takes, counted on its tape before any of it exists
 */
#ifndef IMGEN_TRAIN_WORKLOAD_H
#define IMGEN_TRAIN_WORKLOAD_H

#include "model/network.h"

/* Operations, 2 a multiply-add. */
struct work {
    double linear;    /* of linear layers and convolutions                                      */
    double attention; /* of attention                                                           */
    double other;     /* of all else that says: norms, activations, sums                        */
};

/* Numbers of the network's trained parameters, and what one pass takes with them. */
struct workload {
    int64_t weights;
    int64_t blocks;       /* of a transformer; 0: it is none                                    */
    int64_t split;        /* weights in matrices of blocks ...                                  */
    int64_t whole;        /* ... in their other parameters (norms, tables) ...                  */
    int64_t outside;      /* ... and outside of blocks; the three are all                       */
    int64_t tokens;       /* of a sample's self-attention                                       */
    int64_t width;        /* features of a token                                                */
    int64_t heads;        /* of its attention                                                   */
    int64_t selves;       /* self-attentions, in all blocks ...                                 */
    int64_t branches;     /* ... and those, cross-attentions and feed-forwards together         */
    int64_t samples;      /* side by side in the pass                                           */
    bool trains, repeats; /* as asked                                                           */
    struct work forward;  /* of the pass without its backward ...                               */
    struct work pass;     /* ... and with it, and with what is computed again                   */
    int64_t values;       /* bytes of float32 values alive at once, weights and gradients apart */
};

struct workload_question {
    int64_t samples; /* 1 or more                                                             */
    bool trains;     /* forward and backward; else the forward alone                          */
    bool repeats;    /* insides of blocks are forgotten and computed again                    */
    int64_t tokens;  /* of an encoded text, for a network that takes any number               */
};

/* Count what a pass of the network takes, at the size that its io says.  Its parameters are
 * declared and have no memory: nothing is allocated or computed, whatever their size.  E_ARG: it is
 * an autoencoder. */
enum status workload_find(struct workload *out, struct network *net,
                          const struct workload_question *q, struct error *err);

/* The same of one half of an autoencoder, without a backward, on clips or pictures of so many
 * places: forward, pass and values of it, and its weights. */
struct workload_half {
    int64_t frames, height,
        width; /* of the clip; a picture: frames as io says of pictures, 0 or 1 */
    bool decodes;
};
enum status workload_find_half(struct workload *out, struct network *net,
                               const struct workload_half *half, struct error *err);

#endif
