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
 *
 * Keys that a mask takes out are not loaded at all: the tiles hold the others side by side.  A
 * masked score of minus infinity would cost its share of the products, and a text filled up to
 * another length would have other sums; so it has the same bits, and pays for its own words alone.
 *
 * Text encoders add two things.  Where a token sees what stands before it alone (causal), tiles
 * behind the queries are not visited, and on the diagonal the keys to come are taken out before the
 * maximum and after the exponential, which turns minus infinity into 2^-126 and not into 0.  A bias
 * on the scores is transposed into the tile before the product is added to it, and so costs one
 * read of itself.
 */
#include "ops/attention.h"

#include "base/error.h"
#include "base/fetch.h"
#include "base/simd.h"
#include "base/whole.h"
#include "ops/attention_tiles.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct heads heads_of(const struct tensor *y)
{
    const struct tensor *q = y->in[IN_Q], *kv = y->in[IN_KV], *mask = y->in[IN_MASK];
    const struct heads_reduced *reduced = y->state;
    const int64_t row = shape_last(q->shape);
    struct heads s = {
        .N = q->shape.dim[0],
        .T = q->shape.dim[1],
        .S = (kv ? kv : q)->shape.dim[1],
        .D = kv ? row : row / 3,
        .heads = y->arg[ARG_HEADS].i,
        .q_row = row,
        .kv_row = kv ? 2 * row : row,
        .order = y->arg[ARG_ORDER].i,
        .apart = kv,
        .mask = mask ? mask->data : NULL,
        .masked = mask ? mask->shape.dim[1] : 0,
        .scale = (float)y->arg[ARG_SCALE].f,
        .bias = y->in[IN_BIAS] ? y->in[IN_BIAS]->data : NULL,
        .causal = y->arg[ARG_CAUSAL].i,
    };

    s.d = s.D / s.heads;
    s.padded = tile_padded(s.d);
    s.block = heads_block(&s, s.T);
    if (reduced) {
        s.padded = whole_parts(s.d, PANEL_COLS) * PANEL_COLS;
        s.block = reduced->block;
        s.pairs = reduced->pairs;
    }
    return s;
}

int64_t heads_channel(const struct heads *s, int64_t h, int part)
{
    if (s->apart)
        return (part == 2 ? s->D : 0) + h * s->d;
    if (s->order == QKV_PERHEAD)
        return (3 * h + part) * s->d;
    return part * s->D + h * s->d;
}

int64_t heads_block(const struct heads *s, int64_t rows)
{
    const int64_t share = rows / 8 + 1;

    if (s->N * s->heads >= 16 || share > ATTN_BLOCK)
        return ATTN_BLOCK;
    return (share + ATTN_QUERIES - 1) / ATTN_QUERIES * ATTN_QUERIES;
}

int64_t heads_keys(const struct heads *s, int64_t n, int64_t *at, int64_t end, int64_t most)
{
    const int32_t *mask = s->mask ? s->mask + n * s->masked : NULL;
    const int64_t told = s->masked < end ? s->masked : end;
    int64_t last;

    while (*at < told && !mask[*at])
        ++*at;
    for (last = *at; last < told && mask[last] && last - *at < most; last++)
        continue;
    if (last >= told)
        last = end;
    return last - *at < most ? last - *at : most;
}

int64_t heads_load(const struct tensor *y, const struct heads *s, int64_t n, int64_t h, float *k,
                   float *v, int64_t *at, int64_t end, int64_t most)
{
    const struct tensor *kv = y->in[IN_KV] ? y->in[IN_KV] : y->in[IN_Q];
    const float *rows = (const float *)kv->data + n * s->S * s->kv_row;
    int64_t keys = 0, more;

    while (keys < most && (more = heads_keys(s, n, at, end, most - keys)) > 0) {
        const float *row = rows + *at * s->kv_row;

        tile_copy(tile_rows(k + keys * s->padded, s->padded), row + heads_channel(s, h, 1),
                  s->kv_row, more, s->d);
        tile_copy(tile_rows(v + keys * s->padded, s->padded), row + heads_channel(s, h, 2),
                  s->kv_row, more, s->d);
        keys += more;
        *at += more;
    }
    return keys;
}

void heads_scores(const struct heads *s, int64_t h, float *scores, float *k, float *q_across,
                  struct tile_place at)
{
    const struct tile out = tile_rows(scores, ATTN_QUERIES);

