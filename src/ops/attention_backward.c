/*
 * attention_backward.c - the adjoint of attention, again a tile at a time
 *
 * With P the softmax, O = P V and G = dL/dO (Dao et al. 2022, algorithm 4):
 *
 *     dV = P^T G        dP = G V^T        dS = P (dP - delta),  delta = sum over channels of G O
 *     dQ = scale dS K   dK = scale dS^T Q
 *
 * P is made again from q, k and the row statistics of the forward: one product more, against
 * writing and reading T^2 numbers.  Tiles are transposed as in attention.c (keys down, queries
 * across), which makes delta and the statistics vectors, lets dK and dV read their tiles by rows
 * and dQ by columns, and needs Q and G both ways round but K and V only as they lie.
 *
 * One task takes a range of queries against a range of keys of one head: for each tile of queries,
 * for each tile of keys, in order.  A whole head in one task costs five products.  When there are
 * fewer heads than threads can share, a head is cut into tasks over all queries that make dK and dV
 * of some keys, and others over all keys that make dQ of some queries: seven products, but any
 * number of threads.  Either way every element of a gradient is the same chain of sums in the same
 * order, so the choice may depend on the number of threads and the bits do not.
 *
 * Keys that a mask takes out are not loaded, as in the forward; their gradients are zeros.
 *
 * The gradient of a bias on the scores is dS itself, summed over the samples.  It is an op of its
 * own, which few tapes want: a task there is a tile of queries of one head and takes the samples in
 * order.
 */
#include "base/simd.h"
#include "base/whole.h"
#include "ops/attention.h"
#include "ops/attention_tiles.h"
#include "ops/lanes.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* What follows the inputs of the forward.  The result is the gradient of its first input, the side
 * result that of its second. */
enum { IN_OUT = IN_BIAS + 1, IN_GRAD, IN_STATS };

/* What one task makes. */
struct piece {
    int64_t n, h;
    int64_t query, query_end, key, key_end;
    bool wants_q, wants_kv;
    float *bias; /* or NULL: [T, S] of the head, to which dS is added */
};

/* What one thread works in. */
struct room {
    float *k, *v, *dk, *dv;       /* [keys of the piece, padded]                 */
    float *q, *g, *dq;            /* [64, padded] of the present tile of queries */
    float *q_across;              /* [d, 64], scaled as in the forward           */
    float *g_across;              /* [d, 64]                                     */
    float *p, *ds;                /* [64 keys, 64 queries]                       */
    float *top, *inverse, *delta; /* [64]                                        */
};

static int64_t room_floats(const struct heads *s, int64_t keys)
{
    return 4 * keys * s->padded + 3 * ATTN_QUERIES * s->padded + 2 * ATTN_QUERIES * s->d +
           2 * ATTN_KEYS * ATTN_QUERIES + 3 * ATTN_QUERIES;
}

static struct room room_at(const struct heads *s, int64_t keys, float *at)
{
    const int64_t tile = ATTN_QUERIES * s->padded, across = ATTN_QUERIES * s->d;
    struct room r;

    r.k = at;
    r.v = r.k + keys * s->padded;
    r.dk = r.v + keys * s->padded;
    r.dv = r.dk + keys * s->padded;
    r.q = r.dv + keys * s->padded;
    r.g = r.q + tile;
    r.dq = r.g + tile;
    r.q_across = r.dq + tile;
    r.g_across = r.q_across + across;
    r.p = r.g_across + across;
    r.ds = r.p + ATTN_KEYS * ATTN_QUERIES;
    r.top = r.ds + ATTN_KEYS * ATTN_QUERIES;
    r.inverse = r.top + ATTN_QUERIES;
    r.delta = r.inverse + ATTN_QUERIES;
    return r;
}

/* Scores -> P and dP -> dS, in place; queries is a multiple of TILE_LANES. */
IMGEN_CLONES static void softmax_back(float *restrict p, float *restrict ds, int64_t keys,
                                      int64_t queries, const struct room *r)
{
    const float *restrict top = r->top, *restrict inverse = r->inverse, *restrict delta = r->delta;

    for (int64_t k = 0; k < keys; k++)
        for (int64_t q = 0; q < queries; q++) {
            const int64_t i = k * ATTN_QUERIES + q;

            p[i] = exp2_below(p[i] - top[q]) * inverse[q];
            ds[i] = p[i] * (ds[i] - delta[q]);
        }
}

