/*
 * linear.c - y = act(x W^T + b), the op that does most of a transformer's work
 *
 * Three products of the same three matrices, R rows, I inputs, O outputs:
 *
 *     y  [R, O] = x  [R, I] W^T            forward: packed weights, tiles of rows     (gemm.c)
 *     dx [R, I] = dy [R, O] W              the same with the other view of W          (gemm.c)
 *     dW [O, I] = dy^T [O, R] x [R, I]     tiles of W, each a sum over all rows       (here)
 *
 * Weights are packed once a run, which costs about 1 % at 4,096 rows, or once a plan when the graph
 * is frozen; both use the same kernels and give the same bits.
 *
 * Bias and activation are applied to a tile of rows right after its product, while it is in cache.
 * The backward needs the value before the activation; a tape that wants gradients keeps it as a
 * side result, into which the product is then written directly.
 *
 * The bias's gradient is summed by the tiles of dW that read the same columns of dy anyway.
 */
#include "ops/linear.h"

#include "backend/cpu/columns.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/tiles.h"
#include "base/memory.h"
#include "base/simd.h"
#include "ops/vecmath.h"

#include <stdlib.h>
#include <string.h>

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

/* --- products with packed weights: forward and dx -----------------------------------------------
 */

struct product {
    struct gemm *gemm;
    float *packed; /* of a frozen graph's weights, or NULL: packed into scratch every run */
    size_t packed_bytes;
};

static void product_free(void *state)
{
    struct product *p = state;

    if (!p)
        return;
    gemm_free(p->gemm);
    mem_block_free(p->packed, p->packed_bytes, 1);
    free(p);
}

/* The weights of a frozen graph are packed here, with scratch for the occasion. */
static enum status pack_frozen(struct product *p, const struct tensor *w, struct error *err)
{
    void *scratch = NULL;
    enum status st;

    p->packed_bytes = gemm_packed_bytes(p->gemm);
    if ((st = mem_block_new((void **)&p->packed, p->packed_bytes, 1, "packed weights", err)) ||
        (st = mem_new(&scratch, 1, gemm_scratch_bytes(p->gemm, tiles_lanes()), "packing weights",
                      err)))
        return st;
    gemm_pack(p->gemm, w->data, p->packed, scratch);
    free(scratch);
    return OK;
}

static enum status product_plan(const struct graph *g, struct tensor *y, int64_t K, int64_t N,
                                struct dnn_matrix b, struct error *err)
{
    const struct tensor *w = y->in[1];
    struct gemm_shape s = {
        .rows = shape_rows(y->shape), .sample_rows = sample_rows(y->shape), .K = K, .N = N, .b = b};
    struct product *p;
    enum status st;

    if (!s.rows)
        return OK;
    if ((st = mem_new((void **)&p, 1, sizeof(*p), "a linear layer", err)))
        return st;
    y->state = p;
    if ((st = gemm_new(&p->gemm, &s, err)))
        return st;
    if (graph_is_frozen(g) && w->op == &op_param && w->data)
        return pack_frozen(p, w, err);
    return OK;
}

static size_t product_scratch(const struct tensor *y, int threads)
{
    const struct product *p = y->state;

    if (!p)
        return 0;
    return gemm_scratch_bytes(p->gemm, threads) + (p->packed ? 0 : gemm_packed_bytes(p->gemm));
}

/* The packed weights stand at the start of the scratch, unless they were packed for good. */
static void product_run(const struct tensor *y, float *out, gemm_finish *finish, const void *user)
{
    const struct product *p = y->state;
    float *packed = p->packed;
    unsigned char *scratch = y->scratch;

    if (!packed) {
        packed = y->scratch;
        scratch += gemm_packed_bytes(p->gemm);
        gemm_pack(p->gemm, y->in[1]->data, packed, scratch);
    }
    gemm_run(p->gemm, y->in[0]->data, packed, out, scratch, finish, user);
}

static double product_flops(const struct tensor *y)
{
    return 2.0 * (double)shape_rows(y->shape) * (double)shape_count(y->in[1]->shape);
}