    if (s->bias)
        tile_transpose(out, s->bias + (h * s->T + at.query) * s->S + at.key, s->S, at.queries,
                       at.keys, (float)M_LOG2E);
    tile_mul(out, tile_rows(k, s->padded), tile_rows(q_across, ATTN_QUERIES), at.keys,
             tile_padded(at.queries), s->d, s->bias);
}

void heads_blind(const struct heads *s, float *tile, struct tile_place at, float value)
{
    if (!s->causal)
        return;
    for (int64_t k = 0; k < at.keys; k++)
        for (int64_t q = 0; q < at.queries && at.query + q < at.key + k; q++)
            tile[k * ATTN_QUERIES + q] = value;
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
    const int64_t block = s->block;

    return block * s->d + 2 * ATTN_KEYS * s->padded + ATTN_KEYS * ATTN_QUERIES + block * s->padded +
           3 * block;
}

static struct room room_at(const struct heads *s, float *at)
{
    const int64_t block = s->block;
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

/* The same for a few vectors of queries, so many that no chain of maxima or sums is waited for; m
 * and l stay in registers. */
static inline __attribute__((always_inline)) void softmax_lanes(float *restrict scores,
                                                                int64_t keys, float *restrict top,
                                                                float *restrict sum,
                                                                float *restrict decay, int width)
{
    float m[ATTN_QUERIES], l[ATTN_QUERIES];

    for (int i = 0; i < width; i++)
        m[i] = top[i];
    for (int64_t k = 0; k < keys; k++) {
        const float *restrict x = scores + k * ATTN_QUERIES;

#pragma omp simd
        for (int i = 0; i < width; i++)
            m[i] = x[i] > m[i] ? x[i] : m[i];
    }
    for (int i = 0; i < width; i++) {
        decay[i] = exp2_below(top[i] - m[i]);
        l[i] = sum[i] * decay[i];
    }
    for (int64_t k = 0; k < keys; k++) {
        float *restrict x = scores + k * ATTN_QUERIES;

#pragma omp simd
        for (int i = 0; i < width; i++) {
            const float p = exp2_below(x[i] - m[i]);

            x[i] = p;
            l[i] += p;
        }
    }
    for (int i = 0; i < width; i++) {
        top[i] = m[i];
        sum[i] = l[i];
    }
}

/* Scores [keys, queries] become 2^(s - m), and m, l, decay follow; queries is a multiple of
 * TILE_LANES.  About 20 operations a score. */
IMGEN_CLONES static void softmax_step(float *restrict scores, int64_t keys, int64_t queries,
                                      float *restrict top, float *restrict sum,
                                      float *restrict decay)
{
    if (queries == ATTN_QUERIES) {
        softmax_lanes(scores, keys, top, sum, decay, ATTN_QUERIES);
        return;
    }
    for (int64_t q = 0; q < queries; q += TILE_LANES)
        softmax_lanes(scores + q, keys, top + q, sum + q, decay + q, TILE_LANES);
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

/* The tile of queries at row `row` of the block against the present tile of keys, which are in[0,
 * in.keys) of the room. */
static void attend_tile(const struct heads *s, const struct room *r, int64_t h, int64_t row,
                        struct tile_place in, bool first)
{
    const int64_t width = tile_padded(in.queries);
    const struct tile scores = tile_rows(r->scores, ATTN_QUERIES);
    const struct tile out = tile_rows(r->out + row * s->padded, s->padded);

    if (s->pairs)
        heads_scores_bf16(s, h, r->scores, r->k, r->q + row * s->d, in);
    else
        heads_scores(s, h, r->scores, r->k, r->q + row * s->d, in);
    heads_blind(s, r->scores, in, -INFINITY);
    softmax_step(r->scores, in.keys, width, r->top + row, r->sum + row, r->decay + row);
    heads_blind(s, r->scores, in, 0);
    if (!first)
        rescale(out.at, s->padded, r->decay + row, in.queries);
    if (s->pairs)
        heads_mix_bf16(s, out.at, r->scores, r->v, in, !first);
    else
        tile_mul(out, tile_transposed(scores), tile_rows(r->v, s->padded), in.queries, s->padded,
                 in.keys, !first);
}

/* 1 / sum; 0 for a row that attended to nothing, whose result is then 0 too. */
static inline float inverse_of(float sum)
{
    return sum == 0 ? 0 : 1.0f / sum;
}

IMGEN_CLONES static void block_write(float *restrict y, int64_t y_row, const struct heads *s,
                                     const struct room *r, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        const float *restrict out = r->out + i * s->padded;
        const float inverse = inverse_of(r->sum[i]);

        for (int64_t c = 0; c < s->d; c++)
            y[i * y_row + c] = out[c] * inverse;
    }
}

/* Queries [at, at + rows) of head h, transposed and scaled; nothing is known of their rows yet. */
static void load_queries(const struct tensor *y, const struct heads *s, const struct room *r,
                         int64_t n, int64_t h, int64_t at, int64_t rows)
{
    const float *q =
        (const float *)y->in[IN_Q]->data + (n * s->T + at) * s->q_row + heads_channel(s, h, 0);

    for (int64_t i = 0; i < rows; i += ATTN_QUERIES) {
        tile_transpose(tile_rows(r->q + i * s->d, ATTN_QUERIES), q + i * s->q_row, s->q_row,
                       whole_min(rows - i, ATTN_QUERIES), s->d, (float)M_LOG2E * s->scale);
        if (s->pairs)
            heads_round_queries(s, r->q + i * s->d);
    }
    for (int64_t i = 0; i < tile_padded(rows); i++) {
        r->top[i] = -INFINITY;
        r->sum[i] = 0;
    }
}

/* Ask for keys and values [first, first + rows) of head h of sample n. */
FETCH_INLINE void fetch_keys(const struct tensor *y, const struct heads *s, int64_t n, int64_t h,
                             int64_t first, int64_t rows)
{
    const struct tensor *kv = y->in[IN_KV] ? y->in[IN_KV] : y->in[IN_Q];
    const float *row = (const float *)kv->data + (n * s->S + first) * s->kv_row;

    for (int64_t i = 0; i < rows && first + i < s->S; i++, row += s->kv_row) {
        fetch_floats(row + heads_channel(s, h, 1), s->d);
        fetch_floats(row + heads_channel(s, h, 2), s->d);
    }
}

/* For the backward. */
static void keep_stats(struct row_stats stats, const struct room *r, int64_t at, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        stats.top[at + i] = r->top[i];
        stats.inverse[at + i] = inverse_of(r->sum[i]);
    }
}

