/*
 * linear.c - y = act(x W^T + b), the op that does most of a transformer's work
 *
 * Three products, all on the kernel of backend/cpu/panel.h:
 *
 *     y [R, O] = x [R, I] W^T              rows of x against packed weights       (gemm.c)
 *     dx [R, I] = dy [R, O] W              the same with the other view of W      (gemm.c)
 *     dW [O, I] = dy^T [O, R] x [R, I]     tiles of W, each a sum over all rows   (outer.c)
 *
 * Weights are packed part by part on the way, which costs about 1 % at 4,096 rows, or once a plan
 * when the graph is frozen; both use the same kernels and give the same bits.  Those that stay as
 * their file stores them are packed on the way always: a copy would be twice as large as the file.
 *
 * Bias and activation are applied to a part of the product right after it was computed, while it is
 * in cache.  The backward needs the value before the activation; a tape that wants gradients keeps
 * it as a side result, into which the product is then written directly.
 *
 * In a graph of reduced precision the layers that do the work are computed in it: those of tokens,
 * from REDUCED_INPUTS to REDUCED_OUTPUTS numbers or more.  What has one row a sample (time, label,
 * modulation) decides about every token and costs nothing; the first and the last layer stand
 * between the picture and everything else, and are narrow on one side: those stay float32.  Bytes
 * are for the forward alone; gradients beside them are float32.
 */
#include "ops/linear.h"

#include "backend/cpu/gemm.h"
#include "backend/cpu/outer.h"
#include "backend/cpu/tiles.h"
#include "base/memory.h"
#include "base/simd.h"
#include "ops/vecmath.h"

#include <stdlib.h>

enum {
    TOKENS = 32, /* rows of a sample, at least; fewer are vectors */
    REDUCED_INPUTS = 128,
    REDUCED_OUTPUTS = 65, /* the last layer of 16 channels in patches of 2 x 2 has 64 */
};

/* W may have more dimensions ([O, 1, 1, I] of a convolution): the first is O, the others make I. */
static int64_t outputs(const struct tensor *w)
{
    return w->shape.dim[0];
}

static int64_t inputs(const struct tensor *w)
{
    return shape_count(w->shape) / w->shape.dim[0];
}

/* Rows that one sample has, the first dimension being the batch. */
static int64_t sample_rows(struct shape s)
{
    int64_t rows = 1;

    for (int k = 1; k < s.rank - 1; k++)
        rows *= s.dim[k];
    return rows;
}

/* In which precision a layer with weights w is computed whose rows are like those of a tensor of
 * this shape. */
static enum precision precision_of(const struct graph *g, const struct tensor *w, struct shape rows)
{
    bool large = sample_rows(rows) >= TOKENS && inputs(w) >= REDUCED_INPUTS &&
                 inputs(w) <= GEMM_INT8_SUM && outputs(w) >= REDUCED_OUTPUTS;

    return large ? graph_precision(g) : PRECISION_FLOAT32;
}

/* Gradients know no bytes. */
static enum precision precision_back(const struct graph *g, const struct tensor *w,
                                     struct shape rows)
{
    enum precision p = precision_of(g, w, rows);

    return p == PRECISION_INT8 ? PRECISION_FLOAT32 : p;
}

enum precision linear_precision(const struct graph *g, const struct tensor *y)
{
    return precision_of(g, y->in[1], y->shape);
}

/* --- products with packed weights: forward and dx -----------------------------------------------
 */

struct product {
    struct gemm gemm;
    void *packed; /* of a frozen graph's weights, or NULL: packed on the way at every run */
    size_t packed_bytes;
};

static void product_free(void *state)
{
    struct product *p = state;

    if (!p)
        return;
    mem_block_free(p->packed, p->packed_bytes, 1);
    free(p);
}

/* Weights as a matrix [outputs, inputs]. */
static struct matrix matrix_of(const struct tensor *w)
{
    return w->dtype == DTYPE_STORED ? *(const struct matrix *)w->data
                                    : matrix_floats(w->data, outputs(w), inputs(w));
}

static enum status product_plan(const struct graph *g, struct tensor *y, struct gemm_shape s,
                                struct error *err)
{
    const struct tensor *w = y->in[1];
    struct matrix matrix;
    struct product *p;
    enum status st;

    s.rows = shape_rows(y->shape);
    s.vectors = sample_rows(y->shape) < TOKENS;
    if (!s.rows)
        return OK;
    if ((st = mem_new((void **)&p, 1, sizeof(*p), "a linear layer", err)))
        return st;
    y->state = p;
    s.held = graph_is_frozen(g) && w->op == &op_param && w->data && w->dtype == DTYPE_F32;
    gemm_init(&p->gemm, &s);
    if (!s.held)
        return OK;
    p->packed_bytes = gemm_packed_bytes(&p->gemm);
    if ((st = mem_block_new(&p->packed, p->packed_bytes, 1, "packed weights", err)))
        return st;
    matrix = matrix_of(w);
    gemm_pack(&p->gemm, &matrix, p->packed);
    return OK;
}

