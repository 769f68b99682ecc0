/*
 * test_conv.c - convolution against its definition
 *
 * The table covers strides that leave rows over, padding on some sides only, odd and rectangular
 * pictures, kernels from 1 x 1 to 5 x 5, few and many channels, pictures cut into bands or into
 * transformed tiles, and
 * batches cut into chunks with a shorter last one.  check_op.h compares values and gradients, and
 * the bits of eager, planned, threaded and single-picture runs.
 */
#include "graph/graph.h"
#include "ops/basic.h"
#include "ops/conv.h"

#include "base/rng.h"
#include "support/conv_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct tensor *build(struct graph *g, struct tensor *const in[CHECK_INS],
                            const struct check_case *c)
{
    return op_conv2d(g, in[0], in[1], in[2], conv_case_geometry(c));
}

/* stride, top, bottom, left, right */
#define AT(S, T, U, L, R) .arg = {{.i = S}, {.i = T}, {.i = U}, {.i = L}, {.i = R}}
#define OP                .build = build, .ref = conv_case_ref, .probes = 8, .alone_grad = true

static const struct check_case cases[] = {
    {.name = "3 x 3",
     .in = {CONV_X(2, 6, 6, 5), CONV_W(7, 3, 3, 5), CONV_B(7)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "rectangular, no bias",
     .in = {CONV_X(2, 5, 8, 3), CONV_W(4, 3, 3, 3)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "stride 2, a row left over",
     .in = {CONV_X(2, 8, 8, 4), CONV_W(6, 3, 3, 4), CONV_B(6)},
     AT(2, 1, 1, 1, 1),
     OP},
    {.name = "stride 2, odd",
     .in = {CONV_X(1, 7, 7, 4), CONV_W(6, 3, 3, 4), CONV_B(6)},
     AT(2, 1, 1, 1, 1),
     OP},
    {.name = "stride 2, right and bottom",
     .in = {CONV_X(2, 8, 8, 4), CONV_W(4, 3, 3, 4), CONV_B(4)},
     AT(2, 0, 1, 0, 1),
     OP},
    {.name = "stride 3, rows and columns left over",
     .in = {CONV_X(2, 9, 10, 3), CONV_W(5, 2, 2, 3), CONV_B(5)},
     AT(3, 0, 0, 0, 0),
     OP},
    {.name = "1 x 1",
     .in = {CONV_X(2, 4, 4, 6), CONV_W(9, 1, 1, 6), CONV_B(9)},
     AT(1, 0, 0, 0, 0),
     OP},
    {.name = "1 x 1, stride 2",
     .in = {CONV_X(2, 5, 4, 6), CONV_W(9, 1, 1, 6), CONV_B(9)},
     AT(2, 0, 0, 0, 0),
     OP},
    {.name = "4 x 4, stride 2",
     .in = {CONV_X(2, 8, 8, 3), CONV_W(8, 4, 4, 3), CONV_B(8)},
     AT(2, 1, 1, 1, 1),
     OP},
    {.name = "4 x 4, smaller result",
     .in = {CONV_X(1, 5, 5, 8), CONV_W(2, 4, 4, 8)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "patches",
     .in = {CONV_X(2, 8, 8, 3), CONV_W(10, 4, 4, 3), CONV_B(10)},
     AT(4, 0, 0, 0, 0),
     OP},
    {.name = "5 x 5, one channel",
     .in = {CONV_X(1, 6, 6, 1), CONV_W(3, 5, 5, 1), CONV_B(3)},
     AT(1, 2, 2, 2, 2),
     OP},
    {.name = "no padding", .in = {CONV_X(2, 6, 7, 4), CONV_W(5, 3, 3, 4)}, AT(1, 0, 0, 0, 0), OP},
    {.name = "lopsided", .in = {CONV_X(2, 5, 6, 4), CONV_W(5, 3, 4, 4)}, AT(1, 2, 0, 0, 3), OP},
    {.name = "a 1 x 3 kernel",
     .in = {CONV_X(2, 4, 9, 5), CONV_W(6, 1, 3, 5), CONV_B(6)},
     AT(1, 0, 0, 1, 1),
     OP},
    {.name = "one pixel",
     .in = {CONV_X(3, 1, 1, 4), CONV_W(4, 3, 3, 4), CONV_B(4)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "kernel as large as the picture",
     .in = {CONV_X(2, 4, 4, 6), CONV_W(17, 4, 4, 6), CONV_B(17)},
     AT(1, 0, 0, 0, 0),
     OP},
    {.name = "sixteen channels",
     .in = {CONV_X(3, 4, 5, 16), CONV_W(16, 3, 3, 16), CONV_B(16)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "48 to 80 channels",
     .in = {CONV_X(2, 4, 4, 48), CONV_W(80, 3, 3, 48), CONV_B(80)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "transformed: odd sides",
     .in = {CONV_X(3, 5, 7, 64), CONV_W(64, 3, 3, 64), CONV_B(64)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "transformed: no padding, no bias",
     .in = {CONV_X(2, 6, 5, 48), CONV_W(112, 3, 3, 48)},
     AT(1, 0, 0, 0, 0),
     OP},
    {.name = "transformed: lopsided",
     .in = {CONV_X(2, 4, 5, 80), CONV_W(48, 3, 3, 80), CONV_B(48)},
     AT(1, 2, 0, 0, 2),
     OP},
    {.name = "transformed: one pixel",
     .in = {CONV_X(3, 1, 1, 48), CONV_W(48, 3, 3, 48), CONV_B(48)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "transformed: a sum in two parts",
     .in = {CONV_X(2, 4, 4, 272), CONV_W(48, 3, 3, 272), CONV_B(48)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "transformed: nothing",
     .in = {CONV_X(0, 4, 4, 48), CONV_W(48, 3, 3, 48), CONV_B(48)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "transformed, stride 2",
     .in = {CONV_X(3, 8, 12, 64), CONV_W(80, 3, 3, 64), CONV_B(80)},
     AT(2, 1, 1, 1, 1),
     OP},
    {.name = "transformed, stride 2: odd sides",
     .in = {CONV_X(2, 7, 9, 48), CONV_W(64, 3, 3, 48), CONV_B(64)},
     AT(2, 1, 1, 1, 1),
     OP},
    {.name = "transformed, stride 2: right and bottom",
     .in = {CONV_X(2, 8, 6, 112), CONV_W(48, 3, 3, 112), CONV_B(48)},
     AT(2, 0, 1, 0, 1),
     OP},
    {.name = "transformed, stride 2: another padding on each side",
     .in = {CONV_X(2, 6, 10, 48), CONV_W(48, 3, 3, 48)},
     AT(2, 2, 1, 1, 0),
     OP},
    {.name = "transformed, stride 2: no padding, a row left over",
     .in = {CONV_X(1, 10, 7, 48), CONV_W(48, 3, 3, 48), CONV_B(48)},
     AT(2, 0, 0, 0, 0),
     OP},
    {.name = "transformed, stride 2: one pixel",
     .in = {CONV_X(3, 1, 1, 48), CONV_W(48, 3, 3, 48), CONV_B(48)},
     AT(2, 1, 1, 1, 1),
     OP},
    {.name = "transformed, stride 2: sums in two parts",
     .in = {CONV_X(2, 4, 4, 272), CONV_W(48, 3, 3, 272), CONV_B(48)},
     AT(2, 1, 1, 1, 1),
     OP},
    {.name = "transformed, stride 2: nothing",
     .in = {CONV_X(0, 4, 4, 48), CONV_W(48, 3, 3, 48), CONV_B(48)},
     AT(2, 1, 1, 1, 1),
     OP},
    {.name = "to three channels",
     .in = {CONV_X(2, 5, 5, 32), CONV_W(3, 3, 3, 32), CONV_B(3)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "seven pictures",
     .in = {CONV_X(7, 9, 9, 4), CONV_W(5, 3, 3, 4), CONV_B(5)},
     AT(1, 1, 1, 1, 1),
     OP},
    {.name = "nothing",
     .in = {CONV_X(0, 4, 4, 3), CONV_W(5, 3, 3, 3), CONV_B(5)},
     AT(1, 1, 1, 1, 1),
     OP},
};

static void agrees_with_its_definition(void **state)
{
    (void)state;
    check_ops(cases, sizeof(cases) / sizeof(cases[0]));
}

/* --- transposed ---------------------------------------------------------------------------------
 */

static struct tensor *build_transposed(struct graph *g, struct tensor *const in[CHECK_INS],
                                       const struct check_case *c)
{
    return op_conv2d_transposed(g, in[0], in[1], in[2], conv_case_geometry(c));
}

/* Every pixel of x stamps the kernel onto the result. */
static void stamp(double *out, const double *const in[CHECK_INS], const struct check_case *c,
                  const int64_t at[3], int64_t H, int64_t W)
{
    const int64_t *x = c->in[0].shape.dim, *w = c->in[1].shape.dim;
    const double *pixel = in[0] + ((at[0] * x[1] + at[1]) * x[2] + at[2]) * x[3];
    struct conv_geometry p = conv_case_geometry(c);

    for (int64_t ky = 0; ky < w[1]; ky++)
        for (int64_t kx = 0; kx < w[2]; kx++) {
            int64_t u = at[1] * p.stride + ky - p.top, v = at[2] * p.stride + kx - p.left;

            for (int64_t i = 0; i < w[0] * w[3] && u >= 0 && u < H && v >= 0 && v < W; i++)
                out[((at[0] * H + u) * W + v) * w[3] + i % w[3]] +=
                    pixel[i / w[3]] * in[1][((i / w[3] * w[1] + ky) * w[2] + kx) * w[3] + i % w[3]];
        }
}

static void ref_transposed(double *out, const double *const in[CHECK_INS],
                           const struct check_case *c)
{
    const int64_t *x = c->in[0].shape.dim, *w = c->in[1].shape.dim;
    struct conv_geometry p = conv_case_geometry(c);
    int64_t H = (x[1] - 1) * p.stride - p.top - p.bottom + w[1];
    int64_t W = (x[2] - 1) * p.stride - p.left - p.right + w[2];

    for (int64_t i = 0; i < x[0] * H * W * w[3]; i++)
        out[i] = in[2] ? in[2][i % w[3]] : 0;
    for (int64_t n = 0; n < x[0]; n++)
        for (int64_t h = 0; h < x[1]; h++)
            for (int64_t l = 0; l < x[2]; l++)
                stamp(out, in, c, (int64_t[]){n, h, l}, H, W);
}

#define TRANSPOSED .build = build_transposed, .ref = ref_transposed, .probes = 8

static const struct check_case transposed[] = {
    {.name = "twice the size",
     .in = {CONV_X(2, 4, 5, 6), CONV_W(6, 4, 4, 3), CONV_B(3)},
     AT(2, 1, 1, 1, 1),
     .out = {4, {2, 8, 10, 3}},
     TRANSPOSED},
    {.name = "stride 1",
     .in = {CONV_X(2, 5, 6, 4), CONV_W(4, 3, 3, 7), CONV_B(7)},
     AT(1, 1, 1, 1, 1),
     TRANSPOSED},
    {.name = "2 x 2, stride 1, no bias",
     .in = {CONV_X(1, 6, 6, 5), CONV_W(5, 2, 2, 4)},
     AT(1, 0, 0, 0, 0),
     .out = {4, {1, 7, 7, 4}},
     TRANSPOSED},
    {.name = "holes",
     .in = {CONV_X(2, 3, 4, 4), CONV_W(4, 2, 2, 5), CONV_B(5)},
     AT(3, 0, 0, 0, 0),
     TRANSPOSED},
    {.name = "lopsided",
     .in = {CONV_X(2, 4, 4, 3), CONV_W(3, 3, 4, 6), CONV_B(6)},
     AT(2, 0, 1, 2, 0),
     TRANSPOSED},
    {.name = "1 x 1",
     .in = {CONV_X(2, 3, 3, 6), CONV_W(6, 1, 1, 4), CONV_B(4)},
     AT(1, 0, 0, 0, 0),
     TRANSPOSED},
    {.name = "to one pixel",
     .in = {CONV_X(1, 1, 1, 4), CONV_W(4, 3, 3, 2)},
     AT(1, 1, 1, 1, 1),
     TRANSPOSED},
    {.name = "forty channels",
     .in = {CONV_X(3, 7, 7, 40), CONV_W(40, 4, 4, 40), CONV_B(40)},
     AT(2, 1, 1, 1, 1),
     TRANSPOSED},
    {.name = "nothing",
     .in = {CONV_X(0, 4, 4, 3), CONV_W(3, 4, 4, 5), CONV_B(5)},
     AT(2, 1, 1, 1, 1),
     TRANSPOSED},
};

static void transposed_agrees_with_its_definition(void **state)
{
    (void)state;
    check_ops(transposed, sizeof(transposed) / sizeof(transposed[0]));
}

/* --- pictures large enough for several bands, batches for several chunks ------------------------
 */

enum { N = 5, H = 37, WIDTH = 32, CI = 64, CO = 80, K = 3 };

/* In bands, and in transformed tiles. */
static const struct layer {
    int64_t in, out, stride;
} layers[] = {{40, 48, 1}, {64, 80, 1}, {64, 80, 2}};

struct run {
    int64_t ci, co, stride, pixels; /* of a picture's result */
    enum precision precision;
    float x[N * H * WIDTH * CI], w[CO * K * K * CI], b[CO], y[N * H * WIDTH * CO];
    float cot[N * H * WIDTH * CO];
    float dx[N * H * WIDTH * CI], dw[CO * K * K * CI], db[CO];
};

static struct conv_geometry padded(const struct run *r)
{
    return (struct conv_geometry){
        .stride = r->stride, .top = 1, .bottom = 1, .left = 1, .right = 1};
}

/* y of the first n pictures; dx, dw and db when asked for. */
static void run_conv(struct run *r, int64_t n, unsigned flags, int threads, bool backward)
{
    struct tensor *x, *y;
    struct graph *g = NULL;

    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    graph_set_precision(g, r->precision);
    x = graph_input(g, SHAPE(n, H, WIDTH, r->ci), r->x);
    if (backward)
        graph_want_grad(x);
    y = op_conv2d(g, x,
                  graph_param(g, SHAPE(r->co, K, K, r->ci), r->w, backward ? r->dw : NULL, "w"),
                  graph_param(g, SHAPE(r->co), r->b, backward ? r->db : NULL, "b"), padded(r));
    graph_keep(g, y);
    if (backward) {
        graph_backward(g, op_sum(g, op_mul(g, y, graph_input(g, y->shape, r->cot))));
        graph_keep(g, x->grad);
    }
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, r->y);
    if (backward)
        graph_read(g, x->grad, r->dx);
    graph_free(g);
}

static struct run *run_new(const struct layer *layer)
{
    struct run *r = calloc(1, sizeof(*r));
    struct rng rng = rng_stream(5, RNG_TEST, 0);

    assert_non_null(r);
    r->ci = layer->in;
    r->co = layer->out;
    r->stride = layer->stride;
    r->pixels = ((H - 1) / r->stride + 1) * ((WIDTH - 1) / r->stride + 1);
    rng_normals(&rng, r->x, N * H * WIDTH * r->ci);
    rng_normals(&rng, r->w, r->co * K * K * r->ci);
    rng_normals(&rng, r->b, r->co);
    rng_normals(&rng, r->cot, N * r->pixels * r->co);
    return r;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static double *doubles(const float *x, int64_t n)
{
    double *d = calloc((size_t)n, sizeof(*d));

    assert_non_null(d);
    for (int64_t i = 0; i < n; i++)
        d[i] = (double)x[i];
    return d;
}

/* The forward against the double loop, on every fifth row of pixels, where bands meet among them.
 */
static void forward_of(const struct layer *layer)
{
    struct run *r = run_new(layer);
    const struct check_case c = {.in = {{.shape = {4, {N, H, WIDTH, r->ci}}},
                                        {.shape = {4, {r->co, K, K, r->ci}}},
                                        {.shape = {1, {r->co}}}},
                                 AT(layer->stride, 1, 1, 1, 1)};
    int64_t rows = (H - 1) / r->stride + 1, columns = (WIDTH - 1) / r->stride + 1;
    double *in[CHECK_INS] = {doubles(r->x, N * H * WIDTH * r->ci),
                             doubles(r->w, r->co * K * K * r->ci), doubles(r->b, r->co)};

    run_conv(r, N, 0, 2, false);
    for (int64_t n = 0; n < N; n++)
        for (int64_t u = 0; u < rows; u++)
            for (int64_t v = (u + n) % 5; v < columns; v += 5)
                for (int64_t o = u % 7; o < r->co; o += 7) {
                    double want = conv_case_output((const double *const *)in, &c, n, u, v, o);
                    double got = (double)r->y[((n * rows + u) * columns + v) * r->co + o];

                    if (fabs(got - want) > 1e-3)
                        fail_msg("picture %d, row %d, column %d, channel %d: %.9g, not %.9g",
                                 (int)n, (int)u, (int)v, (int)o, got, want);
                }
    for (int k = 0; k < 3; k++)
        free(in[k]);
    free(r);
}

static void large_forward(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++)
        forward_of(&layers[k]);
}

/* y is linear in x and in w: for random directions, <dx, v> = <cot, y(v)>, and likewise for w. With
 * the forward shown right, this shows every entry of the gradients at once. */
static void gradients_of(const struct layer *layer)
{
    struct run *r = run_new(layer), *v = run_new(layer);
    struct rng rng = rng_stream(6, RNG_TEST, 0);
    double want;

    memset(r->b, 0, sizeof(r->b));
    memset(v->b, 0, sizeof(v->b));
    run_conv(r, N, 0, 2, true);

    rng_normals(&rng, v->x, N * H * WIDTH * r->ci);
    run_conv(v, N, 0, 2, false);
    want = dot(r->cot, v->y, N * r->pixels * r->co);
    assert_true(fabs(dot(r->dx, v->x, N * H * WIDTH * r->ci) - want) < 2e-5 * fabs(want) + 0.05);

    memcpy(v->x, r->x, sizeof(v->x));
    rng_normals(&rng, v->w, r->co * K * K * r->ci);
    run_conv(v, N, 0, 2, false);
    want = dot(r->cot, v->y, N * r->pixels * r->co);
    assert_true(fabs(dot(r->dw, v->w, r->co * K * K * r->ci) - want) < 2e-5 * fabs(want) + 0.05);

    for (int64_t o = 0; o < r->co; o++) {
        want = 0;
        for (int64_t p = 0; p < N * r->pixels; p++)
            want += (double)r->cot[p * r->co + o];
        assert_true(fabs((double)r->db[o] - want) < 1e-4);
    }
    free(r);
    free(v);
}

static void large_gradients(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++)
        gradients_of(&layers[k]);
}

/* Any number of threads, eager, frozen, a picture alone: always the same bits. */
static void same_bits_of(const struct layer *layer, enum precision precision)
{
    struct run *a = run_new(layer), *b = run_new(layer);

    a->precision = b->precision = precision;
    run_conv(a, N, 0, 1, true);
    for (int threads = 2; threads <= 5; threads++) {
        run_conv(b, N, threads == 5 ? GRAPH_EAGER : 0, threads, true);
        assert_memory_equal(b, a, sizeof(*a));
    }
    run_conv(b, N, GRAPH_FROZEN, 3, false);
    assert_memory_equal(b->y, a->y, sizeof(a->y));
    for (int64_t n = 0; n < N; n++) {
        memcpy(b->x, a->x + n * H * WIDTH * a->ci, sizeof(float) * H * WIDTH * a->ci);
        run_conv(b, 1, 0, 2, false);
        assert_memory_equal(b->y, a->y + n * a->pixels * a->co,
                            sizeof(float) * (size_t)(a->pixels * a->co));
    }
    free(a);
    free(b);
}

static void large_same_bits(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++)
        for (int p = PRECISION_FLOAT32; p <= PRECISION_BF16; p++)
            same_bits_of(&layers[k], (enum precision)p);
}

static double relative_error(const float *got, const float *want, int64_t n)
{
    double off = 0, size = 0;

    for (int64_t i = 0; i < n; i++) {
        off += pow((double)got[i] - (double)want[i], 2);
        size += pow((double)want[i], 2);
    }
    return sqrt(off / size);
}

/* Rounded are the products of y and dx that are transformed, and nothing else. */
static void reduced(const struct layer *layer, enum precision precision, bool rounded)
{
    struct run *want = run_new(layer), *got = run_new(layer);
    double y, dx;

    run_conv(want, N, 0, 2, true);
    got->precision = precision;
    run_conv(got, N, 0, 2, true);
    y = relative_error(got->y, want->y, N * got->pixels * got->co);
    dx = relative_error(got->dx, want->dx, N * H * WIDTH * got->ci);
    if (rounded)
        assert_true(y > 1e-4 && y < 6e-3 && dx > 1e-4 && dx < 6e-3);
    else
        assert_true(y == 0 && dx == 0);
    assert_memory_equal(got->dw, want->dw, sizeof want->dw);
    assert_memory_equal(got->db, want->db, sizeof want->db);
    free(want);
    free(got);
}

static void large_in_reduced_precision(void **state)
{
    (void)state;
    reduced(&layers[0], PRECISION_BF16, false);
    reduced(&layers[1], PRECISION_BF16, true);
    reduced(&layers[2], PRECISION_BF16, true);
    reduced(&layers[1], PRECISION_INT8, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_its_definition),
        cmocka_unit_test(transposed_agrees_with_its_definition),
        cmocka_unit_test(large_forward),
        cmocka_unit_test(large_gradients),
        cmocka_unit_test(large_same_bits),
        cmocka_unit_test(large_in_reduced_precision),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