/* delta of `rows` rows of G and O, both as the forward laid them. */
IMGEN_CLONES static void delta_rows(float *restrict delta, const float *restrict g,
                                    const float *restrict o, int64_t row, int64_t rows, int64_t d)
{
    for (int64_t i = 0; i < rows; i++)
        delta[i] = row_dot(g + i * row, o + i * row, d);
}

/* to[i, c] = scale * from[i, c]: a finished gradient into its place in the packed rows. */
IMGEN_CLONES static void write_rows(float *restrict to, int64_t to_row, const float *restrict from,
                                    int64_t from_row, int64_t rows, int64_t d, float scale)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < d; c++)
            to[i * to_row + c] = scale * from[i * from_row + c];
}

/* Bring queries [at, at + rows) and all that belongs to them into the room. */
static void load_queries(const struct tensor *y, const struct heads *s, const struct piece *w,
                         const struct room *r, int64_t at, int64_t rows)
{
    const int64_t first = w->n * s->T + at;
    const float *q =
        (const float *)y->in[IN_Q]->data + first * s->q_row + heads_channel(s, w->h, 0);
    const float *o = (const float *)y->in[IN_OUT]->data + first * s->D + w->h * s->d;
    const float *g = (const float *)y->in[IN_GRAD]->data + first * s->D + w->h * s->d;
    const struct row_stats stats = heads_stats(s, y->in[IN_STATS], w->n, w->h);

    tile_transpose(tile_rows(r->q_across, ATTN_QUERIES), q, s->q_row, rows, s->d,
                   (float)M_LOG2E * s->scale);
    tile_transpose(tile_rows(r->g_across, ATTN_QUERIES), g, s->D, rows, s->d, 1);
    if (w->wants_kv) {
        tile_copy(tile_rows(r->q, s->padded), q, s->q_row, rows, s->d);
        tile_copy(tile_rows(r->g, s->padded), g, s->D, rows, s->d);
    }
    delta_rows(r->delta, g, o, s->D, rows, s->d);
    for (int64_t i = 0; i < tile_padded(rows); i++) {
        r->top[i] = i < rows ? stats.top[at + i] : 0;
        r->inverse[i] = i < rows ? stats.inverse[at + i] : 0;
        r->delta[i] = i < rows ? r->delta[i] : 0;
    }
}

/* The gradient of a score is that of its bias. */
static void add_to_bias(const struct heads *s, const struct piece *w, const float *ds,
                        struct tile_place in)
{
    for (int64_t q = 0; q < in.queries; q++) {
        float *to = w->bias + (in.query + q) * s->S + in.key;

        for (int64_t k = 0; k < in.keys; k++)
            to[k] += ds[k * ATTN_QUERIES + q];
    }
}

/* The present tile of queries against the keys from `at` of the piece. */
static void back_tile(const struct heads *s, const struct piece *w, const struct room *r,
                      struct tile_place in, int64_t at)
{
    const int64_t width = tile_padded(in.queries), here = at * s->padded;
    const struct tile p = tile_rows(r->p, ATTN_QUERIES), ds = tile_rows(r->ds, ATTN_QUERIES);
    const struct tile k = tile_rows(r->k + here, s->padded), v = tile_rows(r->v + here, s->padded);
    const bool add = in.query > w->query;

    heads_scores(s, w->h, r->p, r->k + here, r->q_across, in);
    tile_mul(ds, v, tile_rows(r->g_across, ATTN_QUERIES), in.keys, width, s->d, false);
    softmax_back(r->p, r->ds, in.keys, width, r);
    heads_blind(s, r->p, in, 0);
    heads_blind(s, r->ds, in, 0);
    if (w->wants_kv) {
        tile_mul(tile_rows(r->dv + here, s->padded), p, tile_rows(r->g, s->padded), in.keys,
                 s->padded, in.queries, add);
        tile_mul(tile_rows(r->dk + here, s->padded), ds, tile_rows(r->q, s->padded), in.keys,
                 s->padded, in.queries, add);
    }
    if (w->wants_q)
        tile_mul(tile_rows(r->dq, s->padded), tile_transposed(ds), k, in.queries, s->padded,
                 in.keys, at > 0);
    if (w->bias)
        add_to_bias(s, w, r->ds, in);
}

