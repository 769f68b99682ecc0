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
 */
#include "base/simd.h"
#include "ops/attention.h"
#include "ops/attention_tiles.h"
#include "ops/lanes.h"

#include <math.h>
#include <omp.h>

/* y: in = packed, O, G, statistics. */
enum { IN_PACKED, IN_OUT, IN_GRAD, IN_STATS };

/* What one task makes. */
struct piece {
    int64_t n, h;
    int64_t query, query_end, key, key_end;
    bool wants_q, wants_kv;
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
        (const float *)y->in[IN_PACKED]->data + first * 3 * s->D + heads_channel(s, w->h, 0);
    const float *o = (const float *)y->in[IN_OUT]->data + first * s->D + w->h * s->d;
    const float *g = (const float *)y->in[IN_GRAD]->data + first * s->D + w->h * s->d;
    const struct row_stats stats = heads_stats(s, y->in[IN_STATS], w->n, w->h);

    tile_transpose(tile_rows(r->q_across, ATTN_QUERIES), q, 3 * s->D, rows, s->d,
                   (float)M_LOG2E * s->scale);
    tile_transpose(tile_rows(r->g_across, ATTN_QUERIES), g, s->D, rows, s->d, 1);
    if (w->wants_kv) {
        tile_copy(tile_rows(r->q, s->padded), q, 3 * s->D, rows, s->d);
        tile_copy(tile_rows(r->g, s->padded), g, s->D, rows, s->d);
    }
    delta_rows(r->delta, g, o, s->D, rows, s->d);
    for (int64_t i = 0; i < tile_padded(rows); i++) {
        r->top[i] = i < rows ? stats.top[at + i] : 0;
        r->inverse[i] = i < rows ? stats.inverse[at + i] : 0;
        r->delta[i] = i < rows ? r->delta[i] : 0;
    }
}

/* The present tile of queries against `keys` keys from `at` of the piece. */
static void back_tile(const struct heads *s, const struct piece *w, const struct room *r,
                      int64_t queries, int64_t at, int64_t keys, bool first_queries)
{
    const int64_t width = tile_padded(queries), here = at * s->padded;
    const struct tile p = tile_rows(r->p, ATTN_QUERIES), ds = tile_rows(r->ds, ATTN_QUERIES);
    const struct tile k = tile_rows(r->k + here, s->padded), v = tile_rows(r->v + here, s->padded);

    tile_mul(p, k, tile_rows(r->q_across, ATTN_QUERIES), keys, width, s->d, false);
    tile_mul(ds, v, tile_rows(r->g_across, ATTN_QUERIES), keys, width, s->d, false);
    softmax_back(r->p, r->ds, keys, width, r);
    if (w->wants_kv) {
        tile_mul(tile_rows(r->dv + here, s->padded), p, tile_rows(r->g, s->padded), keys, s->padded,
                 queries, !first_queries);
        tile_mul(tile_rows(r->dk + here, s->padded), ds, tile_rows(r->q, s->padded), keys,
                 s->padded, queries, !first_queries);
    }
    if (w->wants_q)
        tile_mul(tile_rows(r->dq, s->padded), tile_transposed(ds), k, queries, s->padded, keys,
                 at > 0);
}

