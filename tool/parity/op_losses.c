/*
 * op_losses.c - builders of the cases that are losses, for parity_ops.c
 *
 * Each is recorded from the library's ops as a trainer would; what the trainers of this project do
 * with numbers of the host (gains, targets) is taken from the library too, so that the case tests
 * it.  Means are over all elements unless said.
 */
#include "op_case.h"

#include "diffusion/objective.h"
#include "ops/activation.h"
#include "ops/basic.h"
#include "ops/cross_entropy.h"
#include "ops/loss.h"
#include "ops/resample.h"

#include <string.h>

static struct tensor *mean_of(struct graph *g, struct tensor *x)
{
    return op_affine(g, op_sum(g, x), 1 / (double)shape_count(x->shape), 0);
}

/* Two inputs of one shape; false with the case failed. */
static bool take_two(struct op_case *c, struct tensor *out[2], const char *a, const char *b,
                     enum case_layout layout)
{
    out[0] = case_input(c, a, layout);
    out[1] = case_input(c, b, layout);
    return !c->status && case_need(c,
                                   out[0]->shape.rank > 0 && shape_count(out[0]->shape) > 0 &&
                                       shape_equal(out[0]->shape, out[1]->shape),
                                   "two inputs of one shape");
}

static struct tensor *build_mse(struct op_case *c)
{
    struct tensor *in[2];

    return take_two(c, in, "x", "target", CASE_PLAIN) ? op_mse(c->graph, in[0], in[1]) : NULL;
}

static struct tensor *build_l1(struct op_case *c)
{
    struct tensor *in[2];

    if (!take_two(c, in, "x", "target", CASE_PLAIN))
        return NULL;
    return mean_of(c->graph, op_abs(c->graph, op_sub(c->graph, in[0], in[1])));
}

static struct tensor *build_cross_entropy(struct op_case *c)
{
    struct tensor *z = case_input(c, "z", CASE_PLAIN), *y;

    if (c->status || !case_need(c, z->shape.rank == 2 && shape_count(z->shape) > 0, "z [N, K]"))
        return NULL;
    y = case_indices(c, "labels", shape_last(z->shape));
    if (!y || !case_need(c, shape_equal(y->shape, SHAPE(z->shape.dim[0])), "a label for each row"))
        return NULL;
    return mean_of(c->graph, op_cross_entropy(c->graph, z, y));
}

/* sqrt(|d|^2 + c^2) - c of each sample, mean over samples. */
static struct tensor *build_huber(struct op_case *c)
{
    double k = case_real(c, "c");
    struct graph *g = c->graph;
    struct tensor *in[2], *d;
    int64_t N;

    if (!take_two(c, in, "x", "target", CASE_PLAIN) || !case_need(c, k > 0, "c above 0"))
        return NULL;
    N = in[0]->shape.dim[0];
    d = op_sub(g, in[0], in[1]);
    d = op_reshape(g, op_mul(g, d, d), SHAPE(N, shape_count(d->shape) / N, 1));
    return op_affine(g, mean_of(g, op_power(g, op_affine(g, op_sum_inner(g, d), 1, k * k), 0.5)), 1,
                     -k);
}

/* (mean max(0, 1 - r) + mean max(0, 1 + f)) / 2. */
static struct tensor *build_hinge(struct op_case *c)
{
    struct graph *g = c->graph;
    struct tensor *in[2], *real, *fake;

    if (!take_two(c, in, "r", "f", CASE_PLAIN))
        return NULL;
    real = mean_of(g, op_leaky_relu(g, op_affine(g, in[0], -1, 1), 0));
    fake = mean_of(g, op_leaky_relu(g, op_affine(g, in[1], 1, 1), 0));
    return op_affine(g, op_add(g, real, fake), 0.5, 0);
}

static struct tensor *build_softplus(struct op_case *c)
{
    struct tensor *f = case_input(c, "f", CASE_PLAIN);

    return f ? mean_of(c->graph, op_softplus(c->graph, op_affine(c->graph, f, -1, 0))) : NULL;
}

/* sum (m^2 + e^v - 1 - v) / 2 over a sample's pixels and channels, mean over samples. */
static struct tensor *build_kl(struct op_case *c)
{
    struct graph *g = c->graph;
    struct tensor *m = case_input(c, "m", CASE_PICTURE), *half[2], *sum;

    if (c->status || !case_need(c, m->shape.rank == 4 && m->shape.dim[3] % 2 == 0,
                                "m [N, 2 C, H, W]: means and log variances"))
        return NULL;
    op_chunk(g, m, 2, half);
    sum = op_add(g, op_mul(g, half[0], half[0]), op_sub(g, op_exp(g, half[1]), half[1]));
    return op_affine(g, op_sum(g, op_affine(g, sum, 0.5, -0.5)), 1 / (double)m->shape.dim[0], 0);
}

/* Mean |x[i + step] - x[i]| along one side of a picture, as rows of `row` numbers. */
static struct tensor *steepness(struct graph *g, struct tensor *d, int64_t row, int64_t step)
{
    int64_t n = shape_count(d->shape);
    struct tensor *rows = op_reshape(g, d, SHAPE(n / row, row));

    return mean_of(g, op_abs(g, op_sub(g, op_slice(g, rows, step, row - step),
                                       op_slice(g, rows, 0, row - step))));
}

/* Over `levels` sizes, each half the one before: steepness of the difference, across and down. */
static struct tensor *build_multiscale(struct op_case *c)
{
    int64_t levels = case_int(c, "levels", 1, 8);
    struct graph *g = c->graph;
    struct tensor *in[2], *d, *sum = NULL;