/* Every gradient is a sum; these are the empty ones. */
static void clear_rows(float *rows, int64_t n, const struct heads *s)
{
    memset(rows, 0, (size_t)(n * s->padded) * sizeof(float));
}

/* dK and dV of the piece to the rows of its keys, zeros to those that do not count. */
static void write_keys(const struct tensor *y, const struct heads *s, const struct piece *w,
                       const struct room *r)
{
    float *out = (float *)(y->in[IN_KV] ? y->side : y)->data + w->n * s->S * s->kv_row;
    float *dk = out + heads_channel(s, w->h, 1), *dv = out + heads_channel(s, w->h, 2);
    const size_t bytes = (size_t)s->d * sizeof(float);
    int64_t from = 0, at = w->key, more;

    for (int64_t done = w->key; done < w->key_end; done = at) {
        more = heads_keys(s, w->n, &at, w->key_end, w->key_end);
        for (int64_t j = done; j < at; j++) {
            memset(dk + j * s->kv_row, 0, bytes);
            memset(dv + j * s->kv_row, 0, bytes);
        }
        write_rows(dk + at * s->kv_row, s->kv_row, r->dk + from * s->padded, s->padded, more, s->d,
                   s->scale);
        write_rows(dv + at * s->kv_row, s->kv_row, r->dv + from * s->padded, s->padded, more, s->d,
                   1);
        from += more;
        at += more;
    }
}

static void back_piece(const struct tensor *y, const struct heads *s, const struct piece *w,
                       const struct room *r)
{
    int64_t next = w->key;
    const int64_t keys =
        heads_load(y, s, w->n, w->h, r->k, r->v, &next, w->key_end, w->key_end - w->key);

    if (w->query == w->query_end) {
        clear_rows(r->dk, keys, s);
        clear_rows(r->dv, keys, s);
    }
    for (int64_t i = w->query; i < w->query_end; i += ATTN_QUERIES) {
        const int64_t left = w->query_end - i, queries = left < ATTN_QUERIES ? left : ATTN_QUERIES;

        load_queries(y, s, w, r, i, queries);
        if (keys == 0)
            clear_rows(r->dq, queries, s);
        for (int64_t j = 0; j < keys; j += ATTN_KEYS)
            back_tile(s, w, r,
                      (struct tile_place){i, queries, w->key + j, whole_min(keys - j, ATTN_KEYS)},
                      j);
        if (w->wants_q)
            write_rows((float *)y->data + (w->n * s->T + i) * s->q_row + heads_channel(s, w->h, 0),
                       s->q_row, r->dq, s->padded, queries, s->d, s->scale);
    }
    if (w->wants_kv)
        write_keys(y, s, w, r);
}

/* Whole heads take ceil(heads / threads) rounds of five products, cut ones share seven evenly. */
static bool cuts_heads(const struct heads *s, int threads)
{
    const int64_t n = s->N * s->heads, rounds = (n + threads - 1) / threads;

    return (s->T > ATTN_QUERIES || s->S > ATTN_KEYS) && 5 * rounds * threads > 7 * n;
}

/* A head is one piece or, cut, the pieces that make dK and dV of a block of keys and then those
 * that make dQ of a block of queries. */
struct cuts {
    int64_t key_block, key_pieces, query_block, query_pieces;
};

static struct cuts cuts_of(const struct heads *s, bool cut)
{
    struct cuts c = {heads_block(s, s->S), 1, heads_block(s, s->T), 0};

    if (cut) {
        c.key_pieces = (s->S + c.key_block - 1) / c.key_block;
        c.query_pieces = (s->T + c.query_block - 1) / c.query_block;
    }
    return c;
}

static struct piece piece_at(const struct heads *s, struct cuts c, bool cut, int64_t task)
{
    const int64_t pieces = c.key_pieces + c.query_pieces, head = task / pieces;
    const int64_t part = task % pieces;
    struct piece w = {
        .n = head / s->heads,
        .h = head % s->heads,
        .query_end = s->T,
        .key_end = s->S,
        .wants_q = true,
        .wants_kv = true,
    };

