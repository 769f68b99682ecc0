/*
 * test_cross_entropy.c - the surprise of a classifier against its definition
 */
#include "ops/cross_entropy.h"

#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tensor *build(struct graph *g, struct tensor *const in[], const struct check_case *c)
{
    (void)c;
    return op_cross_entropy(g, in[0], in[1]);
}

static void ref(double *out, const double *const in[], const struct check_case *c)
{
    const int64_t N = c->in[0].shape.dim[0], K = c->in[0].shape.dim[1];

    for (int64_t n = 0; n < N; n++) {
        const double *z = in[0] + n * K;
        double top = z[0], sum = 0;

        for (int64_t k = 0; k < K; k++)
            top = fmax(top, z[k]);
        for (int64_t k = 0; k < K; k++)
            sum += exp(z[k] - top);
        out[n] = log(sum) + top - z[(int64_t)in[1][n]];
    }
}

#define CASE(N, K, s)                                                   \
    {                                                                   \
        .name = "cross entropy " #N " " #K " " #s,                      \
        .in = {{.shape = {2, {N, K}}, .batched = true, .std = s},       \
               {.shape = {1, {N}}, .ids = K, .batched = true}},         \
        .out = {1, {N}}, .build = build, .ref = ref, .alone_grad = true \
    }

static void test_sizes(void **state)
{
    static const struct check_case cases[] = {
        CASE(1, 2, 1),   CASE(5, 7, 1),    CASE(3, 1000, 1),
        CASE(40, 10, 3), CASE(2000, 3, 1), CASE(0, 4, 1),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

/* A hundred nats: e^100 is outside of float32 and the surprise is not. */
static void test_large_logits(void **state)
{
    static const struct check_case cases[] = {CASE(6, 5, 100)};

    (void)state;
    check_ops(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_large_logits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
