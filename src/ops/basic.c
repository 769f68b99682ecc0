/*
 * basic.c - arithmetic element by element
 *
 * These ops do one flop or two for each twelve bytes they move, so all that matters is to move the
 * bytes once, and to write over an input that nobody reads again (inplace): the cache line is then
 * already there.  A model's hot path should not meet them at all but use an op that fuses them;
 * they are for losses, skip connections and what is written once.
 *
 * In-place means that out may be a or b, so there is no `restrict`; `omp simd` tells the compiler
 * what is true all the same, that element i touches element i only.
 */
#include "ops/basic.h"

#include "base/simd.h"
#include "ops/rows.h"

static double one_flop(const struct tensor *y)
{
    return (double)shape_count(y->shape);
}

static double two_flops(const struct tensor *y)
{
    return 2 * one_flop(y);
}

static void must_same_shape(const char *name, const struct tensor *a, const struct tensor *b)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(shape_equal(a->shape, b->shape), "%s: %s and %s differ", name, shape_text(s, a->shape),
         shape_text(t, b->shape));
}

/* --- a + b, a - b, a * b: 12 bytes and 1 flop an element -------------------------------------- */

IMGEN_CLONES static void add_block(const struct tensor *y, struct block at)
{
    const float *a = y->in[0]->data, *b = y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = a[i] + b[i];
}

static void add_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), add_block);
}

static void add_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], y->grad);
    grad_add(g, y->in[1], y->grad);
}

static const struct op add = {
    .name = "add", .cpu = add_cpu, .adjoint = add_adjoint, .flops = one_flop, .inplace = 3};

struct tensor *op_add(struct graph *g, struct tensor *a, struct tensor *b)
{
    must_same_shape("add", a, b);
    return record(g, &add, a->shape, a, b, NULL, NULL);
}

IMGEN_CLONES static void sub_block(const struct tensor *y, struct block at)
{
    const float *a = y->in[0]->data, *b = y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = a[i] - b[i];
}

static void sub_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), sub_block);
}

static void sub_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], y->grad);
    if (y->in[1]->wants_grad)
        grad_add(g, y->in[1], op_affine(g, y->grad, -1, -0.0));
}

static const struct op sub = {
    .name = "sub", .cpu = sub_cpu, .adjoint = sub_adjoint, .flops = one_flop, .inplace = 3};

struct tensor *op_sub(struct graph *g, struct tensor *a, struct tensor *b)
{
    must_same_shape("sub", a, b);
    return record(g, &sub, a->shape, a, b, NULL, NULL);
}

IMGEN_CLONES static void mul_block(const struct tensor *y, struct block at)
{
    const float *a = y->in[0]->data, *b = y->in[1]->data;
    float *out = y->data;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = a[i] * b[i];
}

static void mul_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), mul_block);
}

static void mul_adjoint(struct graph *g, struct tensor *y)
{
    if (y->in[0]->wants_grad)
        grad_add(g, y->in[0], op_mul(g, y->grad, y->in[1]));
    if (y->in[1]->wants_grad)
        grad_add(g, y->in[1], op_mul(g, y->grad, y->in[0]));
}

static const struct op mul = {
    .name = "mul", .cpu = mul_cpu, .adjoint = mul_adjoint, .flops = one_flop, .inplace = 3};

struct tensor *op_mul(struct graph *g, struct tensor *a, struct tensor *b)
{
    must_same_shape("mul", a, b);
    return record(g, &mul, a->shape, a, b, NULL, NULL);
}

/* --- p a + q b: 12 bytes and 3 flops an element ----------------------------------------------- */

static double three_flops(const struct tensor *y)
{
    return 3 * one_flop(y);
}

/* As p (a + b q/p): a sum of two products could be fused either way round, and would have other
 * bits where the compiler chose differently for the end of a row. */
IMGEN_CLONES static void mix_block(const struct tensor *y, struct block at)
{
    const float *a = y->in[0]->data, *b = y->in[1]->data;
    float *out = y->data, p = (float)y->arg[0].f, ratio = (float)(y->arg[1].f / y->arg[0].f);

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = p * (b[i] * ratio + a[i]);
}

static void mix_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), mix_block);
}

static void mix_adjoint(struct graph *g, struct tensor *y)
{
    for (int k = 0; k < 2; k++)
        if (y->in[k]->wants_grad)
            grad_add(g, y->in[k], op_affine(g, y->grad, y->arg[k].f, -0.0));
}

static const struct op mix = {
    .name = "mix", .cpu = mix_cpu, .adjoint = mix_adjoint, .flops = three_flops, .inplace = 3};

struct tensor *op_mix(struct graph *g, struct tensor *a, struct tensor *b, double p, double q)
{
    struct tensor *y;

    must_same_shape("mix", a, b);
    MUST(p > 0 || p < 0, "mix: the first weight is %g", p);
    y = record(g, &mix, a->shape, a, b, NULL, NULL);
    y->arg[0].f = p;
    y->arg[1].f = q;
    return y;
}

/* --- a x + b: 8 bytes and 2 flops an element -------------------------------------------------- */

IMGEN_CLONES static void affine_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data, a = (float)y->arg[0].f, b = (float)y->arg[1].f;

#pragma omp simd
    for (int64_t i = at.first; i < at.last; i++)
        out[i] = x[i] * a + b;
}

static void affine_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), affine_block);
}

/* Adding -0 changes nothing, where adding 0 would change the sign of -0. */
static void affine_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], op_affine(g, y->grad, y->arg[0].f, -0.0));
}

static const struct op affine = {.name = "affine",
                                 .cpu = affine_cpu,
                                 .adjoint = affine_adjoint,
                                 .flops = two_flops,
                                 .inplace = 1};

struct tensor *op_affine(struct graph *g, struct tensor *x, double a, double b)
{
    struct tensor *y = record(g, &affine, x->shape, x, NULL, NULL, NULL);

    y->arg[0].f = a;
    y->arg[1].f = b;
    return y;
}

/* --- a constant: 4 bytes an element ----------------------------------------------------------- */

IMGEN_CLONES static void fill_block(const struct tensor *y, struct block at)
{
    float *out = y->data, value = (float)y->arg[0].f;

    for (int64_t i = at.first; i < at.last; i++)
        out[i] = value;
}

static void fill_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), fill_block);
}

static const struct op fill = {.name = "fill", .cpu = fill_cpu};

struct tensor *op_fill(struct graph *g, struct shape shape, double value)
{
    struct tensor *y = record(g, &fill, shape, NULL, NULL, NULL, NULL);

    y->arg[0].f = value;
    return y;
}
