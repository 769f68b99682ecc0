/*
 * test_dropout.c - dropout against its formula, with the mask drawn word by word
 *
 * check_op.h asks for equal bits on any number of threads, eager and planned, and for each sample
 * alone and in a batch.  What is random is checked by counting: the share that is left out, the
 * mean that stays, and that samples, places and steps do not share a mask.
 */
#include "ops/dropout.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "support/check_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* arg: p, place */
static struct tensor *build(struct graph *g, struct tensor *const in[], const struct check_case *c)
{
    return op_dropout(g, in[0], in[1], c->arg[0].f, c->arg[1].i);
}

static uint64_t word(const double *key, int low)
{
    return (uint64_t)key[low + 1] << 32 | (uint64_t)key[low];
}

static void ref(double *out, const double *const in[], const struct check_case *c)
{
    int64_t N = c->in[0].shape.dim[0], length = N ? shape_count(c->in[0].shape) / N : 0;
    double p = c->arg[0].f;

    for (int64_t n = 0; n < N; n++) {
        const double *key = in[1] + n * DROP_WORDS;
        struct rng r =
            rng_stream_at(word(key, 0), RNG_DROPOUT, word(key, 2), (uint32_t)c->arg[1].i);

        for (int64_t i = 0; i < length; i++)
            out[n * length + i] = rng_u32(&r) < p * 0x1p32 ? 0 : in[0][n * length + i] / (1 - p);
    }
}

static void agrees_with_its_formula(void **state)
{
#define DROP(what, p, place, ...)                                                               \
    {                                                                                           \
        .name = what,                                                                           \
        .in = {{.shape = SHAPE(__VA_ARGS__), .batched = true},                                  \
               {.shape = SHAPE(((int64_t[]){__VA_ARGS__})[0], DROP_WORDS),                      \
                .ids = 1 << 24,                                                                 \
                .batched = true}},                                                              \
        .arg = {{.f = p}, {.i = place}}, .out = SHAPE(__VA_ARGS__), .build = build, .ref = ref, \
        .alone_grad = true                                                                      \
    }
    const struct check_case cases[] = {
        DROP("pictures", 0.5, 0, 3, 5, 6, 7),
        DROP("tokens", 0.1, 3, 2, 9, 4),
        DROP("rows", 0.9, 1, 5, 37),
        DROP("nothing left out", 0, 2, 2, 10),
        DROP("no samples", 0.5, 0, 0, 8),
        DROP("one number", 0.5, 9, 4, 1),
        DROP("large", 0.25, 70, 3, 25, 25, 33),
        DROP("places far on", 0.5, RNG_PLACES - 1, 2, 300),
    };

    (void)state;
    check_ops(cases, COUNT(cases));
}

enum { N = 4, LENGTH = 40000 };

/* Ones through the op: key word 2 is the sample's number, here first + n. */
static void drop_ones(float *out, double p, int64_t place, int32_t seed, int32_t first)
{
    static float ones[N * LENGTH];
    int32_t key[N][DROP_WORDS];
    struct graph *g = NULL;
    struct tensor *y;

    for (int i = 0; i < N * LENGTH; i++)
        ones[i] = 1;
    for (int n = 0; n < N; n++)
        memcpy(key[n], (const int32_t[]){seed, 0, first + n, 0}, sizeof key[n]);
    assert_int_equal(graph_new(&g, 0, 2, NULL), OK);
    y = op_dropout(g, graph_input(g, SHAPE(N, LENGTH), ones),
                   graph_input_i32(g, SHAPE(N, DROP_WORDS), key[0]), p, place);
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, y, out);
    graph_free(g);
}

/* n numbers of mean 1: within five deviations of the mean of so many. */
static void keeps_the_mean(void **state)
{
    static const double p[] = {0.1, 0.3, 0.5, 0.9};
    static float y[N * LENGTH];

    (void)state;
    for (size_t k = 0; k < COUNT(p); k++) {
        double mean = 0, left_out = 0, n = N * LENGTH;

        drop_ones(y, p[k], 1, 7, 100);
        for (int i = 0; i < N * LENGTH; i++) {
            mean += (double)y[i] / n;
            left_out += y[i] == 0 ? 1 / n : 0;
            assert_true(y[i] == 0 || fabs((double)y[i] - 1 / (1 - p[k])) < 1e-6);
        }
        assert_true(fabs(left_out - p[k]) < 5 * sqrt(p[k] * (1 - p[k]) / n));
        assert_true(fabs(mean - 1) < 5 * sqrt(p[k] / (1 - p[k]) / n));
    }
}

/* Two masks of p = 1/2 agree in half of their places when they have nothing to do with each other.
 */
static void assert_strangers(const float *a, const float *b)
{
    double same = 0;

    for (int i = 0; i < LENGTH; i++)
        same += (a[i] == 0) == (b[i] == 0);
    assert_true(fabs(same / LENGTH - 0.5) < 5 * sqrt(0.25 / LENGTH));
}

static void masks_are_strangers(void **state)
{
    static float y[N * LENGTH], other[N * LENGTH];

    (void)state;
    drop_ones(y, 0.5, 1, 7, 100);
    assert_strangers(y, y + LENGTH); /* samples */
    drop_ones(other, 0.5, 2, 7, 100);
    assert_strangers(y, other); /* places */
    drop_ones(other, 0.5, 1, 8, 100);
    assert_strangers(y, other); /* seeds */
    drop_ones(other, 0.5, 1, 7, 103);
    assert_strangers(y, other);                                     /* steps ... */
    assert_memory_equal(y + 3 * LENGTH, other, LENGTH * sizeof *y); /* ... by the number alone */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_its_formula),
        cmocka_unit_test(keeps_the_mean),
        cmocka_unit_test(masks_are_strangers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
