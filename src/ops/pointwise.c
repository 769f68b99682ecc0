/*
 * pointwise.c - functions of single numbers that losses are made of
 *
 * Losses work on few numbers beside a network, so these are the obvious loops over libm, in double
 * inside: a root of a small sum of squares and a logarithm near 1 keep all the digits float32 has.
 * All share one kernel and one adjoint; a function is its value and its slope, both from x.
 */
#include "ops/loss.h"

#include "ops/rows.h"

#include <math.h>

/* y->arg[0].f is the function's own constant, y->arg[1].i its number. */
typedef double real_function(double x, double p);

static double abs_of(double x, double p)
{
    (void)p;
    return fabs(x);
}

static double abs_slope(double x, double p)
{
    (void)p;
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

static double exp_of(double x, double p)
{
    (void)p;
    return exp(x);
}

static double softplus_of(double x, double p)
{
    (void)p;
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double softplus_slope(double x, double p)
{
    (void)p;
    return x > 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double power_of(double x, double p)
{
    return pow(x, p);
}

static double power_slope(double x, double p)
{
    return p * pow(x, p - 1);
}

enum { ABS, EXP, SOFTPLUS, POWER };
static const struct {
    real_function *of, *slope;
} functions[] = {
    [ABS] = {abs_of, abs_slope},
    [EXP] = {exp_of, exp_of},
    [SOFTPLUS] = {softplus_of, softplus_slope},
    [POWER] = {power_of, power_slope},
};

static double twenty_flops(const struct tensor *y)
{
    return 20 * (double)shape_count(y->shape);
}

static void value_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data;
    float *out = y->data;

    for (int64_t i = at.first; i < at.last; i++)
        out[i] = (float)functions[y->arg[1].i].of((double)x[i], y->arg[0].f);
}

static void value_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), value_block);
}

static void slope_block(const struct tensor *y, struct block at)
{
    const float *x = y->in[0]->data, *dy = y->in[1]->data;
    float *out = y->data;

    for (int64_t i = at.first; i < at.last; i++)
        out[i] = (float)((double)dy[i] * functions[y->arg[1].i].slope((double)x[i], y->arg[0].f));
}

static void slope_cpu(const struct tensor *y)
{
    each_block(y, elements_of(y->shape), slope_block);
}

static const struct op pointwise_dx = {
    .name = "pointwise_dx", .cpu = slope_cpu, .flops = twenty_flops, .inplace = 3};

static void pointwise_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dx = record(g, &pointwise_dx, y->shape, y->in[0], y->grad, NULL, NULL);

    dx->arg[0] = y->arg[0];
    dx->arg[1] = y->arg[1];
    grad_add(g, y->in[0], dx);
}

static const struct op pointwise = {.name = "pointwise",
                                    .cpu = value_cpu,
                                    .adjoint = pointwise_adjoint,
                                    .flops = twenty_flops,
                                    .inplace = 1};

static struct tensor *apply(struct graph *g, struct tensor *x, int function, double p)
{
    struct tensor *y = record(g, &pointwise, x->shape, x, NULL, NULL, NULL);

    y->arg[0].f = p;
    y->arg[1].i = function;
    return y;
}

struct tensor *op_abs(struct graph *g, struct tensor *x)
{
    return apply(g, x, ABS, 0);
}

struct tensor *op_exp(struct graph *g, struct tensor *x)
{
    return apply(g, x, EXP, 0);
}

struct tensor *op_softplus(struct graph *g, struct tensor *x)
{
    return apply(g, x, SOFTPLUS, 0);
}

struct tensor *op_power(struct graph *g, struct tensor *x, double p)
{
    return apply(g, x, POWER, p);
}
