/*
 * resample.c - half and double size, and patches to tokens and back
 *
 * Two kernels serve four maps.  The mean of 2 x 2 pixels and the copying of a pixel to 2 x 2 are
 * adjoint up to the factor 1/4: so one kernel gathers, one scatters, each with a factor, and each
 * is the other's adjoint.  In the same way patchify and unpatchify are one permutation, walked from
 * either side, and each other's adjoint.  Channels are innermost, so everything moves runs of
 * floats.
 */
#include "ops/resample.h"

#include "base/simd.h"
#include "ops/rows.h"

#include <inttypes.h>
#include <string.h>

/* --- 2 x 2 pixels: 5 floats moved for each small pixel's channel ------------------------------ */

static double small_flops(const struct tensor *y)
{
    return (double)shape_count(y->shape);
}

/* out = scale ((a + b) + (c + d)) for a row of W small pixels; x: the upper of two rows of 2 W. */
IMGEN_CLONES static void gather_row(float *restrict out, const float *restrict x, int64_t W,
                                    int64_t C, float scale)
{
    const float *restrict below = x + 2 * W * C;

    for (int64_t w = 0; w < W; w++)
        for (int64_t c = 0; c < C; c++) {
            int64_t i = 2 * w * C + c;
            float upper = x[i] + x[i + C], lower = below[i] + below[i + C];

            out[w * C + c] = scale * (upper + lower);
        }
}

static void gather_block(const struct tensor *y, struct block at)
{
    int64_t W = y->shape.dim[2], C = y->shape.dim[3], row = W * C;
    const float *x = y->in[0]->data;
    float *out = y->data, scale = (float)y->arg[0].f;

    for (int64_t r = at.first; r < at.last; r++)
        gather_row(out + r * row, x + 4 * r * row, W, C, scale);
}

/* A row of small pixels is a row of W C floats, and N H of them are all: pairs of large rows never
 * cross samples, so samples need no loop of their own. */
static void gather_cpu(const struct tensor *y)
{
    struct shape s = y->shape;

    each_block(y, row_blocks(1, s.dim[0] * s.dim[1], s.dim[2] * s.dim[3]), gather_block);
}

/* Two rows of 2 W pixels from one of W. */
IMGEN_CLONES static void scatter_row(float *restrict out, const float *restrict x, int64_t W,
                                     int64_t C, float scale)
{
    for (int64_t w = 0; w < W; w++)
        for (int64_t c = 0; c < C; c++) {
            float value = scale * x[w * C + c];

            out[2 * w * C + c] = value;
            out[2 * w * C + C + c] = value;
        }
    memcpy(out + 2 * W * C, out, (size_t)(2 * W * C) * sizeof(float));
}

static void scatter_block(const struct tensor *y, struct block at)
{
    int64_t W = y->in[0]->shape.dim[2], C = y->shape.dim[3], row = W * C;
    const float *x = y->in[0]->data;
    float *out = y->data, scale = (float)y->arg[0].f;

    for (int64_t r = at.first; r < at.last; r++)
        scatter_row(out + 4 * r * row, x + r * row, W, C, scale);
}

static void scatter_cpu(const struct tensor *y)
{
    struct shape s = y->in[0]->shape;

    each_block(y, row_blocks(1, s.dim[0] * s.dim[1], s.dim[2] * s.dim[3]), scatter_block);
}

static void gather_adjoint(struct graph *g, struct tensor *y);
static void scatter_adjoint(struct graph *g, struct tensor *y);

static const struct op gather2 = {.name = "gather2",
                                  .cpu = gather_cpu,
                                  .adjoint = gather_adjoint,
                                  .again = record_again_after,
                                  .flops = small_flops};
static const struct op scatter2 = {.name = "scatter2",
                                   .cpu = scatter_cpu,
                                   .adjoint = scatter_adjoint,
                                   .again = record_again_after,
                                   .flops = small_flops};

static struct tensor *record_resize(struct graph *g, const struct op *op, struct tensor *x,
                                    double scale)
{
    struct shape s = x->shape;
    char text[SHAPE_TEXT];
    struct tensor *y;

    MUST(s.rank == 4, "%s: %s is no batch of pictures", op->name, shape_text(text, s));
    if (op == &gather2) {
        MUST(s.dim[1] % 2 == 0 && s.dim[2] % 2 == 0, "%s: odd sides in %s", op->name,
             shape_text(text, s));
        y = record(g, op, SHAPE(s.dim[0], s.dim[1] / 2, s.dim[2] / 2, s.dim[3]), x, NULL, NULL,
                   NULL);
    } else {
        y = record(g, op, SHAPE(s.dim[0], s.dim[1] * 2, s.dim[2] * 2, s.dim[3]), x, NULL, NULL,
                   NULL);
    }
    y->arg[0].f = scale;
    return y;
}

