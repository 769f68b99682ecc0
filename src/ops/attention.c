/*
 * attention.c - softmax(q k^T / sqrt(d)) v without the T x T matrix
 *
 * The matrix of scores has T^2 numbers a head and is needed only to be summed away, so it is made a
 * tile at a time and used while it lies in the first-level cache.  A softmax wants the whole row's
 * maximum and sum before its first value; the way out is to go on with what is known and to
 * correct: with m the largest score seen so far and l the sum of 2^(s - m), a new tile that raises
 * m to m' multiplies l and the output row by 2^(m - m') (Milakov and Gimelshein 2018; Dao et al.
 * 2022, "FlashAttention", algorithm 1).  The base is 2 because the processor's exponent is: q is
 * scaled by log2(e) / sqrt(d) once, and the exponential loses a multiplication.
 *
 * A tile of scores is held transposed, keys down and queries across:
 *
 *                 64 queries              S^T = K Q^T    K as it lies, Q transposed once
 *              +--------------+           P^T = 2^(S^T - m)
 *     64 keys  |  S^T -> P^T  |           O  += P V      P^T read by columns, V as it lies
 *              +--------------+
 *      m, l    [    across    ]
 *
 * Then m and l are vectors, the maximum and the sum over keys are sums of rows, and no loop ever
 * reduces across the lanes of a vector or transposes a tile of K for each tile of Q.
 *
 * One task is a block of queries of one head of one sample.  It walks the keys in order, so a row's
 * bits depend on its own sample alone: not on the batch, the number of threads or the size of a
 * block.  The maxima and the reciprocals of the sums are kept for the backward, and not their
 * log-sum-exp: with large scores the rounding of m + log l alone would move every probability,
 * while 2^(s - m) / l gives back the forward's.
 */
#include "ops/attention.h"

#include "base/error.h"
#include "base/simd.h"
#include "ops/attention_tiles.h"

#include <math.h>
#include <omp.h>

struct heads heads_of(const struct tensor *y)
{
    const struct shape packed = y->in[0]->shape;
    struct heads s = {
        .N = packed.dim[0],
        .T = packed.dim[1],
        .D = packed.dim[2] / 3,
        .heads = y->arg[0].i,
        .order = y->arg[1].i,
    };

    s.d = s.D / s.heads;
    s.padded = tile_padded(s.d);
    s.scale = (float)(1.0 / sqrt((double)s.d));
    return s;
}

int64_t heads_channel(const struct heads *s, int64_t h, int part)
{
    if (s->order == QKV_PERHEAD)
        return (3 * h + part) * s->d;
    return part * s->D + h * s->d;
}

int64_t heads_block(const struct heads *s)
{
    const int64_t rows = s->T / 8 + 1;

    if (s->N * s->heads >= 16 || rows > ATTN_BLOCK)
        return ATTN_BLOCK;
    return (rows + ATTN_QUERIES - 1) / ATTN_QUERIES * ATTN_QUERIES;
}

struct row_stats heads_stats(const struct heads *s, const struct tensor *stats, int64_t n,
                             int64_t h)
{
    float *at = (float *)stats->data + (n * s->heads + h) * 2 * s->T;

    return (struct row_stats){at, at + s->T};
}

/* What one thread works in.  All rows are whole vectors. */
struct room {
    float *q;                 /* [block / 64][d][64]: transposed and scaled         */
    float *k, *v;             /* [64, padded] the present tile of keys              */
    float *scores;            /* [64 keys, 64 queries]                              */
    float *out;               /* [block, padded] not yet divided by the sums        */
    float *top, *sum, *decay; /* [block]: m, l and 2^(m - m')                       */
};

static int64_t room_floats(const struct heads *s)
{
    const int64_t block = heads_block(s);

    return block * s->d + 2 * ATTN_KEYS * s->padded + ATTN_KEYS * ATTN_QUERIES + block * s->padded +
           3 * block;
}

static struct room room_at(const struct heads *s, float *at)
{
    const int64_t block = heads_block(s);
    struct room r;

    r.q = at;
    r.k = r.q + block * s->d;
    r.v = r.k + ATTN_KEYS * s->padded;
    r.scores = r.v + ATTN_KEYS * s->padded;
    r.out = r.scores + ATTN_KEYS * ATTN_QUERIES;
    r.top = r.out + block * s->padded;
    r.sum = r.top + block;
    r.decay = r.sum + block;
    return r;
}

/* Scores [keys, queries] become 2^(s - m), and m, l, decay follow; queries is a multiple of
 * TILE_LANES.  About 20 operations a score. */
IMGEN_CLONES static void softmax_step(float *restrict scores, int64_t keys, int64_t queries,
                                      float *restrict top, float *restrict sum,
                                      float *restrict decay)
{
    for (int64_t q = 0; q < queries; q++)
        decay[q] = top[q];
    for (int64_t k = 0; k < keys; k++)
        for (int64_t q = 0; q < queries; q++) {
            const float x = scores[k * ATTN_QUERIES + q];

            top[q] = x > top[q] ? x : top[q];
        }
    for (int64_t q = 0; q < queries; q++) {
        decay[q] = exp2_below(decay[q] - top[q]);
        sum[q] *= decay[q];
    }
    for (int64_t k = 0; k < keys; k++)
        for (int64_t q = 0; q < queries; q++) {
            const float p = exp2_below(scores[k * ATTN_QUERIES + q] - top[q]);

            scores[k * ATTN_QUERIES + q] = p;
            sum[q] += p;
        }
}

