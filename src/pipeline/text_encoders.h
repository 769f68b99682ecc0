/*
 * text_encoders.h - prompts as a published network is told of them, by CLIP-L, CLIP bigG and T5
 */
#ifndef IMGEN_PIPELINE_TEXT_ENCODERS_H
#define IMGEN_PIPELINE_TEXT_ENCODERS_H

#include "model/prompts.h"

/* Where the encoders of a model lie: paths as weights_open takes them, heap; NULL: missing. */
struct text_encoders {
    char *clip_l, *clip_g, *t5;
    char *merges, *spiece; /* vocabularies, or NULL: looked for (vocabulary_find) ...    */
    char *folder;          /* ... in this folder, or NULL                                */
    int64_t t5_tokens;     /* of a prompt, T5_TOKENS unless changed; 0: T5 is left out   */
};

enum {
    T5_TOKENS = 256,     /* as the published pipelines have it     */
    CLIP_ROWS_MOST = 64, /* of 75 ids; longer prompts are refused */
};

void text_encoders_release(struct text_encoders *e); /* zeroes it; fine on a zeroed one */

/* *out: n texts and, behind them, the empty one, as a network of these widths is told of them:
 * weights in parentheses (text/prompt.h), prompts of more than 75 ids in several rows.  One encoder
 * after the other is opened, asked and closed, so that there is the memory of one at a time.  Zeros
 * stand for what a missing encoder would say; at least one is needed.
 *
 * E_ARG, naming the numbers, for encoders that do not fit the network and prompts that are too
 * long; E_IO for a vocabulary that is not there; what the readers say; E_CANCELLED where `go_on`,
 * asked between encoders, is false.  Release also after a failure. */
struct encoding_how {
    int threads;
    bool (*go_on)(void *user); /* or NULL */
    void *user;
};
enum status prompts_encode(struct prompts *out, const struct text_encoders *e,
                           const struct network_io *io, const char *const *text, int64_t n,
                           const struct encoding_how *how, struct error *err);

#endif
