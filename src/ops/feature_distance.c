/*
 * feature_distance.c - how differently two pictures look to one layer of a network
 *
 * A row is what the layer says about one place.  Its length tells how much is there, its direction
 * what, and only the directions are compared:
 *
 *     d [n] = mean over the rows of sample n of  sum_c w_c (u_c - v_c)^2,
 *     u = a / (|a| + tiny),   v = b / (|b| + tiny).
 *
 * Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual metric", (1).
 * As separate ops the two unit rows, their difference and its square would each be written out and
 * kept for the backward; here a row is looked at once in each direction, and nothing is kept.
 *
 *     q = dL/du = 2 w (u - v) / rows,     dL/da = (q - u (u . q) (|a| + tiny) / |a|) / (|a| + tiny)
 *
 * A row of zeros, common behind a rectifier, has no direction.  It counts as the zero vector, and
 * its slope, which is not bounded there, is taken as 0: the rectifier would pass none of it on.
 *
 * Lengths are sums of squares in float32 (ops/lanes.h): rows above 1e19 overflow.  A sample's bits
 * depend on itself alone.
 */
#include "ops/loss.h"

#include "base/simd.h"
#include "ops/lanes.h"
#include "ops/rows.h"

#include <math.h>

static const double tiny = 1e-10;

static double ten_flops(const struct tensor *y)
{
    return 10 * (double)shape_count(y->in[0]->shape);
}

IMGEN_CLONES static double length_of(const float *a, int64_t C)
{
    return sqrt((double)row_dot(a, a, C));
}

/* --- forward: 8 bytes and 10 flops an element ------------------------------------------------- */

/* u - v is taken as (a - b ratio) / (|a| + tiny): where a and b are one row the ratio is 1 and the
 * difference 0, however a processor rounds a product that it adds to. */
struct pair {
    double inverse; /* 1 / (|a| + tiny)                */
    float ratio;    /* (|a| + tiny) / (|b| + tiny)     */
    double length;  /* |a|                             */
};

static struct pair pair_of(const float *a, const float *b, int64_t C)
{
    double la = length_of(a, C), lb = length_of(b, C);

    return (struct pair){
        .inverse = 1 / (la + tiny), .ratio = (float)((la + tiny) / (lb + tiny)), .length = la};
}

/* sum w (a - b ratio)^2; w may be NULL for ones. */
IMGEN_CLONES static float row_distance(const float *a, const float *b, const float *w, float ratio,
                                       int64_t C)
{
    lanes sum = lanes_of(0);

    for (int64_t c = 0; c < C; c += LANES) {
        lanes v = lanes_load(b + c, C - c, 0);
        lanes u = lanes_sub(lanes_load(a + c, C - c, 0), lanes_scale(v, ratio));

        u = lanes_mul(u, u);
        sum = lanes_add(sum, w ? lanes_mul(u, lanes_load(w + c, C - c, 0)) : u);
    }
    return lanes_fold(sum);
}

static const float *weights_of(const struct tensor *w)
{
    return w ? w->data : NULL;
}

static size_t distance_scratch(const struct tensor *y, int threads)
{
    (void)threads;
    return (size_t)partial_count(rows_of_samples(y->in[0]->shape), 1) * sizeof(double);
}

static void distance_block(const struct tensor *y, struct block at)
{
    int64_t C = shape_last(y->in[0]->shape);
    const float *a = y->in[0]->data, *b = y->in[1]->data, *w = weights_of(y->in[2]);
    double sum = 0;

    for (int64_t r = at.first * C; r < at.last * C; r += C) {
        struct pair p = pair_of(a + r, b + r, C);

        sum += (double)row_distance(a + r, b + r, w, p.ratio, C) * p.inverse * p.inverse;
    }
    ((double *)y->scratch)[at.index] = sum;
}

