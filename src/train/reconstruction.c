/*
 * reconstruction.c - how close an autoencoder comes to its pictures
 *
 *     loss = sum_pixels |x - y| + w_p H W C LPIPS(x, y)
 *
 * per picture, and the mean over pictures: the negative log likelihood of a Laplace law around y (a
 * normal one for squares), to which the KL divergence of the code stands in the proportion of a
 * variational bound.  A mean over pixels would look tidier and change with the size of the pictures
 * what a weight of the KL means: published weights (1e-6) are against sums.  The perceptual
 * distance, one number a picture, counts at every pixel for the same reason.
 *
 * Kingma and Welling 2014, (10); Esser et al. 2021; architectures.md 3.2.
 */
#include "train/reconstruction.h"

#include "ops/basic.h"
#include "ops/loss.h"

const char *pixel_distance_name(int i)
{
    static const char *const names[] = {"l1", "l2"};

    return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : NULL;
}

struct tensor *pixel_loss(struct graph *g, struct tensor *x, struct tensor *y,
                          enum pixel_distance how)
{
    double N = (double)x->shape.dim[0], each = (double)shape_count(x->shape) / N;

    if (how == PIXELS_L2)
        return op_affine(g, op_mse(g, x, y), each, 0);
    return op_affine(g, op_sum(g, op_abs(g, op_sub(g, x, y))), 1 / N, 0);
}

/* Mean square of what numbers `step` apart in a row differ: e [rows, n]. */
static struct tensor *differences(struct graph *g, struct tensor *e, int64_t step)
{
    int64_t n = shape_last(e->shape) - step;

    return op_mse(g, op_slice(g, e, step, n), op_slice(g, e, 0, n));
}

struct tensor *edge_loss(struct graph *g, struct tensor *x, struct tensor *y)
{
    int64_t N = x->shape.dim[0], H = x->shape.dim[1], W = x->shape.dim[2], C = x->shape.dim[3];
    struct tensor *e = op_sub(g, x, y);
    struct tensor *beside = differences(g, op_reshape(g, e, SHAPE(N * H, W * C)), C);
    struct tensor *below = differences(g, op_reshape(g, e, SHAPE(N, H * W * C)), W * C);

    return op_affine(g, op_add(g, beside, below), (double)(H * W * C), 0);
}

struct tensor *batch_mean(struct graph *g, struct tensor *each)
{
    return op_affine(g, op_sum(g, each), 1 / (double)each->shape.dim[0], 0);
}

struct tensor *perceptual_loss(struct graph *g, struct tensor *pixels, struct tensor *each,
                               double weight, int64_t numbers)
{
    return op_mix(g, pixels, batch_mean(g, each), 1, weight * (double)numbers);
}

struct tensor *scaled_loss(struct graph *g, struct tensor *loss, struct tensor *s, int64_t numbers)
{
    struct tensor *precise = op_mul(g, loss, op_exp(g, op_affine(g, s, -1, 0)));

    return op_mix(g, precise, s, 1, (double)numbers);
}