    if (!take_two(c, in, "x", "target", CASE_PICTURE) ||
        !case_need(c,
                   in[0]->shape.rank == 4 && in[0]->shape.dim[1] % (1 << (levels - 1)) == 0 &&
                       in[0]->shape.dim[2] % (1 << (levels - 1)) == 0,
                   "pictures that can be halved so often"))
        return NULL;
    d = op_sub(g, in[0], in[1]);
    for (int64_t k = 0; k < levels; k++) {
        int64_t H = d->shape.dim[1], W = d->shape.dim[2], C = d->shape.dim[3];
        struct tensor *both =
            op_add(g, steepness(g, d, W * C, C), steepness(g, d, H * W * C, W * C));

        sum = sum ? op_add(g, sum, both) : both;
        if (k + 1 < levels)
            d = op_avgpool2(g, d);
    }
    return sum;
}

static struct tensor *build_cosine(struct op_case *c)
{
    struct tensor *in[2];

    if (!take_two(c, in, "h", "t", CASE_PLAIN))
        return NULL;
    return op_affine(c->graph, op_cosine(c->graph, in[0], in[1]), -1, 0);
}

/* The network's data graded by its velocity, z = t x1 + (1 - t) x0: gains and targets as training
 * draws them. */
static struct tensor *build_data_velocity(struct op_case *c)
{
    struct objective o = {
        .predicts = PREDICT_DATA,
        .graded_as = 1 + PREDICT_VELOCITY,
        .floor = case_real(c, "t_floor"),
    };
    const struct precondition none = {0};
    struct graph *g = c->graph;
    struct tensor *t = case_input(c, "t", CASE_PLAIN), *in[2];
    struct parity_array times;
    struct path path;
    float *number[3];
    char key[256];

    if (!take_two(c, in, "xhat", "x1", CASE_PLAIN) ||
        !case_need(c, shape_equal(t->shape, SHAPE(in[0]->shape.dim[0])), "a time for each sample"))
        return NULL;
    snprintf(key, sizeof key, "%s.in.t", c->name);
    if ((c->status = fixture_f32(c->fixture, &times, c->part, key, c->err)) ||
        (c->status = path_init(&path, "condot", c->err)))
        return NULL;
    for (int k = 0; k < 3; k++)
        if ((c->status = fixture_new(c->fixture, (void **)&number[k], (uint64_t)times.n,
                                     sizeof(float), c->err)))
            return NULL;
    for (int64_t i = 0; i < times.n; i++) {
        struct grading grading;
        struct path_coefs at;

        if (!case_need(c, times.v[i] >= 0 && times.v[i] <= 1, "times in 0 .. 1"))
            return NULL;
        at = path_at(&path, (double)times.v[i]);
        if ((c->status = objective_at(&grading, &o, &none, &path, &at, c->err)))
            return NULL;
        number[0][i] = (float)grading.gain;
        number[1][i] = (float)grading.of_z;
        number[2][i] = (float)grading.of_eps;
    }
    return op_mse(g, op_scale_samples(g, in[0], graph_input(g, t->shape, number[0])),
                  op_add(g, op_scale_samples(g, in[1], graph_input(g, t->shape, number[1])),
                         op_scale_samples(g, case_input(c, "x0", CASE_PLAIN),
                                          graph_input(g, t->shape, number[2]))));
}

/* (s^2 + v)^-1/2 and its like on the tape, since the file wants the gradient by sigma too:
 * mean lambda (c_skip x + c_out F - y)^2 = mean (F - (y - c_skip x) / c_out)^2, x = y + sigma n. */
static struct tensor *build_edm(struct op_case *c)
{
    double s = case_real(c, "sigma_data");
    struct graph *g = c->graph;
    struct tensor *in[2], *noise, *sigma, *size, *x, *far, *inverse, *target;

    noise = case_input(c, "noise", CASE_PLAIN);
    sigma = case_input(c, "sigma", CASE_PLAIN);
    if (!take_two(c, in, "f_out", "y", CASE_PLAIN) ||
        !case_need(c,
                   shape_equal(noise->shape, in[0]->shape) &&
                       shape_equal(sigma->shape, SHAPE(in[0]->shape.dim[0])) && s > 0,
                   "noise like y and a sigma for each sample"))
        return NULL;
    size = op_power(g, op_affine(g, op_mul(g, sigma, sigma), 1, s * s), 0.5);
    inverse = op_power(g, size, -1);
    x = op_add(g, in[1], op_scale_samples(g, noise, sigma));
    /* y - c_skip x, over sigma s / size */
    far = op_sub(g, op_scale_samples(g, in[1], size),
                 op_scale_samples(g, op_affine(g, x, s * s, 0), inverse));
    target = op_scale_samples(g, far, op_affine(g, op_power(g, sigma, -1), 1 / s, 0));
    return op_mse(g, in[0], target);
}

static const struct op_builder builders[] = {
    {"cross_entropy", CASE_PLAIN, build_cross_entropy, NULL},
    {"data_prediction_velocity_loss", CASE_PLAIN, build_data_velocity, NULL},
    {"edm_weighted", CASE_PLAIN, build_edm, NULL},
    {"hinge_d", CASE_PLAIN, build_hinge, NULL},
    {"huber_pseudo", CASE_PLAIN, build_huber, NULL},
    {"kl_diag_gauss", CASE_PLAIN, build_kl, NULL},
    {"l1_mean", CASE_PLAIN, build_l1, NULL},
    {"mse_mean", CASE_PLAIN, build_mse, NULL},
    {"multiscale_gradient_l1", CASE_PLAIN, build_multiscale, NULL},
    {"neg_cosine_tokens", CASE_PLAIN, build_cosine, NULL},
    {"softplus_g", CASE_PLAIN, build_softplus, NULL},
};

const struct op_builder *loss_builders(size_t *n)
{
    *n = sizeof(builders) / sizeof(builders[0]);
    return builders;
}