    if (!cut)
        return w;
    w.wants_kv = part < c.key_pieces;
    w.wants_q = !w.wants_kv;
    if (w.wants_kv) {
        w.key = part * c.key_block;
        w.key_end = whole_min(s->S, w.key + c.key_block);
    } else {
        w.query = (part - c.key_pieces) * c.query_block;
        w.query_end = whole_min(s->T, w.query + c.query_block);
    }
    return w;
}

/* 10 T S D flops a sample; reads (3 T + 2 S) D floats, writes (T + 2 S) D. */
static void back_cpu(const struct tensor *y)
{
    const struct heads s = heads_of(y);
    const bool cut = cuts_heads(&s, omp_get_max_threads());
    const struct cuts c = cuts_of(&s, cut);
    const int64_t tasks = s.N * s.heads * (c.key_pieces + c.query_pieces);
    const int64_t floats = room_floats(&s, s.S);

#pragma omp parallel for schedule(dynamic)
    for (int64_t task = 0; task < tasks; task++) {
        const struct room r = room_at(&s, s.S, (float *)y->scratch + omp_get_thread_num() * floats);
        const struct piece w = piece_at(&s, c, cut, task);

        back_piece(y, &s, &w, &r);
    }
}

static size_t back_scratch(const struct tensor *y, int threads)
{
    const struct heads s = heads_of(y);

    return (size_t)(room_floats(&s, s.S) * threads) * sizeof(float);
}

static double back_flops(const struct tensor *y)
{
    const struct heads s = heads_of(y);

    return 10.0 * (double)(s.N * s.T) * (double)(s.S * s.D);
}

static const struct op attention_dqkv = {
    .name = "attention_dqkv",
    .cpu = back_cpu,
    .scratch = back_scratch,
    .flops = back_flops,
};

/* --- of the bias: the sum of dS over the samples, in their order --------------------------------
 */

/* 4 T S D flops a sample; a task is a tile of queries of one head, of all samples. */
static void bias_cpu(const struct tensor *y)
{
    const struct heads s = heads_of(y);
    const int64_t tiles = (s.T + ATTN_QUERIES - 1) / ATTN_QUERIES, floats = room_floats(&s, s.S);

    memset(y->data, 0, tensor_bytes(y));
#pragma omp parallel for schedule(dynamic)
    for (int64_t task = 0; task < s.heads * tiles; task++) {
        const struct room r = room_at(&s, s.S, (float *)y->scratch + omp_get_thread_num() * floats);
        const int64_t h = task / tiles, from = task % tiles * ATTN_QUERIES;
        struct piece w = {
            .h = h,
            .query = from,
            .query_end = whole_min(s.T, from + ATTN_QUERIES),
            .key_end = s.S,
            .bias = (float *)y->data + h * s.T * s.S,
        };

        for (; w.n < s.N; w.n++)
            back_piece(y, &s, &w, &r);
    }
}

static double bias_flops(const struct tensor *y)
{
    return 0.4 * back_flops(y);
}

static const struct op attention_dbias = {
    .name = "attention_dbias",
    .cpu = bias_cpu,
    .scratch = back_scratch,
    .flops = bias_flops,
};

/* What both gradients read of y. */
static struct tensor *record_back(struct graph *g, const struct op *op, struct shape shape,
                                  struct tensor *y)
{
    struct tensor *d =
        record(g, op, shape, y->in[IN_Q], y->in[IN_KV], y->in[IN_MASK], y->in[IN_BIAS]);

    record_input(g, d, IN_OUT, y);
    record_input(g, d, IN_GRAD, y->grad);
    record_input(g, d, IN_STATS, y->side);
    memcpy(d->arg, y->arg, sizeof(d->arg));
    return d;
}

struct tensor *attention_bias_backward(struct graph *g, struct tensor *y)
{
    return record_back(g, &attention_dbias, y->in[IN_BIAS]->shape, y);
}

struct tensor *attention_backward(struct graph *g, struct tensor *y)
{
    struct tensor *dq = record_back(g, &attention_dqkv, y->in[IN_Q]->shape, y);

    if (y->in[IN_KV])
        record_side(g, dq, y->in[IN_KV]->shape);
    return dq;
}
