/*
 * activation.c - pointwise non-linearities and softmax
 *
 * Each is a line of arithmetic on vec_exp and its kin (ops/vecmath.h), so that the loop is bound by
 * memory: 8 bytes an element forward, 12 backward.  The backward recomputes from x what it needs
 * rather than store it: an exponential costs less than four more bytes.  tanh and softmax have
 * slopes that are polynomials of their result, so their adjoints read y and let x die.
 *
 * GELU's tanh form is computed as x sigmoid(2 u), since (1 + tanh u) / 2 = sigmoid(2 u): the same
 * cost, and no cancellation for negative x.
 */
#include "ops/activation.h"

#include "base/simd.h"
#include "ops/rows.h"
#include "ops/vecmath.h"

static double ten_flops(const struct tensor *y)
{
    return 10 * (double)shape_count(y->shape);
}

/* --- the other GELUs and their slopes; the tanh form is in vecmath.h -------------------------- */

static inline float gelu_erf_of(float x)
{
    return 0.5f * x * (1.0f + vec_erf(x * 0.7071067812f));
}

static inline float gelu_erf_slope(float x)
{
    float half = 0.5f * vec_erf(x * 0.7071067812f) + 0.5f;

    return x * (0.3989422804f * vec_exp(-0.5f * x * x)) + half;
}

static inline float quick_gelu_of(float x)
{
    return x * vec_sigmoid(1.702f * x);
}

static inline float quick_gelu_slope(float x)
{
    float s = vec_sigmoid(1.702f * x), bend = 1.702f * x * (1.0f - s);

    return s * (1.0f + bend);
}

/* --- one in, one out -------------------------------------------------------------------------- */

IMGEN_CLONES static void silu_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = vec_silu(x[i]);
}

static void silu_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), silu_block);
}

IMGEN_CLONES static void silu_dx_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = dy[i] * vec_silu_slope(x[i]);
}

static void silu_dx_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), silu_dx_block);
}

static const struct op silu_dx = {
    .name = "silu_dx", .cpu = silu_dx_cpu, .flops = ten_flops, .inplace = 3};

static void silu_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record(g, &silu_dx, y->shape, y->in[0], y->grad, NULL, NULL));
}

static const struct op silu = {.name = "silu",
                               .cpu = silu_cpu,
                               .adjoint = silu_adjoint,
                               .again = record_again,
                               .flops = ten_flops,
                               .inplace = 1};

struct tensor *op_silu(struct graph *g, struct tensor *x)
{
    return record(g, &silu, x->shape, x, NULL, NULL, NULL);
}

IMGEN_CLONES static void gelu_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = vec_gelu(x[i]);
}

static void gelu_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), gelu_block);
}

IMGEN_CLONES static void gelu_dx_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = dy[i] * vec_gelu_slope(x[i]);
}

static void gelu_dx_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), gelu_dx_block);
}

static const struct op gelu_dx = {
    .name = "gelu_dx", .cpu = gelu_dx_cpu, .flops = ten_flops, .inplace = 3};

static void gelu_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record(g, &gelu_dx, y->shape, y->in[0], y->grad, NULL, NULL));
}

static const struct op gelu = {.name = "gelu",
                               .cpu = gelu_cpu,
                               .adjoint = gelu_adjoint,
                               .again = record_again,
                               .flops = ten_flops,
                               .inplace = 1};

struct tensor *op_gelu(struct graph *g, struct tensor *x)
{
    return record(g, &gelu, x->shape, x, NULL, NULL, NULL);
}

IMGEN_CLONES static void gelu_erf_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = gelu_erf_of(x[i]);
}

static void gelu_erf_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), gelu_erf_block);
}

IMGEN_CLONES static void gelu_erf_dx_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = dy[i] * gelu_erf_slope(x[i]);
}

static void gelu_erf_dx_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), gelu_erf_dx_block);
}

static const struct op gelu_erf_dx = {
    .name = "gelu_erf_dx", .cpu = gelu_erf_dx_cpu, .flops = ten_flops, .inplace = 3};

static void gelu_erf_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record(g, &gelu_erf_dx, y->shape, y->in[0], y->grad, NULL, NULL));
}

static const struct op gelu_erf = {.name = "gelu_erf",
                                   .cpu = gelu_erf_cpu,
                                   .adjoint = gelu_erf_adjoint,
                                   .again = record_again,
                                   .flops = ten_flops,
                                   .inplace = 1};

struct tensor *op_gelu_erf(struct graph *g, struct tensor *x)
{
    return record(g, &gelu_erf, x->shape, x, NULL, NULL, NULL);
}

IMGEN_CLONES static void quick_gelu_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = quick_gelu_of(x[i]);
}

static void quick_gelu_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), quick_gelu_block);
}

