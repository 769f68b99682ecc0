/*
 * outlier.c - what latents cost that stand far out among those of their picture
 *
 * An autoencoder that is to keep what concerns the whole picture likes to store it in a few places
 * of the latent, with numbers far larger than all others.  Decoded, they show as spots, and a
 * generator has them to learn as well.  The penalty counts by how much a place's vector leaves a
 * ball around the picture's mean whose radius is `reach` times the length of the deviations; inside
 * it costs nothing.  Polyak et al. 2024, section 3.1.2; movie-gen.md 2.3.
 *
 * How the paper's mean and deviation are meant is not written; they are read here as a vector of
 * one number a channel, which is what their lengths make sense of.
 *
 * All of it is ops that exist, on latents, which are small.  EPS keeps the slope of a root finite
 * where a latent is constant: far below what any length here is compared with.
 */
#include "train/outlier.h"

#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/linear.h"
#include "ops/loss.h"

static const double EPS = 1e-12;

/* The length of each row, [..., C] -> [..., 1]. */
static struct tensor *lengths(struct graph *g, struct tensor *squares)
{
    struct tensor *ones = op_fill(g, SHAPE(1, shape_last(squares->shape)), 1);

    squares = op_linear(g, squares, ones, NULL, ACT_NONE);
    return op_power(g, op_affine(g, squares, 1, EPS), 0.5);
}

struct tensor *outlier_loss(struct graph *g, struct tensor *z, double reach)
{
    struct shape s = z->shape;
    int64_t P = s.dim[s.rank - 3] * s.dim[s.rank - 2], C = shape_last(s);
    int64_t N = shape_count(s) / (P * C);
    struct tensor *centred, *squares, *radius;

    z = op_reshape(g, z, SHAPE(N, P, C));
    centred = op_add_vec(g, z, op_affine(g, op_sum_inner(g, z), -1 / (double)P, 0));
    squares = op_mul(g, centred, centred);
    radius = lengths(g, op_affine(g, op_sum_inner(g, squares), 1 / (double)P, 0));
    z = op_add_vec(g, lengths(g, squares), op_affine(g, radius, -reach, 0));
    return op_affine(g, op_sum(g, op_leaky_relu(g, z, 0)), 1 / (double)(N * P), 0);
}