static size_t product_scratch(const struct tensor *y, int threads)
{
    const struct product *p = y->state;

    return p ? gemm_scratch_bytes(&p->gemm, threads) : 0;
}

static size_t product_held(const struct tensor *y)
{
    const struct product *p = y->state;

    return p ? p->packed_bytes : 0;
}

static void product_run(const struct tensor *y, const float *bias, float *out, gemm_finish *finish,
                        const void *user)
{
    const struct product *p = y->state;
    struct matrix w = matrix_of(y->in[1]);

    gemm_run(&p->gemm, y->in[0]->data, &w, p->packed, bias, out, y->scratch, finish, user);
}

static double product_flops(const struct tensor *y)
{
    return 2.0 * (double)shape_rows(y->shape) * (double)shape_count(y->in[1]->shape);
}

/* --- forward ------------------------------------------------------------------------------------
 */

struct epilogue {
    const float *pre; /* [R, N]: the product; may be y */
    float *y;
    int64_t N;
    enum act act;
};

/* y = act(x) for rows x cols numbers, `step` from row to row; y may be x. */
IMGEN_CLONES static void apply_silu(float *y, const float *x, int64_t step, int64_t rows,
                                    int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += step, y += step) {
#pragma omp simd
        for (int64_t i = 0; i < cols; i++)
            y[i] = vec_silu(x[i]);
    }
}

IMGEN_CLONES static void apply_gelu(float *y, const float *x, int64_t step, int64_t rows,
                                    int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, x += step, y += step) {
#pragma omp simd
        for (int64_t i = 0; i < cols; i++)
            y[i] = vec_gelu(x[i]);
    }
}

static void finish_part(const void *user, int64_t row, int64_t rows, int64_t col, int64_t cols)
{
    const struct epilogue *e = user;
    int64_t at = row * e->N + col;

    if (e->act == ACT_SILU)
        apply_silu(e->y + at, e->pre + at, e->N, rows, cols);
    else
        apply_gelu(e->y + at, e->pre + at, e->N, rows, cols);
}

static void linear_cpu(const struct tensor *y)
{
    float *pre = y->side ? y->side->data : y->data;
    struct epilogue e = {
        .pre = pre, .y = y->data, .N = shape_last(y->shape), .act = (enum act)y->arg[0].i};

    if (y->state)
        product_run(y, y->in[2] ? y->in[2]->data : NULL, pre, e.act ? finish_part : NULL, &e);
}

static enum status linear_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    const struct tensor *w = y->in[1];
    struct gemm_shape s = {
        .K = inputs(w), .N = outputs(w), .turned = true, .precision = precision_of(g, w, y->shape)};

    return product_plan(g, y, s, err);
}

/* --- dx -----------------------------------------------------------------------------------------
 */

/* in[0]: dy (before the activation), in[1]: W. */
static void linear_dx_cpu(const struct tensor *y)
{
    if (y->state)
        product_run(y, NULL, y->data, NULL, NULL);
}

static enum status linear_dx_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    const struct tensor *w = y->in[1];
    struct gemm_shape s = {
        .K = outputs(w), .N = inputs(w), .precision = precision_back(g, w, y->shape)};

    return product_plan(g, y, s, err);
}

static const struct op linear_dx = {
    .name = "linear_dx",
    .stored = 1 << 1,
    .cpu = linear_dx_cpu,
    .plan = linear_dx_plan,
    .unplan = product_free,
    .scratch = product_scratch,
    .held = product_held,
    .flops = product_flops,
};

/* --- through the activation ---------------------------------------------------------------------
 */

enum { SPAN = 1 << 14 }; /* elements that one tile of an elementwise pass takes */

IMGEN_CLONES static void silu_back(float *out, const float *x, const float *dy, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = dy[i] * vec_silu_slope(x[i]);
}

IMGEN_CLONES static void gelu_back(float *out, const float *x, const float *dy, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = dy[i] * vec_gelu_slope(x[i]);
}

/* in[0]: value before the activation, in[1]: gradient after it; result: gradient before it. */
static void act_back_tile(void *user, int64_t tile, int lane)
{
    const struct tensor *y = user;
    int64_t first = tile * SPAN, n = shape_count(y->shape) - first;
    const float *x = (const float *)y->in[0]->data + first;
    const float *dy = (const float *)y->in[1]->data + first;
    float *out = (float *)y->data + first;

    (void)lane;
    n = n < SPAN ? n : SPAN;
    if (y->arg[0].i == ACT_SILU)
        silu_back(out, x, dy, n);
    else
        gelu_back(out, x, dy, n);
}