static void back_piece(const struct tensor *y, const struct heads *s, const struct piece *w,
                       const struct room *r)
{
    const int64_t row = 3 * s->D, start = w->n * s->T, keys = w->key_end - w->key;
    const float *packed = (const float *)y->in[IN_PACKED]->data + (start + w->key) * row;
    float *out = (float *)y->data + start * row;

    tile_copy(tile_rows(r->k, s->padded), packed + heads_channel(s, w->h, 1), row, keys, s->d);
    tile_copy(tile_rows(r->v, s->padded), packed + heads_channel(s, w->h, 2), row, keys, s->d);
    for (int64_t i = w->query; i < w->query_end; i += ATTN_QUERIES) {
        const int64_t left = w->query_end - i, queries = left < ATTN_QUERIES ? left : ATTN_QUERIES;

        load_queries(y, s, w, r, i, queries);
        for (int64_t j = 0; j < keys; j += ATTN_KEYS)
            back_tile(s, w, r, queries, j, keys - j < ATTN_KEYS ? keys - j : ATTN_KEYS,
                      i == w->query);
        if (w->wants_q)
            write_rows(out + i * row + heads_channel(s, w->h, 0), row, r->dq, s->padded, queries,
                       s->d, s->scale);
    }
    if (w->wants_kv) {
        out += w->key * row;
        write_rows(out + heads_channel(s, w->h, 1), row, r->dk, s->padded, keys, s->d, s->scale);
        write_rows(out + heads_channel(s, w->h, 2), row, r->dv, s->padded, keys, s->d, 1);
    }
}

/* Whole heads take ceil(heads / threads) rounds of five products, cut ones share seven evenly. */
static bool cuts_heads(const struct heads *s, int threads)
{
    const int64_t n = s->N * s->heads, rounds = (n + threads - 1) / threads;

    return s->T > ATTN_QUERIES && 5 * rounds * threads > 7 * n;
}

/* A head is one piece or, cut, the pieces that make dK and dV of a block of keys and then those
 * that make dQ of a block of queries. */
static int64_t pieces_of(const struct heads *s, bool cut)
{
    const int64_t size = heads_block(s);

    return cut ? 2 * ((s->T + size - 1) / size) : 1;
}

static struct piece piece_at(const struct heads *s, bool cut, int64_t task)
{
    const int64_t pieces = pieces_of(s, cut), head = task / pieces, half = pieces / 2;
    struct piece w = {
        .n = head / s->heads,
        .h = head % s->heads,
        .query_end = s->T,
        .key_end = s->T,
        .wants_q = true,
        .wants_kv = true,
    };
    int64_t part = task % pieces, from, to;

    if (!cut)
        return w;
    w.wants_kv = part < half;
    w.wants_q = !w.wants_kv;
    from = part % half * heads_block(s);
    to = s->T - from < heads_block(s) ? s->T : from + heads_block(s);
    if (w.wants_kv)
        w.key = from, w.key_end = to;
    else
        w.query = from, w.query_end = to;
    return w;
}

/* 10 T^2 D flops a sample; reads 5 T D floats, writes 3 T D. */
static void back_cpu(const struct tensor *y)
{
    const struct heads s = heads_of(y);
    const bool cut = cuts_heads(&s, omp_get_max_threads());
    const int64_t tasks = s.N * s.heads * pieces_of(&s, cut);
    const int64_t floats = room_floats(&s, s.T);

#pragma omp parallel for schedule(dynamic)
    for (int64_t task = 0; task < tasks; task++) {
        const struct room r = room_at(&s, s.T, (float *)y->scratch + omp_get_thread_num() * floats);
        const struct piece w = piece_at(&s, cut, task);

        back_piece(y, &s, &w, &r);
    }
}

static size_t back_scratch(const struct tensor *y, int threads)
{
    const struct heads s = heads_of(y);

    return (size_t)(room_floats(&s, s.T) * threads) * sizeof(float);
}

static double back_flops(const struct tensor *y)
{
    const struct heads s = heads_of(y);

    return 10.0 * (double)(s.N * s.T) * (double)(s.T * s.D);
}

static const struct op attention_dqkv = {
    .name = "attention_dqkv",
    .cpu = back_cpu,
    .scratch = back_scratch,
    .flops = back_flops,
};

struct tensor *attention_backward(struct graph *g, struct tensor *y)
{
    struct tensor *dx = record(g, &attention_dqkv, y->in[0]->shape, y->in[0], y, y->grad, y->side);

    dx->arg[0] = y->arg[0];
    dx->arg[1] = y->arg[1];
    return dx;
}
