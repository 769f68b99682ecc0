/*
 * byte_text.h - a small transformer that reads a text by its bytes, trained with what it conditions
 *
 * A text is `length` numbers: BYTE_TEXT_BEGIN, a number for each byte, and 0 for the rest.  The
 * empty text has its beginning alone.
 */
#ifndef IMGEN_MODEL_BYTE_TEXT_H
#define IMGEN_MODEL_BYTE_TEXT_H

#include "model/dit_parts.h"

enum {
    BYTE_TEXT_BEGIN = 257, /* bytes are 1 .. 256 */
    BYTE_TEXT_NUMBERS = 258,
    BYTE_TEXT_LENGTH_MAX = 1024,
    BYTE_TEXT_DEPTH_MAX = 16,
};

/* How many numbers a text takes. */
int64_t byte_text_size(const char *text);
/* How many of its bytes are read by a network of `length` numbers: all, or as many whole characters
 * of UTF-8 as fit. */
int64_t byte_text_fits(const char *text, int64_t length);
/* out [length], length >= 1: as much of the text as fits. */
void byte_text_read(int32_t *out, int64_t length, const char *text);

/* depth 1 .. BYTE_TEXT_DEPTH_MAX; width a multiple of heads; kernel odd, 1: no convolutions. */
struct byte_text_config {
    int64_t length, width, depth, heads, kernel;
};

struct byte_text_block {
    struct layer_norm norm0, norm1, norm2;
    struct conv near;
    struct linear qkv, proj;
    struct dit_mlp mlp;
};

/* "token_embedding.weight", "position_embedding", "blocks.N...", "final_norm". */
struct byte_text {
    struct byte_text_config is;
    const struct param *numbers, *places; /* [BYTE_TEXT_NUMBERS, width], [1, length, width] */
    struct layer_norm last;
    struct byte_text_block block[BYTE_TEXT_DEPTH_MAX];
};
void byte_text_declare(struct byte_text *b, const struct byte_text_config *c, struct scope s);

/* ids int32 [N, length] -> a state for each place [N, length, width], and *whole [N, width], that
 * of the beginning.  Places that hold 0 are looked at by nobody (op_attention_masked); their states
 * mean nothing. */
struct tensor *byte_text_forward(struct graph *g, const struct byte_text *b, struct tensor *ids,
                                 struct tensor **whole);

#endif