static void gather_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record_resize(g, &scatter2, y->grad, y->arg[0].f));
}

static void scatter_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], record_resize(g, &gather2, y->grad, y->arg[0].f));
}

struct tensor *op_avgpool2(struct graph *g, struct tensor *x)
{
    return record_resize(g, &gather2, x, 0.25);
}

struct tensor *op_upsample2(struct graph *g, struct tensor *x)
{
    return record_resize(g, &scatter2, x, 1);
}

/* --- patches ---------------------------------------------------------------------------------- */

/* Copy between a stripe of p picture rows, [p, W / p, p C], and its W / p tokens, [W / p, p, p C].
 * The same index pair serves both directions. */
static void copy_stripe(float *tokens, float *picture, int64_t across, int64_t p, int64_t run,
                        bool to_tokens)
{
    for (int64_t j = 0; j < across; j++)
        for (int64_t py = 0; py < p; py++) {
            float *t = tokens + (j * p + py) * run, *x = picture + (py * across + j) * run;

            memcpy(to_tokens ? t : x, to_tokens ? x : t, (size_t)run * sizeof(float));
        }
}

/* A stripe is a row of W p C floats of the picture, and as many of the tokens. */
static struct row_blocks stripes(struct shape picture, int64_t p)
{
    return row_blocks(1, picture.dim[0] * (picture.dim[1] / p),
                      picture.dim[2] * p * picture.dim[3]);
}

static void patchify_block(const struct tensor *y, struct block at)
{
    struct shape s = y->in[0]->shape;
    int64_t p = y->arg[0].i, stripe = s.dim[2] * p * s.dim[3];
    float *x = y->in[0]->data, *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        copy_stripe(out + r * stripe, x + r * stripe, s.dim[2] / p, p, p * s.dim[3], true);
}

static void patchify_cpu(const struct tensor *y)
{
    each_block(y, stripes(y->in[0]->shape, y->arg[0].i), patchify_block);
}

static void patchify_adjoint(struct graph *g, struct tensor *y)
{
    struct shape s = y->in[0]->shape;

    grad_add(g, y->in[0], op_unpatchify(g, y->grad, s.dim[1], s.dim[2], y->arg[0].i));
}

static const struct op patchify = {
    .name = "patchify", .cpu = patchify_cpu, .adjoint = patchify_adjoint};

struct tensor *op_patchify(struct graph *g, struct tensor *x, int64_t p)
{
    struct shape s = x->shape;
    char text[SHAPE_TEXT];
    struct tensor *y;

    MUST(s.rank == 4 && p > 0 && s.dim[1] % p == 0 && s.dim[2] % p == 0,
         "patchify: %s into patches of %" PRId64, shape_text(text, s), p);
    y = record(g, &patchify, SHAPE(s.dim[0], s.dim[1] / p * (s.dim[2] / p), p * p * s.dim[3]), x,
               NULL, NULL, NULL);
    y->arg[0].i = p;
    return y;
}

static void unpatchify_block(const struct tensor *y, struct block at)
{
    struct shape s = y->shape;
    int64_t p = y->arg[0].i, stripe = s.dim[2] * p * s.dim[3];
    float *x = y->in[0]->data, *out = y->data;

    for (int64_t r = at.first; r < at.last; r++)
        copy_stripe(x + r * stripe, out + r * stripe, s.dim[2] / p, p, p * s.dim[3], false);
}

static void unpatchify_cpu(const struct tensor *y)
{
    each_block(y, stripes(y->shape, y->arg[0].i), unpatchify_block);
}

static void unpatchify_adjoint(struct graph *g, struct tensor *y)
{
    grad_add(g, y->in[0], op_patchify(g, y->grad, y->arg[0].i));
}

static const struct op unpatchify = {
    .name = "unpatchify", .cpu = unpatchify_cpu, .adjoint = unpatchify_adjoint};

struct tensor *op_unpatchify(struct graph *g, struct tensor *x, int64_t H, int64_t W, int64_t p)
{
    struct shape s = x->shape;
    char text[SHAPE_TEXT];
    struct tensor *y;

    MUST(s.rank == 3 && p > 0 && H % p == 0 && W % p == 0 && s.dim[1] == H / p * (W / p) &&
             s.dim[2] % (p * p) == 0,
         "unpatchify: %s to %" PRId64 " x %" PRId64 " from patches of %" PRId64,
         shape_text(text, s), H, W, p);
    y = record(g, &unpatchify, SHAPE(s.dim[0], H, W, s.dim[2] / (p * p)), x, NULL, NULL, NULL);
    y->arg[0].i = p;
    return y;
}
