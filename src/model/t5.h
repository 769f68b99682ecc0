/*
 * t5.h - the encoder of T5 (t5.c), and its published files
 */
#ifndef IMGEN_MODEL_T5_H
#define IMGEN_MODEL_T5_H

#include "io/weights.h"
#include "model/network.h"

struct t5_config {
    int64_t width, depth, heads,
        head;       /* head: features of one, heads * head may differ from width */
    int64_t hidden; /* of the feed-forward                                       */
    int64_t vocabulary;
    int64_t buckets, far; /* of relative positions: op_relative_bias */
    double eps;
};

/* Not among the networks that a configuration can name: it predicts nothing. */
extern const struct network_kind network_t5;

/* The states of texts: ids int32 [N, L], as network_check_ids allows, any L -> [N, L, width]. Every
 * token sees every other, those that fill a text up included. */
struct tensor *t5_forward(struct graph *g, const struct network *net, struct tensor *ids);

/* The encoder in a published file: its own (text_encoder_3/, t5xxl_fp16.safetensors, a GGUF file)
 * or one with a whole model, under the names of Hugging Face or of GGUF; one or both copies of the
 * table of tokens.  Sizes come from the shapes; epsilon and the distance that counts as far from
 * `config`, the folder's config.json, or NULL: 1e-6 and 128.
 *
 * Values are mapped where they can be, and f must outlive the network.  E_FORMAT when the encoder
 * is not there or does not fit, E_UNSUPPORTED for another feed-forward than the gated one of
 * version 1.1; E_MEMORY. */
enum status t5_open_published(struct network **out, const struct weights *f, const json_t *config,
                              struct error *err);

#endif
