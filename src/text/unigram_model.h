/*
 * unigram_model.h - a SentencePiece unigram model: its pieces and its map of characters
 */
#ifndef IMGEN_TEXT_UNIGRAM_MODEL_H
#define IMGEN_TEXT_UNIGRAM_MODEL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UNIGRAM_FILE_BYTES = 64 << 20,
    UNIGRAM_PIECE_BYTES = 512, /* of one piece, at most */
};

enum piece_kind {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN,
    PIECE_CONTROL,
    PIECE_USER,
    PIECE_UNUSED,
    PIECE_BYTE,
};

struct piece {
    float score;
    uint8_t kind; /* enum piece_kind */
};

/* Normalisation as the model asks for it; see unigram_normalise. */
struct piece_map {
    uint32_t *unit; /* [n_units] a double array trie             */
    uint32_t n_units;
    char *out; /* [n_out] replacements, each ended by a zero; the last byte is one */
    uint32_t n_out;
    bool adds_prefix, squeezes, escapes;
};

/* A way from node to node by a byte, in a table with open addressing; node is 0 in a free place. */
struct piece_edge {
    uint32_t from_byte; /* node << 8 | byte */
    uint32_t node;
};

struct unigram_model {
    struct piece *piece; /* [n_pieces]: the id is the place */
    int32_t n_pieces, unknown;
    float lowest, highest;   /* scores of normal pieces                                 */
    int32_t byte[256];       /* ids of the byte pieces, or -1                           */
    bool has_bytes;          /* all of them                                             */
    struct piece_edge *edge; /* [mask + 1]                                              */
    uint32_t mask;
    int32_t *ends; /* [n_nodes]: the piece that ends there, or -1; 0 the root */
    uint32_t n_nodes;
    struct piece_map map;
};

/* From the bytes of a spiece.model.  E_FORMAT with the place for anything that is not whole and
 * consistent: at least one normal piece and exactly one unknown one, no piece empty or given twice;
 * E_UNSUPPORTED for pieces beyond UNIGRAM_PIECE_BYTES; E_MEMORY.  name is for messages. */
enum status unigram_model_read(struct unigram_model *out, const void *bytes, size_t n,
                               const char *name, struct error *err);
void unigram_model_release(struct unigram_model *m);

/* The node behind `node` by a byte, or 0. */
uint32_t unigram_step(const struct unigram_model *m, uint32_t node, uint8_t byte);

#endif