/* Rows of `out` times their decay; most of the time no maximum moved and there is nothing to do. */
IMGEN_CLONES static void rescale(float *restrict out, int64_t padded, const float *restrict decay,
                                 int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        float *restrict row = out + i * padded;

        if (decay[i] == 1.0f)
            continue;
        for (int64_t c = 0; c < padded; c++)
            row[c] *= decay[i];
    }
}

/* One tile of queries against the present tile of keys. */
static void attend_tile(const struct heads *s, const struct room *r, int64_t at, int64_t queries,
                        int64_t keys, bool first)
{
    const int64_t width = tile_padded(queries);
    const struct tile scores = tile_rows(r->scores, ATTN_QUERIES);
    const struct tile out = tile_rows(r->out + at * s->padded, s->padded);

    tile_mul(scores, tile_rows(r->k, s->padded), tile_rows(r->q + at * s->d, ATTN_QUERIES), keys,
             width, s->d, false);
    softmax_step(r->scores, keys, width, r->top + at, r->sum + at, r->decay + at);
    if (!first)
        rescale(out.at, s->padded, r->decay + at, queries);
    tile_mul(out, tile_transposed(scores), tile_rows(r->v, s->padded), queries, s->padded, keys,
             !first);
}

IMGEN_CLONES static void block_write(float *restrict y, int64_t y_row, const struct heads *s,
                                     const struct room *r, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        const float *restrict out = r->out + i * s->padded;
        const float inverse = 1.0f / r->sum[i];

        for (int64_t c = 0; c < s->d; c++)
            y[i * y_row + c] = out[c] * inverse;
    }
}

/* Queries [at, at + rows) of head h of sample n. */
static void attend_block(const struct tensor *y, const struct heads *s, const struct room *r,
                         int64_t n, int64_t h, int64_t at, int64_t rows)
{
    const int64_t row = 3 * s->D;
    const float *packed = (const float *)y->in[0]->data + n * s->T * row;
    const float *q = packed + at * row + heads_channel(s, h, 0);
    const float *k = packed + heads_channel(s, h, 1), *v = packed + heads_channel(s, h, 2);
    const struct row_stats stats = heads_stats(s, y->side, n, h);

    for (int64_t i = 0; i < rows; i += ATTN_QUERIES)
        tile_transpose(tile_rows(r->q + i * s->d, ATTN_QUERIES), q + i * row, row,
                       rows - i < ATTN_QUERIES ? rows - i : ATTN_QUERIES, s->d,
                       (float)M_LOG2E * s->scale);
    for (int64_t i = 0; i < tile_padded(rows); i++) {
        r->top[i] = -INFINITY;
        r->sum[i] = 0;
    }
    for (int64_t j = 0; j < s->T; j += ATTN_KEYS) {
        const int64_t keys = s->T - j < ATTN_KEYS ? s->T - j : ATTN_KEYS;

        tile_copy(tile_rows(r->k, s->padded), k + j * row, row, keys, s->d);
        tile_copy(tile_rows(r->v, s->padded), v + j * row, row, keys, s->d);
        for (int64_t i = 0; i < rows; i += ATTN_QUERIES)
            attend_tile(s, r, i, rows - i < ATTN_QUERIES ? rows - i : ATTN_QUERIES, keys, j == 0);
    }
    block_write((float *)y->data + (n * s->T + at) * s->D + h * s->d, s->D, s, r, rows);
    for (int64_t i = 0; i < rows; i++) {
        stats.top[at + i] = r->top[i];
        stats.inverse[at + i] = 1.0f / r->sum[i];
    }
}

/* 4 T^2 D flops a sample; reads 3 T D and writes T D floats, and the keys once more for each block.
 */
static void attention_cpu(const struct tensor *y)
{
    const struct heads s = heads_of(y);
    const int64_t size = heads_block(&s), blocks = (s.T + size - 1) / size;
    const int64_t floats = room_floats(&s);

#pragma omp parallel for schedule(dynamic)
    for (int64_t task = 0; task < s.N * s.heads * blocks; task++) {
        const struct room r = room_at(&s, (float *)y->scratch + omp_get_thread_num() * floats);
        const int64_t at = task % blocks * size, head = task / blocks;

        attend_block(y, &s, &r, head / s.heads, head % s.heads, at,
                     s.T - at < size ? s.T - at : size);
    }
}

static size_t attention_scratch(const struct tensor *y, int threads)
{
    const struct heads s = heads_of(y);

    return (size_t)(room_floats(&s) * threads) * sizeof(float);
}

static double attention_flops(const struct tensor *y)
{
    const struct heads s = heads_of(y);

    return 4.0 * (double)(s.N * s.T) * (double)(s.T * s.D);
}

static void attention_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], attention_backward(g, y));
}

static const struct op attention = {
    .name = "attention",
    .cpu = attention_cpu,
    .adjoint = attention_adjoint,
    .scratch = attention_scratch,
    .flops = attention_flops,
};

struct tensor *op_attention(struct graph *g, struct tensor *qkv, int64_t heads,
                            enum qkv_order order)
{
    char text[SHAPE_TEXT];
    struct tensor *y;
    int64_t D;

    MUST(qkv->shape.rank == 3 && heads > 0 && shape_last(qkv->shape) % (3 * heads) == 0 &&
             shape_last(qkv->shape) > 0,
         "packed %s, %d heads", shape_text(text, qkv->shape), (int)heads);
    D = shape_last(qkv->shape) / 3;
    y = record(g, &attention, shape_with_last(qkv->shape, D), qkv, NULL, NULL, NULL);
    y->arg[0].i = heads;
    y->arg[1].i = order;
    record_side(g, y, SHAPE(qkv->shape.dim[0], heads, 2, qkv->shape.dim[1]));
    return y;
}
