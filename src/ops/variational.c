/*
 * variational.c - the loss that teaches a network the variance of a denoising step
 *
 * The noise loss says nothing about how uncertain the step from one index to the next is.  Improved
 * DDPM lets the network say it: the log variance is an interpolation between the two bounds that
 * theory knows, log b (if the data were pure noise) and log b~ (if they were one point), and is
 * trained by the variational bound of the likelihood,
 *
 *     KL(N(m, b~) | N(m^, s^2)) = (log s^2 - log b~ + (b~ + (m - m^)^2) / s^2 - 1) / 2
 *
 * at every index but the first, and there by the likelihood of the picture's own 256 levels under
 * N(m^, s^2).  m is the posterior mean given the picture, m^ the same with the predicted picture in
 * its place.  The predicted noise is taken as given, so that this loss, which is very uneven over
 * the indices, does not disturb the noise loss: only v has a gradient.
 *
 * Nichol and Dhariwal 2021, section 3.1; architectures.md 1.3.  Phi is the tanh formula that the
 * published code uses, since the networks were trained with it.  All of it in double: a sample's
 * sum is one thread's, in order, and the numbers are few.
 */
#include "ops/loss.h"

#include "ops/rows.h"

#include <math.h>

static const double log2_e = 1.44269504088896340736, half_level = 1.0 / 255, least = 1e-12;

static double hundred_flops(const struct tensor *y)
{
    return 100 * (double)shape_count(y->in[1]->shape);
}

static double phi(double x)
{
    return 0.5 * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static double phi_slope(double x)
{
    double h = tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x));

    return 0.5 * (1 - h * h) * 0.79788456080286535588 * (1 + 3 * 0.044715 * x * x);
}

/* Nats of one number and their derivative by the log variance. */
struct nats {
    double value, slope;
};

static struct nats divergence(double gap, double log_small, double log_variance)
{
    double ratio = exp(log_small - log_variance), square = gap * gap * exp(-log_variance);

    return (struct nats){0.5 * (log_variance - log_small + ratio + square - 1),
                         0.5 * (1 - ratio - square)};
}

/* -log of the probability of z's level; the outermost levels reach to infinity. */
static struct nats level(double z, double mean, double log_variance)
{
    double inverse = exp(-0.5 * log_variance);
    double up = inverse * (z - mean + half_level), down = inverse * (z - mean - half_level);
    bool first = z<-0.999, last = z> 0.999;
    double p = (last ? 1 : phi(up)) - (first ? 0 : phi(down));
    double slope = -0.5 * ((last ? 0 : up * phi_slope(up)) - (first ? 0 : down * phi_slope(down)));

    if (p <= least)
        return (struct nats){-log(least), 0};
    return (struct nats){-log(p), -slope / p};
}

/* Element i of a sample: channel c of pixel i / C. */
static struct nats element(const struct tensor *y, int64_t n, int64_t i)
{
    int64_t C = shape_last(y->in[1]->shape), at = i / C * 2 * C + i % C;
    int64_t length = shape_count(y->in[1]->shape) / y->in[1]->shape.dim[0];
    const float *says = (const float *)y->in[0]->data + n * 2 * length;
    const float *k = (const float *)y->in[3]->data + n * VB_NUMBERS;
    double x = (double)((const float *)y->in[1]->data)[n * length + i];
    double z = (double)((const float *)y->in[2]->data)[n * length + i];
    double guess = (double)k[VB_FROM_X] * x - (double)k[VB_FROM_NOISE] * (double)says[at];
    double share = 0.5 * ((double)says[at + C] + 1);
    double log_variance = share * (double)k[VB_LOG_LARGE] + (1 - share) * (double)k[VB_LOG_SMALL];
    struct nats d;

    if (k[VB_LAST] > 0)
        d = level(z, (double)k[VB_MEAN_DATA] * guess + (double)k[VB_MEAN_X] * x, log_variance);
    else
        d = divergence((double)k[VB_MEAN_DATA] * (z - guess), (double)k[VB_LOG_SMALL],
                       log_variance);
    d.slope *= 0.5 * ((double)k[VB_LOG_LARGE] - (double)k[VB_LOG_SMALL]);
    return d;
}

static struct row_blocks one_each(const struct tensor *samples)
{
    return (struct row_blocks){.samples = samples->shape.dim[0],
                               .rows = 1,
                               .width = shape_count(samples->shape) / samples->shape.dim[0],
                               .block = 1,
                               .blocks = 1};
}

static void variational_block(const struct tensor *y, struct block at)
{
    int64_t length = shape_count(y->in[1]->shape) / y->in[1]->shape.dim[0];
    double sum = 0;

    for (int64_t i = 0; i < length; i++)
        sum += element(y, at.sample, i).value;
    ((float *)y->data)[at.sample] = (float)(sum / (double)length * log2_e);
}

static void variational_cpu(const struct tensor *y)
{
    each_block(y, one_each(y->in[1]), variational_block);
}

/* The slope by v, 0 by the noise; what comes from above is multiplied in by another op. */
static void variational_dy_block(const struct tensor *y, struct block at)
{
    int64_t C = shape_last(y->in[1]->shape);
    int64_t length = shape_count(y->in[1]->shape) / y->in[1]->shape.dim[0];
    float *out = (float *)y->data + at.sample * 2 * length;

    for (int64_t i = 0; i < length; i++) {
        out[i / C * 2 * C + i % C] = 0;
        out[i / C * 2 * C + C + i % C] =
            (float)(element(y, at.sample, i).slope / (double)length * log2_e);
    }
}

static void variational_dy_cpu(const struct tensor *y)
{
    each_block(y, one_each(y->in[1]), variational_dy_block);
}

static const struct op variational_dy = {
    .name = "variational_dy", .cpu = variational_dy_cpu, .flops = hundred_flops};

static void variational_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *dy =
        record(g, &variational_dy, y->in[0]->shape, y->in[0], y->in[1], y->in[2], y->in[3]);

    grad_add(g, y->in[0], op_scale_samples(g, dy, y->grad));
}

static const struct op variational = {.name = "variational",
                                      .cpu = variational_cpu,
                                      .adjoint = variational_adjoint,
                                      .flops = hundred_flops};

struct tensor *op_variational(struct graph *g, struct tensor *y, struct tensor *x, struct tensor *z,
                              struct tensor *numbers)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];

    MUST(x->shape.rank >= 2 && shape_equal(x->shape, z->shape) &&
             shape_equal(y->shape, shape_with_last(x->shape, 2 * shape_last(x->shape))) &&
             shape_equal(numbers->shape, SHAPE(x->shape.dim[0], VB_NUMBERS)),
         "variational: %s does not say noise and variance of %s", shape_text(a, y->shape),
         shape_text(b, x->shape));
    return record(g, &variational, SHAPE(x->shape.dim[0]), y, x, z, numbers);
}