/* Queries [at, at + rows) of head h of sample n. */
static void attend_block(const struct tensor *y, const struct heads *s, const struct room *r,
                         int64_t n, int64_t h, int64_t at, int64_t rows)
{
    const int64_t end = s->causal ? at + rows : s->S;
    int64_t next = 0, keys;
    bool first = true;

    load_queries(y, s, r, n, h, at, rows);
    while ((keys = heads_load(y, s, n, h, r->k, r->v, &next, end, ATTN_KEYS)) > 0) {
        if (s->pairs)
            heads_round_keys(s, r->k, r->v, keys);
        for (int64_t i = 0; i < rows; i += ATTN_QUERIES) {
            const struct tile_place in = {at + i, whole_min(rows - i, ATTN_QUERIES), next - keys,
                                          keys};

            fetch_keys(y, s, n, h, next + i * ATTN_KEYS / rows,
                       ATTN_QUERIES * ATTN_KEYS / rows + 1);
            if (!s->causal || in.key < in.query + in.queries)
                attend_tile(s, r, h, i, in, first);
        }
        first = false;
    }
    if (first) /* no key counts */
        memset(r->out, 0, (size_t)(rows * s->padded) * sizeof(float));
    block_write((float *)y->data + (n * s->T + at) * s->D + h * s->d, s->D, s, r, rows);
    if (y->side)
        keep_stats(heads_stats(s, y->side, n, h), r, at, rows);
}

/* 4 T S D flops a sample; reads (T + 2 S) D and writes T D floats, and the keys once more for each
 * block. */
static void attention_cpu(const struct tensor *y)
{
    const struct heads s = heads_of(y);
    const int64_t size = s.block, blocks = (s.T + size - 1) / size;
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

    return (s.causal ? 2.0 : 4.0) * (double)(s.N * s.T) * (double)(s.S * s.D);
}