/* --- forward ------------------------------------------------------------------------------------
 */

struct epilogue {
    const float *bias; /* [N] or NULL                                   */
    float *pre, *y;    /* [R, N]; pre may be y; the product lies in pre */
    int64_t N;
    enum act act;
};

/* y = act(x); y may be x. */
IMGEN_CLONES static void apply_silu(float *y, const float *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = vec_silu(x[i]);
}

IMGEN_CLONES static void apply_gelu(float *y, const float *x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = vec_gelu(x[i]);
}

static void finish_rows(const void *user, const float *c, int64_t step, int64_t row, int64_t rows,
                        int64_t col, int64_t cols)
{
    const struct epilogue *e = user;

    for (int64_t r = 0; r < rows; r++, c += step) {
        int64_t at = (row + r) * e->N + col;
        float *pre = e->pre + at;

        if (e->bias)
            columns_add(pre, 0, c, 0, e->bias + col, 1, cols);
        else if (c != pre)
            memcpy(pre, c, (size_t)cols * sizeof(float));
        if (e->act == ACT_SILU)
            apply_silu(e->y + at, pre, cols);
        else if (e->act == ACT_GELU)
            apply_gelu(e->y + at, pre, cols);
    }
}

static void linear_cpu(const struct tensor *y)
{
    struct epilogue e = {
        .bias = y->in[2] ? y->in[2]->data : NULL,
        .pre = y->side ? y->side->data : y->data,
        .y = y->data,
        .N = shape_last(y->shape),
        .act = (enum act)y->arg[0].i,
    };

    if (y->state)
        product_run(y, e.pre, e.bias || e.act ? finish_rows : NULL, &e);
}

static enum status linear_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    int64_t I = inputs(y->in[1]);

    return product_plan(g, y, I, outputs(y->in[1]), (struct dnn_matrix){1, I}, err);
}

/* --- dx -----------------------------------------------------------------------------------------
 */

/* in[0]: dy (before the activation), in[1]: W. */
static void linear_dx_cpu(const struct tensor *y)
{
    if (y->state)
        product_run(y, y->data, NULL, NULL);
}

static enum status linear_dx_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    int64_t I = inputs(y->in[1]);

    return product_plan(g, y, outputs(y->in[1]), I, (struct dnn_matrix){I, 1}, err);
}

