/*
 * attention_tiles.h - what the forward and the backward of attention share: where a head lies in
 * the packed projection, how the work is cut, and the exponential
 */
#ifndef IMGEN_OPS_ATTENTION_TILES_H
#define IMGEN_OPS_ATTENTION_TILES_H

#include "graph/graph.h"
#include "ops/tile.h"

#include <stdint.h>
#include <string.h>

enum {
    ATTN_QUERIES = 64, /* queries of a tile: columns of S^T                              */
    ATTN_KEYS = 64,    /* keys of a tile: rows of S^T                                    */
    ATTN_BLOCK = 256,  /* at most so many rows share one packing of the other side       */
};

/* A packed projection [N, T, 3 D] and its heads of d channels, `padded` floats apart in tiles. */
struct heads {
    int64_t N, T, D, heads, d, padded;
    int64_t order; /* enum qkv_order */
    float scale;   /* 1 / sqrt(d)    */
};

/* Of y = op_attention or its backward, whose first input is the packed projection. */
struct heads heads_of(const struct tensor *y);

/* First channel of head h's q (part 0), k (1) or v (2) in a row of the projection. */
int64_t heads_channel(const struct heads *s, int64_t h, int part);

/* Rows that one task takes when a head is shared among tasks.  Depends on the shape alone; no
 * result depends on it. */
int64_t heads_block(const struct heads *s);

/* The side result of attention for one head: [2, T], maxima and reciprocal sums. */
struct row_stats {
    float *top, *inverse;
};
struct row_stats heads_stats(const struct heads *s, const struct tensor *stats, int64_t n,
                             int64_t h);

/* Recorded by op_attention's adjoint; defined in attention_backward.c. */
struct tensor *attention_backward(struct graph *g, struct tensor *y);

/* 2^x for x <= 0, relative error below 2e-7; at -126 and below 2^-126, which nobody can tell from
 * zero beside the 1 that every row of a softmax holds.  NaN gives NaN, so that a broken network is
 * seen. */
static inline float exp2_below(float x)
{
    /* 1.5 * 2^23: adding it rounds to an integer and leaves that in the low bits. */
    const float magic = 12582912.0f;
    float shifted, r, p, power;
    uint32_t bits;

    x = -126.0f > x ? -126.0f : x;
    shifted = x + magic;
    memcpy(&bits, &shifted, sizeof(bits));
    r = x - (shifted - magic);
    p = 1.32647273e-3f;
    p = p * r + 9.67151299e-3f;
    p = p * r + 5.55073358e-2f;
    p = p * r + 2.40222424e-1f;
    p = p * r + 6.93147004e-1f;
    p = p * r + 1.0f;
    bits = (bits + 127) << 23; /* the bits of magic itself leave on the left */
    memcpy(&power, &bits, sizeof(power));
    return p * power;
}

#endif