static void attention_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dq = attention_backward(g, y);

    grad_add(g, y->in[IN_Q], dq);
    if (y->in[IN_KV])
        grad_add(g, y->in[IN_KV], dq->side);
    if (y->in[IN_BIAS] && y->in[IN_BIAS]->wants_grad)
        grad_add(g, y->in[IN_BIAS], attention_bias_backward(g, y));
}

static const struct op attention = {
    .name = "attention",
    .cpu = attention_cpu,
    .adjoint = attention_adjoint,
    .plan = heads_plan,
    .unplan = free,
    .scratch = attention_scratch,
    .flops = attention_flops,
};

/* out: of the result; the mask may speak of all keys or of the first of them. */
static struct tensor *attend(struct graph *g, struct shape out, struct tensor *q, struct tensor *kv,
                             struct tensor *bias, struct tensor *mask, int64_t heads)
{
    const struct shape keys = (kv ? kv : q)->shape;
    char s[SHAPE_TEXT], t[SHAPE_TEXT];
    struct tensor *y;

    MUST(!mask || (mask->dtype == DTYPE_I32 && mask->shape.rank == 2 &&
                   mask->shape.dim[0] == keys.dim[0] && mask->shape.dim[1] <= keys.dim[1]),
         "mask %s for keys %s", shape_text(s, mask->shape), shape_text(t, keys));
    y = record(g, &attention, out, q, kv, mask, bias);
    y->arg[ARG_HEADS].i = heads;
    y->arg[ARG_SCALE].f = 1.0 / sqrt((double)(shape_last(out) / heads));
    if (y->wants_grad)
        record_side(g, y, SHAPE(out.dim[0], heads, 2, out.dim[1]));
    return y;
}

struct tensor *op_attention_masked(struct graph *g, struct tensor *qkv, struct tensor *mask,
                                   int64_t heads, enum qkv_order order)
{
    char text[SHAPE_TEXT];
    struct tensor *y;

    MUST(qkv->shape.rank == 3 && heads > 0 && shape_last(qkv->shape) % (3 * heads) == 0 &&
             shape_last(qkv->shape) > 0,
         "packed %s, %d heads", shape_text(text, qkv->shape), (int)heads);
    y = attend(g, shape_with_last(qkv->shape, shape_last(qkv->shape) / 3), qkv, NULL, NULL, mask,
               heads);
    y->arg[ARG_ORDER].i = order;
    return y;
}

struct tensor *op_attention(struct graph *g, struct tensor *qkv, int64_t heads,
                            enum qkv_order order)
{
    return op_attention_masked(g, qkv, NULL, heads, order);
}

/* Queries and keys that lie apart have one batch and one width. */
static void check_apart(const struct tensor *q, const struct tensor *kv, int64_t heads)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(q->shape.rank == 3 && kv->shape.rank == 3 && heads > 0 && shape_last(q->shape) > 0 &&
             shape_last(q->shape) % heads == 0 &&
             shape_last(kv->shape) == 2 * shape_last(q->shape) &&
             kv->shape.dim[0] == q->shape.dim[0],
         "queries %s, keys and values %s, %d heads", shape_text(s, q->shape),
         shape_text(t, kv->shape), (int)heads);
}

struct tensor *op_attention_cross(struct graph *g, struct tensor *q, struct tensor *kv,
                                  struct tensor *mask, int64_t heads)
{
    check_apart(q, kv, heads);
    return attend(g, q->shape, q, kv, NULL, mask, heads);
}

struct tensor *op_attention_formed(struct graph *g, struct tensor *q, struct tensor *kv,
                                   int64_t heads, const struct attention_form *form)
{
    int64_t T = q->shape.dim[1], S = kv->shape.dim[1];
    char s[SHAPE_TEXT];
    struct tensor *y;

    check_apart(q, kv, heads);
    MUST(!form->causal || T == S, "a causal attention of %d queries to %d keys", (int)T, (int)S);
    MUST(!form->bias || shape_equal(form->bias->shape, SHAPE(heads, T, S)),
         "a bias %s for %d heads, %d queries and %d keys", shape_text(s, form->bias->shape),
         (int)heads, (int)T, (int)S);
    y = attend(g, q->shape, q, kv, form->bias, NULL, heads);
    y->arg[ARG_CAUSAL].i = form->causal;
    if (form->scale > 0)
        y->arg[ARG_SCALE].f = form->scale;
    return y;
}
