/*
 * gate.c - gated linear units: half of a projection opens or closes the other half
 *
 * x holds [a | b] in each row, as one linear layer made it; the result is half as wide.  SwiGLU
 * (Shazeer 2020) is silu(a) b, GEGLU as Stable Diffusion uses it is a gelu(b) with the exact GELU.
 * One node reads the row once; as slice, slice, activation, product it would move five times the
 * bytes.
 */
#include "ops/activation.h"

#include "base/fetch.h"
#include "base/simd.h"
#include "ops/rows.h"
#include "ops/vecmath.h"

enum { AHEAD = 2 }; /* rows that are asked for: the halves take turns as streams */

static double ten_flops(const struct tensor *y)
{
    return 10 * (double)shape_count(y->shape);
}

static struct tensor *record_half(struct graph *g, const struct op *op, struct tensor *x)
{
    char s[SHAPE_TEXT];

    MUST(shape_last(x->shape) % 2 == 0, "%s: %s has no two halves", op->name,
         shape_text(s, x->shape));
    return record(g, op, shape_with_last(x->shape, shape_last(x->shape) / 2), x, NULL, NULL, NULL);
}

/* --- silu(a) b -------------------------------------------------------------------------------- */

IMGEN_CLONES static void swiglu_block(const struct tensor *y, struct block at)
{
    int64_t F = shape_last(y->shape);

    for (int64_t r = at.first; r < at.last; r++) {
        const float *a = (const float *)y->in[0]->data + r * 2 * F, *b = a + F;
        float *out = (float *)y->data + r * F;

        fetch_floats(a + AHEAD * 2 * F, 2 * F);
#pragma omp simd
        for (int64_t f = 0; f < F; f++)
            out[f] = a[f] * vec_sigmoid(a[f]) * b[f];
    }
}

static void swiglu_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), swiglu_block);
}

/* da = dy b silu'(a), db = dy silu(a). */
IMGEN_CLONES static void swiglu_dx_block(const struct tensor *y, struct block at)
{
    int64_t F = shape_last(y->shape) / 2;

    for (int64_t r = at.first; r < at.last; r++) {
        const float *a = (const float *)y->in[0]->data + r * 2 * F, *b = a + F;
        const float *dy = (const float *)y->in[1]->data + r * F;
        float *da = (float *)y->data + r * 2 * F, *db = da + F;

        fetch_floats(a + AHEAD * 2 * F, 2 * F);
        fetch_floats(dy + AHEAD * F, F);
#pragma omp simd
        for (int64_t f = 0; f < F; f++) {
            float x = a[f], s = vec_sigmoid(x), slope = s * (x * (1.0f - s) + 1.0f);
            float through = dy[f] * b[f];

            db[f] = dy[f] * (x * s);
            da[f] = through * slope;
        }
    }
}

static void swiglu_dx_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), swiglu_dx_block);
}

static const struct op swiglu_dx = {
    .name = "swiglu_dx", .cpu = swiglu_dx_cpu, .flops = ten_flops, .inplace = 1};

static void swiglu_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0];

    grad_add(g, x, record(g, &swiglu_dx, x->shape, x, y->grad, NULL, NULL));
}

static const struct op swiglu = {.name = "swiglu",
                                 .cpu = swiglu_cpu,
                                 .adjoint = swiglu_adjoint,
                                 .again = record_again,
                                 .flops = ten_flops};

struct tensor *op_swiglu(struct graph *g, struct tensor *x)
{
    return record_half(g, &swiglu, x);
}

/* --- a gelu(b) -------------------------------------------------------------------------------- */

IMGEN_CLONES static void geglu_block(const struct tensor *y, struct block at)
{
    int64_t F = shape_last(y->shape);

    for (int64_t r = at.first; r < at.last; r++) {
        const float *a = (const float *)y->in[0]->data + r * 2 * F, *b = a + F;
        float *out = (float *)y->data + r * F;

        fetch_floats(a + AHEAD * 2 * F, 2 * F);
#pragma omp simd
        for (int64_t f = 0; f < F; f++)
            out[f] = a[f] * (0.5f * b[f] * (1.0f + vec_erf(b[f] * 0.7071067812f)));
    }
}

static void geglu_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), geglu_block);
}

/* da = dy gelu(b), db = dy a gelu'(b), gelu'(b) = Phi(b) + b phi(b). */
IMGEN_CLONES static void geglu_dx_block(const struct tensor *y, struct block at)
{
    int64_t F = shape_last(y->shape) / 2;

    for (int64_t r = at.first; r < at.last; r++) {
        const float *a = (const float *)y->in[0]->data + r * 2 * F, *b = a + F;
        const float *dy = (const float *)y->in[1]->data + r * F;
        float *da = (float *)y->data + r * 2 * F, *db = da + F;

        fetch_floats(a + AHEAD * 2 * F, 2 * F);
        fetch_floats(dy + AHEAD * F, F);
#pragma omp simd
        for (int64_t f = 0; f < F; f++) {
            float x = b[f], through = dy[f] * a[f];
            float Phi = 0.5f * vec_erf(x * 0.7071067812f) + 0.5f;
            float phi = 0.3989422804f * vec_exp(-0.5f * x * x);

            da[f] = dy[f] * (x * Phi);
            db[f] = through * (x * phi + Phi);
        }
    }
}

static void geglu_dx_cpu(const struct tensor *y)
{
    each_block(y, rows_of(y->shape), geglu_dx_block);
}

static const struct op geglu_dx = {
    .name = "geglu_dx", .cpu = geglu_dx_cpu, .flops = ten_flops, .inplace = 1};

static void geglu_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0];

    grad_add(g, x, record(g, &geglu_dx, x->shape, x, y->grad, NULL, NULL));
}

static const struct op geglu = {.name = "geglu",
                                .cpu = geglu_cpu,
                                .adjoint = geglu_adjoint,
                                .again = record_again,
                                .flops = ten_flops};

struct tensor *op_geglu(struct graph *g, struct tensor *x)
{
    return record_half(g, &geglu, x);
}
