/*
 * attention.h - softmax(q k^T / sqrt(d)) v, never materialising T x T
 */
#ifndef IMGEN_OPS_ATTENTION_H
#define IMGEN_OPS_ATTENTION_H

#include "graph/graph.h"

/* How the 3 D channels of a packed projection are ordered, d = D / heads. */
enum qkv_order {
    QKV_SPLIT,   /* [q: all heads | k: all heads | v: all heads]   (DiT; ADM "new order")   */
    QKV_PERHEAD, /* [head 0: q k v | head 1: q k v | ...]           (ADM "legacy order")    */
};

/* qkv [N, T, 3 D] -> [N, T, D], heads concatenated; any T, D a multiple of heads.  Dao et al. 2022
 * for the tiling.  Where a gradient is wanted, the rows' maxima of log2(e) q k^T / sqrt(d) and the
 * reciprocals of their sums are the side result, [N, heads, 2, T], for the backward.  4 T^2 D flops
 * a sample, 10 T^2 D for the gradient; scratch a thread: some 0.2 MB, and 16 T d bytes more in the
 * backward.  A sample's bits depend on itself alone. */
struct tensor *op_attention(struct graph *g, struct tensor *qkv, int64_t heads,
                            enum qkv_order order);

/* The same where not every key counts.  mask: int32 [N, M], M <= T, for the first M rows of a
 * sample: 0 where nobody attends to that row; the rows past M always count; NULL: all do.  The bits
 * of a result are those without the masked rows; a row that may attend to nothing gives 0.  Masked
 * rows ask like any other. */
struct tensor *op_attention_masked(struct graph *g, struct tensor *qkv, struct tensor *mask,
                                   int64_t heads, enum qkv_order order);

/* Attention to another sequence.  q [N, T, D], kv [N, S, 2 D] as [k: all heads | v: all heads],
 * mask as above over the S keys, or NULL -> [N, T, D].  4 T S D flops a sample. */
struct tensor *op_attention_cross(struct graph *g, struct tensor *q, struct tensor *kv,
                                  struct tensor *mask, int64_t heads);

/* The precision of the factors of y, a result of one of these, in this graph: bf16 where the graph
 * has bf16 or int8, no gradient is wanted, the processor multiplies bf16, and heads of 32 channels
 * or more, an even number, ask for 32 rows or more. */
enum precision attention_precision(const struct graph *g, const struct tensor *y);

/* What the scores of an attention may have besides. */
struct attention_form {
    double scale;        /* of q k^T; 0 stands for 1 / sqrt(d)                                   */
    struct tensor *bias; /* [heads, T, S], added to the scaled scores of every sample, or NULL   */
    bool causal;         /* query i sees the keys 0 .. i alone; S = T                            */
};
/* op_attention_cross with these, every key counting.  The bias is read a tile at a time, and its
 * gradient, where one is wanted, costs 4 T S D flops a sample more. */
struct tensor *op_attention_formed(struct graph *g, struct tensor *q, struct tensor *kv,
                                   int64_t heads, const struct attention_form *form);

/* The same with the identity in the place of the map: v [N, T, D], heads concatenated.  Ahn et al.
 * 2024.  qkv and order as above; no flops. */
struct tensor *op_attention_identity(struct graph *g, struct tensor *qkv, int64_t heads,
                                     enum qkv_order order);

/* Root-mean-square norm of each head's q and k (QK-norm), in packed qkv of order QKV_SPLIT.
 * q_weight, k_weight: [d].  v passes through. */
struct tensor *op_qk_norm(struct graph *g, struct tensor *qkv, int64_t heads,
                          struct tensor *q_weight, struct tensor *k_weight, double eps);

/* Rotary positions of q and k in packed qkv (QKV_SPLIT): x cos + rot(x) sin for adjacent pairs,
 * rot(x)_{2j} = -x_{2j+1}, rot(x)_{2j+1} = x_{2j}.  cos, sin: [T, d], not differentiated.
 * Su et al. 2021. */
struct tensor *op_rope(struct graph *g, struct tensor *qkv, int64_t heads, struct tensor *cos,
                       struct tensor *sin);

#endif
