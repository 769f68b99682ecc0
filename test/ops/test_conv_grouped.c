/*
 * test_conv_grouped.c - convolution in groups against its definition
 *
 * Depthwise and in groups of few and many channels, a multiple of a vector and not, with strides
 * that leave rows over, padding on some sides, one and many samples.  check_op.h compares values,
 * gradients, and the bits of eager, planned, threaded and single-picture runs; the last tests are
 * large enough that several threads share the work.
 */
#include "ops/conv.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "support/conv_cases.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct tensor *build(struct graph *g, struct tensor *const in[CHECK_INS],
                            const struct check_case *c)
{
    return op_conv2d_grouped(g, in[0], in[1], in[2], conv_case_geometry(c), c->arg[5].i);
}

/* stride, top, bottom, left, right; groups */
#define AT(S, T, U, L, R, G) .arg = {{.i = S}, {.i = T}, {.i = U}, {.i = L}, {.i = R}, {.i = G}}
#define OP                   .build = build, .ref = conv_case_ref, .probes = 8, .alone_grad = true

static const struct check_case cases[] = {
    {.name = "depthwise",
     .in = {CONV_X(2, 6, 7, 5), CONV_W(5, 3, 3, 1), CONV_B(5)},
     AT(1, 1, 1, 1, 1, 5),
     OP},
    {.name = "depthwise, whole vectors, no bias",
     .in = {CONV_X(2, 5, 5, 32), CONV_W(32, 3, 3, 1)},
     AT(1, 1, 1, 1, 1, 32),
     OP},
    {.name = "depthwise, 2 x 2 of stride 2",
     .in = {CONV_X(3, 7, 6, 37), CONV_W(37, 2, 2, 1), CONV_B(37)},
     AT(2, 0, 0, 0, 0, 37),
     OP},
    {.name = "depthwise, 7 x 7 larger than the picture",
     .in = {CONV_X(2, 3, 4, 20), CONV_W(20, 7, 7, 1), CONV_B(20)},
     AT(1, 3, 3, 3, 3, 20),
     OP},
    {.name = "two outputs a channel",
     .in = {CONV_X(2, 5, 6, 6), CONV_W(12, 3, 3, 1), CONV_B(12)},
     AT(1, 1, 1, 1, 1, 6),
     OP},
    {.name = "one output of three channels",
     .in = {CONV_X(2, 5, 6, 12), CONV_W(4, 3, 3, 3), CONV_B(4)},
     AT(1, 1, 1, 1, 1, 4),
     OP},
    {.name = "two groups, stride 2, odd",
     .in = {CONV_X(2, 7, 9, 10), CONV_W(6, 3, 3, 5), CONV_B(6)},
     AT(2, 1, 1, 1, 1, 2),
     OP},
    {.name = "stride 3, lopsided, rows left over",
     .in = {CONV_X(2, 9, 10, 8), CONV_W(8, 2, 4, 2), CONV_B(8)},
     AT(3, 1, 0, 0, 2, 4),
     OP},
    {.name = "groups of more than a vector",
     .in = {CONV_X(2, 4, 5, 40), CONV_W(74, 3, 3, 20), CONV_B(74)},
     AT(1, 1, 1, 1, 1, 2),
     OP},
    {.name = "1 x 1",
     .in = {CONV_X(3, 3, 4, 12), CONV_W(18, 1, 1, 4), CONV_B(18)},
     AT(1, 0, 0, 0, 0, 3),
     OP},
    {.name = "one pixel",
     .in = {CONV_X(2, 1, 1, 4), CONV_W(4, 3, 3, 2), CONV_B(4)},
     AT(1, 1, 1, 1, 1, 2),
     OP},
    {.name = "more samples than shares",
     .in = {CONV_X(19, 4, 4, 6), CONV_W(6, 3, 3, 2), CONV_B(6)},
     AT(1, 1, 1, 1, 1, 3),
     OP},
    {.name = "one group",
     .in = {CONV_X(2, 5, 6, 4), CONV_W(5, 3, 3, 4), CONV_B(5)},
     AT(1, 1, 1, 1, 1, 1),
     OP},
    {.name = "nothing",
     .in = {CONV_X(0, 4, 4, 6), CONV_W(6, 3, 3, 1), CONV_B(6)},
     AT(1, 1, 1, 1, 1, 6),
     OP},
    {.name = "depthwise, shared by threads",
     .in = {CONV_X(9, 20, 19, 48), CONV_W(48, 3, 3, 1), CONV_B(48)},
     AT(1, 1, 1, 1, 1, 48),
     OP},
    {.name = "groups, shared by threads",
     .in = {CONV_X(9, 20, 19, 48), CONV_W(72, 3, 3, 12), CONV_B(72)},
     AT(2, 1, 1, 1, 1, 4),
     OP},
};

