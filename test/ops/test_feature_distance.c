/*
 * test_feature_distance.c - the distance of directions, against the formula in double
 */
#include "ops/basic.h"
#include "ops/loss.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tensor *build(struct graph *g, struct tensor *const in[CHECK_INS],
                            const struct check_case *c)
{
    (void)c;
    return op_feature_distance(g, in[0], in[1], in[2]);
}

static double length_of(const double *a, int64_t C)
{
    double sum = 0;

    for (int64_t c = 0; c < C; c++)
        sum += a[c] * a[c];
    return sqrt(sum) + 1e-10;
}

static void ref(double *out, const double *const in[CHECK_INS], const struct check_case *c)
{
    int64_t N = c->in[0].shape.dim[0], C = shape_last(c->in[0].shape);
    int64_t rows = N ? shape_rows(c->in[0].shape) / N : 0;

    for (int64_t n = 0; n < N; n++) {
        out[n] = 0;
        for (int64_t r = n * rows; r < (n + 1) * rows; r++) {
            const double *a = in[0] + r * C, *b = in[1] + r * C;
            double la = length_of(a, C), lb = length_of(b, C);

            for (int64_t k = 0; k < C; k++)
                out[n] += (in[2] ? in[2][k] : 1) * pow(a[k] / la - b[k] / lb, 2) / (double)rows;
        }
    }
}

#define ROWS_OF(NAME, STD, ...)                                         \
    .name = NAME,                                                       \
    .in = {{.shape = SHAPE(__VA_ARGS__), .std = STD, .batched = true},  \
           {.shape = SHAPE(__VA_ARGS__), .std = STD, .batched = true}}, \
    .build = build, .ref = ref, .alone_grad = true

static void test_distance(void **state)
{
    static float weight[70];
    struct check_case cases[] = {
        {ROWS_OF("even", 1, 2, 3, 4, 16), .out = SHAPE(2)},
        {ROWS_OF("odd", 1, 3, 5, 3, 37), .out = SHAPE(3)},
        {ROWS_OF("narrow", 1, 2, 4, 4, 2), .out = SHAPE(2)},
        {ROWS_OF("blocks", 1, 2, 31, 17, 70), .out = SHAPE(2)},
        {ROWS_OF("faint", 1e-4, 2, 3, 3, 20), .out = SHAPE(2)},
        {ROWS_OF("no row", 1, 2, 0, 3, 20), .out = SHAPE(2)},
        {ROWS_OF("one row", 1, 4, 20), .out = SHAPE(4)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(weight); i++)
        weight[i] = (float)(0.1 + 0.03 * (double)(i % 7));
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_op(&cases[i]);
        cases[i].in[2] = (struct check_input){
            .shape = SHAPE(shape_last(cases[i].in[0].shape)), .values = weight, .fixed = true};
        check_op(&cases[i]);
    }
}

/* Equal directions are equal whatever their length; opposite ones are 4 apart; nothing against
 * something is 1, and has no slope. */
static void test_special(void **state)
{
    static const float a[] = {3, 4, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0};
    static const float b[] = {6, 8, 0, -3, -4, 0, 0, 5, 0, 0, 0, 0};
    static const float want[] = {0, 4, 1, 0};
    float d[4], slope[12];
    struct tensor *x, *y, *sum;
    struct graph *g;

    (void)state;
    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    x = graph_input(g, SHAPE(4, 1, 3), a);
    graph_want_grad(x);
    y = op_feature_distance(g, x, graph_input(g, SHAPE(4, 1, 3), b), NULL);
    sum = op_sum(g, y);
    graph_keep(g, y);
    graph_backward(g, sum);
    graph_keep(g, x->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, d);
    graph_read(g, x->grad, slope);
    for (int n = 0; n < 4; n++)
        assert_true(fabsf(d[n] - want[n]) < 1e-6f);
    for (int i = 0; i < 12; i++)
        assert_true(isfinite(slope[i]));
    for (int i = 6; i < 12; i++)
        assert_true(slope[i] == 0);
    graph_free(g);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_special),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
