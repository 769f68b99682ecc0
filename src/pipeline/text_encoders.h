/*
 * text_encoders.h - prompts as a published network is told of them, by CLIP-L, CLIP bigG and T5
 */
#ifndef IMGEN_PIPELINE_TEXT_ENCODERS_H
#define IMGEN_PIPELINE_TEXT_ENCODERS_H

#include "base/hash.h"
#include "base/json.h"
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
 * long; E_IO for a vocabulary that is not there; what the readers say; E_CANCELLED where the watch,
 * asked between encoders and between their operations, is false.  Release also after a failure. */
struct encoding_how {
    int threads;
    bool plain;        /* parentheses are letters and weigh nothing                            */
    int64_t clip_rows; /* of 77 tokens, for every prompt, and longer ones are cut; 0: as many as
                          the longest needs                                                     */
    graph_watch *watch; /* or NULL; done: share of all encoders */
    void *user;
};
enum status prompts_encode(struct prompts *out, const struct text_encoders *e,
                           const struct network_io *io, const char *const *text, int64_t n,
                           const struct encoding_how *how, struct error *err);

/* Rows of the context that prompts_encode makes with so many rows of 77 tokens. */
int64_t text_encoders_tokens(const struct text_encoders *e, int64_t clip_rows);

/* SHA-256 of all that what they say depends on beside the prompt: their files, vocabularies, and
 * the widths of the network.  Files of gigabytes are read through.  E_IO; E_MEMORY.
 * (encoders_file.c) */
enum status text_encoders_hash(char out[HASH_TEXT], const struct text_encoders *e,
                               const struct network_io *io, struct error *err);

/* {"clip_l", "clip_g", "t5", "merges", "spiece", "t5_tokens"}, paths as they are; those that are
 * missing are left out.  *out is a new reference.  E_MEMORY. */
enum status text_encoders_to_json(const struct text_encoders *e, json_t **out, struct error *err);
/* The other way, for a model in the file `path`, as whose folder sees them.  *e is zeroed before;
 * release also after a failure.  E_FORMAT; E_MEMORY. */
enum status text_encoders_from_json(struct text_encoders *e, const json_t *object, const char *path,
                                    struct error *err);
/* Every path as somebody in `folder` sees it (path_seen_from). */
enum status text_encoders_name(struct text_encoders *e, const char *folder, struct error *err);

/* Rows of 77 tokens that prompts_encode will probably make: as many as the longest prompt has at
 * four letters an id, which only asking would tell exactly. */
int64_t text_encoders_rows(const char *const *text, int64_t n);

/* Bytes of the largest encoder's weights in its file: what one at a time reads.  E_IO, E_FORMAT as
 * weights_open. */
enum status text_encoders_bytes(int64_t *out, const struct text_encoders *e, struct error *err);

#endif
