/*
 * attention_identity.c - attention whose map is the identity: every token keeps its own value
 *
 * Perturbed-attention guidance asks a network what it would predict if some of its layers could not
 * compare tokens (Ahn et al. 2024, "Self-rectifying diffusion sampling with perturbed-attention
 * guidance", equation 16): softmax(q k^T / sqrt d) becomes I, and I v = v.  No kernel is needed,
 * only the way to v through the order of the packed channels; q and k are computed and not read.
 * It stands beside op_attention, and not inside as a flag, so that a tape says which one it has and
 * a plan made for one is never taken for the other.
 */
#include "ops/attention.h"

#include "ops/basic.h"

struct tensor *op_attention_identity(struct graph *g, struct tensor *qkv, int64_t heads,
                                     enum qkv_order order)
{
    struct shape s = qkv->shape;
    int64_t D = shape_last(s) / 3, d = D / heads, rows;
    struct tensor *v;

    MUST(shape_last(s) == 3 * d * heads, "%d packed channels are not 3 times %d heads",
         (int)shape_last(s), (int)heads);
    if (order == QKV_SPLIT)
        return op_slice(g, qkv, 2 * D, D);
    rows = shape_count(s) / (3 * d);
    v = op_slice(g, op_reshape(g, qkv, SHAPE(rows, 3 * d)), 2 * d, d);
    return op_reshape(g, v, shape_with_last(s, D));
}
