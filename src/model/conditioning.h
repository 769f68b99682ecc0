/*
 * conditioning.h - what Stable Diffusion 3 is told of a prompt, from what its text encoders say
 *
 * Sequences are dense rows of one prompt; whoever has several calls once for each.
 */
#ifndef IMGEN_MODEL_CONDITIONING_H
#define IMGEN_MODEL_CONDITIONING_H

#include "base/error.h"

#include <stdint.h>

/* One encoder's part; states NULL: the encoder is missing. */
struct encoded_text {
    const float *states; /* [tokens, width]: of CLIP the penultimate ones                      */
    int64_t tokens, width;
    const float *pooled; /* [pooled_width]: of CLIP, projected where it projects; else NULL, 0 */
    int64_t pooled_width;
};

struct conditioning {
    struct encoded_text clip_l, clip_g, t5; /* of both CLIPs as many tokens, 77 a chunk         */
    int64_t clip_tokens;                    /* of them, also where both are missing             */
    int64_t t5_tokens;                      /* rows for T5: t5.tokens, or, where it is missing,
                                               how many zeros stand for it; 0: its rows are left out */
    int64_t context_width, pooled_width;    /* what the network reads: network_io               */
};

/* Rows of the context: clip_tokens + t5_tokens. */
int64_t conditioning_tokens(const struct conditioning *c);

/* Whether the parts fit each other and the network; E_ARG names the numbers that do not. */
enum status conditioning_check(const struct conditioning *c, struct error *err);

/* context [tokens, context_width], pooled [pooled_width] of parts that fit: both CLIPs side by side
 * and zeros to the right of them, T5 below; pooled L, then G.  Zeros stand for what is missing:
 * the channels and the half of one CLIP, the rows of T5.  sd3.md 8.3. */
void conditioning_join(const struct conditioning *c, float *context, float *pooled);

/* The weights of a prompt's words: states = empty + w (states - empty) for each token, where
 * `empty` [empty_tokens, width] are the same encoder's states of the empty prompt, at the same
 * place or, of later chunks, the same place of their chunk.  A weight of 1 changes no bit.  weights
 * [tokens]. sd3.md 9.3. */
void conditioning_weigh(float *states, int64_t tokens, int64_t width, const float *empty,
                        int64_t empty_tokens, const float *weights);

#endif
