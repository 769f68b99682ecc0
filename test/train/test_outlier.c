/*
 * test_outlier.c - the penalty of latents that stand far out, against its formula in double
 */
#include "train/outlier.h"

#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { CHANNELS_MOST = 8 };

static struct tensor *build(struct graph *g, struct tensor *const in[], const struct check_case *c)
{
    return outlier_loss(g, in[0], c->arg[0].f);
}

/* One picture of P places. */
static double penalty(const double *z, int64_t P, int64_t C, double reach)
{
    double mean[CHANNELS_MOST] = {0}, variance[CHANNELS_MOST] = {0}, radius = 0, sum = 0;

    for (int64_t i = 0; i < P * C; i++)
        mean[i % C] += z[i] / (double)P;
    for (int64_t i = 0; i < P * C; i++)
        variance[i % C] += pow(z[i] - mean[i % C], 2) / (double)P;
    for (int64_t c = 0; c < C; c++)
        radius += variance[c];
    for (int64_t p = 0; p < P; p++) {
        double length = 0;

        for (int64_t c = 0; c < C; c++)
            length += pow(z[p * C + c] - mean[c], 2);
        sum += fmax(sqrt(length) - reach * sqrt(radius), 0);
    }
    return sum / (double)P;
}

static void ref(double *out, const double *const in[], const struct check_case *c)
{
    struct shape s = c->in[0].shape;
    int64_t P = s.dim[s.rank - 3] * s.dim[s.rank - 2], C = shape_last(s);
    int64_t N = shape_count(s) / (P * C);

    out[0] = 0;
    for (int64_t n = 0; n < N; n++)
        out[0] += penalty(in[0] + n * P * C, P, C, c->arg[0].f) / (double)N;
}

#define CASE(what, far, ...)                                                                       \
    {                                                                                              \
        .name = what, .in = {{.shape = SHAPE(__VA_ARGS__)}}, .arg = {{.f = far}}, .out = {1, {1}}, \
        .build = build, .ref = ref, .probes = 200                                                  \
    }

static void test_formula(void **state)
{
    const struct check_case cases[] = {
        CASE("pictures", 1, 3, 4, 5, 4),
        CASE("far", 1.6, 2, 6, 6, 3),
        CASE("videos", 1, 2, 3, 4, 4, 5),
        CASE("one channel", 0.5, 2, 5, 5, 1),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

static double value_of(const float *z, struct shape shape, double reach, float *slope)
{
    struct graph *g = NULL;
    struct tensor *x, *y;
    float value;

    assert_int_equal(graph_new(&g, 0, 1, NULL), OK);
    x = graph_input(g, shape, z);
    graph_want_grad(x);
    y = outlier_loss(g, x, reach);
    graph_keep(g, y);
    graph_backward(g, y);
    graph_keep(g, x->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, &value);
    graph_read(g, x->grad, slope);
    graph_free(g);
    return (double)value;
}

/* A constant picture costs nothing and has a slope of zero; and so has a single outlier among ten
 * places, but not among sixteen. */
static void test_edges(void **state)
{
    static float z[16], slope[16];

    (void)state;
    assert_true(value_of(z, SHAPE(1, 4, 4, 1), 3, slope) == 0);
    for (int i = 0; i < 16; i++)
        assert_true(slope[i] == 0);
    z[3] = 50;
    assert_true(value_of(z, SHAPE(1, 2, 5, 1), 3, slope) == 0);
    assert_true(value_of(z, SHAPE(1, 4, 4, 1), 3, slope) > 0.1);
    assert_true(slope[3] > 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