static void agrees_with_its_definition(void **state)
{
    (void)state;
    check_ops(cases, sizeof(cases) / sizeof(cases[0]));
}

/* The same numbers as convolutions of the groups by themselves, put together. */
static void agrees_with_conv2d(void **state)
{
    enum { N = 2, SIDE = 6, I = 8, O = 12, G = 2, K = 3, WEIGHTS = O * K * K * I / G };
    const struct conv_geometry same_size = {1, 1, 1, 1, 1};
    float x[N * SIDE * SIDE * I], w[WEIGHTS], y[2][N * SIDE * SIDE * O];
    struct rng r = rng_stream(7, RNG_TEST, 0);
    struct tensor *in, *part[G], *out[2];
    struct graph *g = NULL;

    (void)state;
    rng_normals(&r, x, N * SIDE * SIDE * I);
    rng_normals(&r, w, WEIGHTS);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    in = graph_input(g, SHAPE(N, SIDE, SIDE, I), x);
    for (int k = 0; k < G; k++)
        part[k] = op_conv2d(g, op_slice(g, in, k * I / G, I / G),
                            graph_input(g, SHAPE(O / G, K, K, I / G), w + k * WEIGHTS / G), NULL,
                            same_size);
    out[0] = op_concat(g, part[0], part[1]);
    out[1] = op_conv2d_grouped(g, in, graph_input(g, SHAPE(O, K, K, I / G), w), NULL, same_size, G);
    for (int k = 0; k < 2; k++)
        graph_keep(g, out[k]);
    assert_int_equal(graph_run(g, NULL), OK);
    for (int k = 0; k < 2; k++)
        graph_read(g, out[k], y[k]);
    for (int i = 0; i < N * SIDE * SIDE * O; i++)
        assert_float_equal(y[1][i], y[0][i], 1e-4f);
    graph_free(g);
}

/* Whether a call with these channels and groups aborts, as a broken promise must. */
static bool aborts(int64_t channels, int64_t outputs, int64_t read, int64_t groups, int64_t bias)
{
    static const float zeros[4096];
    pid_t child = fork();
    int status = 0;

    if (!child) {
        struct graph *g = NULL;

        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) && !graph_new(&g, 0, 1, NULL))
            op_conv2d_grouped(g, graph_input(g, SHAPE(1, 4, 4, channels), zeros),
                              graph_input(g, SHAPE(outputs, 3, 3, read), zeros),
                              graph_input(g, SHAPE(bias), zeros),
                              (struct conv_geometry){1, 1, 1, 1, 1}, groups);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void wrong_shapes(void **state)
{
    (void)state;
    assert_false(aborts(6, 4, 3, 2, 4));
    assert_true(aborts(6, 4, 2, 2, 4)); /* groups read 3 channels  */
    assert_true(aborts(6, 5, 3, 2, 5)); /* 2 groups of 5 outputs   */
    assert_true(aborts(6, 4, 3, 2, 3)); /* a bias of 3             */
    assert_true(aborts(6, 4, 6, 0, 4)); /* no groups               */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_its_definition),
        cmocka_unit_test(agrees_with_conv2d),
        cmocka_unit_test(wrong_shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
