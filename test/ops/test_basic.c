/*
 * test_basic.c - arithmetic, broadcasting, moving and summing, against their formulas in double
 *
 * Shapes are chosen for their edges: one element, odd widths, nothing at all (N = 0), and sizes
 * past the thresholds of blocks (16384 floats) and threads (32768).
 */
#include "ops/basic.h"

#include "support/check_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- element by element ----------------------------------------------------------------------- */

static struct tensor *build_add(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    (void)c;
    return op_add(g, in[0], in[1]);
}

static void ref_add(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = in[0][i] + in[1][i];
}

static struct tensor *build_sub(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    (void)c;
    return op_sub(g, in[0], in[1]);
}

static void ref_sub(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = in[0][i] - in[1][i];
}

static struct tensor *build_mul(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    (void)c;
    return op_mul(g, in[0], in[1]);
}

static void ref_mul(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = in[0][i] * in[1][i];
}

/* One tensor in both places: its gradient has two parts. */
static struct tensor *build_square(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    (void)c;
    return op_mul(g, in[0], in[0]);
}

static void ref_square(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = in[0][i] * in[0][i];
}

static struct tensor *build_affine(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    return op_affine(g, in[0], c->arg[0].f, c->arg[1].f);
}

static void ref_affine(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = c->arg[0].f * in[0][i] + c->arg[1].f;
}

static void test_elementwise(void **state)
{
    const struct shape shapes[] = {SHAPE(1), SHAPE(3, 5), SHAPE(0, 7), SHAPE(2, 3, 1, 7),
                                   SHAPE(3, 130, 129)};
    static const struct {
        const char *name;
        check_build *build;
        check_ref *ref;
        bool two;
    } ops[] = {
        {"add", build_add, ref_add, true},           {"sub", build_sub, ref_sub, true},
        {"mul", build_mul, ref_mul, true},           {"square", build_square, ref_square, false},
        {"affine", build_affine, ref_affine, false},
    };

    (void)state;
    for (size_t o = 0; o < COUNT(ops); o++)
        for (size_t s = 0; s < COUNT(shapes); s++)
            check_op(
                &(struct check_case){.name = ops[o].name,
                                     .in = {{.shape = shapes[s], .batched = shapes[s].rank > 1},
                                            {.shape = ops[o].two ? shapes[s] : (struct shape){0},
                                             .batched = shapes[s].rank > 1}},
                                     .arg = {{.f = -1.5}, {.f = 0.25}},
                                     .out = shapes[s],
                                     .build = ops[o].build,
                                     .ref = ops[o].ref,
                                     .probes = 8,
                                     .alone_grad = true});
}

/* --- broadcasting ----------------------------------------------------------------------------- */

static struct tensor *build_add_vec(struct graph *g, struct tensor *const in[],
                                    const struct check_case *c)
{
    (void)c;
    return op_add_vec(g, in[0], in[1]);
}

/* v's row: arg 0 is 'd', 'n' or 't'. */
static void ref_add_vec(double *out, const double *const in[], const struct check_case *c)
{
    struct shape s = c->in[0].shape;
    int64_t D = shape_last(s), rows = shape_rows(s), T = s.dim[0] ? rows / s.dim[0] : 1;

    for (int64_t r = 0; r < rows; r++)
        for (int64_t d = 0; d < D; d++) {
            int64_t v = c->arg[0].i == 'd' ? 0 : c->arg[0].i == 'n' ? r / T : r % T;

            out[r * D + d] = in[0][r * D + d] + in[1][v * D + d];
        }
}

