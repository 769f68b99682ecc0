/*
 * attention_bf16.c - the two products of attention with factors of 8 significant bits
 *
 * Where layers are computed in bf16 or in bytes, attention in float32 is a third of a step, and
 * four fifths of that are its products.  Here their factors are rounded to bf16 and their sums stay
 * float32, on the panel kernel that linear layers use:
 *
 *     S^T [keys, 64] = K [keys, d / 2 words] Q [d / 2 words, 64]      keys as rows, queries across
 *     O [queries, d] += P [queries, keys / 2 words] V [keys / 2 words, d]
 *
 * A word holds two neighbours along the sum, and which two are neighbours is free as long as both
 * factors agree.  Along channels, c and c + d / 2 are: the halves of a row of K, two rows of Q^T.
 * Along keys, 2 j and 2 j + 1 are: two rows of P^T, two of V.  So nothing is shuffled, and a tile
 * of floats becomes words where it lies.  The softmax between them stays as it is: maxima,
 * exponentials and the sums that divide the row are float32.
 *
 * What it costs: with u = 2^-9, a score is off by 2 u sum |q_c k_c|, and each of the products p v
 * by 2 u of itself.  Why not bytes, which would be twice as fast again: P has one large number a
 * row and many small ones that matter together, so a step common to a row is too coarse for them.
 *
 * Not for tapes that want a gradient: the backward makes the probabilities once more, from scores
 * that would have to be rounded in the same way, and its other products are of float32.  Not where
 * the processor has to widen bf16 to multiply it, for it would be slower than float32.  Small heads
 * and few rows stay as well: a panel has 64 columns, of which heads of 16 would use a quarter.
 */
#include "backend/cpu/words.h"
#include "base/memory.h"
#include "base/whole.h"
#include "ops/attention.h"
#include "ops/attention_tiles.h"

#include <math.h>
#include <omp.h>

enum {
    REDUCED_CHANNELS = 32,   /* of a head, at least; fewer fill too little of a panel   */
    REDUCED_ROWS = 32,       /* of a sample, as of a linear layer                       */
    BLOCK_FLOATS = 80 << 10, /* of a task's results                                     */
    SHARE = 4,               /* tasks wanted for each thread                            */
};

static bool is_reduced(const struct graph *g, const struct tensor *y)
{
    const struct heads s = heads_of(y);
    const bool large = s.d >= REDUCED_CHANNELS && s.d % 2 == 0 && s.T >= REDUCED_ROWS;

    return graph_precision(g) != PRECISION_FLOAT32 && large && !y->side &&
           !panel_engine(PRECISION_BF16)->widens;
}

enum precision attention_precision(const struct graph *g, const struct tensor *y)
{
    return is_reduced(g, y) ? PRECISION_BF16 : PRECISION_FLOAT32;
}

/* Queries of a task: keys are rounded once for each, so as many as the second-level cache holds
 * with their results, but a few tasks for each thread. */
static int64_t block_of(const struct heads *s, int threads)
{
    const int64_t tasks = whole_max(s->N * s->heads, 1);
    const int64_t most = whole_max(BLOCK_FLOATS / s->d, ATTN_BLOCK);
    const int64_t parts = whole_max(whole_parts(s->T, most), whole_parts(SHARE * threads, tasks));

    return whole_parts(whole_parts(s->T, parts), ATTN_QUERIES) * ATTN_QUERIES;
}

enum status heads_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    struct heads_reduced r = {.pairs = panel_engine(PRECISION_BF16)};
    const struct heads s = heads_of(y);
    enum status st;

    if (!is_reduced(g, y))
        return OK;
    r.block = block_of(&s, omp_get_max_threads());
    if (!(st = mem_new(&y->state, 1, sizeof r, "an attention", err)))
        *(struct heads_reduced *)y->state = r;
    return st;
}

void heads_round_queries(const struct heads *s, float *q_across)
{
    const int64_t half = s->d / 2;

    words_pairs((panel_word *)q_across, ATTN_QUERIES, q_across, ATTN_QUERIES, half * ATTN_QUERIES,
                half, ATTN_QUERIES);
}

void heads_round_keys(const struct heads *s, float *k, float *v, int64_t keys)
{
    const int64_t half = s->d / 2;

    if (keys % 2)
        memset(v + keys * s->padded, 0, (size_t)s->padded * sizeof *v);
    words_pairs((panel_word *)k, half, k, s->padded, half, keys, half);
    words_pairs((panel_word *)v, s->padded, v, 2 * s->padded, s->padded, (keys + 1) / 2, s->d);
}

void heads_scores_bf16(const struct heads *s, int64_t h, float *scores, float *k, float *q_across,
                       struct tile_place at)
{
    struct panel_product p = {
        .c = (panel_word *)scores,
        .c_row = ATTN_QUERIES,
        .a = (const panel_word *)k,
        .a_row = s->d / 2,
        .a_word = 1,
        .b = (const panel_word *)q_across,
        .b_word = ATTN_QUERIES,
        .m = at.keys,
        .words = s->d / 2,
    };

    if (s->bias) {
        tile_transpose(tile_rows(scores, ATTN_QUERIES),
                       s->bias + (h * s->T + at.query) * s->S + at.key, s->S, at.queries, at.keys,
                       (float)M_LOG2E);
        p.d = p.c;
        p.d_row = p.c_row;
    }
    s->pairs->mul(&p);
}

void heads_mix_bf16(const struct heads *s, float *out, float *p, float *v, struct tile_place at,
                    bool add)
{
    const int64_t words = (at.keys + 1) / 2;
    struct panel_product o = {
        .c_row = s->padded,
        .d_row = s->padded,
        .a = (const panel_word *)p,
        .a_row = 1,
        .a_word = ATTN_QUERIES,
        .b_word = s->padded,
        .m = at.queries,
        .words = words,
    };

    if (at.keys % 2)
        memset(p + at.keys * ATTN_QUERIES, 0, ATTN_QUERIES * sizeof *p);
    words_pairs((panel_word *)p, ATTN_QUERIES, p, 2 * ATTN_QUERIES, ATTN_QUERIES, words,
                tile_padded(at.queries));
    for (int64_t j = 0; j < s->padded; j += PANEL_COLS) {
        o.c = (panel_word *)out + j;
        o.d = add ? o.c : NULL;
        o.b = (const panel_word *)v + j;
        s->pairs->mul(&o);
    }
}
