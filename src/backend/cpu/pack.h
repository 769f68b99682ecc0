/*
 * pack.h - a part of a stored matrix as panels of words
 *
 * The second factor B [K, N] of a product is a stored matrix W, read in one of two ways:
 *
 *     turned       W is [N, K], as a linear layer keeps it: B = W^T, the forward
 *     not turned   W is [K, N]: B = W, the way back to the inputs; not for bytes
 */
#ifndef IMGEN_BACKEND_CPU_PACK_H
#define IMGEN_BACKEND_CPU_PACK_H

#include "backend/cpu/turn.h"
#include "backend/cpu/widen.h"
#include "tensor/matrix.h"

enum {
    PACK_WORDS = 256, /* along the sum, in one part, at most                               */
    PACK_COLS = 256,  /* columns in one part, at most                                      */
};

struct pack_source {
    const struct matrix *w;
    bool turned;
    enum precision precision;
    const struct widen_engine *widen;
    const struct turn_engine *turn;
};

struct pack_source pack_source(const struct matrix *w, bool turned, enum precision p);

/* What a part is to be: words [word, word + words) of columns [col, col + cols). */
struct pack_part {
    int64_t word, words;
    int64_t col, cols;
    panel_word *out; /* panels of [words, 64]; columns that B does not have become zero */
    int64_t step;    /* words from panel to panel                                       */
    float *scale;    /* bytes: what pack_scales gave for these columns                  */
    float *total;    /* bytes: the sums of the bytes are added                          */
    bool neighbour;  /* turned: the columns behind these are packed next, as many       */
};

void pack_part(const struct pack_source *s, const struct pack_part *p);

/* Bytes: column col + j of B is scale[j] times its bytes, j < cols, up to the end of the panel;
 * -127 .. 127, or what is stored. */
void pack_scales(const struct pack_source *s, float *scale, int64_t col, int64_t cols);

#endif
