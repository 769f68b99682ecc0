/*
 * rope.c - rotary positions on the packed projection
 *
 * Turning each pair of channels of q and k by an angle proportional to the position makes q k^T
 * depend on the difference of positions (Su et al. 2021, "RoFormer").  The angles come as tables of
 * cosines and sines, one number a channel, because how many axes there are and how they share the
 * channels is the model's choice.
 *
 * It works on [q | k | v] as the projection wrote it and may write where it reads, so nothing is
 * split, copied or joined again.  v passes through.  The tables may disagree within a pair, so the
 * adjoint is written as the transpose and not as the turn back:
 *
 *     y0 = x0 c0 - x1 s0        dx0 = dy0 c0 + dy1 s1
 *     y1 = x1 c1 + x0 s1        dx1 = dy1 c1 - dy0 s0
 */
#include "ops/attention.h"

#include "base/error.h"
#include "base/simd.h"
#include "ops/rows.h"

#include <string.h>

/* One row of q and k, heads * d channels at x and out, which may be the same; c, s: [d]. */
static inline void turn(float *out, const float *x, const float *c, const float *s, int64_t heads,
                        int64_t d)
{
    for (int64_t h = 0; h < heads; h++, x += d, out += d) {
#pragma omp simd
        for (int64_t i = 0; i < d; i += 2) {
            const float a = x[i], b = x[i + 1];

            out[i] = a * c[i] - b * s[i];
            out[i + 1] = b * c[i + 1] + a * s[i + 1];
        }
    }
}

static inline void turn_transposed(float *out, const float *x, const float *c, const float *s,
                                   int64_t heads, int64_t d)
{
    for (int64_t h = 0; h < heads; h++, x += d, out += d) {
#pragma omp simd
        for (int64_t i = 0; i < d; i += 2) {
            const float a = x[i], b = x[i + 1];

            out[i] = a * c[i] + b * s[i + 1];
            out[i + 1] = b * c[i + 1] - a * s[i];
        }
    }
}

/* 8 bytes and 3 flops a channel of q and k. */
static inline void rope_rows(const struct tensor *y, struct block at, bool transposed)
{
    const int64_t T = y->shape.dim[1], D = y->shape.dim[2] / 3, d = D / y->arg[0].i;
    const float *cos = y->in[1]->data, *sin = y->in[2]->data;

    for (int64_t i = at.first; i < at.last; i++) {
        const float *x = (const float *)y->in[0]->data + i * 3 * D;
        const float *c = cos + i % T * d, *s = sin + i % T * d;
        float *out = (float *)y->data + i * 3 * D;

        if (transposed)
            turn_transposed(out, x, c, s, 2 * y->arg[0].i, d);
        else
            turn(out, x, c, s, 2 * y->arg[0].i, d);
        if (out != x)
            memcpy(out + 2 * D, x + 2 * D, (size_t)D * sizeof(float));
    }
}

IMGEN_CLONES static void rope_block(const struct tensor *y, struct block at)
{
    rope_rows(y, at, false);
}

IMGEN_CLONES static void rope_dx_block(const struct tensor *y, struct block at)
{
    rope_rows(y, at, true);
}

static void rope_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), rope_block);
}

static void rope_dx_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), rope_dx_block);
}

static const struct op rope_dx = {.name = "rope_dx", .cpu = rope_dx_cpu, .inplace = 1};

static void rope_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dx = record(g, &rope_dx, y->shape, y->grad, y->in[1], y->in[2], NULL);

    dx->arg[0] = y->arg[0];
    grad_add(g, y->in[0], dx);
}

static const struct op rope = {
    .name = "rope",
    .cpu = rope_cpu,
    .adjoint = rope_adjoint,
    .again = record_again_after,
    .inplace = 1,
};

struct tensor *op_rope(struct graph *g, struct tensor *qkv, int64_t heads, struct tensor *cos,
                       struct tensor *sin)
{
    char packed[SHAPE_TEXT], table[SHAPE_TEXT];
    struct tensor *y;

    MUST(qkv->shape.rank == 3 && heads > 0 && shape_last(qkv->shape) % (6 * heads) == 0 &&
             shape_equal(cos->shape,
                         SHAPE(qkv->shape.dim[1], shape_last(qkv->shape) / (3 * heads))) &&
             shape_equal(cos->shape, sin->shape),
         "packed %s, %d heads, tables %s", shape_text(packed, qkv->shape), (int)heads,
         shape_text(table, cos->shape));
    y = record(g, &rope, qkv->shape, qkv, cos, sin, NULL);
    y->arg[0].i = heads;
    return y;
}
