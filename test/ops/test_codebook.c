/*
 * test_codebook.c - the nearest of a list, and gradients that go around the choice
 */
#include "ops/codebook.h"

#include "base/rng.h"
#include "ops/basic.h"
#include "ops/embedding.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

enum { ROWS = 700, CODES = 37, D = 3 };

struct data {
    float z[ROWS * D], code[CODES * D];
};

static void draw(struct data *d)
{
    struct rng r = rng_stream(11, RNG_TEST, 1);

    rng_normals(&r, d->z, ROWS * D);
    rng_normals(&r, d->code, CODES * D);
    /* Equal codes, and a vector that lies on them. */
    memcpy(d->code + 30 * D, d->code + 4 * D, D * sizeof(float));
    memcpy(d->z + 5 * D, d->code + 4 * D, D * sizeof(float));
}

static int32_t nearest_of(const struct data *d, int64_t row)
{
    double least = (double)INFINITY;
    int32_t at = -1;

    for (int32_t k = 0; k < CODES; k++) {
        double sum = 0;

        for (int j = 0; j < D; j++)
            sum += pow((double)d->z[row * D + j] - (double)d->code[k * D + j], 2);
        if (sum < least) {
            least = sum;
            at = k;
        }
    }
    return at;
}

static void run_nearest(int32_t *out, const struct data *d, int64_t rows, unsigned flags,
                        int threads)
{
    struct graph *g = NULL;
    struct tensor *y;

    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    y = op_nearest(g, graph_input(g, SHAPE(1, rows, D), d->z),
                   graph_input(g, SHAPE(CODES, D), d->code));
    assert_true(y->dtype == DTYPE_I32 && shape_equal(y->shape, SHAPE(rows)));
    graph_keep(g, y);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read_i32(g, y, out);
    graph_free(g);
}

static void test_nearest(void **state)
{
    int32_t got[ROWS], other[ROWS];
    struct data d;

    (void)state;
    draw(&d);
    run_nearest(got, &d, ROWS, 0, 1);
    for (int64_t n = 0; n < ROWS; n++)
        assert_int_equal(got[n], nearest_of(&d, n));
    assert_int_equal(got[5], 4);
    run_nearest(other, &d, ROWS, 0, 3);
    assert_memory_equal(got, other, sizeof got);
    run_nearest(other, &d, ROWS, GRAPH_EAGER, 2);
    assert_memory_equal(got, other, sizeof got);
    run_nearest(other, &d, 9, 0, 1);
    assert_memory_equal(got, other, 9 * sizeof *got);
    run_nearest(other, &d, 0, 0, 1);
}

/* A vector that is not a number has no nearest code, and is given one that exists. */
static void test_nan(void **state)
{
    int32_t got[1];
    struct data d;

    (void)state;
    draw(&d);
    d.z[1] = NAN;
    run_nearest(got, &d, 1, 0, 1);
    assert_true(got[0] >= 0 && got[0] < CODES);
}

/* d <x stop(x)> = x and not 2 x;  what is fetched goes on exactly, its gradient to the vector. */
static void check_gradients(unsigned flags, int threads)
{
    float dz[ROWS * D], value[ROWS * D], dx[ROWS * D];
    struct tensor *z, *code, *fetched, *through, *x, *loss;
    struct graph *g = NULL;
    struct data d;

    draw(&d);
    assert_int_equal(graph_new(&g, flags, threads, NULL), OK);
    z = graph_input(g, SHAPE(ROWS, D), d.z);
    x = graph_input(g, SHAPE(ROWS, D), d.z);
    code = graph_input(g, SHAPE(CODES, D), d.code);
    graph_want_grad(z);
    graph_want_grad(x);
    graph_want_grad(code);
    fetched = op_embedding(g, code, op_nearest(g, z, code));
    through = op_straight_through(g, fetched, z);
    loss =
        op_add(g, op_sum(g, op_mul(g, through, through)), op_sum(g, op_mul(g, x, op_detach(g, x))));
    graph_keep(g, through);
    graph_backward(g, loss);
    graph_keep(g, z->grad);
    graph_keep(g, x->grad);
    assert_null(code->grad);
    assert_int_equal(graph_run(g, NULL), OK);
    graph_read(g, through, value);
    graph_read(g, z->grad, dz);
    graph_read(g, x->grad, dx);
    for (int64_t n = 0; n < ROWS; n++)
        for (int j = 0; j < D; j++) {
            float e = d.code[nearest_of(&d, n) * D + j];

            assert_true(value[n * D + j] == e);
            assert_true(dz[n * D + j] == 2 * e);
            assert_true(dx[n * D + j] == d.z[n * D + j]);
        }
    graph_free(g);
}

static void test_gradients(void **state)
{
    (void)state;
    check_gradients(0, 1);
    check_gradients(0, 3);
    check_gradients(GRAPH_EAGER, 2);
    check_gradients(GRAPH_CHECKPOINT, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_gradients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