static const struct op linear_dx = {
    .name = "linear_dx",
    .cpu = linear_dx_cpu,
    .plan = linear_dx_plan,
    .unplan = product_free,
    .scratch = product_scratch,
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
        apply_silu((float *)y->data + first, x, n);
    else
        apply_gelu((float *)y->data + first, x, n);
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

enum {
    DW_TILES = 12, /* tiles wanted, so that a few threads share them evenly  */
    DW_ROWS = 128, /* rows of dW in a tile, at most and at least             */
    DW_ROWS_MIN = 32,
    DW_COLS_MIN = 192,
};

struct dw {
    int64_t rows, O, I;
    int64_t high, wide;     /* a tile of dW           */
    int64_t n_high, n_wide; /* tiles down and across  */
    int lanes;
    struct dnn *product[2][2]; /* [short last row of tiles][narrow last column] */
    size_t scratch;            /* a lane's, of the largest                      */
};

static void dw_free(void *state)
{
    struct dw *d = state;

    if (!d)
        return;
    for (int k = 0; k < 4; k++)
        dnn_free(d->product[k / 2][k % 2]);
    free(d);
}

/* Halve the tile, in the direction that is longer, until there are enough of them. */
static void dw_cut(struct dw *d)
{
    d->high = d->O < DW_ROWS ? d->O : DW_ROWS;
    d->wide = d->I;
    for (;;) {
        d->n_high = (d->O + d->high - 1) / d->high;
        d->n_wide = (d->I + d->wide - 1) / d->wide;
        if (d->n_high * d->n_wide >= DW_TILES)
            return;
        if (d->high > DW_ROWS_MIN && d->high >= d->wide / 4)
            d->high = (d->high + 1) / 2;
        else if (d->wide >= 2 * DW_COLS_MIN)
            d->wide = (d->wide + 1) / 2;
        else if (d->high > DW_ROWS_MIN)
            d->high = (d->high + 1) / 2;
        else
            return;
    }
}

static enum status dw_product(struct dw *d, int is_short, int is_narrow, struct error *err)
{
    int64_t high = is_short ? d->O % d->high : d->high;
    int64_t wide = is_narrow ? d->I % d->wide : d->wide;
    const struct dnn_matrix a = {1, d->O}, b = {d->I, 1}, c = {d->I, 1};
    struct dnn **p = &d->product[is_short][is_narrow];
    enum status st;

    if (!high || !wide)
        return OK;
    if ((st = dnn_matmul(p, high, wide, d->rows, a, b, c, d->lanes, err)))
        return st;
    if (dnn_scratch_bytes(*p) > d->scratch)
        d->scratch = dnn_scratch_bytes(*p);
    return OK;
}

static enum status dw_plan(const struct graph *g, struct tensor *y, struct error *err)
{
    struct dw *d;
    enum status st;

    (void)g;
    if ((st = mem_new((void **)&d, 1, sizeof(*d), "a linear layer's gradient", err)))
        return st;
    y->state = d;
    d->rows = shape_rows(y->in[0]->shape);
    d->O = outputs(y);
    d->I = inputs(y);
    d->lanes = tiles_lanes();
    dw_cut(d);
    for (int k = 0; d->rows && k < 4; k++)
        if ((st = dw_product(d, k / 2, k % 2, err)))
            return st;
    return OK;
}

static size_t dw_scratch(const struct tensor *y, int threads)
{
    return ((const struct dw *)y->state)->scratch * (size_t)threads;
}

/* db[0..n-1] = sum of all rows of dy; n <= DW_ROWS. */
static void bias_gradient(float *db, const float *dy, int64_t step, int64_t rows, int64_t n)
{
    double total[DW_ROWS] = {0};

    columns_sum(total, dy, step, rows, n);
    for (int64_t i = 0; i < n; i++)
        db[i] = (float)total[i];
}

static void dw_tile(void *user, int64_t t, int lane)
{
    const struct tensor *y = user;
    const struct dw *d = y->state;
    int64_t o = t / d->n_wide * d->high, i = t % d->n_wide * d->wide;
    int64_t high = d->O - o < d->high ? d->O - o : d->high;
    int is_short = high < d->high, is_narrow = d->I - i < d->wide;
    const float *dy = (const float *)y->in[0]->data + o;

    dnn_run(d->product[is_short][is_narrow], lane, dy, (const float *)y->in[1]->data + i,
            (float *)y->data + o * d->I + i,
            (unsigned char *)y->scratch + (size_t)lane * d->scratch);
    if (y->side && i == 0)
        bias_gradient((float *)y->side->data + o, dy, d->O, d->rows, high);
}

/* in[0]: dy (before the activation), in[1]: x; result dW, side result db. */
static void dw_cpu(const struct tensor *y)
{
    const struct dw *d = y->state;
    struct tensor node = *y;

    if (d->rows) {
        tiles_run(d->n_high * d->n_wide, d->lanes, dw_tile, &node);
        return;
    }
    memset(y->data, 0, tensor_bytes(y));
    if (y->side)
        memset(y->side->data, 0, tensor_bytes(y->side));
}

static double dw_flops(const struct tensor *y)
{
    return 2.0 * (double)shape_rows(y->in[0]->shape) * (double)shape_count(y->shape);
}

static const struct op linear_dw = {
    .name = "linear_dw",
    .cpu = dw_cpu,
    .plan = dw_plan,
    .unplan = dw_free,
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
    .cpu = linear_cpu,
    .adjoint = linear_adjoint,
    .again = linear_again,
    .plan = linear_plan,
    .unplan = product_free,
    .scratch = product_scratch,
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
