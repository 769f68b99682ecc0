/*
 * attention_tiles.h - what the forward and the backward of attention share: where a head lies in
 * the packed projection, how the work is cut, and the exponential
 */
#ifndef IMGEN_OPS_ATTENTION_TILES_H
#define IMGEN_OPS_ATTENTION_TILES_H

#include "backend/cpu/panel.h"
#include "graph/graph.h"
#include "ops/tile.h"
#include "ops/vecmath.h"

#include <stdint.h>
#include <string.h>

enum {
    ATTN_QUERIES = 64, /* queries of a tile: columns of S^T                              */
    ATTN_KEYS = 64,    /* keys of a tile: rows of S^T                                    */
    ATTN_BLOCK = 256,  /* at most so many rows share one packing of the other side       */
};

/* The inputs that an attention and its backward begin with: q or all packed; NULL when packed; NULL
 * when every key counts; NULL when nothing is added to the scores. */
enum { IN_Q, IN_KV, IN_MASK, IN_BIAS };

/* The constants of both. */
enum { ARG_HEADS, ARG_ORDER, ARG_CAUSAL, ARG_SCALE };

/* Queries and keys, in one packed projection or in two, and their heads of d channels, `padded`
 * floats apart in tiles. */
struct heads {
    int64_t N, T, S; /* samples, queries and keys of each                          */
    int64_t D, heads, d, padded;
    int64_t q_row, kv_row; /* floats from one query, one key to the next                 */
    int64_t order;         /* enum qkv_order of a packed projection                      */
    bool apart;            /* [N, T, D] and [N, S, 2 D] instead                          */
    float scale;           /* of the scores, 1 / sqrt(d) if nothing else is asked         */
    const float *bias;     /* [heads, T, S], or NULL                                     */
    bool causal;           /* query i sees the keys 0 .. i                               */
    const int32_t *mask;   /* [N, masked], 0: nobody attends to this key; NULL: all count */
    int64_t masked;        /* keys that the mask speaks of, the first of a sample        */
    int64_t block;         /* queries of one task of the forward                          */
    const struct panel_engine *pairs; /* of a forward in bf16: what multiplies; else NULL   */
};

/* Of y = an attention or its backward. */
struct heads heads_of(const struct tensor *y);

/* First channel of head h's q (part 0) in a row of queries, k (1) or v (2) in a row of keys. */
int64_t heads_channel(const struct heads *s, int64_t h, int part);

/* Rows of `rows` that one task takes when a head is shared among tasks.  Depends on the shape
 * alone; no result depends on it. */
int64_t heads_block(const struct heads *s, int64_t rows);

/* The next keys of sample n that count, from *at on and before `end`: how many stand side by side,
 * at most `most`, and *at moves to the first of them.  0: there are no more. */
int64_t heads_keys(const struct heads *s, int64_t n, int64_t *at, int64_t end, int64_t most);

/* Keys and values of head h of sample n into dense rows, from *at on, before `end` and at most
 * `most`; how many there were, and *at moves behind the last. */
int64_t heads_load(const struct tensor *y, const struct heads *s, int64_t n, int64_t h, float *k,
                   float *v, int64_t *at, int64_t end, int64_t most);

/* The side result of attention for one head: [2, T], maxima and reciprocal sums. */
struct row_stats {
    float *top, *inverse;
};
struct row_stats heads_stats(const struct heads *s, const struct tensor *stats, int64_t n,
                             int64_t h);

/* Queries and keys of a tile by their numbers in the sequence. */
struct tile_place {
    int64_t query, queries, key, keys;
};

/* Scores of head h in powers of two, [keys, queries]: keys `k` [keys, padded] times queries
 * `q_across` [d, queries], which are scaled, plus the bias. */
void heads_scores(const struct heads *s, int64_t h, float *scores, float *k, float *q_across,
                  struct tile_place at);

/* Under a causal mask, `value` in a tile [keys, queries] wherever the key comes after the query. */
void heads_blind(const struct heads *s, float *tile, struct tile_place at, float value);

/* --- the forward in bf16: attention_bf16.c ------------------------------------------------------
 *
 * Where s->pairs is there.  `padded` is then a multiple of PANEL_COLS, and tiles become words in
 * place: two bf16 each, neighbours along a sum. */

/* Planned for a node: its state, freed with free. */
struct heads_reduced {
    const struct panel_engine *pairs;
    int64_t block;
};

/* Make y's state where y, an attention, is computed in bf16; else leave it NULL.  E_MEMORY. */
enum status heads_plan(const struct graph *g, struct tensor *y, struct error *err);

/* A tile of queries [d, queries] as heads_scores takes it -> words [d / 2, queries]. */
void heads_round_queries(const struct heads *s, float *q_across);

/* Keys and values of heads_load -> words [keys, d / 2] and [keys / 2, padded].  An odd number is
 * made even with a value of zero, for which there is room. */
void heads_round_keys(const struct heads *s, float *k, float *v, int64_t keys);

/* heads_scores of words. */
void heads_scores_bf16(const struct heads *s, int64_t h, float *scores, float *k, float *q_across,
                       struct tile_place at);

/* out [queries, padded] = P^T v, or += when `add`: P [keys, queries] float32, which become words, v
 * words. */
void heads_mix_bf16(const struct heads *s, float *out, float *p, float *v, struct tile_place at,
                    bool add);

/* --- gradients ----------------------------------------------------------------------------------
 */

/* The gradient of y's bias; defined in attention_backward.c. */
struct tensor *attention_bias_backward(struct graph *g, struct tensor *y);

/* The gradient of y's first input, with that of its second as the side result when it has one;
 * defined in attention_backward.c. */
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

    x = vec_bounds.exp2_lo > x ? vec_bounds.exp2_lo : x;
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