static void act_back_cpu(const struct tensor *y)
{
    struct tensor node = *y;

    tiles_run((shape_count(y->shape) + SPAN - 1) / SPAN, tiles_lanes(), act_back_tile, &node);
}

static const struct op act_back = {.name = "linear_act_back", .cpu = act_back_cpu, .inplace = 3};

/* y once more, from the value before the activation that act_back reads anyway. */
static void act_tile(void *user, int64_t tile, int lane)
{
    const struct tensor *y = user;
    int64_t first = tile * SPAN, n = shape_count(y->shape) - first;
    const float *x = (const float *)y->in[0]->data + first;

    (void)lane;
    n = n < SPAN ? n : SPAN;
    if (y->arg[0].i == ACT_SILU)
        apply_silu((float *)y->data + first, x, n, 1, n);
    else
        apply_gelu((float *)y->data + first, x, n, 1, n);
}

static void act_cpu(const struct tensor *y)
{
    struct tensor node = *y;

    tiles_run((shape_count(y->shape) + SPAN - 1) / SPAN, tiles_lanes(), act_tile, &node);
}

static const struct op act_again = {.name = "linear_act", .cpu = act_cpu};

static struct tensor *linear_again(struct graph *g, struct tensor *y)
{
    struct tensor *t;

    if (y->arg[0].i == ACT_NONE || !y->side)
        return y;
    t = record(g, &act_again, y->shape, y->side, NULL, NULL, NULL);
    t->arg[0].i = y->arg[0].i;
    return t;
}

/* --- dW and db ----------------------------------------------------------------------------------
 */

static enum status dw_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    const struct tensor *dy = y->in[0];
    enum status st;

    if ((st = mem_new(&y->state, 1, sizeof(struct outer), "a linear layer's gradient", err)))
        return st;
    outer_init(y->state, shape_rows(dy->shape), outputs(y), inputs(y),
               precision_back(g, y, dy->shape));
    return OK;
}

static size_t dw_scratch(const struct tensor *y, int threads)
{
    return outer_scratch_bytes(y->state, threads);
}

/* in[0]: dy (before the activation), in[1]: x; result dW, side result db. */
static void dw_cpu(const struct tensor *y)
{
    outer_run(y->state, y->in[0]->data, y->in[1]->data, y->data, y->side ? y->side->data : NULL,
              y->scratch);
}

static double dw_flops(const struct tensor *y)
{
    return 2.0 * (double)shape_rows(y->in[0]->shape) * (double)shape_count(y->shape);
}

static const struct op linear_dw = {
    .name = "linear_dw",
    .cpu = dw_cpu,
    .plan = dw_plan,
    .unplan = free,
    .scratch = dw_scratch,
    .flops = dw_flops,
};

/* --- the op -------------------------------------------------------------------------------------
 */

static void linear_adjoint(struct graph *g, struct tensor *y)
{
    struct tensor *x = y->in[0], *w = y->in[1], *bias = y->in[2], *dy = y->grad, *dw;

    if (y->arg[0].i != ACT_NONE) {
        dy = record(g, &act_back, y->shape, y->side, dy, NULL, NULL);
        dy->arg[0].i = y->arg[0].i;
    }
    if (x->wants_grad)
        grad_add(g, x, record(g, &linear_dx, x->shape, dy, w, NULL, NULL));
    if (!w->wants_grad && !(bias && bias->wants_grad))
        return;
    dw = record(g, &linear_dw, w->shape, dy, x, NULL, NULL);
    if (bias && bias->wants_grad)
        grad_add(g, bias, record_side(g, dw, bias->shape));
    grad_add(g, w, dw);
}

static const struct op linear = {
    .name = "linear",
    .stored = 1 << 1,
    .cpu = linear_cpu,
    .adjoint = linear_adjoint,
    .again = linear_again,
    .plan = linear_plan,
    .unplan = product_free,
    .scratch = product_scratch,
    .held = product_held,
    .flops = product_flops,
};

struct tensor *op_linear(struct graph *g, struct tensor *x, struct tensor *weight,
                         struct tensor *bias, enum act act)
{
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    struct tensor *y;

    MUST(x->shape.rank >= 1 && weight->shape.rank >= 2 && outputs(weight) > 0 &&
             inputs(weight) > 0 && shape_last(x->shape) == inputs(weight),
         "linear: x %s, weight %s", shape_text(a, x->shape), shape_text(b, weight->shape));
    MUST(!bias || shape_count(bias->shape) == outputs(weight), "linear: weight %s, bias %s",
         shape_text(a, weight->shape), shape_text(b, bias->shape));
    y = record(g, &linear, shape_with_last(x->shape, outputs(weight)), x, weight, bias, NULL);
    y->arg[0].i = act;
    if (act != ACT_NONE && y->wants_grad)
        record_side(g, y, y->shape);
    return y;
}