IMGEN_CLONES static void quick_gelu_dx_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = dy[i] * quick_gelu_slope(x[i]);
}

static void quick_gelu_dx_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), quick_gelu_dx_block);
}

static const struct op quick_gelu_dx = {
    .name = "quick_gelu_dx", .cpu = quick_gelu_dx_cpu, .flops = ten_flops, .inplace = 3};

static void quick_gelu_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record(g, &quick_gelu_dx, y->shape, y->in[0], y->grad, NULL, NULL));
}

static const struct op quick_gelu = {.name = "quick_gelu",
                                     .cpu = quick_gelu_cpu,
                                     .adjoint = quick_gelu_adjoint,
                                     .again = record_again,
                                     .flops = ten_flops,
                                     .inplace = 1};

struct tensor *op_quick_gelu(struct graph *g, struct tensor *x)
{
    return record(g, &quick_gelu, x->shape, x, NULL, NULL, NULL);
}

IMGEN_CLONES static void tanh_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = vec_tanh(x[i]);
}

static void tanh_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), tanh_block);
}

/* From t = tanh x: dx = dy (1 - t^2). */
IMGEN_CLONES static void tanh_dx_block(const struct tensor *y, struct block at)
{
    const float *t = y->in[0]->data, *dy = y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = dy[i] * (1.0f - t[i] * t[i]);
}

static void tanh_dx_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), tanh_dx_block);
}

static const struct op tanh_dx = {
    .name = "tanh_dx", .cpu = tanh_dx_cpu, .flops = ten_flops, .inplace = 3};

static void tanh_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record(g, &tanh_dx, y->shape, y, y->grad, NULL, NULL));
}

static const struct op hyperbolic_tangent = {
    .name = "tanh", .cpu = tanh_cpu, .adjoint = tanh_adjoint, .flops = ten_flops, .inplace = 1};

struct tensor *op_tanh(struct graph *g, struct tensor *x)
{
    return record(g, &hyperbolic_tangent, x->shape, x, NULL, NULL, NULL);
}

IMGEN_CLONES static void leaky_relu_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data, slope = (float)y->arg[0].f;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = x[i] > 0 ? x[i] : slope * x[i];
}

static void leaky_relu_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), leaky_relu_block);
}

IMGEN_CLONES static void leaky_relu_dx_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *out = y->data, slope = (float)y->arg[0].f;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = x[i] > 0 ? dy[i] : slope * dy[i];
}

static void leaky_relu_dx_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), leaky_relu_dx_block);
}

static const struct op leaky_relu_dx = {
    .name = "leaky_relu_dx", .cpu = leaky_relu_dx_cpu, .inplace = 3};

static void leaky_relu_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dx = record(g, &leaky_relu_dx, y->shape, y->in[0], y->grad, NULL, NULL);

    dx->arg[0] = y->arg[0];
    grad_add(g, y->in[0], dx);
}

static const struct op leaky_relu = {.name = "leaky_relu",
                                     .cpu = leaky_relu_cpu,
                                     .adjoint = leaky_relu_adjoint,
                                     .again = record_again,
                                     .inplace = 1};

struct tensor *op_leaky_relu(struct graph *g, struct tensor *x, double slope)
{
    struct tensor *y = record(g, &leaky_relu, x->shape, x, NULL, NULL, NULL);

    y->arg[0].f = slope;
    return y;
}

IMGEN_CLONES static void clamp_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data, low = (float)y->arg[0].f, high = (float)y->arg[1].f;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = x[i] > high ? high : x[i] < low ? low : x[i];
}

static void clamp_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), clamp_block);
}

IMGEN_CLONES static void clamp_dx_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *out = y->data, low = (float)y->arg[0].f, high = (float)y->arg[1].f;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = x[i] > high || x[i] < low ? 0.0f : dy[i];
}

static void clamp_dx_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), clamp_dx_block);
}

static const struct op clamp_dx = {.name = "clamp_dx", .cpu = clamp_dx_cpu, .inplace = 3};

static void clamp_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dx = record(g, &clamp_dx, y->shape, y->in[0], y->grad, NULL, NULL);

    dx->arg[0] = y->arg[0];
    dx->arg[1] = y->arg[1];
    grad_add(g, y->in[0], dx);
}

static const struct op clamp = {.name = "clamp",
                                .cpu = clamp_cpu,
                                .adjoint = clamp_adjoint,
                                .again = record_again,
                                .inplace = 1};

struct tensor *op_clamp(struct graph *g, struct tensor *x, double low, double high)
{
    struct tensor *y;

    MUST(low < high, "clamp: to %g .. %g", low, high);
    y = record(g, &clamp, x->shape, x, NULL, NULL, NULL);
    y->arg[0].f = low;
    y->arg[1].f = high;
    return y;
}