static void distance_cpu(const struct tensor *y)
{
    struct row_blocks b = rows_of_samples(y->in[0]->shape);
    const double *partial = y->scratch;
    float *out = y->data;

    each_block(y, b, distance_block);
    for (int64_t n = 0; n < b.samples; n++) {
        double sum = 0;

        for (int64_t i = 0; i < b.blocks; i++)
            sum += partial[n * b.blocks + i];
        out[n] = b.rows ? (float)(sum / (double)b.rows) : 0;
    }
}

/* --- backward: 12 bytes and 20 flops an element ----------------------------------------------- */

/* sum a w (a - b ratio). */
IMGEN_CLONES static float row_along(const float *a, const float *b, const float *w, float ratio,
                                    int64_t C)
{
    lanes sum = lanes_of(0);

    for (int64_t c = 0; c < C; c += LANES) {
        lanes u = lanes_load(a + c, C - c, 0), v = lanes_load(b + c, C - c, 0);

        u = lanes_mul(u, lanes_sub(u, lanes_scale(v, ratio)));
        sum = lanes_add(sum, w ? lanes_mul(u, lanes_load(w + c, C - c, 0)) : u);
    }
    return lanes_fold(sum);
}

/* out = scale w (a - b ratio) - radial a: the second part would only change a's length. */
IMGEN_CLONES static void row_slope(float *out, const float *a, const float *b, const float *w,
                                   float ratio, float scale, float radial, int64_t C)
{
#pragma omp simd
    for (int64_t c = 0; c < C; c++) {
        float across = (a[c] - b[c] * ratio) * scale;

        out[c] = (w ? w[c] * across : across) - radial * a[c];
    }
}

/* in: a, b, w or NULL, dy [N]; the gradient of a. */
static void distance_da_block(const struct tensor *y, struct block at)
{
    struct row_blocks cut = rows_of_samples(y->shape);
    int64_t C = cut.width;
    const float *a = y->in[0]->data, *b = y->in[1]->data, *w = weights_of(y->in[2]);
    double dy = 2 * (double)((const float *)y->in[3]->data)[at.sample] / (double)cut.rows;

    for (int64_t r = at.first * C; r < at.last * C; r += C) {
        struct pair p = pair_of(a + r, b + r, C);
        double scale = p.length > 0 ? dy * p.inverse * p.inverse : 0, radial = 0;

        if (p.length > 0)
            radial = scale * (double)row_along(a + r, b + r, w, p.ratio, C) * p.inverse / p.length;
        row_slope((float *)y->data + r, a + r, b + r, w, p.ratio, (float)scale, (float)radial, C);
    }
}

static void distance_da_cpu(const struct tensor *y)
{
    each_block(y, rows_of_samples(y->shape), distance_da_block);
}

static const struct op distance_da = {
    .name = "feature_distance_da", .cpu = distance_da_cpu, .flops = ten_flops};

static void distance_adjoint(struct graph *g, struct tensor *y)
{
    for (int k = 0; k < 2; k++)
        if (y->in[k]->wants_grad)
            grad_add(g, y->in[k],
                     record(g, &distance_da, y->in[k]->shape, y->in[k], y->in[1 - k], y->in[2],
                            y->grad));
}

static const struct op feature_distance = {.name = "feature_distance",
                                           .cpu = distance_cpu,
                                           .adjoint = distance_adjoint,
                                           .scratch = distance_scratch,
                                           .flops = ten_flops};

struct tensor *op_feature_distance(struct graph *g, struct tensor *a, struct tensor *b,
                                   struct tensor *weight)
{
    char s[SHAPE_TEXT], t[SHAPE_TEXT];

    MUST(a->shape.rank > 1 && shape_equal(a->shape, b->shape), "feature_distance: %s and %s",
         shape_text(s, a->shape), shape_text(t, b->shape));
    MUST(!weight || shape_equal(weight->shape, SHAPE(shape_last(a->shape))),
         "feature_distance: weight %s for %s", shape_text(s, weight->shape),
         shape_text(t, a->shape));
    return record(g, &feature_distance, SHAPE(a->shape.dim[0]), a, b, weight, NULL);
}