static void test_add_vec(void **state)
{
#define VEC(what, form, vec, many, size)                                               \
    {                                                                                  \
        .name = "add_vec " what,                                                       \
        .in = {{.shape = size, .batched = true}, {.shape = vec, .batched = many}},     \
        .arg = {{.i = form}}, .out = size, .build = build_add_vec, .ref = ref_add_vec, \
        .alone_grad = true                                                             \
    }
    const struct check_case cases[] = {
        VEC("[D]", 'd', SHAPE(5), false, SHAPE(3, 4, 5)),
        VEC("[D], plain rows", 'd', SHAPE(7), false, SHAPE(6, 7)),
        VEC("[N, D]", 'n', SHAPE(3, 5), true, SHAPE(3, 2, 3, 5)),
        VEC("[N, D], N = T", 'n', SHAPE(4, 3), true, SHAPE(4, 4, 3)),
        VEC("[N, D], one element", 'n', SHAPE(1, 1), true, SHAPE(1, 1, 1)),
        VEC("[1, T, D]", 't', SHAPE(1, 4, 5), false, SHAPE(3, 4, 5)),
        VEC("[1, T, D], N = T", 't', SHAPE(1, 4, 5), false, SHAPE(4, 4, 5)),
        VEC("[1, H, W, C]", 't', SHAPE(1, 3, 2, 9), false, SHAPE(2, 3, 2, 9)),
        VEC("nothing", 'd', SHAPE(5), false, SHAPE(0, 4, 5)),
        VEC("large [D]", 'd', SHAPE(33), false, SHAPE(3, 700, 33)),
        VEC("large [N, D]", 'n', SHAPE(3, 33), true, SHAPE(3, 700, 33)),
        VEC("large [1, T, D]", 't', SHAPE(1, 700, 33), false, SHAPE(3, 700, 33)),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static struct tensor *build_gated_add(struct graph *g, struct tensor *const in[],
                                      const struct check_case *c)
{
    (void)c;
    return op_gated_add(g, in[0], in[1], in[2]);
}

static void ref_gated_add(double *out, const double *const in[], const struct check_case *c)
{
    struct shape s = c->in[0].shape;
    int64_t D = shape_last(s), rows = shape_rows(s), T = s.dim[0] ? rows / s.dim[0] : 1;

    for (int64_t r = 0; r < rows; r++)
        for (int64_t d = 0; d < D; d++)
            out[r * D + d] = in[0][r * D + d] + in[1][r / T * D + d] * in[2][r * D + d];
}

static void test_gated_add(void **state)
{
#define GATED(what, n, width, size)                                                     \
    {                                                                                   \
        .name = "gated_add " what,                                                      \
        .in = {{.shape = size, .batched = true},                                        \
               {.shape = SHAPE(n, width), .batched = true},                             \
               {.shape = size, .batched = true}},                                       \
        .out = size, .build = build_gated_add, .ref = ref_gated_add, .alone_grad = true \
    }
    const struct check_case cases[] = {
        GATED("one element", 1, 1, SHAPE(1, 1, 1)), GATED("rows", 3, 7, SHAPE(3, 7)),
        GATED("tokens", 3, 5, SHAPE(3, 9, 5)),      GATED("picture", 2, 3, SHAPE(2, 5, 4, 3)),
        GATED("nothing", 0, 5, SHAPE(0, 9, 5)),     GATED("large", 3, 65, SHAPE(3, 400, 65)),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- moving ----------------------------------------------------------------------------------- */

static struct tensor *build_reshape(struct graph *g, struct tensor *const in[],
                                    const struct check_case *c)
{
    return op_reshape(g, in[0], c->out);
}

static void ref_copy(double *out, const double *const in[], const struct check_case *c)
{
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[i] = in[0][i];
}

/* A view between two nodes that may write in place: the plan must see through it. */
static struct tensor *build_reshape_between(struct graph *g, struct tensor *const in[],
                                            const struct check_case *c)
{
    struct tensor *x = op_affine(g, in[0], 2, 0);
    struct tensor *y = op_affine(g, op_reshape(g, x, c->out), 0.5, 0);

    return op_add(g, y, op_affine(g, op_reshape(g, x, c->out), 0, 0));
}

static struct tensor *build_slice(struct graph *g, struct tensor *const in[],
                                  const struct check_case *c)
{
    return op_slice(g, in[0], c->arg[0].i, c->arg[1].i);
}

static void ref_slice(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape), n = c->arg[1].i;

    for (int64_t r = 0; r < shape_rows(c->in[0].shape); r++)
        for (int64_t d = 0; d < n; d++)
            out[r * n + d] = in[0][r * D + c->arg[0].i + d];
}

/* a - b c from the three parts of a row. */
static struct tensor *build_chunk(struct graph *g, struct tensor *const in[],
                                  const struct check_case *c)
{
    struct tensor *m[3];

    (void)c;
    op_chunk(g, in[0], 3, m);
    return op_sub(g, m[0], op_mul(g, m[1], m[2]));
}

static void ref_chunk(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape) / 3;

    for (int64_t r = 0; r < shape_rows(c->in[0].shape); r++)
        for (int64_t d = 0; d < D; d++) {
            const double *row = in[0] + r * 3 * D + d;

            out[r * D + d] = row[0] - row[D] * row[2 * D];
        }
}

static struct tensor *build_add_columns(struct graph *g, struct tensor *const in[],
                                        const struct check_case *c)
{
    return op_add_columns(g, in[0], in[1], c->arg[0].i);
}

static void ref_add_columns(double *out, const double *const in[], const struct check_case *c)
{
    int64_t wide = shape_last(c->in[0].shape), n = shape_last(c->in[1].shape);

    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++) {
        int64_t k = i % wide - c->arg[0].i;

        out[i] = in[0][i] + (k >= 0 && k < n ? in[1][i / wide * n + k] : 0);
    }
}

static struct tensor *build_concat(struct graph *g, struct tensor *const in[],
                                   const struct check_case *c)
{
    (void)c;
    return op_concat(g, in[0], in[1]);
}

static void ref_concat(double *out, const double *const in[], const struct check_case *c)
{
    int64_t A = shape_last(c->in[0].shape), B = shape_last(c->in[1].shape);

    for (int64_t r = 0; r < shape_rows(c->in[0].shape); r++) {
        for (int64_t d = 0; d < A; d++)
            out[r * (A + B) + d] = in[0][r * A + d];
        for (int64_t d = 0; d < B; d++)
            out[r * (A + B) + A + d] = in[1][r * B + d];
    }
}

static void test_move(void **state)
{
#define MOVE(what, which, ...)                            \
    {                                                     \
        .name = what, .build = build_##which, __VA_ARGS__ \
    }
    const struct check_case cases[] = {
        MOVE("reshape", reshape, .in = {{.shape = SHAPE(2, 3, 4)}}, .out = SHAPE(6, 4),
             .ref = ref_copy),
        MOVE("reshape between", reshape_between, .in = {{.shape = SHAPE(2, 3, 4)}},
             .out = SHAPE(4, 6), .ref = ref_copy),
        MOVE("reshape nothing", reshape, .in = {{.shape = SHAPE(0, 3, 4)}}, .out = SHAPE(0, 12),
             .ref = ref_copy),
        MOVE("slice", slice, .in = {{.shape = SHAPE(2, 3, 7), .batched = true}},
             .arg = {{.i = 2}, {.i = 3}}, .out = SHAPE(2, 3, 3), .ref = ref_slice),
        MOVE("slice of all", slice, .in = {{.shape = SHAPE(7)}}, .arg = {{.i = 0}, {.i = 7}},
             .out = SHAPE(7), .ref = ref_slice),
        MOVE("slice, large", slice, .in = {{.shape = SHAPE(900, 77), .batched = false}},
             .arg = {{.i = 76}, {.i = 1}}, .out = SHAPE(900, 1), .ref = ref_slice),
        MOVE("chunk", chunk, .in = {{.shape = SHAPE(5, 9), .batched = true}}, .out = SHAPE(5, 3),
             .ref = ref_chunk),
        MOVE("add_columns", add_columns,
             .in = {{.shape = SHAPE(2, 3, 7), .batched = true},
                    {.shape = SHAPE(2, 3, 2), .batched = true}},
             .arg = {{.i = 4}}, .out = SHAPE(2, 3, 7), .ref = ref_add_columns),
        MOVE("add_columns, all", add_columns,
             .in = {{.shape = SHAPE(5, 3)}, {.shape = SHAPE(5, 3)}}, .out = SHAPE(5, 3),
             .ref = ref_add_columns),
        MOVE("add_columns, large", add_columns,
             .in = {{.shape = SHAPE(2, 300, 96)}, {.shape = SHAPE(2, 300, 32)}}, .arg = {{.i = 32}},
             .out = SHAPE(2, 300, 96), .ref = ref_add_columns),
        MOVE("concat", concat,
             .in = {{.shape = SHAPE(2, 3, 4), .batched = true},
                    {.shape = SHAPE(2, 3, 1), .batched = true}},
             .out = SHAPE(2, 3, 5), .ref = ref_concat),
        MOVE("concat, large", concat,
             .in = {{.shape = SHAPE(2, 16, 16, 33), .batched = true},
                    {.shape = SHAPE(2, 16, 16, 64), .batched = true}},
             .out = SHAPE(2, 16, 16, 97), .ref = ref_concat),
        MOVE("concat nothing", concat, .in = {{.shape = SHAPE(0, 4)}, {.shape = SHAPE(0, 1)}},
             .out = SHAPE(0, 5), .ref = ref_concat),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* --- summing ---------------------------------------------------------------------------------- */

static struct tensor *build_sum(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    (void)c;
    return op_sum(g, in[0]);
}

static void ref_sum(double *out, const double *const in[], const struct check_case *c)
{
    out[0] = 0;
    for (int64_t i = 0; i < shape_count(c->in[0].shape); i++)
        out[0] += in[0][i];
}

static struct tensor *build_mse(struct graph *g, struct tensor *const in[],
                                const struct check_case *c)
{
    (void)c;
    return op_mse(g, in[0], in[1]);
}

static void ref_mse(double *out, const double *const in[], const struct check_case *c)
{
    int64_t n = shape_count(c->in[0].shape);

    out[0] = 0;
    for (int64_t i = 0; i < n; i++)
        out[0] += (in[0][i] - in[1][i]) * (in[0][i] - in[1][i]) / (double)n;
}

static struct tensor *build_sum_rows(struct graph *g, struct tensor *const in[],
                                     const struct check_case *c)
{
    (void)c;
    return op_sum_rows(g, in[0]);
}

static struct tensor *build_sum_inner(struct graph *g, struct tensor *const in[],
                                      const struct check_case *c)
{
    (void)c;
    return op_sum_inner(g, in[0]);
}

/* Rows of the input that share a row of the result. */
static void ref_sum_rows(double *out, const double *const in[], const struct check_case *c)
{
    int64_t D = shape_last(c->in[0].shape), rows = shape_rows(c->in[0].shape);
    int64_t results = shape_rows(c->out), T = results ? rows / results : 0;

    for (int64_t i = 0; i < results * D; i++)
        out[i] = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t d = 0; d < D; d++)
            out[r / T * D + d] += in[0][r * D + d];
}

static struct tensor *build_fill(struct graph *g, struct tensor *const in[],
                                 const struct check_case *c)
{
    (void)in;
    return op_fill(g, c->out, c->arg[0].f);
}

static void ref_fill(double *out, const double *const in[], const struct check_case *c)
{
    (void)in;
    for (int64_t i = 0; i < shape_count(c->out); i++)
        out[i] = c->arg[0].f;
}

static void test_sum(void **state)
{
#define SUM(what, which, like, result, ...)                                       \
    {                                                                             \
        .name = what, .in = {__VA_ARGS__}, .out = result, .build = build_##which, \
        .ref = ref_##like                                                         \
    }
    const struct check_case cases[] = {
        SUM("sum of one", sum, sum, SHAPE(1), {.shape = SHAPE(1)}),
        SUM("sum of nothing", sum, sum, SHAPE(1), {.shape = SHAPE(0, 3)}),
        SUM("sum, odd", sum, sum, SHAPE(1), {.shape = SHAPE(3, 7)}),
        SUM("sum, large", sum, sum, SHAPE(1), {.shape = SHAPE(999, 55), .mean = 1}),
        SUM("mse of one", mse, mse, SHAPE(1), {.shape = SHAPE(1)}, {.shape = SHAPE(1)}),
        SUM("mse, odd", mse, mse, SHAPE(1), {.shape = SHAPE(3, 7)}, {.shape = SHAPE(3, 7)}),
        SUM("mse, large", mse, mse, SHAPE(1), {.shape = SHAPE(999, 55)}, {.shape = SHAPE(999, 55)}),
        SUM("sum_rows of one", sum_rows, sum_rows, SHAPE(1), {.shape = SHAPE(1)}),
        SUM("sum_rows of nothing", sum_rows, sum_rows, SHAPE(3), {.shape = SHAPE(0, 3)}),
        SUM("sum_rows", sum_rows, sum_rows, SHAPE(5), {.shape = SHAPE(3, 4, 5)}),
        SUM("sum_rows, narrow", sum_rows, sum_rows, SHAPE(3), {.shape = SHAPE(20000, 3)}),
        SUM("sum_rows, wide", sum_rows, sum_rows, SHAPE(17001), {.shape = SHAPE(3, 17001)}),
        SUM("sum_inner", sum_inner, sum_rows, SHAPE(3, 5),
            {.shape = SHAPE(3, 2, 2, 5), .batched = true}),
        SUM("sum_inner of rows", sum_inner, sum_rows, SHAPE(3, 5),
            {.shape = SHAPE(3, 5), .batched = true}),
        SUM("sum_inner of nothing", sum_inner, sum_rows, SHAPE(0, 5),
            {.shape = SHAPE(0, 2, 5), .batched = true}),
        SUM("sum_inner, large", sum_inner, sum_rows, SHAPE(3, 65),
            {.shape = SHAPE(3, 700, 65), .batched = true}),
        {.name = "fill",
         .out = SHAPE(3, 5),
         .arg = {{.f = 0.1}},
         .build = build_fill,
         .ref = ref_fill},
        {.name = "fill, large",
         .out = SHAPE(300, 200),
         .arg = {{.f = -3}},
         .build = build_fill,
         .ref = ref_fill},
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* A float32 accumulator would stop growing at 2^24. */
static void test_sum_is_wide(void **state)
{
    enum { COUNT_ONES = (1 << 24) + 4096 };
    struct graph *g = NULL;
    struct tensor *y;
    float sum = 0;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    y = op_sum(g, op_fill(g, SHAPE(COUNT_ONES), 1));
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, &sum);
    assert_float_equal(sum, (float)COUNT_ONES, 0);
    graph_free(g);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise), cmocka_unit_test(test_add_vec),
        cmocka_unit_test(test_gated_add),   cmocka_unit_test(test_move),
        cmocka_unit_test(test_sum),         cmocka_unit_test(test_sum_is_wide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
